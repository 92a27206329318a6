#include "shares.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

enum {
    SHARES_RANGE = LAB_MAXIMUM_SHARES - LAB_MINIMUM_SHARES,
    WEIGHT_RANGE = LAB_MAXIMUM_WEIGHT - LAB_MINIMUM_WEIGHT,
};

int lab_weight_of_shares_linear(int shares)
{
    return (int)(1 + (long long)(shares - LAB_MINIMUM_SHARES) * WEIGHT_RANGE / SHARES_RANGE);
}

int lab_shares_of_weight_linear(int weight)
{
    long long scaled = (long long)(weight - LAB_MINIMUM_WEIGHT) * SHARES_RANGE;

    return (int)(LAB_MINIMUM_SHARES + (scaled + WEIGHT_RANGE - 1) / WEIGHT_RANGE);
}

/* The parabola of the exponent goes through three points: 2 is 1, 1024 is 100, 262144 is 10000. The
 * last digits of a double must not lift a whole number to the next one. */
int lab_weight_of_shares(int shares)
{
    const double rounding = 1e-9;
    double l = log2(shares);

    return (int)ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34) - rounding);
}

/* The conversion only grows, so the most shares with a weight are found by halving. */
int lab_shares_of_weight(int weight)
{
    int low = LAB_MINIMUM_SHARES, high = LAB_MAXIMUM_SHARES;

    while (low < high) {
        int middle = high - (high - low) / 2;
        if (lab_weight_of_shares(middle) > weight)
            high = middle - 1;
        else
            low = middle;
    }
    return low;
}

static const char *file_of(const struct lab_cgroup *group)
{
    return lab_cgroup_version(group, LAB_CPU) == 1 ? "cpu.shares" : "cpu.weight";
}

int lab_cgroup_weight(const struct lab_cgroup *group, long long *weight)
{
    return lab_cgroup_number(group, LAB_CPU, file_of(group), NULL, weight);
}

int lab_cgroup_set_shares(const struct lab_cgroup *group, int shares)
{
    int wanted = lab_cgroup_version(group, LAB_CPU) == 1 ? shares : lab_weight_of_shares(shares);
    long long weight;
    char text[16];

    snprintf(text, sizeof(text), "%d", wanted);
    if (lab_cgroup_write(group, LAB_CPU, file_of(group), text) == -1 ||
        lab_cgroup_weight(group, &weight) == -1)
        return -1;
    errno = ERANGE;
    return weight == wanted ? 0 : -1;
}
