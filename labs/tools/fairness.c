#include "fairness.h"

#include <stdbool.h>

/* How many CPUs group NUMBER can use: one for each busy thread in it or below it. */
static double demand(const struct lab_competitor *groups, int count, int number, int cpus)
{
    double sum = 0;
    bool is_leaf = true;

    for (int i = 0; i < count; i++) {
        if (groups[i].parent != number)
            continue;
        is_leaf = false;
        sum += demand(groups, count, i, cpus);
    }
    if (is_leaf)
        sum = groups[number].threads;
    return sum < cpus ? sum : cpus;
}

/* Share out CAPACITY among the children of PARENT. As long as somebody wants no more than his part,
 * he is served and the rest is divided anew; then all others want more than theirs, and get it. */
static void share_out_below(struct lab_competitor *groups, int count, int parent, int cpus,
                            double capacity)
{
    const double unserved = -1, rounding = 1e-9;
    double weights = 0;
    bool again = true;

    for (int i = 0; i < count; i++) {
        if (groups[i].parent != parent)
            continue;
        groups[i].share = unserved;
        weights += groups[i].weight;
    }
    while (again) {
        again = false;
        for (int i = 0; i < count; i++) {
            double wanted = demand(groups, count, i, cpus);
            if (groups[i].parent != parent || groups[i].share != unserved ||
                wanted > capacity * groups[i].weight / weights + rounding)
                continue;
            groups[i].share = wanted;
            capacity -= wanted;
            weights -= groups[i].weight;
            again = true;
        }
    }
    for (int i = 0; i < count; i++)
        if (groups[i].parent == parent && groups[i].share == unserved)
            groups[i].share = capacity * groups[i].weight / weights;
    for (int i = 0; i < count; i++)
        if (groups[i].parent == parent)
            share_out_below(groups, count, i, cpus, groups[i].share);
}

void lab_share_out(struct lab_competitor *groups, int count, int cpus, double capacity)
{
    share_out_below(groups, count, LAB_TOP, cpus, capacity);
}
