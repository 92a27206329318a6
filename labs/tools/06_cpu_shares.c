/*
 * The tool 06_cpu_shares: any set of groups that compete, predicted and measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "error.h"
#include "fairness.h"
#include "file.h"
#include "measure.h"
#include "number.h"
#include "process.h"
#include "run.h"

int shares_tool(int argc, char *argv[]);

enum {
    SETTLING = 400000, /* microseconds, until the kernel's averages of the load have settled */
    TOOL_CPUS = 2,     /* one thread can use only one of them: that is to be seen too */
    MAXIMUM_THREADS = 1000,
    DEFAULT_THREADS = -1, /* one for each CPU */
};

static const unsigned CONTROLLERS = LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT);

/* The groups that compete. */
struct group {
    char name[64];    /* "A", "A/B" */
    int parent;       /* number of the group that it is in, or LAB_TOP */
    int shares;       /* in the unit of v1, as in the article */
    int threads;      /* busy in it; 0 where other groups are in it */
    pid_t busy;       /* the process of these threads, 0: none */
    long long weight; /* as the kernel has it: shares of v1, weight of v2 */
    struct lab_cgroup cgroup;
};

static struct group groups[LAB_MEASURED];
static int group_count;
static struct lab_cgroup run_group;
static cpu_set_t cpus_of_run; /* the CPUs that they compete for */

/*
 * The mechanism.
 */

static const char *weight_file(void)
{
    return run_group.where->of[LAB_CPU].version == 1 ? "cpu.shares" : "cpu.weight";
}

/* A group is a directory; its weight is a number in a file. */
static void make_group(struct group *group)
{
    const struct lab_cgroup *parent =
        group->parent == LAB_TOP ? &run_group : &groups[group->parent].cgroup;
    const char *slash = strrchr(group->name, '/');

    if (lab_cgroup_create_in(&group->cgroup, parent, slash ? slash + 1 : group->name) == -1)
        lab_cgroup_die();
    /* The default is what the kernel has written already. */
    if (group->shares != LAB_DEFAULT_SHARES &&
        lab_cgroup_set_shares(&group->cgroup, group->shares) == -1)
        lab_cgroup_die();
    if (lab_cgroup_number(&group->cgroup, LAB_CPU, weight_file(), NULL, &group->weight) == -1)
        lab_cgroup_die();
}

/* On a machine with more CPUs than threads everybody has what he wants, and weights decide nothing.
 * So all threads are kept on a few CPUs. */
static void choose_cpus(int wanted)
{
    cpu_set_t usable;

    CPU_ZERO(&cpus_of_run);
    if (sched_getaffinity(0, sizeof(usable), &usable) == -1)
        lab_die("sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&cpus_of_run) < wanted; cpu++)
        if (CPU_ISSET(cpu, &usable))
            CPU_SET(cpu, &cpus_of_run);
}

static void say_cpus(void)
{
    char list[64] = "";

    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &cpus_of_run))
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%d", *list ? ", " : "",
                     cpu);
    lab_say("All threads are kept on CPU %s: with a CPU for each, nothing would compete.", list);
}

static void start(struct group *group)
{
    if (group->threads > 0)
        group->busy = lab_start_load(group->threads, &group->cgroup, &cpus_of_run);
}

static void stop(struct group *group)
{
    if (group->busy && kill(group->busy, SIGTERM) == -1)
        lab_die("end busy (%d)", (int)group->busy);
    const int status = group->busy ? lab_must_wait(group->busy) : 128 + SIGTERM;
    if (status != 128 + SIGTERM)
        lab_exit(lab_exit_failure, "busy (%d), the load of %s, had ended before, by %s",
                 (int)group->busy, group->name,
                 status > 128 ? lab_signal_name(status - 128) : "itself");
    group->busy = 0;
    group->threads = 0;
}

/* What each group is to get where all have CAPACITY, in CPUs, of the time of so many CPUS: in
 * percent of one CPU. */
static void predict(double *percent, int cpus, double capacity)
{
    struct lab_competitor competitors[LAB_MEASURED];

    for (int i = 0; i < group_count; i++)
        competitors[i] = (struct lab_competitor){.parent = groups[i].parent,
                                                 .weight = (double)groups[i].weight,
                                                 .threads = groups[i].threads};
    lab_share_out(competitors, group_count, cpus, capacity);
    for (int i = 0; i < group_count; i++)
        percent[i] = 100 * competitors[i].share;
}

/* Whether the CPUs are QEMU's without KVM, where time is not quite what it is on a machine. */
static bool is_emulated(void)
{
    char text[4096]; /* the first CPU's lines are enough */
    lab_fd fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

    if (length == -1)
        lab_die("read /proc/cpuinfo");
    text[length] = '\0';
    return strstr(text, ": QEMU TCG") != NULL;
}

/* Whether each group has what was predicted, TOLERANCE percent of a CPU more or less. */
static bool as_predicted(const struct lab_load *measured, const double *predicted, int tolerance)
{
    bool alike = true;

    for (int i = 0; i < group_count; i++) {
        double difference = measured[i].percent - predicted[i];
        alike &= difference < tolerance && difference > -tolerance;
    }
    return alike;
}

/* Measure all groups, and show what was predicted beside it. Returns whether they are alike; on a
 * busy machine, whether the groups divide what they have as was predicted. */
static bool compete(int milliseconds)
{
    struct lab_load measured[LAB_MEASURED] = {0}, *loads[LAB_MEASURED + 1] = {0};
    double predicted[LAB_MEASURED] = {0}, all = 0, all_predicted = 0;
    int cpus = CPU_COUNT(&cpus_of_run), tolerance = 8 * cpus; /* in percent of a CPU */

    predict(predicted, cpus, cpus);
    if (is_emulated())
        lab_say("(Measured under emulation: %d%% more or less is taken for alike.)", tolerance);
    usleep(SETTLING);
    for (int i = 0; i < group_count; i++) {
        measured[i] = (struct lab_load){
            .name = groups[i].name, .group = &groups[i].cgroup, .target = predicted[i]};
        loads[i] = &measured[i];
    }
    lab_use(loads, milliseconds);
    lab_say("%-8s %10s %8s %10s %10s", "group", weight_file(), "threads", "predicted", "measured");
    for (int i = 0; i < group_count; i++) {
        lab_say("%-8s %10lld %8d %9.1f%% %9.1f%%", groups[i].name, groups[i].weight,
                groups[i].threads, predicted[i], measured[i].percent);
        all += groups[i].parent == LAB_TOP ? measured[i].percent : 0;
        all_predicted += groups[i].parent == LAB_TOP ? predicted[i] : 0;
    }
    if (all > 0.95 * all_predicted)
        return as_predicted(measured, predicted, tolerance);
    lab_say(
        "(The machine is busy: others have %.0f%% of these CPUs. So compare the groups with each\n"
        "other: what part has each of all that they have?)",
        all_predicted - all);
    predict(predicted, cpus, all / 100);
    for (int i = 0; i < group_count && all > 0; i++)
        lab_fact(groups[i].name, "%.0f%% of it, predicted %.0f%%", 100 * measured[i].percent / all,
                 100 * predicted[i] / all);
    return as_predicted(measured, predicted, tolerance);
}

static void make_all(void)
{
    for (int i = 0; i < group_count; i++)
        make_group(&groups[i]);
    for (int i = 0; i < group_count; i++)
        start(&groups[i]);
}

static void remove_all(void)
{
    for (int i = 0; i < group_count; i++)
        stop(&groups[i]);
    for (int i = group_count; i-- > 0;)
        if (lab_cgroup_remove(&groups[i].cgroup, NULL) == -1)
            lab_cgroup_die();
    group_count = 0;
}

/*
 * Reading NAME=SHARES[:THREADS].
 */

static int find_group(const char *name)
{
    for (int i = 0; i < group_count; i++)
        if (strcmp(groups[i].name, name) == 0)
            return i;
    return LAB_TOP;
}

/* Add a group, and before it those that it is in, unless they are there. Returns its number. */
static int add_group(const char *name, int shares, int threads)
{
    struct group group = {.parent = LAB_TOP, .shares = shares, .threads = threads};
    const char *slash = strrchr(name, '/');

    snprintf(group.name, sizeof(group.name), "%s", name);
    if (slash) {
        char parent[sizeof(group.name)];
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
        group.parent = find_group(parent);
        if (group.parent == LAB_TOP)
            group.parent = add_group(parent, LAB_DEFAULT_SHARES, DEFAULT_THREADS);
        if (groups[group.parent].threads > 0)
            lab_exit(LAB_EXIT_USAGE, "'%s' has groups in it, so it can have no threads itself",
                     groups[group.parent].name);
        groups[group.parent].threads = 0;
    }
    if (group_count == LAB_MEASURED)
        lab_exit(LAB_EXIT_USAGE, "more than %d groups", LAB_MEASURED);
    groups[group_count] = group;
    return group_count++;
}

static void read_group(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/";
    char name[sizeof(groups[0].name)], number[32], what[96];
    size_t length = strspn(text, letters), digits;
    long long threads = DEFAULT_THREADS;

    if (length == 0 || length >= sizeof(name) || text[length] != '=' || *text == '/' ||
        text[length - 1] == '/' || strstr(text, "//"))
        lab_exit(LAB_EXIT_USAGE, "'%s' is no NAME=SHARES[:THREADS]", text);
    snprintf(name, sizeof(name), "%.*s", (int)length, text);
    text += length + 1;
    digits = strcspn(text, ":");
    snprintf(number, sizeof(number), "%.*s", (int)digits, text);
    snprintf(what, sizeof(what), "the shares of %s:", name);
    long long shares = lab_number_option(what, number, LAB_MINIMUM_SHARES, LAB_MAXIMUM_SHARES);
    snprintf(what, sizeof(what), "the threads of %s:", name);
    if (text[digits] == ':')
        threads = lab_number_option(what, text + digits + 1, 1, MAXIMUM_THREADS);
    if (find_group(name) != LAB_TOP)
        lab_exit(LAB_EXIT_USAGE,
                 "the group '%s' exists already (name it once, and before those in it)", name);
    add_group(name, (int)shares, (int)threads);
}

static void read_groups(char *const texts[])
{
    for (int i = 0; texts[i]; i++)
        read_group(texts[i]);
    for (int i = 0; i < group_count; i++)
        if (groups[i].threads == DEFAULT_THREADS)
            groups[i].threads = CPU_COUNT(&cpus_of_run);
}

/*
 * The tool.
 */

static const char HELP[] =
    "Usage: 06_cpu_shares [--seconds S] NAME=SHARES[:THREADS]...\n"
    "   or: 06_cpu_shares [--step] [--shell] [--plot FILE.svg]\n"
    "Let groups with these shares compete for CPUs, each with so many busy threads, and print\n"
    "what was predicted and what was measured. A/B is the group B in the group A.\n"
    "Without groups, play the experiment.\n"
    "\n"
    "  SHARES             2 to 262144; a group that nobody sets has 1024\n"
    "  THREADS            default: one for each of the CPUs\n"
    "  --seconds S        measure for S seconds, 1 to 3600 (default: 2)\n"
    "  --step             experiment: wait for Enter before each step\n"
    "  --shell            experiment: end with a shell\n"
    "  --plot FILE.svg    experiment: draw the usage over time (with gnuplot)\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0, 1 for a failure (a check that does not hold is one), 2 for bad options or\n"
    "groups, 77 if this machine has no cpu controller to use.\n";

int shares_tool(int argc, char *argv[])
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    long long seconds = 2;
    int option;

    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            seconds = lab_number_option("--seconds", optarg, 1, 3600);
        else
            lab_common_option(option, HELP, LAB_EXIT_USAGE);
    }
    if (optind == argc)
        lab_exit(LAB_EXIT_USAGE, "missing operand: NAME=SHARES[:THREADS]");
    choose_cpus(TOOL_CPUS);
    read_groups(argv + optind);
    lab_begin_tool("06");
    lab_run_cgroup(&run_group, CONTROLLERS, 0);
    say_cpus();
    make_all();
    compete(1000 * (int)seconds);
    remove_all();
    return EXIT_SUCCESS;
}
