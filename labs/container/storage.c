#include "storage.h"

#include <sys/file.h>

#include "ids.h"
#include "remove.h"
#include "report.h"
#include "rootfs.h"
#include "unpack.h"
#include "unprivileged.h"

/* This runtime has made the base of its container, and keeps it locked. */
static bool has_made;

/* /var/lib/container-labs may be a link to a larger disk, or one that is mounted there, and have
 * other things in it: the bases are in a directory of their own. */
static const char *bases_parent(void)
{
    const char *asked = getenv("CONTAINER_LABS_STATE");

    return (asked && *asked == '/') || is_unprivileged() ? state_directory()
                                                         : "/var/lib/container-labs";
}

static const char *bases_directory(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/+bases", bases_parent());
    return path;
}

static void layer_name(const struct container *container, char *name, size_t size)
{
    snprintf(name, size, "%s-%s.layer", container->spec.name, container->runtime_name);
}

/* The parent may be another user's, who can put another directory in the place of ours. */
static bool is_private(const struct stat *status)
{
    return status->st_uid == geteuid() && (status->st_mode & 077) == 0;
}

/* fstat(2) of a directory that has to be private. Returns 0, or -1 with errno; EPERM where it is
 * not. */
static int stat_private(int directory, struct stat *status)
{
    if (fstat(directory, status) == -1)
        return -1;
    if (is_private(status))
        return 0;
    errno = EPERM;
    return -1;
}

/* Another user may change what is on the way to the layers: a link of proc(5) would lead into his
 * own mount namespace, where any directory of root may be mounted. */
static int open_layers(const char *path)
{
    return lab_openat2(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);
}

int storage_make_layer(struct container *container)
{
    char name[NAME_SIZE + 48];
    struct stat status;
    lab_fd parent = open_layers(container->spec.layer);

    layer_name(container, name, sizeof(name));
    if (parent == -1 || mkdirat(parent, name, 0700) == -1)
        return -1;
    lab_fd layer = open_own_directory(parent, name);
    if (layer == -1 || stat_private(layer, &status) == -1)
        return -1;
    container->layer = status.st_ino;
    return lab_take_fd(&layer);
}

/* Whether LAYER is what was made for CONTAINER; opening it may have failed. Returns 1, 0, or -1. */
static int is_layer(const struct container *container, int layer)
{
    struct stat status;

    if (layer == -1)
        return errno == ELOOP || errno == ENOTDIR ? 0 : -1;
    if (fstat(layer, &status) == -1)
        return -1;
    return is_private(&status) && (container->layer == 0 || container->layer == status.st_ino);
}

int storage_remove_layer(const struct container *container)
{
    char name[NAME_SIZE + 48];

    if (!container->spec.layer)
        return 0;
    layer_name(container, name, sizeof(name));
    lab_fd parent = open_layers(container->spec.layer);
    if (parent == -1 && container->layer == 0 && (errno == ENOTDIR || errno == ELOOP))
        return 0; /* PARENT is no directory, so no layer was made in it */
    lab_fd layer = open_own_directory(parent, name);
    if (layer == -1 && errno == ENOENT) {
        if (container->layer != 0 && container->lock != -1) /* else it is looked at twice */
            lab_warn("%s/%s is not there any more", container->spec.layer, name);
        return 0;
    }
    const int ours = is_layer(container, layer);
    if (ours == 0) {
        lab_warn("%s/%s is not the layer that was made there, and stays", container->spec.layer,
                 name);
        return 0;
    }
    if (ours == 1 && remove_container_directory(parent, name, layer) == 0)
        return 0;
    return lab_warn_errno("remove %s/%s", container->spec.layer, name);
}

/* Open the directory of all bases. Returns -1 with errno: EPERM where it is not private. Programs
 * of an image that are set-user-ID are root's there. */
static int open_bases(void)
{
    struct stat status;
    lab_fd bases = open(bases_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (bases == -1 || stat_private(bases, &status) == -1)
        return -1;
    return lab_take_fd(&bases);
}

/* Create the directory NAME in that of all bases, and lock it. Returns its descriptor, or -1 with
 * errno; ENOENT where it was removed before it had the lock, or its parents with the last base. */
static int make_locked(const char *name)
{
    struct stat status;

    if ((mkdir(bases_parent(), 0700) == -1 && errno != EEXIST) ||
        (mkdir(bases_directory(), 0700) == -1 && errno != EEXIST))
        return -1;
    lab_fd bases = open_bases();
    if (bases == -1 || mkdirat(bases, name, 0755) == -1)
        return -1;
    lab_fd base = openat(bases, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (base == -1 || flock(base, LOCK_EX) == -1 || fstat(base, &status) == -1)
        return -1;
    if (status.st_nlink == 0) {
        errno = ENOENT;
        return -1;
    }
    return lab_take_fd(&base);
}

/* Create CONTAINER's own base directory, empty; *PATH is where. Returns its descriptor, with a
 * lock: see sweep_base(). */
static int make_base(const struct container *container, const char **path)
{
    enum { TRIES = 1000 };
    static char made[PATH_MAX + NAME_SIZE];
    char resolved[PATH_MAX];
    int base = -1;

    snprintf(made, sizeof(made), "%s/%s", bases_directory(), container->spec.name);
    errno = ENOENT;
    for (int i = 0; i < TRIES && base == -1 && errno == ENOENT; i++)
        base = make_locked(container->spec.name);
    if (base == -1 && errno == EPERM)
        give_up("%s is not a private directory of this user: make it one (mode 0700), or remove it",
                bases_directory());
    if (base == -1)
        fail("make the directory %s for a root file system", made);
    has_made = true;
    if (!realpath(made, resolved))
        fail("look at %s", made);
    check_parents(resolved);
    *path = made;
    return base;
}

static int is_a_name(int directory, const char *name, void *unused)
{
    (void)directory, (void)unused;
    return *name != '\0';
}

static bool is_empty(const char *path)
{
    return must(lab_each_name(path, is_a_name, NULL), "root file system '%s'", path) == 0;
}

static void check_kind(const char *root, const struct stat *status)
{
    if (!S_ISDIR(status->st_mode) && !S_ISREG(status->st_mode))
        give_up("'%s' is not a root file system, neither a directory nor a tar", root);
}

void check_root(const struct specification *spec)
{
    struct stat status;

    if (!spec->root || strcmp(spec->root, "-") == 0)
        return;
    const int found = stat(spec->root, &status);
    if (found == -1 && errno == ENOENT)
        give_up("root file system '%s': %s; `%s %s` makes one", spec->root, lab_strerror(ENOENT),
                lab_typed("02_rootfs"), spec->root);
    if (found == -1)
        fail("root file system '%s'", spec->root);
    check_kind(spec->root, &status);
    if (S_ISDIR(status.st_mode) && is_empty(spec->root))
        give_up("'%s' is not a root file system: it is empty", spec->root);
}

bool base_is_packed(const struct specification *spec)
{
    struct stat status;

    return spec->root && (strcmp(spec->root, "-") == 0 ||
                          (stat(spec->root, &status) == 0 && S_ISREG(status.st_mode)));
}

int open_base(const struct container *container, int archive, int *pidfd,
              void (*wait_for)(int fd, int milliseconds))
{
    const char *root = container->spec.root, *path;
    char busybox[PATH_MAX];

    if (!root) {
        int base = make_base(container, &path);
        int found = lab_find_busybox(busybox, sizeof(busybox));
        if (found == -1 && errno != ENOENT)
            fail("find a busybox");
        if (found == -1)
            give_up("no busybox is installed; install busybox-static, name one in "
                    "BUSYBOX, or give a root file system");
        must(lab_make_rootfs(path, busybox), "make a root file system of %s", busybox);
        return base;
    }
    /* A FIFO that another user puts in its place would let us wait. */
    lab_fd given = archive != -1 ? fcntl(archive, F_DUPFD_CLOEXEC, 0)
                                 : open(root, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (given == -1 || fstat(given, &status) == -1)
        fail("root file system '%s'", root);
    if (archive == -1)
        check_kind(root, &status);
    if (S_ISDIR(status.st_mode)) {
        if (container->spec.own_users &&
            (status.st_uid >= IDS_PER_CONTAINER || status.st_gid >= IDS_PER_CONTAINER))
            give_up("root file system '%s' belongs to user %u, and a container has the users 0 to "
                    "%d; give it to root (chown -R), or use --userns host",
                    root, status.st_uid, IDS_PER_CONTAINER - 1);
        return lab_take_fd(&given);
    }
    int base = make_base(container, &path);
    unpack_archive(container, given, base, pidfd, wait_for);
    return base;
}

/* Remove DIRECTORY if nothing is in it. A link or a mount is of who administers the machine. */
static int remove_empty(const char *directory)
{
    if (rmdir(directory) == 0 || errno == ENOTEMPTY || errno == ENOENT || errno == EBUSY ||
        errno == ENOTDIR || errno == EROFS)
        return 0;
    return lab_warn_errno("remove %s", directory);
}

/* With the last base the directory of all goes. */
static int remove_bases_directory(void)
{
    const int result = remove_empty(bases_directory());

    return result == 0 && bases_parent() != state_directory() ? remove_empty(bases_parent())
                                                              : result;
}

/* Remove the base NAME, open as BASE, if it is there. */
static int remove_base(int bases, const char *name, int base)
{
    if (base == -1 ? errno != ENOENT : remove_container_directory(bases, name, base) == -1)
        return lab_warn_errno("remove %s/%s", bases_directory(), name);
    return 0;
}

/* Lock the base NAME if its container has ended. A container in a mount namespace with another /run
 * is known by its lock. Returns the descriptor of the base, or -1 with errno; EWOULDBLOCK where the
 * container is there. */
static int lock_dead_base(int bases, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", state_directory(), name);
    const int there = lab_is_there(path);
    if (there == 1)
        errno = EWOULDBLOCK;
    lab_fd base = there == 0 ? open_own_directory(bases, name) : -1;
    if (base == -1 || flock(base, LOCK_EX | LOCK_NB) == -1)
        return -1;
    return lab_take_fd(&base);
}

static int sweep_base(int bases, const char *name, void *all)
{
    if (!is_container_name(name))
        return 0;
    lab_fd base = lock_dead_base(bases, name);
    if (base == -1 &&
        (errno == EWOULDBLOCK || errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (base == -1)
        lab_warn_errno("look for the container of the base %s", name);
    if (base == -1 || remove_base(bases, name, base) == -1)
        *(bool *)all = false;
    return 0;
}

int storage_sweep(void)
{
    bool all = true;
    lab_fd bases = open_bases();

    if (bases == -1 && (errno == ENOENT || errno == EPERM)) /* there is none of ours */
        return 0;
    if (bases == -1 || lab_each_name(bases_directory(), sweep_base, &all) == -1)
        return lab_warn_errno("read %s", bases_directory());
    return remove_bases_directory() == 0 && all ? 0 : -1;
}

int storage_remove(const struct container *container)
{
    const int layer = storage_remove_layer(container);
    lab_fd bases = open_bases();
    lab_fd own = bases == -1 ? -1 : open_own_directory(bases, container->spec.name);

    if (bases == -1 && (errno == EPERM || errno == ENOENT)) /* there is none of ours */
        return layer;
    /* A container of the same name may be in a mount namespace with another /run. */
    if (own != -1 && !has_made && flock(own, LOCK_EX | LOCK_NB) == -1)
        return errno == EWOULDBLOCK
                   ? layer
                   : lab_warn_errno("lock %s/%s", bases_directory(), container->spec.name);
    const int base = remove_base(bases, container->spec.name, own);
    return layer == 0 && base == 0 && remove_bases_directory() == 0 ? 0 : -1;
}
