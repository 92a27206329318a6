/*
 * shares.h - the weight of a group: cpu.shares of v1 and cpu.weight of v2.
 *
 * v1 counts from 2 to 262144, with 1024 for a new group, v2 from 1 to 10000, with 100. The
 * conversion is the logarithmic one of container runtimes (runc since 1.3.2, crun since 1.23): it
 * maps the ends of the ranges and the defaults to each other, and does not keep the ratio of two
 * groups.
 *
 * A program that uses this function is linked with -lm.
 */
#ifndef LAB_SHARES_H
#define LAB_SHARES_H

#include "cgroup.h"

enum { LAB_MINIMUM_SHARES = 2, LAB_DEFAULT_SHARES = 1024, LAB_MAXIMUM_SHARES = 262144 };

/* Give GROUP this many SHARES (LAB_MINIMUM_SHARES to LAB_MAXIMUM_SHARES): cpu.shares, or the weight
 * to cpu.weight. Returns 0, or -1 with errno, see lab_cgroup_die(). ERANGE where the kernel took
 * another number. */
int lab_cgroup_set_shares(const struct lab_cgroup *group, int shares);

#endif
