#include "commands.h"

#include <sys/wait.h>

#include "binary.h"
#include "ids.h"
#include "inside.h"
#include "mounts.h"
#include "namespace.h"
#include "network.h"
#include "options.h"
#include "pidfd.h"
#include "privileges.h"
#include "process.h"
#include "report.h"
#include "rootless.h"
#include "runtime.h"
#include "signals.h"
#include "state.h"
#include "storage.h"
#include "terminal.h"
#include "unprivileged.h"

struct runtime run;

/*
 * Before there is a process.
 */

/* Wait until FD can be read, or for so long (-1: without end); a signal that asks for the end ends
 * the start. */
static void wait_for(int fd, int milliseconds)
{
    run.asked = wait_readable(fd, -1, run.monitored.signals, milliseconds);
    if (run.asked)
        give_up_with(128 + run.asked, "%s: stopped by %s before the command ran",
                     run.container.spec.name, lab_signal_name(run.asked));
}

/* The last step under the lock of all containers. */
static void install_rules(const struct container *container)
{
    int status = network_wait_for_rules();

    if (status == LAB_EXIT_NOT_FOUND)
        give_up("a bridge needs iptables; install it, or use --net none");
    if (status != 0)
        give_up("the rules of the bridge could not be made");
    if (container->spec.network == NETWORK_BRIDGE && container->spec.port_count > 0 &&
        network_publish(false) != 0)
        give_up("the published ports could not be made reachable");
    state_unlock();
}

/* Under the lock of all containers: claim the name, the users, the address and the ports.
 * clean_up() undoes it. */
static void claim(struct container *container)
{
    lock_and_sweep(true);
    /* From here on there is something to clean up, so signals are blocked and read. */
    run.monitored.signals = open_signals();
    if (state_claim_name(container) == -1) {
        int error = errno;
        state_unlock();
        errno = error;
        if (error == EEXIST)
            give_up("the name %s is in use", container->spec.name);
        fail("make %s", container->directory);
    }
    run.owner = getpid();
    run.claimed = true;
    atexit(clean_up);
    container->runtime = getpid();
    container->runtime_began = process_began(getpid());
    if (container->runtime_began == 0)
        fail("read when process %d began", (int)getpid());
    snprintf(container->runtime_name, sizeof(container->runtime_name), "%s", lab_unique_pid());
    container->began = time(NULL);
    if (container->spec.own_users && !is_unprivileged() &&
        (run.ids = ids_claim(&container->first_id)) == -1)
        fail("claim user IDs");
    network_join(container);
    must(state_save(container), "write %s", state_path(container, "state"));
    /* Other commands need not wait until an archive is unpacked, or for a volume or layer whose
     * file system does not answer. */
    if (!network_rules_pending() || base_is_packed(&container->spec) || container->spec.layer ||
        container->spec.volume_count > 0)
        install_rules(container);
}

/*
 * The process.
 */

/* Make the mounts and the network while the child makes its own mounts, and send them. */
static void send_mounts(struct container *container, int users)
{
    const struct message message = {.kind = MESSAGE_MOUNTS};
    int fds[MAXIMUM_FDS], count = 0;
    struct mounts mounts;

    mounts_make(&mounts, container, run.base, users);
    fds[count++] = mounts.root;
    fds[count++] = mounts.device;
    for (int i = 0; i < container->spec.volume_count; i++)
        fds[count++] = mounts.volumes[i];
    if (container->spec.network == NETWORK_USER)
        connect_as_user(container, wait_for);
    network_connect(container, container->pid);
    if (network_rules_pending())
        install_rules(container);
    if (send_message(run.socket, &message, fds, count) == -1 && errno != EPIPE)
        fail("send the mounts to the container");
    while (count > 0)
        close(fds[--count]);
    lab_close_fd(&mounts.used[0]), lab_close_fd(&mounts.used[1]);
}

/* In the child: close what belongs to the runtime. A copy would keep its lock, and its ends of the
 * socket and the pipes, open. */
static void close_runtime_descriptors(void)
{
    int *const ours[] = {&run.socket,          &run.container.lock,    &run.ids,
                         &run.monitored.input, &run.monitored.output,  &run.monitored.error,
                         &run.monitored.guard, &run.monitored.signals, &run.monitored.pidfd};

    for (int i = 0; i < LAB_COUNT(ours); i++)
        lab_close_fd(ours[i]);
    session_close();
}

/* Start the process. */
static void clone_container(struct container *container, const struct inside *inside)
{
    lab_fd users = -1;

    /* Without root it would be one with all processes of the user. */
    if (!is_unprivileged())
        lower_counted_limits();
    container->pid = ids_clone(namespaces_of(&container->spec), &run.monitored.pidfd,
                               run.limits.directory, container->first_id);
    if (container->pid == 0) {
        close_runtime_descriptors();
        become_container(inside);
    }
    if (container->pid == -1)
        fail("clone3 with new namespaces");
    container->pid_began = process_began(container->pid);
    if (container->pid_began == 0)
        fail("read when process %d began", (int)container->pid);
    if (container->spec.own_users)
        users = ids_map(container->pid, container->first_id, run.socket);
    forbid_tracing(); /* without root, that would have forbidden to write the maps */
    send_mounts(container, users);
}

static void start(struct container *container)
{
    struct inside inside = {
        .container = container,
        .limits = &run.limits,
        .command = {.spec = &container->spec,
                    .filter = filter_for(container->spec.capabilities),
                    .launcher = open_launcher(),
                    .terminals = -1},
    };

    child_process = &run.monitored.pidfd;
    run.socket = child_socket =
        make_streams(&inside.command.ends, &run.monitored, &container->spec, container->first_id);
    terminal_size(&inside.command.rows, &inside.command.columns);
    clone_container(container, &inside);
    close_streams(&inside.command.ends);
}

static int run_specified(const struct specification *spec)
{
    struct container *container = &run.container;
    static char log[PATH_MAX];

    run.container.spec = *spec;
    claim(container);
    lab_become_root();
    run.base = open_base(container, run.archive, &run.monitored.pidfd, wait_for);
    lab_close_fd(&run.archive);
    limits_make(&run.limits, container);
    snprintf(log, sizeof(log), "%s", state_path(container, "log"));
    run.monitored.log = log;
    start(container);
    do
        wait_for(run.socket, -1);
    while (receive_progress(run.socket, spec, &run.monitored));
    child_process = NULL; /* it is looked at here */
    if (!run.monitored.started && limits_count_oom_kills(&run.limits))
        give_up("%s: out of memory before the command ran: the limit is %lld bytes", spec->name,
                spec->memory);
    need_started(&run.monitored);
    lab_close_fd(&run.socket);
    child_socket = -1;
    /* The process 1 of --init forwards all signals. */
    run.monitored.pid = spec->init ? 0 : container->pid;
    must(state_save(container), "write %s", state_path(container, "state"));
    run.monitored.quiet = session_report_ready();
    return run_until_end(container);
}

/* Only a kernel without user namespaces opens this wall, and no other error. */
static void adapt_to_kernel(struct specification *spec)
{
    if (!spec->own_users || is_unprivileged() || !has_no_user_namespaces())
        return;
    lab_warn("--userns auto: a user namespace cannot be made: %s; root inside is root outside",
             lab_strerror(errno));
    spec->own_users = false;
}

int run_container(int argc, char *argv[])
{
    struct specification spec;

    run.container.lock = run.ids = run.base = run.archive = run.socket = -1;
    run.monitored = MONITORED_NOTHING;
    read_run_options(&spec, argc, argv);
    hide_environment(&spec, argc, argv);
    begin_service();
    leave_exemptions();
    adapt_to_user(&spec);
    adapt_to_kernel(&spec);
    check_root(&spec);
    if (!is_unprivileged())
        forbid_tracing();
    umask(022);
    if (spec.detach)
        session_detach(&spec);
    if (spec.root && strcmp(spec.root, "-") == 0)
        run.archive = session_take_archive(&spec);
    if (spec.terminal)
        run.monitored.guard = terminal_guard();
    return run_specified(&spec);
}
