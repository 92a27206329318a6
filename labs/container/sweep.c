#include "commands.h"

#include <signal.h>
#include <sys/file.h>

#include "limits.h"
#include "lock.h"
#include "network.h"
#include "pidfd.h"
#include "report.h"
#include "state.h"
#include "storage.h"

/* End CONTAINER's processes, and remove their group and their files; all may be gone already.
 * Returns whether they are, or warns. */
static bool remove_large(struct container *container)
{
    lab_fd process = open_process(container->pid, container->pid_began);

    if ((process == -1 || signal_process(process, SIGKILL) == -1) && errno != ESRCH) {
        lab_warn_errno("end process %d of %s", (int)container->pid, container->spec.name);
        return false;
    }
    return limits_sweep(container) == 0 && storage_remove(container) == 0;
}

/* Open and lock the directory NAME in ALL, if its runtime is dead. Returns it, or -1 with errno:
 * EWOULDBLOCK where the runtime lives, ENOENT where there is no such directory. */
static int lock_abandoned(int all, const char *name)
{
    struct stat opened, present;
    lab_fd fd = openat(all, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &opened) == -1 ||
        fstatat(all, name, &present, AT_SYMLINK_NOFOLLOW) == -1)
        return -1;
    /* Without the lock of ALL, the name may be that of another container by now. */
    if (lab_same_file(&opened, &present))
        return lab_take_fd(&fd);
    errno = ENOENT;
    return -1;
}

struct visit {
    bool (*each)(struct container *container); /* with its name, its directory, and its state */
    bool quiet;                                /* without a warning where it cannot be read */
    bool all;                                  /* whether EACH has returned true for all */
};

static int visit_abandoned(int all, const char *name, void *argument)
{
    struct visit *visit = argument;
    struct container container;

    if (!is_container_name(name))
        return 0;
    lab_fd lock = lock_abandoned(all, name);
    if (lock == -1)
        return errno == EWOULDBLOCK || errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    if (state_load(&container, name) == -1 && errno != ENOENT) { /* killed before it was written */
        if (!visit->quiet)
            lab_warn("%s", state_trouble(&container));
        visit->all = false;
    } else if (!container.cleared && !visit->each(&container)) {
        visit->all = false;
    }
    return 0;
}

/* Call EACH for every container whose runtime is dead, with the lock of its directory. Returns
 * whether all of them could be read, and EACH has returned true. */
static bool for_each_abandoned(bool (*each)(struct container *container), bool quiet)
{
    struct visit visit = {each, quiet, true};

    if (lab_each_name(state_directory(), visit_abandoned, &visit) == -1 && errno != ENOENT)
        lab_die("look for containers without a runtime in %s", state_directory());
    return visit.all;
}

static bool sweep_one(struct container *container)
{
    if (!remove_large(container) || network_disconnect(container) == -1 ||
        state_remove(container, container->ended) == -1)
        return false;
    /* What a failure has left may be without its record. */
    const bool left = network_leave(container->text ? container : NULL) == 0;
    state_mark_cleared(container);
    return left;
}

/* Under the lock of all containers: remove the rest. Returns whether nothing is left; what is was
 * named, and is tried again by the next command. */
static bool sweep_rest(void)
{
    if (access(state_directory(), F_OK) == -1 && errno == ENOENT)
        return true;
    /* No container leaves now, but a command that failed may have left the bridge. */
    static const struct container nobody;
    bool all = for_each_abandoned(sweep_one, false);
    if (storage_sweep() == -1)
        all = false;
    if (!state_claims_are_owned())
        all = false;
    return network_leave(&nobody) == 0 && all;
}

bool lock_and_sweep(bool make)
{
    /* First without that lock: the processes and the large files. The lock of NAME/ is enough for
     * it, so other commands need not wait. What fails, sweep_rest() tries again. */
    for_each_abandoned(remove_large, true);
    if (state_lock(make) == -1) {
        if (errno == ENOENT && !make)
            return true;
        lab_lock_die(state_directory());
    }
    return sweep_rest();
}
