/*
 * ids.h - user and group IDs for containers: root in one has no rights in another.
 *
 * No two containers that live at the same time have a user in common, whichever state directories
 * (state.h) they are in, as long as their runtimes have the same /run; nor do they share one with
 * /etc/subuid and /etc/subgid. A range is claimed by the lock of one byte of a file, which the
 * kernel releases however the runtime ends. fcntl(2), "Open file description locks".
 */
#ifndef CONTAINER_IDS_H
#define CONTAINER_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { IDS_PER_CONTAINER = 65536 };

/* Claim a range of IDs that is not in use, from *FIRST on. Returns a descriptor that holds the
 * claim until all its copies are closed, or -1 with errno (EAGAIN: all are in use). */
int ids_claim(uid_t *first);

/* Release the range of *CLAIM (-1: none); it is -1 then. */
void ids_release(int *claim);

/* clone_process() with FLAGS; where CLONE_NEWUSER is one, as the user OWNER:
 * lab_own_namespaces_as(). Returns as fork(2); ends by fail() where the user cannot be changed.
 * Without root, the owner is the caller. */
pid_t ids_clone(uint64_t flags, int *pidfd, int group, uid_t owner);

/* Whether this kernel has no user namespaces, or they are turned off; then errno is what clone3(2)
 * has for it. */
bool has_no_user_namespaces(void);

/* Map the users and groups from FIRST on into the new user namespace of process PID, then send it
 * MESSAGE_GO over SOCKET. Returns a descriptor of the namespace; -1 without root, where its users
 * are the same as ours, so that no file has to be shown with other owners. Ends by fail(). */
int ids_map(pid_t pid, uid_t first, int socket);

/* Remove the file if no range is in use, as after runtimes were killed. */
void ids_remove_unused_file(void);

#endif
