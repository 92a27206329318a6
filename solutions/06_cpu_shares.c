/*
 * 06_cpu_shares - fair shares: what weights promise, and what the scheduler makes of it.
 *
 *     06_cpu_shares NAME:WEIGHT...      let groups compete for one CPU, predict and measure
 *     06_cpu_shares --shares-of WEIGHT  what a weight of v2 is on v1, to the kernel
 *     06_cpu_shares --weight-of SHARES  what shares of v1 are on v2, to a container runtime
 *
 * WEIGHT is cgroup v2's, 1 to 10000; v1 gets the shares that mean the same to the kernel. A name
 * A/B is a group B in the group A, which comes before it. Every group without groups in it has one
 * process that wants all of the CPU.
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exercise.h"

enum { MAX_GROUPS = 16, ENOUGH = 300000 /* microseconds of CPU time, of all together */ };

static struct contender {
    const char *name; /* "A" or "A/B" */
    long long weight;
    struct contender *parent; /* NULL: below the root of the run */
    bool is_parent;
    struct lab_group *group;
} contenders[MAX_GROUPS];

static int count;
static struct lab_group *root; /* the group of this program */

/* Two conversions are in use. The kernel's own: the default of one is the default of the other, 100
 * and 1024. */
static long long kernel_shares_of(long long weight)
{
    long long shares = 0;

    // BEGIN SOLUTION 6.1 the kernel's conversion: 100 is 1024, in proportion, rounded
    shares = (weight * 1024 + 50) / 100;
    // END SOLUTION
    return shares;
}

/* That of OCI runtimes: the range of one is the range of the other, 2..262144 and 1..10000. */
static long long oci_weight_of(long long shares)
{
    long long weight = 0;

    // BEGIN SOLUTION 6.2 the runtimes' conversion: 2 is 1, 262144 is 10000, a line between
    weight = 1 + (shares - 2) * 9999 / 262142;
    // END SOLUTION
    return weight;
}

static void set_weight(const struct contender *one)
{
    // BEGIN SOLUTION 6.3 write the weight: cpu.shares on v1, cpu.weight on v2
    char text[32];
    bool v1 = lab_group_version(one->group, "cpu") == 1;

    snprintf(text, sizeof(text), "%lld", v1 ? kernel_shares_of(one->weight) : one->weight);
    lab_group_write(one->group, "cpu", v1 ? "cpu.shares" : "cpu.weight", text);
    // END SOLUTION
}

/* The part of the CPU that a group gets when all want it: 0 to 1. */
static double predict(const struct contender *one)
{
    double part = 1;

    // BEGIN SOLUTION 6.4 predict: its weight among its siblings, of what its parent gets
    long long siblings = 0;

    for (int i = 0; i < count; i++)
        if (contenders[i].parent == one->parent)
            siblings += contenders[i].weight;
    part = (double)one->weight / (double)siblings * (one->parent ? predict(one->parent) : 1);
    // END SOLUTION
    return part;
}

/* The contender in which this one, whose name has a slash, is to be. */
static struct contender *parent_of(const char *name)
{
    struct contender *parent = NULL;

    // BEGIN SOLUTION 6.5 a nested group: its parent is named by all that is before the last slash
    const char *slash = strrchr(name, '/');
    size_t length = (size_t)(slash - name);

    for (int i = 0; i < count; i++)
        if (strlen(contenders[i].name) == length && strncmp(contenders[i].name, name, length) == 0)
            parent = &contenders[i];
    if (!parent)
        lab_exit(EXIT_USAGE, "%s: there is no group before it in which it could be", name);
    // END SOLUTION
    return parent;
}

/* Make the group that WORD, "NAME:WEIGHT" or NULL, asks for. */
static void add_contender(char *word)
{
    struct contender *one = &contenders[count];
    char *colon = word ? strrchr(word, ':') : NULL;

    if (!colon || count == MAX_GROUPS || !lab_parse_number(colon + 1, 1, 10000, &one->weight))
        lab_exit(EXIT_USAGE, "usage: NAME:WEIGHT... | --shares-of WEIGHT | --weight-of SHARES");
    *colon = '\0';
    one->name = word;
    if (strchr(word, '/') && (one->parent = parent_of(word)))
        one->parent->is_parent = true;
    const char *slash = strrchr(word, '/');
    one->group =
        lab_group_make_in(one->parent ? one->parent->group : root, slash ? slash + 1 : word);
    set_weight(one);
    count++;
}

/* A process in the group that wants all of the CPU. It stops itself at the start line. */
static void start_runner(const struct contender *one)
{
    pid_t child = lab_fork();

    if (child == -1 || (child > 0 && waitpid(child, NULL, WUNTRACED) == -1))
        lab_die("start a process for %s", one->name);
    if (child > 0)
        return;
    lab_group_enter(one->group);
    raise(SIGSTOP);
    for (volatile unsigned long turns = 0;; turns = turns + 1)
        continue;
}

/* Microseconds of CPU time that a group has had. */
static long long usage_of(const struct contender *one)
{
    if (lab_group_version(one->group, "cpuacct") == 1) /* which counts nanoseconds */
        return lab_group_number(one->group, "cpuacct", "cpuacct.usage", NULL) / 1000;
    return lab_group_number(one->group, "cpu", "cpu.stat", "usage_usec");
}

/* Let them run until all together have had ENOUGH; on a busy machine that takes longer. On an
 * emulated one turns are longer, too, and more is needed for the same number of them. */
static void race(void)
{
    const char *slow = getenv("LAB_SLOW");
    const long long enough = ENOUGH * (slow ? atoll(slow) : 1);
    long long usage[MAX_GROUPS] = {0}, all = 0;

    for (; all < enough; nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL)) {
        all = 0;
        for (int i = 0; i < count; i++)
            all += usage[i] = contenders[i].is_parent ? 0 : usage_of(&contenders[i]);
    }
    for (int i = 0; i < count; i++)
        if (!contenders[i].is_parent)
            printf("%s predicted %.1f%% measured %.1f%%\n", contenders[i].name,
                   100 * predict(&contenders[i]), 100 * (double)usage[i] / (double)all);
}

int main(int argc, char *argv[])
{
    long long number;
    cpu_set_t cpus;

    if (argc == 3 && lab_parse_number(argv[2], 1, 262144, &number)) {
        if (strcmp(argv[1], "--shares-of") == 0)
            return printf("%lld\n", kernel_shares_of(number)) < 0;
        if (strcmp(argv[1], "--weight-of") == 0)
            return printf("%lld\n", oci_weight_of(number)) < 0;
    }
    root = lab_group_of_program("cpu cpuacct");
    for (int i = 1; i < argc || i == 1; i++)
        add_contender(argv[i]);
    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus); /* on one CPU everybody meets everybody; children inherit it */
    if (sched_setaffinity(0, sizeof(cpus), &cpus) == -1)
        lab_die("bind to a CPU");
    for (int i = 0; i < count; i++)
        if (!contenders[i].is_parent)
            start_runner(&contenders[i]);
    if (kill(0, SIGCONT) == -1) /* all of them, at the same moment */
        lab_die("start the race");
    race();
    return EXIT_SUCCESS;
}
