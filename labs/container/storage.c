#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "unprivileged.h"

static const char *bases_directory(void)
{
    static char path[PATH_MAX];
    const char *asked = getenv("CONTAINER_LABS_STATE");

    if ((!asked || *asked != '/') && !is_unprivileged())
        return "/var/lib/container-labs";
    snprintf(path, sizeof(path), "%s/+bases", state_directory());
    return path;
}

static void layer_name(const struct container *container, char *name, size_t size)
{
    snprintf(name, size, "%s-%s.layer", container->spec.name, container->runtime_name);
}

/* The parent may be another user's, who can put another directory in the place of ours. */
static bool is_private(int directory)
{
    struct stat status;

    if (fstat(directory, &status) == -1)
        return false;
    if (status.st_uid == geteuid() && (status.st_mode & 077) == 0)
        return true;
    errno = EPERM;
    return false;
}

int storage_make_layer(const struct container *container)
{
    char name[NAME_SIZE + 48];
    lab_fd parent = open(container->spec.layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    layer_name(container, name, sizeof(name));
    if (parent == -1 || mkdirat(parent, name, 0700) == -1)
        return -1;
    lab_fd layer = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return layer != -1 && is_private(layer) ? lab_take_fd(&layer) : -1;
}

int storage_remove_layer(const struct container *container)
{
    char name[NAME_SIZE + 48];

    if (!container->spec.layer)
        return 0;
    layer_name(container, name, sizeof(name));
    lab_fd parent = open(container->spec.layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent == -1 ? errno == ENOENT : remove_container_tree(parent, name) == 0)
        return 0;
    lab_warn("remove %s/%s: %s", container->spec.layer, name, lab_strerror(errno));
    return -1;
}

int storage_make_base(const struct container *container, const char **path)
{
    static char made[PATH_MAX + NAME_SIZE];
    const char *bases = bases_directory();
    int result;

    snprintf(made, sizeof(made), "%s/%s", bases, container->spec.name);
    do { /* the directory may be removed with the last base in it, at this moment */
        if (mkdir(bases, 0700) == -1 && errno != EEXIST)
            return -1;
        result = mkdir(made, 0755);
    } while (result == -1 && errno == ENOENT);
    *path = made;
    return result == -1 ? -1 : open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int remove_base(const char *name)
{
    lab_fd bases = open(bases_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (bases == -1 ? errno != ENOENT : remove_container_tree(bases, name) == -1) {
        lab_warn("remove %s/%s: %s", bases_directory(), name, lab_strerror(errno));
        return -1;
    }
    rmdir(bases_directory()); /* fails while there are others */
    return 0;
}

/* Remove the base NAME if its container is no more. */
static int sweep_base(int bases, const char *name, void *all)
{
    char path[PATH_MAX];

    (void)bases;
    snprintf(path, sizeof(path), "%s/%s", state_directory(), name);
    if (is_container_name(name) && access(path, F_OK) == -1 && errno == ENOENT &&
        remove_base(name) == -1)
        *(bool *)all = false;
    return 0;
}

int storage_sweep(void)
{
    bool all = true;

    if (lab_each_name(bases_directory(), sweep_base, &all) == -1 && errno != ENOENT) {
        lab_warn("read %s: %s", bases_directory(), lab_strerror(errno));
        return -1;
    }
    return all ? 0 : -1;
}

int storage_remove(const struct container *container)
{
    int layer = storage_remove_layer(container), base = remove_base(container->spec.name);

    return layer == 0 && base == 0 ? 0 : -1;
}
