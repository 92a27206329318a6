/*
 * 05_cgroup_cpu - at most so much CPU.
 *
 *     sudo ./labs/05_cgroup_cpu                        the experiment: busy threads and a quota
 *     sudo ./labs/05_cgroup_cpu --cpus 0.5 COMMAND     the tool: COMMAND in a group with a limit
 *     sudo ./labs/05_cgroup_cpu --cpus 0.5 --pid PID   the same for a process that runs already
 *
 * Shows a control group being made (mkdir), entered (cgroup.procs, or clone3 with
 * CLONE_INTO_CGROUP) and limited (cpu.cfs_quota_us and cpu.cfs_period_us of v1, cpu.max of v2), and
 * measures what comes of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "cpumeter.h"
#include "error.h"
#include "file.h"
#include "load.h"
#include "measure.h"
#include "narrate.h"
#include "number.h"
#include "plot.h"
#include "process.h"
#include "run.h"

enum {
    ARTICLE_THREADS = 20, /* ./busy -j 20 */
    HALF_A_CPU = 50000,   /* microseconds, the article's first quota */
    ONE_AND_A_HALF = 150000,
    PERIOD = 100000, /* the kernel's default */
    SECOND = 1000000,
    WINDOW = 1000000, /* measured at each step: a whole number of periods */
    SHORT_WINDOW = 700000,
};

static const unsigned CONTROLLERS = LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT);

/*
 * The mechanism.
 */

/* clone3(2) makes a child that has never been anywhere but in the group (Linux 5.7, v2 alone).
 * Returns as fork(2) does, or -1 with ENOSYS, E2BIG or EOPNOTSUPP where there is no such thing. */
static pid_t clone_into(const struct lab_cgroup *group)
{
    int directory = lab_cgroup_open(group);

    if (directory == -1)
        return -1;
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (unsigned)directory,
    };
    fflush(NULL);
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child != 0)
        lab_close_fd(&directory);
    return child;
}

/* A child that stops at a gate, an empty pipe, until it was put into the group: in v1 a process can
 * only be moved once it exists. Returns as fork(2) does, in the child when it is in the group. */
static pid_t fork_behind_gate(const struct lab_cgroup *group)
{
    char go;
    int gate[2];

    if (pipe2(gate, O_CLOEXEC) == -1)
        lab_die("pipe");
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        close(gate[1]);
        if (read(gate[0], &go, 1) != 1)
            _exit(lab_exit_failure); /* the parent has said why */
        return 0;
    }
    if (lab_cgroup_enter(group, child) == -1) {
        close(gate[1]); /* the end of our run waits for the child's */
        lab_cgroup_die();
    }
    if (write(gate[1], "", 1) != 1)
        lab_die("open the gate");
    close(gate[0]);
    close(gate[1]);
    return child;
}

static pid_t start_in_group(const struct lab_cgroup *group, char *argv[], const sigset_t *signals)
{
    pid_t child = clone_into(group);

    if (child == -1 && errno != EOPNOTSUPP && errno != ENOSYS && errno != E2BIG)
        lab_die("clone3 into %s", lab_cgroup_file(group, LAB_CPU, ""));
    if (child == -1)
        child = fork_behind_gate(group);
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, signals, NULL);
    lab_exec(argv);
}

/*
 * The tool.
 */

static const char HELP[] =
    "Usage: 05_cgroup_cpu (--cpus N | --quota US) [--period US] [--watch] [--] COMMAND [ARG]...\n"
    "   or: 05_cgroup_cpu (--cpus N | --quota US) [--period US] [--watch] --pid PID\n"
    "   or: 05_cgroup_cpu [--step] [--shell] [--plot FILE.svg]\n"
    "Run COMMAND in a control group of its own that may use so much CPU time and no more.\n"
    "Without COMMAND and PID, play the experiment.\n"
    "\n"
    "  --cpus N           the limit in CPUs: 0.5 is half of one\n"
    "  --quota US         the same in microseconds of CPU time for each period, from 1000\n"
    "  --period US        the period in microseconds, 1000 to 1000000 (default: 100000)\n"
    "  --pid PID          put a running process in; it goes back when you press Ctrl-C\n"
    "  --watch            show the usage each second, on stderr\n"
    "  --step             experiment: wait for Enter after each step\n"
    "  --shell            experiment: end with a shell in the group\n"
    "  --plot FILE.svg    experiment: draw the usage over time (with gnuplot)\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 125 if 05_cgroup_cpu itself fails, 126 if COMMAND cannot be invoked, 127 if it\n"
    "is not found, 77 if this machine has no cpu controller to use, 2 for bad options, else that\n"
    "of COMMAND (128 + the signal's number).\n";

static struct {
    long long quota, period, pid;
    bool watch;
} wanted = {.period = PERIOD};

/* CPUs and period together are the quota, so it can be known only when all options are read. */
static void settle_quota(const char *cpus, const char *quota)
{
    static const long long MAXIMUM_CPUS = 100000, MAXIMUM_QUOTA = 100000000000;
    long long millionths;

    if (!cpus == !quota)
        lab_exit(LAB_EXIT_USAGE, "give the limit by %s",
                 cpus ? "only one of --cpus and --quota" : "--cpus or --quota");
    if (quota) {
        if (!lab_parse_number(quota, LAB_MINIMUM_QUOTA, MAXIMUM_QUOTA, &wanted.quota))
            lab_exit(LAB_EXIT_USAGE,
                     "--quota '%s' is not a number of us from %d (the kernel's minimum) to %lld",
                     quota, LAB_MINIMUM_QUOTA, MAXIMUM_QUOTA);
        return;
    }
    if (!lab_parse_decimal(cpus, MAXIMUM_CPUS, &millionths))
        lab_exit(LAB_EXIT_USAGE, "--cpus '%s' is not a number of CPUs such as 0.5 or 2", cpus);
    wanted.quota = millionths * wanted.period / 1000000;
    if (wanted.quota < LAB_MINIMUM_QUOTA)
        lab_exit(LAB_EXIT_USAGE,
                 "--cpus %s is a quota of %lld us in a period of %lld us, and the kernel's minimum "
                 "is %d us",
                 cpus, wanted.quota, wanted.period, LAB_MINIMUM_QUOTA);
}

static void read_options(int argc, char *argv[])
{
    static const struct option options[] = {
        {"cpus", required_argument, NULL, 'c'},   {"quota", required_argument, NULL, 'q'},
        {"period", required_argument, NULL, 'p'}, {"pid", required_argument, NULL, 'P'},
        {"watch", no_argument, NULL, 'w'},        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},      {0},
    };
    const char *cpus = NULL, *quota = NULL;
    int option;

    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'c')
            cpus = optarg;
        else if (option == 'q')
            quota = optarg;
        else if (option == 'p')
            wanted.period =
                lab_number_option("--period", optarg, LAB_MINIMUM_PERIOD, LAB_MAXIMUM_PERIOD);
        else if (option == 'P')
            wanted.pid = lab_number_option("--pid", optarg, 1, INT_MAX);
        else if (option == 'w')
            wanted.watch = true;
        else if (option == 'h')
            lab_print_help(HELP);
        else if (option == 'v')
            lab_print_version();
        else
            lab_try_help(LAB_EXIT_USAGE);
    }
    settle_quota(cpus, quota);
    if ((optind < argc) == (wanted.pid != 0))
        lab_exit(LAB_EXIT_USAGE, wanted.pid ? "--pid and a command do not go together"
                                            : "missing operand: a COMMAND, or --pid PID");
}

static double limit_percent(void)
{
    return 100.0 * (double)wanted.quota / (double)wanted.period;
}

static void sample(const struct lab_cgroup *group, struct lab_cpu_sample *now)
{
    if (lab_cpu_sample(group, now) == -1)
        lab_cgroup_die();
}

static int limited(char *command_line[], int pidfd, int signals, const sigset_t *signals_before)
{
    struct lab_cgroup group;
    struct lab_cpu_sample before, after;
    pid_t command = 0, watcher = 0;

    lab_run_cgroup(&group, CONTROLLERS, (pid_t)wanted.pid);
    if (lab_cgroup_set_cpu_limit(&group, wanted.quota, wanted.period) == -1)
        lab_cgroup_die();
    sample(&group, &before);
    if (wanted.watch)
        watcher = lab_measure_watch(&group, limit_percent());
    if (!wanted.pid)
        command = start_in_group(&group, command_line, signals_before);
    else if (lab_cgroup_enter(&group, (pid_t)wanted.pid) == -1)
        lab_cgroup_die();
    lab_fd ended = command ? (int)syscall(SYS_pidfd_open, command, 0) : dup(pidfd);
    lab_wait_passing_on(ended, signals, command);
    int status = command ? lab_wait(command) : EXIT_SUCCESS;
    sample(&group, &after);
    if (watcher)
        kill(watcher, SIGKILL);
    struct lab_cpu_sample used = lab_cpu_difference(&before, &after);
    lab_warn("%.2f s of CPU time in %.2f s: %.1f%% of a CPU (limit %.1f%%), throttled in %lld of "
             "%lld periods",
             (double)used.usage / SECOND, (double)used.at / SECOND,
             lab_cpu_percent(&before, &after), limit_percent(), used.throttled, used.periods);
    return status;
}

static int cpu_tool(int argc, char *argv[])
{
    sigset_t before;

    read_options(argc, argv);
    lab_exit_failure = 125;
    if (!wanted.pid && !lab_find_command(argv[optind], NULL, 0))
        lab_exec(argv + optind); /* says why it cannot, before anything is made */
    lab_begin_tool("05");
    lab_fd pidfd = wanted.pid ? (int)syscall(SYS_pidfd_open, wanted.pid, 0) : -1;
    if (wanted.pid && pidfd == -1)
        lab_die("process %lld", wanted.pid);
    lab_fd signals = lab_ending_signals(&before);
    if (signals == -1)
        lab_die("signalfd");
    return limited(argv + optind, pidfd, signals, &before);
}

/*
 * The experiment.
 */

static struct lab_cgroup run_group, group_a;
static struct lab_measured busy = {.name = "busy"};
static int cpus, threads;

static bool speaks_v1(void)
{
    return lab_cgroup_version(&run_group, LAB_CPU) == 1;
}

static void show_file(const struct lab_cgroup *group, const char *file)
{
    char text[64];

    if (lab_cgroup_read(group, LAB_CPU, file, text, sizeof(text)) == -1)
        lab_cgroup_die();
    lab_fact(file, "%s", text);
}

/* Read the limit of A back from the kernel, in the words of its dialect, and check it. */
static void check_limit(long long expected, const char *claim)
{
    long long quota, period;

    if (lab_cgroup_cpu_limit(&group_a, &quota, &period) == -1)
        lab_cgroup_die();
    show_file(&group_a, speaks_v1() ? "cpu.cfs_quota_us" : "cpu.max");
    if (speaks_v1())
        show_file(&group_a, "cpu.cfs_period_us");
    lab_check(quota == expected && period == PERIOD, "%s", claim);
}

static void write_quota(long long quota)
{
    const char *file = speaks_v1() ? "cpu.cfs_quota_us" : "cpu.max";

    if (quota == LAB_UNLIMITED)
        lab_shell("echo %s > %s", speaks_v1() ? "-1" : "max",
                  lab_cgroup_file(&group_a, LAB_CPU, file));
    else
        lab_shell("echo %lld > %s", quota, lab_cgroup_file(&group_a, LAB_CPU, file));
    if (lab_cgroup_set_cpu_limit(&group_a, quota, PERIOD) == -1)
        lab_cgroup_die();
    lab_measure_event("quota %lld", quota);
    check_limit(quota, "the kernel has taken it");
}

static void measure(long long window)
{
    lab_measure(&busy, 1, window);
    lab_fact("usage", "%.2f%% of a CPU, in %.2f s", busy.percent, (double)busy.used.at / SECOND);
}

/* Without a limit: on a busy machine busy gets less than all, but no CPU is idle there either. */
static void measure_everything(void)
{
    long long idle_before = lab_cpu_idle_time();

    busy.target = 0;
    measure(SHORT_WINDOW);
    double idle = (double)(lab_cpu_idle_time() - idle_before) / (double)busy.used.at / cpus;
    double ceiling = lab_cgroup_cpu_ceiling(run_group.where, busy.pid);
    if (ceiling != 0 && ceiling < 100.0 * cpus) {
        lab_say(
            "(There is a limit already: a group that busy is in has a quota of %.0f%% of a CPU.)",
            ceiling);
        lab_check(busy.percent < 1.5 * ceiling + 10.0 * cpus, "that limit holds");
        return;
    }
    if (busy.percent < 95.0 * cpus)
        lab_say("(Others on this machine want CPUs, too: they have the rest of %d00%%.)", cpus);
    lab_check(idle < 0.2, "no CPU is idle: 100%% x %d CPUs are in use", cpus);
}

/* With a quota. A window of N periods meets N refills of the quota or one more, and each period in
 * which the group was throttled has used up a whole one. */
static void measure_limit(long long quota, const char *share)
{
    const long long slack =
        10000LL * cpus; /* a CPU notices at its next tick that there is no more */

    busy.target = 100.0 * (double)quota / PERIOD;
    lab_cpu_align(&group_a, PERIOD);
    measure(WINDOW);
    const struct lab_cpu_sample *used = &busy.used;
    bool held = used->periods > 0 && used->throttled * 10 >= used->periods * 9;
    lab_fact("throttled", "in %lld of %lld periods", used->throttled, used->periods);
    lab_fact("held back by", "%s",
             held                          ? "the limit"
             : busy.target >= 100.0 * cpus ? "the number of CPUs"
             : used->throttled             ? "the limit, and by a busy machine"
                                           : "a busy machine, not the limit");
    long long least = (used->throttled - 1) * quota - slack;
    long long most = (used->at / PERIOD + 1) * quota + slack;
    if (lab_cpu_is_emulated())
        lab_say("(Measured under emulation: from %.1f%% to %.1f%% is taken for the limit.)",
                100.0 * (double)least / (double)used->at, 100.0 * (double)most / (double)used->at);
    lab_check(used->usage <= most && used->usage >= least,
              "%s of a CPU, or what a busy machine leaves of it", share);
}

static void show_hierarchies(void)
{
    const struct lab_hierarchies *found = run_group.where;
    const struct lab_hierarchy *cpu = &found->of[LAB_CPU];
    char text[8192], path[LAB_CGROUP_PATH];

    lab_step("the controllers of this machine");
    lab_shell("grep cgroup /proc/self/mountinfo");
    lab_fact("hierarchies", "%s", lab_hierarchies_kind(found));
    if (*found->v1)
        lab_fact("controllers.v1", "%s", found->v1);
    if (found->unified.version)
        lab_fact("controllers.v2", "%s", *found->v2 ? found->v2 : "(none)");
    lab_fact("cpu", "cgroup v%d, on %s", cpu->version, cpu->base);
    lab_fact("CPU time is counted", "on %s", found->of[LAB_CPUACCT].base);
    if (lab_read_file("/proc/self/cgroup", text, sizeof(text)) == -1)
        lab_die("read /proc/self/cgroup");
    lab_check(lab_cgroup_path_in(text, cpu->version, LAB_CPU, path, sizeof(path)),
              "the kernel's own list, /proc/self/cgroup, has cpu in that hierarchy too");
}

static void make_group(void)
{
    LAB_OUTPUT listing = {0};

    lab_step("a directory is a group");
    if (!speaks_v1())
        lab_shell("echo +cpu > %s", lab_cgroup_file(&run_group, LAB_CPU, "cgroup.subtree_control"));
    lab_shell("mkdir %s", lab_cgroup_file(&run_group, LAB_CPU, "A"));
    if (lab_cgroup_create_in(&group_a, &run_group, "A") == -1)
        lab_cgroup_die();
    const char *directory = lab_cgroup_file(&group_a, LAB_CPU, "");
    if (lab_listen_command(&listing,
                           (const char *[]){"ls", "-x", "-T0", "-w90", directory, NULL}) == -1)
        lab_die("start ls");
    lab_quote(listing.text);
    lab_check(strstr(listing.text, "cgroup.procs"), "the kernel has filled it with files");
    check_limit(LAB_UNLIMITED, "no limit is set, and a period is 100000 us");
    lab_say(speaks_v1() ? "(In cgroup v2 both are in one file, cpu.max: \"max 100000\".)"
                        : "(In cgroup v1 they are cpu.cfs_quota_us, -1, and cpu.cfs_period_us.)");
}

static void use_every_cpu(void)
{
    lab_step("a load: %d threads that never wait", threads);
    lab_shell("./busy -j %d", threads);
    busy.pid = lab_start_busy(threads, NULL, NULL);
    measure_everything();
}

static void enter_group(void)
{
    pid_t member = 0;

    lab_step("to be in a group changes nothing by itself");
    lab_shell("echo %d > %s", (int)busy.pid, lab_cgroup_file(&group_a, LAB_CPU, "cgroup.procs"));
    if (lab_cgroup_enter(&group_a, busy.pid) == -1)
        lab_cgroup_die();
    show_file(&group_a, "cgroup.procs");
    lab_check(lab_cgroup_processes(&group_a, &member, 1) == 1 && member == busy.pid,
              "busy is in the group, with all its threads");
    busy.group = &group_a;
    measure_everything();
    lab_check_number(busy.used.throttled, 0, "it was not throttled");
}

static void half_a_cpu(void)
{
    lab_step("a quota of half a period: 50%%");
    write_quota(HALF_A_CPU);
    measure_limit(HALF_A_CPU, "50%");
    lab_say("All threads of the group draw on one account. When it is empty, the group is\n"
            "throttled: none of them runs until the next period fills it again.");
}

static void one_and_a_half(void)
{
    lab_step("a quota of one and a half periods: 150%%");
    if (cpus == 1)
        lab_say("This needs two CPUs, and here is one: it has 100%% to give, so this quota holds\n"
                "nobody back.");
    write_quota(ONE_AND_A_HALF);
    measure_limit(ONE_AND_A_HALF, "150%");
}

static void lift_limit(void)
{
    char text[4096];

    lab_step("beyond the article: the kernel has counted; lift the limit");
    lab_shell("cat %s", lab_cgroup_file(&group_a, LAB_CPU, "cpu.stat"));
    if (lab_cgroup_read(&group_a, LAB_CPU, "cpu.stat", text, sizeof(text)) == -1)
        lab_cgroup_die();
    lab_quote(text);
    write_quota(LAB_UNLIMITED);
    measure_everything();
    lab_check_number(busy.used.throttled, 0, "nobody is throttled any more");
    lab_stop_busy(busy.pid);
}

static void enter_shell(void)
{
    if (lab_cgroup_enter(&group_a, 0) == -1)
        lab_cgroup_die();
}

int main(int argc, char *argv[])
{
    lab_plot_option(&argc, argv);
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return cpu_tool(argc, argv);
    lab_open("05", "at most so much CPU", 7, argc, argv);
    cpus = lab_cpu_count();
    threads = cpus > ARTICLE_THREADS ? cpus : ARTICLE_THREADS;
    lab_run_cgroup(&run_group, CONTROLLERS, 0);
    lab_shell_enters(enter_shell);
    show_hierarchies();
    make_group();
    use_every_cpu();
    enter_group();
    half_a_cpu();
    one_and_a_half();
    lift_limit();
    lab_measure_plot("quota");
    return lab_close();
}
