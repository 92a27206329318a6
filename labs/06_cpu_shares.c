/*
 * 06_cpu_shares - how CPU time is divided when all groups want it.
 *
 *     sudo ./labs/06_cpu_shares                     the experiment: the article's groups, and more
 *     sudo ./labs/06_cpu_shares A=512:12 B=1024:4   the tool: labs/tools/06_cpu_shares.c
 *
 * Shows the weight of a group among its siblings: cpu.shares of cgroup v1, cpu.weight of v2. What
 * each group gets is predicted, then measured. cgroups(7)
 * The article, and what is beyond it: README.md, "The labs".
 */
#include <math.h>
#include <sched.h>

#include "lab.h"

int shares_tool(int argc, char *argv[]);

enum {
    ARTICLE_CPUS = 12,
    DEFAULT_SHARES = 1024, /* of cgroup v1, for a group that nothing is written to */
    DEFAULT_WEIGHT = 100,  /* of cgroup v2 */
    SETTLING = 400,        /* milliseconds, until the kernel's averages of the load have settled */
    WINDOW = 1000,         /* milliseconds of measuring */
    TOLERANCE = 8,         /* percent of a CPU */
    MORE = 2,              /* so often it is measured again */
    ENOUGH = 15,           /* percent of a CPU: threads take turns of milliseconds, and in less
                              time than this each has had too few of them */
};

static const char *const FILES[] = {[1] = "cpu.shares", [2] = "cpu.weight"};
static int version, cpu;

/* The groups. The target of each is the prediction, in percent of a CPU; its weight is read back:
 * shares of v1, weight of v2. */
static struct lab_load a = {.name = "A", .threads = 12}, b = {.name = "B", .threads = 4},
                       c = {.name = "C", .threads = 4}, d = {.name = "D", .threads = 8},
                       x = {.name = "D/X", .threads = 4}, y = {.name = "D/Y", .threads = 4};

/*
 * The mechanism: what is written, and what follows from it.
 */

static int newer_weight(int shares); /* beside the step "conversions" */

/* A group is a directory; its weight is a number in a file. */
static void make_group(struct lab_load *group, int shares)
{
    int weight = version == 1 ? shares : newer_weight(shares);

    lab_mkdir("$CPU/%s", group->name);
    if (shares != DEFAULT_SHARES) /* which the kernel has written already */
        lab_echo(lab_path("%d", weight), "$CPU/%s/%s", group->name, FILES[version]);
    group->weight = (double)lab_number(NULL, "$CPU/%s/%s", group->name, FILES[version]);
}

/* The affinity is set last: with cgroup v2, a process that enters a group can lose it. */
static void start_busy_in(struct lab_load *group)
{
    group->pid = lab_start_busy(group->threads);
    lab_echo("$!", "$CPU/%s/cgroup.procs", group->name);
    lab_run("taskset -a -c -p %d $!", cpu);
}

/* Divide PERCENT of a CPU among sibling GROUPS by weight. A group cannot use more CPUs than it has
 * threads; what it leaves goes to the others. So search for the level, percent for each unit of
 * weight, at which all is given away: each round halves the range between one too low and one too
 * high. (If no group lacks threads, the level is PERCENT / the sum of the weights: the formula.) */
static void predict(double percent, struct lab_load *const groups[])
{
    double low = 0, high = percent;

    for (int round = 0; round < 60; round++) {
        double level = (low + high) / 2, sum = 0;
        for (int i = 0; groups[i]; i++)
            sum += groups[i]->target = fmin(100 * groups[i]->threads, level * groups[i]->weight);
        if (sum < percent)
            low = level;
        else
            high = level;
    }
}

/*
 * Measuring.
 */

/* Measure GROUPS, whose targets are one CPU together, for MILLISECONDS. What is compared is the
 * part that each has of what they got together: on a busy machine that is less than a CPU, and
 * divided in the same way.
 */
static bool get_what_is_predicted(struct lab_load *const groups[], int milliseconds, double *idle,
                                  double *together)
{
    bool alike = true;

    usleep(1000 * SETTLING);
    *idle = lab_use(groups, milliseconds);
    *together = 0;
    for (int i = 0; groups[i]; i++)
        *together += groups[i]->percent;
    lab_say("%-8s%11s%9s%11s%10s", "group", FILES[version], "threads", "predicted", "measured");
    for (int i = 0; groups[i]; i++) {
        double part = *together > 0 ? 100 * groups[i]->percent / *together : 0;
        lab_say("%-8s%11.0f%9d%10.1f%%%9.1f%%", groups[i]->name, groups[i]->weight,
                groups[i]->threads, groups[i]->target, part);
        alike &= fabs(part - groups[i]->target) < TOLERANCE;
    }
    lab_fact("together", "%.1f%% of a CPU", *together);
    return alike && (*together > 90 || *idle < 5);
}

/* On a slow or busy machine a thread waits long for its turn, and the window has too few turns:
 * measure again, for twice as long. */
static void compete(struct lab_load *const groups[], const char *event, const char *claim)
{
    double idle, together;
    bool held, enough;

    lab_measure_event("%s", event);
    for (int tries = 0;; tries++) {
        held = get_what_is_predicted(groups, WINDOW << tries, &idle, &together);
        enough = together >= ENOUGH || idle >= 5;
        if (held || !enough || tries == MORE)
            break;
        lab_say("Not yet: on a slow or busy machine it takes longer. Once more, for longer:");
    }
    if (together < 95)
        lab_say("(The machine is busy: other processes have %.0f%% of this CPU.)", 100 - together);
    if (enough)
        lab_check(held, "%s", claim);
    else
        lab_say("NOT COMPARED: they leave too little of it for a comparison.");
}

/* With a CPU for each thread nothing would compete. This process goes to the same CPU as the
 * threads, so that "idle" is about that one. */
static void keep_to_one_cpu(void)
{
    cpu_set_t one;

    lab_must(sched_getaffinity(0, sizeof(one), &one));
    for (cpu = 0; !CPU_ISSET(cpu, &one); cpu++)
        continue; /* the first one that it may use */
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    lab_must(sched_setaffinity(0, sizeof(one), &one));
}

/*
 * The experiment: a function for each step.
 */

static void two_groups(void)
{
    lab_step("two groups: A has 512 shares, B the default");
    lab_own_groups("cpu", true);
    version = lab_dialect("cpu");
    if (version == 2) { /* a group has the controllers that its parent hands on */
        lab_echo("+cpu", "$CPU/cgroup.subtree_control");
        lab_say("512 shares of v1 are a weight of %d: the last step.", newer_weight(512));
    }
    make_group(&a, 512);
    make_group(&b, DEFAULT_SHARES);
    lab_check_file("$CPU/A", FILES[version], version == 1 ? "512" : "59", "A has what was written");
    lab_check_file("$CPU/B", FILES[version], version == 1 ? "1024" : "100",
                   "B has the default, because nothing was written");
}

static void both_busy(void)
{
    struct lab_load *const both[] = {&a, &b, NULL};

    lab_step("both want all of it");
    keep_to_one_cpu();
    lab_say("All threads are kept on CPU %d: with a CPU for each, nothing would compete.", cpu);
    start_busy_in(&a);
    start_busy_in(&b);
    predict(100, both);
    compete(both, "A and B", "A and B share by weight, or what a busy machine leaves");
    predict(100 * ARTICLE_CPUS, both);
    lab_say("On the article's 12 CPUs, B's four threads can use 4 at most. A gets the rest:");
    lab_fact("on 12 CPUs", "A %.0f%%, B %.0f%%", a.target, b.target);
    lab_check(fabs(a.target + b.target - 100 * ARTICLE_CPUS) < 1e-4 && b.target <= 100 * b.threads,
              "nothing is left over: the sharing is work conserving");
}

static void only_one_busy(void)
{
    struct lab_load *const alone[] = {&a, NULL};

    lab_step("only A is busy: it has everything, whatever its shares");
    lab_run("kill $(cat $CPU/B/cgroup.procs)");
    predict(100, alone);
    compete(alone, "A alone", "A alone has all there is, or what a busy machine leaves");
}

static void three_groups(void)
{
    struct lab_load *const three[] = {&a, &b, &c, NULL};

    lab_step("the formula: its shares / the sum of its siblings' shares and its own");
    make_group(&c, 2048);
    start_busy_in(&b);
    start_busy_in(&c);
    predict(100, three);
    compete(three, "A, B, C", "the three share by the formula, or what a busy machine leaves");
}

static void nested_groups(void)
{
    lab_step("beyond the article: groups in a group share what that group gets");
    lab_run("kill $(cat $CPU/A/cgroup.procs $CPU/C/cgroup.procs)");
    make_group(&d, DEFAULT_SHARES);
    if (version == 2)
        lab_echo("+cpu", "$CPU/D/cgroup.subtree_control");
    make_group(&x, DEFAULT_SHARES);
    make_group(&y, 3072);
    start_busy_in(&x);
    start_busy_in(&y);
    predict(100, (struct lab_load *[]){&b, &d, NULL}); /* level by level */
    predict(d.target, (struct lab_load *[]){&x, &y, NULL});
    compete((struct lab_load *[]){&b, &x, &y, NULL}, "B, D(X, Y)",
            "X and Y divide the half that is D's, B has the other half");
    lab_run("kill $(cat $CPU/B/cgroup.procs $CPU/D/X/cgroup.procs $CPU/D/Y/cgroup.procs)");
}

/* Moving from v1 to v2 needs a conversion. Two are in use: the linear one maps the ends of the two
 * ranges to each other; the newer one (since 2025) maps the defaults to each other, too. */
static int linear_weight(int shares)
{
    return (int)(1 + (shares - 2) * 9999LL / 262142);
}

/* A parabola, in logarithms, through three points: 2 shares are weight 1, 1024 are 100, 262144 are
 * 10000. It is rounded up; 1e-9 keeps an exact 100 from becoming 101. */
static int newer_weight(int shares)
{
    double l = log2(shares);

    return (int)ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34) - 1e-9);
}

/* The fewest shares that linear_weight makes into this weight. */
static int fewest_linear_shares(int weight)
{
    return (int)(2 + (262142LL * (weight - 1) + 9998) / 9999);
}

static void conversions(void)
{
    static const int SHARES[] = {2, 512, 1024, 2048, 262144};
    int shares = 2, same = 0;

    lab_step("beyond the article: shares of v1, weights of v2");
    lab_say("%10s%16s%16s", "shares", "linear weight", "newer weight");
    for (int i = 0; i < LAB_COUNT(SHARES); i++)
        lab_say("%10d%16d%16d", SHARES[i], linear_weight(SHARES[i]), newer_weight(SHARES[i]));
    for (int weight = 1; weight <= 10000; weight++) {
        while (shares < 262144 && newer_weight(shares + 1) <= weight)
            shares++; /* the most shares that have this weight */
        if (newer_weight(shares) == weight)
            same += linear_weight(fewest_linear_shares(weight)) == weight;
    }
    lab_check_number(same, 10000,
                     "each weight, made shares and a weight again, is the same weight");
    lab_check_number(newer_weight(DEFAULT_SHARES), DEFAULT_WEIGHT,
                     "the newer conversion makes one default of the other");
}

int main(int argc, char *argv[])
{
    lab_plot_option(&argc, argv, "predicted");
    lab_open("06", "how CPU time is divided", 6, shares_tool, argc, argv);
    lab_need_commands("busy: taskset:util-linux");
    two_groups();
    both_busy();
    only_one_busy();
    three_groups();
    nested_groups();
    conversions();
    return lab_close(NULL);
}
