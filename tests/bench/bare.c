/*
 * bare ROOTFS COMMAND [ARG]... - the least that a container can be, to compare with: one clone3(2)
 * with the namespaces that lab 09 gives a container, user maps, chroot(2), execve(2). No mount, no
 * limit, no filter, nothing that is looked at twice.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noreturn)) static void die(const char *what)
{
    perror(what);
    exit(125);
}

/* User 0 inside is 100000 outside, as FILE ("uid_map") says. */
static void map(pid_t pid, const char *file)
{
    static const char text[] = "0 100000 65536";
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd == -1 || write(fd, text, strlen(text)) == -1)
        die(path);
    close(fd);
}

__attribute__((noreturn)) static void become(char *argv[], int gate)
{
    char go;

    if (read(gate, &go, 1) != 1 || setresgid(0, 0, 0) == -1 || setresuid(0, 0, 0) == -1)
        die("become root of the user namespace");
    if (chroot(argv[1]) == -1 || chdir("/") == -1)
        die(argv[1]);
    execve(argv[2], argv + 2, environ);
    die(argv[2]);
    _exit(127);
}

int main(int argc, char *argv[])
{
    struct clone_args arguments = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                                            CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |
                                            CLONE_NEWCGROUP,
                                   .exit_signal = SIGCHLD};
    int ends[2], status = 0;

    if (argc < 3)
        return 2;
    if (pipe2(ends, O_CLOEXEC) == -1)
        die("pipe");
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child == -1)
        die("clone3");
    if (child == 0)
        become(argv, ends[0]);
    map(child, "uid_map");
    map(child, "gid_map");
    if (write(ends[1], "", 1) != 1 || waitpid(child, &status, 0) == -1)
        die("start");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
