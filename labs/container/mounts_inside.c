/* The inside part of mounts.h: pseudo file systems, pivot_root(2), attaching. */
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "mounts.h"
#include "report.h"
#include "unprivileged.h"

enum {
    OVERFLOW_ID = 65534, /* an ID without a mapping; user_namespaces(7) */
    TTY = 5,             /* the group of terminals */
};

enum {
    PLAIN = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    FROZEN = PLAIN | MOUNT_ATTR_RDONLY,
};

/* Files that show the machine, or by which root could change it. */
static const char *const MASKED_PROC[] = {
    "interrupts",   "kcore",       "kmsg",     "keys",       "kallsyms",      "timer_list",
    "sched_debug",  "vmallocinfo", "slabinfo", "kpagecount", "kpageflags",    "kpagecgroup",
    "pagetypeinfo", "acpi",        "asound",   "scsi",       "latency_stats", "timer_stats",
    "allocinfo",    "profile",     "vmcore",   "lock_stat",  "dynamic_debug",
};
static const char *const MASKED_SYS[] = {"firmware", "devices/virtual/powercap"};
static const char *const READ_ONLY_PROC[] = {"sys", "pressure", "sysrq-trigger",
                                             "irq", "bus",      "fs"};

static int need_mount(const char *type, const char *const options[][2], unsigned attributes)
{
    return must(new_mount(type, options, attributes), "mount %s", type);
}

/* /sys shows the network namespace, and only its owner may mount it. */
static int make_sys(const struct specification *spec)
{
    unsigned attributes = spec->without & WALL_READ_ONLY ? PLAIN : FROZEN;

    if (spec->network != NETWORK_HOST || !spec->own_users)
        return need_mount("sysfs", NULL, attributes);
    int sys = clone_mount(AT_FDCWD, "/sys", true);
    if (sys == -1 || set_mount(sys, "", attributes, -1, true) == -1)
        fail("show the machine's /sys");
    return sys;
}

static int open_in(int directory, const char *path, uint64_t resolve)
{
    return lab_openat2(directory, path, O_PATH, 0, resolve);
}

static void attach_below(int mount, int directory, const char *name)
{
    lab_fd target = open_in(directory, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

    if (target == -1 || attach(mount, target) == -1)
        fail("mount %s", name);
}

/* What masks: an empty file and an empty directory. The machine's /dev/null would do, but a lock
 * (flock(2)) on it is one on the machine's. */
static int make_covers(void)
{
    int covers = new_mount("tmpfs", NULL, 0);
    lab_fd file = covers == -1 ? -1 : openat(covers, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0444);

    if (file == -1 || mkdirat(covers, "directory", 0555) == -1)
        fail("make what masks files of /proc");
    return covers;
}

/* Whether no process inside can open the file, such as /proc/kcore: its owner has no mapping in the
 * user namespace, and others have no permission. */
static bool is_unreadable_inside(const struct stat *status, const struct specification *spec)
{
    return spec->own_users && status->st_uid == OVERFLOW_ID && (status->st_mode & 077) == 0;
}

/* Cover NAMES below DIRECTORY, which must be of the file system MAGIC, with COVERS. What this
 * kernel does not have needs no cover. */
static void mask(int directory, const char *const names[], int count, long magic, int covers,
                 const struct specification *spec)
{
    struct statfs system;
    struct stat status;

    must(fstatfs(directory, &system), "look at what is to be masked");
    if ((long)system.f_type != magic)
        give_up("what is mounted is not what was to be masked");
    for (int i = 0; i < count; i++) {
        /* Most of them need none, and this is quicker than to open them. */
        if (fstatat(directory, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            is_unreadable_inside(&status, spec))
            continue;
        lab_fd target =
            open_in(directory, names[i], RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
        if (target == -1 && (errno == ENOENT || errno == ELOOP))
            continue;
        if (target == -1 || fstat(target, &status) == -1)
            fail("mask %s", names[i]);
        lab_fd cover = clone_mount(covers, S_ISDIR(status.st_mode) ? "directory" : "file", false);
        if (cover == -1 || set_mount(cover, "", FROZEN, -1, false) == -1 ||
            attach(cover, target) == -1)
            fail("mask %s", names[i]);
    }
}

/* Root of a user namespace can change files of sys, and all users those of pressure; the others
 * belong to the machine's root, whose ID has no mapping. */
static void make_read_only(int proc, bool own_users)
{
    for (int i = 0; i < LAB_COUNT(READ_ONLY_PROC); i++) {
        const char *name = READ_ONLY_PROC[i];
        if (own_users && i > 1)
            break;
        lab_fd copy = clone_mount(proc, name, false);
        if (copy == -1 && errno == ENOENT)
            continue;
        if (copy == -1 || set_mount(copy, "", FROZEN, -1, false) == -1)
            fail("make /proc/%s read-only", name);
        attach_below(copy, proc, name);
    }
}

/* The kernel mounts only on attached mounts. So /proc and /sys are attached over the machine's own,
 * in this mount namespace, until the root is there. */
static void mount_over(int mount, const char *path)
{
    must(move_mount(mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), "mount %s", path);
}

void mounts_make_pseudo(struct pseudo_mounts *own, const struct specification *spec, bool v2)
{
    const bool has_tty = !is_unprivileged() || mapped_ids() > TTY;
    const char *const TERMINALS[][2] = {{"newinstance", NULL},
                                        {"ptmxmode", "0666"},
                                        {"mode", "0620"},
                                        {"max", "256"}, /* no limit of memory counts them on v1 */
                                        {has_tty ? "gid" : NULL, "5"},
                                        {0}};
    static const char *const MEMORY[][2] = {{"mode", "1777"}, {"size", "64m"}, {0}};

    /* Nothing that is mounted here may be seen outside. */
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / MS_PRIVATE");
    *own = (struct pseudo_mounts){.queues = -1};
    own->terminals = need_mount("devpts", TERMINALS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    own->shared_memory = need_mount("tmpfs", MEMORY, PLAIN);
    if (!(spec->without & WALL_IPC))
        own->queues = need_mount("mqueue", NULL, PLAIN);
    own->sys = make_sys(spec);
    own->proc = need_mount("proc", NULL, PLAIN);
    /* The kernel clones parts of attached mounts only: it lies below /proc until the end. */
    own->covers = spec->without & WALL_MASKS ? -1 : make_covers();
    if (own->covers != -1)
        mount_over(own->covers, "/proc");
    mount_over(own->sys, "/sys");
    mount_over(own->proc, "/proc");
    if (v2 && !(spec->without & WALL_CGROUP)) {
        lab_fd cgroup = need_mount("cgroup2", NULL, FROZEN);
        attach_below(cgroup, own->sys, "fs/cgroup");
    }
}

void mounts_mask(const struct pseudo_mounts *own, const struct specification *spec)
{
    if (own->covers != -1) {
        mask(own->proc, MASKED_PROC, LAB_COUNT(MASKED_PROC), PROC_SUPER_MAGIC, own->covers, spec);
        mask(own->sys, MASKED_SYS, LAB_COUNT(MASKED_SYS), SYSFS_MAGIC, own->covers, spec);
    }
    if (!(spec->without & WALL_READ_ONLY))
        make_read_only(own->proc, spec->own_users);
}

/* --without pivot: the old root stays mounted and is only out of sight. */
static void chroot_to(int root, const char *place)
{
    if (move_mount(root, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) == -1 ||
        fchdir(root) == -1 || chroot(".") == -1)
        fail("chroot to the container's root");
}

/* /proc, /sys or /dev in the root: created where it is missing. A link in its place would mount it
 * elsewhere. */
static void attach_to_own_directory(int mount, int root, const char *name)
{
    lab_fd target = open_in(root, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

    if (target == -1 && errno == ENOENT && mkdirat(root, name, 0755) == 0)
        target = open_in(root, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (target == -1 && errno == ELOOP)
        give_up("/%s in the root file system is a link", name);
    if (target == -1 || attach(mount, target) == -1)
        fail("mount /%s", name);
}

/* Create PATH, the target of a volume or a tmpfs, and open it. Links are resolved inside the root.
 * /proc and /sys are refused (CVE-2019-19921), and the root itself: process 1 would keep the root
 * below, and `exec` would use the one above. */
static int open_target(const char *path, bool is_file)
{
    struct statfs system;
    struct stat top, status;
    lab_fd root = must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /");
    lab_fd target = open_in(root, path, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    if (target == -1 && errno == ENOENT && is_file && lab_write_text_in(root, path, "", 0644) == 0)
        target = open_in(root, path, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    else if (target == -1 && errno == ENOENT && !is_file)
        target = lab_make_directory_in(root, path);
    if (target == -1 || fstatfs(target, &system) == -1 || fstat(target, &status) == -1 ||
        fstat(root, &top) == -1)
        fail("make '%s' in the container", path);
    if (system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC ||
        system.f_type == CGROUP2_SUPER_MAGIC || lab_same_file(&status, &top))
        give_up("'%s' is not a place for a mount", path);
    return lab_take_fd(&target);
}

static void attach_volumes(const struct mounts *mounts, const struct specification *spec)
{
    for (int i = 0; i < spec->volume_count; i++) {
        const struct volume *volume = &spec->volumes[i];
        struct stat status;
        must(fstat(mounts->volumes[i], &status), "volume '%s'", volume->source);
        lab_fd target = open_target(volume->target, !S_ISDIR(status.st_mode));
        if (attach(mounts->volumes[i], target) == -1)
            fail("mount '%s' on '%s'", volume->source, volume->target);
    }
    for (int i = 0; i < spec->tmpfs_count; i++) {
        char path[PATH_MAX];
        const char *size = strchr(spec->tmpfs[i], ':');
        const char *const options[][2] = {{"mode", "1777"}, {"size", size ? size + 1 : "64m"}, {0}};
        snprintf(path, sizeof(path), "%.*s", (int)strcspn(spec->tmpfs[i], ":"), spec->tmpfs[i]);
        lab_fd target = open_target(path, false);
        lab_fd memory = new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        if (memory == -1 || attach(memory, target) == -1)
            fail("mount a tmpfs on '%s'", path);
    }
}

/* The new root is stacked on the old one, then exchanged with it: the old one lies over the new one
 * in the same place ("." on "."), and one umount takes it off with all that is mounted in it. */
void mounts_enter_root(int root)
{
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == -1 || fchdir(root) == -1 ||
        syscall(SYS_pivot_root, ".", ".") == -1)
        fail("pivot_root to the container's root");
}

void mounts_leave_old_root(void)
{
    if (umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
        fail("detach the old root");
}

/* Without root no device can be made. Those of the machine are shown in place of them; nothing
 * about them can be changed, because their owner has no number in the user namespace. */
static void clone_devices(int copies[DEVICE_COUNT])
{
    char path[32];

    for (int i = 0; i < DEVICE_COUNT; i++) {
        snprintf(path, sizeof(path), "/dev/%s", DEVICES[i].name);
        copies[i] = clone_mount(AT_FDCWD, path, false);
        if (copies[i] == -1 ||
            set_mount(copies[i], "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, -1, false) == -1)
            fail("show %s", path);
    }
}

void mounts_pivot(const struct mounts *mounts, const struct pseudo_mounts *own,
                  const struct container *container)
{
    const struct specification *spec = &container->spec;
    const bool pivots = !(spec->without & WALL_PIVOT), clones = is_unprivileged();
    int devices[DEVICE_COUNT];

    if (clones)
        clone_devices(devices);
    if (pivots)
        mounts_enter_root(mounts->root);
    else
        chroot_to(mounts->root, state_path(container, ""));
    attach_to_own_directory(mounts->device, mounts->root, "dev");
    for (int i = 0; clones && i < DEVICE_COUNT; i++)
        attach_below(devices[i], mounts->device, DEVICES[i].name);
    attach_to_own_directory(own->proc, mounts->root, "proc");
    attach_to_own_directory(own->sys, mounts->root, "sys");
    if (pivots)
        mounts_leave_old_root();
    else if (chdir("/") == -1)
        fail("chdir /");
}

void mounts_attach(const struct mounts *mounts, const struct pseudo_mounts *own,
                   const struct specification *spec)
{
    attach_below(own->terminals, mounts->device, "pts");
    attach_below(own->shared_memory, mounts->device, "shm");
    if (own->queues != -1)
        attach_below(own->queues, mounts->device, "mqueue");
    attach_volumes(mounts, spec);
    if (spec->read_only && set_mount(mounts->root, "", MOUNT_ATTR_RDONLY, -1, false) == -1)
        fail("make / read-only");
}

void mounts_set(const struct pseudo_mounts *own, const char *name, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), "sys/%s", name);
    lab_fd file = openat(own->proc, path, O_WRONLY | O_CLOEXEC);
    if (file == -1 && errno == ENOENT)
        return;
    if (file == -1 || lab_write_once(file, value) == -1)
        fail("write '%s' to /proc/%s", value, path);
}
