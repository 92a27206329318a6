#include "report.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "process.h"

int report_socket = -1, child_socket = -1;
const int *child_process;

#define OUTSIDE "in a container, run it on the machine itself"
#define NO_MORE_NAMESPACES                                                                         \
    "one of the limits in /proc/sys/user/max_*_namespaces is reached: end other containers, or "   \
    "raise it by sysctl(8); --userns host needs one namespace less"
#define NO_NEW_NAMESPACES                                                                          \
    "new namespaces need CAP_SYS_ADMIN, and no filter that refuses them: " OUTSIDE                 \
    "; in a chroot, try --userns host"
#define COVERED(place)                                                                             \
    "parts of " place " are covered here, and no user namespace may uncover them: " OUTSIDE        \
    ", or try --userns host"
#define NO_SUCH_USER                                                                               \
    "a container has the users and groups 0 to 65535; with --userns host there are all"

void hide_controls(char *text)
{
    unsigned char before = 0;

    for (unsigned char *at = (unsigned char *)text; *at; at++) {
        /* U+0080 to U+009F are 0xc2 and that byte; alone it is a control of ISO 8859. */
        const bool is_c1 = *at >= 0x80 && *at < 0xa0 && (before < 0x80 || before == 0xc2);
        before = *at;
        if (is_c1 || *at < ' ' || *at == 0x7f)
            *at = '?';
    }
}

/* The first that matches counts. */
static const struct {
    int error;
    const char *what; /* how the words begin; "": whatever was tried */
    const char *remedy;
} REMEDIES[] = {
    {ENOSPC, "clone3", NO_MORE_NAMESPACES},
    {ENOSPC, "unshare", NO_MORE_NAMESPACES},
    {EUSERS, "clone3", NO_MORE_NAMESPACES},
    {EPERM, "clone3", NO_NEW_NAMESPACES},
    {EPERM, "unshare", NO_NEW_NAMESPACES},
    {EAGAIN, "clone3",
     "there are too many processes: look at pids.max of the groups above, ulimit -u and "
     "kernel.pid_max"},
    {EACCES, "clone3 in the control group",
     "without root, that is allowed from a group beside or below the one where the container was "
     "begun: in the same scope or shell"},
    {ENOSYS, "clone3", "it came with Linux 5.3; where a filter hides it, as " OUTSIDE},
    {EPERM, "mount proc", COVERED("/proc")},
    {EPERM, "mount sysfs", COVERED("/sys")},
    {EPERM, "map the IDs", "this process may not give away these user IDs: try --userns host"},
    {EPERM, "make the bridge", "that needs CAP_NET_ADMIN: " OUTSIDE ", or use --net none"},
    {EOPNOTSUPP, "make the bridge", "this kernel has no bridge; load it: modprobe bridge"},
    {EOPNOTSUPP, "connect the container", "this kernel has no veth; load it: modprobe veth"},
    {EINVAL, "become user", NO_SUCH_USER},
    {EINVAL, "standard stream", NO_SUCH_USER},
    {E2BIG, "write ", "the words of the command and --env are more than 1 MiB"},
    {EINVAL, "load the system call filter", "the kernel needs CONFIG_SECCOMP_FILTER for it"},
    {ENODEV, "mount mqueue", "the kernel needs CONFIG_POSIX_MQUEUE for it"},
    {EAGAIN, "claim user IDs", "all ranges are taken: end other containers, or use --userns host"},
    {EBADMSG, "record in /", "a record there is damaged: see what it says, and remove it"},
    {EMFILE, "", "too many files are open: raise ulimit -n"},
    {ENFILE, "", "too many files are open on this machine: raise fs.file-max by sysctl(8)"},
    {ENOSYS, "", "this lab needs Linux 5.12; where a filter hides its system calls, as " OUTSIDE},
};

static const char *find_remedy(int error, const char *what)
{
    for (int i = 0; i < LAB_COUNT(REMEDIES); i++)
        if (REMEDIES[i].error == error &&
            strncmp(what, REMEDIES[i].what, strlen(REMEDIES[i].what)) == 0)
            return REMEDIES[i].remedy;
    return NULL;
}

/* Of two failures the child's is reported: the runtime often fails because the child is gone. */
static bool receive_failure(struct message *received)
{
    struct pollfd child = {.fd = child_socket, .events = POLLIN};

    while (child_socket != -1 && poll(&child, 1, 0) == 1 &&
           receive_message(child_socket, received, NULL, NULL) == 1)
        if (received->kind == MESSAGE_FAILED) {
            hide_controls(received->text);
            return true;
        }
    return false;
}

/* The signal that has ended the child before it could report; 0: none, or it cannot be told. It has
 * neither namespaces nor descriptors some time before it has ended, longer on a crowded machine. */
static int signal_of_child(int error)
{
    const bool is_dying = error == ESRCH || error == EPIPE || error == ECONNRESET;
    const int wait_ms = is_dying ? 5000 : 50;
    siginfo_t info = {0};

    if (!child_process || *child_process == -1 ||
        TEMP_FAILURE_RETRY(poll(&(struct pollfd){*child_process, POLLIN, 0}, 1, wait_ms)) != 1 ||
        waitid(P_PIDFD, (id_t)*child_process, &info, WEXITED | WNOHANG | WNOWAIT) == -1)
        return 0;
    return info.si_pid != 0 && info.si_code != CLD_EXITED ? info.si_status : 0;
}

__attribute__((noreturn)) static void send_and_exit(struct message *message, int error)
{
    struct message received;
    int signal;

    hide_controls(message->text);
    if (report_socket == -1 && receive_failure(&received))
        lab_exit(received.status, "%s", received.text);
    if (report_socket == -1 && (signal = signal_of_child(error)) != 0)
        lab_exit(message->status, "the process was ended by %s before it became the command; %s",
                 lab_signal_name(signal), message->text);
    if (report_socket == -1)
        lab_exit(message->status, "%s", message->text);
    send_message(report_socket, message, NULL, 0);
    _exit(message->status);
}

void give_up_with(int status, const char *format, ...)
{
    struct message message = {.kind = MESSAGE_FAILED, .status = status};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message.text, sizeof(message.text), format, arguments);
    va_end(arguments);
    send_and_exit(&message, 0);
}

void fail(const char *format, ...)
{
    struct message message = {.kind = MESSAGE_FAILED, .status = STATUS_RUNTIME};
    const int number = errno;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message.text, sizeof(message.text), format, arguments);
    va_end(arguments);
    const char *remedy = find_remedy(number, message.text);
    size_t length = strlen(message.text);
    snprintf(message.text + length, sizeof(message.text) - length, ": %s%s%s", lab_strerror(number),
             remedy ? "; " : "", remedy ? remedy : "");
    send_and_exit(&message, number);
}

void forbid_tracing(void)
{
    if (prctl(PR_SET_DUMPABLE, 0) == -1)
        fail("prctl PR_SET_DUMPABLE");
}

void die_with_runtime(void)
{
    struct pollfd other = {.fd = report_socket};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
        fail("prctl PR_SET_PDEATHSIG");
    if (TEMP_FAILURE_RETRY(poll(&other, 1, 0)) == -1)
        fail("look whether the runtime has ended");
    if (other.revents & POLLHUP)
        _exit(STATUS_RUNTIME);
}

int send_message(int to, const struct message *message, const int *fds, int count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAXIMUM_FDS)] = {0};
    struct iovec body = {.iov_base = (void *)message, .iov_len = sizeof(*message)};
    struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};
    ssize_t sent;

    if (count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * (size_t)count);
    }
    do
        sent = sendmsg(to, &header, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    return sent == -1 ? -1 : 0;
}

int receive_message(int from, struct message *message, int *fds, int *count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAXIMUM_FDS)];
    struct iovec body = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr header = {.msg_iov = &body,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    int room = count ? *count : 0;
    ssize_t length;

    /* A peer that ends with unread messages causes one ECONNRESET; its own last messages come after
     * that. */
    do
        length = recvmsg(from, &header, MSG_CMSG_CLOEXEC);
    while (length == -1 && (errno == EINTR || errno == ECONNRESET));
    if (count)
        *count = 0;
    if (length <= 0)
        return (int)length;
    if ((size_t)length < sizeof(*message))
        memset((char *)message + length, 0, sizeof(*message) - (size_t)length);
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
        int got = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (int i = 0; i < got; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + sizeof(int) * (size_t)i, sizeof(fd));
            if (count && *count < room)
                fds[(*count)++] = fd;
            else
                close(fd); /* not expected */
        }
    }
    message->text[sizeof(message->text) - 1] = '\0';
    return 1;
}

void give_up_command(const char *command, int error)
{
    give_up_with(error == ENOENT ? LAB_EXIT_NOT_FOUND : LAB_EXIT_CANNOT_INVOKE,
                 "failed to run command '%s': %s", command, strerror(error));
}
