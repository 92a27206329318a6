#include "container.h"

#include "error.h"
#include "file.h"
#include "rootless.h"

const char *state_directory(void)
{
    static char path[PATH_MAX / 4];
    const char *asked = getenv("CONTAINER_LABS_STATE");

    if (asked && *asked == '/')
        return asked;
    if (!*path)
        snprintf(path, sizeof(path), "%s.service", lab_runs());
    return path;
}

/* Whether another user can put something else in the place of STATUS or of what is in it. The owner
 * of / can do everything in any case, and is root; in a user namespace root may have no number. */
static bool others_can_change(const struct stat *status)
{
    struct stat top;

    if (stat("/", &top) == -1)
        lab_die("look at /");
    if (status->st_uid != geteuid() && status->st_uid != top.st_uid)
        return true;
    return S_ISDIR(status->st_mode) && (status->st_mode & 022) != 0 && !(status->st_mode & S_ISVTX);
}

void check_parents(const char *path)
{
    char parent[PATH_MAX];
    struct stat status;

    if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent)) {
        errno = ENAMETOOLONG;
        lab_die("look at %s", path);
    }
    for (char *end = parent; (end = strchr(end + 1, '/')) != NULL; *end = '/') {
        *end = '\0';
        if (lstat(parent, &status) == -1)
            lab_die("look at %s", parent);
        if (others_can_change(&status))
            lab_exit(lab_exit_failure,
                     "other users can change %s, so what is found in %s may be theirs: name "
                     "another directory in CONTAINER_LABS_STATE",
                     parent, path);
    }
}

void check_state_directory(void)
{
    const char *directory = state_directory();
    char resolved[PATH_MAX] = "";
    struct stat status;

    check_parents(directory);
    /* Links on the way are root's or the caller's, but may lead to where others can change them.
     * Where something is missing, glibc has resolved the way to it. */
    if (!realpath(directory, resolved) && errno != ENOENT)
        lab_die("look at %s", directory);
    check_parents(resolved);
    if (lstat(directory, &status) == -1) {
        if (errno == ENOENT)
            return; /* it will be made, with mode 0700 */
        lab_die("look at %s", directory);
    }
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        lab_exit(lab_exit_failure,
                 "%s is not a private directory of this user: make it one (mode 0700), or name "
                 "another one in CONTAINER_LABS_STATE",
                 directory);
}

bool is_starting(const struct container *container)
{
    return container->pid == 0 && !container->ended;
}

const char *state_path(const struct container *container, const char *path)
{
    static char buffers[4][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 4];

    snprintf(buffer, sizeof(buffers[0]), "%s/%s", container->directory, path);
    return buffer;
}
