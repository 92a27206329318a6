/*
 * 03_unshare - root without root.
 *
 *     03_unshare [--hostname=NAME] COMMAND [ARG]...
 *
 * For an ordinary user, no sudo: COMMAND runs in new user, UTS, mount and PID namespaces. In there
 * it is root, with a host name and a /proc of its own, and it has a PID 1 that does what a PID 1 is
 * for. Outside it is still the user who has started it.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercise.h"

/* Write TEXT to the file /proc/PID/NAME. */
static void write_proc(pid_t pid, const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    if (lab_write_file(path, text) == -1)
        lab_die("write '%s' to %s", text, path);
}

/*
 * Outside: who the process CHILD is in its new user namespace. user_namespaces(7)
 */

static void map_user(pid_t child)
{
    // BEGIN SOLUTION 3.1 map our user to root: uid_map
    char map[64];

    /* User 0 inside is our own one outside, for one user. */
    snprintf(map, sizeof(map), "0 %u 1", geteuid());
    write_proc(child, "uid_map", map);
    // END SOLUTION
}

static void map_group(pid_t child)
{
    // BEGIN SOLUTION 3.2 map our group: setgroups, then gid_map
    char map[64];

    /* Who may leave a group could reach files that are closed to just that group, so an ordinary
     * user must give up setgroups(2) first. */
    write_proc(child, "setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", getegid());
    write_proc(child, "gid_map", map);
    // END SOLUTION
}

/*
 * Inside: what an ordinary user can do now.
 */

static void furnish(const char *hostname)
{
    char present[HOST_NAME_MAX + 1];

    /* Without --hostname the name stays as it is: below, HOSTNAME is never NULL. */
    if (!hostname) {
        if (gethostname(present, sizeof(present)) == -1)
            lab_die("gethostname");
        hostname = present;
    }
    // BEGIN SOLUTION 3.3 a host name and a /proc of our own
    if (sethostname(hostname, strlen(hostname)) == -1)
        lab_die("sethostname %s", hostname);
    /* This one shows the processes of our PID namespace. It goes over the old one, in our mount
     * namespace alone. */
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
        lab_die("mount proc on /proc");
    // END SOLUTION
}

/* PID 1: whoever loses its parent becomes our child, and stays a zombie until we ask how it ended.
 * Returns how COMMAND ended, in the form of wait(2), once it has. */
static int be_init(pid_t command)
{
    int command_status = 0;

    // BEGIN SOLUTION 3.4 PID 1: wait for every child, until the command itself has ended
    int status;

    for (pid_t ended; (ended = wait(&status)) != command;)
        if (ended == -1 && errno != EINTR)
            lab_die("wait");
    command_status = status;
    // END SOLUTION
    return command_status;
}

__attribute__((noreturn)) static void live(const char *hostname, int go, char *argv[])
{
    char word;

    /* Not before we are somebody: the parent closes the pipe when the maps are written. */
    if (read(go, &word, 1) == -1)
        lab_die("read from the parent");
    close(go);
    furnish(hostname);
    pid_t command = lab_fork();
    if (command == -1)
        lab_die("fork");
    if (command == 0)
        lab_exec(argv);
    exit(lab_shell_status(be_init(command)));
}

int main(int argc, char *argv[])
{
    static const char OPTION[] = "--hostname=";
    const char *hostname = NULL;
    int ends[2];

    if (argc > 1 && strncmp(argv[1], OPTION, strlen(OPTION)) == 0)
        hostname = argv[1] + strlen(OPTION);
    char **command = argv + 1 + (hostname != NULL);
    if (!*command)
        lab_exit(EXIT_USAGE, "usage: [--hostname=NAME] COMMAND [ARG]...");
    if (pipe(ends) == -1)
        lab_die("pipe");
    pid_t child = lab_clone(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWPID, 0);
    if (child == -1)
        lab_die("clone3 (may ordinary users make user namespaces here?)");
    if (child == 0) {
        close(ends[1]);
        live(hostname, ends[0], command);
    }
    close(ends[0]);
    map_user(child);
    map_group(child);
    close(ends[1]);
    return lab_wait(child);
}
