#include "commands.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>

#include "limits.h"
#include "number.h"
#include "pidfd.h"
#include "process.h"
#include "report.h"
#include "state.h"
#include "unprivileged.h"

/* Before anything is listed, remove what dead runtimes have left. What stays is named, and the next
 * command tries again. */
static void sweep(void)
{
    lock_and_sweep(false);
    state_unlock();
}

/* Load the container NAME. Exits with one line where there is none. */
static void load(struct container *container, const char *name)
{
    if (state_load(container, name) == 0)
        return;
    if (errno != ENOENT)
        lab_exit(EXIT_FAILURE, "%s", state_trouble(container));
    lab_exit(EXIT_FAILURE, "there is no container %s", name);
}

/* The same for the one that the only argument names, after the sweep. */
static void find(struct container *container, int argc, char *argv[], int at)
{
    begin_service();
    sweep();
    if (argc - at != 1)
        lab_exit(LAB_EXIT_USAGE, "%s needs the name of one container", argv[0]);
    load(container, argv[at]);
}

/* A pidfd of the process PID of CONTAINER that began at BEGAN, or -1 where it has ended, or is not
 * there yet. */
static int open_process_of(const struct container *container, pid_t pid, unsigned long long began)
{
    int pidfd = open_process(pid, began);

    if (pidfd == -1 && errno != ESRCH)
        lab_die("open process %d of %s", (int)pid, container->spec.name);
    return pidfd;
}

/* Pidfds of its process 1 and of its RUNTIME; -1 where one has just ended, or is not there yet.
 * Exits with one line where CONTAINER has ended, or cannot be ended from here. */
static int open_running(const struct container *container, int *runtime)
{
    if (container->ended)
        lab_exit(EXIT_FAILURE, "container %s does not run", container->spec.name);
    *runtime = open_process_of(container, container->runtime, container->runtime_began);
    const int process = open_process_of(container, container->pid, container->pid_began);
    /* Its runtime has the lock. */
    if (*runtime == -1 && process == -1 && state_is_running(container) == 1)
        lab_exit(EXIT_FAILURE, "container %s is in another PID namespace: end it from there",
                 container->spec.name);
    return process;
}

const char *container_state(const struct container *container)
{
    if (container->ended || is_starting(container))
        return container->ended ? "ended" : "starting";
    lab_fd process = open_process_of(container, container->pid, container->pid_began);
    return process == -1 ? "ending" : "running";
}

/*
 * ps
 */

static void print_age(time_t began)
{
    long seconds = (long)(time(NULL) - began);
    char text[32];

    if (seconds < 0) /* the clock was set back */
        strcpy(text, "?");
    else if (seconds < 120)
        snprintf(text, sizeof(text), "%ld s", seconds);
    else if (seconds < 7200)
        snprintf(text, sizeof(text), "%ld min", seconds / 60);
    else
        snprintf(text, sizeof(text), "%ld h", seconds / 3600);
    printf("%-8s ", text);
}

static void print_row(const struct container *container, void *argument)
{
    const struct specification *spec = &container->spec;
    char text[256] = "";

    (void)argument;
    printf("%-16s %-8d ", spec->name, (int)container->pid);
    if (container->ended)
        snprintf(text, sizeof(text), "ended (%d)", container->status);
    printf("%-12s ", container->ended ? text : container_state(container));
    print_age(container->began);
    printf("%-15s ", container->address.s_addr       ? inet_ntoa(container->address)
                     : spec->network == NETWORK_HOST ? "host"
                                                     : "none");
    text[0] = '\0';
    for (int i = 0; i < spec->port_count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s%u:%u%s", length ? "," : "",
                 spec->ports[i].outside, spec->ports[i].inside, spec->ports[i].udp ? "/udp" : "");
    }
    printf("%-15s", *text ? text : "-");
    for (char **word = spec->command; *word; word++) {
        hide_controls(*word);
        printf(" %s", *word);
    }
    putchar('\n');
}

int list_containers(int argc, char *argv[])
{
    begin_service();
    if (argc > 1)
        lab_exit(LAB_EXIT_USAGE, "%s takes no arguments", argv[0]);
    sweep();
    printf("%-16s %-8s %-12s %-8s %-15s %-15s %s\n", "NAME", "PID", "STATE", "AGE", "ADDRESS",
           "PORTS", "COMMAND");
    return state_for_each(print_row, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * logs
 */

/* Open its file NAME; -1: there is none. */
static int open_log(const struct container *container, const char *name)
{
    const char *path = state_path(container, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1 && errno != ENOENT)
        lab_die("read %s", path);
    return fd;
}

/* Whether its log is behind FD; or there is none, and FD is -1. */
static bool is_present_log(const struct container *container, int fd)
{
    const char *path = state_path(container, "log");
    struct stat opened, present;
    const bool there = stat(path, &present) == 0;

    if ((!there && errno != ENOENT) || (fd != -1 && fstat(fd, &opened) == -1))
        lab_die("look at %s", path);
    return there ? fd != -1 && lab_same_file(&opened, &present) : fd == -1;
}

static void print_log(const struct container *container, int fd)
{
    char bytes[4096];
    ssize_t count = 0;

    while (fd != -1 && (count = TEMP_FAILURE_RETRY(read(fd, bytes, sizeof(bytes)))) > 0)
        if (fwrite(bytes, 1, (size_t)count, stdout) != (size_t)count)
            lab_die("write to stdout");
    if (count == -1)
        lab_die("read %s", state_path(container, "log"));
}

int show_log(int argc, char *argv[])
{
    struct container container;
    lab_fd present = -1, old = -1, cut = -1;

    find(&container, argc, argv, 1);
    /* When the present one has got another name meanwhile, a part would be missing. */
    do {
        lab_close_fd(&present), lab_close_fd(&old), lab_close_fd(&cut);
        present = open_log(&container, "log");
        old = open_log(&container, "log.old");
        cut = open_log(&container, "log.cut");
    } while (!is_present_log(&container, present));
    if (present == -1 && old == -1 && cut == -1)
        load(&container, argv[1]); /* unless it was removed meanwhile, it has said nothing */
    print_log(&container, old);
    print_log(&container, present);
    print_log(&container, cut);
    if (cut != -1)
        lab_exit(EXIT_FAILURE,
                 "the log of %s ends here: %s could not be written, as on a full disk",
                 container.spec.name, state_path(&container, "log"));
    return EXIT_SUCCESS;
}

/*
 * stop, kill
 */

static void signal_container(const struct container *container, int pidfd, int signal)
{
    if (signal_process(pidfd, signal) == -1 && errno != ESRCH)
        lab_die("send %s to %s", lab_signal_name(signal), container->spec.name);
}

/* Whether SIGNAL reaches process 1. With --init it waits for all signals, and those that a process
 * waits for are not listed as blocked; without a PID namespace it is like any other process. */
static bool handles_signal(const struct container *container, int signal)
{
    if (container->spec.init || (container->spec.without & WALL_PID))
        return true;
    int handles = process_handles_signal(container->pid, signal);
    if (handles == -1)
        lab_die("read which signals process %d of %s handles", (int)container->pid,
                container->spec.name);
    return handles;
}

/* Wait until the process behind PIDFD has ended; false after MILLISECONDS. */
static bool wait_for(int pidfd, int milliseconds)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    int ready;

    do
        ready = poll(&end, 1, milliseconds);
    while (ready == -1 && errno == EINTR);
    if (ready == -1)
        lab_die("wait for a process");
    return ready > 0;
}

/* End the start of CONTAINER: its runtime takes back what it has made. It may have started just
 * before, with a command that does not end by this signal, and that is recorded a moment later. */
static void end_start(const struct container *container, int runtime)
{
    enum { TRIES = 50, PAUSE = 100 }; /* milliseconds */
    struct container now;

    signal_container(container, runtime, SIGTERM);
    for (int i = 0; i < TRIES && !wait_for(runtime, PAUSE); i++) {
        if (state_load(&now, container->spec.name) == -1 || now.ended || is_starting(&now))
            continue;
        lab_fd process = open_process_of(&now, now.pid, now.pid_began);
        if (process != -1)
            signal_container(&now, process, SIGKILL);
        limits_kill(&now);
        return;
    }
}

/* End all processes of CONTAINER, the first of which is behind PIDFD (-1: it has ended), and wait
 * for its runtime, which clears up; it cannot where its output is not read, and a million files of
 * a layer take it a minute. */
static void end_container(const struct container *container, int pidfd, int runtime)
{
    if (pidfd != -1) {
        signal_container(container, pidfd, SIGKILL);
        limits_kill(container); /* what does not end has been told, and the runtime waits for it */
    } else if (runtime != -1 && is_starting(container)) {
        end_start(container, runtime);
    }
    if (runtime != -1 && !wait_for(runtime, STOP_SECONDS * 1000 * lab_slowness()))
        lab_exit(
            EXIT_FAILURE,
            "%s was ended, but its runtime, process %d, goes on: it or an exec is stopped, its "
            "output is not read, or it removes files yet",
            container->spec.name, (int)container->runtime);
}

int stop_container(int argc, char *argv[])
{
    struct container container;
    long long seconds = STOP_SECONDS;
    int option;

    argv[0] = program_invocation_short_name;
    while ((option = getopt(argc, argv, "+t:")) != -1)
        if (option != 't')
            lab_try_help(LAB_EXIT_USAGE);
        else
            seconds = lab_number_option("-t", optarg, 0, 86400);
    argv[0] = "stop";
    find(&container, argc, argv, optind);
    lab_fd runtime = -1, pidfd = open_running(&container, &runtime);
    /* A process 1 without a handler for SIGTERM is killed at once. */
    if (pidfd != -1 && handles_signal(&container, SIGTERM)) {
        signal_container(&container, pidfd, SIGTERM);
        wait_for(pidfd, (int)seconds * 1000);
    }
    end_container(&container, pidfd, runtime);
    return EXIT_SUCCESS;
}

int kill_container(int argc, char *argv[])
{
    struct container container;
    int option, signal = SIGKILL;

    argv[0] = program_invocation_short_name;
    while ((option = getopt(argc, argv, "+s:")) != -1)
        if (option != 's')
            lab_try_help(LAB_EXIT_USAGE);
        else if ((signal = lab_signal_number(optarg)) == -1)
            lab_exit(LAB_EXIT_USAGE, "there is no signal '%s'", optarg);
    argv[0] = "kill";
    find(&container, argc, argv, optind);
    lab_fd runtime = -1, pidfd = open_running(&container, &runtime);
    if (signal != SIGKILL && is_starting(&container))
        lab_exit(EXIT_FAILURE, "%s is being made yet: only SIGKILL ends that", container.spec.name);
    /* The kernel would discard it without an error. */
    if (signal != SIGKILL && signal != SIGSTOP && !handles_signal(&container, signal))
        lab_exit(EXIT_FAILURE,
                 "process 1 of %s has no handler for %s, so the signal does nothing (see --init)",
                 container.spec.name, lab_signal_name(signal));
    if (signal == SIGKILL)
        end_container(&container, pidfd, runtime);
    else if (pidfd != -1)
        signal_container(&container, pidfd, signal);
    return EXIT_SUCCESS;
}

int inspect_container(int argc, char *argv[])
{
    struct container container;

    find(&container, argc, argv, 1);
    print_inspection(&container);
    return EXIT_SUCCESS;
}

/*
 * prune
 */

static void remove_ended(const struct container *container, void *all)
{
    int running = container->ended ? state_is_running(container) : 1;

    if (running == -1)
        lab_warn_errno("look whether %s runs", container->spec.name);
    if (running == -1 || (running == 0 && state_remove(container, false) == -1))
        *(bool *)all = false;
    else if (running == 0)
        puts(container->spec.name);
}

int prune_containers(int argc, char *argv[])
{
    bool all;

    begin_service();
    if (argc > 1)
        lab_exit(LAB_EXIT_USAGE, "%s takes no arguments", argv[0]);
    /* After a restart of the machine, what lies on a disk is there alone. */
    all = lock_and_sweep(true);
    if (state_for_each(remove_ended, &all) == -1)
        all = false;
    state_unlock();
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
