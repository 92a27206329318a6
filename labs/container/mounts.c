/* The outside part of mounts.h: what is made with the machine's paths and rights. First, the calls.
 */
#include "mounts.h"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "report.h"
#include "storage.h"
#include "unprivileged.h"

int new_mount(const char *type, const char *const options[][2], unsigned attributes)
{
    lab_fd context = fsopen(type, FSOPEN_CLOEXEC);

    if (context == -1 || fsconfig(context, FSCONFIG_SET_STRING, "source", type, 0) == -1)
        return -1;
    for (; options && (*options)[0]; options++) {
        int result = (*options)[1]
                         ? fsconfig(context, FSCONFIG_SET_STRING, (*options)[0], (*options)[1], 0)
                         : fsconfig(context, FSCONFIG_SET_FLAG, (*options)[0], NULL, 0);
        if (result == -1)
            return -1;
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1)
        return -1;
    return fsmount(context, FSMOUNT_CLOEXEC, attributes);
}

int clone_mount(int directory, const char *name, bool recursive)
{
    const unsigned all = recursive ? AT_RECURSIVE : 0;
    struct mount_attr change = {.propagation = MS_PRIVATE};
    lab_fd copy =
        open_tree(directory, name,
                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | all);

    /* The copy of a shared mount is its peer: what is mounted in one appears in the other. */
    if (copy == -1 || mount_setattr(copy, "", AT_EMPTY_PATH | all, &change, sizeof(change)) == -1)
        return -1;
    return lab_take_fd(&copy);
}

int set_mount(int mount, const char *name, unsigned attributes, int users, bool recursive)
{
    struct mount_attr change = {
        .attr_set = attributes,
        .userns_fd = users == -1 ? 0 : (unsigned)users,
    };
    return mount_setattr(mount, name, AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &change,
                         sizeof(change));
}

int attach(int mount, int target)
{
    return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* What a program may expect in /dev. All of them are harmless and the same in every container. */
const struct device DEVICES[DEVICE_COUNT] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                                             {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

static const char *const DEVICE_LINKS[][2] = {{"/proc/self/fd", "fd"},
                                              {"/proc/self/fd/0", "stdin"},
                                              {"/proc/self/fd/1", "stdout"},
                                              {"/proc/self/fd/2", "stderr"},
                                              {"pts/ptmx", "ptmx"}};

static const char *const DEVICE_DIRECTORIES[] = {"pts", "shm", "mqueue"};

/* /dev: a tmpfs with the devices in it. It is made outside, because mknod(2) needs rights of the
 * machine, and belongs to ROOT, the root of the container. Without root there are empty files, on
 * which the child mounts the machine's devices. */
static int make_device_directory(uid_t root, bool has_terminal)
{
    const char *const options[][2] = {{"mode", "0755"}, {"size", "64k"}, {0}};
    int device =
        must(new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "make /dev");
    const mode_t kind = is_unprivileged() ? S_IFREG : S_IFCHR;
    mode_t before = umask(0);
    for (int i = 0; i < DEVICE_COUNT; i++)
        if (mknodat(device, DEVICES[i].name, kind | 0666,
                    makedev(DEVICES[i].major, DEVICES[i].minor)) == -1 ||
            fchownat(device, DEVICES[i].name, root, root, 0) == -1)
            fail("make /dev/%s", DEVICES[i].name);
    for (int i = 0; i < LAB_COUNT(DEVICE_LINKS); i++)
        if (symlinkat(DEVICE_LINKS[i][0], device, DEVICE_LINKS[i][1]) == -1)
            fail("make /dev/%s", DEVICE_LINKS[i][1]);
    for (int i = 0; i < LAB_COUNT(DEVICE_DIRECTORIES); i++)
        if (mkdirat(device, DEVICE_DIRECTORIES[i], 0755) == -1 ||
            fchownat(device, DEVICE_DIRECTORIES[i], root, root, 0) == -1)
            fail("make /dev/%s", DEVICE_DIRECTORIES[i]);
    /* The terminal will be shown there. */
    if (has_terminal && mknodat(device, "console", S_IFREG | 0600, 0) == -1)
        fail("make /dev/console");
    must(fchownat(device, "", root, root, AT_EMPTY_PATH), "chown /dev");
    umask(before);
    return device;
}

/* The directory of the layer: on a file system in memory, which is freed with its last descriptor,
 * or on a disk. Memory is counted as the container's, by its control group. */
static int make_layer_directory(struct container *container)
{
    char size[32];
    const char *const options[][2] = {{"mode", "0700"}, {"size", size}, {0}};
    const long long limit = container->spec.memory;

    if (container->spec.layer) {
        return must(storage_make_layer(container), "make the layer of %s in %s",
                    container->spec.name, container->spec.layer);
    }
    snprintf(size, sizeof(size), "%lld", limit / 2);
    int place = limit == UNLIMITED ? new_mount("tmpfs", NULL, 0) : new_mount("tmpfs", options, 0);
    if (place == -1)
        fail("make the layer of %s in memory", container->spec.name);
    return place;
}

/* The layer: two empty directories. Its root looks as the base's does. */
struct layer {
    int place, upper, work;
};

/* Without root, /etc of a base that belongs to others could not get the container's own hosts and
 * resolv.conf. That of the layer is ours, and shows what is in the other one. Returns 0, or -1 with
 * errno. */
static int make_own_etc(int upper, int base)
{
    enum { NOBODY = 65534 }; /* of a user without a number here: /proc/sys/kernel/overflowuid */
    struct stat status;

    if (fstatat(base, "etc", &status, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISDIR(status.st_mode) || status.st_uid != NOBODY)
        return 0;
    return mkdirat(upper, "etc", status.st_mode & 0777);
}

static void make_layer(struct layer *layer, struct container *container, int base)
{
    struct stat status;
    const uid_t root = container->first_id;

    layer->place = make_layer_directory(container);
    must(fstat(base, &status), "stat the base");
    if (mkdirat(layer->place, "upper", 0700) == -1 || mkdirat(layer->place, "work", 0700) == -1)
        fail("make the layer of %s", container->spec.name);
    layer->upper = openat(layer->place, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    layer->work = openat(layer->place, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layer->upper == -1 || layer->work == -1 ||
        (!is_unprivileged() && /* the owner of the base may have no number here */
         fchown(layer->upper, root + status.st_uid, root + status.st_gid) == -1) ||
        fchmod(layer->upper, status.st_mode & 07777) == -1 ||
        (root != 0 && fchown(layer->work, root, root) == -1) ||
        (is_unprivileged() && make_own_etc(layer->upper, base) == -1))
        fail("make the layer of %s", container->spec.name);
}

static void close_layer(struct layer *layer)
{
    close(layer->upper), close(layer->work);
    lab_close_fd(&layer->place);
}

/* Descriptors in place of paths: no character of a path means anything to overlayfs then. */
static int make_overlay(int lower, const struct layer *layer, bool unsafe)
{
    char paths[3][32];
    const int parts[3] = {lower, layer->upper, layer->work};

    for (int i = 0; i < 3; i++)
        snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d", parts[i]);
    /* `volatile`: the layer is removed with the container, so nothing need be written to the disk
     * at the end. Linux 5.10. `userxattr`: only root of the machine may set trusted.overlay. */
    const char *options[6][2] = {
        {"lowerdir", paths[0]}, {"upperdir", paths[1]}, {"workdir", paths[2]}};
    int count = 3;
    if (unsafe)
        options[count++][0] = "volatile";
    if (is_unprivileged())
        options[count][0] = "userxattr";
    return new_mount("overlay", options, 0);
}

static const char *name_of_root(const struct specification *spec)
{
    return spec->root ? spec->root : "busybox";
}

/* With errno. */
__attribute__((noreturn)) static void give_up_mapping(const struct specification *spec)
{
    give_up("root file system '%s': this kernel or file system cannot show files with other "
            "owners: %s; put it on another file system (`%s 'idmapped mounts'` tries the one it is "
            "started on), or let root inside be root outside by --userns host",
            name_of_root(spec), lab_strerror(errno), lab_typed("doctor"));
}

/* Whether overlayfs can have its upper directory there at all: it needs d_type and trusted xattrs,
 * and not to be an overlay itself. */
__attribute__((noreturn)) static void fail_with_overlay(const struct container *container,
                                                        int upper, bool mapped)
{
    const struct specification *spec = &container->spec;
    int error = errno;
    struct statfs system;

    if (error == ENODEV)
        give_up("this kernel has no overlayfs; load it: modprobe overlay");
    if (fstatfs(upper, &system) == 0 && system.f_type == OVERLAYFS_SUPER_MAGIC)
        give_up("a layer in %s would be an overlay on an overlay", spec->layer);
    errno = error;
    if (error == ELOOP)
        fail("the layer in %s lies in the root file system '%s'", spec->layer, name_of_root(spec));
    if (error == EINVAL && mapped) /* an overlay of mapped mounts: Linux 5.19 */
        give_up_mapping(spec);
    fail("overlay '%s' with a layer in %s", name_of_root(spec),
         spec->layer ? spec->layer : "memory");
}

int mounts_show_base(const struct specification *spec, int base, int users)
{
    lab_fd shown =
        must(clone_mount(base, "", false), "show the root file system '%s'", name_of_root(spec));

    if (users != -1 && set_mount(shown, "", MOUNT_ATTR_IDMAP, users, false) == -1)
        give_up_mapping(spec);
    return lab_take_fd(&shown);
}

/* Before Linux 6.15 overlayfs accepts no unattached mount as a layer. Then LOWER and a layer in
 * memory are attached in a private mount namespace, at /: the root of this process is the directory
 * below, so nothing is hidden. */
static int make_overlay_attached(struct container *container, int base, int lower,
                                 struct layer *layer)
{
    lab_fd attached = -1;

    close_layer(layer);
    storage_remove_layer(container);
    if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1)
        fail("unshare CLONE_NEWNS");
    make_layer(layer, container, base);
    if (!container->spec.layer) {
        close(layer->upper), close(layer->work);
        if (move_mount(layer->place, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == -1)
            fail("attach the layer to /");
        layer->upper = openat(layer->place, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        layer->work = openat(layer->place, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    must(move_mount(lower, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "attach the base to /");
    attached = fcntl(lower, F_DUPFD_CLOEXEC, 0);
    return make_overlay(attached, layer, container->spec.layer);
}

/* The root: an overlay of the layer on the base. */
static int make_root(struct container *container, int base, int users, int used[2])
{
    struct layer layer;
    lab_fd lower = mounts_show_base(&container->spec, base, users);

    make_layer(&layer, container, base);
    int root = make_overlay(lower, &layer, container->spec.layer);
    if (root == -1 && errno == EINVAL)
        root = make_overlay_attached(container, base, lower, &layer);
    if (root == -1)
        fail_with_overlay(container, layer.upper, users != -1);
    close(layer.upper), close(layer.work);
    used[0] = lab_take_fd(&lower), used[1] = layer.place;
    return root;
}

/* Whether the file SOURCE is one of the devices that every container has. */
static bool is_harmless_device(int source)
{
    struct stat status;

    must(fstat(source, &status), "stat a volume");
    for (int i = 0; S_ISCHR(status.st_mode) && i < DEVICE_COUNT; i++)
        if (status.st_rdev == makedev(DEVICES[i].major, DEVICES[i].minor))
            return true;
    return false;
}

/* A volume is shown as it is on the machine, mounts in it included; no device in it works. But
 * /dev/null as a volume hides a file: it works, and nothing about the machine's file can be changed
 * (RDONLY does not concern what is written to a device). */
static int make_volume(const struct volume *volume, int users)
{
    lab_fd source = open(volume->source, O_PATH | O_CLOEXEC);
    lab_fd mount = source == -1 ? -1 : clone_mount(source, "", true);

    if (mount == -1)
        fail("volume '%s'", volume->source);
    if (is_harmless_device(source)) {
        if (set_mount(mount, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, -1,
                      false) == -1)
            fail("volume '%s'", volume->source);
        return lab_take_fd(&mount);
    }
    unsigned attributes =
        MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | (volume->read_only ? MOUNT_ATTR_RDONLY : 0);
    must(set_mount(mount, "", attributes, -1, true), "volume '%s'", volume->source);
    if (users != -1 && set_mount(mount, "", MOUNT_ATTR_IDMAP, users, true) == -1)
        give_up("volume '%s': a file system in it cannot show files with other owners; leave it "
                "out, or let root inside be root outside by --userns host",
                volume->source);
    return lab_take_fd(&mount);
}

void mounts_make(struct mounts *mounts, struct container *container, int base, int users)
{
    const struct specification *spec = &container->spec;

    mounts->root = make_root(container, base, users, mounts->used);
    for (int i = 0; i < spec->volume_count; i++)
        mounts->volumes[i] = make_volume(&spec->volumes[i], users);
    /* nosuid: no_new_privs ignores set-user-ID bits as well, but execve(2) of a file with a
     * capability that is not in the bounding set fails with EPERM, such as Debian's ping. */
    const unsigned attributes = (spec->without & WALL_NODEV ? 0 : MOUNT_ATTR_NODEV) |
                                (spec->without & WALL_PRIVILEGES ? 0 : MOUNT_ATTR_NOSUID);
    if (attributes != 0 && set_mount(mounts->root, "", attributes, -1, false) == -1)
        fail("let no device and no set-user-ID program work in the root");
    mounts->device = make_device_directory(container->first_id, spec->terminal);
}
