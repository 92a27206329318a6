/*
 * 05_cgroup_cpu - at most this much CPU.
 *
 *     sudo ./labs/05_cgroup_cpu                       the experiment: busy threads and a quota
 *     sudo ./labs/05_cgroup_cpu --cpus 0.5 COMMAND    the tool: labs/tools/05_cgroup_cpu.c
 *
 * Shows a control group. It is a directory that the kernel fills with files. A PID written to
 * cgroup.procs moves that process in; a number written to the quota's file limits all processes of
 * the group together. cgroups(7)
 * The article, and what is beyond it: README.md, "The labs".
 */
#include "lab.h"

int cpu_tool(int argc, char *argv[]);

enum {
    ARTICLE_THREADS = 20, /* busy -j 20 */
    HALF = 50000,         /* microseconds of CPU time in each period */
    ONE_AND_A_HALF = 150000,
    NO_LIMIT = -1,
    PERIOD = 100000,     /* microseconds; the kernel's default */
    TICK = 10000,        /* a CPU may notice only at its next tick that the quota is used up */
    UNLIMITED_FOR = 700, /* milliseconds of measuring without a quota, */
    LIMITED_FOR = 1000,  /* and with one: ten periods */
};

/* The quota is CPU time for each period, in microseconds. cgroup v1 keeps the two numbers in two
 * files, v2 in one. */
static const struct dialect {
    const char *quota, *no_limit, *half, *one_and_a_half;
} DIALECTS[] = {
    [1] = {"cpu.cfs_quota_us", "-1", "50000", "150000"}, /* and cpu.cfs_period_us */
    [2] = {"cpu.max", "max 100000", "50000 100000", "150000 100000"},
};
static const struct dialect *dialect;
static int version, cpus;

static struct lab_load busy = {.name = "busy"};

static void check_all_cpus(void); /* both below, in "Measuring" */
static void check_limit(long long quota);

/* Write TEXT, and read it back: is it this QUOTA? */
static void write_quota(const char *text, long long quota)
{
    lab_measure_event("%s", quota == NO_LIMIT ? "no limit" : lab_path("quota %lld", quota));
    lab_echo(text, "$CPU/A/%s", dialect->quota);
    const char *seen = lab_text("$CPU/A/%s", dialect->quota);
    lab_fact(dialect->quota, "%s", seen);
    lab_check_number(strncmp(seen, "max", 3) == 0 ? NO_LIMIT : atoll(seen), quota,
                     "the kernel has taken it");
}

static void the_controllers(void)
{
    lab_step("the controllers of this machine");
    lab_try("grep -o ' /[^ ]* .* - cgroup.*' /proc/self/mountinfo");
    lab_own_groups("cpu", true);
    version = lab_dialect("cpu");
    dialect = &DIALECTS[version];
    lab_fact("cpu", "cgroup v%d, in %s", version, lab_path("$CPU"));
    lab_check_number(lab_try("grep %s /proc/self/cgroup", version == 1 ? "-w cpu" : "^0::").status,
                     0, "the kernel's own list, /proc/self/cgroup, has cpu in that hierarchy too");
}

static void a_directory_is_a_group(void)
{
    lab_step("a directory is a group");
    if (version == 2) /* a group has the controllers that its parent hands on */
        lab_echo("+cpu", "$CPU/cgroup.subtree_control");
    lab_mkdir("$CPU/A");
    lab_check(strstr(lab_try("ls -x -T0 -w90 $CPU/A").text, "cgroup.procs"),
              "the kernel has filled it with files");
    lab_check_file("$CPU/A", dialect->quota, dialect->no_limit, "no limit is set");
    if (version == 1)
        lab_check_file("$CPU/A", "cpu.cfs_period_us", "100000", "a period is 100000 us");
    lab_say(version == 1 ? "(In cgroup v2 both are in one file, cpu.max: \"max 100000\".)"
                         : "(In cgroup v1 they are cpu.cfs_quota_us, -1, and cpu.cfs_period_us.)");
}

static void use_every_cpu(void)
{
    int threads = cpus > ARTICLE_THREADS ? cpus : ARTICLE_THREADS;

    lab_step("a load: %d threads that never wait", threads);
    busy.pid = lab_start_busy(threads);
    check_all_cpus();
    lab_check(busy.percent > 1, "busy uses CPU time, its own account says");
}

static void enter_the_group(void)
{
    lab_step("to be in a group changes nothing by itself");
    lab_echo("$!", "$CPU/A/cgroup.procs");
    lab_check_file("$CPU/A", "cgroup.procs", "$!", "busy is in the group, with all its threads");
    check_all_cpus();
    lab_check_number(lab_number("nr_throttled", "$CPU/A/cpu.stat"), 0, "it was not throttled");
}

static void half_a_cpu(void)
{
    lab_step("a quota of half a period: 50%%");
    write_quota(dialect->half, HALF);
    check_limit(HALF);
    lab_say(
        "All threads of the group share one account. When it is empty, the group is throttled:\n"
        "none of its threads runs until the next period fills the account again.");
}

static void one_and_a_half(void)
{
    lab_step("a quota of one and a half periods: 150%%");
    if (cpus == 1)
        lab_say("(This needs two CPUs, and here is one: this quota is never used up.)");
    write_quota(dialect->one_and_a_half, ONE_AND_A_HALF);
    check_limit(ONE_AND_A_HALF);
}

static void lift_the_limit(void)
{
    lab_step("beyond the article: the kernel has counted; lift the limit");
    lab_try("cat $CPU/A/cpu.stat");
    write_quota(dialect->no_limit, NO_LIMIT);
    long long throttled = lab_number("nr_throttled", "$CPU/A/cpu.stat");
    check_all_cpus();
    lab_check_number(lab_number("nr_throttled", "$CPU/A/cpu.stat"), throttled,
                     "the group is not throttled any more");
    lab_run("kill $!");
}

/*
 * Measuring. Skip this at first reading: it tells the limit from a machine that is busy.
 */

/* Returns how idle the CPUs of the machine were, in percent. */
static double measure(int milliseconds)
{
    double idle = lab_use((struct lab_load *[]){&busy, NULL}, milliseconds);

    lab_fact("busy", "%.2f%% of one CPU, in %.2f s", busy.percent, (double)busy.passed / 1e6);
    return idle;
}

/* Without a quota busy uses every CPU, or what others leave of them: then no CPU is idle. */
static void check_all_cpus(void)
{
    const double all_cpus = lab_cpu_ceiling(busy.pid);

    busy.target = 0;
    double idle = measure(UNLIMITED_FOR);
    if (all_cpus < 100.0 * cpus) {
        lab_say("(A group above has a quota already: busy is in a group with %.0f%% of a CPU.)",
                all_cpus);
        lab_check(busy.percent < 1.5 * all_cpus + 10.0 * cpus, "that limit holds");
        return;
    }
    if (busy.percent < 95.0 * cpus)
        lab_say("(Other processes are using the rest of the %d00%%.)", cpus);
    lab_check(idle < 20, "no CPU of the machine is idle: 100%% x %d CPUs are in use", cpus);
}

/* Wait until a period in which the group was throttled ends: none of its threads runs then. */
static void begin_with_a_period(void)
{
    long long throttled = lab_number("nr_throttled", "$CPU/A/cpu.stat");

    for (int i = 0; i < 300 && lab_number("nr_throttled", "$CPU/A/cpu.stat") == throttled; i++)
        usleep(1000);
    usleep(PERIOD * 9 / 10); /* the count rises when the next quota is already there */
}

/* With a quota: each period in which busy was throttled has used up a whole quota. A window of ten
 * periods meets ten refills of the quota, or eleven. */
static void check_limit(long long quota)
{
    const char *slow = getenv("LAB_SLOW"); /* of an emulated machine: its ticks are late, too */
    const long long slack = (long long)cpus * TICK * (slow ? atoi(slow) : 1);

    busy.target = 100.0 * (double)quota / PERIOD;
    begin_with_a_period();
    long long periods = lab_number("nr_periods", "$CPU/A/cpu.stat");
    long long throttled = lab_number("nr_throttled", "$CPU/A/cpu.stat");
    measure(LIMITED_FOR);
    periods = lab_number("nr_periods", "$CPU/A/cpu.stat") - periods;
    throttled = lab_number("nr_throttled", "$CPU/A/cpu.stat") - throttled;
    lab_fact("throttled", "in %lld of %lld periods", throttled, periods);
    lab_fact("held back by", "%s",
             throttled * 10 >= periods * 9 && periods > 0 ? "the limit"
             : busy.target >= 100.0 * cpus                ? "the number of CPUs"
             : throttled                                  ? "the limit, and by a busy machine"
                                                          : "a busy machine, not the limit");
    const bool too_much = busy.used > (busy.passed / PERIOD + 1) * quota + slack;
    if (throttled == 0 && !too_much) {
        lab_say("NOT SHOWN: no quota was used up, so the limit had nothing to hold back.");
        return;
    }
    lab_check(!too_much && busy.used >= (throttled - 1) * quota - slack,
              "%.0f%% of a CPU, or what a busy machine leaves of it", busy.target);
}

int main(int argc, char *argv[])
{
    lab_plot_option(&argc, argv, "quota");
    lab_open("05", "at most this much CPU", 7, cpu_tool, argc, argv);
    lab_need_commands("busy:");
    cpus = lab_cpu_count();
    the_controllers();
    a_directory_is_a_group();
    use_every_cpu();
    enter_the_group();
    half_a_cpu();
    one_and_a_half();
    lift_the_limit();
    return lab_close("sh -c 'echo $$ >$CPU/A/cgroup.procs && exec $SHELL'");
}
