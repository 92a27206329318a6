/*
 * 03_unshare - leave the machine's namespaces for new ones.
 *
 *     sudo ./labs/03_unshare                     the experiment: each kind from inside and outside
 *     sudo ./labs/03_unshare OPTION... [COMMAND] the tool: unshare(1)
 *
 * Shows unshare(2) and its sisters clone3(2) and setns(2).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <ifaddrs.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "identity.h"
#include "namespace.h"
#include "narrate.h"
#include "number.h"
#include "process.h"
#include "run.h"

enum {
    ORDINARY_USER = 65534, /* nobody, who is root in the user namespace */
    DAY = 24 * 60 * 60,    /* the offset of the time namespace, in seconds */
    PRIVATE = MS_REC | MS_PRIVATE,
};

/*
 * The mechanism, and the options that steer it.
 */

static struct {
    int flags;                         /* CLONE_NEW... */
    const char *files[LAB_NAMESPACES]; /* of --uts=FILE, in the order of lab_namespaces */
    bool fork;
    int kill_child;                             /* a signal, 0: none */
    long long map_user, map_group, user, group; /* -1: none */
    unsigned long propagation;                  /* 0: unchanged */
    const char *setgroups, *root, *directory, *proc;
} wanted = {.map_user = -1, .map_group = -1, .user = -1, .group = -1, .propagation = PRIVATE};

/* This process is in new namespaces from here on, with two exceptions: a new PID or time namespace
 * is for its future children. */
static void leave_namespaces(int flags)
{
    if (unshare(flags) == -1)
        lab_die_remedy(errno == EPERM    ? "only root may, or anybody with --map-root-user"
                       : errno == EINVAL ? "does this kernel have all of them? See /proc/self/ns"
                       : errno == ENOSPC ? "the limits are in /proc/sys/user"
                                         : NULL,
                       "unshare");
}

/* In a new user namespace nobody has an identity until a map gives one: INSIDE is OUTSIDE. */
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

/* A namespace ends with its last process, unless a mount holds it: here that of PID's files. */
static void keep_namespaces(pid_t pid)
{
    char source[64];

    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *file = wanted.files[i];
        snprintf(source, sizeof(source), "/proc/%d/ns/%s", (int)pid, lab_namespaces[i].children);
        if (!file || mount(source, file, NULL, MS_BIND, NULL) == 0)
            continue;
        int error = errno;
        while (i-- > 0)
            if (wanted.files[i])
                umount2(wanted.files[i], MNT_DETACH);
        bool no_process = error == ENOENT && access(file, F_OK) == 0;
        errno = error;
        lab_die_remedy(no_process        ? "a PID namespace begins with a process: add --fork"
                       : error == EINVAL ? "it takes a private mount, in an older mount namespace"
                                         : NULL,
                       "mount %s on '%s'", source, file);
    }
}

/* Wait until the parent writes to GATE. False where it has ended instead. */
static bool pass(const int gate[2])
{
    close(gate[1]);
    return read(gate[0], &(char){0}, 1) == 1;
}

/* End as CHILD does: for who waits for us, a signal that kills the command has killed us. */
__attribute__((noreturn)) static void end_like(pid_t child)
{
    int status, number;
    sigset_t set;

    while (waitpid(child, &status, 0) == -1)
        if (errno != EINTR)
            lab_die("wait for the child");
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    number = WTERMSIG(status);
    sigemptyset(&set);
    sigaddset(&set, number);
    /* SIGKILL cannot be set to its default; unshare(1) says so and returns 1. */
    if (signal(number, SIG_DFL) != SIG_ERR && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0)
        raise(number);
    lab_exit(EXIT_FAILURE, "the child was ended by %s", lab_signal_name(number));
}

/* Leave the namespaces; with --fork, return in the child. The mounts that keep them are made by a
 * process that stays behind, where the files are and where we have the right to mount. */
static void enter_namespaces(void)
{
    int left[2], kept[2];
    pid_t self = getpid(), keeper = 0, child = 0;
    sigset_t interrupting, before;

    for (int i = 0; i < LAB_NAMESPACES; i++)
        keeper |= wanted.files[i] != NULL;
    if (pipe2(left, O_CLOEXEC) == -1 || pipe2(kept, O_CLOEXEC) == -1)
        lab_die("pipe");
    if (keeper && (keeper = fork()) == 0) {
        if (pass(left))
            keep_namespaces(self);
        exit(EXIT_SUCCESS);
    }
    leave_namespaces(wanted.flags);
    /* As a shell does: what interrupts is for the command. */
    sigemptyset(&interrupting);
    sigaddset(&interrupting, SIGINT);
    sigaddset(&interrupting, SIGTERM);
    sigprocmask(SIG_BLOCK, &interrupting, &before);
    signal(SIGCHLD, SIG_DFL);
    if (keeper == -1 || (wanted.fork && (child = fork()) == -1))
        lab_die("fork");
    if (wanted.fork && child == 0 && !pass(kept))
        exit(EXIT_FAILURE);
    if ((child || !wanted.fork) && keeper && (write(left[1], "", 1) != 1 || lab_wait(keeper) != 0))
        exit(EXIT_FAILURE);
    if (child && write(kept[1], "", 1) == 1)
        end_like(child);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void mount_proc(const char *directory)
{
    /* A mount on a shared one would show up outside as well. */
    if (wanted.propagation != PRIVATE && mount(NULL, directory, NULL, PRIVATE, NULL) == -1 &&
        errno != EINVAL)
        lab_die("make '%s' private", directory);
    if (mount("proc", directory, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
        lab_die_remedy(errno == EPERM ? "in a user namespace it takes --pid --fork, too" : NULL,
                       "mount proc on '%s'", directory);
}

/* In the new namespaces: give them what was asked for. */
static void arrange(uid_t user_outside, gid_t group_outside)
{
    const char *directory = wanted.directory ? wanted.directory : wanted.root ? "/" : NULL;

    map_id("/proc/self/uid_map", wanted.map_user, user_outside);
    /* Who may leave groups may read what is forbidden to these groups: not without giving it up. */
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
    /* Last, because a change of user takes it away. */
    if (wanted.kill_child && prctl(PR_SET_PDEATHSIG, wanted.kill_child) == -1)
        lab_die("prctl PR_SET_PDEATHSIG");
}

/*
 * The tool.
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
    "      --step              experiment: wait for Enter after each step\n"
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

static void take_word(int option)
{
    static const struct {
        const char *word;
        unsigned long flags;
    } modes[] = {{"private", PRIVATE},
                 {"slave", MS_REC | MS_SLAVE},
                 {"shared", MS_REC | MS_SHARED},
                 {"unchanged", 0}};

    if (option == SETGROUPS && strcmp(optarg, "allow") != 0 && strcmp(optarg, "deny") != 0)
        refuse("word for --setgroups");
    if (option == SETGROUPS) {
        wanted.setgroups = optarg;
        return;
    }
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        wanted.propagation = modes[i].flags;
        if (strcmp(optarg, modes[i].word) == 0)
            return;
    }
    refuse("propagation");
}

static void take_kill_child(const char *name)
{
    wanted.fork = true;
    wanted.kill_child = !name ? SIGKILL : isdigit(*name) ? -1 : lab_signal_number(name);
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
        case SETGROUPS:
        case PROPAGATION: take_word(option); break;
        case KILL_CHILD: take_kill_child(optarg); break;
        case MOUNT_PROC:
            wanted.flags |= CLONE_NEWNS;
            wanted.proc = optarg ? optarg : "/proc";
            break;
        case 'h': lab_print_help(HELP);
        case 'V': lab_print_version();
        case NOT_HERE: lab_exit(lab_exit_failure, "this program has no --%s", OPTIONS[index].name);
        default: take_namespace(option);
        }
    }
    if (wanted.map_group != -1 && wanted.setgroups && strcmp(wanted.setgroups, "allow") == 0)
        lab_exit(lab_exit_failure, "--setgroups=allow and a mapped group exclude each other");
}

static int unshare_tool(int argc, char *argv[])
{
    uid_t user = geteuid();
    gid_t group = getegid();

    read_options(argc, argv);
    enter_namespaces();
    arrange(user, group);
    if (optind == argc)
        lab_exec_shell();
    lab_exec(argv + optind);
}

/*
 * The experiment: a child leaves some namespaces and stays, so that we can look at it from outside.
 */

struct sandbox {
    pid_t child, pid; /* what we started, and the process inside: the same, or a child of it */
    char said[1024];  /* what was seen inside */
};

/* Start a child that calls INSIDE, where it may fork and return in its child. */
static struct sandbox open_sandbox(void (*inside)(char *said, size_t size))
{
    struct sandbox sandbox = {0};
    char self[32] = "";
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1 || (sandbox.child = lab_fork()) == -1)
        lab_die("start a child");
    if (sandbox.child == 0) {
        inside(sandbox.said, sizeof(sandbox.said));
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: changing the user has taken it away */
        /* This /proc is still that of the outside, so the link is our number there. */
        if (readlink("/proc/self", self, sizeof(self) - 1) == -1)
            lab_die("readlink /proc/self");
        sandbox.pid = atoi(self);
        if (write(ends[1], &sandbox, sizeof(sandbox)) == sizeof(sandbox))
            for (;;)
                pause();
        exit(EXIT_FAILURE);
    }
    pid_t child = sandbox.child;
    close(ends[1]);
    if (read(ends[0], &sandbox, sizeof(sandbox)) != sizeof(sandbox))
        exit(EXIT_FAILURE); /* the child has said why */
    close(ends[0]);
    sandbox.child = child;
    return sandbox;
}

static void close_sandbox(struct sandbox *sandbox)
{
    kill(sandbox->child, SIGKILL);
    lab_wait(sandbox->child);
}

/* Returns in a child, the first process of a new PID namespace. The parent goes with it. */
static void go_on_as_child(pid_t child)
{
    if (child == -1)
        lab_die("fork");
    if (child > 0)
        exit(lab_wait(child));
}

static void check_new_kinds(const struct sandbox *sandbox, const char *expected)
{
    char names[64];

    if (lab_namespaces_differing(0, sandbox->pid, names, sizeof(names)) == -1)
        lab_die("look into /proc/%d/ns", (int)sandbox->pid);
    lab_check_text(names, expected, "new: %s; all other namespaces are the machine's", expected);
}

/* The line of /proc/PID/status that begins with KEY, without it. */
static void read_status(pid_t pid, const char *key, char *value, size_t size)
{
    char path[64], text[4096];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        lab_die("read %s", path);
    const char *line = strstr(text, key);
    line = line ? line + strlen(key) + 1 : "";
    snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
    for (char *tab = value; (tab = strchr(tab, '\t')) != NULL;)
        *tab = ' ';
}

static void table(void)
{
    int found = 0;

    lab_step("what a process has: eight namespaces");
    lab_shell("ls -l /proc/self/ns");
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const struct lab_namespace *kind = &lab_namespaces[i];
        ino_t inode = lab_namespace_inode(0, kind->name);
        lab_say("%-6s  %-15s  --%-6s  %lu  %s", kind->name, kind->flag_name, kind->option,
                (unsigned long)inode, kind->isolates);
        found += inode != 0;
    }
    lab_check_number(found, LAB_NAMESPACES, "this kernel has all eight kinds");
}

static void inside_uts(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWUTS);
    if (sethostname("sandbox", strlen("sandbox")) == -1 || gethostname(said, size) == -1)
        lab_die("sethostname");
}

static void own_host_name(void)
{
    char before[65] = "", after[65] = "";

    lab_step("UTS: a host name of its own");
    lab_shell("unshare --uts sh -c 'hostname sandbox; hostname'");
    gethostname(before, sizeof(before));
    struct sandbox sandbox = open_sandbox(inside_uts);
    gethostname(after, sizeof(after));
    lab_fact("hostname.inside", "%s", sandbox.said);
    lab_fact("hostname.outside", "%s", after);
    lab_check_text(sandbox.said, "sandbox", "inside, the host has the new name");
    lab_check_text(after, before, "outside, it has kept its name");
    check_new_kinds(&sandbox, "uts");
    close_sandbox(&sandbox);
}

static void inside_ipc(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWIPC);
    if (msgget(ftok(".", 3), IPC_CREAT | 0600) == -1)
        lab_die("msgget");
    snprintf(said, size, "%s", msgget(ftok(".", 3), 0) == -1 ? "not found" : "found");
}

static void own_queues(void)
{
    lab_step("IPC: message queues of its own");
    lab_shell("unshare --ipc sh -c 'ipcmk -Q; ipcs -q'");
    struct sandbox sandbox = open_sandbox(inside_ipc);
    int error = msgget(ftok(".", 3), 0) == -1 ? errno : 0;
    lab_fact("queue.inside", "%s", sandbox.said);
    lab_fact("queue.outside", "%s", error ? lab_strerror(error) : "found");
    lab_check_text(sandbox.said, "found", "inside, the key leads to the queue");
    lab_check_errno(error, ENOENT, "outside, no queue has this key");
    check_new_kinds(&sandbox, "ipc");
    close_sandbox(&sandbox);
}

static void inside_pid(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWPID);
    go_on_as_child(lab_fork());
    snprintf(said, size, "%d", (int)getpid());
}

static void own_numbers(void)
{
    char numbers[64], both[64];

    lab_step("PID: numbers of its own");
    lab_shell("unshare --pid --fork sh -c 'echo $$'");
    struct sandbox sandbox = open_sandbox(inside_pid);
    read_status(sandbox.pid, "NSpid:", numbers, sizeof(numbers));
    snprintf(both, sizeof(both), "%d 1", (int)sandbox.pid);
    lab_fact("getpid.inside", "%s", sandbox.said);
    lab_fact("NSpid.outside", "%s", numbers);
    lab_check_text(sandbox.said, "1", "inside, it is process 1");
    lab_check(sandbox.pid > 1 && strcmp(numbers, both) == 0,
              "outside, the same process has an ordinary number");
    check_new_kinds(&sandbox, "pid");
    close_sandbox(&sandbox);
}

static void inside_mount(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWNS);
    if (mount(NULL, "/", NULL, PRIVATE, NULL) == -1 ||
        mount("tmpfs", "private", "tmpfs", 0, NULL) == -1 || mkdir("private/note", 0755) == -1)
        lab_die("mount a tmpfs on private");
    snprintf(said, size, "%s", access("private/note", F_OK) == 0 ? "there" : "not there");
}

static void own_mounts(void)
{
    char seen_through[64];

    lab_step("mount: a file system that nobody else sees");
    lab_shell("mkdir private");
    lab_shell("unshare --mount sh -c 'mount -t tmpfs tmpfs private; mkdir private/note'");
    if (mkdir("private", 0755) == -1)
        lab_die("mkdir private");
    struct sandbox sandbox = open_sandbox(inside_mount);
    int error = access("private/note", F_OK) == -1 ? errno : 0;
    snprintf(seen_through, sizeof(seen_through), "/proc/%d/cwd/private/note", (int)sandbox.pid);
    lab_fact("private/note.inside", "%s", sandbox.said);
    lab_fact("private/note.outside", "%s", error ? lab_strerror(error) : "there");
    lab_check(access(seen_through, F_OK) == 0, "inside, the mounted file system is there");
    lab_check_errno(error, ENOENT, "outside, the directory is as empty as before");
    check_new_kinds(&sandbox, "mnt");
    close_sandbox(&sandbox);
}

/* The names of the network devices. Tunnels, which some modules put into each new namespace, do
 * not count: they have no link layer. */
static void name_devices(char *names, size_t size)
{
    struct ifaddrs *all;
    size_t length = 0;

    if (getifaddrs(&all) == -1)
        lab_die("getifaddrs");
    *names = '\0';
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_PACKET &&
            !(one->ifa_flags & IFF_NOARP) && length < size)
            length += (size_t)snprintf(names + length, size - length, "%s%s", length ? " " : "",
                                       one->ifa_name);
    freeifaddrs(all);
}

static void inside_net(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWNET);
    name_devices(said, size);
}

static void own_network(void)
{
    char outside[1024];

    lab_step("network: devices of its own");
    lab_shell("unshare --net ip link");
    struct sandbox sandbox = open_sandbox(inside_net);
    name_devices(outside, sizeof(outside));
    lab_fact("devices.inside", "%s", sandbox.said);
    lab_fact("devices.outside", "%s", outside);
    lab_check_text(sandbox.said, "lo", "inside there is the loopback device and nothing else");
    check_new_kinds(&sandbox, "net");
    close_sandbox(&sandbox);
}

static void inside_user(char *said, size_t size)
{
    if (setgroups(0, NULL) == -1 || setgid(ORDINARY_USER) == -1 || setuid(ORDINARY_USER) == -1)
        lab_die("become an ordinary user");
    prctl(PR_SET_DUMPABLE, 1); /* after setuid, our files in /proc would be root's */
    leave_namespaces(CLONE_NEWUSER);
    map_id("/proc/self/uid_map", 0, ORDINARY_USER);
    control_setgroups("deny");
    map_id("/proc/self/gid_map", 0, ORDINARY_USER);
    snprintf(said, size, "%u:%u", getuid(), getgid());
}

static void own_root(void)
{
    char user[128], map[128], path[64];

    lab_step("user: root inside, an ordinary user outside");
    lab_shell("setpriv --reuid=%d --regid=%d --clear-groups unshare --user --map-root-user id",
              ORDINARY_USER, ORDINARY_USER);
    struct sandbox sandbox = open_sandbox(inside_user);
    read_status(sandbox.pid, "Uid:", user, sizeof(user));
    snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)sandbox.pid);
    if (lab_read_file(path, map, sizeof(map)) == -1)
        lab_die("read %s", path);
    lab_fact("id.inside", "%s", sandbox.said);
    lab_fact("Uid.outside", "%s", user);
    lab_fact("uid_map", "%s", map);
    lab_check_text(sandbox.said, "0:0", "inside, it is root");
    lab_check_text(user, "65534 65534 65534 65534", "outside, the same process is nobody");
    check_new_kinds(&sandbox, "user");
    close_sandbox(&sandbox);
}

static int run_tool(void *argv)
{
    int argc = 0;

    while (((char **)argv)[argc])
        argc++;
    optind = 0; /* begin anew */
    return unshare_tool(argc, argv);
}

static void the_article(void)
{
    char *argv[] = {"unshare",
                    "--pid",
                    "--fork",
                    "--mount-proc",
                    "/bin/sh",
                    "-c",
                    "echo $$; ps ax; echo /proc/[0-9]*",
                    NULL};
    LAB_OUTPUT output = {0};
    int processes = 0;

    lab_step("a sandbox with processes of its own");
    if (!lab_find_command("ps", NULL, 0))
        lab_cannot_run("there is no ps", "install the package procps");
    lab_shell_command("", (const char *const *)argv);
    if (lab_listen(&output, run_tool, argv) == -1)
        lab_die("start a child");
    lab_quote(output.text);
    lab_check(strncmp(output.text, "1\n", 2) == 0, "the shell is process 1");
    /* A line for 1, for the title, for each process, and for what the shell finds in /proc. */
    for (const char *c = output.text; *c; c++)
        processes += *c == '\n';
    lab_check_number(processes - 3, 2, "ps shows the sandbox's two processes: the shell and ps");
    lab_check(strstr(output.text, "\n/proc/1\n"), "when ps has ended, /proc holds the shell alone");
}

static void inside_pid_and_mount(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWPID | CLONE_NEWNS);
    go_on_as_child(lab_fork());
    snprintf(said, size, "%d", (int)getpid());
}

static void show_side_by_side(const struct sandbox *sandbox)
{
    lab_say("%-8s %-12s %-12s", "", "parent", "child");
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *name = lab_namespaces[i].name;
        ino_t ours = lab_namespace_inode(0, name), its = lab_namespace_inode(sandbox->pid, name);
        lab_say("%-8s %-12lu %-12lu %s", name, (unsigned long)ours, (unsigned long)its,
                ours == its ? "" : "differs");
    }
}

static void side_by_side(void)
{
    lab_step("the namespaces of a child and of its parent, side by side");
    struct sandbox sandbox = open_sandbox(inside_pid_and_mount);
    lab_shell("unshare --pid --fork --mount-proc sleep 60 &");
    lab_shell("ls -l /proc/self/ns /proc/$(pgrep -n sleep)/ns");
    show_side_by_side(&sandbox);
    check_new_kinds(&sandbox, "pid mnt");
    close_sandbox(&sandbox);
}

static void inside_without_fork(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWPID);
    pid_t first = lab_fork();
    if (first == 0)
        _exit(getpid()); /* as an exit status: it is a small number */
    int first_number = lab_wait(first);
    pid_t second = lab_fork();
    int error = second == -1 ? errno : 0;
    if (second == 0)
        _exit(0);
    snprintf(said, size, "%d %d", first_number, error);
}

static void why_fork(void)
{
    char names[64] = "?";
    int first_number = 0, error = 0;

    lab_step("why --fork");
    lab_say("unshare(2) moves only the children to come into the new PID namespace. The first of\n"
            "them is its process 1, and when process 1 has ended, nobody is born there any more.");
    lab_shell("unshare --pid sh -c '/bin/true; /bin/true'");
    struct sandbox sandbox = open_sandbox(inside_without_fork);
    if (sscanf(sandbox.said, "%d %d", &first_number, &error) != 2 ||
        lab_namespaces_differing(0, sandbox.pid, names, sizeof(names)) == -1)
        lab_die("look at the sandbox");
    lab_fact("pid", "%lu", (unsigned long)lab_namespace_inode(sandbox.pid, "pid"));
    lab_fact("pid_for_children", "%lu",
             (unsigned long)lab_namespace_inode(sandbox.pid, "pid_for_children"));
    lab_fact("fork.errno", "%s", error ? lab_strerror(error) : "0");
    lab_check_text(names, "", "without --fork, the program itself has stayed outside");
    lab_check_number(first_number, 1, "its first child was process 1");
    lab_check_errno(error, ENOMEM, "after that one's end, the next fork fails with ENOMEM");
    close_sandbox(&sandbox);
}

static void inside_clone(char *said, size_t size)
{
    struct clone_args how = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};

    fflush(stdout);
    go_on_as_child((pid_t)syscall(SYS_clone3, &how, sizeof(how)));
    snprintf(said, size, "%d", (int)getpid());
}

static pid_t to_join;

static void inside_joined(char *said, size_t size)
{
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, to_join, 0);

    if (pidfd == -1 || setns(pidfd, CLONE_NEWPID | CLONE_NEWNS) == -1)
        lab_die("join the namespaces of process %d", (int)to_join);
    go_on_as_child(lab_fork());
    snprintf(said, size, "%d", (int)getpid());
}

static void three_calls(void)
{
    char names[64] = "?";

    lab_step("three calls: unshare, clone, setns");
    lab_say("What unshare(2) and fork(2) have done above, clone3(2) does at once: a child is born\n"
            "in new namespaces. And setns(2) joins those that exist.");
    struct sandbox cloned = open_sandbox(inside_clone);
    show_side_by_side(&cloned);
    lab_check_text(cloned.said, "1", "the child of clone3 is process 1");
    check_new_kinds(&cloned, "pid mnt");
    to_join = cloned.pid;
    struct sandbox joined = open_sandbox(inside_joined);
    lab_namespaces_differing(cloned.pid, joined.pid, names, sizeof(names));
    lab_fact("joined.pid", "%lu", (unsigned long)lab_namespace_inode(joined.pid, "pid"));
    lab_fact("joined.getpid", "%s", joined.said);
    lab_check_text(names, "", "a process that joined it by setns is in the same namespaces");
    check_new_kinds(&joined, "pid mnt");
    close_sandbox(&joined);
    close_sandbox(&cloned);
}

static void inside_cgroup(char *said, size_t size)
{
    leave_namespaces(CLONE_NEWCGROUP);
    if (lab_read_file("/proc/self/cgroup", said, size) == -1)
        lab_die("read /proc/self/cgroup");
}

/* The first line of /proc/PID/cgroup, "4:memory:/a/b", whose path is not the root; else NULL. */
static char *first_below_root(char *lines)
{
    char *rest, *line = strtok_r(lines, "\n", &rest);

    while (line && strcmp(strrchr(line, ':'), ":/") == 0)
        line = strtok_r(NULL, "\n", &rest);
    return line;
}

static void own_cgroup_root(void)
{
    char outside[4096];

    lab_step("beyond the article: a cgroup root of its own");
    lab_shell("unshare --cgroup cat /proc/self/cgroup");
    struct sandbox sandbox = open_sandbox(inside_cgroup);
    if (lab_read_file("/proc/self/cgroup", outside, sizeof(outside)) == -1)
        lab_die("read /proc/self/cgroup");
    const char *there = first_below_root(outside), *here = first_below_root(sandbox.said);
    lab_fact("cgroup.outside", "%s", there ? there : "/ (the same as inside)");
    lab_fact("cgroup.inside", "%s", here ? here : "/");
    lab_check(!here, "inside, wherever the process was is the root");
    check_new_kinds(&sandbox, "cgroup");
    close_sandbox(&sandbox);
}

static long long seconds_since_boot(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_BOOTTIME, &now) == -1)
        lab_die("clock_gettime CLOCK_BOOTTIME");
    return now.tv_sec;
}

static void inside_time(char *said, size_t size)
{
    char offset[64];

    leave_namespaces(CLONE_NEWTIME);
    /* The offsets can be set until the first process is in there. */
    snprintf(offset, sizeof(offset), "boottime %d 0", DAY);
    if (lab_write_file("/proc/self/timens_offsets", offset) == -1)
        lab_die("write '%s' to /proc/self/timens_offsets", offset);
    go_on_as_child(lab_fork());
    snprintf(said, size, "%lld", seconds_since_boot());
}

static void own_clocks(void)
{
    lab_step("beyond the article: a boot time of its own");
    lab_shell("unshare --time --boottime %d cat /proc/uptime", DAY);
    long long before = seconds_since_boot();
    struct sandbox sandbox = open_sandbox(inside_time);
    long long inside = atoll(sandbox.said), after = seconds_since_boot();
    lab_fact("boottime.inside", "%lld s", inside);
    lab_fact("boottime.outside", "%lld s", after);
    lab_check(before + DAY <= inside && inside <= after + DAY,
              "inside, the machine has been up for a day longer");
    check_new_kinds(&sandbox, "time");
    close_sandbox(&sandbox);
}

static void enter_all(void)
{
    wanted.flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID;
    wanted.fork = true;
    wanted.kill_child = SIGKILL;
    wanted.proc = "/proc";
    enter_namespaces();
    arrange(geteuid(), getegid());
    if (sethostname("sandbox", strlen("sandbox")) == -1)
        lab_die("sethostname");
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return unshare_tool(argc, argv);
    lab_open("03", "leave the namespaces of the machine", 13, argc, argv);
    table();
    own_host_name();
    own_queues();
    own_numbers();
    own_mounts();
    own_network();
    own_root();
    the_article();
    side_by_side();
    why_fork();
    three_calls();
    own_cgroup_root();
    own_clocks();
    lab_shell_enters(enter_all);
    return lab_close();
}
