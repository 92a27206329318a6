/*
 * sandbox - run a command in a machine of its own, and report in plain words how it ended.
 *
 *     sudo build/sandbox [OPTION]... COMMAND [ARG]...
 *
 *     --program=FILE   copy FILE in and have the guard run it as $PROGRAM (see guard.c)
 *     --file=FILE      copy FILE to /run/exercise; repeated, if need be
 *     --result=FILE    when the command has succeeded, its /tmp/result becomes FILE
 *     --user           the command runs as an ordinary user, not as root
 *     --layers=DIR     the command reads trusted.* attributes in a read-only view of DIR
 *     --seconds=N      the command has this much time (6)
 *
 * A student's program is compiled and tried in here. place.h describes what is around it; this file
 * watches from outside: a cgroup with limits, an end to time and to output. What the command prints
 * goes to stdout, what the sandbox reports to stderr. Status: the command's own, or 124 when it was
 * stopped.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "error.h"
#include "file.h"
#include "number.h"
#include "place.h"
#include "process.h"
#include "run.h"

enum {
    SECONDS = 6, /* a check; ours need one, or on a crowded machine some more */
    PROCESSES = 256,
    MEGABYTES = 256, /* of memory, tmpfs included */
    KILOBYTES = 256, /* of output */
    STOPPED = 124,   /* timeout(1) */
};

static struct {
    struct place place;
    long long seconds;
    struct lab_cgroup group;
} sandbox = {.place = {.result = -1}, .seconds = SECONDS};

static int64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool at_line_start = true; /* of what was handed on */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;

    if (!at_line_start)
        putchar('\n');
    at_line_start = true;
    fflush(stdout);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static size_t relayed; /* bytes of what the command prints */

/* Hand on what the command prints. Returns whether it is within the limit. */
static bool relay(int from)
{
    char buffer[4096];
    ssize_t count;

    while ((count = read(from, buffer, sizeof(buffer))) > 0) {
        relayed += (size_t)count;
        if (relayed > (size_t)KILOBYTES * 1024)
            return false;
        fwrite(buffer, 1, (size_t)count, stdout);
        at_line_start = buffer[count - 1] == '\n';
    }
    fflush(stdout);
    return true;
}

static bool too_many_processes(void)
{
    long long count;

    return lab_cgroup_number(&sandbox.group, LAB_PIDS, "pids.current", NULL, &count) == 0 &&
           count >= PROCESSES;
}

/* Was a process of ours killed for want of memory? One in a group that was made inside does not
 * count: that one has limits of its own. v1 counts the dead where they were, v2 what the limit did.
 */
static bool out_of_memory(void)
{
    long long count;

    if (lab_cgroup_version(&sandbox.group, LAB_MEMORY) == 2)
        return lab_cgroup_number(&sandbox.group, LAB_MEMORY, "memory.events.local", "oom",
                                 &count) == 0 &&
               count > 0;
    return lab_cgroup_number(&sandbox.group, LAB_MEMORY, "shell/memory.oom_control", "oom_kill",
                             &count) == 0 &&
           count > 0;
}

/* Do so many others want CPUs that those inside may wait for one longer than they run? */
static bool crowded(void)
{
    char text[64] = "";
    long long own = 0;
    int wanting;

    if (lab_cgroup_number(&sandbox.group, LAB_PIDS, "pids.current", NULL, &own) == -1 ||
        lab_read_file("/proc/loadavg", text, sizeof(text)) == -1 ||
        sscanf(text, "%*f %*f %*f %d/", &wanting) != 1)
        return false;
    return wanting - own > 4 * sysconf(_SC_NPROCESSORS_ONLN);
}

/* Is the time over? To be asked all the time: on a crowded machine it stands still, for twice
 * as long at most. */
static bool time_is_over(void)
{
    static int64_t begun, last, counted;
    int64_t now = milliseconds();

    if (!begun)
        begun = last = now;
    if (!crowded())
        counted += now - last;
    last = now;
    return counted > sandbox.seconds * 1000 || now - begun > sandbox.seconds * 3000;
}

/* The guard answers SIGURG with a line that says where the program is; others ignore it. */
static void ask_guard(int output)
{
    struct lab_cgroup shell = sandbox.group;
    pid_t pids[PROCESSES];

    strcat(shell.name, "/shell");
    int count = lab_cgroup_processes(&shell, pids, PROCESSES);
    for (int i = 0; i < count && i < PROCESSES; i++)
        kill(pids[i], SIGURG);
    /* On a busy machine the answer takes its time; 200 ms after it has begun it is complete. */
    size_t before = relayed;
    for (int i = 0; i < 300 && (i < 20 || relayed == before); i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        if (!relay(output))
            return;
    }
}

/* Until the place has ended, or has to. Returns why it has to, or NULL. */
static const char *watch(pid_t place, int output)
{
    static char reason[128];
    int64_t begun = milliseconds();
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, place, 0);
    struct pollfd wanted[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = output, .events = POLLIN}};

    if (pidfd == -1)
        lab_die("pidfd_open");
    while (!(wanted[0].revents & POLLIN)) {
        int count = poll(wanted, 2, 100);
        if (count > 0 && wanted[1].revents && !relay(output)) {
            snprintf(reason, sizeof(reason), "it printed more than %d kilobytes", KILOBYTES);
            return reason;
        }
        if (wanted[1].revents & POLLHUP)
            wanted[1].fd = -1;
        if (too_many_processes()) {
            snprintf(reason, sizeof(reason), "it wanted more than %d processes at a time",
                     PROCESSES);
            return reason;
        }
        if (time_is_over()) {
            ask_guard(output);
            snprintf(reason, sizeof(reason), "it was still running after %lld seconds",
                     (long long)(milliseconds() - begun) / 1000);
            return reason;
        }
    }
    if (!relay(output))
        return "it printed too much";
    return NULL;
}

/* The host name inside at the end; the descriptor was opened in time. A name is any bytes, and this
 * line goes to a terminal. */
static void report_host_name(int uts)
{
    struct utsname inside;

    if (uts == -1 || setns(uts, CLONE_NEWUTS) == -1 || uname(&inside) == -1 ||
        strcmp(inside.nodename, PLACE_HOST_NAME) == 0)
        return;
    for (char *byte = inside.nodename; *byte; byte++)
        if (!isprint((unsigned char)*byte))
            *byte = '?';
    say("note: it changed the host name to '%s', here that of the sandbox only", inside.nodename);
}

static int open_uts(pid_t init)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/uts", (int)init);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void limit(void)
{
    sandbox.place.group = &sandbox.group;
    lab_run_cgroup(
        &sandbox.group,
        LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT) | LAB_BIT(LAB_MEMORY) | LAB_BIT(LAB_PIDS), 0);
    if (lab_cgroup_set_memory(&sandbox.group, MEGABYTES * 1024LL * 1024) == -1 ||
        lab_cgroup_set_pids(&sandbox.group, PROCESSES) == -1)
        lab_cgroup_die();
}

static int play(void)
{
    int ends[2];

    limit();
    if (pipe2(ends, O_CLOEXEC) == -1)
        lab_die("pipe");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t init = place_start(&sandbox.place, ends[1]);
    lab_fd uts = open_uts(init);
    pid_t command = sandbox.place.layers ? place_read_layers(&sandbox.place, init, ends[1]) : init;
    close(ends[1]);
    const char *reason = watch(command, ends[0]);
    bool no_memory = out_of_memory();
    if (reason || command != init)
        kill(init, SIGKILL);
    int status = lab_wait(command);
    if (command != init)
        lab_wait(init);
    if (reason)
        say("stopped: %s", reason);
    if (no_memory)
        say("stopped: it wanted more than %d megabytes of memory", MEGABYTES);
    report_host_name(uts);
    return reason || no_memory ? STOPPED : status;
}

static void read_options(int argc, char *argv[])
{
    static const struct option options[] = {
        {"program", required_argument, NULL, 'p'},
        {"file", required_argument, NULL, 'f'},
        {"result", required_argument, NULL, 'r'},
        {"user", no_argument, NULL, 'u'},
        {"layers", required_argument, NULL, 'l'},
        {"seconds", required_argument, NULL, 's'},
        {0},
    };
    struct place *place = &sandbox.place;
    int option, files = 0;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'p')
            place->program = optarg;
        else if (option == 'f' && files < PLACE_FILES - 1)
            place->files[files++] = optarg;
        else if (option == 'r')
            place->result = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        else if (option == 'u')
            place->user = true;
        else if (option == 'l')
            place->layers = optarg;
        else if (option == 's')
            sandbox.seconds = lab_number_option("--seconds", optarg, 1, 3600);
        else
            lab_exit(LAB_EXIT_USAGE, "usage: sandbox [OPTION]... COMMAND [ARG]...");
        if (option == 'r' && place->result == -1)
            lab_die("%s", optarg);
    }
    place->command = argv + optind;
    if (!*place->command)
        lab_exit(LAB_EXIT_USAGE, "usage: sandbox [OPTION]... COMMAND [ARG]...");
}

int main(int argc, char *argv[])
{
    read_options(argc, argv);
    sandbox.seconds *= lab_slowness();
    lab_begin_tool("sandbox");
    return play();
}
