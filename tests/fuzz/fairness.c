/* Fuzz the prediction: whatever the groups are, nobody gets less than nothing or more than he can
 * use, no group gives its children more than it has, and no CPU is idle that somebody wants. */
#include <math.h>

#include "../../labs/tools/fairness.h"
#include "fuzz.h"

enum { MOST = 8 };

static double demand(const struct lab_competitor *groups, int count, int number, int cpus)
{
    double sum = 0;
    int children = 0;

    for (int i = number + 1; i < count; i++)
        if (groups[i].parent == number) {
            children++;
            sum += demand(groups, count, i, cpus);
        }
    if (children == 0 && number != LAB_TOP)
        sum = groups[number].threads;
    return fmin(sum, cpus);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_competitor groups[MOST] = {0};
    int count = 0;

    if (size < 1)
        return 0;
    int cpus = data[0] % 16 + 1;
    for (size_t at = 1; at + 5 <= size && count < MOST; at += 5, count++)
        groups[count] = (struct lab_competitor){
            .parent = data[at] % (count + 1) - 1, /* one before it, or LAB_TOP */
            .weight = 1 + data[at + 1] + 256 * data[at + 2] + 65536 * (data[at + 3] % 4),
            .threads = data[at + 4],
        };
    lab_share_out(groups, count, cpus, cpus);
    for (int number = LAB_TOP; number < count; number++) {
        double given = 0, all = number == LAB_TOP ? cpus : groups[number].share;
        int children = 0;
        for (int i = 0; i < count; i++) {
            if (groups[i].parent != number)
                continue;
            children++;
            given += groups[i].share;
            if (groups[i].share < -1e-6 || groups[i].share > demand(groups, count, i, cpus) + 1e-6)
                abort();
        }
        if (children && fabs(given - fmin(all, demand(groups, count, number, cpus))) > 1e-6)
            abort();
    }
    return 0;
}
