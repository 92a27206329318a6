/*
 * sandbox - play a command in a machine of its own, and say in plain words how it ended.
 *
 *     sudo build/sandbox [--user] [--seconds=N] PROGRAM COMMAND [ARG]...
 *
 * A student's program is tried in here. Whatever it does (hangs, forks without end, prints for
 * ever, changes the host name, removes files), the machine is afterwards as it was, and those who
 * work on it meanwhile notice nothing: namespaces of its own (mount, PID, UTS, IPC, network,
 * cgroup), every file read-only but for a small tmpfs on /tmp and /run, a cgroup with limits that
 * is the whole cgroup tree for those inside, and an end to time and output. PROGRAM is copied in;
 * its path is in the environment as PROGRAM. Status: the command's own, or 124 when it had to be
 * stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "error.h"
#include "file.h"
#include "number.h"
#include "process.h"
#include "run.h"

enum {
    SECONDS = 6, /* a check; ours need one, or on a crowded machine some more */
    PROCESSES = 256,
    MEGABYTES = 256, /* of memory, tmpfs included */
    KILOBYTES = 256, /* of output */
    STOPPED = 124,   /* timeout(1) */
    NOBODY = 65534,
    NO_GROUP = 65533, /* another number: who takes one for the other shall see it */
};

static const char PLACE[] = "/run/exercise"; /* where PROGRAM is inside */
static const char HOST_NAME[] = "sandbox";

static struct {
    bool user;
    long long seconds;
    char program[PATH_MAX]; /* resolved: inside, the working directory is another */
    char **command;
    struct lab_cgroup group;
} sandbox = {.seconds = SECONDS};

/*
 * Inside: build the place, then run the command in it.
 */

/* What no exercise needs and what would reach beyond the namespaces. */
static const int FORBIDDEN[] = {
    CAP_SYS_MODULE, CAP_SYS_RAWIO,  CAP_SYS_TIME,    CAP_SYS_BOOT,      CAP_SYS_PACCT,
    CAP_SYSLOG,     CAP_WAKE_ALARM, CAP_MAC_ADMIN,   CAP_MAC_OVERRIDE,  CAP_LINUX_IMMUTABLE,
    CAP_BPF,        CAP_PERFMON,    CAP_AUDIT_WRITE, CAP_AUDIT_CONTROL,
};

/* The cgroup file systems, each bound to our own group. Taken before anything is covered. */
static struct {
    int tree;
    char base[LAB_CGROUP_PATH];
} hierarchies[LAB_CONTROLLERS];

/* The processes inside live in a group of their own below the one with the limits: on v2 a group
 * with processes hands on no controllers, and they shall be able to make groups. */
static void enter_cgroup(void)
{
    struct lab_cgroup shell;
    int count = 0;

    /* First the group itself: what a process is in when it unshares becomes the root it sees. */
    if (lab_cgroup_enter(&sandbox.group, 0) == -1)
        lab_cgroup_die();
    if (unshare(CLONE_NEWCGROUP) == -1)
        lab_die("unshare CLONE_NEWCGROUP");
    shell = sandbox.group;
    strcat(shell.name, "/shell");
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const char *base = sandbox.group.where->of[i].base;
        if (mkdir(lab_cgroup_file(&shell, i, ""), 0755) == -1) {
            if (errno == EEXIST) /* controllers that share a hierarchy */
                continue;
            lab_die("mkdir %s", lab_cgroup_file(&shell, i, ""));
        }
        hierarchies[count].tree =
            (int)syscall(SYS_open_tree, AT_FDCWD, lab_cgroup_file(&sandbox.group, i, ""),
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (hierarchies[count].tree == -1)
            lab_die("open_tree %s", lab_cgroup_file(&sandbox.group, i, ""));
        strcpy(hierarchies[count++].base, base);
    }
    if (lab_cgroup_enter(&shell, 0) == -1)
        lab_cgroup_die();
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (lab_cgroup_version(&sandbox.group, i) == 2 && i != LAB_CPUACCT) {
            char word[32];
            snprintf(word, sizeof(word), "+%s", lab_controller_name(i));
            if (lab_cgroup_write(&sandbox.group, i, "cgroup.subtree_control", word) == -1)
                lab_cgroup_die();
        }
}

static void mount_or_die(const char *source, const char *target, const char *type,
                         unsigned long flags, const char *data)
{
    if (mount(source, target, type, flags, data) == -1)
        lab_die("mount on %s", target);
}

/* The kernel's settings are the machine's, all but those of the network namespace. Who is no root
 * cannot write to them anyway, and may only mount a /proc of his own while nothing covers this. */
static void protect_settings(void)
{
    int net =
        (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/sys/net", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (net == -1)
        lab_die("open_tree /proc/sys/net");
    for (const char *const *path = (const char *const[]){"/proc/sys", "/proc/sysrq-trigger", NULL};
         *path; path++) {
        if (access(*path, F_OK) == -1)
            continue;
        mount_or_die(*path, *path, NULL, MS_BIND, NULL);
        mount_or_die(NULL, *path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
    }
    if (syscall(SYS_move_mount, net, "", AT_FDCWD, "/proc/sys/net", MOVE_MOUNT_F_EMPTY_PATH) == -1)
        lab_die("move_mount /proc/sys/net");
    close(net);
}

/* Devices that are no thing of the machine, and no others: a disk can be written to in a tree that
 * is read-only. */
static void mount_devices(void)
{
    static const char *const names[] = {"/dev/null", "/dev/zero",    "/dev/full",
                                        "/dev/tty",  "/dev/urandom", "/dev/random"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    int trees[COUNT];

    for (int i = 0; i < COUNT; i++)
        trees[i] =
            (int)syscall(SYS_open_tree, AT_FDCWD, names[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    mount_or_die("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k");
    for (int i = 0; i < COUNT; i++) {
        if (trees[i] == -1)
            continue;
        close(open(names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        if (syscall(SYS_move_mount, trees[i], "", AT_FDCWD, names[i], MOVE_MOUNT_F_EMPTY_PATH) ==
            -1)
            lab_die("move_mount %s", names[i]);
    }
    if (symlink("/proc/self/fd", "/dev/fd") == -1 || symlink("fd/0", "/dev/stdin") == -1 ||
        symlink("fd/1", "/dev/stdout") == -1 || symlink("fd/2", "/dev/stderr") == -1 ||
        mkdir("/dev/shm", 0755) == -1)
        lab_die("furnish /dev");
    mount_or_die("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=16m");
}

static void mount_everything(void)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    char place[256];
    lab_fd program = open(sandbox.program, O_PATH | O_CLOEXEC);

    if (program == -1)
        lab_die("open %s", sandbox.program);
    mount_or_die(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)) ==
        -1)
        lab_die_remedy("Linux 5.12 can do this", "make every mount read-only");
    mount_or_die("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=128m");
    mount_or_die("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m");
    mount_devices();
    mount_or_die("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    for (int i = 0; i < LAB_CONTROLLERS && *hierarchies[i].base; i++) {
        umount2(hierarchies[i].base, MNT_DETACH); /* EINVAL where it is a directory of a mount */
        if (syscall(SYS_move_mount, hierarchies[i].tree, "", AT_FDCWD, hierarchies[i].base,
                    MOVE_MOUNT_F_EMPTY_PATH) == -1)
            lab_die("move_mount %s", hierarchies[i].base);
    }
    snprintf(place, sizeof(place), "/proc/self/fd/%d", program);
    lab_fd run = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char inside[128];
    snprintf(inside, sizeof(inside), "%s/%.64s", PLACE, basename(sandbox.program));
    if (lab_copy_file_in(run, inside + strlen("/run"), place, 0755) == -1)
        lab_die("copy %s", sandbox.program);
    setenv("PROGRAM", inside, 1);
    /* As systemd has it on the machine: who does not make it private finds that pivot_root fails.
     */
    mount_or_die(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
    if (!sandbox.user)
        protect_settings();
}

__attribute__((noreturn)) static void run_command(void)
{
    static const struct {
        const char *name, *value;
    } environment[] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"HOME", "/tmp"},
        {"LC_ALL", "C"},
        {"TMPDIR", "/tmp"},
    };

    for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++)
        setenv(environment[i].name, environment[i].value, 1);
    for (size_t i = 0; i < sizeof(FORBIDDEN) / sizeof(FORBIDDEN[0]); i++)
        if (prctl(PR_CAPBSET_DROP, FORBIDDEN[i], 0, 0, 0) == -1 && errno != EINVAL)
            lab_die("drop capability %d", FORBIDDEN[i]);
    if (chdir("/tmp") == -1)
        lab_die("chdir /tmp");
    if (sandbox.user &&
        (setgroups(0, NULL) == -1 || setresgid(NO_GROUP, NO_GROUP, NO_GROUP) == -1 ||
         setresuid(NOBODY, NOBODY, NOBODY) == -1))
        lab_die("become user %d", NOBODY);
    lab_exec(sandbox.command);
}

/* PID 1 of the place: waits for the command, takes whoever is left without a parent, and when it
 * ends, the kernel kills all that are still there. */
__attribute__((noreturn)) static void live(int output)
{
    int wait_status;

    setsid();
    if (sethostname(HOST_NAME, strlen(HOST_NAME)) == -1)
        lab_die("sethostname");
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    enter_cgroup();
    mount_everything();
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    pid_t child = fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0)
        run_command();
    for (pid_t ended = 0; ended != child;)
        if ((ended = wait(&wait_status)) == -1)
            _exit(EXIT_FAILURE);
    _exit(lab_shell_status(wait_status));
}

/*
 * Outside: watch.
 */

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

/* Hand on what the command prints. Returns whether it is within the limit. */
static bool relay(int from)
{
    static size_t total;
    char buffer[4096];
    ssize_t count;

    while ((count = read(from, buffer, sizeof(buffer))) > 0) {
        total += (size_t)count;
        if (total > (size_t)KILOBYTES * 1024)
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

/* Is the time over? To be asked all the time: on a crowded machine it stands still, for half
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
    return counted > sandbox.seconds * 1000 || now - begun > sandbox.seconds * 1500;
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
            snprintf(reason, sizeof(reason), "it was still running after %lld seconds",
                     (long long)(milliseconds() - begun) / 1000);
            return reason;
        }
    }
    if (!relay(output))
        return "it printed too much";
    return NULL;
}

/* The name that the machine inside has at the end; its descriptor was taken in time. */
static void report_host_name(int uts)
{
    struct utsname inside;

    if (uts != -1 && setns(uts, CLONE_NEWUTS) == 0 && uname(&inside) == 0 &&
        strcmp(inside.nodename, HOST_NAME) != 0)
        say("note: it changed the host name to '%s', here that of the sandbox only",
            inside.nodename);
}

static int open_uts(pid_t place)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/uts", (int)place);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void limit(void)
{
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
    const unsigned long long flags =
        CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;

    limit();
    if (pipe2(ends, O_CLOEXEC) == -1)
        lab_die("pipe");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t place = lab_clone(flags, 0);
    if (place == -1)
        lab_die_remedy("it needs root on the machine itself, or in a virtual machine", "clone3");
    if (place == 0)
        live(ends[1]);
    close(ends[1]);
    lab_fd uts = open_uts(place);
    const char *reason = watch(place, ends[0]);
    bool no_memory = out_of_memory();
    if (reason)
        kill(place, SIGKILL);
    int status = lab_wait(place);
    if (reason)
        say("stopped: %s", reason);
    if (no_memory)
        say("stopped: it wanted more than %d megabytes of memory", MEGABYTES);
    report_host_name(uts);
    return reason || no_memory ? STOPPED : status;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"user", no_argument, NULL, 'u'},
        {"seconds", required_argument, NULL, 's'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'u')
            sandbox.user = true;
        else if (option != 's' || !lab_parse_number(optarg, 1, 3600, &sandbox.seconds))
            lab_exit(LAB_EXIT_USAGE, "usage: sandbox [--user] [--seconds=N] PROGRAM COMMAND...");
    }
    if (argc - optind < 2)
        lab_exit(LAB_EXIT_USAGE, "usage: sandbox [--user] [--seconds=N] PROGRAM COMMAND...");
    if (!realpath(argv[optind], sandbox.program))
        lab_die("%s", argv[optind]);
    sandbox.command = argv + optind + 1;
    sandbox.seconds *= lab_slowness();
    lab_begin_tool("sandbox");
    return play();
}
