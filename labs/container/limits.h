/*
 * limits.h - the control group of a container: how much it may use.
 */
#ifndef CONTAINER_LIMITS_H
#define CONTAINER_LIMITS_H

#include <stdbool.h>

#include "cgroup.h"
#include "container.h"

struct limits {
    struct lab_hierarchies where;
    struct lab_cgroup group;
    int directory;              /* of the group, for CLONE_INTO_CGROUP; -1 where all is v1 */
    int tasks[LAB_CONTROLLERS]; /* v1: of each hierarchy, to enter by; -1 where there is none */
    bool made;                  /* there is something to remove */
    long long out_of_memory;    /* processes that were killed for lack of memory so far */
};

/* Make the group of CONTAINER with the limits of its specification. Exits with one line where the
 * kernel refuses. Without root and a group that belongs to the caller there is none: a warning says
 * so, or it is an error where a limit was asked for. cgroups(7) */
void limits_make(struct limits *limits, struct container *container);

/* Find the group of a running CONTAINER, to join it. Exits with one line where there is none. */
void limits_find(struct limits *limits, const struct container *container);

/* v1: put this process, which must have no other thread, into the group. Fails by fail(). */
void limits_enter(const struct limits *limits);

/* Whether the kernel has killed a process of the group for lack of memory since the last call. */
bool limits_count_oom_kills(struct limits *limits);

/* Kill all that is in the group of a running CONTAINER, which gets the CPU time to end that --cpus
 * may not leave it, and wait for that. Returns 0, or -1 after a warning. */
int limits_kill(const struct container *container);

/* Kill what is in the group that was made for CONTAINER, and remove it. Returns 0, or -1 after a
 * warning. */
int limits_remove(struct limits *limits, const struct container *container);

/* The same for a container whose runtime is dead. */
int limits_sweep(const struct container *container);

#endif
