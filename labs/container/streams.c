#include "streams.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "pidfd.h"
#include "process.h"
#include "report.h"
#include "signals.h"
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

    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), "socketpair");
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
        give_up_with(message.status, "%s", message.text);
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
    signal_or_warn(monitored->pidfd, SIGKILL); /* it is about to end in any case */
    if (waitid(P_PIDFD, (id_t)monitored->pidfd, &info, WEXITED | WNOWAIT) == -1)
        fail("wait for the process that becomes the command");
    if (info.si_code == CLD_EXITED)
        give_up("the process ended with status %d before it became the command", info.si_status);
    give_up("the process was ended by %s before it became the command",
            lab_signal_name(info.si_status));
}

/*
 * The runtime's own.
 */

static int ready_pipe = -1;     /* to the first process */
static volatile pid_t detached; /* the runtime, as that process knows it */

void session_close(void)
{
    lab_close_fd(&ready_pipe);
}

/* Ctrl-C does not reach the runtime, which has another session: it ends the start. */
static void hand_on_signal(int signal)
{
    kill(detached, signal);
}

/* Until the runtime CHILD writes to READY or ends. Returns how many bytes were read. */
static ssize_t wait_until_ready(const struct specification *spec, pid_t child, int ready)
{
    struct sigaction action = {.sa_handler = hand_on_signal, .sa_flags = SA_RESTART};
    char byte;

    detached = child;
    for (int i = 0; i < END_SIGNALS; i++)
        must(sigaction(end_signals[i], &action, NULL), "handle %s",
             lab_signal_name(end_signals[i]));
    const ssize_t count = must(read(ready, &byte, 1), "wait until %s has started", spec->name);
    action.sa_handler = SIG_IGN; /* it has started, or ended */
    for (int i = 0; i < END_SIGNALS; i++)
        must(sigaction(end_signals[i], &action, NULL), "ignore %s",
             lab_signal_name(end_signals[i]));
    return count;
}

void session_detach(const struct specification *spec)
{
    int ends[2];

    if (!(spec->without & WALL_DESCRIPTORS))
        close_range(3, ~0U, 0); /* a reader of an inherited pipe would wait for its end */
    must(pipe2(ends, O_CLOEXEC), "pipe");
    pid_t child = must(fork(), "fork");
    if (child > 0) {
        close(ends[1]);
        const ssize_t count = wait_until_ready(spec, child, ends[0]);
        const int status = count == 0 ? must(lab_wait(child), "wait for the runtime") : 0;
        if (status > 128) /* else it has said why */
            lab_warn("the runtime of %s was ended by %s", spec->name,
                     lab_signal_name(status - 128));
        if (count == 0)
            exit(status);
        puts(spec->name);
        exit(EXIT_SUCCESS);
    }
    close(ends[0]);
    ready_pipe = ends[1];
    must(setsid(), "setsid");
}

bool session_report_ready(void)
{
    if (ready_pipe == -1)
        return false;
    lab_fd nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* stderr is last, so that a failure can be told. */
    if (nothing == -1 || dup2(nothing, 0) == -1 || dup2(nothing, 1) == -1 || chdir("/") == -1 ||
        dup2(nothing, 2) == -1 || write(ready_pipe, "", 1) != 1)
        fail("detach");
    lab_close_fd(&ready_pipe);
    return true;
}

int session_take_archive(const struct specification *spec)
{
    lab_fd keys = spec->interactive ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;

    if (keys == -1 && (!spec->interactive || errno == ENXIO || errno == ENOENT)) /* no terminal */
        keys = open("/dev/null", O_RDWR | O_CLOEXEC);
    int archive = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (archive == -1 || keys == -1 || dup2(keys, STDIN_FILENO) == -1)
        fail("read an archive from standard input");
    return archive;
}
