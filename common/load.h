/*
 * load.h - busy, the program beside the labs, as something to measure.
 */
#ifndef LAB_LOAD_H
#define LAB_LOAD_H

#include <sched.h>
#include <sys/types.h>

#include "cgroup.h"

/* Start "busy -j THREADS" from the directory of this program, in GROUP and on CPUS where they are
 * not NULL, and wait until all its threads are there and use CPU time. It dies with its parent.
 * Returns its PID; exits with what is missing where there is no such program. */
pid_t lab_start_load(int threads, const struct lab_cgroup *group, const cpu_set_t *cpus);

#endif
