/*
 * fairness.h - what weights promise: how CPU time is shared out among groups that all want it.
 */
#ifndef LAB_FAIRNESS_H
#define LAB_FAIRNESS_H

enum { LAB_TOP = -1 };

/* A group, in a tree given as an array. */
struct lab_competitor {
    int parent;    /* the index of the group that this one is in; LAB_TOP: none */
    double weight; /* against its siblings; more than 0 */
    int threads;   /* that are busy in the group itself; each can use one CPU at most */
    double share;  /* the result, in CPUs */
};

/* Share out CAPACITY, in CPUs, of the time of so many CPUS (all of it, or what others leave) among
 * COUNT groups, setting the share of each. Siblings get CPU time by weight. It is work conserving:
 * what a group cannot use, because it has fewer threads than that, goes to its siblings, by weight
 * again. Threads of a group that has groups in it do not count. */
void lab_share_out(struct lab_competitor *groups, int count, int cpus, double capacity);

#endif
