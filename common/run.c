#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cgroup.h"
#include "error.h"
#include "file.h"
#include "hierarchy.h"
#include "lock.h"
#include "namespace.h"
#include "process.h"
#include "rootless.h"

/* The file in a run's directory that says it has a cgroup: empty, or where a process that the group
 * was only lent belongs, see lab_cgroup_origin(), or LAB_CGROUP_BASE and where the groups are. */
static const char CGROUP[] = "cgroup";

static struct {
    char name[48];       /* NN-PID, see lab_unique_pid() */
    char directory[256]; /* lab_runs()/NN-PID */
    int place;           /* that directory, whatever is mounted on it in the experiment's eyes */
    int lock;            /* held by the supervisor, or the tool, alone */
    pid_t owner;         /* the process with which a tool's run ends */
    struct lab_hierarchies hierarchies;
    int tie; /* a pipe that nobody writes to: its end tells the guardian of ours */
    pid_t guardian;
    sigset_t ends_run; /* the signals that a supervisor waits for */
    sigset_t signals_before;
} run = {.place = -1, .lock = -1, .tie = -1};

static void need_root(const char *program)
{
    char remedy[256];

    if (geteuid() == 0)
        return;
    snprintf(remedy, sizeof(remedy), "type: sudo %s", program);
    lab_cannot_run("this needs root", remedy);
}

/*
 * The directory of all runs. It is there only while runs are: made by the first, removed by the
 * last. Its own lock is held while names in it come and go.
 */

/* Lock it. Returns a descriptor, or -1 with errno. In /tmp another user may have made it. */
static int lock_runs(void)
{
    int runs = lab_lock_directory(lab_runs(), 0700, LAB_LOCK_PATIENCE);

    if (runs == -1 && (errno == EEXIST || errno == ENOTDIR || errno == ELOOP))
        lab_exit(lab_exit_failure, "%s %s; %s", lab_runs(),
                 errno == EEXIST ? "belongs to another user" : "is no directory",
                 lab_rootless ? "set XDG_RUNTIME_DIR to a directory of your own"
                              : "remove it, if nobody needs it");
    return runs;
}

/* Remove the groups of the run NAME, if it has any, and its directory in RUNS. Without that lock
 * (RUNS is -1) only what can take long: the groups. */
static int remove_run(int runs, const char *name)
{
    char path[256], origin[4096];

    snprintf(path, sizeof(path), "%s/%.47s/%s", lab_runs(), name, CGROUP);
    ssize_t length = lab_read_file(path, origin, sizeof(origin));
    if (length == -1 && errno != ENOENT)
        return -1;
    if (length != -1 && lab_cgroup_remove_run(name, origin, runs != -1) == -1)
        return -1;
    if (runs == -1)
        return 0;
    if (length != -1 && unlink(path) == -1)
        return -1;
    return unlinkat(runs, name, AT_REMOVEDIR);
}

/* Remove the run NAME if it has ended: if its lock is free. What cannot be removed is named, and
 * stays for the next. */
static int sweep_run(int runs, const char *name, void *unused)
{
    struct stat above, status;

    (void)unused;
    if (*name == '.')
        return 0;
    lab_fd fd = openat(runs, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    const bool can_tell = fd != -1 && fstat(runs, &above) == 0 && fstat(fd, &status) == 0;
    if (can_tell && status.st_dev != above.st_dev)
        return 0; /* this is a shell of that run: its tmpfs is on it */
    const bool ended = can_tell && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (can_tell && !ended && errno == EWOULDBLOCK)
        return 0;
    if (!ended || remove_run(runs, name) == -1)
        lab_warn_errno("remove the run %s", name);
    return 0;
}

/* End after a failure with errno, as if no run had been tried. */
__attribute__((noreturn)) static void give_up_directory(const char *action)
{
    const int error = errno;

    rmdir(lab_runs()); /* unless others are in it */
    errno = error;
    lab_die("%s %s", action, run.directory);
}

static void claim_directory(const char *number)
{
    lab_fd runs = lock_runs();

    if (runs == -1)
        lab_lock_die(lab_runs());
    if (lab_each_name(lab_runs(), sweep_run, NULL) == -1)
        lab_warn_errno("look for earlier runs in %s", lab_runs());
    snprintf(run.name, sizeof(run.name), "%s-%s", number, lab_unique_pid());
    snprintf(run.directory, sizeof(run.directory), "%s/%s", lab_runs(), run.name);
    if (mkdir(run.directory, 0755) == -1)
        give_up_directory("mkdir");
    run.lock = open(run.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    run.place = run.lock == -1 ? -1 : open(run.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (run.place == -1 || flock(run.lock, LOCK_EX) == -1) {
        const int error = errno;
        if (rmdir(run.directory) == -1)
            lab_warn_errno("remove %s", run.directory);
        errno = error;
        give_up_directory("lock");
    }
}

static void release(void)
{
    /* As long as we have the lock of the run, the groups are ours alone, and no other run has to
     * wait until they are removed, however many there are. */
    const bool removed = run.lock == -1 || remove_run(-1, run.name) == 0;
    lab_fd runs = removed ? lock_runs() : -1;

    /* The guardian may have been there before us. */
    if (runs == -1 && errno == ETIMEDOUT)
        lab_warn("%s stays locked by %s", lab_runs(), lab_lock_holder(lab_runs()));
    else if (runs == -1 || (remove_run(runs, run.name) == -1 && errno != ENOENT))
        lab_warn_errno("remove the run %s", run.name);
    /* Where another run has its directory in it, it stays. */
    if (rmdir(lab_runs()) == -1 && errno != ENOTEMPTY && errno != ENOENT)
        lab_warn_errno("remove %s", lab_runs());
}

/*
 * The supervisor.
 */

__attribute__((noreturn)) static void release_and_die(const char *call)
{
    int error = errno;

    release();
    errno = error;
    lab_die("%s", call);
}

/* Wait until the experiment has ended, or kill it when a signal asks this run to end.
 * Returns its status of wait(2), and that signal or 0 in *ASKED. */
static int wait_for_experiment(pid_t experiment, int *asked)
{
    int wait_status;
    pid_t ended;

    *asked = 0;
    for (;;) {
        int signal = sigwaitinfo(&run.ends_run, NULL);
        if (signal > 0 && signal != SIGCHLD) {
            *asked = signal;
            kill(experiment, SIGKILL);
        }
        while ((ended = waitpid(experiment, &wait_status, WNOHANG)) == -1 && errno == EINTR)
            ;
        if (ended == -1)
            release_and_die("wait for the experiment");
        if (ended == experiment)
            return wait_status;
    }
}

/* From the background that is allowed only with SIGTTOU ignored. */
void lab_take_terminal(void)
{
    if (!isatty(STDIN_FILENO))
        return;
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpgrp());
    signal(SIGTTOU, SIG_DFL);
}

/* Pass on how the experiment ended: by its exit status, or by dying of the same signal. */
__attribute__((noreturn)) static void end_like(int wait_status, int asked)
{
    if (asked) {
        signal(asked, SIG_DFL);
        sigprocmask(SIG_SETMASK, &run.signals_before, NULL);
        raise(asked);
    }
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGPIPE)
        lab_warn("the experiment was ended by %s; nothing of it is left",
                 lab_signal_name(WTERMSIG(wait_status)));
    exit(lab_shell_status(wait_status));
}

/* What is to end the run is waited for instead of being handled. A signal that is ignored, such as
 * nohup(1)'s, goes on being ignored. */
static void block_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction present;

    sigemptyset(&run.ends_run);
    sigaddset(&run.ends_run, SIGCHLD);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        if (sigaction(ending[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(&run.ends_run, ending[i]);
    sigprocmask(SIG_BLOCK, &run.ends_run, &run.signals_before);
}

/* Fork. The child returns and is the experiment; the parent never does. */
static void supervise(void)
{
    struct termios settings;
    bool terminal = tcgetattr(STDIN_FILENO, &settings) == 0;
    int asked;

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
        release_and_die("prctl PR_SET_CHILD_SUBREAPER");
    pid_t experiment = lab_fork();
    if (experiment == -1)
        release_and_die("fork");
    if (experiment == 0) {
        close(run.lock); /* the lock is to go with the supervisor */
        sigprocmask(SIG_SETMASK, &run.signals_before, NULL);
        return;
    }
    int wait_status = wait_for_experiment(experiment, &asked);
    /* With the lock, so that the guardian is not killed while it clears up. */
    int runs = lock_runs();
    lab_kill_descendants();
    lab_close_fd(&runs);
    lab_take_terminal();
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
    release();
    end_like(wait_status, asked);
}

/*
 * Control groups.
 */

/* Wait, as a process of its own, until no other process can clear up, then do it. */
__attribute__((noreturn)) static void guard(int tied_to)
{
    char nothing;
    sigset_t all;

    if (setsid() == -1) /* so that Ctrl-C passes by */
        lab_warn_errno("the guardian of this run: setsid");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "guardian");
    /* Whoever reads what the run prints must not wait for us. */
    if (dup2(tied_to, STDIN_FILENO) == -1) {
        lab_warn_errno("the guardian of this run: dup2");
        _exit(EXIT_FAILURE);
    }
    close_range(STDIN_FILENO + 1, ~0U, 0);
    run.lock = -1;
    if (TEMP_FAILURE_RETRY(read(STDIN_FILENO, &nothing, 1)) == -1)
        _exit(EXIT_FAILURE); /* the run may go on: the next one clears up, if this one cannot */
    if (chdir("/") == 0 && run.owner == 0)
        umount2(run.directory, MNT_DETACH); /* the tmpfs that an experiment has on it */
    release();
    _exit(EXIT_SUCCESS);
}

static void start_guardian(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        lab_die("pipe");
    fflush(stdout);
    /* In a mount namespace of its own: what the run mounts on /run later does not hide our /run. */
    run.guardian = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWNS, NULL, NULL, NULL, NULL);
    if (run.guardian == -1)
        lab_die("fork");
    if (run.guardian == 0) {
        close(ends[1]); /* our own end would keep us waiting for ever */
        guard(ends[0]);
    }
    close(ends[0]);
    run.tie = ends[1];
}

/* Note down that the run has a group, and make it. Returns -1 where it cannot be made. Whoever
 * exits must have let go of the lock before: the end of the run takes it. */
static int claim_group(struct lab_cgroup *group, const char *origin)
{
    lab_fd runs = lock_runs();

    if (runs == -1)
        lab_lock_die(lab_runs());
    lab_fd file = openat(run.place, CGROUP, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (file == -1 || lab_write_once(file, origin) == -1) {
        lab_close_fd(&runs);
        lab_die("write %s/%s", run.directory, CGROUP);
    }
    if (lab_cgroup_create_run(group, &run.hierarchies, run.name, group->controllers) == 0)
        return 0;
    int error = errno;
    /* What is there by our name is not ours. */
    unlinkat(run.place, CGROUP, 0);
    errno = error;
    return -1;
}

void lab_run_cgroup(struct lab_cgroup *group, unsigned controllers, pid_t pid)
{
    char origin[4096] = "";

    lab_hierarchies_need(&run.hierarchies, NULL);
    *group = (struct lab_cgroup){.where = &run.hierarchies, .controllers = controllers};
    if (pid && lab_cgroup_origin(group, pid, origin, sizeof(origin)) == -1)
        lab_cgroup_die();
    if (lab_rootless) {
        lab_cgroup_delegated(&run.hierarchies, controllers, NULL);
        snprintf(origin, sizeof(origin), LAB_CGROUP_BASE "%s", run.hierarchies.unified.base);
    }
    if (!run.guardian)
        start_guardian();
    if (claim_group(group, origin) == -1)
        lab_cgroup_die();
}

static void end_tool(void)
{
    if (getpid() != run.owner)
        return;
    release();
    if (run.guardian > 0) {
        close(run.tie);
        lab_wait(run.guardian);
    }
}

void lab_begin_tool(const char *number)
{
    lab_begin_as_usual();
    need_root(program_invocation_name);
    block_signals();
    claim_directory(number);
    run.owner = getpid();
    atexit(end_tool);
    start_guardian();
    sigprocmask(SIG_SETMASK, &run.signals_before, NULL);
}

void lab_cannot_begin(const char *call)
{
    char missing[256];
    const bool unshares = strncmp(call, "unshare", strlen("unshare")) == 0;

    snprintf(missing, sizeof(missing), "%s: %s", call, lab_strerror(errno));
    lab_cannot_run(missing, errno == EINVAL && !unshares  ? LAB_ROOT_IS_NO_MOUNT
                            : errno == ENOSPC && unshares ? "the limits are in /proc/sys/user"
                                                          : "run it on the machine itself or in a "
                                                            "virtual machine");
}

static void own_namespaces(void)
{
    /* A file system that is shared, as systemd makes it, would hand our mounts to everybody. */
    if (unshare(CLONE_NEWNS) == -1)
        lab_cannot_begin("unshare CLONE_NEWNS");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_cannot_begin("make / MS_PRIVATE");
    if (mount("tmpfs", run.directory, "tmpfs", 0, "mode=0755") == -1)
        lab_cannot_begin("mount a tmpfs");
    if (chdir(run.directory) == -1)
        lab_die("chdir %s", run.directory);
}

void lab_begin_experiment(const char *number)
{
    lab_become_root();
    block_signals(); /* before there is anything that would have to be taken away again */
    claim_directory(number);
    supervise();
    own_namespaces();
}
