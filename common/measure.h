/*
 * measure.h - watch groups use CPU time: for a result, for somebody at a terminal, for a picture.
 *
 * While it measures it shows a bar for each group on a terminal. It remembers every tenth of a
 * second of a whole experiment, and can draw them.
 */
#ifndef LAB_MEASURE_H
#define LAB_MEASURE_H

#include "cgroup.h"
#include "lab.h"

enum { LAB_MEASURED = 8 }; /* as many loads can be told apart in one experiment */

/* Start a process that tells the usage of GROUP, with a bar and TARGET, on stderr each second until
 * it is killed or its parent dies. Returns its PID, or exits. */
pid_t lab_measure_watch(const struct lab_cgroup *group, double target);

#endif
