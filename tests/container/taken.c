/*
 * taken - a library for `exec`, with which processes on their way into the container do what root
 * inside would make of them, if it could take them over. A wall of exec can be taken away as well.
 *
 *     VICTIM=PID       its pidfd is sent as "the process that was started", before the true one
 *     FLOOD=1          no command is executed: messages are sent without an end
 *     WITHOUT=child    exec does not look whether a process is its own child
 *     WITHOUT=signal   exec reads signals only when no message waits
 *     WITHOUT=mode     the file of the launcher can be read by all, so the launcher can be traced
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int victim = -1;
static int message_waits;

static int is_without(const char *wall)
{
    const char *without = getenv("WITHOUT");

    return without && strcmp(without, wall) == 0;
}

__attribute__((constructor)) static void open_victim(void)
{
    const char *pid = getenv("VICTIM");

    if (pid)
        victim = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
}

/* What has a descriptor with it is the message of the process between. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct cmsghdr *rights = message->msg_control ? CMSG_FIRSTHDR(message) : NULL;
    int process;

    if (rights && getenv("FLOOD"))
        usleep(100000); /* the socket is full by now */
    if (rights && victim != -1) {
        memcpy(&process, CMSG_DATA(rights), sizeof(process));
        memcpy(CMSG_DATA(rights), &victim, sizeof(victim));
        syscall(SYS_sendmsg, fd, message, flags);
        memcpy(CMSG_DATA(rights), &process, sizeof(process));
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* Until the runtime is gone. Other descriptors are no sockets. */
static void flood(void)
{
    const char message[16] = {1};

    for (int fd = 3; fd < 64; fd++)
        while (send(fd, message, sizeof(message), MSG_NOSIGNAL) != -1)
            ;
    _exit(1);
}

/* The first call of the process that becomes the command. */
int prctl(int option, ...)
{
    va_list list;

    va_start(list, option);
    const unsigned long argument = va_arg(list, unsigned long);
    va_end(list);
    if (option == PR_SET_PDEATHSIG && getenv("FLOOD"))
        flood();
    return (int)syscall(SYS_prctl, option, argument, 0UL, 0UL, 0UL);
}

/* Slower than what sends, as the runtime is on a busy machine. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (getenv("FLOOD"))
        usleep(1000);
    return syscall(SYS_recvmsg, fd, message, flags);
}

int waitid(idtype_t idtype, id_t id, siginfo_t *infop, int options)
{
    if (options == (WEXITED | WNOHANG | WNOWAIT) && is_without("child"))
        return 0;
    return (int)syscall(SYS_waitid, idtype, id, infop, options, NULL);
}

int fchmod(int fd, mode_t mode)
{
    return (int)syscall(SYS_fchmod, fd, is_without("mode") ? 0777 : mode);
}

int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    const struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
    const int ready = (int)syscall(SYS_ppoll, fds, nfds, timeout < 0 ? NULL : &limit, NULL, 8);

    message_waits = ready > 0 && nfds == 3 && fds[0].revents;
    return ready;
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    if (message_waits && is_without("signal")) {
        errno = EAGAIN;
        return -1;
    }
    return (int)syscall(SYS_rt_sigtimedwait, set, info, timeout, 8);
}
