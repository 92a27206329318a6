/*
 * 05_cgroup_cpu - cpulimit: a command that gets so much CPU time and no more.
 *
 *     05_cgroup_cpu PERCENT COMMAND [ARG]...   run COMMAND with PERCENT of one CPU
 *     05_cgroup_cpu --show 1|2 PERCENT         print what would be written on cgroup v1, v2
 *
 * The limit is there before COMMAND is, so that not even its first instruction runs without. At the
 * end what it used and how often it was held back is read back; whoever it has left behind is
 * killed, and the group is removed.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exercise.h"

enum { PERIOD = 100000 }; /* microseconds; the kernel's own choice, too */

static struct lab_group *group;

/* A file of the group, and what is written to it. */
struct setting {
    const char *file;
    char text[64];
};

/* The settings that give PERCENT of one CPU, in the dialect VERSION, and in the order in which they
 * are to be written. Returns how many there are. */
static int settings_for(int version, long long percent, struct setting settings[2])
{
    int count = 0;

    // BEGIN SOLUTION 5.1 the quota in both dialects: two files on v1, one on v2
    long long quota = percent * PERIOD / 100;

    if (version == 1) {
        settings[0].file = "cpu.cfs_period_us";
        snprintf(settings[0].text, sizeof(settings[0].text), "%d", PERIOD);
        settings[1].file = "cpu.cfs_quota_us";
        snprintf(settings[1].text, sizeof(settings[1].text), "%lld", quota);
        count = 2;
    } else {
        settings[0].file = "cpu.max";
        snprintf(settings[0].text, sizeof(settings[0].text), "%lld %d", quota, PERIOD);
        count = 1;
    }
    // END SOLUTION
    return count;
}

/* Make the group and set its limit. On v1 the controllers cpu and cpuacct may be in two
 * hierarchies; then the group is a directory in each. */
static void make_group(long long percent)
{
    struct setting settings[2];
    char name[32];

    snprintf(name, sizeof(name), "cpulimit-%d", (int)getpid());
    group = lab_group_make(name);
    int count = settings_for(lab_group_version(group, "cpu"), percent, settings);
    for (int i = 0; i < count; i++)
        lab_group_write(group, "cpu", settings[i].file, settings[i].text);
}

/* The child, before it becomes the command. */
static void enter_group(void)
{
    // BEGIN SOLUTION 5.2 the child enters the group before it becomes the command
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    lab_group_write(group, "cpu", "cgroup.procs", pid);
    lab_group_write(group, "cpuacct", "cgroup.procs", pid);
    // END SOLUTION
}

/* What the kernel has counted: microseconds used, periods gone by, periods held back. */
static void read_usage(long long *usage, long long *periods, long long *throttled)
{
    *usage = *periods = *throttled = 0;
    // BEGIN SOLUTION 5.3 read back usage and throttling, in both dialects
    if (lab_group_version(group, "cpu") == 1) /* which counts nanoseconds */
        *usage = lab_group_number(group, "cpuacct", "cpuacct.usage", NULL) / 1000;
    else
        *usage = lab_group_number(group, "cpu", "cpu.stat", "usage_usec");
    *periods = lab_group_number(group, "cpu", "cpu.stat", "nr_periods");
    *throttled = lab_group_number(group, "cpu", "cpu.stat", "nr_throttled");
    // END SOLUTION
}

static void remove_group(void)
{
    // BEGIN SOLUTION 5.4 kill who is left in the group, and remove it
    pid_t pids[64];

    /* A process can fork while we read, so the list is read again until it is empty. v2 has
     * cgroup.kill for all of it. */
    for (int count; (count = lab_group_processes(group, pids, 64)) > 0;)
        for (int i = 0; i < count && i < 64; i++)
            kill(pids[i], SIGKILL);
    /* Two directories on v1, or one and the same. A dead process may count for an instant more. */
    for (int i = 0; i < 2; i++)
        while (rmdir(lab_group_file(group, i ? "cpuacct" : "cpu", "")) == -1)
            if (errno == ENOENT)
                break;
            else if (errno != EBUSY)
                lab_die("rmdir %s", lab_group_file(group, "cpu", ""));
    // END SOLUTION
}

/* Wait for the command. Whoever asks us to end asks the command: the group is removed in any case.
 */
static int wait_for(pid_t command, int signals)
{
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, command, 0);

    if (pidfd == -1 || lab_wait_passing_on(pidfd, signals, command) == -1)
        lab_die("wait for the command");
    return lab_wait(command);
}

static int show(const char *version, long long percent)
{
    struct setting settings[2];
    int count = settings_for(*version - '0', percent, settings);

    for (int i = 0; i < count; i++)
        printf("%s %s\n", settings[i].file, settings[i].text);
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    long long percent, usage, periods, throttled;
    sigset_t before;
    bool shows = argc == 4 && strcmp(argv[1], "--show") == 0 &&
                 (strcmp(argv[2], "1") == 0 || strcmp(argv[2], "2") == 0);

    if (argc < 3 || !lab_parse_number(argv[shows ? 3 : 1], 1, 100000, &percent))
        lab_exit(EXIT_USAGE, "usage: PERCENT COMMAND [ARG]... | --show 1|2 PERCENT");
    if (shows)
        return show(argv[2], percent);
    lab_fd signals = lab_ending_signals(&before);
    if (signals == -1)
        lab_die("signalfd");
    make_group(percent);
    pid_t command = lab_fork();
    if (command == -1)
        lab_die("fork");
    if (command == 0) {
        enter_group();
        sigprocmask(SIG_SETMASK, &before, NULL);
        lab_exec(argv + 2);
    }
    int status = wait_for(command, signals);
    read_usage(&usage, &periods, &throttled);
    fprintf(stderr, "used %lld us, held back in %lld of %lld periods\n", usage, throttled, periods);
    remove_group();
    return status;
}
