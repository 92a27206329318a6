/*
 * ids.h - user and group IDs for containers, so that root in one is nobody in another.
 *
 * Guaranteed: no two containers that live at the same time, whichever directories they are kept in
 * (state.h), have a user in common, as long as their runtimes see the same /run; nor has a
 * container one in common with what /etc/subuid and /etc/subgid give away. A range is claimed by
 * the lock of a byte of one file for the whole machine, which the kernel takes back however the
 * runtime ends. The file goes with the last of them. fcntl(2), "Open file description locks".
 */
#ifndef CONTAINER_IDS_H
#define CONTAINER_IDS_H

#include <sys/types.h>

enum { IDS_PER_CONTAINER = 65536 };

/* Claim a range of IDs that nothing else has, from *FIRST on. Returns the descriptor that has it
 * until all its copies are closed, or -1 with errno (EAGAIN: all are taken). */
int ids_claim(uid_t *first);

/* Give the range of *CLAIM (-1: none) back; it is -1 then. */
void ids_release(int *claim);

/* Make the users and groups from FIRST on those of the new user namespace of process PID, and tell
 * it over SOCKET to go on. Returns a descriptor of the namespace. Ends by fail(). */
int ids_give(pid_t pid, uid_t first, int socket);

/* Remove the file if nobody has a range, as when runtimes were killed. */
void ids_remove_unused_file(void);

#endif
