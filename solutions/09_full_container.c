/*
 * 09_full_container - harden it.
 *
 *     09_full_container [--without=WALL]... [--root=DIRECTORY] COMMAND [ARG]...
 *     09_full_container [--without=WALL]... [--root=DIRECTORY]
 *                       attempt mount|fsopen|open_tree|move_mount|climb
 *
 * COMMAND runs as root with three walls around it: limits, capabilities, seccomp. Each can be left
 * away, to see what it is for. "attempt" tries to get through instead, and tells what stopped it:
 * by a mount, by a mount with the new system calls, by climbing out of DIRECTORY, where it is put
 * by a mere chroot.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exercise.h"

/* What root is left with: files of its own, other users, ports below 1024. */
static const cap_value_t kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                   CAP_KILL,  CAP_SETGID,       CAP_SETUID, CAP_NET_BIND_SERVICE};

enum { KEPT = sizeof(kept) / sizeof(kept[0]) };

enum { MEMORY = 64 << 20 /* bytes */, PROCESSES = 16 };

static struct {
    const char *root;
    bool without_limits, without_capabilities, without_seccomp;
} wanted;

/* Of this program: it is removed when the program ends. NULL: without limits. */
static struct lab_group *group;

static void limit(void)
{
    // BEGIN SOLUTION 9.1 limit memory and processes, in both dialects
    char bytes[32], count[32];
    bool v1 = lab_group_version(group, "memory") == 1;

    snprintf(bytes, sizeof(bytes), "%d", MEMORY);
    snprintf(count, sizeof(count), "%d", PROCESSES);
    lab_group_write(group, "memory", v1 ? "memory.limit_in_bytes" : "memory.max", bytes);
    lab_group_write(group, "pids", "pids.max", count);
    // END SOLUTION
}

static void drop_capabilities(void)
{
    // BEGIN SOLUTION 9.2 drop all capabilities but the kept ones, for us and for what we execute
    cap_t capabilities = cap_init();

    /* Root gets back at exec(2) what is in the bounding set, so that one comes first. */
    for (cap_value_t each = 0; each < cap_max_bits(); each++) {
        bool keep = false;
        for (int i = 0; i < KEPT; i++)
            keep |= kept[i] == each;
        if (!keep && cap_drop_bound(each) == -1)
            lab_die("drop capability %d from the bounding set", each);
    }
    if (!capabilities || cap_set_flag(capabilities, CAP_PERMITTED, KEPT, kept, CAP_SET) == -1 ||
        cap_set_flag(capabilities, CAP_EFFECTIVE, KEPT, kept, CAP_SET) == -1 ||
        cap_set_proc(capabilities) == -1)
        lab_die("give up capabilities");
    cap_free(capabilities);
    // END SOLUTION
}

static void filter_system_calls(void)
{
    // BEGIN SOLUTION 9.3 a seccomp filter: EPERM for mount, by whatever call, and for umount2
    static const int refused[] = {SCMP_SYS(mount),        SCMP_SYS(umount2),  SCMP_SYS(pivot_root),
                                  SCMP_SYS(open_tree),    SCMP_SYS(fsopen),   SCMP_SYS(fspick),
                                  SCMP_SYS(move_mount),   SCMP_SYS(fsconfig), SCMP_SYS(fsmount),
                                  SCMP_SYS(mount_setattr)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    for (size_t i = 0; filter && i < sizeof(refused) / sizeof(refused[0]); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0) != 0)
            lab_exit(EXIT_FAILURE, "no rule for system call %d", refused[i]);
    /* It sets no_new_privs as well: no set-user-ID program gets us anything back. */
    if (!filter || seccomp_load(filter) != 0)
        lab_exit(EXIT_FAILURE, "the filter cannot be loaded");
    seccomp_release(filter);
    // END SOLUTION
}

/* Out of the chroot, as in exercise 1. Returns 0, or the errno with which it was turned away. */
static int climb(void)
{
    // BEGIN SOLUTION 9.4 the escape attempt: hold, chroot below, go up; which errno stops it?
    int held = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (held == -1 || (mkdir("below", 0700) == -1 && errno != EEXIST) || chroot("below") == -1 ||
        fchdir(held) == -1)
        return errno;
    for (int level = 0; level < 64; level++)
        if (chdir("..") == -1)
            return errno;
    if (chroot(".") == -1)
        return errno;
    // END SOLUTION
    return 0;
}

static int attempt(const char *name, const struct stat *outside)
{
    struct stat inside;
    int error = 0;

    if (strcmp(name, "mount") == 0)
        error = mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == -1 ? errno : 0;
    else if (strcmp(name, "fsopen") == 0)
        error = syscall(SYS_fsopen, "tmpfs", 0) == -1 ? errno : 0;
    else if (strcmp(name, "open_tree") == 0)
        error = syscall(SYS_open_tree, AT_FDCWD, "/tmp", OPEN_TREE_CLONE) == -1 ? errno : 0;
    else if (strcmp(name, "move_mount") == 0)
        error = syscall(SYS_move_mount, -1, "", AT_FDCWD, "/tmp", 0) == -1 ? errno : 0;
    else
        error = climb();
    if (stat("/", &inside) == -1)
        lab_die("/");
    bool got_out = inside.st_dev == outside->st_dev && inside.st_ino == outside->st_ino;
    printf("%s: %s, the root is %s\n", name, error ? lab_strerror(error) : "no error",
           got_out ? "the machine's" : "its own");
    return EXIT_SUCCESS;
}

/* The child: build the walls around itself, the highest last, and go on behind them. */
static int live(char *argv[])
{
    struct stat outside;

    if (stat("/", &outside) == -1)
        lab_die("/");
    if (group)
        lab_group_enter(group);
    if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_die("a mount namespace");
    if (wanted.root && (chroot(wanted.root) == -1 || chdir("/") == -1))
        lab_die("chroot %s", wanted.root);
    if (!wanted.without_capabilities)
        drop_capabilities();
    if (!wanted.without_seccomp)
        filter_system_calls();
    if (strcmp(argv[0], "attempt") == 0 && argv[1])
        return attempt(argv[1], &outside);
    lab_exec(argv);
}

int main(int argc, char *argv[])
{
    int next = 1;

    for (; next < argc && strncmp(argv[next], "--", 2) == 0; next++) {
        wanted.without_limits |= strcmp(argv[next], "--without=limits") == 0;
        wanted.without_capabilities |= strcmp(argv[next], "--without=capabilities") == 0;
        wanted.without_seccomp |= strcmp(argv[next], "--without=seccomp") == 0;
        if (strncmp(argv[next], "--root=", 7) == 0)
            wanted.root = argv[next] + 7;
    }
    if (next == argc)
        lab_exit(EXIT_USAGE, "usage: [--without=limits|capabilities|seccomp]... "
                             "[--root=DIRECTORY] COMMAND [ARG]... | attempt NAME");
    if (!wanted.without_limits) {
        group = lab_group_of_program("memory pids");
        limit();
    }
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    return child == 0 ? live(argv + next) : lab_wait(child);
}
