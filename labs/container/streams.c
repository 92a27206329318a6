#include "streams.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "pidfd.h"
#include "process.h"
#include "report.h"
#include "unprivileged.h"

/* A pipe for stream number I; root of the container owns it. Without -i it is empty: the machine's
 * /dev/null would be a device whose mode root inside could change. */
static int make_stream(struct child_streams *child_ends, int i, uid_t root)
{
    int ends[2];
    const int their_end = i == 0 ? 0 : 1;

    if (pipe2(ends, O_CLOEXEC) == -1 ||
        (!is_unprivileged() && fchown(ends[0], root, root) == -1)) /* else it is the caller */
        fail("make a pipe");
    child_ends->streams[i] = ends[their_end];
    return ends[!their_end];
}

int make_streams(struct child_streams *ends, struct monitored *monitored,
                 const struct specification *spec, uid_t root)
{
    int sockets[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == -1)
        fail("socketpair");
    *ends = (struct child_streams){.socket = sockets[1], .streams = {-1, -1, -1}};
    if (spec->terminal)
        return sockets[0];
    monitored->input = make_stream(ends, 0, root);
    if (!spec->interactive)
        lab_close_fd(&monitored->input);
    monitored->output = make_stream(ends, 1, root);
    monitored->error = make_stream(ends, 2, root);
    return sockets[0];
}

void close_streams(struct child_streams *ends)
{
    lab_close_fd(&ends->socket);
    for (int i = 0; i < 3; i++)
        lab_close_fd(&ends->streams[i]);
}

/* What came may be from a process of the container. */
static bool is_own_child(int process)
{
    siginfo_t info;
    int result =
        TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT));

    if (result == -1 && errno != ECHILD && errno != EBADF && errno != EINVAL) /* not a pidfd */
        fail("look at a process of the container");
    return result == 0;
}

bool receive_progress(int socket, const struct specification *spec, struct monitored *monitored)
{
    struct message message;
    int count = 1, result;
    lab_fd fd = -1;

    result = receive_message(socket, &message, &fd, &count);

    if (result == -1)
        fail("receive from the container");
    if (result == 1 && message.kind == MESSAGE_FAILED)
        give_up(message.status, "%s", message.text);
    if (result == 1 && message.kind == MESSAGE_NOT_STARTED)
        give_up_command(spec->command[0], message.status);
    if (result == 1 && message.kind == MESSAGE_NO_INIT) {
        errno = message.status;
        fail("fork a process 1");
    }
    if (count == 1 && message.kind == MESSAGE_PROCESS && monitored->pidfd == -1 && is_own_child(fd))
        monitored->pidfd = lab_take_fd(&fd);
    if (count == 1 && message.kind == MESSAGE_TERMINAL && monitored->master == -1 && spec->terminal)
        monitored->master = lab_take_fd(&fd);
    if (result == 1 && message.kind == MESSAGE_STARTING)
        monitored->started = true;
    return result == 1;
}

void need_started(const struct monitored *monitored)
{
    siginfo_t info = {0};

    if (monitored->started)
        return;
    signal_process(monitored->pidfd, SIGKILL); /* it is about to end in any case */
    if (waitid(P_PIDFD, (id_t)monitored->pidfd, &info, WEXITED | WNOWAIT) == -1)
        fail("wait for the process that becomes the command");
    if (info.si_code == CLD_EXITED)
        give_up(STATUS_RUNTIME, "the process ended with status %d before it became the command",
                info.si_status);
    give_up(STATUS_RUNTIME, "the process was ended by %s before it became the command",
            lab_signal_name(info.si_status));
}
