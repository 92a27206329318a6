/*
 * sandbox - run a command in a machine of its own, and report in plain words how it ended.
 *
 *     build/sandbox [OPTION]... COMMAND [ARG]...
 *
 *     --program=FILE   copy FILE in and have the guard run it as $PROGRAM (see guard.c)
 *     --file=FILE      copy FILE to /run/exercise; repeated, if need be
 *     --result=FILE    when the command has succeeded, its /tmp/result becomes FILE
 *     --user           the command runs as an ordinary user, not as root
 *     --layers=DIR     the command reads trusted.* attributes in a read-only view of DIR
 *     --seconds=N      the command has this much time (6)
 *     --ended=FILE     make FILE at the end. Where it is missing, the sandbox itself has failed
 *     --lacks          at the end, print what a check may need and cannot have here: lines of a
 * word and what helps
 *
 * A student's program is compiled and tried in here. place.h describes what is around it; this file
 * watches from outside: a cgroup with limits, an end to time and to output. Without root it may
 * have no cgroup; then it looks at the processes inside. What the command prints goes to stdout,
 * what the sandbox reports to stderr. Status: the command's own, or 124 when it was stopped.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "error.h"
#include "file.h"
#include "hierarchy.h"
#include "namespace.h"
#include "number.h"
#include "place.h"
#include "process.h"
#include "rootless.h"
#include "run.h"

enum {
    SECONDS = 6, /* a check; ours need one, or on a crowded machine some more */
    PROCESSES = 256,
    GROUPS = 512,    /* where the kernel limits them; each takes its time to remove */
    MEGABYTES = 256, /* of memory, tmpfs included */
    KILOBYTES = 256, /* of output */
    LINES = 8192,    /* of it, each of which a check looks at */
    STOPPED = 124,   /* timeout(1) */
    OUTSIDE = 8,     /* processes of the sandbox itself */
    READS = 64,      /* of output at a time: as much of it as can wait, or more */
};

static struct {
    struct place place;
    long long seconds;
    bool lacks;
    const char *ended;
    const char *made; /* the name of the file of --result: it is not whole yet, and was not there */
    int directory;    /* with it, whatever is mounted meanwhile */
    pid_t owner;      /* of it */
    struct lab_cgroup group;
    const char *without_group; /* NULL: there is one; else what would help */
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

static size_t relayed, lines; /* bytes and lines of what the command prints */

static void be_interrupted(int signal)
{
    (void)signal;
}

/* As read(2) of what the command prints. Descriptors that it has sent along are closed by it, and
 * a socket with SO_LINGER takes for that the time that the command has set, or until a signal. */
static ssize_t read_output(int from, void *buffer, size_t size)
{
    const struct timeval moment = {.tv_usec = 1000}, never = {0};
    const struct itimerval signals = {moment, moment}, none = {never, never};

    if (setitimer(ITIMER_REAL, &signals, NULL) == -1)
        lab_die("setitimer");
    ssize_t count = read(from, buffer, size);
    const int error = errno;
    if (setitimer(ITIMER_REAL, &none, NULL) == -1)
        lab_die("setitimer");
    errno = error;
    return count;
}

/* Hand on what the command prints, and come to an end, though each read may take its moment.
 * Returns whether it is within the limit. */
static bool relay(int from)
{
    char buffer[4096];
    ssize_t count = 0;

    for (int i = 0; i < READS && (count = read_output(from, buffer, sizeof(buffer))) > 0; i++) {
        relayed += (size_t)count;
        for (ssize_t j = 0; j < count; j++)
            lines += buffer[j] == '\n';
        if (relayed > (size_t)KILOBYTES * 1024 || lines > LINES)
            return false;
        fwrite(buffer, 1, (size_t)count, stdout);
        at_line_start = buffer[count - 1] == '\n';
    }
    if (count == -1 && errno != EAGAIN)
        lab_die("read what the command prints");
    fflush(stdout);
    return true;
}

/* What it has printed more of than it may. */
static const char *too_much(void)
{
    static char reason[64];

    snprintf(reason, sizeof(reason), "it printed more than %d %s",
             lines > LINES ? LINES : KILOBYTES, lines > LINES ? "lines" : "kilobytes");
    return reason;
}

static long number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    return at ? strtol(at + strlen(key), NULL, 10) : 0;
}

/* Add up the threads of process NAME, a directory of PROCESSES, and the kilobytes of its memory
 * that are not a file's. */
static void look_at_process(int processes, const char *name, long *threads, long *kilobytes)
{
    static char text[1 << 20]; /* with 65536 groups, too */
    char path[300];

    snprintf(path, sizeof(path), "%s/status", name);
    lab_fd file = openat(processes, path, O_RDONLY | O_CLOEXEC);
    if (file == -1 && errno != ENOENT) /* it has ended */
        lab_die("look at the process %s inside", name);
    ssize_t length = file == -1 ? 0 : read(file, text, sizeof(text) - 1);
    if (length == -1 && errno != ESRCH)
        lab_die("read of the process %s inside", name);
    text[length > 0 ? length : 0] = '\0';
    *threads += number_after(text, "\nThreads:");
    *kilobytes += number_after(text, "\nRssAnon:") + number_after(text, "\nRssShmem:");
}

/* Without a group: count the threads inside, as a group does, and the kilobytes of memory that they
 * have. */
static long look_inside(long *kilobytes)
{
    long threads = 0;
    const struct dirent *entry;
    lab_fd listed = openat(sandbox.place.processes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = listed == -1 ? NULL : fdopendir(listed);

    if (!directory)
        lab_die("look at the processes inside");
    lab_take_fd(&listed); /* closedir() closes it */
    *kilobytes = 0;
    while ((errno = 0, entry = readdir(directory)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]))
            look_at_process(sandbox.place.processes, entry->d_name, &threads, kilobytes);
    if (errno != 0)
        lab_die("look at the processes inside");
    closedir(directory);
    return threads;
}

static bool no_memory; /* seen so far */

/* How many processes are inside? -1: that cannot be told. */
static long long count_processes(void)
{
    long long count;
    long kilobytes;

    if (sandbox.without_group) {
        count = look_inside(&kilobytes);
        no_memory |= kilobytes > MEGABYTES * 1024L;
        return count;
    }
    return lab_cgroup_number(&sandbox.group, LAB_PIDS, "pids.current", NULL, &count) == 0 ? count
                                                                                          : -1;
}

/* Was a process of ours killed for want of memory? One in a group that was made inside does not
 * count: that one has limits of its own. v1 counts the dead where they were, v2 what the limit did.
 */
static bool out_of_memory(void)
{
    long long count;

    if (sandbox.without_group)
        return no_memory;
    const bool v2 = sandbox.group.where->of[LAB_MEMORY].version == 2;
    if (lab_cgroup_number(&sandbox.group, LAB_MEMORY,
                          v2 ? "memory.events.local" : "top/shell/memory.oom_control",
                          v2 ? "oom" : "oom_kill", &count) == -1) {
        if (errno != ENOENT) /* root inside has removed it */
            lab_cgroup_die();
        return false;
    }
    return count > 0;
}

/* Do so many others want CPUs that those inside may wait for one longer than they run? */
static bool crowded(long long own)
{
    char text[64] = "";
    int wanting;

    if (own == -1 || lab_read_file("/proc/loadavg", text, sizeof(text)) == -1 ||
        sscanf(text, "%*f %*f %*f %d/", &wanting) != 1)
        return false;
    return wanting - own > 4 * sysconf(_SC_NPROCESSORS_ONLN);
}

/* Have those inside had as much of the CPUs as they could have had alone? */
static bool has_had_all(void)
{
    struct lab_cpu_sample sample;
    const long long most = sandbox.seconds * 1000000 * sysconf(_SC_NPROCESSORS_ONLN);

    return !sandbox.without_group && lab_cpu_sample(&sandbox.group, 0, &sample) == 0 &&
           sample.usage > most;
}

/* Is the time over, with COUNT processes inside? To be asked all the time: on a crowded machine it
 * stands still, for 29 times as long at most, and until they have had all. */
static bool time_is_over(long long count)
{
    static int64_t begun, last, counted;
    int64_t now = milliseconds();

    if (!begun)
        begun = last = now;
    if (!crowded(count))
        counted += now - last;
    last = now;
    return counted > sandbox.seconds * 1000 || now - begun > sandbox.seconds * 30000 ||
           has_had_all();
}

/* The guard answers SIGURG, which PLACE hands on, with a line that says where the program is. */
static void ask_guard(pid_t place, int output)
{
    kill(place, SIGURG);
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
    if (sigaction(SIGALRM, &(struct sigaction){.sa_handler = be_interrupted}, NULL) == -1)
        lab_die("sigaction SIGALRM");
    while (!(wanted[0].revents & POLLIN)) {
        int count = poll(wanted, 2, 100);
        if (count > 0 && wanted[1].revents && !relay(output))
            return too_much();
        if (wanted[1].revents & POLLHUP)
            wanted[1].fd = -1;
        long long processes = count_processes();
        if (processes >= PROCESSES) {
            snprintf(reason, sizeof(reason), "it wanted more than %d processes at a time",
                     PROCESSES);
            return reason;
        }
        if (no_memory)
            return ""; /* it is told by itself */
        if (time_is_over(processes)) {
            ask_guard(place, output);
            snprintf(reason, sizeof(reason), "it was still running after %lld seconds",
                     (long long)(milliseconds() - begun) / 1000);
            return reason;
        }
    }
    if (!relay(output))
        return too_much();
    return NULL;
}

/* The host name inside at the end; the descriptor was opened in time. A name is any bytes, and this
 * line goes to a terminal. */
static void report_host_name(int uts)
{
    struct utsname inside;

    if (setns(uts, CLONE_NEWUTS) == -1 || uname(&inside) == -1)
        lab_die("look at the host name inside");
    if (strcmp(inside.nodename, PLACE_HOST_NAME) == 0)
        return;
    for (char *byte = inside.nodename; *byte; byte++)
        if (!isprint((unsigned char)*byte))
            *byte = '?';
    say("note: it changed the host name to '%s', here that of the sandbox only", inside.nodename);
}

static const unsigned CONTROLLERS =
    LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT) | LAB_BIT(LAB_MEMORY) | LAB_BIT(LAB_PIDS);

/* Without root: NULL if a group can be made, else what would help. */
static const char *missing_group(void)
{
    static char words[3 * LAB_CGROUP_PATH];
    char directory[LAB_CGROUP_PATH] = "";
    struct lab_hierarchies where;

    lab_hierarchies_need(&where, NULL);
    if (lab_cgroup_delegated(&where, CONTROLLERS, directory) == 0)
        return NULL;
    if (errno == EOPNOTSUPP)
        return "control groups of v1 need root";
    if (errno != EBUSY)
        return "it needs a control group of v2 that belongs to you: type systemd-run --user "
               "--scope "
               "-p Delegate=yes before make";
    snprintf(words, sizeof(words),
             "the processes in your control group are in the way: mkdir %s/init; xargs -rn1 "
             "<%s/cgroup.procs >%s/init/cgroup.procs",
             directory, directory, directory);
    return words;
}

/* The kernel counts the processes of this user namespace and of those in it, whatever they become
 * (since Linux 5.14; before, all of the user). One process is ended by its own limit where the look
 * at all of them comes too late. */
static void limit_without_group(void)
{
    static const struct {
        __rlimit_resource_t resource;
        rlim_t most;
    } LIMITS[] = {{RLIMIT_NPROC, PROCESSES + OUTSIDE}, {RLIMIT_DATA, 2UL * MEGABYTES << 20}};

    for (int i = 0; i < LAB_COUNT(LIMITS); i++) {
        struct rlimit limit;
        if (getrlimit(LIMITS[i].resource, &limit) == -1)
            lab_die("getrlimit");
        /* The caller may have less. */
        if (limit.rlim_max > LIMITS[i].most)
            limit.rlim_max = LIMITS[i].most;
        if (limit.rlim_cur > limit.rlim_max)
            limit.rlim_cur = limit.rlim_max;
        if (setrlimit(LIMITS[i].resource, &limit) == -1)
            lab_die("limit the processes and the memory of the sandbox");
    }
}

/* Without the controllers a group of v2 limits nothing, but it keeps what is inside out of the
 * caller's own. */
static void limit(void)
{
    struct lab_limits limits = {
        .memory = MEGABYTES * 1024LL * 1024, .pids = PROCESSES, .groups = GROUPS};
    unsigned controllers = CONTROLLERS;
    char directory[LAB_CGROUP_PATH];
    struct lab_hierarchies where;

    sandbox.without_group = lab_rootless ? missing_group() : NULL;
    if (sandbox.without_group) {
        limit_without_group();
        controllers = LAB_BIT(LAB_CPUACCT);
        limits.memory = limits.pids = 0;
        lab_hierarchies_need(&where, NULL);
        if (lab_cgroup_delegated(&where, controllers, directory) == -1)
            return;
    }
    sandbox.place.group = &sandbox.group;
    lab_run_cgroup(&sandbox.group, controllers, 0);
    if (lab_cgroup_limit(&sandbox.group, &limits) == -1)
        lab_cgroup_die();
}

static int play(void)
{
    int ends[2];

    limit();
    /* Not a pipe, which a program of the same user opens in /proc/self/fd to read what others
     * write. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1 ||
        shutdown(ends[1], SHUT_RD) == -1 || fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1)
        lab_die("socketpair");
    pid_t init = place_start(&sandbox.place, ends[1]);
    pid_t command = sandbox.place.layers ? place_read_layers(&sandbox.place, init, ends[1]) : init;
    close(ends[1]);
    const char *reason = watch(command, ends[0]);
    no_memory = out_of_memory();
    if (reason || command != init) {
        kill(init, SIGKILL);
        /* What is to end may be in a group that was made inside and has next to no CPU time. */
        if (!sandbox.without_group && lab_cgroup_kill(&sandbox.group) == -1)
            lab_cgroup_die();
    }
    int status = lab_must_wait(command);
    if (command != init)
        lab_must_wait(init);
    if (reason && *reason)
        say("stopped: %s", reason);
    if (no_memory)
        say("stopped: it wanted more than %d megabytes of memory", MEGABYTES);
    report_host_name(sandbox.place.host_name);
    return reason || no_memory ? STOPPED : status;
}

/* A status says nothing: the command's may be any. */
static void make_ended(const char *path)
{
    lab_fd file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (file == -1)
        lab_die("%s", path);
}

static void remove_result(void)
{
    if (sandbox.made && sandbox.owner == getpid() &&
        unlinkat(sandbox.directory, sandbox.made, 0) == -1)
        lab_warn_errno("remove %s", sandbox.made);
}

static void open_result(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(parent, sizeof(parent), "%s", path);
    sandbox.directory = open(dirname(parent), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (sandbox.directory == -1)
        lab_die("open the directory of %s", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd != -1) {
        sandbox.made = slash ? slash + 1 : path;
        sandbox.owner = getpid();
        atexit(remove_result);
    } else if (errno == EEXIST) {
        fd = open(path, O_WRONLY | O_CLOEXEC);
    }
    if (fd == -1)
        lab_die("%s", path);
    sandbox.place.result = fd;
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
        {"lacks", no_argument, NULL, 'm'},
        {"ended", required_argument, NULL, 'e'},
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
            open_result(optarg);
        else if (option == 'u')
            place->user = true;
        else if (option == 'l')
            place->layers = optarg;
        else if (option == 'e')
            sandbox.ended = optarg;
        else if (option == 'm')
            sandbox.lacks = true;
        else if (option == 's')
            sandbox.seconds = lab_number_option("--seconds", optarg, 1, 3600);
        else
            lab_exit(LAB_EXIT_USAGE, "usage: sandbox [OPTION]... COMMAND [ARG]...");
    }
    place->command = argv + optind;
    if (!*place->command)
        lab_exit(LAB_EXIT_USAGE, "usage: sandbox [OPTION]... COMMAND [ARG]...");
}

/* For the checks of the exercises: see `needs` in their helpers.bash. */
static void tell_lacks(void)
{
    const ino_t users = lab_namespace_inode(0, "user");

    if (users == 0)
        lab_die("look at the user namespace");
    if (users != (ino_t)(unsigned)LAB_INITIAL_USER)
        printf("root it reads attributes and makes devices that only the machine's root can\n");
    if (!sandbox.place.has_ids)
        printf("ids it needs a range in /etc/subuid and /etc/subgid, and newuidmap (package "
               "uidmap)\n");
    if (sandbox.without_group)
        printf("groups %s\n", sandbox.without_group);
}

int main(int argc, char *argv[])
{
    read_options(argc, argv);
    sandbox.seconds *= lab_slowness();
    lab_become_root();
    lab_begin_tool("sandbox");
    int status = play();
    if (status == 0)
        sandbox.made = NULL;
    if (sandbox.lacks)
        tell_lacks();
    if (sandbox.ended && place_has_run())
        make_ended(sandbox.ended);
    return status;
}
