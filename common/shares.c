#include "cgroup.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* The weight for SHARES (within their range), rounded up. v1 counts from 2 to 262144, with 1024 for
 * a new group, v2 from 1 to 10000, with 100. The conversion is the logarithmic one of container
 * runtimes (runc since 1.3.2, crun since 1.23): it maps the ends of the ranges and the defaults to
 * each other, and does not keep the ratio of two groups. The parabola of the exponent goes through
 * three points: 2 is 1, 1024 is 100, 262144 is 10000. The last digits of a double must not lift a
 * whole number to the next one. */
static int weight_of_shares(int shares)
{
    const double rounding = 1e-9;
    double l = log2(shares);

    return (int)ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34) - rounding);
}

int lab_cgroup_set_shares(const struct lab_cgroup *group, int shares)
{
    bool v1 = group->where->of[LAB_CPU].version == 1;
    const char *file = v1 ? "cpu.shares" : "cpu.weight";
    int wanted = v1 ? shares : weight_of_shares(shares);
    long long weight;
    char text[16];

    snprintf(text, sizeof(text), "%d", wanted);
    if (lab_cgroup_write(group, LAB_CPU, file, text) == -1 ||
        lab_cgroup_number(group, LAB_CPU, file, NULL, &weight) == -1)
        return -1;
    errno = ERANGE;
    return weight == wanted ? 0 : -1;
}
