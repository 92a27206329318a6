/*
 * The tool 03_unshare: unshare(1), with its options and exit statuses.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "identity.h"
#include "namespace.h"
#include "number.h"
#include "process.h"

int unshare_tool(int argc, char *argv[]);

enum { PRIVATE = MS_REC | MS_PRIVATE };

static struct {
    int flags;                         /* CLONE_NEW... */
    const char *files[LAB_NAMESPACES]; /* of --uts=FILE, in the order of lab_namespaces, or NULL */
    bool fork;
    int kill_child;                /* a signal, 0: none */
    long long map_user, map_group; /* -1: no map */
    long long user, group;         /* -1: do not change */
    unsigned long propagation;     /* MS_REC | MS_PRIVATE..., 0: unchanged */
    const char *setgroups;         /* "allow", "deny", or NULL */
    const char *root, *directory;  /* or NULL */
    const char *proc;              /* where to mount it, or NULL */
} wanted = {.map_user = -1, .map_group = -1, .user = -1, .group = -1, .propagation = PRIVATE};

/*
 * The options.
 */

static const char HELP[] =
    "Usage: 03_unshare OPTION... [COMMAND [ARG]...]\n"
    "   or: 03_unshare [--step] [--shell]\n"
    "Run COMMAND ($SHELL if none) in new namespaces. Without any argument, play the experiment.\n"
    "\n"
    "  -m, --mount[=FILE]      new mount namespace, kept alive by a mount on FILE\n"
    "  -u, --uts[=FILE]        the same for host and domain name\n"
    "  -i, --ipc[=FILE]        the same for System V IPC and POSIX queues\n"
    "  -n, --net[=FILE]        the same for the network\n"
    "  -p, --pid[=FILE]        the same for process IDs; wants --fork\n"
    "  -U, --user[=FILE]       the same for user and group IDs\n"
    "  -C, --cgroup[=FILE]     the same for the cgroup root\n"
    "  -T, --time[=FILE]       the same for the boot-time clocks\n"
    "  -f, --fork              run COMMAND in a child\n"
    "      --kill-child[=SIG]  send it SIG (default: SIGKILL) if we die; implies --fork\n"
    "      --mount-proc[=DIR]  mount /proc (or DIR) anew; implies --mount\n"
    "      --propagation=WORD  private (default), slave, shared or unchanged mounts\n"
    "  -r, --map-root-user     be root inside; the --map options imply --user\n"
    "  -c, --map-current-user  be inside who we are outside\n"
    "      --map-user=USER     be USER inside, a name or number\n"
    "      --map-group=GROUP   be GROUP inside, a name or number\n"
    "      --setgroups=WORD    allow or deny setgroups(2) in the user namespace\n"
    "  -R, --root=DIR          change the root directory\n"
    "  -w, --wd=DIR            change the working directory\n"
    "  -S, --setuid=UID        become UID inside\n"
    "  -G, --setgid=GID        become GID inside, without other groups\n"
    "      --step              experiment: wait for Enter before each step\n"
    "      --shell             experiment: end with a shell in a sandbox\n"
    "  -h, --help; -V, --version\n"
    "\n"
    "Exit status: 1 if 03_unshare itself fails, 126 if COMMAND cannot be invoked,\n"
    "127 if it is not found, else that of COMMAND.\n";

/* Long options without a letter, and those of unshare(1) that this program does not have. */
enum { KILL_CHILD = 256, MOUNT_PROC, PROPAGATION, MAP_USER, MAP_GROUP, SETGROUPS, NOT_HERE };

static const struct option OPTIONS[] = {
    {"mount", optional_argument, NULL, 'm'},
    {"uts", optional_argument, NULL, 'u'},
    {"ipc", optional_argument, NULL, 'i'},
    {"net", optional_argument, NULL, 'n'},
    {"pid", optional_argument, NULL, 'p'},
    {"user", optional_argument, NULL, 'U'},
    {"cgroup", optional_argument, NULL, 'C'},
    {"time", optional_argument, NULL, 'T'},
    {"fork", no_argument, NULL, 'f'},
    {"kill-child", optional_argument, NULL, KILL_CHILD},
    {"mount-proc", optional_argument, NULL, MOUNT_PROC},
    {"propagation", required_argument, NULL, PROPAGATION},
    {"map-root-user", no_argument, NULL, 'r'},
    {"map-current-user", no_argument, NULL, 'c'},
    {"map-user", required_argument, NULL, MAP_USER},
    {"map-group", required_argument, NULL, MAP_GROUP},
    {"setgroups", required_argument, NULL, SETGROUPS},
    {"root", required_argument, NULL, 'R'},
    {"wd", required_argument, NULL, 'w'},
    {"setuid", required_argument, NULL, 'S'},
    {"setgid", required_argument, NULL, 'G'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"map-auto", no_argument, NULL, NOT_HERE},
    {"map-users", required_argument, NULL, NOT_HERE},
    {"map-groups", required_argument, NULL, NOT_HERE},
    {"keep-caps", no_argument, NULL, NOT_HERE},
    {"monotonic", required_argument, NULL, NOT_HERE},
    {"boottime", required_argument, NULL, NOT_HERE},
    {0},
};

__attribute__((noreturn)) static void refuse(const char *what)
{
    lab_exit(lab_exit_failure, "invalid %s: '%s'", what, optarg);
}

static long long id_from(const char *text)
{
    long long number;

    if (!lab_parse_number(text, 0, (uid_t)-2, &number))
        refuse("ID");
    return number;
}

/* The options of user namespaces: -1 leaves a map as it is. */
static void want_map(long long user, long long group)
{
    wanted.flags |= CLONE_NEWUSER;
    wanted.map_user = user != -1 ? user : wanted.map_user;
    wanted.map_group = group != -1 ? group : wanted.map_group;
}

static void take_named_map(int option)
{
    uid_t user;
    gid_t group;

    if (option == MAP_USER && lab_find_user(optarg, &user))
        want_map(user, -1);
    else if (option == MAP_GROUP && lab_find_group(optarg, &group))
        want_map(-1, group);
    else
        refuse(option == MAP_USER ? "user" : "group");
}

static void take_setgroups(const char *word)
{
    if (strcmp(word, "allow") != 0 && strcmp(word, "deny") != 0)
        refuse("word for --setgroups");
    wanted.setgroups = word;
}

static void take_propagation(const char *word)
{
    if (strcmp(word, "private") == 0)
        wanted.propagation = MS_REC | MS_PRIVATE;
    else if (strcmp(word, "slave") == 0)
        wanted.propagation = MS_REC | MS_SLAVE;
    else if (strcmp(word, "shared") == 0)
        wanted.propagation = MS_REC | MS_SHARED;
    else if (strcmp(word, "unchanged") == 0)
        wanted.propagation = 0;
    else
        refuse("propagation");
}

static void take_kill_child(const char *name)
{
    wanted.fork = true;
    wanted.kill_child = !name                           ? SIGKILL
                        : isdigit((unsigned char)*name) ? -1
                                                        : lab_signal_number(name);
    if (wanted.kill_child == -1)
        refuse("signal name");
}

static void take_namespace(int letter)
{
    for (int i = 0; i < LAB_NAMESPACES; i++)
        if (lab_namespaces[i].letter == letter) {
            wanted.flags |= lab_namespaces[i].flag;
            wanted.files[i] = optarg ? optarg : wanted.files[i];
            return;
        }
    lab_try_help(lab_exit_failure);
}

/* Read the options before the command; optind(3) is the index of the command afterwards. */
static void read_options(int argc, char *argv[])
{
    int option, index;

    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "+muinpUCTfrcR:w:S:G:hV", OPTIONS, &index)) != -1) {
        switch (option) {
        case 'f': wanted.fork = true; break;
        case 'r': want_map(0, 0); break;
        case 'c': want_map(geteuid(), getegid()); break;
        case 'R': wanted.root = optarg; break;
        case 'w': wanted.directory = optarg; break;
        case 'S': wanted.user = id_from(optarg); break;
        case 'G': wanted.group = id_from(optarg); break;
        case MAP_USER:
        case MAP_GROUP: take_named_map(option); break;
        case SETGROUPS: take_setgroups(optarg ? optarg : ""); break;
        case PROPAGATION: take_propagation(optarg ? optarg : ""); break;
        case KILL_CHILD: take_kill_child(optarg); break;
        case MOUNT_PROC:
            wanted.flags |= CLONE_NEWNS;
            wanted.proc = optarg ? optarg : "/proc";
            break;
        case 'h':
        case 'V': lab_common_option(option, HELP, lab_exit_failure);
        case NOT_HERE:
            lab_exit(lab_exit_failure, "this program has no --%s; use unshare(1)",
                     OPTIONS[index].name);
        default: take_namespace(option);
        }
    }
    if (wanted.map_group != -1 && wanted.setgroups && strcmp(wanted.setgroups, "allow") == 0)
        lab_exit(lab_exit_failure, "--setgroups=allow and a mapped group exclude each other");
}

/*
 * The mechanism.
 */

/* From here on this process is in new namespaces, with two exceptions: a new PID or time namespace
 * is for the children to come. */
static void leave_namespaces(int flags)
{
    if (unshare(flags) == -1)
        lab_die_remedy(errno == EPERM    ? "only root may, or anybody with --map-root-user"
                       : errno == EINVAL ? "which of them this kernel has is in /proc/self/ns"
                       : errno == ENOSPC ? "the limits are in /proc/sys/user"
                                         : NULL,
                       "unshare");
}

/* In a new user namespace no ID has a meaning until a map gives it one. An INSIDE of -1: no map. */
static void map_id(const char *file, long long inside, unsigned outside)
{
    char line[64];

    snprintf(line, sizeof(line), "%lld %u 1", inside, outside);
    if (inside != -1 && lab_write_file(file, line) == -1)
        lab_die("write '%s' to %s", line, file);
}

static void control_setgroups(const char *word)
{
    if (word && lab_write_file("/proc/self/setgroups", word) == -1)
        lab_die("write '%s' to /proc/self/setgroups", word);
}

/* A namespace ends with its last process, unless a mount of its file in /proc holds it. */
static void keep_namespaces_of(pid_t pid)
{
    char source[64];

    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *file = wanted.files[i];
        snprintf(source, sizeof(source), "/proc/%d/ns/%s", (int)pid, lab_namespaces[i].children);
        if (!file || mount(source, file, NULL, MS_BIND, NULL) == 0)
            continue;
        int error = errno;
        bool no_child =
            error == ENOENT && lab_namespaces[i].flag == CLONE_NEWPID && access(file, F_OK) == 0;
        while (i-- > 0)
            if (wanted.files[i])
                umount2(wanted.files[i], MNT_DETACH);
        errno = error;
        lab_die_remedy(no_child ? "a PID namespace begins with a child: add --fork"
                       : error == EINVAL
                           ? "it takes a private mount in an older mount namespace; since "
                             "Linux 6.18, one made on the same CPU: taskset(1)"
                           : NULL,
                       "mount %s on '%s'", source, file);
    }
}

/* Wait at a pipe until the other side writes. False if it has ended instead. */
static bool wait_at(const int gate[2])
{
    close(gate[1]);
    ssize_t count = read(gate[0], &(char){0}, 1);
    if (count == -1)
        lab_die("read from a pipe");
    return count == 1;
}

/* Let the other side go on. */
static void open_gate(const int gate[2])
{
    if (write(gate[1], "", 1) != 1)
        lab_die("write to a pipe");
}

/* Pass on how the child ended: a signal that killed it kills this process too, so that the caller
 * sees it. For SIGKILL, which raise(3) cannot bring, unshare(1) prints a line and returns 1. */
__attribute__((noreturn)) static void end_like(pid_t child, const sigset_t *mask)
{
    int status;

    while (waitpid(child, &status, 0) == -1)
        if (errno != EINTR)
            lab_die("wait for the child");
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    if (signal(WTERMSIG(status), SIG_DFL) != SIG_ERR && sigprocmask(SIG_SETMASK, mask, NULL) == 0)
        raise(WTERMSIG(status));
    lab_exit(EXIT_FAILURE, "the child was ended by %s", lab_signal_name(WTERMSIG(status)));
}

/* Start the process that makes the mounts which keep namespaces. It stays in the
 * old namespaces: the files are there, and it may mount there. Returns 0 if no option has a file.
 */
static pid_t start_keeper(const int left[2])
{
    pid_t keeper = 0, leaving = getpid();
    bool keep = false;

    for (int i = 0; i < LAB_NAMESPACES; i++)
        keep |= wanted.files[i] != NULL;
    if (keep && (keeper = fork()) == -1)
        lab_die("fork");
    if (!keep || keeper > 0)
        return keeper;
    if (wait_at(left))
        keep_namespaces_of(leaving);
    exit(EXIT_SUCCESS);
}

static void wait_for_keeper(pid_t keeper)
{
    int status = lab_wait(keeper);

    if (status == -1)
        lab_die("wait for the process that makes the mounts");
    if (status > 128)
        lab_exit(EXIT_FAILURE, "the process that makes the mounts was ended by %s",
                 lab_signal_name(status - 128));
    if (status != 0)
        exit(EXIT_FAILURE); /* it has said why */
}

/* Leave the namespaces and, with --fork, return in a child. The child exists before the mounts are
 * made, because it makes the PID namespace, and begins after them, so that nothing runs if they
 * fail. */
static void enter_namespaces(void)
{
    int left[2], kept[2]; /* pipes that tell: the old namespaces are left, the new ones kept */
    pid_t child = 0;
    sigset_t interrupting, before;

    if (pipe2(left, O_CLOEXEC) == -1 || pipe2(kept, O_CLOEXEC) == -1)
        lab_die("pipe");
    pid_t keeper = start_keeper(left);
    leave_namespaces(wanted.flags);
    sigemptyset(&interrupting); /* SIGINT and SIGTERM are for the command, as in a shell */
    sigaddset(&interrupting, SIGINT);
    sigaddset(&interrupting, SIGTERM);
    sigprocmask(SIG_BLOCK, &interrupting, &before);
    signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no status to wait for */
    if (wanted.fork && (child = fork()) == -1)
        lab_die("fork");
    if (wanted.fork && child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(left[1]); /* the keeper has the end of the other pipe, and would wait for us as we for
                           it */
        if (wait_at(kept))
            return;
        exit(EXIT_FAILURE);
    }
    if (keeper) {
        open_gate(left);
        wait_for_keeper(keeper);
    }
    if (child) {
        open_gate(kept);
        end_like(child, &before);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void mount_proc(const char *directory)
{
    /* On a shared mount it would show up outside as well. EINVAL: not a mount, so not shared. */
    if (wanted.propagation != PRIVATE && mount(NULL, directory, NULL, PRIVATE, NULL) == -1 &&
        errno != EINVAL)
        lab_die("make '%s' private", directory);
    if (mount("proc", directory, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
        lab_die_remedy(errno == EPERM ? "in a user namespace it takes --pid --fork, too" : NULL,
                       "mount proc on '%s'", directory);
}

/* In the new namespaces: set up what the options name. */
static void prepare_inside(uid_t user_outside, gid_t group_outside)
{
    const char *directory = wanted.directory ? wanted.directory : wanted.root ? "/" : NULL;

    map_id("/proc/self/uid_map", wanted.map_user, user_outside);
    /* A group can be used to deny access to its members: without setgroups(2) none can be left. */
    control_setgroups(wanted.map_group != -1 ? "deny" : NULL);
    map_id("/proc/self/gid_map", wanted.map_group, group_outside);
    control_setgroups(wanted.setgroups);
    if ((wanted.flags & CLONE_NEWNS) && wanted.propagation &&
        mount(NULL, "/", NULL, wanted.propagation, NULL) == -1)
        lab_die("change the propagation of /");
    if (wanted.root && chroot(wanted.root) == -1)
        lab_die("cannot change root directory to '%s'", wanted.root);
    if (directory && chdir(directory) == -1)
        lab_die("cannot chdir to '%s'", directory);
    if (wanted.proc)
        mount_proc(wanted.proc);
    if (wanted.group != -1 && (setgroups(0, NULL) == -1 || setgid((gid_t)wanted.group) == -1))
        lab_die("set group ID %lld", wanted.group);
    if (wanted.user != -1 && setuid((uid_t)wanted.user) == -1)
        lab_die("set user ID %lld", wanted.user);
    /* Last, because a change of user undoes it. */
    if (wanted.kill_child && prctl(PR_SET_PDEATHSIG, wanted.kill_child) == -1)
        lab_die("prctl PR_SET_PDEATHSIG");
}

int unshare_tool(int argc, char *argv[])
{
    uid_t user = geteuid();
    gid_t group = getegid();

    lab_hold_streams();
    read_options(argc, argv);
    enter_namespaces();
    prepare_inside(user, group);
    if (optind == argc)
        lab_exec_shell();
    lab_exec(argv + optind);
}
