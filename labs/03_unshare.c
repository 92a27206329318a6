/*
 * 03_unshare - leave the machine's namespaces for new ones.
 *
 *     sudo ./labs/03_unshare                       the experiment: each kind, inside and outside
 *     sudo ./labs/03_unshare OPTION... [COMMAND]   the tool, unshare(1): labs/tools/03_unshare.c
 *
 * Shows unshare(2), the two maps of a user namespace, why a PID namespace needs a fork; clone3(2),
 * setns(2). The last two steps go beyond the article that the labs follow. namespaces(7)
 *
 * A step shows a command line and does the same in a child, its sandbox: a function new_... makes
 * the system calls of the command, then the child executes sh. It lives until the next step begins.
 */
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

#include "lab.h"

int unshare_tool(int argc, char *argv[]);

static struct lab_sandbox *box; /* the sandbox of the present step; $BOX is its PID */

/* Of the sandbox's namespaces, those in NAMES are new, and the others are this process's own. */
static void check_new(const char *names)
{
    lab_check_text(lab_namespaces_differing(0, box->pid), names,
                   "new: %s; the other namespaces are the machine's", names);
}

static void eight_kinds(void)
{
    /* The file in /proc/PID/ns; flag, option of unshare(1), and what the kind isolates. */
    static const char *const kinds[][2] = {
        {"user", "CLONE_NEWUSER    --user    user and group IDs"},
        {"cgroup", "CLONE_NEWCGROUP  --cgroup  the cgroup root"},
        {"ipc", "CLONE_NEWIPC     --ipc     System V IPC, POSIX queues"},
        {"uts", "CLONE_NEWUTS     --uts     host name, domain name"},
        {"net", "CLONE_NEWNET     --net     devices, addresses, ports"},
        {"pid", "CLONE_NEWPID     --pid     process IDs"},
        {"time", "CLONE_NEWTIME    --time    boot-time clocks"},
        {"mnt", "CLONE_NEWNS      --mount   mount points"},
    };
    int found = 0;

    lab_step("what a process has: eight namespaces");
    lab_say("The files of /proc/self/ns, their inode numbers, and what each kind isolates:");
    for (int i = 0; i < LAB_COUNT(kinds); i++) {
        ino_t inode = lab_namespace_inode(0, kinds[i][0]);
        lab_say("%-7s %lu  %s", kinds[i][0], (unsigned long)inode, kinds[i][1]);
        found += inode != 0;
    }
    lab_check_number(found, LAB_COUNT(kinds), "this kernel has all eight kinds");
}

static void new_uts(void)
{
    lab_do(unshare(CLONE_NEWUTS));
}

static void own_host_name(void)
{
    lab_step("UTS: a host name of its own");
    const char *before = lab_try("uname -n").text;
    box = lab_try_in_sandbox(new_uts, "unshare --uts", "hostname sandbox; uname -n");
    lab_check_text(box->said, "sandbox\n", "inside, the host has a new name");
    lab_check_text(lab_try("uname -n").text, before, "outside, it has kept its name");
    check_new("uts");
    lab_say("(The sandbox exists until the next step begins. $BOX is its PID: in a shell of\n"
            "--step, nsenter --target $BOX --uts hostname enters it.)");
}

static void new_ipc(void)
{
    lab_do(unshare(CLONE_NEWIPC));
}

static void own_queues(void)
{
    lab_step("IPC: message queues of its own");
    box = lab_try_in_sandbox(new_ipc, "unshare --ipc",
                             "ipcmk --queue >/dev/null; tail -n 1 /proc/sysvipc/msg");
    key_t key = (key_t)strtol(box->said, NULL, 10); /* the first column */
    int error = msgget(key, 0) == -1 ? errno : 0;
    lab_fact("msgget.outside", "%s", error ? lab_strerror(error) : "0 (found)");
    lab_check(key != 0, "inside there is a queue with a key");
    lab_check_text(strerrorname_np(error), "ENOENT", "outside, no queue has that key");
    check_new("ipc");
}

/* A process keeps its PID, so it cannot enter another PID namespace itself: unshare(2) chooses the
 * namespace of its next children. The parent waits in the last call; only the child returns. */
static void new_pid(void)
{
    lab_do(unshare(CLONE_NEWPID));
    lab_continue_in_child(lab_fork());
}

static void own_numbers(void)
{
    lab_step("PID: numbers of its own");
    box = lab_try_in_sandbox(new_pid, "unshare --pid --fork", "echo $$");
    lab_check_text(box->said, "1\n", "inside, the shell is process 1");
    lab_fact("pid.outside", "%d", (int)box->pid);
    /* NSpid has its PID in each PID namespace that it is visible in, the innermost last. */
    lab_check(box->pid > 1 &&
                  strstr(lab_text("/proc/$BOX/status"), lab_path("\nNSpid:\t$BOX\t1\n")),
              "outside, the same process has an ordinary number");
    check_new("pid");
}

/* The new namespace begins with a copy of each mount. What is mounted below a shared mount appears
 * below all its copies, also outside; below a private mount it does not. */
static void new_mount(void)
{
    lab_do(unshare(CLONE_NEWNS));
    lab_do(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void own_mounts(void)
{
    lab_step("mount: a file system that is not visible outside");
    lab_must(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL)); /* as systemd makes all mounts */
    lab_mkdir("private");
    box = lab_try_in_sandbox(new_mount, "unshare --mount",
                             "mount -n -t tmpfs tmpfs private; touch private/note; ls private");
    lab_check(lab_exists("/proc/$BOX/cwd/private/note"), "inside, the file system is mounted");
    lab_check_text(lab_try("ls private").text, "", "outside, the directory is as empty as before");
    check_new("mnt");
}

static void new_net(void)
{
    lab_do(unshare(CLONE_NEWNET));
}

static void own_network(void)
{
    lab_step("network: devices of its own");
    box = lab_try_in_sandbox(new_net, "unshare --net", "ip -brief link");
    lab_check(strncmp(box->said, "lo ", 3) == 0, "inside there is lo, the loopback device");
    /* Tunnels, which some modules put into every namespace, do not count: they have no ARP. */
    lab_check_number(lab_count_in(box->said, "\n") - lab_count_in(box->said, "NOARP"), 1,
                     "and no other");
    check_new("net");
}

/* Returns the number of bytes; these files take one write(2), or refuse it. */
static ssize_t write_file(const char *path, const char *text)
{
    int file = (int)lab_must(open(path, O_WRONLY | O_CLOEXEC));

    return write(file, text, strlen(text));
}

static void new_user(void)
{
    lab_do(setgroups(0, NULL));
    lab_do(setgid(65534)); /* an ordinary user and its group */
    lab_do(setuid(65534));
    /* After a change of user, the kernel gives the files of this process in /proc to root. This
     * gives them to the new user, who writes the maps. (The execve(2) of unshare does it, too.) */
    lab_do(prctl(PR_SET_DUMPABLE, 1));
    lab_do(unshare(CLONE_NEWUSER));
    /* In the new namespace no ID has a meaning until a map gives it one: "INSIDE OUTSIDE COUNT". An
     * ordinary user may map one ID, its own. */
    lab_do(write_file("/proc/self/uid_map", "0 65534 1"));
    /* A file may deny access to one group; so that no user leaves that group by setgroups(2), the
     * kernel takes a user's map of groups only after setgroups is denied. */
    lab_do(write_file("/proc/self/setgroups", "deny"));
    lab_do(write_file("/proc/self/gid_map", "0 65534 1"));
}

/* For an ordinary user without further IDs: the only ID of this namespace is 0. */
static void new_user_alone(void)
{
    lab_do(unshare(CLONE_NEWUSER));
    lab_do(write_file("/proc/self/uid_map", "0 0 1"));
    lab_do(write_file("/proc/self/setgroups", "deny"));
    lab_do(write_file("/proc/self/gid_map", "0 0 1"));
}

static void own_root(void)
{
    const unsigned user = lab_choose_ids(65534, NULL);
    struct stat process;

    lab_step("user: root inside, an ordinary user outside");
    box = lab_try_in_sandbox(
        user ? new_user : new_user_alone,
        user ? "setpriv --reuid=65534 --regid=65534 --clear-groups unshare --user --map-root-user"
             : "unshare --user --map-root-user",
        "id -u; id -g");
    lab_fact("uid_map", "%s", lab_text("/proc/$BOX/uid_map"));
    lab_must(stat(lab_path("/proc/$BOX"), &process));
    lab_fact("uid.outside", "%u", process.st_uid);
    lab_check_text(box->said, "0\n0\n", "inside, it is root");
    lab_check_number(process.st_uid, user, "outside, the same process belongs to user %u", user);
    check_new("user");
}

/* ps(1) reads /proc, and the one outside shows the processes of the machine. A new one shows those
 * in the PID namespace of the process that mounts it: hence the fork comes first. */
static void new_pid_and_mount(void)
{
    lab_do(unshare(CLONE_NEWPID | CLONE_NEWNS));
    lab_do(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    lab_continue_in_child(lab_fork());
    lab_do(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
}

static void the_article(void)
{
    lab_step("all processes that a sandbox sees are its own");
    box = lab_try_in_sandbox(new_pid_and_mount, "unshare --pid --fork --mount-proc /bin/sh", NULL);
    lab_check_text(lab_tell(box, "echo $$").text, "1\n", "the shell is process 1");
    lab_check_number(lab_count_in(lab_tell(box, "ps ax").text, "\n") - 1, 2,
                     "ps lists two processes, the shell and itself");
}

static void side_by_side(void)
{
    lab_step("the namespaces of a child and of its parent, side by side");
    box = lab_try_in_sandbox(new_pid_and_mount, "unshare --pid --fork --mount-proc",
                             "readlink /proc/self/ns/pid /proc/self/ns/mnt");
    lab_show_namespaces(2, "parent", 0, "child", box->pid);
    check_new("pid mnt");
}

static void fork_twice(void)
{
    lab_do(unshare(CLONE_NEWPID));
    pid_t first = (pid_t)lab_must(lab_fork());
    if (first == 0)
        _exit(getpid()); /* a small number, so that it can be an exit status */
    printf("first fork: process %d\n", lab_wait(first));
    pid_t second = lab_fork();
    if (second == 0)
        _exit(EXIT_SUCCESS);
    printf("second fork: %s\n", second == -1 ? lab_strerror(errno) : "a process");
}

static void why_fork(void)
{
    lab_step("why --fork");
    lab_say("unshare(2) leaves the caller in its PID namespace. The next child is created in the\n"
            "new one, as process 1. When process 1 has ended, no process can be created there.");
    struct lab_answer shell =
        lab_try("unshare --pid sh -c '/bin/true && echo one child; /bin/true; echo not reached'");
    lab_check(strncmp(shell.text, "one child\n", 10) == 0 && !strstr(shell.text, "not reached"),
              "the shell can fork once, and not twice");
    lab_say("The same by the system calls alone:");
    box = lab_sandbox(fork_twice);
    ino_t own = lab_namespace_inode(box->pid, "pid");
    ino_t children = lab_namespace_inode(box->pid, "pid_for_children");
    lab_fact("pid", "%lu", (unsigned long)own);
    lab_fact("pid_for_children", "%lu", (unsigned long)children);
    lab_check(own == lab_namespace_inode(0, "pid") && own != children,
              "the process itself has stayed outside, only its children have not");
    lab_check(strstr(box->said, "first fork: process 1\n"), "its first child was process 1");
    lab_check(strstr(box->said, "second fork: ENOMEM "),
              "when that one has ended, fork fails with ENOMEM");
}

/* clone3(2) returns twice: in the parent, with the PID of the child, and in the child, with 0. */
static void clone_into_new(void)
{
    struct clone_args how = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};

    lab_continue_in_child((pid_t)lab_do(syscall(SYS_clone3, &how, sizeof(how))));
    printf("PID %d\n", (int)getpid());
}

/* A pidfd is a descriptor of a process: lab 04. */
static void join_box(void)
{
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, box->pid, 0));

    lab_do(setns(pidfd, CLONE_NEWPID | CLONE_NEWNS));
    lab_continue_in_child(lab_fork());
    printf("PID %d\n", (int)getpid());
}

static void three_calls(void)
{
    lab_step("three calls: unshare, clone, setns");
    lab_say("The steps above leave by unshare(2). clone3(2) does in one call what unshare(2) and\n"
            "fork(2) do in two: it creates the child in new namespaces.");
    box = lab_sandbox(clone_into_new);
    lab_check_text(box->said, "PID 1\n", "the child of clone3 is process 1");
    check_new("pid mnt");
    lab_say("setns(2) joins namespaces that exist, here those of that child.");
    const struct lab_sandbox *joined = lab_sandbox(join_box);
    lab_check_text(joined->said, "PID 2\n",
                   "the process that joins by setns gets the next number, 2");
    lab_check_text(lab_namespaces_differing(box->pid, joined->pid), "",
                   "and shares all eight namespaces with it");
}

static void new_cgroup(void)
{
    lab_do(unshare(CLONE_NEWCGROUP));
}

static void own_cgroup_root(void)
{
    lab_step("beyond the article: a cgroup root of its own");
    lab_try("grep -v :/$ /proc/self/cgroup || echo 'the root in each hierarchy'");
    box = lab_try_in_sandbox(new_cgroup, "unshare --cgroup", "cat /proc/self/cgroup");
    int lines = lab_count_in(box->said, "\n");
    lab_check(lines > 0 && lab_count_in(box->said, ":/\n") == lines,
              "inside, the cgroup that the process was in is the root");
    check_new("cgroup");
}

/* The clocks of the new namespace can be set until the first process is in it: from then on, none
 * may jump. As with PIDs, the process itself stays outside. */
static void new_time(void)
{
    lab_do(unshare(CLONE_NEWTIME));
    lab_do(write_file("/proc/self/timens_offsets", "boottime 86400 0")); /* one day ahead */
    lab_continue_in_child(lab_fork());
}

static void own_clocks(void)
{
    const long long day = 86400; /* seconds */

    lab_step("beyond the article: clocks of its own");
    long long before = atoll(lab_try("cut -d. -f1 /proc/uptime").text);
    box = lab_try_in_sandbox(new_time, "unshare --time --fork --boottime 86400",
                             "cut -d. -f1 /proc/uptime");
    long long inside = atoll(box->said), after = atoll(lab_text("/proc/uptime"));
    lab_check(before + day <= inside && inside <= after + day,
              "inside, the machine has been running for a day longer");
    check_new("time");
}

int main(int argc, char *argv[])
{
    lab_open("03", "leave the machine's namespaces", 13, unshare_tool, argc, argv);
    lab_need_commands(
        "hostname:hostname ip:iproute2 ipcmk:util-linux mount:mount ps:procps unshare:util-linux");
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
    return lab_close("unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child "
                     "--mount-proc sh -c 'hostname sandbox; exec $SHELL'");
}
