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
#include "lock.h"
#include "remove.h"
#include "state_file.h"

static int state_fd = -1; /* the directory of all containers, locked */

int state_lock(bool make)
{
    if (state_fd == -1)
        state_fd = lab_lock_directory(state_directory(), make ? 0700 : 0, LAB_LOCK_PATIENCE);
    return state_fd == -1 ? -1 : 0;
}

void state_unlock(void)
{
    if (rmdir(state_directory()) == 0) /* fails while there are containers */
        ids_remove_unused_file();
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

static DIR *open_directory(void)
{
    lab_fd listed = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = listed == -1 ? NULL : fdopendir(listed);

    if (directory)
        lab_take_fd(&listed); /* closedir() closes it */
    return directory;
}

bool state_has_claim(const char *prefix)
{
    DIR *claims = open_directory();
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
    DIR *claims = open_directory();
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

void state_mark_cleared(struct container *container)
{
    container->cleared = true;
    if (container->ended && state_add(container) == -1)
        lab_warn("write %s: %s", state_path(container, "state"), lab_strerror(errno));
}
