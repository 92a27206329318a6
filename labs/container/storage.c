#include "storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "remove.h"

static const char *bases_directory(void)
{
    static char path[PATH_MAX];
    const char *asked = getenv("CONTAINER_LABS_STATE");

    if (!asked || *asked != '/')
        return "/var/lib/container-labs";
    snprintf(path, sizeof(path), "%s/+bases", asked);
    return path;
}

static void layer_name(const struct container *container, char *name, size_t size)
{
    snprintf(name, size, "%s-%s.layer", container->spec.name, container->runtime_name);
}

int storage_make_layer(const struct container *container)
{
    char name[NAME_SIZE + 48];
    lab_fd parent = open(container->spec.layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    layer_name(container, name, sizeof(name));
    if (parent == -1 || mkdirat(parent, name, 0700) == -1)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void storage_remove_layer(const struct container *container)
{
    char name[NAME_SIZE + 48];
    lab_fd parent = !container->spec.layer
                        ? -1
                        : open(container->spec.layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    layer_name(container, name, sizeof(name));
    if (parent != -1 && remove_tree(parent, name) == -1)
        lab_warn("remove %s/%s: %s", container->spec.layer, name, lab_strerror(errno));
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

static void remove_base(const char *name)
{
    lab_fd bases = open(bases_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (bases == -1)
        return;
    if (remove_tree(bases, name) == -1)
        lab_warn("remove %s/%s: %s", bases_directory(), name, lab_strerror(errno));
    rmdir(bases_directory()); /* fails while there are others */
}

void storage_sweep(void)
{
    DIR *bases = opendir(bases_directory());
    const struct dirent *entry;
    char path[PATH_MAX];

    while (bases && (entry = readdir(bases)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", state_directory(), entry->d_name);
        if (is_container_name(entry->d_name) && access(path, F_OK) == -1 && errno == ENOENT)
            remove_base(entry->d_name);
    }
    if (bases)
        closedir(bases);
}

void storage_remove(const struct container *container)
{
    storage_remove_layer(container);
    remove_base(container->spec.name);
}
