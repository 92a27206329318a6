/*
 * 03_unshare - leave the machine's namespaces for new ones.
 *
 *     sudo ./labs/03_unshare                     the experiment: each kind, inside and outside
 *     sudo ./labs/03_unshare OPTION... [COMMAND] the tool: unshare(1)
 *
 * Shows unshare(2) and its sisters clone3(2) and setns(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
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

#include "command.h"
#include "error.h"
#include "file.h"
#include "namespace.h"
#include "narrate.h"
#include "process.h"
#include "run.h"
#include "sandbox.h"
#include "unshare_options.h"

enum {
    NOBODY = 65534,     /* an ordinary user, who becomes root in a user namespace */
    DAY = 24 * 60 * 60, /* by which the time namespace is ahead, in seconds */
    PRIVATE = MS_REC | MS_PRIVATE,
};

/*
 * The mechanism.
 */

static struct lab_unshare_options wanted;

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

/* In a new user namespace nobody has a number until a map gives one: OUTSIDE is INSIDE. */
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
        lab_die_remedy(no_child          ? "a PID namespace begins with a child: add --fork"
                       : error == EINVAL ? "it takes a private mount in an older mount namespace"
                                         : NULL,
                       "mount %s on '%s'", source, file);
    }
}

/* Wait at a pipe until the other side writes. False if it has ended instead. */
static bool pass(const int gate[2])
{
    close(gate[1]);
    return read(gate[0], &(char){0}, 1) == 1;
}

/* Who waits for us is to see what happened to the child: a signal that killed it kills us. Only
 * for SIGKILL, the default of which cannot be restored, unshare(1) says so and returns 1. */
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

/* Start the process that makes the mounts which keep namespaces. It stays behind, where the files
 * are and where we have the right to mount. Returns 0 where there is nothing to keep. */
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
    if (pass(left))
        keep_namespaces_of(leaving);
    exit(EXIT_SUCCESS);
}

/* Leave the namespaces and, with --fork, return in a child. The child exists before the mounts are
 * made, because it makes the PID namespace, and begins after them, so that nothing runs if they
 * fail. */
static void enter_namespaces(void)
{
    int left[2], kept[2]; /* gates: we have left the old namespaces, the new ones are kept */
    pid_t child = 0;
    sigset_t interrupting, before;

    if (pipe2(left, O_CLOEXEC) == -1 || pipe2(kept, O_CLOEXEC) == -1)
        lab_die("pipe");
    pid_t keeper = start_keeper(left);
    leave_namespaces(wanted.flags);
    sigemptyset(&interrupting); /* what interrupts is for the command, as in a shell */
    sigaddset(&interrupting, SIGINT);
    sigaddset(&interrupting, SIGTERM);
    sigprocmask(SIG_BLOCK, &interrupting, &before);
    signal(SIGCHLD, SIG_DFL); /* ignored, it would keep the status from us */
    if (wanted.fork && (child = fork()) == -1)
        lab_die("fork");
    if (wanted.fork && child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (pass(kept))
            return;
        exit(EXIT_FAILURE);
    }
    if (keeper && (write(left[1], "", 1) != 1 || lab_wait(keeper) != 0))
        exit(EXIT_FAILURE);
    if (child && write(kept[1], "", 1) == 1)
        end_like(child, &before);
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

/* In the new namespaces: make them what was asked for. */
static void furnish(uid_t user_outside, gid_t group_outside)
{
    const char *directory = wanted.directory ? wanted.directory : wanted.root ? "/" : NULL;

    map_id("/proc/self/uid_map", wanted.map_user, user_outside);
    /* Leaving a group can open what is forbidden to the group: first give up that right. */
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

static int unshare_tool(int argc, char *argv[])
{
    uid_t user = geteuid();
    gid_t group = getegid();

    lab_read_unshare_options(&wanted, argc, argv);
    enter_namespaces();
    furnish(user, group);
    if (optind == argc)
        lab_exec_shell();
    lab_exec(argv + optind);
}

/*
 * The experiment. A sandbox says what it sees inside and holds still; meanwhile we look from the
 * outside. Most are made by the tool, in a child of this process.
 */

static int unshare_in_child(void *argv)
{
    int argc = 0;

    while (((char **)argv)[argc])
        argc++;
    return unshare_tool(argc, argv);
}

static int unshare_as_nobody(void *argv)
{
    if (setgroups(0, NULL) == -1 || setgid(NOBODY) == -1 || setuid(NOBODY) == -1)
        lab_die("become an ordinary user");
    prctl(PR_SET_DUMPABLE, 1); /* or our files in /proc would be root's now */
    return unshare_in_child(argv);
}

static struct lab_sandbox open_sandbox(int (*body)(void *), void *argument)
{
    struct lab_sandbox sandbox;

    if (lab_open_sandbox(&sandbox, body, argument) == 0)
        return sandbox;
    int error = errno;
    lab_quote(sandbox.said);
    errno = error;
    lab_die("start a sandbox that stays");
}

/* Make a sandbox by "unshare OPTIONS sh -c SCRIPT". */
static struct lab_sandbox type(int (*body)(void *), const char *options, const char *script)
{
    char words[64], whole[512], *rest, *argv[16] = {"unshare"};
    int argc = 1;

    lab_shell("%sunshare %s sh -c '%s'",
              body == unshare_as_nobody ? "setpriv --reuid=65534 --regid=65534 --clear-groups "
                                        : "",
              options, script);
    snprintf(words, sizeof(words), "%s", options);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    snprintf(whole, sizeof(whole), "%s%s", script, LAB_SANDBOX_HOLD);
    memcpy(&argv[argc], (char *[]){"sh", "-c", whole}, 3 * sizeof(char *));
    struct lab_sandbox sandbox = open_sandbox(body, argv);
    lab_quote(sandbox.said);
    return sandbox;
}

/* The kinds in which the sandbox differs from us must be those that were EXPECTED, no other. */
static void check_new_kinds(const struct lab_sandbox *sandbox, const char *expected)
{
    char names[64];

    if (lab_namespaces_differing(0, sandbox->pid, names, sizeof(names)) == -1)
        lab_die("look into /proc/%d/ns", (int)sandbox->pid);
    lab_check_text(names, expected, "new: %s; the other namespaces are the machine's", expected);
}

static void show_side_by_side(const struct lab_sandbox *sandbox)
{
    lab_say("%-8s%-13sin the sandbox", "", "outside");
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *name = lab_namespaces[i].name;
        ino_t ours = lab_namespace_inode(0, name), its = lab_namespace_inode(sandbox->pid, name);
        lab_say("%-8s%-13lu%lu%s", name, (unsigned long)ours, (unsigned long)its,
                ours == its ? "" : "   differs");
    }
}

static void table(void)
{
    int found = 0;

    lab_step("what a process has: eight namespaces");
    lab_shell("ls -l /proc/self/ns");
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const struct lab_namespace *kind = &lab_namespaces[i];
        ino_t inode = lab_namespace_inode(0, kind->name);
        lab_say("%-7s %-15s --%-6s %lu  %s", kind->name, kind->flag_name, kind->option,
                (unsigned long)inode, kind->isolates);
        found += inode != 0;
    }
    lab_check_number(found, LAB_NAMESPACES, "this kernel has all eight kinds");
}

static void own_host_name(void)
{
    char before[65] = "", after[65] = "";

    lab_step("UTS: a host name of its own");
    gethostname(before, sizeof(before));
    LAB_SANDBOX sandbox =
        type(unshare_in_child, "--uts", "echo sandbox >/proc/sys/kernel/hostname; uname -n");
    gethostname(after, sizeof(after));
    lab_fact("hostname.outside", "%s", after);
    lab_check_text(sandbox.said, "sandbox\n", "inside, the host has a new name");
    lab_check_text(after, before, "outside, it has kept its name");
    check_new_kinds(&sandbox, "uts");
}

static void own_queues(void)
{
    lab_step("IPC: message queues of its own");
    LAB_SANDBOX sandbox =
        type(unshare_in_child, "--ipc", "ipcmk --queue >/dev/null; tail -n 1 /proc/sysvipc/msg");
    key_t key = (key_t)strtol(sandbox.said, NULL, 10); /* the first column */
    int error = msgget(key, 0) == -1 ? errno : 0;
    lab_fact("msgget.outside", "%s", error ? lab_strerror(error) : "0 (found)");
    lab_check(key != 0, "inside there is a queue with a key");
    lab_check_errno(error, ENOENT, "outside, no queue has that key");
    check_new_kinds(&sandbox, "ipc");
}

static void own_numbers(void)
{
    char path[64], status[4096], numbers[64];

    lab_step("PID: numbers of its own");
    LAB_SANDBOX sandbox = type(unshare_in_child, "--pid --fork", "echo $$");
    snprintf(path, sizeof(path), "/proc/%d/status", (int)sandbox.pid);
    if (lab_read_file(path, status, sizeof(status)) == -1)
        lab_die("read %s", path);
    snprintf(numbers, sizeof(numbers), "\nNSpid:\t%d\t1\n", (int)sandbox.pid);
    lab_fact("pid.outside", "%d", (int)sandbox.pid);
    lab_check_text(sandbox.said, "1\n", "inside, the shell is process 1");
    lab_check(sandbox.pid > 1 && strstr(status, numbers),
              "outside, the same process has an ordinary number");
    check_new_kinds(&sandbox, "pid");
}

static void own_mounts(void)
{
    char inside[64];

    lab_step("mount: a file system that nobody else sees");
    lab_shell("mkdir private");
    if (mkdir("private", 0755) == -1)
        lab_die("mkdir private");
    LAB_SANDBOX sandbox =
        type(unshare_in_child, "--mount",
             "mount -n -t tmpfs tmpfs private; echo hello >private/note; ls private");
    snprintf(inside, sizeof(inside), "/proc/%d/cwd/private/note", (int)sandbox.pid);
    int error = access("private/note", F_OK) == -1 ? errno : 0;
    lab_fact("private/note.outside", "%s", error ? lab_strerror(error) : "0 (found)");
    lab_check(access(inside, F_OK) == 0, "inside, the file system is mounted");
    lab_check_errno(error, ENOENT, "outside, the directory is as empty as before");
    check_new_kinds(&sandbox, "mnt");
}

static void own_network(void)
{
    int devices = 0;

    lab_step("network: devices of its own");
    LAB_SANDBOX sandbox = type(unshare_in_child, "--net", "ip -brief link");
    for (const char *line = sandbox.said, *end; (end = strchr(line, '\n')); line = end + 1)
        /* Tunnels, which some modules put into every namespace, do not count: they have no ARP. */
        devices += !memmem(line, (size_t)(end - line), "NOARP", strlen("NOARP"));
    lab_check(strncmp(sandbox.said, "lo ", 3) == 0, "inside there is lo, the loopback device");
    lab_check_number(devices, 1, "and no other");
    check_new_kinds(&sandbox, "net");
}

static void own_root(void)
{
    char path[64], map[128] = "";
    struct stat process = {0};

    lab_step("user: root inside, an ordinary user outside");
    LAB_SANDBOX sandbox = type(unshare_as_nobody, "--user --map-root-user", "id -u; id -g");
    snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)sandbox.pid);
    lab_read_file(path, map, sizeof(map));
    lab_fact("uid_map", "%s", map);
    *strrchr(path, '/') = '\0';
    if (stat(path, &process) == -1)
        lab_die("stat %s", path);
    lab_fact("uid.outside", "%u", process.st_uid);
    lab_check_text(sandbox.said, "0\n0\n", "inside, it is root");
    lab_check_number(process.st_uid, NOBODY, "outside, the same process is nobody's");
    check_new_kinds(&sandbox, "user");
}

static void the_article(void)
{
    char script[] = "echo $$; ps ax; :"; /* ":" so that the shell does not turn into ps */
    char *argv[] = {"unshare", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", script, NULL};
    LAB_OUTPUT output = {0};
    int lines = 0;

    lab_step("all processes that a sandbox sees are its own");
    lab_shell_command("", (const char *const *)argv);
    if (lab_listen(&output, unshare_in_child, argv) == -1)
        lab_die("start a child");
    lab_quote(output.text);
    for (const char *c = output.text; *c; c++)
        lines += *c == '\n';
    lab_check(strncmp(output.text, "1\n", 2) == 0, "the shell is process 1");
    lab_check_number(lines - 2, 2, "ps lists two processes, the shell and itself");
}

static void side_by_side(void)
{
    lab_step("the namespaces of a child and of its parent, side by side");
    LAB_SANDBOX sandbox = type(unshare_in_child, "--pid --fork --mount", "echo $$");
    lab_shell("ls -l /proc/self/ns /proc/%d/ns", (int)sandbox.pid);
    show_side_by_side(&sandbox);
    check_new_kinds(&sandbox, "pid mnt");
}

static int fork_twice(__attribute__((unused)) void *unused)
{
    leave_namespaces(CLONE_NEWPID);
    pid_t first = lab_fork();
    if (first == 0)
        _exit(getpid()); /* a small number, so that it can be an exit status */
    printf("%d ", lab_wait(first));
    pid_t second = lab_fork();
    if (second == 0)
        _exit(EXIT_SUCCESS);
    printf("%d\n", second == -1 ? errno : 0);
    return 0;
}

static void why_fork(void)
{
    int first = 0, error = 0;

    lab_step("why --fork");
    lab_say("unshare(2) moves nobody into the new PID namespace: the next child is born in it, as\n"
            "process 1. When process 1 has ended, nobody can be born there any more.");
    lab_shell("unshare --pid sh -c '/bin/true; /bin/true'");
    LAB_SANDBOX sandbox = open_sandbox(fork_twice, NULL);
    sscanf(sandbox.said, "%d %d", &first, &error);
    ino_t own = lab_namespace_inode(sandbox.pid, "pid");
    ino_t children = lab_namespace_inode(sandbox.pid, "pid_for_children");
    lab_fact("pid", "%lu", (unsigned long)own);
    lab_fact("pid_for_children", "%lu", (unsigned long)children);
    lab_fact("fork.errno", "%s", lab_strerror(error));
    lab_check(own == lab_namespace_inode(0, "pid") && own != children,
              "the process itself has stayed outside, only its children have not");
    lab_check_number(first, 1, "its first child was process 1");
    lab_check_errno(error, ENOMEM, "when that one has ended, fork fails with ENOMEM");
}

/* Return in CHILD, the one that is inside. The parent only waits for it. */
static void go_on_in(pid_t child)
{
    if (child == -1)
        lab_die("fork");
    if (child > 0)
        exit(lab_wait(child));
}

static int tell_number(void)
{
    return printf("%d\n", (int)getpid()) < 0;
}

static int clone_into_new(__attribute__((unused)) void *unused)
{
    struct clone_args how = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};

    go_on_in((pid_t)syscall(SYS_clone3, &how, sizeof(how)));
    return tell_number();
}

static int join(void *target)
{
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, *(pid_t *)target, 0);

    if (pidfd == -1 || setns(pidfd, CLONE_NEWPID | CLONE_NEWNS) == -1)
        lab_die("join the namespaces of process %d", *(pid_t *)target);
    go_on_in(lab_fork());
    return tell_number();
}

static void three_calls(void)
{
    char names[64] = "?";

    lab_step("three calls: unshare, clone, setns");
    lab_say("What unshare(2) and then fork(2) do, clone3(2) does in one: the child is born in new\n"
            "namespaces. setns(2) joins those that there are.");
    LAB_SANDBOX cloned = open_sandbox(clone_into_new, NULL);
    show_side_by_side(&cloned);
    lab_check_text(cloned.said, "1\n", "the child of clone3 is process 1");
    check_new_kinds(&cloned, "pid mnt");
    LAB_SANDBOX joined = open_sandbox(join, &cloned.pid);
    if (lab_namespaces_differing(cloned.pid, joined.pid, names, sizeof(names)) == -1)
        lab_die("compare the namespaces of two sandboxes");
    lab_check_text(joined.said, "2\n", "who joins it by setns gets the next number, 2");
    lab_check_text(names, "", "and shares all eight namespaces with it");
}

static void own_cgroup_root(void)
{
    char outside[4096], *rest;

    lab_step("beyond the article: a cgroup root of its own");
    if (lab_read_file("/proc/self/cgroup", outside, sizeof(outside)) == -1)
        lab_die("read /proc/self/cgroup");
    LAB_SANDBOX sandbox = type(unshare_in_child, "--cgroup", "cat /proc/self/cgroup");
    for (char *line = strtok_r(outside, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strcmp(strrchr(line, ':'), ":/") != 0)
            lab_fact("cgroup.outside", "%s", line);
    bool all_root = *sandbox.said != '\0';
    for (char *line = strtok_r(sandbox.said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        all_root &= strcmp(strrchr(line, ':'), ":/") == 0;
    lab_check(all_root, "inside, wherever the process was is the root");
    check_new_kinds(&sandbox, "cgroup");
}

static long long seconds_since_boot(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_BOOTTIME, &now) == -1)
        lab_die("clock_gettime CLOCK_BOOTTIME");
    return now.tv_sec;
}

static int live_a_day_later(__attribute__((unused)) void *unused)
{
    char offset[64];

    leave_namespaces(CLONE_NEWTIME);
    /* The offsets can be set until the first process is inside. */
    snprintf(offset, sizeof(offset), "boottime %d 0", DAY);
    if (lab_write_file("/proc/self/timens_offsets", offset) == -1)
        lab_die("write '%s' to /proc/self/timens_offsets", offset);
    go_on_in(lab_fork());
    return printf("%lld\n", seconds_since_boot()) < 0;
}

static void own_clocks(void)
{
    lab_step("beyond the article: clocks of its own");
    lab_shell("unshare --time --boottime %d cat /proc/uptime", DAY);
    long long before = seconds_since_boot();
    LAB_SANDBOX sandbox = open_sandbox(live_a_day_later, NULL);
    long long inside = atoll(sandbox.said), after = seconds_since_boot();
    lab_fact("boottime.inside", "%lld s", inside);
    lab_fact("boottime.outside", "%lld s", after);
    lab_check(before + DAY <= inside && inside <= after + DAY,
              "inside, the machine has been running for a day longer");
    check_new_kinds(&sandbox, "time");
}

static void enter_all(void)
{
    char *argv[] = {"unshare", "-muinpC", "--kill-child", "--mount-proc", NULL};

    lab_read_unshare_options(&wanted, 4, argv);
    enter_namespaces();
    furnish(geteuid(), getegid());
    if (sethostname("sandbox", strlen("sandbox")) == -1)
        lab_die("sethostname");
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return unshare_tool(argc, argv);
    lab_open("03", "leave the machine's namespaces", 13, argc, argv);
    lab_need_command("ip", "iproute2");
    lab_need_command("ipcmk", "util-linux");
    lab_need_command("mount", "mount");
    lab_need_command("ps", "procps");
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
