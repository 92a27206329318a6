/*
 * The tool 05_cgroup_cpu: a command, or a process that runs already, in a control group with a
 * limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "ending.h"
#include "error.h"
#include "file.h"
#include "measure.h"
#include "number.h"
#include "process.h"
#include "run.h"

int cpu_tool(int argc, char *argv[]);

enum { PERIOD = 100000 /* microseconds, the kernel's default */, SECOND = 1000000 };

static const unsigned CONTROLLERS = LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT);

/* clone3(2) makes a child that has never been anywhere but in the group (Linux 5.7, v2 alone).
 * Returns as fork(2) does, or -1 with ENOSYS, E2BIG or EOPNOTSUPP where there is no such thing. */
static pid_t clone_into(const struct lab_cgroup *group)
{
    if (group->where->of[LAB_CPU].version != 2 || group->where->of[LAB_CPUACCT].version != 2) {
        errno = EOPNOTSUPP;
        return -1;
    }
    lab_fd directory = open(lab_cgroup_file(group, LAB_CPU, ""), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory == -1)
        return -1;
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (unsigned)directory,
    };
    fflush(NULL);
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
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
        ssize_t count = read(gate[0], &go, 1);
        if (count == -1)
            lab_warn_errno("wait to be in the group");
        if (count != 1)
            _exit(lab_exit_failure); /* at end of file, the parent has said why */
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
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
        lab_die("prctl PR_SET_PDEATHSIG");
    sigprocmask(SIG_SETMASK, signals, NULL);
    lab_exec(argv);
}

static const char HELP[] =
    "Usage: 05_cgroup_cpu (--cpus N | --quota US) [--period US] [--watch] [--] COMMAND [ARG]...\n"
    "   or: 05_cgroup_cpu (--cpus N | --quota US) [--period US] [--watch] --pid PID\n"
    "   or: 05_cgroup_cpu [--step] [--shell] [--plot FILE.svg]\n"
    "Run COMMAND in a control group of its own that may use at most this much CPU time.\n"
    "Without COMMAND and PID, play the experiment.\n"
    "\n"
    "  --cpus N           the limit in CPUs: 0.5 is half of one\n"
    "  --quota US         the same in microseconds of CPU time for each period, from 1000\n"
    "  --period US        the period in microseconds, 1000 to 1000000 (default: 100000)\n"
    "  --pid PID          put a running process in; it goes back when you press Ctrl-C\n"
    "  --watch            show the usage each second, on stderr\n"
    "  --step             experiment: wait for Enter before each step\n"
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
        else
            lab_common_option(option, HELP, LAB_EXIT_USAGE);
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
    if (lab_cpu_sample(group, 0, now) == -1)
        lab_cgroup_die();
}

/* The group takes a process by its number, which may be that of another one when it has ended. */
static void take_in(const struct lab_cgroup *group, int pidfd)
{
    const int ended = poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0);

    if (ended == -1)
        lab_die("look whether process %lld has ended", wanted.pid);
    if (ended == 1)
        lab_exit(lab_exit_failure, "process %lld has just ended", wanted.pid);
    if (lab_cgroup_enter(group, (pid_t)wanted.pid) == -1)
        lab_cgroup_die();
}

static int limited(char *command_line[], int pidfd, int signals, const sigset_t *signals_before)
{
    const struct lab_limits limits = {.quota = wanted.quota, .period = wanted.period};
    struct lab_cgroup group;
    struct lab_cpu_sample before, after;
    pid_t command = 0, watcher = 0;

    lab_run_cgroup(&group, CONTROLLERS, (pid_t)wanted.pid);
    if (lab_cgroup_limit(&group, &limits) == -1)
        lab_cgroup_die();
    sample(&group, &before);
    if (wanted.watch)
        watcher = lab_measure_watch(&group, limit_percent());
    if (wanted.pid)
        take_in(&group, pidfd);
    else
        command = start_in_group(&group, command_line, signals_before);
    lab_fd ended = command ? (int)syscall(SYS_pidfd_open, command, 0) : dup(pidfd);
    if (ended == -1 || lab_wait_passing_on(ended, signals, command) == -1) {
        int error = errno;
        if (command && kill(command, SIGKILL) == 0)
            lab_wait(command);
        errno = error;
        lab_die("wait for process %lld", command ? command : wanted.pid);
    }
    int status = command ? lab_must_wait(command) : EXIT_SUCCESS;
    sample(&group, &after);
    if (watcher)
        kill(watcher, SIGKILL);
    struct lab_cpu_sample used = lab_cpu_difference(&before, &after);
    lab_warn("%.2f s of CPU time in %.2f s: %.1f%% of a CPU (limit %.1f%%), throttled in %lld of "
             "%lld periods",
             (double)used.usage / SECOND, (double)used.at / SECOND, used.percent, limit_percent(),
             used.throttled, used.periods);
    return status;
}

int cpu_tool(int argc, char *argv[])
{
    sigset_t before;

    read_options(argc, argv);
    lab_exit_failure = 125;
    if (!wanted.pid && !lab_find_command(argv[optind], NULL, 0)) /* before anything is made */
        lab_exit(errno == ENOENT ? LAB_EXIT_NOT_FOUND : LAB_EXIT_CANNOT_INVOKE,
                 "failed to run command '%s': %s", argv[optind], strerror(errno));
    lab_begin_tool("05");
    lab_fd pidfd = wanted.pid ? (int)syscall(SYS_pidfd_open, wanted.pid, 0) : -1;
    if (wanted.pid && pidfd == -1)
        lab_die("process %lld", wanted.pid);
    lab_fd signals = lab_ending_signals(&before);
    if (signals == -1)
        lab_die("signalfd");
    return limited(argv + optind, pidfd, signals, &before);
}
