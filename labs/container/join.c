/* `exec`: a further process in a container that runs, for commands.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "binary.h"
#include "command.h"
#include "commands.h"
#include "error.h"
#include "file.h"
#include "launcher.h"
#include "limits.h"
#include "monitor.h"
#include "pidfd.h"
#include "privileges.h"
#include "process.h"
#include "report.h"
#include "state.h"
#include "state_file.h"
#include "streams.h"
#include "terminal.h"

/* What is to run, and between which ends. */
struct joining {
    struct container container;
    struct limits limits;
    struct command command;
    struct watched watched;
    int process; /* pidfd of the container's process 1 */
    int socket;  /* our end */
    struct ends theirs;
};

/* The container's own specification with what was said now. */
static void find_container(struct joining *joining, const char *name,
                           const struct specification *said)
{
    struct specification *spec = &joining->container.spec;

    if (!is_container_name(name) || state_load(&joining->container, name) == -1 ||
        joining->container.ended || !state_is_running(&joining->container))
        give_up(STATUS_RUNTIME, "there is no running container %s", name);
    joining->process = open_process(joining->container.pid, joining->container.pid_began);
    if (joining->process == -1)
        give_up(STATUS_RUNTIME, "container %s does not run", name);
    spec->command = said->command;
    spec->interactive = said->interactive;
    spec->terminal = said->terminal;
    spec->init = false;
    if (said->directory)
        spec->directory = said->directory;
    if (said->user)
        spec->user = said->user;
    if (spec->environment_count + said->environment_count > MAXIMUM_ITEMS)
        give_up(STATUS_RUNTIME, "more than %d times --env, with those of %s itself", MAXIMUM_ITEMS,
                name);
    for (int i = 0; i < said->environment_count; i++)
        spec->environment[spec->environment_count++] = said->environment[i];
}

/* All namespaces that differ from ours, at once: setns(2) takes a pidfd and a set of flags. */
static void enter_namespaces(const struct joining *joining)
{
    const struct specification *spec = &joining->container.spec;

    if (setns(joining->process, (int)namespaces_of(spec) | CLONE_NEWCGROUP) == -1)
        fail("join the namespaces of %s", spec->name);
    /* Root of the container, and of nothing else. */
    if (spec->own_users && (setresgid(0, 0, 0) == -1 || setresuid(0, 0, 0) == -1))
        fail("become root of %s", spec->name);
}

/* In the process that will be the command: a child of the runtime, as its maker only passes by. */
__attribute__((noreturn)) static void become_joined(struct joining *joining)
{
    die_with_runtime();
    leave_keyring();
    limit_bounding_set(joining->container.spec.capabilities);
    joining->command.terminals = -1;
    if (joining->container.spec.terminal) {
        joining->command.terminals = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (joining->command.terminals == -1)
            fail("open /dev/pts in %s", joining->container.spec.name);
    }
    become_command(&joining->command);
}

/* The process in between: it is in the group and enters the namespaces. A PID namespace takes only
 * the children of who enters it; CLONE_PARENT makes the child the runtime's own, to be waited for.
 */
__attribute__((noreturn)) static void pass_by(struct joining *joining)
{
    struct message message = {.kind = MESSAGE_PROCESS};
    int pidfd = -1;
    struct clone_args arguments = {.flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd};
    sigset_t none;

    report_socket = joining->theirs.socket;
    close(joining->socket); /* so that we hear when the runtime's end is closed */
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    limits_enter(&joining->limits);
    enter_namespaces(joining);
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child == -1)
        fail("clone3");
    if (child == 0)
        become_joined(joining);
    if (send_message(report_socket, &message, &pidfd, 1) == -1)
        _exit(STATUS_RUNTIME);
    _exit(EXIT_SUCCESS);
}

/* Who is in the container may stop or slow down whoever comes in: then a signal is the way out. */
__attribute__((noreturn)) static void leave(const struct joining *joining, int asked)
{
    if (joining->watched.pidfd != -1)
        signal_process(joining->watched.pidfd, SIGKILL);
    give_up(128 + asked, "exec in %s: stopped by %s before the command ran",
            joining->container.spec.name, lab_signal_name(asked));
}

/* Hear of the process, its terminal, its failure, until execve(2) closes the socket. */
static void wait_for_command(struct joining *joining)
{
    struct pollfd more = {.fd = joining->socket, .events = POLLIN};
    struct message message;
    int asked = 0;

    for (;;) {
        int fd = -1, count = 1;
        if (asked == 0)
            asked = monitor_until(joining->socket, joining->watched.signals);
        /* That there is a process has been said already. */
        if (asked && poll(&more, 1, 0) != 1)
            leave(joining, asked);
        int result = receive_message(joining->socket, &message, &fd, &count);
        if (result == -1)
            fail("hear from the container");
        if (result == 0)
            return;
        if (message.kind == MESSAGE_FAILED)
            give_up(message.status, "%s", message.text);
        if (message.kind == MESSAGE_NOT_STARTED)
            give_up_command(joining->container.spec.command[0], message.status);
        if (message.kind == MESSAGE_PROCESS && count == 1)
            joining->watched.pidfd = fd;
        if (message.kind == MESSAGE_TERMINAL && count == 1)
            joining->watched.master = fd;
    }
}

/* clone3(2) as fork(2). On v2 the child is born in the group, and its child inherits that: inside
 * of the namespaces nobody has the right to put a process into a group any more. */
static pid_t fork_into_limits(const struct limits *limits)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};

    if (limits->directory != -1) {
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)limits->directory;
    }
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static int run_joined(struct joining *joining)
{
    int asked;

    limits_met_end_of_memory(&joining->limits); /* before */
    joining->socket = make_ends(&joining->theirs, &joining->watched, &joining->container.spec,
                                joining->container.first_id);
    memcpy(joining->command.streams, joining->theirs.streams, sizeof(joining->command.streams));
    terminal_size(&joining->command.rows, &joining->command.columns);
    pid_t between = fork_into_limits(&joining->limits);
    if (between == -1)
        fail("clone3 in the control group of %s", joining->container.spec.name);
    if (between == 0)
        pass_by(joining);
    close_ends(&joining->theirs);
    int status = lab_wait(between);
    wait_for_command(joining);
    if (joining->watched.pidfd == -1 && status > 128)
        give_up(STATUS_RUNTIME, "exec was ended by %s on its way into %s",
                lab_signal_name(status - 128), joining->container.spec.name);
    if (joining->watched.pidfd == -1)
        give_up(STATUS_RUNTIME, "container %s has just ended", joining->container.spec.name);
    atexit(terminal_restore);
    joining->watched.interactive = joining->container.spec.interactive;
    if (joining->watched.master != -1 && joining->watched.interactive)
        terminal_make_raw();
    int wait_status = monitor(&joining->watched, &asked);
    terminal_restore();
    if (wait_status != 0 && limits_met_end_of_memory(&joining->limits))
        lab_warn("%s: out of memory: the limit is %lld bytes", joining->container.spec.name,
                 joining->container.spec.memory);
    return asked ? 128 + asked : lab_shell_status(wait_status);
}

int join_container(int argc, char *argv[], char *whole[])
{
    static struct joining joining;
    struct specification said = {0};
    int name = read_exec_options(&said, argc, argv);

    if (geteuid() != 0)
        give_up(STATUS_RUNTIME, "containers need root; type: sudo %s", program_invocation_name);
    find_container(&joining, argv[name], &said);
    if (!(joining.container.spec.without & WALL_BINARY)) {
        protect_binary(whole);
        /* While we go into the container, nobody in it may look into us. */
        if (prctl(PR_SET_DUMPABLE, 0) == -1)
            fail("prctl PR_SET_DUMPABLE");
    }
    limits_find(&joining.limits, &joining.container);
    joining.watched = (struct watched){
        .pidfd = -1, .input = -1, .output = -1, .error = -1, .master = -1, .guard = -1};
    if (said.terminal)
        joining.watched.guard = terminal_guard();
    joining.watched.signals = monitor_signals();
    joining.command = (struct command){.spec = &joining.container.spec,
                                       .launcher = open_launcher(),
                                       .filter = filter_for(joining.container.spec.capabilities)};
    return run_joined(&joining);
}
