#include "state.h"

#include <sys/file.h>

#include "ids.h"
#include "lock.h"
#include "remove.h"
#include "report.h"

static int state_fd = -1; /* the directory of all containers, locked */

int state_lock(bool make)
{
    if (state_fd == -1)
        state_fd = lab_lock_directory(state_directory(), make ? 0700 : 0, LAB_LOCK_PATIENCE);
    return state_fd == -1 ? -1 : 0;
}

void state_unlock(void)
{
    if (rmdir(state_directory()) == 0 || errno == ENOENT)
        ids_remove_unused_file();
    else if (errno != ENOTEMPTY) /* there are containers */
        lab_warn_errno("remove %s", state_directory());
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
    ssize_t length = readlinkat(state_fd, link, owner, NAME_SIZE - 1);
    owner[length > 0 ? length : 0] = '\0';
    errno = error;
    return -1;
}

static int begins_with(int directory, const char *name, void *prefix)
{
    (void)directory;
    return name[0] == '+' && strncmp(name + 1, prefix, strlen(prefix)) == 0;
}

int state_has_claim(const char *prefix)
{
    return lab_each_name(state_directory(), begins_with, (void *)prefix);
}

static int remove_claim_of(int directory, const char *name, void *container)
{
    const char *of = ((const struct container *)container)->spec.name;
    char owner[NAME_SIZE];

    if (name[0] != '+')
        return 0;
    ssize_t length = readlinkat(directory, name, owner, sizeof(owner) - 1);
    if (length == -1)
        return errno == EINVAL ? 0 : -1; /* EINVAL: it is not a link */
    owner[length] = '\0';
    return strcmp(owner, of) == 0 ? unlinkat(directory, name, 0) : 0;
}

static int look_at_owner(int directory, const char *name, void *all)
{
    char owner[NAME_SIZE];
    struct stat status;

    const ssize_t length = name[0] == '+' ? readlinkat(directory, name, owner, NAME_SIZE - 1) : 0;
    if (length <= 0)
        return length == -1 && errno != EINVAL ? -1 : 0; /* EINVAL: it is not a link */
    owner[length] = '\0';
    if (fstatat(directory, owner, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    lab_warn("%s/%s is of %s, whose record is gone: remove it when that container is, too",
             state_directory(), name, owner);
    *(bool *)all = false;
    return 0;
}

bool state_claims_are_owned(void)
{
    bool all = true;

    if (lab_each_name(state_directory(), look_at_owner, &all) == -1) {
        lab_warn_errno("look at the claims in %s", state_directory());
        return false;
    }
    return all;
}

int state_remove(const struct container *container, bool keep)
{
    if (lab_each_name(state_directory(), remove_claim_of, (void *)container) == -1)
        return lab_warn_errno("remove the claims of %s in %s", container->spec.name,
                              state_directory());
    if (!keep && remove_tree(state_fd, container->spec.name) == -1)
        return lab_warn_errno("remove %s", container->directory);
    return 0;
}

int state_is_running(const struct container *container)
{
    lab_fd directory = open(container->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (directory == -1)
        return errno == ENOENT ? 0 : -1;
    if (flock(directory, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? 1 : -1;
}

struct visit {
    void (*each)(const struct container *, void *);
    void *argument;
    int error; /* of the first that could not be read */
};

/* Visit the container NAME; one that cannot be read is named, and the others are visited. */
static int visit_container(int directory, const char *name, void *argument)
{
    struct visit *visit = argument;
    struct container container;

    (void)directory;
    if (!is_container_name(name))
        return 0;
    if (state_load(&container, name) == 0) {
        visit->each(&container, visit->argument);
    } else if (errno != ENOENT) { /* no longer there, or not yet written */
        visit->error = errno;
        lab_warn("%s", state_trouble(&container));
    }
    return 0;
}

int state_for_each(void (*each)(const struct container *, void *), void *argument)
{
    struct visit visit = {each, argument, 0};

    if (lab_each_name(state_directory(), visit_container, &visit) == -1 && errno != ENOENT)
        return lab_warn_errno("read %s", state_directory());
    errno = visit.error;
    return visit.error ? -1 : 0;
}

void state_mark_cleared(struct container *container)
{
    container->cleared = true;
    if (container->ended && state_save(container) == -1)
        lab_warn_errno("write %s", state_path(container, "state"));
}
