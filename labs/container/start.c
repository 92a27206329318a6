#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"
#include "error.h"
#include "file.h"
#include "ids.h"
#include "inside.h"
#include "launcher.h"
#include "limits.h"
#include "lock.h"
#include "monitor.h"
#include "mounts.h"
#include "network.h"
#include "pidfd.h"
#include "privileges.h"
#include "process.h"
#include "remove.h"
#include "report.h"
#include "state.h"
#include "state_file.h"
#include "storage.h"
#include "streams.h"
#include "sweep.h"
#include "terminal.h"

/* The one container of this process. */
static struct {
    struct container container;
    struct limits limits;
    struct watched watched;
    pid_t owner; /* the process that clears up */
    int asked;   /* the signal that ended the start */
    time_t when; /* it came, or the end did */
    int ids;     /* the claim of its users */
    int base;    /* the base directory */
    int archive; /* ROOTFS is "-": what standard input was */
    int socket;  /* our end */
    struct ends theirs;
    int ready; /* --detach: a pipe to the process that was typed */
    bool claimed;
} run;

/*
 * The end, whichever way it comes: by return, by exit(3) out of any depth.
 */

/* Before each file that is removed: who asks us to end does not wait for all of them, and who has
 * ended the start so waits a second. What is left to do, a child does, whom nobody waits for. */
static void hurry(void)
{
    int signal = monitor_asked();

    if (signal == 0 && run.asked && time(NULL) > run.when + 1)
        signal = run.asked;
    if (signal == 0)
        return;
    remove_pause = NULL;
    lab_warn("%s: its files are removed in the background", run.container.spec.name);
    fflush(NULL);
    pid_t child = fork();
    if (child > 0)
        _exit(128 + signal);
    if (child == -1)
        return; /* they wait, then */
    lab_fd nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && nothing != -1; fd++)
        dup2(nothing, fd);
    lab_close_fd(&run.ready);
    setsid();
}

static void clear_up(void)
{
    struct container *container = &run.container;

    if (getpid() != run.owner || !run.claimed)
        return;
    run.claimed = false;
    terminal_restore();
    end_process(&run.watched.pidfd);
    limits_remove(&run.limits, container);
    remove_pause = hurry;
    run.when = time(NULL);
    storage_remove(container);
    remove_pause = NULL;
    if (state_lock(true) == -1) {
        lab_warn("%s is left to the next command to sweep; %s stays locked by %s",
                 container->spec.name, state_directory(), lab_lock_holder(state_directory()));
        return;
    }
    state_remove(container, container->ended);
    if (container->spec.network == NETWORK_BRIDGE)
        network_leave(container->spec.port_count > 0);
    state_mark_cleared(container);
    ids_release(&run.ids);
    state_unlock();
}

/*
 * Before there is a process.
 */

/* Wait until FD can be read, or until who has typed wants no more of it. */
static void wait_for(int fd)
{
    run.asked = monitor_until(fd, run.watched.signals);
    if (run.asked)
        give_up(128 + run.asked, "%s: stopped by %s before the command ran",
                run.container.spec.name, lab_signal_name(run.asked));
}

/* The last thing under the lock of all containers: the ways in and out of the bridge. */
static void open_up(const struct container *container)
{
    int status = network_settle();

    if (status == LAB_EXIT_NOT_FOUND)
        give_up(STATUS_RUNTIME, "a bridge needs iptables; install it, or use --net none");
    if (status != 0)
        give_up(STATUS_RUNTIME, "the rules of the bridge could not be made");
    if (container->spec.port_count > 0 && network_publish() != 0)
        give_up(STATUS_RUNTIME, "the published ports could not be made reachable");
    state_unlock();
}

/* Under the lock of all containers: what must not be had twice. Whatever fails from here on is
 * undone by clear_up(). */
static void claim(struct container *container)
{
    sweep_large();
    if (state_lock(true) == -1)
        lab_lock_die(state_directory());
    /* Up to here a signal ends us as any other; from here on there is something to clear up. */
    if (run.watched.signals == -1)
        run.watched.signals = monitor_signals();
    sweep_rest();
    if (state_claim_name(container) == -1) {
        int error = errno;
        state_unlock();
        errno = error;
        if (error == EEXIST)
            give_up(STATUS_RUNTIME, "the name %s is in use", container->spec.name);
        fail("make %s", container->directory);
    }
    run.owner = getpid();
    run.claimed = true;
    atexit(clear_up);
    container->runtime = getpid();
    container->runtime_began = process_began(getpid());
    container->began = time(NULL);
    if (container->spec.own_users && (run.ids = ids_claim(&container->first_id)) == -1)
        fail("claim user IDs");
    network_join(container);
    if (state_save(container) == -1)
        fail("write %s", state_path(container, "state"));
    /* Others need not wait until a tar is unpacked. */
    if (!network_is_coming() || base_is_packed(&container->spec))
        open_up(container);
}

/*
 * The process.
 */

/* clone3(2): all namespaces in one call, on v2 the control group too, and a pidfd that means this
 * process for ever. Returns the PID, 0 in the child, or -1 with errno. */
static pid_t clone_into_namespaces(const struct specification *spec)
{
    struct clone_args arguments = {
        .flags = namespaces_of(spec) | CLONE_PIDFD,
        .pidfd = (uintptr_t)&run.watched.pidfd,
        .exit_signal = SIGCHLD,
    };

    if (run.limits.directory != -1) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)run.limits.directory;
    }
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* Make what is made outside while the child makes its own, and send it. */
static enum mounts_result send_mounts(const struct container *container, int users)
{
    const struct message message = {.kind = MESSAGE_MOUNTS};
    int fds[MAXIMUM_FDS], count = 0;
    struct mounts mounts;

    if (mounts_make(&mounts, container, run.base, users) == MOUNTS_CANNOT_MAP) {
        lab_close_fd(&mounts.used[0]), lab_close_fd(&mounts.used[1]);
        return MOUNTS_CANNOT_MAP;
    }
    fds[count++] = mounts.root;
    fds[count++] = mounts.device;
    for (int i = 0; i < container->spec.volume_count; i++)
        fds[count++] = mounts.volumes[i];
    network_connect(container, container->pid);
    if (network_is_coming())
        open_up(container);
    if (send_message(run.socket, &message, fds, count) == -1 && errno != EPIPE)
        fail("send the mounts to the container");
    while (count > 0)
        close(fds[--count]);
    lab_close_fd(&mounts.used[0]), lab_close_fd(&mounts.used[1]);
    return MOUNTS_MADE;
}

/* In the child: what is the runtime's alone. As long as the child had it, its lock would be held,
 * its end of the socket open, and who waits for it would wait. */
static void let_go(void)
{
    int *const ours[] = {&run.socket,        &run.container.lock, &run.ids,
                         &run.ready,         &run.watched.input,  &run.watched.output,
                         &run.watched.error, &run.watched.guard,  &run.watched.signals,
                         &run.watched.pidfd};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        lab_close_fd(ours[i]);
}

/* Start the process. Returns false where this kernel cannot give it users of its own. */
static bool give_birth(struct container *container, const struct birth *birth)
{
    lab_fd users = -1;

    container->pid = clone_into_namespaces(&container->spec);
    if (container->pid == 0) {
        let_go();
        become_container(birth);
    }
    if (container->pid == -1) {
        run.watched.pidfd = -1;
        if (container->spec.own_users &&
            (errno == EPERM || errno == EINVAL || errno == ENOSPC || errno == EUSERS))
            return false;
        fail("clone3 with new namespaces");
    }
    container->pid_began = process_began(container->pid);
    if (container->spec.own_users)
        users = ids_give(container->pid, container->first_id, run.socket);
    return send_mounts(container, users) == MOUNTS_MADE;
}

/* Once more, with the machine's users: a layer that overlayfs has used already cannot be used
 * again. */
static void do_without_users(struct container *container)
{
    if (run.watched.pidfd == -1)
        lab_warn("--userns auto: a user namespace cannot be made: %s; root inside is root outside",
                 lab_strerror(errno));
    else
        lab_warn("--userns auto: this kernel or file system cannot show files with other owners; "
                 "root inside is root outside");
    end_process(&run.watched.pidfd);
    int *const made_again[] = {&run.socket, &run.watched.input, &run.watched.output,
                               &run.watched.error};
    for (size_t i = 0; i < sizeof(made_again) / sizeof(made_again[0]); i++)
        lab_close_fd(made_again[i]);
    child_socket = -1;
    storage_remove_layer(container);
    container->spec.own_users = false;
    container->first_id = 0;
    ids_release(&run.ids);
}

static void start(struct container *container)
{
    struct birth birth = {
        .container = container,
        .limits = &run.limits,
        .command = {.spec = &container->spec,
                    .filter = filter_for(container->spec.capabilities),
                    .launcher = open_launcher(),
                    .terminals = -1},
    };

    for (int attempt = 0;; attempt++) {
        run.socket = child_socket =
            make_ends(&run.theirs, &run.watched, &container->spec, container->first_id);
        birth.socket = run.theirs.socket;
        memcpy(birth.command.streams, run.theirs.streams, sizeof(birth.command.streams));
        terminal_size(&birth.command.rows, &birth.command.columns);
        bool born = give_birth(container, &birth);
        close_ends(&run.theirs);
        if (born)
            return;
        if (attempt > 0)
            give_up(STATUS_RUNTIME, "the container cannot be started");
        do_without_users(container);
    }
}

/* Hear what the child has to say until execve(2) closes its end. */
static void wait_for_command(void)
{
    struct message message;

    for (;;) {
        int fd = -1, count = 1;
        wait_for(run.socket);
        int result = receive_message(run.socket, &message, &fd, &count);
        if (result == -1)
            fail("hear from the container");
        if (result == 0)
            break;
        if (message.kind == MESSAGE_FAILED)
            give_up(message.status, "%s", message.text);
        if (message.kind == MESSAGE_NOT_STARTED)
            give_up_command(run.container.spec.command[0], message.status);
        if (message.kind == MESSAGE_TERMINAL && count == 1)
            run.watched.master = fd;
    }
    lab_close_fd(&run.socket);
    child_socket = -1;
}

/*
 * The end of the command.
 */

/* What ended it, in words, where the exit status alone does not tell. */
static void explain_end(struct container *container, int wait_status, int asked)
{
    char *reason = container->reason;
    size_t size = sizeof(container->reason);

    container->ended = true;
    container->status = asked ? 128 + asked : lab_shell_status(wait_status);
    if (container->status == 0)
        return;
    if (limits_met_end_of_memory(&run.limits))
        snprintf(reason, size, "out of memory: the limit is %lld bytes", container->spec.memory);
    else if (asked)
        snprintf(reason, size, "stopped by %s", lab_signal_name(asked));
    else if (WIFSIGNALED(wait_status))
        snprintf(reason, size, "ended by %s", lab_signal_name(WTERMSIG(wait_status)));
    if (*reason)
        lab_warn("%s: %s", container->spec.name, reason);
}

static int run_to_the_end(struct container *container)
{
    int asked;

    run.watched.interactive = container->spec.interactive;
    if (run.watched.master != -1 && run.watched.interactive)
        terminal_make_raw();
    int wait_status = monitor(&run.watched, &asked);
    terminal_restore();
    lab_close_fd(&run.watched.pidfd);
    explain_end(container, wait_status, asked);
    if (container->spec.remove)
        container->ended = false;
    else if (state_add(container) == -1)
        lab_warn("write %s: %s", state_path(container, "state"), lab_strerror(errno));
    return container->status;
}

/*
 * --detach: the process that was typed waits until the command runs, and says the name.
 */

static void detach(const struct specification *spec)
{
    int ends[2];
    char ready;

    if (!(spec->without & WALL_DESCRIPTORS))
        close_range(3, ~0U, 0); /* nobody shall wait for what we keep open */
    if (pipe2(ends, O_CLOEXEC) == -1)
        fail("pipe");
    pid_t child = fork();
    if (child == -1)
        fail("fork");
    if (child > 0) {
        close(ends[1]);
        if (read(ends[0], &ready, 1) != 1)
            exit(lab_wait(child));
        puts(spec->name);
        exit(EXIT_SUCCESS);
    }
    close(ends[0]);
    run.ready = ends[1];
    setsid();
}

static void say_ready(void)
{
    lab_fd nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (run.ready == -1)
        return;
    if (nothing == -1 || dup2(nothing, 0) == -1 || dup2(nothing, 1) == -1 ||
        dup2(nothing, 2) == -1 || chdir("/") == -1 || write(run.ready, "", 1) != 1)
        fail("detach");
    lab_close_fd(&run.ready);
    run.watched.quiet = true;
}

static int run_specified(const struct specification *spec)
{
    struct container *container = &run.container;
    static char log[PATH_MAX];

    run.container.spec = *spec;
    claim(container);
    run.base = open_base(container, run.archive, &run.watched.pidfd, wait_for);
    lab_close_fd(&run.archive);
    limits_make(&run.limits, container);
    snprintf(log, sizeof(log), "%s", state_path(container, "log"));
    run.watched.log = log;
    start(container);
    wait_for_command();
    /* The init of --init hands all signals on. */
    run.watched.pid = spec->init ? 0 : container->pid;
    if (state_add(container) == -1)
        fail("write %s", state_path(container, "state"));
    say_ready();
    return run_to_the_end(container);
}

static void begin(void)
{
    run.container.lock = run.ids = run.base = run.archive = run.socket = run.ready = -1;
    run.watched = (struct watched){.pidfd = -1,
                                   .input = -1,
                                   .output = -1,
                                   .error = -1,
                                   .master = -1,
                                   .guard = -1,
                                   .signals = -1};
}

/* The archive comes by standard input; keys, where they are wanted, by the terminal. */
static void take_standard_input(const struct specification *spec)
{
    lab_fd keys = spec->interactive ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;

    if (keys == -1)
        keys = open("/dev/null", O_RDWR | O_CLOEXEC);
    run.archive = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (run.archive == -1 || keys == -1 || dup2(keys, STDIN_FILENO) == -1)
        fail("read an archive from standard input");
}

int run_container(int argc, char *argv[])
{
    struct specification spec;

    begin();
    read_run_options(&spec, argc, argv);
    if (geteuid() != 0)
        give_up(STATUS_RUNTIME, "containers need root; type: sudo %s", program_invocation_name);
    check_root(&spec);
    /* While we go through a container, nobody in it may look into us. */
    if (prctl(PR_SET_DUMPABLE, 0) == -1)
        fail("prctl PR_SET_DUMPABLE");
    umask(022);
    if (spec.detach)
        detach(&spec);
    if (spec.root && strcmp(spec.root, "-") == 0)
        take_standard_input(&spec);
    if (spec.terminal)
        run.watched.guard = terminal_guard();
    return run_specified(&spec);
}
