#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "ids.h"
#include "report.h"
#include "rootfs.h"
#include "storage.h"
#include "unpack.h"

static int is_a_name(int directory, const char *name, void *unused)
{
    (void)directory, (void)unused;
    return *name != '\0';
}

static bool is_empty(const char *path)
{
    int found = lab_each_name(path, is_a_name, NULL);

    if (found == -1)
        fail("root file system '%s'", path);
    return found == 0;
}

void check_root(const struct specification *spec)
{
    struct stat status;

    if (!spec->root || strcmp(spec->root, "-") == 0)
        return;
    if (stat(spec->root, &status) == -1 && errno == ENOENT)
        give_up(STATUS_RUNTIME, "root file system '%s': %s; `%s %s` makes one", spec->root,
                lab_strerror(ENOENT), lab_typed("02_rootfs"), spec->root);
    else if (stat(spec->root, &status) == -1)
        fail("root file system '%s'", spec->root);
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
        give_up(STATUS_RUNTIME, "'%s' is not a root file system, neither a directory nor a tar",
                spec->root);
    if (S_ISDIR(status.st_mode) && is_empty(spec->root))
        give_up(STATUS_RUNTIME, "'%s' is not a root file system: it is empty", spec->root);
}

bool base_is_packed(const struct specification *spec)
{
    struct stat status;

    return spec->root && (strcmp(spec->root, "-") == 0 ||
                          (stat(spec->root, &status) == 0 && S_ISREG(status.st_mode)));
}

static int make_base(const struct container *container, const char **path)
{
    int base = storage_make_base(container, path);

    if (base == -1)
        fail("make a directory for the base of %s", container->spec.name);
    return base;
}

int open_base(const struct container *container, int archive, int *pidfd, void (*wait_for)(int fd))
{
    const char *root = container->spec.root, *path;
    char busybox[PATH_MAX];

    if (!root) {
        int base = make_base(container, &path);
        int found = lab_find_busybox(busybox, sizeof(busybox));
        if (found == -1 && errno != ENOENT)
            fail("find a busybox");
        if (found == -1)
            give_up(STATUS_RUNTIME, "no busybox is installed; install busybox-static, name one in "
                                    "BUSYBOX, or give a root file system");
        if (lab_make_rootfs(path, busybox) == -1)
            fail("make a root file system of %s", busybox);
        return base;
    }
    lab_fd given =
        archive != -1 ? fcntl(archive, F_DUPFD_CLOEXEC, 0) : open(root, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (given == -1 || fstat(given, &status) == -1)
        fail("root file system '%s'", root);
    if (S_ISDIR(status.st_mode)) {
        if (container->spec.own_users &&
            (status.st_uid >= IDS_PER_CONTAINER || status.st_gid >= IDS_PER_CONTAINER))
            give_up(STATUS_RUNTIME,
                    "root file system '%s' belongs to user %u, and a container has the users 0 to "
                    "%d; give it to root (chown -R), or use --userns host",
                    root, status.st_uid, IDS_PER_CONTAINER - 1);
        return lab_take_fd(&given);
    }
    int base = make_base(container, &path);
    unpack_archive(container, given, base, pidfd, wait_for);
    return base;
}
