#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "error.h"
#include "file.h"
#include "namespace.h"
#include "process.h"
#include "run.h"

/* A mount namespace of our own, with a tmpfs on /tmp: what every experiment begins with. */
static void private_mounts(void)
{
    probe_unshare("mnt");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_die_remedy(errno == EINVAL ? LAB_ROOT_IS_NO_MOUNT : ELSEWHERE, "make / MS_PRIVATE");
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NODEV, NULL) == -1)
        lab_die_remedy(ELSEWHERE, "mount a tmpfs");
}

void probe_mounts(const void *unused)
{
    (void)unused;
    private_mounts();
    printf("made, and a tmpfs mounted in it\n");
}

void probe_pivot_root(const void *unused)
{
    (void)unused;
    private_mounts();
    if (mkdir("/tmp/old", 0755) == -1)
        lab_die("mkdir /tmp/old");
    if (syscall(SYS_pivot_root, "/tmp", "/tmp/old") == -1)
        lab_die_remedy(errno == EINVAL ? "the present root is an initial ramdisk: boot a real one"
                                       : ELSEWHERE,
                       "pivot_root");
    if (chdir("/") == -1 || umount2("/old", MNT_DETACH) == -1)
        lab_die_remedy(ELSEWHERE, "umount the old root");
    const int there = lab_is_there("/proc");
    if (there == -1)
        lab_die("look for the old root");
    if (there)
        probe_refuse(ELSEWHERE, "the old root is still there");
    printf("the root was changed, the old one unmounted\n");
}

void probe_proc(const void *unused)
{
    char self[16] = "";

    (void)unused;
    private_mounts();
    probe_unshare("pid");
    pid_t child = fork();
    if (child == -1)
        lab_die("fork");
    if (child > 0)
        exit(lab_must_wait(child));
    if (mount("proc", "/proc", "proc", 0, NULL) == -1)
        lab_die_remedy("parts of the present /proc are covered, as in a container: " ELSEWHERE,
                       "mount proc in a new PID namespace");
    if (readlink("/proc/self", self, sizeof(self) - 1) == -1)
        lab_die_remedy(ELSEWHERE, "read the link /proc/self");
    if (strcmp(self, "1") != 0)
        probe_refuse(ELSEWHERE, "/proc/self is '%s', not 1", self);
    printf("mounted; /proc/self is 1\n");
}

void probe_overlay(const void *unused)
{
    static const char *const directories[] = {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/all"};

    (void)unused;
    private_mounts();
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        if (mkdir(directories[i], 0755) == -1)
            lab_die("mkdir %s", directories[i]);
    if (mount("overlay", "/tmp/all", "overlay", MS_NOATIME,
              "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") == -1)
        lab_die_remedy(errno == ENODEV ? "the kernel has no overlayfs: modprobe overlay, or make vm"
                                       : ELSEWHERE,
                       "mount an overlay");
    if (mkdir("/tmp/all/here", 0755) == -1 || access("/tmp/upper/here", F_OK) == -1)
        lab_die_remedy(ELSEWHERE, "write through the overlay");
    printf("mounted; what is written lies in its upper directory\n");
}

/* A directory on this file system with its files owned by others than they are: what lets root in a
 * container of lab 09 be an ordinary user outside. Where it fails, such a container starts
 * with --userns host alone. The namespace is that of a child, which ends with this process. */
void probe_idmapped(const void *unused)
{
    static const char remedy[] = "containers of lab 09 need --userns host here; a newer kernel or "
                                 "another file system can do it";
    char path[64];

    (void)unused;
    private_mounts();
    pid_t child = lab_clone(CLONE_NEWUSER, 0);
    if (child == 0)
        for (;;)
            pause();
    if (child == -1)
        probe_note(probe_unshare_remedy(errno, "user"), "clone CLONE_NEWUSER: %s",
                   lab_strerror(errno));
    if (lab_map_ids(child, 100000, 1) == -1)
        probe_note(ELSEWHERE, "map the user 100000: write to /proc/%d/uid_map and gid_map: %s",
                   (int)child, lab_strerror(errno));
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
    lab_fd users = open(path, O_RDONLY | O_CLOEXEC);
    lab_fd tree = (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)users};
    if (users == -1 || tree == -1)
        probe_note(ELSEWHERE, "open %s: %s",
                   users == -1 ? path : "the present directory, by open_tree", lab_strerror(errno));
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) == -1)
        probe_note(remedy, "mount_setattr MOUNT_ATTR_IDMAP here: %s", lab_strerror(errno));
    printf("the present directory can be shown with other owners\n");
}

/* Programs are run from a temporary directory by the tests, and by whoever makes a root there. */
void probe_tmp(const void *unused)
{
    char path[PATH_MAX], own[32];
    const char *named = getenv("TMPDIR"), *directory = named && *named ? named : "/tmp";
    LAB_OUTPUT output = {0};

    (void)unused;
    snprintf(path, sizeof(path), "%s/doctor.XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd == -1)
        lab_die_remedy("name another one in TMPDIR", "make a file in %s", directory);
    int program = -1;
    /* Not by its name, in whose place the owner of the directory may put another program. */
    snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    if (write(fd, "#!/bin/sh\n", 10) == 10 && fchmod(fd, 0700) == 0)
        program = open(own, O_RDONLY); /* its interpreter reads it, too */
    int error = errno;
    close(fd);
    if (unlink(path) == -1)
        lab_die("remove %s", path);
    errno = error;
    if (program == -1)
        lab_die_remedy("name another one in TMPDIR", "write a program to %s", directory);
    /* Its name is gone, so that nothing is left if this process is killed. */
    snprintf(own, sizeof(own), "/proc/self/fd/%d", program);
    if (lab_listen_command(&output, (const char *[]){own, NULL}, LAB_READER) == -1)
        lab_die_remedy(ELSEWHERE, "start a program in %s", directory);
    output.text[strcspn(output.text, "\n")] = '\0';
    if (output.status == 0)
        printf("programs run from %s\n", directory);
    else if (strstr(output.text, strerror(EACCES)))
        probe_refuse("mount -o remount,exec it, or name another directory in TMPDIR",
                     "%s is mounted noexec: no program runs from there", directory);
    else
        probe_refuse(ELSEWHERE, "start a program in %s: %s", directory, output.text);
}

/* What a run owns, and how it claims it. */
void probe_run(const void *unused)
{
    (void)unused;
    lab_begin_tool("doctor");
    printf("a directory was made and locked in it\n");
}
