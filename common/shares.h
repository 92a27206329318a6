/*
 * shares.h - the weight of a group: cpu.shares of v1 and cpu.weight of v2.
 *
 * v1 counts from 2 to 262144 with 1024 for everybody who says nothing, v2 from 1 to 10000 with 100.
 * Two conversions are in use. The linear one (runc before 1.3.2, crun before 1.23) maps the ends of
 * the ranges to each other, and the default, 1024, to 39. The logarithmic one (those and later
 * ones) maps the ends and the defaults: 1024 is 100. Neither can do all: the linear one keeps the
 * ratio of two groups and loses the default, the other keeps the default and bends the ratios.
 *
 * What uses these functions is linked with -lm.
 */
#ifndef LAB_SHARES_H
#define LAB_SHARES_H

#include "cgroup.h"

enum {
    LAB_MINIMUM_SHARES = 2,
    LAB_DEFAULT_SHARES = 1024,
    LAB_MAXIMUM_SHARES = 262144,
    LAB_MINIMUM_WEIGHT = 1,
    LAB_DEFAULT_WEIGHT = 100,
    LAB_MAXIMUM_WEIGHT = 10000,
};

/* The weight of v2 for SHARES of v1 (within their range), rounded down, and back: the fewest shares
 * that have this weight. weight -> shares -> weight is the same weight again. */
int lab_weight_of_shares_linear(int shares);
int lab_shares_of_weight_linear(int weight);

/* The same by the newer, logarithmic conversion, which the labs use. It rounds up, so the way back
 * is to the most shares that have this weight. */
int lab_weight_of_shares(int shares);
int lab_shares_of_weight(int weight);

/* Give GROUP this many shares: cpu.shares, or the weight to cpu.weight. Returns 0, or -1 with
 * errno, see lab_cgroup_die(). ERANGE where the kernel took another number. */
int lab_cgroup_set_shares(const struct lab_cgroup *group, int shares);

/* Read back what GROUP has, in the unit of its dialect: shares of v1, weight of v2. */
int lab_cgroup_weight(const struct lab_cgroup *group, long long *weight);

#endif
