/*
 * 04_setns - nsenter in forty lines.
 *
 *     04_setns PID COMMAND [ARG]...
 *
 * COMMAND runs in all namespaces of the process PID, with the root and the working directory of
 * that process: what docker exec does. Root may enter what it likes, an ordinary user what belongs
 * to a user namespace of the own making.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercise.h"

/* The files of /proc/PID/ns, in the order in which ls(1) shows them. */
static const char *const kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* What has been opened of the target; -1 is nothing. */
static struct {
    int namespaces[KINDS];
    int root, working_directory;
} target = {{-1, -1, -1, -1, -1, -1, -1, -1}, -1, -1};

/* Open /proc/PID/NAME, for reading or, a directory, as a place to go to. */
static int open_of(pid_t pid, const char *name, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd == -1)
        lab_die("open %s", path);
    return fd;
}

/* Everything is opened before anything is joined: after the mount namespace /proc is another one,
 * and after the user namespace we may be nobody here. */
static void open_target(pid_t pid)
{
    // BEGIN SOLUTION 4.1 open the target's namespaces, those that are not ours already
    for (int i = 0; i < KINDS; i++) {
        char name[32];
        /* The user namespace that one is in already cannot be joined again: EINVAL. */
        if (lab_namespace_inode(pid, kinds[i]) == lab_namespace_inode(0, kinds[i]))
            continue;
        snprintf(name, sizeof(name), "ns/%s", kinds[i]);
        target.namespaces[i] = open_of(pid, name, O_RDONLY);
    }
    // END SOLUTION
    target.root = open_of(pid, "root", O_PATH | O_DIRECTORY);
    target.working_directory = open_of(pid, "cwd", O_PATH | O_DIRECTORY);
}

/* Join the namespace of KIND, an index of kinds, if one was opened. */
static void join(int kind)
{
    if (target.namespaces[kind] == -1)
        return;
    if (setns(target.namespaces[kind], 0) == -1)
        lab_die("setns %s", kinds[kind]);
    close(target.namespaces[kind]);
    target.namespaces[kind] = -1;
}

static void join_all(void)
{
    // BEGIN SOLUTION 4.2 join them in an order that works for an ordinary user as well
    /* An ordinary user is given rights by the user namespace, over those that belong to it: first.
     * Root has them, and with the user namespace gives up those over all that do not: last. */
    const bool user_is_last = geteuid() == 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < KINDS; i++)
            if ((strcmp(kinds[i], "user") == 0) == (pass == user_is_last))
                join(i);
    // END SOLUTION
}

/* Joining a PID namespace concerns our children only: a process never changes its PID. */
static void move_into_pid_namespace(void)
{
    // BEGIN SOLUTION 4.3 go on as a child, and end as it does
    pid_t child = fork();

    if (child == -1)
        lab_die("fork");
    if (child > 0)
        exit(lab_wait(child));
    // END SOLUTION
}

/* The mount namespace has a root of its own; the target's may lie deeper. */
static void move_to_directories(void)
{
    // BEGIN SOLUTION 4.4 the root and the working directory of the target
    if (fchdir(target.root) == -1 || chroot(".") == -1)
        lab_die("move the root");
    if (fchdir(target.working_directory) == -1)
        lab_die("move the working directory");
    // END SOLUTION
}

int main(int argc, char *argv[])
{
    long long pid;

    if (argc < 3 || !lab_parse_number(argv[1], 1, 1 << 22, &pid))
        lab_exit(EXIT_USAGE, "usage: PID COMMAND [ARG]...");
    open_target((pid_t)pid);
    join_all();
    move_to_directories();
    move_into_pid_namespace();
    lab_exec(argv + 2);
}
