#include "state.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "ids.h"
#include "limits.h"
#include "lock.h"
#include "network.h"
#include "pidfd.h"
#include "remove.h"

static int state_fd = -1; /* the directory of all containers, locked */

const char *state_directory(void)
{
    const char *asked = getenv("CONTAINER_LABS_STATE");

    return asked && *asked == '/' ? asked : "/run/container-labs.service";
}

/* Where bases are made. */
static const char *bases_directory(void)
{
    static char path[PATH_MAX];
    const char *asked = getenv("CONTAINER_LABS_STATE");

    if (!asked || *asked != '/')
        return "/var/lib/container-labs";
    snprintf(path, sizeof(path), "%s/+bases", asked);
    return path;
}

const char *state_path(const struct container *container, const char *path)
{
    static char buffers[4][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 4];

    snprintf(buffer, sizeof(buffers[0]), "%s/%s", container->directory, path);
    return buffer;
}

int state_lock(bool make)
{
    /* Where we have given up in the middle, who clears up has the lock already. */
    if (state_fd == -1)
        state_fd = lab_lock_directory(state_directory(), make ? 0700 : 0, LAB_LOCK_PATIENCE);
    return state_fd == -1 ? -1 : 0;
}

void state_unlock(void)
{
    if (rmdir(state_directory()) == 0) /* fails while there are containers, as it should */
        ids_tidy();
    lab_close_fd(&state_fd);
}

int state_claim_name(struct container *container)
{
    int length = snprintf(container->directory, sizeof(container->directory), "%s/%s",
                          state_directory(), container->spec.name);

    if (length >= (int)sizeof(container->directory)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (mkdir(container->directory, 0700) == -1)
        return -1;
    container->lock = open(container->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return container->lock == -1 ? -1 : lab_lock(container->lock, LAB_LOCK_PATIENCE);
}

int state_claim(const struct container *container, const char *kind, const char *value, char *owner)
{
    char link[256];

    snprintf(link, sizeof(link), "+%s-%s", kind, value);
    if (symlinkat(container->spec.name, state_fd, link) == 0)
        return 0;
    int error = errno;
    ssize_t length = owner ? readlinkat(state_fd, link, owner, NAME_SIZE - 1) : -1;
    if (owner)
        owner[length > 0 ? length : 0] = '\0';
    errno = error;
    return -1;
}

static DIR *list_all(void)
{
    lab_fd listed = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = listed == -1 ? NULL : fdopendir(listed);

    if (directory)
        lab_take_fd(&listed); /* closedir() closes it */
    return directory;
}

bool state_has_claim(const char *prefix)
{
    DIR *claims = list_all();
    const struct dirent *entry;
    bool found = false;

    while (claims && !found && (entry = readdir(claims)) != NULL)
        found = entry->d_name[0] == '+' && strncmp(entry->d_name + 1, prefix, strlen(prefix)) == 0;
    if (claims)
        closedir(claims);
    return found;
}

/* Remove the claims whose owner is NAME. */
static void remove_claims(const char *name)
{
    DIR *claims = list_all();
    const struct dirent *entry;

    if (!claims)
        return;
    while ((entry = readdir(claims)) != NULL) {
        char owner[NAME_SIZE];
        if (entry->d_name[0] != '+')
            continue;
        ssize_t length = readlinkat(dirfd(claims), entry->d_name, owner, sizeof(owner) - 1);
        if (length > 0 && (size_t)length == strlen(name) && memcmp(owner, name, strlen(name)) == 0)
            unlinkat(dirfd(claims), entry->d_name, 0);
    }
    closedir(claims);
}

static void layer_name(const struct container *container, char *name, size_t size)
{
    snprintf(name, size, "%s-%d.layer", container->spec.name, (int)container->runtime);
}

int state_make_layer(const struct container *container)
{
    char name[NAME_SIZE + 32];
    lab_fd parent = open(container->spec.layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    layer_name(container, name, sizeof(name));
    if (parent == -1 || mkdirat(parent, name, 0700) == -1)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void state_remove_layer(const struct container *container)
{
    char name[NAME_SIZE + 32];
    lab_fd parent = !container->spec.layer
                        ? -1
                        : open(container->spec.layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    layer_name(container, name, sizeof(name));
    if (parent != -1 && remove_tree(parent, name) == -1)
        lab_warn("remove %s/%s: %s", container->spec.layer, name, lab_strerror(errno));
}

int state_make_base(const struct container *container, const char **path)
{
    static char made[PATH_MAX + NAME_SIZE];
    const char *bases = bases_directory();
    int result;

    snprintf(made, sizeof(made), "%s/%s", bases, container->spec.name);
    do { /* who has removed the last one may just have removed the directory of all */
        if (mkdir(bases, 0700) == -1 && errno != EEXIST)
            return -1;
        result = mkdir(made, 0755);
    } while (result == -1 && errno == ENOENT);
    *path = made;
    return result == -1 ? -1 : open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void remove_base(const char *name)
{
    lab_fd bases = open(bases_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (bases == -1)
        return;
    if (remove_tree(bases, name) == -1)
        lab_warn("remove %s/%s: %s", bases_directory(), name, lab_strerror(errno));
    rmdir(bases_directory()); /* fails while there are others, as it should */
}

/* A restart of the machine takes /run away, and leaves bases without a container. */
static void sweep_bases(void)
{
    DIR *bases = opendir(bases_directory());
    const struct dirent *entry;

    while (bases && (entry = readdir(bases)) != NULL)
        if (is_container_name(entry->d_name) && faccessat(state_fd, entry->d_name, F_OK, 0) == -1 &&
            errno == ENOENT)
            remove_base(entry->d_name);
    if (bases)
        closedir(bases);
}

void state_remove_large(const struct container *container)
{
    state_remove_layer(container);
    remove_base(container->spec.name);
}

void state_remove(const struct container *container, bool keep)
{
    remove_claims(container->spec.name);
    if (!keep && remove_tree(state_fd, container->spec.name) == -1)
        lab_warn("remove %s: %s", container->directory, lab_strerror(errno));
}

bool state_is_running(const struct container *container)
{
    lab_fd directory = open(container->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return directory != -1 && flock(directory, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK;
}

void state_for_each(void (*each)(const struct container *, void *), void *argument)
{
    DIR *directory = opendir(state_directory());
    const struct dirent *entry;

    while (directory && (entry = readdir(directory)) != NULL) {
        struct container *container = malloc(sizeof(*container));
        if (container && is_container_name(entry->d_name) &&
            state_load(container, entry->d_name) == 0)
            each(container, argument);
        free(container);
    }
    if (directory)
        closedir(directory);
}

void state_cleared(struct container *container)
{
    container->cleared = true;
    if (container->ended && state_add(container) == -1)
        lab_warn("write %s: %s", state_path(container, "state"), lab_strerror(errno));
}

/* The processes that CONTAINER's runtime has left, and what they used. All of it may be gone. */
static void end_left(const struct container *container)
{
    lab_fd process = open_process(container->pid, container->pid_began);

    if (process != -1)
        signal_process(process, SIGKILL);
    limits_sweep(container);
    state_remove_large(container);
}

/* Open the directory NAME in ALL and lock it, if its runtime is no more. Returns it, or -1. */
static int lock_left(int all, const char *name)
{
    struct stat opened, present;
    lab_fd fd =
        is_container_name(name) ? openat(all, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    /* Without the lock of all, another one may be there by now. */
    if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &opened) == -1 ||
        fstatat(all, name, &present, AT_SYMLINK_NOFOLLOW) == -1 || opened.st_ino != present.st_ino)
        return -1;
    return lab_take_fd(&fd);
}

void state_sweep_large(void)
{
    DIR *directory = opendir(state_directory());
    struct container *container = calloc(1, sizeof(*container));
    const struct dirent *entry;

    while (directory && container && (entry = readdir(directory)) != NULL) {
        lab_fd lock = lock_left(dirfd(directory), entry->d_name);
        if (lock != -1 && state_load(container, entry->d_name) == 0 && !container->cleared)
            end_left(container);
    }
    free(container);
    if (directory)
        closedir(directory);
}

static void sweep_one(const char *name)
{
    struct container *container = calloc(1, sizeof(*container));

    if (!container)
        return;
    if (state_load(container, name) == -1) { /* it was not even written down */
        snprintf(container->spec.name, sizeof(container->spec.name), "%.*s", NAME_SIZE - 1, name);
        snprintf(container->directory, sizeof(container->directory), "%s/%s", state_directory(),
                 name);
    }
    if (!container->cleared) {
        end_left(container);
        state_remove(container, container->ended);
        network_leave(container->spec.port_count > 0);
        state_cleared(container);
    }
    free(container);
}

void state_sweep(void)
{
    DIR *directory = list_all();
    const struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory)) != NULL) {
        lab_fd lock = lock_left(state_fd, entry->d_name);
        if (lock != -1)
            sweep_one(entry->d_name);
    }
    closedir(directory);
    sweep_bases();
    network_leave(false);
}
