/*
 * 04_setns - enter namespaces that exist.
 *
 *     sudo ./labs/04_setns                          the experiment: enter a process's namespaces
 *     sudo ./labs/04_setns -t PID -p -n [COMMAND]   the tool: nsenter(1)
 *
 * Shows setns(2) by a file of /proc/PID/ns and by a pidfd, why a PID namespace needs a fork, and
 * what a user namespace makes of root.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "namespace.h"
#include "narrate.h"
#include "nsenter.h"
#include "process.h"
#include "run.h"

static const int FIVE = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWIPC;

/*
 * The mechanism.
 */

/* Join every namespace of the target at once: Linux 5.8 takes a pidfd and a set of flags in
 * setns(2). Either all are joined or none. */
static bool join_at_once(int pidfd, int flags)
{
    return pidfd != -1 && setns(pidfd, flags) == 0;
}

/* Where only files are given, one by one. The first round joins with the rights that we have, and
 * passes over refusals. The second begins with the user namespace, the first of the kinds: it may
 * give the right to join what was refused, and it may take away rights that we had. */
static void join_one_by_one(struct lab_place namespaces[])
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
static int join(struct lab_nsenter *wanted)
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

/* A process never changes its own PID namespace; only its future children are born in the one that
 * it joined. The child returns. The parent waits, stops when the child stops, so that a shell's job
 * control works, and ends as the child ended. */
static void go_on_as_child(void)
{
    int status;

    signal(SIGCHLD, SIG_DFL); /* ignored, it would keep the status from us */
    fflush(stdout);
    pid_t child = fork();
    if (child == -1)
        lab_die_remedy(errno == ENOMEM ? "PID 1 of that namespace has ended" : NULL, "fork");
    if (child == 0)
        return;
    while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status)) {
        kill(getpid(), SIGSTOP);
        kill(child, SIGCONT);
    }
    if (WIFSIGNALED(status))
        kill(getpid(), WTERMSIG(status));
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

/*
 * The tool.
 */

/* Like the model, without --wd and --wdns stay where we are, even outside the new root. */
static void enter_directories(const struct lab_nsenter *wanted)
{
    const char *inside = wanted->directory_inside;
    bool new_root = wanted->root.fd != -1, new_directory = wanted->directory.fd != -1;
    lab_fd here = open(".", O_PATH | O_CLOEXEC);
    int directory = new_directory ? wanted->directory.fd : here;

    if (new_root && (fchdir(wanted->root.fd) == -1 || chroot(".") == -1))
        lab_die("change the root directory");
    if (inside ? chdir(inside) == -1 : (new_root || new_directory) && fchdir(directory) == -1)
        lab_die("change the working directory");
}

static bool has_selinux(void)
{
    return access("/sys/fs/selinux/enforce", F_OK) == 0;
}

/* What libselinux does for the model. */
static void follow_context(pid_t target)
{
    char path[64], context[4096];

    if (!has_selinux()) {
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
        lab_die_remedy("--preserve-credentials keeps them", "drop the supplementary groups");
    if (group != -1 && setgid((gid_t)group) == -1)
        lab_die("become group %lld", group);
    if (user != -1 && setuid((uid_t)user) == -1)
        lab_die("become user %lld", user);
}

static int nsenter_tool(int argc, char *argv[])
{
    struct lab_nsenter wanted;
    bool groups_dropped = true;

    lab_read_nsenter(&wanted, argc, argv);
    if (wanted.follow_context)
        follow_context(wanted.target);
    if (wanted.namespaces[0].fd != -1 && !wanted.preserve) {
        /* Become root of the user namespace. The groups that we have must go: now, or, where only
         * the namespace allows it, inside. */
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

/*
 * The experiment. Its commands find this program as "nsenter" in the run's directory, and the
 * processes to enter in $TARGET and $OTHER.
 */

static pid_t target;
static char model[PATH_MAX]; /* the installed nsenter(1); "" where there is none */

static bool join_target(int flags)
{
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, target, 0);

    return join_at_once(pidfd, flags);
}

static void listen_to(struct lab_output *output, int (*body)(void *), const char *argument)
{
    if (lab_listen(output, body, (void *)argument) == -1)
        lab_die("start a child");
}

static int in_shell(void *command)
{
    lab_exec((char *const[]){"sh", "-c", command, NULL});
}

static void type(struct lab_output *output, const char *command)
{
    lab_shell("%s", command);
    listen_to(output, in_shell, command);
    lab_quote(output->text);
}

/* Start a process to enter and leave its PID in the environment. */
static pid_t start(const char *name, int flags, void (*furnish)(void))
{
    char number[16];
    pid_t child = lab_hold((unsigned)flags, furnish);

    if (child == -1)
        lab_die("start a process in new namespaces");
    snprintf(number, sizeof(number), "%d", (int)child);
    if (setenv(name, number, 1) == -1)
        lab_die("setenv");
    lab_fact(name, "%s", number);
    return child;
}

/* A host name, a /proc, and a directory that is a mount and the working directory. */
static void furnish_five(void)
{
    if (sethostname("target", 6) == -1 || mount("proc", "/proc", "proc", 0, NULL) == -1 ||
        mount("tmpfs", "home", "tmpfs", 0, NULL) == -1 || chdir("home") == -1 ||
        mkdir("sofa", 0755) == -1)
        lab_die("furnish the namespaces of the target");
}

static void make_target(void)
{
    char program[PATH_MAX];
    lab_string here = getcwd(NULL, 0);
    lab_string path = NULL;

    lab_step("a process in five new namespaces");
    if (!lab_find_command("nsenter", model, sizeof(model)))
        *model = '\0';
    if (!here || asprintf(&path, "%s:%s", here, lab_search_path()) == -1 ||
        setenv("PATH", path, 1) == -1 || !realpath("/proc/self/exe", program) ||
        symlink(program, "nsenter") == -1 || mkdir("home", 0755) == -1)
        lab_die("prepare the run's directory");
    lab_shell("unshare --pid --fork --net --uts --mount --ipc sh -c 'hostname target; ...' &");
    target = start("TARGET", FIVE, furnish_five);
    lab_check_text(lab_namespaces_differing(target, 0), "ipc uts net pid mnt",
                   "these are its own, the other three are ours");
}

/* Print, kind by kind, the namespaces of the target, of this process, and of a process which joined
 * and has named its own, "net:[4026531833]" a line. EXPECTED are the kinds in which it has left
 * ours: in these it must be where the target is. */
static void compare_namespaces(const char *names, const char *expected, const char *claim)
{
    char entered[128] = "";

    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *name = lab_namespaces[i].name, *number = strstr(names, name);
        ino_t theirs = lab_namespace_inode(target, name), ours = lab_namespace_inode(0, name);
        ino_t joined = number ? strtoul(number + strlen(name) + 2, NULL, 10) : 0;
        size_t length = strlen(entered);
        if (joined != ours)
            snprintf(entered + length, sizeof(entered) - length, "%s%s%s", length ? " " : "", name,
                     joined == theirs ? "" : "(elsewhere)");
        lab_fact(name, "target %lu, joined %lu, caller %lu", theirs, joined, ours);
    }
    lab_check_text(entered, expected, "%s", claim);
}

static void enter_pid_and_net(void)
{
    static const char COMMAND[] =
        "nsenter --target $TARGET --pid --net sh -c 'exec readlink /proc/self/ns/*'";
    LAB_OUTPUT output = {0};

    lab_step("enter two of them");
    lab_shell("%s", COMMAND);
    listen_to(&output, in_shell, COMMAND);
    compare_namespaces(output.text, "net pid",
                       "net and pid are the target's, all others the caller's own");
}

static void why_pid_needs_a_fork(void)
{
    LAB_OUTPUT alone = {0}, child = {0}, links = {0}, link = {0};

    lab_step("why a PID namespace needs a fork");
    lab_say("The PID of a process never changes, so neither does its PID namespace: setns(2) only\n"
            "says where its children will be born. With --no-fork the command is no child.");
    type(&alone,
         "nsenter -t $TARGET -p --no-fork sh -c 'cd /proc/self/ns; readlink pid pid_for_children'");
    listen_to(&links, in_shell, "readlink /proc/self/ns/pid /proc/$TARGET/ns/pid");
    lab_check(alone.status == 0 && links.status == 0 && strcmp(alone.text, links.text) == 0,
              "pid is the caller's, pid_for_children the target's");
    type(&child, "nsenter -t $TARGET -p sh -c 'echo $$; exec readlink /proc/self/ns/pid'");
    listen_to(&link, in_shell, "readlink /proc/$TARGET/ns/pid");
    const char *second_line = strchr(child.text, '\n');
    lab_check(child.status == 0 && second_line && strcmp(second_line + 1, link.text) == 0,
              "a forked child is in the target's PID namespace");
    lab_check(child.status == 0 && atoi(child.text) > 1 && atoi(child.text) < 100,
              "and has a PID there, soon after 1");
}

static void enter_target(void)
{
    if (!join_target(FIVE))
        lab_die("setns with a pidfd and five flags");
    go_on_as_child();
}

static int enter_five(__attribute__((unused)) void *unused)
{
    enter_target();
    return in_shell("exec readlink /proc/self/ns/*");
}

/* Ask for one namespace that can be joined and one that cannot. Returns the errno of setns(2), or
 * 0 where the one was joined nevertheless. */
static int enter_impossible(__attribute__((unused)) void *unused)
{
    ino_t before = lab_namespace_inode(0, "net");
    int error = join_target(CLONE_NEWNET | CLONE_NEWUSER) ? 0 : errno;

    return before == lab_namespace_inode(0, "net") ? error : 0;
}

static void all_at_once(void)
{
    LAB_OUTPUT output = {0}, impossible = {0};

    lab_step("beyond the article: all at once, by a pidfd");
    lab_say(
        "int pidfd = pidfd_open(target, 0);\n"
        "setns(pidfd, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWIPC);");
    listen_to(&output, enter_five, NULL);
    compare_namespaces(output.text, "ipc uts net pid mnt", "five were joined by one call");
    lab_say("A process cannot enter the user namespace that it is in. Asked for two,\n"
            "setns(pidfd, CLONE_NEWNET | CLONE_NEWUSER) joins both or none:");
    listen_to(&impossible, enter_impossible, NULL);
    lab_check_errno(impossible.status, EINVAL,
                    "EINVAL, and the net namespace is still the old one");
}

/* In the target's PID namespace, where nobody else takes numbers: one process ends, the next gets
 * its number. The pidfd is that of the first. */
static int two_lives(__attribute__((unused)) void *unused)
{
    const pid_t number = 1000;
    lab_fd pidfd = -1;

    if (!join_target(CLONE_NEWPID))
        lab_die("join the PID namespace of the target");
    go_on_as_child();
    for (int life = 1; life <= 2; life++) {
        pid_t child = lab_clone(0, number);
        if (child == 0)
            for (;;)
                pause();
        if (child == -1)
            lab_die("clone3 with the PID %d", (int)number);
        if (life == 1)
            pidfd = (int)syscall(SYS_pidfd_open, child, 0);
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
    LAB_OUTPUT output = {0};

    lab_step("beyond the article: a PID is used again, a pidfd is not");
    lab_say(
        "A process is started with the PID 1000, a pidfd of it is opened. It ends, and another\n"
        "one is started with the PID 1000 (clone3(2) lets root choose).");
    listen_to(&output, two_lives, NULL);
    lab_quote(output.text);
    lab_check_text(output.text,
                   "life 1 of PID 1000: kill 0, setns(pidfd) 0\n"
                   "life 2 of PID 1000: kill 0, setns(pidfd) ESRCH\n",
                   "the number means a stranger now, the pidfd still nobody else");
}

static void furnish_other(void)
{
    if (sethostname("other", 5) == -1)
        lab_die("sethostname");
}

static void enter_user(void)
{
    LAB_OUTPUT root = {0}, nobody = {0};
    struct stat status = {0};
    char path[64];

    lab_step("beyond the article: enter a user namespace");
    lab_shell("unshare --user --uts --cgroup --time --fork sleep 100 &");
    pid_t other = start("OTHER", CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWTIME,
                        furnish_other);
    for (int i = 0; i < 2; i++) {
        const char *kind = i == 0 ? "uid" : "gid";
        lab_shell("echo 0 100000 1 >/proc/$OTHER/%s_map", kind);
        snprintf(path, sizeof(path), "/proc/%d/%s_map", (int)other, kind);
        if (lab_write_file(path, "0 100000 1") == -1)
            lab_die("write %s", path);
    }
    if (mkdir("desk", 0755) == -1 || chmod("desk", 0777) == -1)
        lab_die("mkdir desk");
    type(&root, "nsenter -t $OTHER --user sh -c 'touch desk/note; id -u'");
    lab_check_text(root.text, "0\n", "entered, we are its root");
    lab_check(stat("desk/note", &status) == 0 && status.st_uid == 100000,
              "a file made by that root belongs to the ordinary user 100000 outside");
    type(&nobody, "nsenter -t $OTHER --user --preserve-credentials id -u");
    lab_check_text(nobody.text, "65534\n", "the root that we were has no number inside: nobody");
}

/* What nsenter is given, and a command outside that says what must come out. */
static const char *const ROWS[][2] = {
    {"-t $TARGET --all sh -c 'uname -n; ls /proc/1/cwd/'", "printf 'target\nsofa\n'"},
    {"-t $TARGET --mount ls $PWD/home", "echo sofa"},
    {"-t $TARGET --uts uname -n", "echo target"},
    {"-t $TARGET --ipc readlink /proc/self/ns/ipc", "readlink /proc/$TARGET/ns/ipc"},
    {"-t $TARGET --net readlink /proc/self/ns/net", "readlink /proc/$TARGET/ns/net"},
    {"-t $TARGET --pid readlink /proc/self/ns/pid", "readlink /proc/$TARGET/ns/pid"},
    {"-t $OTHER --cgroup readlink /proc/self/ns/cgroup", "readlink /proc/$OTHER/ns/cgroup"},
    {"-t $OTHER --time readlink /proc/self/ns/time", "readlink /proc/$OTHER/ns/time"},
    {"-t $OTHER --user readlink /proc/self/ns/user", "readlink /proc/$OTHER/ns/user"},
    {"--uts=/proc/$OTHER/ns/uts uname -n", "echo other"},
    {"-t $TARGET --uts --net=/proc/self/ns/net uname -n", "echo target"},
    {"--setuid 1234 id -u", "echo 1234"},
    {"--setgid 1234 id -g", "echo 1234"},
    {"-t $OTHER --user --preserve-credentials id -u", "cat /proc/sys/kernel/overflowuid"},
    {"-t $TARGET --root ls $PWD/home", "echo sofa"},
    {"--root=home /bin/sh 2>/dev/null; echo $?", "echo 127"},
    {"-t $TARGET --wd ls", "echo sofa"},
    {"--wd=/proc/$TARGET/root/$PWD/home ls", "echo sofa"},
    {"-t $TARGET --mount --wdns=$PWD/home ls", "echo sofa"},
    {"-t $TARGET --pid --no-fork readlink /proc/self/ns/pid", "readlink /proc/self/ns/pid"},
    {"-t $TARGET --follow-context --uts uname -n 2>/dev/null", "echo target"},
    {"--help | grep -c no-fork", "echo 1"},
    {"--version | wc -l", "echo 1"},
};

static void every_option(void)
{
    lab_step("every option");
    lab_fact("compared with", "%s", *model ? model : "/proc alone; no nsenter(1) is installed");
    if (!has_selinux())
        lab_say("(This kernel has no SELinux, so --follow-context has nothing to follow.)");
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(*ROWS); i++) {
        LAB_OUTPUT ours = {0}, theirs = {0}, right = {0};
        char line[2 * PATH_MAX];
        snprintf(line, sizeof(line), "nsenter %s", ROWS[i][0]);
        listen_to(&ours, in_shell, line);
        snprintf(line, sizeof(line), "%s %s", model, ROWS[i][0]);
        listen_to(&theirs, in_shell, *model ? line : ROWS[i][1]);
        listen_to(&right, in_shell, ROWS[i][1]);
        bool held = ours.status == 0 && theirs.status == 0 && right.status == 0 &&
                    strcmp(ours.text, theirs.text) == 0 && strcmp(ours.text, right.text) == 0;
        if (!lab_check(held, "nsenter %s", ROWS[i][0]))
            lab_quote(ours.text);
    }
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return nsenter_tool(argc, argv);
    lab_open("04", "enter namespaces that exist", 7, argc, argv);
    make_target();
    enter_pid_and_net();
    why_pid_needs_a_fork();
    all_at_once();
    numbers_are_used_again();
    enter_user();
    every_option();
    lab_shell_enters(enter_target);
    return lab_close();
}
