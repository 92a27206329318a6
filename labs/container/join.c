/* `exec`: a further process in a container that runs, for commands.h. */
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#include "binary.h"
#include "commands.h"
#include "inside.h"
#include "namespace.h"
#include "options.h"
#include "pidfd.h"
#include "privileges.h"
#include "process.h"
#include "report.h"
#include "signals.h"
#include "state.h"
#include "terminal.h"
#include "unprivileged.h"

/* What is to run, and between which ends. */
struct exec_request {
    struct container container;
    struct limits limits;
    struct command command;
    struct monitored monitored;
    int process; /* pidfd of the container's process 1 */
    int socket;  /* our end */
};

/* Open process 1 of the running container NAME. */
static void open_running(struct exec_request *request, const char *name)
{
    struct container *container = &request->container;
    int running = 0;

    if (state_load(container, name) == 0)
        running = container->ended ? 0 : state_is_running(container);
    else if (errno != ENOENT)
        give_up("%s", state_trouble(container));
    if (running == -1)
        fail("look whether %s runs", name);
    if (running == 0)
        give_up("no container %s runs", name);
    request->process = open_process(container->pid, container->pid_began);
    if (request->process == -1 && errno != ESRCH)
        fail("open process %d of %s", (int)container->pid, name);
    if (request->process == -1)
        give_up("container %s does not run", name);
}

/* The container's specification, changed by the OPTIONS of exec. */
static void find_container(struct exec_request *request, const char *name,
                           const struct specification *options)
{
    struct specification *spec = &request->container.spec;

    open_running(request, name);
    spec->command = options->command;
    spec->interactive = options->interactive;
    spec->terminal = options->terminal;
    spec->init = false;
    if (options->directory)
        spec->directory = options->directory;
    if (options->user)
        spec->user = options->user;
    if (spec->environment_count + options->environment_count > MAXIMUM_ITEMS)
        give_up("more than %d times --env, with those of %s itself", MAXIMUM_ITEMS, name);
    for (int i = 0; i < options->environment_count; i++)
        spec->environment[spec->environment_count++] = options->environment[i];
}

/* Enter all namespaces at once: setns(2) takes a pidfd and a set of flags. */
static void enter_namespaces(const struct exec_request *request)
{
    const struct specification *spec = &request->container.spec;

    if (setns(request->process, (int)namespaces_of(spec) | CLONE_NEWCGROUP) == -1)
        fail("join the namespaces of %s", spec->name);
    /* Root of the container, and of nothing else. */
    if (spec->own_users && (setresgid(0, 0, 0) == -1 || setresuid(0, 0, 0) == -1))
        fail("become root of %s", spec->name);
}

/* In the process that executes the command. Its parent is the runtime, not its creator. */
__attribute__((noreturn)) static void become_exec_command(struct exec_request *request)
{
    die_with_runtime();
    must(lab_leave_keyring(), "make a session keyring");
    limit_bounding_set(request->container.spec.capabilities);
    request->command.terminals = -1;
    if (request->container.spec.terminal) {
        request->command.terminals = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (request->command.terminals == -1)
            fail("open /dev/pts in %s", request->container.spec.name);
    }
    become_command(&request->command);
}

/* The intermediate process: it is in the control group and enters the namespaces. Only its children
 * are then in the PID namespace; CLONE_PARENT makes the child one of the runtime, which waits for
 * it. */
__attribute__((noreturn)) static void enter_container(struct exec_request *request)
{
    struct message message = {.kind = MESSAGE_PROCESS};
    int pidfd = -1;

    report_socket = request->command.ends.socket;
    close(request->socket); /* so that the end of the runtime is noticed */
    let_signals_through();
    limits_enter(&request->limits);
    enter_namespaces(request);
    pid_t child = must(clone_process(CLONE_PARENT, &pidfd, -1), "clone3");
    if (child == 0)
        become_exec_command(request);
    must(send_message(report_socket, &message, &pidfd, 1), "send the process to the runtime");
    _exit(EXIT_SUCCESS);
}

/* Processes of the container can stop the one that enters it. A signal to the runtime then kills
 * it. */
__attribute__((noreturn)) static void leave(const struct exec_request *request, int asked)
{
    if (request->monitored.pidfd != -1)
        signal_or_warn(request->monitored.pidfd, SIGKILL);
    give_up_with(128 + asked, "exec in %s: stopped by %s before the command ran",
                 request->container.spec.name, lab_signal_name(asked));
}

/* Receive the process, its terminal or its failure, until execve(2) closes the socket, or the
 * process has ended: another one may have its socket. */
static void wait_for_command(struct exec_request *request)
{
    enum { DRAINED = 8 };
    const struct specification *spec = &request->container.spec;
    struct pollfd more = {.fd = request->socket, .events = POLLIN};
    struct monitored *monitored = &request->monitored;
    int asked;

    do {
        asked = wait_readable(request->socket, monitored->pidfd, monitored->signals, -1);
        /* The process may have been sent already. */
        for (int i = 0; asked > 0 && i < DRAINED && poll(&more, 1, 0) == 1; i++)
            if (!receive_progress(request->socket, spec, monitored))
                break;
        if (asked > 0)
            leave(request, asked);
    } while (asked == 0 && receive_progress(request->socket, spec, monitored));
}

/* The process between has ended with STATUS, and has sent nothing. */
__attribute__((noreturn)) static void tell_no_process(const struct exec_request *request,
                                                      int status)
{
    const char *name = request->container.spec.name;
    struct pollfd first = {.fd = request->process, .events = POLLIN};

    if (status > 128)
        give_up("exec was ended by %s on its way into %s", lab_signal_name(status - 128), name);
    if (must(poll(&first, 1, 0), "look whether %s has ended", name) == 1)
        give_up("container %s has just ended", name);
    give_up("the process that enters %s has ended with status %d, and could not say why", name,
            status);
}

static int run_request(struct exec_request *request)
{
    int asked;

    limits_count_oom_kills(&request->limits); /* before */
    request->socket = make_streams(&request->command.ends, &request->monitored,
                                   &request->container.spec, request->container.first_id);
    terminal_size(&request->command.rows, &request->command.columns);
    /* On v2 it starts in the group, and its own child inherits that: in the namespaces it could not
     * enter the group any more. */
    pid_t between = must(clone_process(0, NULL, request->limits.directory),
                         "clone3 in the control group of %s", request->container.spec.name);
    if (between == 0)
        enter_container(request);
    close_streams(&request->command.ends);
    wait_for_command(request); /* first: the process between waits where the socket is full */
    int status = lab_wait(between);
    if (request->monitored.pidfd == -1)
        tell_no_process(request, status);
    need_started(&request->monitored);
    atexit(terminal_restore);
    request->monitored.interactive = request->container.spec.interactive;
    int wait_status = monitor(&request->monitored, &asked);
    if (wait_status != 0 && limits_count_oom_kills(&request->limits))
        lab_warn("%s: out of memory: the limit is %lld bytes", request->container.spec.name,
                 request->container.spec.memory);
    return asked ? 128 + asked : lab_shell_status(wait_status);
}

int join_container(int argc, char *argv[], char *whole[])
{
    static struct exec_request request;
    struct specification options = {0};
    int name = read_exec_options(&options, argc, argv);

    begin_service();
    leave_exemptions();
    find_container(&request, argv[name], &options);
    if (!(request.container.spec.without & WALL_BINARY)) {
        protect_binary(whole);
        forbid_tracing();
    }
    hide_environment(&request.container.spec, argc, argv);
    limits_find(&request.limits, &request.container);
    request.monitored = MONITORED_NOTHING;
    if (options.terminal)
        request.monitored.guard = terminal_guard();
    request.monitored.signals = open_signals();
    request.command = (struct command){.spec = &request.container.spec,
                                       .launcher = open_launcher(),
                                       .filter = filter_for(request.container.spec.capabilities)};
    return run_request(&request);
}
