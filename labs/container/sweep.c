#include "sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "limits.h"
#include "network.h"
#include "pidfd.h"
#include "state.h"
#include "state_file.h"
#include "storage.h"

/* End CONTAINER's processes, and remove their group and their files; all may be gone already. */
static void remove_large(const struct container *container)
{
    lab_fd process = open_process(container->pid, container->pid_began);

    if (process != -1)
        signal_process(process, SIGKILL);
    limits_sweep(container);
    storage_remove(container);
}

/* Open and lock the directory NAME in ALL, if its runtime is dead. Returns it, or -1. */
static int lock_abandoned(int all, const char *name)
{
    struct stat opened, present;
    lab_fd fd =
        is_container_name(name) ? openat(all, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    /* Without the lock of ALL, the name may be that of another container by now. */
    if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &opened) == -1 ||
        fstatat(all, name, &present, AT_SYMLINK_NOFOLLOW) == -1 || opened.st_ino != present.st_ino)
        return -1;
    return lab_take_fd(&fd);
}

/* Call EACH with the name of every container whose runtime is dead, with the lock of its directory.
 */
static void for_each_abandoned(void (*each)(const char *name))
{
    DIR *directory = opendir(state_directory());
    const struct dirent *entry;

    while (directory && (entry = readdir(directory)) != NULL) {
        lab_fd lock = lock_abandoned(dirfd(directory), entry->d_name);
        if (lock != -1)
            each(entry->d_name);
    }
    if (directory)
        closedir(directory);
}

static void sweep_one_large(const char *name)
{
    struct container *container = calloc(1, sizeof(*container));

    if (container && state_load(container, name) == 0 && !container->cleared)
        remove_large(container);
    free(container);
}

void sweep_large(void)
{
    for_each_abandoned(sweep_one_large);
}

static void sweep_one(const char *name)
{
    struct container *container = calloc(1, sizeof(*container));

    if (!container)
        return;
    if (state_load(container, name) == -1) { /* killed before it was written */
        snprintf(container->spec.name, sizeof(container->spec.name), "%.*s", NAME_SIZE - 1, name);
        snprintf(container->directory, sizeof(container->directory), "%s/%s", state_directory(),
                 name);
    }
    if (!container->cleared) {
        remove_large(container);
        state_remove(container, container->ended);
        network_leave(container->spec.port_count > 0);
        state_mark_cleared(container);
    }
    free(container);
}

void sweep_rest(void)
{
    if (access(state_directory(), F_OK) == -1)
        return;
    for_each_abandoned(sweep_one);
    storage_sweep();
    network_leave(false);
}
