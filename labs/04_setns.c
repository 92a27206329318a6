/*
 * 04_setns - enter namespaces that exist.
 *
 *     sudo ./labs/04_setns                          the experiment: enter a process's namespaces
 *     sudo ./labs/04_setns -t PID -p -n [COMMAND]   the tool, nsenter(1): labs/tools/04_setns.c
 *
 * Shows setns(2) by a file of /proc/PID/ns and by a pidfd, why a PID namespace needs a fork, and
 * what happens to root in a user namespace. namespaces(7)
 */
#include "lab.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int nsenter_tool(int argc, char *argv[]);

static const char *const KINDS[] = {"user", "cgroup", "ipc", "uts", "net", "pid", "time", "mnt"};

static pid_t target; /* a process in five namespaces of its own */
static pid_t other;  /* a process in a user namespace of its own */

/*
 * The mechanism: all of this runs in a child.
 */

/* A process keeps its PID, so it cannot enter another PID namespace itself; setns(2) chooses the
 * namespace of its next children. The child returns, the parent only waits. */
static void go_on_in_child(void)
{
    pid_t child = (pid_t)lab_must(lab_fork());

    if (child > 0)
        exit(lab_wait(child));
}

/* By files: one descriptor and one call for each namespace. Open all of them first; in another
 * mount namespace, /proc can be a different one. */
static void enter_two_by_files(void)
{
    int pid = (int)lab_do(open(lab_path("/proc/$TARGET/ns/pid"), O_RDONLY | O_CLOEXEC));
    int net = (int)lab_do(open(lab_path("/proc/$TARGET/ns/net"), O_RDONLY | O_CLOEXEC));

    lab_do(setns(pid, CLONE_NEWPID));
    lab_do(setns(net, CLONE_NEWNET));
    go_on_in_child();
}

/* By a pidfd: one call joins all namespaces that the flags name, or none of them. Linux 5.8 */
static void enter_five_at_once(void)
{
    int pidfd = (int)lab_do(syscall(SYS_pidfd_open, target, 0));

    lab_do(setns(pidfd, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWIPC));
    go_on_in_child();
}

static void join(pid_t pid, int flags)
{
    int pidfd = (int)lab_must(syscall(SYS_pidfd_open, pid, 0));

    lab_must(setns(pidfd, flags));
}

static int run_without_fork(void *script)
{
    join(target, CLONE_NEWPID);
    lab_exec((char *[]){"sh", "-c", script, NULL});
}

static int run_in_pid_namespace(void *script)
{
    join(target, CLONE_NEWPID);
    go_on_in_child();
    lab_exec((char *[]){"sh", "-c", script, NULL});
}

static int run_in_user_namespace(void *script)
{
    join(other, CLONE_NEWUSER);
    lab_exec((char *[]){"sh", "-c", script, NULL});
}

/* User and group 0 of the machine have no ID inside. The process takes the IDs that are 0 inside;
 * it must not keep the other groups of the machine's root. */
static int run_as_its_root(void *script)
{
    lab_must(setgroups(0, NULL));
    join(other, CLONE_NEWUSER);
    lab_must(setgid(0));
    lab_must(setuid(0));
    lab_exec((char *[]){"sh", "-c", script, NULL});
}

/*
 * The experiment: a function for each step.
 */

/* Call ENTER in a child and print, kind by kind, the namespaces of the target, of that child, and
 * of this process. EXPECTED are the kinds in which the child has left those of this process: in
 * these it must be where the target is. */
static void enter_and_compare(void (*enter)(void), const char *expected, const char *claim)
{
    char entered[128] = "";
    ino_t *joined = mmap(NULL, sizeof(ino_t[LAB_COUNT(KINDS)]), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (joined == MAP_FAILED)
        lab_die("mmap");
    pid_t child = (pid_t)lab_must(lab_fork());
    if (child == 0) {
        enter();
        for (int i = 0; i < LAB_COUNT(KINDS); i++)
            joined[i] = lab_namespace_inode(0, KINDS[i]);
        exit(EXIT_SUCCESS);
    }
    if (lab_wait(child) != 0)
        exit(EXIT_FAILURE); /* the child has printed why */
    for (int i = 0; i < LAB_COUNT(KINDS); i++) {
        ino_t theirs = lab_namespace_inode(target, KINDS[i]);
        ino_t ours = lab_namespace_inode(0, KINDS[i]);
        lab_fact(KINDS[i], "target %lu, joined %lu, caller %lu", (unsigned long)theirs,
                 (unsigned long)joined[i], (unsigned long)ours);
        size_t length = strlen(entered);
        if (joined[i] != ours)
            snprintf(entered + length, sizeof(entered) - length, "%s%s%s", length ? " " : "",
                     KINDS[i], joined[i] == theirs ? "" : "(elsewhere)");
    }
    munmap(joined, sizeof(ino_t[LAB_COUNT(KINDS)]));
    lab_check_text(entered, expected, "%s", claim);
}

/* $! is unshare(1), the parent of the target. The target itself writes its PID, which it reads in
 * the machine's /proc, when it is ready; cat waits for that. */
static void make_target(void)
{
    lab_step("a process in five new namespaces");
    lab_run("mkfifo ready");
    lab_start("unshare --pid --fork --kill-child --net --uts --mount --ipc sh -c 'read -r pid rest "
              "</proc/self/stat; hostname target; mount -n -t proc proc /proc; echo $pid >ready; "
              "exec sleep 1000'");
    lab_set("TARGET", "$(cat ready)");
    target = (pid_t)atoi(lab_path("$TARGET"));
    lab_fact("TARGET", "%d", (int)target);
    lab_check_text(lab_namespaces_differing(target, 0), "ipc uts net pid mnt",
                   "these are its own, the other three are ours");
}

static void enter_pid_and_net(void)
{
    lab_step("enter two of them");
    lab_type("nsenter --target $TARGET --pid --net sh -c 'readlink /proc/self/ns/*'");
    enter_and_compare(enter_two_by_files, "net pid",
                      "net and pid are the target's, all others the caller's own");
}

static void why_pid_needs_a_fork(void)
{
    static char alone[] = "cd /proc/self/ns; readlink pid pid_for_children";
    static char forked[] = "echo $$; readlink /proc/self/ns/pid";
    char expected[96];
    unsigned long ours = lab_namespace_inode(0, "pid"), theirs = lab_namespace_inode(target, "pid");

    lab_step("why a PID namespace needs a fork");
    lab_say("The PID of a process never changes, so neither does its PID namespace: setns(2) only\n"
            "chooses the namespace of its children. With --no-fork the command is not a child.");
    lab_type("nsenter -t $TARGET -p --no-fork sh -c '%s'", alone);
    snprintf(expected, sizeof(expected), "pid:[%lu]\npid:[%lu]\n", ours, theirs);
    lab_check_text(lab_try_in_child(run_without_fork, alone).text, expected,
                   "pid is the caller's, pid_for_children the target's");
    lab_type("nsenter -t $TARGET -p sh -c '%s'", forked);
    struct lab_answer answer = lab_try_in_child(run_in_pid_namespace, forked);
    int number = atoi(answer.text);
    snprintf(expected, sizeof(expected), "%d\npid:[%lu]\n", number, theirs);
    lab_check_text(answer.text, expected, "a forked child is in the target's PID namespace");
    lab_check(number > 1 && number < 100, "and has a PID there, soon after 1");
}

/* Ask for one namespace that can be joined and one that cannot. Returns the errno of setns(2), or
 * 0 if the first was joined. */
static int enter_impossible(void)
{
    ino_t before = lab_namespace_inode(0, "net");
    int pidfd = (int)lab_must(syscall(SYS_pidfd_open, target, 0));
    int error = setns(pidfd, CLONE_NEWNET | CLONE_NEWUSER) == -1 ? errno : 0;

    return before == lab_namespace_inode(0, "net") ? error : 0;
}

static void all_at_once(void)
{
    lab_step("beyond the article: all at once, by a pidfd");
    enter_and_compare(enter_five_at_once, "ipc uts net pid mnt", "five were joined by one call");
    lab_say("A process cannot enter the user namespace that it is in. Asked for two,\n"
            "setns(pidfd, CLONE_NEWNET | CLONE_NEWUSER) joins both or none:");
    pid_t child = (pid_t)lab_must(lab_fork());
    if (child == 0)
        exit(enter_impossible());
    lab_check_errno(lab_wait(child), EINVAL, "EINVAL, and the net namespace is still the old one");
}

/* In the target's PID namespace, where no other process takes numbers: one process ends, the next
 * gets its number. The pidfd is that of the first. */
static int two_lives(__attribute__((unused)) void *unused)
{
    const pid_t number = 1000;
    struct clone_args how = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1};
    int pidfd = -1;

    join(target, CLONE_NEWPID);
    go_on_in_child();
    for (int life = 1; life <= 2; life++) {
        pid_t child = (pid_t)lab_must(syscall(SYS_clone3, &how, sizeof(how)));
        if (child == 0)
            for (;;)
                pause();
        if (life == 1)
            pidfd = (int)lab_must(syscall(SYS_pidfd_open, child, 0));
        int by_number = kill(number, 0) == -1 ? errno : 0;
        int by_pidfd = setns(pidfd, CLONE_NEWUTS) == -1 ? errno : 0;
        printf("life %d of PID %d: kill %s, setns(pidfd) %s\n", life, (int)number,
               strerrorname_np(by_number), strerrorname_np(by_pidfd));
        kill(child, SIGKILL);
        lab_wait(child);
    }
    return 0;
}

static void numbers_are_used_again(void)
{
    lab_step("beyond the article: a PID is used again, a pidfd is not");
    lab_say("A process is started with the PID 1000, and a pidfd of it is opened. It ends, and\n"
            "another one is started with the PID 1000 (clone3(2) lets root choose).");
    lab_check_text(lab_try_in_child(two_lives, NULL).text,
                   "life 1 of PID 1000: kill 0, setns(pidfd) 0\n"
                   "life 2 of PID 1000: kill 0, setns(pidfd) ESRCH\n",
                   "the PID now names another process; the pidfd does not");
}

static void enter_user(void)
{
    static char touch[] = "touch shared/note; id -u", id[] = "id -u";
    struct stat status = {0};

    lab_step("beyond the article: enter a user namespace");
    lab_start("unshare --user --fork --kill-child sh -c 'echo $$ >ready; exec sleep 1000'");
    lab_set("OTHER", "$(cat ready)");
    other = (pid_t)atoi(lab_path("$OTHER"));
    lab_echo("0 100000 1", "/proc/$OTHER/uid_map");
    lab_echo("0 100000 1", "/proc/$OTHER/gid_map");
    lab_run("mkdir -m 777 shared");
    lab_type("nsenter -t $OTHER --user sh -c '%s'", touch);
    lab_check_text(lab_try_in_child(run_as_its_root, touch).text, "0\n",
                   "entered, we are its root");
    lab_check(stat("shared/note", &status) == 0 && status.st_uid == 100000,
              "a file made by that root belongs to the ordinary user 100000 outside");
    lab_type("nsenter -t $OTHER --user --preserve-credentials %s", id);
    lab_check_text(lab_try_in_child(run_in_user_namespace, id).text, "65534\n",
                   "root of the machine has no ID inside, and is shown as 65534");
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return nsenter_tool(argc, argv);
    lab_open("04", "enter namespaces that exist", 6, argc, argv);
    lab_need_command("unshare", "util-linux");
    lab_need_command("hostname", "hostname");
    lab_need_command("mount", "mount");
    lab_shell_is("nsenter -t $TARGET -m -u -p -n -i $SHELL");
    make_target();
    enter_pid_and_net();
    why_pid_needs_a_fork();
    all_at_once();
    numbers_are_used_again();
    enter_user();
    return lab_close();
}
