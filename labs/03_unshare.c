/*
 * 03_unshare - leave the machine's namespaces for new ones.
 *
 *     sudo ./labs/03_unshare                       the experiment: each kind, inside and outside
 *     sudo ./labs/03_unshare OPTION... [COMMAND]   the tool, unshare(1): labs/tools/03_unshare.c
 *
 * Shows unshare(2), the two maps of a user namespace, why a PID namespace needs a fork, and the
 * related calls clone3(2) and setns(2). namespaces(7)
 */
#include "lab.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

int unshare_tool(int argc, char *argv[]);

enum {
    NOBODY = 65534,     /* an ordinary user, root in its user namespace */
    DAY = 24 * 60 * 60, /* seconds that the clock of the time namespace is ahead */
};

#define FLAG(flag) flag, #flag
static const struct kind {
    const char *name; /* of the file in /proc/PID/ns */
    int flag;
    const char *flag_name, *option, *isolates;
} KINDS[] = {
    {"user", FLAG(CLONE_NEWUSER), "user", "user and group IDs"},
    {"cgroup", FLAG(CLONE_NEWCGROUP), "cgroup", "the cgroup root"},
    {"ipc", FLAG(CLONE_NEWIPC), "ipc", "System V IPC, POSIX queues"},
    {"uts", FLAG(CLONE_NEWUTS), "uts", "host name, domain name"},
    {"net", FLAG(CLONE_NEWNET), "net", "devices, addresses, ports"},
    {"pid", FLAG(CLONE_NEWPID), "pid", "process IDs"},
    {"time", FLAG(CLONE_NEWTIME), "time", "boot-time clocks"},
    {"mnt", FLAG(CLONE_NEWNS), "mount", "mount points"},
};

/*
 * The mechanism: all of this runs in a child.
 */

static void write_file(const char *path, const char *text)
{
    int file = (int)lab_must(open(path, O_WRONLY | O_CLOEXEC));

    if (write(file, text, strlen(text)) != (ssize_t)strlen(text))
        lab_die("write '%s' to %s", text, path);
    close(file);
}

static void become_nobody(void)
{
    lab_must(setgroups(0, NULL));
    lab_must(setgid(NOBODY));
    lab_must(setuid(NOBODY));
    /* After a change of user, the kernel gives the files of this process in /proc to root. This
     * gives them to the new user, who has to write the maps. */
    lab_must(prctl(PR_SET_DUMPABLE, 1));
}

/* In a new user namespace no ID has a meaning until a map gives it one: "INSIDE OUTSIDE COUNT". An
 * ordinary user may map one ID, its own. */
static void map_nobody_to_root(void)
{
    write_file("/proc/self/uid_map", "0 65534 1");
    /* A group can be used to deny access to its members. A user who could drop groups would get
     * around that; so the kernel takes the map of groups only after setgroups(2) is denied. */
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/gid_map", "0 65534 1");
}

/* Return in a new child. A process keeps its PID, so it cannot enter another PID namespace itself;
 * unshare(2) and setns(2) choose the namespace of its next children. The parent only waits. */
static void go_on_in_child(pid_t child)
{
    if (child > 0)
        exit(lab_wait(child));
}

struct request {
    int flags;          /* CLONE_NEW... */
    const char *script; /* what sh runs; NULL: what lab_tell() tells it */
    bool own_proc;      /* mount a /proc that shows the new PID namespace */
};

/* What "unshare OPTIONS sh -c SCRIPT" does. */
static int leave_namespaces(void *argument)
{
    const struct request *request = argument;

    if (request->flags & CLONE_NEWUSER)
        become_nobody();
    lab_must(unshare(request->flags));
    if (request->flags & CLONE_NEWUSER)
        map_nobody_to_root();
    /* The new namespace has a copy of each mount. A copy of a shared mount still propagates. */
    if (request->flags & CLONE_NEWNS)
        lab_must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    if (request->flags & CLONE_NEWPID)
        go_on_in_child((pid_t)lab_must(lab_fork()));
    lab_hold_still();
    if (request->own_proc)
        lab_must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    lab_exec((char *[]){"sh", request->script ? "-c" : NULL, (char *)request->script, NULL});
}

/*
 * The experiment: a function for each step. A sandbox is a child in new namespaces that holds
 * still, so that the step can look at it from outside.
 */

static struct lab_sandbox *box; /* the present step's; $BOX is its PID */

static void open_box(int (*body)(void *), void *argument)
{
    char number[16];

    box = lab_sandbox(body, argument);
    snprintf(number, sizeof(number), "%d", (int)box->pid);
    lab_must(setenv("BOX", number, 1));
}

/* Show the line "unshare OPTIONS sh -c SCRIPT" and do the same, with the FLAGS of these options. */
static void run_in_new(int flags, const char *options, const char *script)
{
    char whole[512];

    lab_type("%sunshare %s sh -c '%s'",
             flags & CLONE_NEWUSER ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "",
             options, script);
    snprintf(whole, sizeof(whole), "%s%s", script, LAB_HOLD_STILL);
    open_box(leave_namespaces, &(struct request){.flags = flags, .script = whole});
    lab_go_on(box);
}

/* Of the eight namespaces of the sandbox, those in NAMES are new. */
static void check_new(const char *names)
{
    lab_check_text(lab_namespaces_differing(0, box->pid), names,
                   "new: %s; the other namespaces are the machine's", names);
}

static int count(const char *word, const char *text)
{
    int found = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        found++;
    return found;
}

static void show_side_by_side(void)
{
    lab_say("%-8s%-13sin the sandbox", "", "outside");
    for (int i = 0; i < LAB_COUNT(KINDS); i++) {
        ino_t ours = lab_namespace_inode(0, KINDS[i].name);
        ino_t its = lab_namespace_inode(box->pid, KINDS[i].name);
        lab_say("%-8s%-13lu%lu%s", KINDS[i].name, (unsigned long)ours, (unsigned long)its,
                ours == its ? "" : "   differs");
    }
}

static void eight_kinds(void)
{
    int found = 0;

    lab_step("what a process has: eight namespaces");
    lab_type("ls -l /proc/self/ns");
    for (int i = 0; i < LAB_COUNT(KINDS); i++) {
        ino_t inode = lab_namespace_inode(0, KINDS[i].name);
        lab_say("%-7s %-15s --%-6s %lu  %s", KINDS[i].name, KINDS[i].flag_name, KINDS[i].option,
                (unsigned long)inode, KINDS[i].isolates);
        found += inode != 0;
    }
    lab_check_number(found, LAB_COUNT(KINDS), "this kernel has all eight kinds");
}

static void own_host_name(void)
{
    lab_step("UTS: a host name of its own");
    const char *before = lab_text("/proc/sys/kernel/hostname");
    run_in_new(CLONE_NEWUTS, "--uts", "hostname sandbox; uname -n");
    const char *after = lab_text("/proc/sys/kernel/hostname");
    lab_fact("hostname.outside", "%s", after);
    lab_check_text(box->said, "sandbox\n", "inside, the host has a new name");
    lab_check_text(after, before, "outside, it has kept its name");
    check_new("uts");
    lab_say(
        "(The sandbox lives until the next step begins. $BOX is its PID: in a shell of --step,\n"
        "nsenter --target $BOX --uts hostname enters it.)");
}

static void own_queues(void)
{
    lab_step("IPC: message queues of its own");
    run_in_new(CLONE_NEWIPC, "--ipc", "ipcmk --queue >/dev/null; tail -n 1 /proc/sysvipc/msg");
    key_t key = (key_t)strtol(box->said, NULL, 10); /* the first column */
    int error = msgget(key, 0) == -1 ? errno : 0;
    lab_fact("msgget.outside", "%s", error ? lab_strerror(error) : "0 (found)");
    lab_check(key != 0, "inside there is a queue with a key");
    lab_check_errno(error, ENOENT, "outside, no queue has that key");
    check_new("ipc");
}

static void own_numbers(void)
{
    lab_step("PID: numbers of its own");
    run_in_new(CLONE_NEWPID, "--pid --fork", "echo $$");
    lab_fact("pid.outside", "%d", (int)box->pid);
    lab_check_text(box->said, "1\n", "inside, the shell is process 1");
    lab_check(box->pid > 1 && strstr(lab_text("/proc/%d/status", (int)box->pid),
                                     lab_path("\nNSpid:\t%d\t1\n", (int)box->pid)),
              "outside, the same process has an ordinary number");
    check_new("pid");
}

static void own_mounts(void)
{
    lab_step("mount: a file system that is not visible outside");
    /* As systemd makes them: a mount below a shared one appears in all its copies, too. */
    lab_must(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL));
    lab_mkdir("private");
    run_in_new(CLONE_NEWNS, "--mount",
               "mount -n -t tmpfs tmpfs private; echo hello >private/note; ls private");
    int error = access("private/note", F_OK) == -1 ? errno : 0;
    lab_fact("private/note.outside", "%s", error ? lab_strerror(error) : "0 (found)");
    lab_check(lab_exists("/proc/%d/cwd/private/note", (int)box->pid),
              "inside, the file system is mounted");
    lab_check_errno(error, ENOENT, "outside, the directory is as empty as before");
    check_new("mnt");
}

static void own_network(void)
{
    lab_step("network: devices of its own");
    run_in_new(CLONE_NEWNET, "--net", "ip -brief link");
    lab_check(strncmp(box->said, "lo ", 3) == 0, "inside there is lo, the loopback device");
    /* Tunnels, which some modules put into every namespace, do not count: they have no ARP. */
    lab_check_number(count("\n", box->said) - count("NOARP", box->said), 1, "and no other");
    check_new("net");
}

static void own_root(void)
{
    struct stat process;

    lab_step("user: root inside, an ordinary user outside");
    run_in_new(CLONE_NEWUSER, "--user --map-root-user", "id -u; id -g");
    lab_fact("uid_map", "%s", lab_text("/proc/%d/uid_map", (int)box->pid));
    lab_must(stat(lab_path("/proc/%d", (int)box->pid), &process));
    lab_fact("uid.outside", "%u", process.st_uid);
    lab_check_text(box->said, "0\n0\n", "inside, it is root");
    lab_check_number(process.st_uid, NOBODY, "outside, the same process belongs to user 65534");
    check_new("user");
}

static void the_article(void)
{
    lab_step("all processes that a sandbox sees are its own");
    lab_type("unshare --pid --fork --mount-proc /bin/sh");
    open_box(leave_namespaces,
             &(struct request){.flags = CLONE_NEWPID | CLONE_NEWNS, .own_proc = true});
    lab_check_text(lab_tell(box, "echo $$").text, "1\n", "the shell is process 1");
    lab_check_number(count("\n", lab_tell(box, "ps ax").text) - 1, 2,
                     "ps lists two processes, the shell and itself");
}

static void side_by_side(void)
{
    lab_step("the namespaces of a child and of its parent, side by side");
    lab_type("ls -l /proc/self/ns");
    lab_type("unshare --pid --fork --mount sh -c 'ls -l /proc/self/ns'");
    open_box(leave_namespaces, &(struct request){.flags = CLONE_NEWPID | CLONE_NEWNS});
    show_side_by_side();
    check_new("pid mnt");
}

/* Two children, one after the other. */
static int fork_twice(__attribute__((unused)) void *unused)
{
    lab_must(unshare(CLONE_NEWPID));
    pid_t first = (pid_t)lab_must(lab_fork());
    if (first == 0)
        _exit(getpid()); /* a small number, so that it can be an exit status */
    printf("first child: process %d\n", lab_wait(first));
    pid_t second = lab_fork();
    if (second == 0)
        _exit(EXIT_SUCCESS);
    printf("second fork: errno %d\n", second == -1 ? errno : 0);
    return 0;
}

static void why_fork(void)
{
    int first = 0, error = 0;

    lab_step("why --fork");
    lab_say("unshare(2) leaves the caller in its PID namespace. The next child is created in the\n"
            "new one, as process 1. When process 1 has ended, no process can be created there.");
    struct lab_answer shell =
        lab_try("unshare --pid sh -c '/bin/true && echo one child; /bin/true; echo not reached'");
    lab_check(strncmp(shell.text, "one child\n", 10) == 0 && !strstr(shell.text, "not reached"),
              "the shell can fork once, and not twice");
    lab_say("The same by the system calls alone:");
    open_box(fork_twice, NULL);
    sscanf(box->said, "first child: process %d second fork: errno %d", &first, &error);
    ino_t own = lab_namespace_inode(box->pid, "pid");
    ino_t children = lab_namespace_inode(box->pid, "pid_for_children");
    lab_fact("pid", "%lu", (unsigned long)own);
    lab_fact("pid_for_children", "%lu", (unsigned long)children);
    lab_fact("fork.errno", "%s", lab_strerror(error));
    lab_check(own == lab_namespace_inode(0, "pid") && own != children,
              "the process itself has stayed outside, only its children have not");
    lab_check_number(first, 1, "its first child was process 1");
    lab_check_errno(error, ENOMEM, "when that one has ended, fork fails with ENOMEM");
}

/* unshare(2) and fork(2) in one call: the child is created in new namespaces. */
static int clone_into_new(__attribute__((unused)) void *unused)
{
    struct clone_args how = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};

    go_on_in_child((pid_t)lab_must(syscall(SYS_clone3, &how, sizeof(how))));
    return printf("%d\n", (int)getpid()) < 0;
}

static int join(void *target)
{
    int pidfd = (int)lab_must(syscall(SYS_pidfd_open, *(pid_t *)target, 0));

    lab_must(setns(pidfd, CLONE_NEWPID | CLONE_NEWNS));
    go_on_in_child((pid_t)lab_must(lab_fork()));
    return printf("%d\n", (int)getpid()) < 0;
}

static void three_calls(void)
{
    lab_step("three calls: unshare, clone, setns");
    lab_say(
        "clone3(2) does in one call what unshare(2) and fork(2) do in two: it creates the child\n"
        "in new namespaces. setns(2) joins namespaces that exist.");
    open_box(clone_into_new, NULL);
    show_side_by_side();
    lab_check_text(box->said, "1\n", "the child of clone3 is process 1");
    check_new("pid mnt");
    const struct lab_sandbox *joined = lab_sandbox(join, &box->pid);
    lab_check_text(joined->said, "2\n", "the process that joins by setns gets the next number, 2");
    lab_check_text(lab_namespaces_differing(box->pid, joined->pid), "",
                   "and shares all eight namespaces with it");
}

static void own_cgroup_root(void)
{
    lab_step("beyond the article: a cgroup root of its own");
    lab_try("grep -v :/$ /proc/self/cgroup || echo 'the root in each hierarchy'");
    run_in_new(CLONE_NEWCGROUP, "--cgroup", "cat /proc/self/cgroup");
    lab_check(count("\n", box->said) > 0 && count("\n", box->said) == count(":/\n", box->said),
              "inside, the cgroup that the process was in is the root");
    check_new("cgroup");
}

static long long seconds_since_boot(void)
{
    struct timespec now;

    lab_must(clock_gettime(CLOCK_BOOTTIME, &now));
    return now.tv_sec;
}

/* The clocks can be set until the first process is in the namespace; afterwards none may jump. */
static int live_a_day_later(__attribute__((unused)) void *unused)
{
    lab_must(unshare(CLONE_NEWTIME));
    write_file("/proc/self/timens_offsets", lab_path("boottime %d 0", DAY));
    go_on_in_child((pid_t)lab_must(lab_fork()));
    return printf("%lld\n", seconds_since_boot()) < 0;
}

static void own_clocks(void)
{
    lab_step("beyond the article: clocks of its own");
    lab_type("unshare --time --fork --boottime %d cut -d. -f1 /proc/uptime", DAY);
    long long before = seconds_since_boot();
    open_box(live_a_day_later, NULL);
    long long inside = atoll(box->said), after = seconds_since_boot();
    lab_fact("boottime.inside", "%lld s", inside);
    lab_fact("boottime.outside", "%lld s", after);
    lab_check(before + DAY <= inside && inside <= after + DAY,
              "inside, the machine has been running for a day longer");
    check_new("time");
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return unshare_tool(argc, argv);
    lab_open("03", "leave the machine's namespaces", 13, argc, argv);
    lab_need_command("hostname", "hostname");
    lab_need_command("ip", "iproute2");
    lab_need_command("ipcmk", "util-linux");
    lab_need_command("mount", "mount");
    lab_need_command("ps", "procps");
    lab_need_command("unshare", "util-linux");
    lab_shell_is("unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child "
                 "--mount-proc sh -c 'hostname sandbox; exec $SHELL'");
    eight_kinds();
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
    return lab_close();
}
