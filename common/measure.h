/*
 * measure.h - watch groups use CPU time: for a result, for somebody at a terminal, for a picture.
 *
 * While it measures it shows a bar for each group on a terminal. It remembers every tenth of a
 * second of a whole experiment, and can draw them.
 */
#ifndef LAB_MEASURE_H
#define LAB_MEASURE_H

#include <sys/types.h>

#include "cpumeter.h"
#include "lab.h"

enum { LAB_MEASURED = 8 }; /* groups that can be told apart in one experiment */

/* One that is measured. */
struct lab_measured {
    const char *name;
    const struct lab_cgroup *group; /* or NULL: the process PID */
    pid_t pid;
    double target;              /* percent of a CPU: its quota or its prediction; 0: none */
    struct lab_cpu_sample used; /* the result: what was used in the window */
};

/* Measure COUNT groups or processes at the same time for WINDOW microseconds, a whole number of
 * periods if they have a quota. Exits with what failed where one cannot be read. */
void lab_measure(struct lab_measured *measured, int count, long long window);

/* Start a process that tells the usage of GROUP, with a bar and TARGET, on stderr each second until
 * it is killed or its parent dies. Returns its PID, or exits. */
pid_t lab_measure_watch(const struct lab_cgroup *group, double target);

#endif
