/*
 * 04_setns - enter namespaces that exist.
 *
 *     sudo ./labs/04_setns                          the experiment: enter a process's namespaces
 *     sudo ./labs/04_setns -t PID -p -n [COMMAND]   the tool, nsenter(1): labs/tools/04_setns.c
 *
 * Shows setns(2) by a file of /proc/PID/ns, and beyond the article that the labs follow: a pidfd,
 * and what happens to root in a user namespace. namespaces(7) As in lab 03, a step shows a command
 * line and does the same in a child, its sandbox: a function enter_... makes the system calls of
 * the command, then the child executes sh.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lab.h"

int nsenter_tool(int argc, char *argv[]);

static pid_t target;            /* a process in five namespaces of its own */
static pid_t other;             /* a process in a user namespace of its own */
static struct lab_sandbox *box; /* the sandbox of the present step; $BOX is its PID */

/* $! would be unshare(1), the parent of the target. So the target reads its PID in the machine's
 * /proc, before it mounts its own, and writes it when it is ready. cat waits for that. */
static void make_target(void)
{
    lab_step("a process in five new namespaces");
    lab_run("mkfifo ready");
    lab_start("unshare --pid --fork --kill-child --net --uts --mount --ipc sh -c '"
              "read -r pid rest </proc/self/stat; "
              "hostname target; "
              "mount -n -t proc proc /proc; "
              "echo $pid >ready; "
              "exec sleep 1000'");
    lab_set("TARGET", "$(cat ready)");
    target = (pid_t)atoi(lab_path("$TARGET"));
    lab_fact("TARGET", "%d", (int)target);
    lab_check_text(lab_namespaces_differing(target, 0), "ipc uts net pid mnt",
                   "these are its own, the other three are ours");
}

/* The first way: a descriptor and a call for each namespace. Open all files first: in another mount
 * namespace, /proc can show other processes. */
static void enter_pid_and_net(void)
{
    int pid = (int)lab_do(open(lab_path("/proc/$TARGET/ns/pid"), O_RDONLY | O_CLOEXEC));
    int net = (int)lab_do(open(lab_path("/proc/$TARGET/ns/net"), O_RDONLY | O_CLOEXEC));

    lab_do(setns(pid, CLONE_NEWPID));
    lab_do(setns(net, CLONE_NEWNET));
    lab_continue_in_child(lab_fork());
}

static void two_by_files(void)
{
    lab_step("enter two of them");
    box = lab_try_in_sandbox(enter_pid_and_net, "nsenter --target $TARGET --pid --net",
                             "echo process $$ on $(uname -n)");
    lab_show_namespaces(3, "caller", 0, "entered", box->pid, "target", target);
    lab_check_text(lab_namespaces_differing(box->pid, 0), "net pid",
                   "only net and pid are not the caller's");
    lab_check_text(lab_namespaces_differing(box->pid, target), "ipc uts mnt",
                   "and these two are the target's");
}

static void enter_pid_without_fork(void)
{
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, target, 0));

    lab_do(setns(pidfd, CLONE_NEWPID));
}

static void enter_pid(void)
{
    enter_pid_without_fork();
    lab_continue_in_child(lab_fork());
}

static void why_pid_needs_a_fork(void)
{
    unsigned long ours = lab_namespace_inode(0, "pid"), theirs = lab_namespace_inode(target, "pid");

    lab_step("why a PID namespace needs a fork");
    lab_say("The PID of a process never changes, so neither does its PID namespace: setns(2) only\n"
            "chooses the namespace of its children. With --no-fork the command is not a child.");
    box = lab_try_in_sandbox(enter_pid_without_fork, "nsenter -t $TARGET -p --no-fork",
                             "cd /proc/self/ns; readlink pid pid_for_children");
    lab_check_text(box->said, lab_path("pid:[%lu]\npid:[%lu]\n", ours, theirs),
                   "pid is the caller's, pid_for_children the target's");
    box = lab_try_in_sandbox(enter_pid, "nsenter -t $TARGET -p",
                             "echo $$; readlink /proc/self/ns/pid");
    int number = atoi(box->said);
    lab_check_text(box->said, lab_path("%d\npid:[%lu]\n", number, theirs),
                   "a forked child is in the target's PID namespace");
    lab_check(number > 1 && number < 100, "and has a PID there, soon after 1");
}

/* The second way: a pidfd, and one call that joins all namespaces of its flags. Linux 5.8 */
static void enter_five(void)
{
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, target, 0));

    lab_do(setns(pidfd, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWIPC));
    lab_continue_in_child(lab_fork());
}

/* A process cannot enter the user namespace that it is in, and the target's is the machine's. */
static void enter_impossible(void)
{
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, target, 0));
    int result = setns(pidfd, CLONE_NEWNET | CLONE_NEWUSER);

    printf("setns: %s\n", result == -1 ? lab_strerror(errno) : "done");
}

static void all_at_once(void)
{
    lab_step("beyond the article: all at once, by a pidfd");
    box = lab_try_in_sandbox(enter_five, "nsenter -t $TARGET -p -n -u -m -i",
                             "echo process $$ on $(uname -n)");
    lab_check_text(lab_namespaces_differing(box->pid, 0), "ipc uts net pid mnt",
                   "five were joined by one call");
    lab_check_text(lab_namespaces_differing(box->pid, target), "", "all are the target's now");
    lab_say("A process cannot enter the user namespace that it is in. Asked for two,\n"
            "setns(pidfd, CLONE_NEWNET | CLONE_NEWUSER) joins both or none:");
    box = lab_sandbox(enter_impossible);
    lab_check_text(box->said, "setns: EINVAL (Invalid argument)\n", "it fails with EINVAL");
    lab_check_text(lab_namespaces_differing(box->pid, 0), "",
                   "and the net namespace is still the old one");
}

/* clone3(2) lets root choose the PID, here in the target's PID namespace. */
static pid_t start_process_1000(void)
{
    const pid_t number = 1000;
    struct clone_args how = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1};
    pid_t child = (pid_t)lab_must(syscall(SYS_clone3, &how, sizeof(how)));

    if (child == 0) {
        lab_must(close_range(0, ~0U, 0)); /* keeps no pipe of the sandbox open */
        for (;;)
            pause();
    }
    return child;
}

/* Use the PID, by a kill(2) that sends no signal, and the pidfd. */
static void try_both(const char *process, int pidfd)
{
    int by_pid = kill(1000, 0) == -1 ? errno : 0;
    int by_pidfd = setns(pidfd, CLONE_NEWPID) == -1 ? errno : 0;

    printf("%s process: kill(1000) %s, setns(pidfd) %s\n", process, strerrorname_np(by_pid),
           strerrorname_np(by_pidfd));
}

static void use_a_pid_again(void)
{
    enter_pid();
    pid_t first = start_process_1000();
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, first, 0));
    try_both("first", pidfd);
    lab_must(kill(first, SIGKILL));
    lab_wait(first);
    pid_t second = start_process_1000();
    try_both("second", pidfd);
    lab_must(kill(second, SIGKILL));
    lab_wait(second);
}

static void pid_and_pidfd(void)
{
    lab_step("beyond the article: a PID is used again, a pidfd is not");
    lab_say(
        "A process has the PID 1000, and a pidfd of it is opened. It ends, and a second process\n"
        "gets the PID 1000. (0 is success; ESRCH is \"no such process\".)");
    lab_check_text(lab_sandbox(use_a_pid_again)->said,
                   "first process: kill(1000) 0, setns(pidfd) 0\n"
                   "second process: kill(1000) 0, setns(pidfd) ESRCH\n",
                   "the PID now names another process; the pidfd does not");
}

static void enter_user(void)
{
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, other, 0));

    lab_do(setns(pidfd, CLONE_NEWUSER));
}

/* User 0 and group 0 of the machine are not in the maps, so the process becomes 100000 in both,
 * which is 0 inside. It must not keep the other groups of the machine's root. */
static void enter_user_as_root(void)
{
    lab_do(setgroups(0, NULL));
    enter_user();
    lab_do(setgid(0));
    lab_do(setuid(0));
}

static void root_inside(void)
{
    const unsigned user =
        lab_choose_ids(100000, NULL); /* 0: an ordinary user's own, and there is no other */
    struct stat status = {0};

    lab_step("beyond the article: enter a user namespace");
    lab_start("unshare --user --fork --kill-child sh -c 'echo $$ >ready; exec sleep 1000'");
    lab_set("OTHER", "$(cat ready)");
    other = (pid_t)atoi(lab_path("$OTHER"));
    lab_echo(lab_path("0 %u 1", user), "/proc/$OTHER/uid_map");
    lab_echo(lab_path("0 %u 1", user), "/proc/$OTHER/gid_map");
    lab_run("mkdir -m 777 shared");
    box = lab_try_in_sandbox(user ? enter_user_as_root : enter_user,
                             user ? "nsenter -t $OTHER --user"
                                  : "nsenter -t $OTHER --user --preserve-credentials",
                             "touch shared/note; id -u");
    lab_check_text(box->said, "0\n", "entered, we are its root");
    lab_check(stat("shared/note", &status) == 0 && status.st_uid == user,
              "a file made by that root belongs to the ordinary user %u outside", user);
    if (user == 0)
        return;
    box =
        lab_try_in_sandbox(enter_user, "nsenter -t $OTHER --user --preserve-credentials", "id -u");
    lab_check_text(box->said, "65534\n",
                   "root of the machine has no ID inside, and is shown as 65534");
}

int main(int argc, char *argv[])
{
    lab_open("04", "enter namespaces that exist", 6, nsenter_tool, argc, argv);
    lab_need_commands("unshare:util-linux hostname:hostname mount:mount");
    make_target();
    two_by_files();
    why_pid_needs_a_fork();
    all_at_once();
    pid_and_pidfd();
    root_inside();
    return lab_close("nsenter -t $TARGET -m -u -p -n -i $SHELL");
}
