/*
 * The tool 04_setns: nsenter(1), with its options and exit statuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "namespace.h"
#include "number.h"

int nsenter_tool(int argc, char *argv[]);

/* A file or directory that is given, or the target's own. */
struct place {
    int fd;         /* open; -1: not asked for */
    bool of_target; /* it is one of /proc/TARGET */
};

struct request {
    pid_t target;                            /* 0: none */
    int process;                             /* its pidfd, -1: none can be had */
    struct place namespaces[LAB_NAMESPACES]; /* in the order of lab_namespaces */
    struct place root, directory;            /* --root, --wd */
    const char *directory_inside;            /* --wdns; NULL: none */
    long long user, group;                   /* --setuid, --setgid; -1: not given */
    bool all, preserve, no_fork, follow_context;
};

/*
 * The command line.
 */

static const char HELP[] =
    "Usage: 04_setns [OPTION]... [COMMAND [ARG]...]\n"
    "   or: 04_setns [--step] [--shell]\n"
    "Run COMMAND ($SHELL, or /bin/sh, if none) in namespaces of other processes.\n"
    "Without any argument, play the experiment.\n"
    "\n"
    "  -t, --target PID       whose namespaces to enter, where no FILE is given\n"
    "  -a, --all              enter all namespaces of the target\n"
    "  -m, --mount[=FILE]     enter the mount namespace (-mFILE); likewise -u, --uts,\n"
    "       -i, --ipc, -n, --net, -p, --pid, -C, --cgroup, -U, --user, -T, --time\n"
    "  -S, --setuid UID       become UID inside; likewise -G, --setgid GID\n"
    "  --preserve-credentials do not become 0:0 in a user namespace\n"
    "  -r, --root[=DIR]       set the root directory (without DIR: the target's)\n"
    "  -w, --wd[=DIR]         set the working directory (without DIR: the target's)\n"
    "  -W DIR, --wdns=DIR     set the working directory, DIR as it is named inside\n"
    "  -F, --no-fork          do not fork after entering a PID namespace\n"
    "  -Z, --follow-context   take the target's SELinux context, where there is SELinux\n"
    "  --step                 experiment: wait for Enter before each step\n"
    "  --shell                experiment: end with a shell in the target's namespaces\n"
    "  -h, --help, -V, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 1 if 04_setns itself fails, 126 if COMMAND cannot be invoked, 127 if it\n"
    "is not found, else that of COMMAND; the signal that kills COMMAND kills 04_setns.\n";

static const struct option LONG_OPTIONS[] = {
    {"all", no_argument, NULL, 'a'},
    {"target", required_argument, NULL, 't'},
    {"mount", optional_argument, NULL, 'm'},
    {"uts", optional_argument, NULL, 'u'},
    {"ipc", optional_argument, NULL, 'i'},
    {"net", optional_argument, NULL, 'n'},
    {"pid", optional_argument, NULL, 'p'},
    {"cgroup", optional_argument, NULL, 'C'},
    {"user", optional_argument, NULL, 'U'},
    {"time", optional_argument, NULL, 'T'},
    {"setuid", required_argument, NULL, 'S'},
    {"setgid", required_argument, NULL, 'G'},
    {"root", optional_argument, NULL, 'r'},
    {"wd", optional_argument, NULL, 'w'},
    {"wdns", optional_argument, NULL, 'W'},
    {"no-fork", no_argument, NULL, 'F'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"follow-context", no_argument, NULL, 'Z'},
    {"preserve-credentials", no_argument, NULL, 'P'},
    {0},
};

static void open_place(struct place *place, const char *path, int flags)
{
    lab_close_fd(&place->fd);
    place->fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (place->fd == -1)
        lab_die_remedy(*path == '='                        ? "a short option takes FILE without '='"
                       : errno == EACCES && geteuid() != 0 ? "only root may: try sudo"
                                                           : NULL,
                       "cannot open '%s'", path);
}

/* Open the target's FILE if OPTION has asked for it. */
static void open_of_target(struct place *place, pid_t target, const char *file, const char *option)
{
    char path[64];

    if (!place->of_target)
        return;
    if (!target)
        lab_exit(lab_exit_failure, "--%s needs a file or a target (-t PID); write --%s=FILE",
                 option, option);
    if (kill(target, 0) == -1 && errno == ESRCH)
        lab_exit(lab_exit_failure, "there is no process %d", (int)target);
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)target, file);
    open_place(place, path, 0);
}

/* An option that names a place. Returns whether it is one. */
static bool read_place(struct request *wanted, int letter)
{
    struct place *place = letter == 'r' ? &wanted->root : letter == 'w' ? &wanted->directory : NULL;
    bool is_directory = place != NULL;

    for (int i = 0; i < LAB_NAMESPACES; i++)
        if (lab_namespaces[i].letter == letter)
            place = &wanted->namespaces[i];
    if (place && optarg)
        open_place(place, optarg, is_directory ? O_DIRECTORY : 0);
    else if (place)
        place->of_target = true;
    return place != NULL;
}

static long long number_of(const char *what, long long minimum, long long maximum)
{
    long long number;

    if (!lab_parse_number(optarg, minimum, maximum, &number))
        lab_exit(lab_exit_failure, "invalid %s: '%s'", what, optarg);
    return number;
}

static void read_options(struct request *wanted, int argc, char *argv[])
{
    static const char LETTERS[] = "+at:m::u::i::n::p::C::U::T::S:G:r::w::W:FZhV";
    int option;

    while ((option = getopt_long(argc, argv, LETTERS, LONG_OPTIONS, NULL)) != -1) {
        if (option == 't')
            wanted->target = (pid_t)number_of("PID", 1, INT_MAX);
        else if (option == 'a')
            wanted->all = true;
        else if (option == 'S')
            wanted->user = number_of("user ID", 0, (uid_t)-2);
        else if (option == 'G')
            wanted->group = number_of("group ID", 0, (gid_t)-2);
        else if (option == 'P')
            wanted->preserve = true;
        else if (option == 'W')
            wanted->directory_inside = optarg;
        else if (option == 'F')
            wanted->no_fork = true;
        else if (option == 'Z')
            wanted->follow_context = true;
        else if (!read_place(wanted, option))
            lab_common_option(option, HELP, lab_exit_failure);
    }
    if (wanted->directory_inside && (wanted->directory.fd != -1 || wanted->directory.of_target))
        lab_exit(lab_exit_failure, "--wd and --wdns exclude each other");
}

/* --all is every kind that this kernel has, but not the user namespace that the caller is in:
 * setns(2) refuses it, because it would give back rights that the process has dropped. */
static void want_all(struct request *wanted)
{
    if (!wanted->target)
        lab_exit(lab_exit_failure, "--all needs a target (-t PID)");
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *name = lab_namespaces[i].name;
        ino_t ours = lab_namespace_inode(0, name);
        if (ours == 0 && errno != ENOENT)
            lab_die("look at /proc/self/ns/%s", name);
        ino_t theirs = lab_namespace_inode(wanted->target, name);
        if (theirs == 0 && errno != ENOENT)
            lab_die("look at /proc/%d/ns/%s", (int)wanted->target, name);
        bool same = ours == theirs;
        if (ours && wanted->namespaces[i].fd == -1 &&
            !(same && lab_namespaces[i].flag == CLONE_NEWUSER))
            wanted->namespaces[i].of_target = true;
    }
}

/* Before anything is joined, because afterwards /proc may be another one. A PID can be given to
 * another process meanwhile, a pidfd cannot: if the process of the pidfd is alive afterwards, the
 * PID was its PID all the time. (There is no pidfd of a thread.) */
static void open_target(struct request *wanted)
{
    if (wanted->target)
        wanted->process = (int)syscall(SYS_pidfd_open, wanted->target, 0);
    /* A thread is looked at without one; that a process has ended, its files tell. */
    if (wanted->target && wanted->process == -1 && errno != EINVAL && errno != ENOENT &&
        errno != ESRCH)
        lab_die("open process %d", (int)wanted->target);
    if (wanted->all)
        want_all(wanted);
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        char file[32];
        snprintf(file, sizeof(file), "ns/%s", lab_namespaces[i].name);
        open_of_target(&wanted->namespaces[i], wanted->target, file, lab_namespaces[i].option);
    }
    open_of_target(&wanted->root, wanted->target, "root", "root");
    open_of_target(&wanted->directory, wanted->target, "cwd", "wd");
    struct pollfd ended = {.fd = wanted->process, .events = POLLIN};
    int count = poll(&ended, 1, 0);
    if (count == -1)
        lab_die("look whether process %d has ended", (int)wanted->target);
    if (count == 1)
        lab_exit(lab_exit_failure, "process %d has just ended", (int)wanted->target);
}

/* Read the options of nsenter(1) of util-linux 2.38 and open what they name; optind(3) is then the
 * index of the command. What was opened of the target is all of one process, even if its PID is
 * given to another one meanwhile. Nothing has been entered when it returns. */
static void read_command_line(struct request *wanted, int argc, char *argv[])
{
    *wanted =
        (struct request){.process = -1, .root.fd = -1, .directory.fd = -1, .user = -1, .group = -1};
    for (int i = 0; i < LAB_NAMESPACES; i++)
        wanted->namespaces[i].fd = -1;
    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    read_options(wanted, argc, argv);
    open_target(wanted);
}

/*
 * The mechanism.
 */

/* Join every namespace of the target at once: Linux 5.8 takes a pidfd and a set of flags in
 * setns(2). Either all are joined or none. */
static bool join_at_once(int pidfd, int flags)
{
    return pidfd != -1 && setns(pidfd, flags) == 0;
}

/* Where only files are given, one by one. The first round joins with the present rights, and passes
 * over refusals. The second begins with the user namespace, the first of the kinds: it may give the
 * right to join what was refused, and it may take away rights. */
static void join_one_by_one(struct place namespaces[])
{
    for (int round = 1; round <= 2; round++)
        for (int i = round == 1 ? 1 : 0; i < LAB_NAMESPACES; i++) {
            if (namespaces[i].fd == -1)
                continue;
            if (setns(namespaces[i].fd, lab_namespaces[i].flag) == 0)
                lab_close_fd(&namespaces[i].fd);
            else if (round == 2)
                lab_die_remedy(errno == EPERM ? "only root may: try sudo"
                                              : "it must be of that kind, and not ours or above us",
                               "join the %s namespace", lab_namespaces[i].option);
        }
}

/* Returns the flags of all that was joined. */
static int join(struct request *wanted)
{
    bool only_target = true;
    int flags = 0;

    for (int i = 0; i < LAB_NAMESPACES; i++) {
        if (wanted->namespaces[i].fd == -1)
            continue;
        flags |= lab_namespaces[i].flag;
        only_target &= wanted->namespaces[i].of_target;
    }
    if (flags && !(only_target && join_at_once(wanted->process, flags)))
        join_one_by_one(wanted->namespaces);
    return flags;
}

/* A process never changes its own PID namespace; setns(2) chooses that of its next children. The
 * child returns. The parent waits, stops when the child stops, so that a shell's job control works,
 * and ends as the child ended. */
static void go_on_as_child(void)
{
    int status;

    signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no status to wait for */
    fflush(stdout);
    pid_t child = fork();
    if (child == -1)
        lab_die_remedy(errno == ENOMEM ? "PID 1 of that namespace has ended" : NULL, "fork");
    if (child == 0)
        return;
    for (;;) {
        if (waitpid(child, &status, WUNTRACED) == -1) {
            if (errno != EINTR)
                lab_die("wait for the child");
        } else if (WIFSTOPPED(status)) {
            kill(getpid(), SIGSTOP);
            kill(child, SIGCONT);
        } else {
            break;
        }
    }
    if (WIFSIGNALED(status))
        kill(getpid(), WTERMSIG(status));
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

/*
 * The tool.
 */

/* As in nsenter(1), without --wd and --wdns the working directory stays, even outside the new root.
 */
static void enter_directories(const struct request *wanted)
{
    const char *inside = wanted->directory_inside;
    bool new_root = wanted->root.fd != -1, new_directory = wanted->directory.fd != -1;
    bool stay = new_root && !new_directory && !inside;
    lab_fd here = stay ? open(".", O_PATH | O_CLOEXEC) : -1;
    int directory = new_directory ? wanted->directory.fd : here;

    if (stay && here == -1)
        lab_die("open the working directory");
    if (new_root && (fchdir(wanted->root.fd) == -1 || chroot(".") == -1))
        lab_die("change the root directory");
    if (inside ? chdir(inside) == -1 : (new_root || new_directory) && fchdir(directory) == -1)
        lab_die("change the working directory");
}

/* What libselinux does for the model. */
static void follow_context(pid_t target)
{
    char path[64], context[4096];

    const int is_there = lab_is_there("/sys/fs/selinux/enforce");
    if (is_there == -1)
        lab_die("look for SELinux in /sys/fs/selinux");
    if (!is_there) {
        lab_warn("--follow-context: this kernel has no SELinux, so there is nothing to follow");
        return;
    }
    snprintf(path, sizeof(path), "/proc/%d/attr/current", (int)target);
    if (lab_read_file(path, context, sizeof(context)) == -1 ||
        lab_write_file("/proc/self/attr/exec", context) == -1)
        lab_die("take the SELinux context of process %d", (int)target);
}

static void become(long long user, long long group, bool groups_dropped)
{
    if (group != -1 && setgroups(0, NULL) == -1 && !groups_dropped)
        lab_die("drop the supplementary groups");
    if (group != -1 && setgid((gid_t)group) == -1)
        lab_die("become group %lld", group);
    if (user != -1 && setuid((uid_t)user) == -1)
        lab_die("become user %lld", user);
}

int nsenter_tool(int argc, char *argv[])
{
    struct request wanted;
    bool groups_dropped = getgroups(0, NULL) == 0; /* there are none */

    lab_hold_streams();
    read_command_line(&wanted, argc, argv);
    if (wanted.follow_context)
        follow_context(wanted.target);
    if (wanted.namespaces[0].fd != -1 && !wanted.preserve) {
        /* Become root of the user namespace. The caller's groups must go: now, or, where only the
         * namespace allows it, inside. */
        wanted.user = wanted.user == -1 ? 0 : wanted.user;
        wanted.group = wanted.group == -1 ? 0 : wanted.group;
        groups_dropped = setgroups(0, NULL) == 0;
    }
    int joined = join(&wanted);
    enter_directories(&wanted);
    if ((joined & CLONE_NEWPID) && !wanted.no_fork)
        go_on_as_child();
    become(wanted.user, wanted.group, groups_dropped);
    if (optind < argc)
        lab_exec(argv + optind);
    lab_exec_shell();
}
