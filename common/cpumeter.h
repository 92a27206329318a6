/*
 * cpumeter.h - how much CPU time a group or a process has used, by the kernel's own accounting.
 *
 * The rate of use is the difference of two samples. Under a quota it is only the quota over a whole
 * number of periods, so lab_cpu_measure() takes its samples a whole number of periods apart. Why a
 * group got less than it wanted is told by the periods in which it was throttled: there its limit
 * held it back; where it was not throttled, others had the CPUs.
 */
#ifndef LAB_CPUMETER_H
#define LAB_CPUMETER_H

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"

/* What was used until now; all times in microseconds. */
struct lab_cpu_sample {
    long long at;             /* CLOCK_MONOTONIC */
    long long usage;          /* CPU time of all processes of the group, the dead ones included */
    long long periods;        /* that have passed while the group had a quota and ran */
    long long throttled;      /* of these, those in which the quota was used up */
    long long throttled_time; /* the group's CPUs stood still so long */
    double percent;           /* of a difference: usage in percent of one CPU */
};

/* Take a sample of GROUP: cpuacct.usage and cpu.stat of v1 (LAB_CPUACCT and LAB_CPU must be among
 * its controllers), cpu.stat of v2. Returns 0, or -1 with errno, see lab_cgroup_die(). GROUP NULL:
 * of process PID, only the time and the usage, clock_getcpuclockid(3). */
int lab_cpu_sample(const struct lab_cgroup *group, pid_t pid, struct lab_cpu_sample *sample);

/* What was used between two samples: *TO minus *FROM, field by field. */
struct lab_cpu_sample lab_cpu_difference(const struct lab_cpu_sample *from,
                                         const struct lab_cpu_sample *to);

/* The CPUs that this process may use. */
int lab_cpu_count(void);

#endif
