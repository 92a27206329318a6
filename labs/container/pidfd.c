#include "pidfd.h"

#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "namespace.h"
#include "process.h"
#include "report.h"

pid_t clone_process(uint64_t flags, int *pidfd, int group)
{
    struct clone_args arguments = {
        .flags = flags | (pidfd ? CLONE_PIDFD : 0) | (group != -1 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD, /* else that of the common parent */
        .cgroup = group == -1 ? 0 : (uint64_t)group,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));

    if (pid == -1 && pidfd)
        *pidfd = -1;
    return pid;
}

/* How far the clock of this process's time namespace is ahead of the machine's, in clock ticks: the
 * kernel shows a start by the clock of who reads it. Returns 0, or -1 with errno.
 * time_namespaces(7) */
static int read_ahead(long long *ticks)
{
    const ino_t own = lab_namespace_inode(0, "time");
    char text[256];
    long long seconds, nanoseconds;

    *ticks = 0;
    if ((int)own == LAB_INITIAL_TIME || (own == 0 && errno == ENOENT))
        return 0;
    if (own == 0 || lab_read_file("/proc/self/timens_offsets", text, sizeof(text)) == -1)
        return -1;
    const char *line = strstr(text, "boottime");
    if (!line || sscanf(line, "boottime %lld %lld", &seconds, &nanoseconds) != 2) {
        errno = EBADMSG;
        return -1;
    }
    const long long rate = sysconf(_SC_CLK_TCK);
    *ticks = seconds * rate + nanoseconds * rate / 1000000000;
    return 0;
}

unsigned long long process_began(pid_t pid)
{
    char path[64], line[1024];
    unsigned long long began = 0;
    long long ahead;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (lab_read_file(path, line, sizeof(line)) == -1) {
        if (errno == ENOENT)
            errno = ESRCH;
        return 0;
    }
    /* The name, in parentheses, may hold anything; the start is the 20th word after it. */
    char *word = strrchr(line, ')');
    for (int i = 0; word && i < 20; i++)
        word = strchr(word + 1, ' ');
    if (!word || sscanf(word, "%llu", &began) != 1)
        errno = EBADMSG;
    else if (read_ahead(&ahead) == -1)
        began = 0;
    else
        began -= (unsigned long long)ahead;
    return began;
}

int open_process(pid_t pid, unsigned long long began)
{
    if (pid <= 0 || began == 0) {
        errno = ESRCH;
        return -1;
    }
    lab_fd fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd == -1) {
        if (errno == EINVAL || errno == ENOENT) /* a thread of another process has this number */
            errno = ESRCH;
        return -1;
    }
    /* While the descriptor is open, the PID is not reused: compare the start. */
    const unsigned long long present = process_began(pid);
    if (present == 0)
        return -1;
    /* One that only waits to be waited for has ended. */
    const int ended = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0);
    if (present == began && ended == 0)
        return lab_take_fd(&fd);
    if (ended != -1)
        errno = ESRCH;
    return -1;
}

int signal_process(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int signal_or_warn(int pidfd, int signal)
{
    if (signal_process(pidfd, signal) == 0 || errno == ESRCH)
        return 0;
    return lab_warn_errno("send %s to a process of the container", lab_signal_name(signal));
}

void end_process(int *pidfd)
{
    if (*pidfd == -1)
        return;
    /* One that lives on would be waited for without end. It dies with its group or with us. */
    if (signal_or_warn(*pidfd, SIGKILL) == 0)
        waitid(P_PIDFD, (id_t)*pidfd, &(siginfo_t){0}, WEXITED);
    lab_close_fd(pidfd);
}

int process_handles_signal(pid_t pid, int signal)
{
    const char *text = lab_process_status(pid);
    unsigned long long caught, blocked;

    if (!text)
        return errno == ENOENT || errno == ESRCH ? 0 : -1;
    const char *line = strstr(text, "\nSigBlk:"), *other = strstr(text, "\nSigCgt:");
    if (!line || sscanf(line, "\nSigBlk: %llx", &blocked) != 1 || !other ||
        sscanf(other, "\nSigCgt: %llx", &caught) != 1) {
        errno = EBADMSG;
        return -1;
    }
    return (int)((caught | blocked) >> (signal - 1) & 1);
}
