/*
 * start.h - from a specification to a running container, and to its end, on the runtime's side.
 */
#ifndef CONTAINER_START_H
#define CONTAINER_START_H

#include "cgroup.h"
#include "state.h"

/* `run`. ARGV[0] is "run". Returns the exit status. */
int run_container(int argc, char *argv[]);

/* What the experiment looks at while a container comes to be. */
struct observer {
    const struct lab_cgroup *parent; /* the container's group goes in there */
    /* STAGE has ended in the process that becomes the container: see inside.c; "privileges", the
     * last, when the command runs. */
    void (*stage)(const struct container *container, const char *stage);
    /* It has ended and said SAID; what it had is still there. */
    void (*ended)(const struct container *container, const char *said);
};

/* Make and run the container that SPEC describes before the eyes of OBSERVER, in this process, up
 * to its end: nothing of it is left. Returns its exit status. */
int run_observed(const struct specification *spec, const struct observer *observer);

#endif
