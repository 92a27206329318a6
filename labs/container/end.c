/* The end of a container, by return or by exit(3), for runtime.h. */
#include <sys/file.h>
#include <sys/wait.h>

#include "ids.h"
#include "lock.h"
#include "network.h"
#include "pidfd.h"
#include "process.h"
#include "remove.h"
#include "report.h"
#include "runtime.h"
#include "signals.h"
#include "state.h"
#include "storage.h"
#include "streams.h"
#include "terminal.h"
#include "unprivileged.h"

/* Called before each file that is removed. After a signal, or a second after the signal that ended
 * the start, the rest is left to a child, and the runtime ends. */
static void continue_in_background(void)
{
    int signal = pending_end_signal();

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
    session_close();
    setsid();
}

/* Under the lock of all containers: give back the names, the addresses, the rules. */
static bool give_back_claims(struct container *container)
{
    if (state_remove(container, container->ended) == -1)
        return false;
    const bool left = container->spec.network != NETWORK_BRIDGE || network_leave(container) == 0;
    state_mark_cleared(container);
    return left;
}

/* Returns whether nothing is left. What is stays recorded, for the next command to sweep. */
static bool give_back(struct container *container)
{
    end_process(&run.monitored.pidfd);
    relay_end();
    disconnect_user();
    bool all = limits_remove(&run.limits, container) == 0;
    all = network_disconnect(container) == 0 && all;
    remove_pause = continue_in_background;
    run.when = time(NULL);
    if (storage_remove(container) == -1)
        all = false;
    remove_pause = NULL;
    if (state_lock(true) == -1) {
        lab_warn(errno == ETIMEDOUT ? "%s stays locked by %s" : "lock %s: %s", state_directory(),
                 errno == ETIMEDOUT ? lab_lock_holder(state_directory()) : lab_strerror(errno));
        return false;
    }
    all = all && give_back_claims(container);
    ids_release(&run.ids);
    state_unlock();
    /* A child that removes the link may still have a copy of this lock: the runtime would live. */
    if (container->lock != -1 && flock(container->lock, LOCK_UN) == -1) {
        lab_warn_errno("unlock %s", container->directory);
        return false;
    }
    return all;
}

static bool give_back_or_warn(void)
{
    if (getpid() != run.owner || !run.claimed)
        return true;
    run.claimed = false;
    terminal_restore();
    const bool all = give_back(&run.container);
    if (!all)
        lab_warn("what is left of %s is for the next command to remove; `%s prune` tries at once",
                 run.container.spec.name, lab_typed("09_full_container"));
    return all;
}

void clean_up(void)
{
    give_back_or_warn();
}

/* Record the status and, where a signal or the lack of memory is the cause, the reason. */
static void record_end(struct container *container, int wait_status, int asked)
{
    char *reason = container->reason;
    size_t size = sizeof(container->reason);

    container->ended = true;
    container->status = asked ? 128 + asked : lab_shell_status(wait_status);
    if (container->status == 0)
        return;
    if (limits_count_oom_kills(&run.limits))
        snprintf(reason, size, "out of memory: the limit is %lld bytes", container->spec.memory);
    else if (asked)
        snprintf(reason, size, "stopped by %s", lab_signal_name(asked));
    else if (WIFSIGNALED(wait_status))
        snprintf(reason, size, "ended by %s", lab_signal_name(WTERMSIG(wait_status)));
    if (*reason)
        lab_warn("%s: %s", container->spec.name, reason);
}

/* The others end with process 1, which may lack CPU time for that. */
static void kill_others(void)
{
    limits_kill(&run.container);
}

int run_until_end(struct container *container)
{
    int asked;

    run.monitored.killed = kill_others;
    run.monitored.interactive = container->spec.interactive;
    int wait_status = monitor(&run.monitored, &asked);
    lab_close_fd(&run.monitored.pidfd);
    record_end(container, wait_status, asked);
    if (container->spec.remove)
        container->ended = false;
    else if (state_save(container) == -1)
        lab_warn_errno("write %s", state_path(container, "state"));
    const int status = container->status;
    return give_back_or_warn() || status != 0 ? status : STATUS_RUNTIME;
}
