/*
 * lock.h - locks of directories, which nobody keeps for ever.
 *
 * flock(2) lets go when its holder ends, however that comes. A holder that is stopped (Ctrl-Z)
 * keeps it; so who waits does so for a limited time, and then says who it is.
 */
#ifndef LAB_LOCK_H
#define LAB_LOCK_H

#include <sys/types.h>

enum { LAB_LOCK_PATIENCE = 30000 }; /* milliseconds */

/* Lock what the descriptor FD is of (LOCK_EX). Returns 0, or -1 with errno: ETIMEDOUT after
 * MILLISECONDS (times lab_slowness()) in which the same process had it; as long as others come and
 * go, the waiting begins anew. */
int lab_lock(int fd, int milliseconds);

/* Open the directory PATH and lock it, as lab_lock() does. It is made with MODE where it is
 * missing; 0: not. It may be removed meanwhile by another holder of the lock; then it is made anew,
 * so that the lock is always that of the directory which is there. Returns the descriptor, or -1
 * with errno: EEXIST where it belongs to another user, whose lock is not waited for. */
int lab_lock_directory(const char *path, mode_t mode, int milliseconds);

/* Who has the lock of PATH, by /proc/locks, and what can be done: a sentence in a static buffer. */
const char *lab_lock_holder(const char *path);

/* After lab_lock_directory() has failed: print one line, after ETIMEDOUT with lab_lock_holder(),
 * and exit(lab_exit_failure); where files cannot be made there, as lab_cannot_run() does. */
__attribute__((noreturn)) void lab_lock_die(const char *path);

#endif
