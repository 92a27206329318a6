/*
 * doctor - what this machine can do for the labs, and what to do where it cannot.
 *
 *     sudo ./labs/doctor            a line for each thing that a lab needs
 *     sudo ./labs/doctor LINE...    these lines alone: "cgroup cpu"
 *     sudo ./labs/doctor --json     the same for programs
 *
 * Nothing is guessed from a version: each probe is a child process that really does the thing, in
 * private namespaces that vanish with it. It says what it saw, or fails as a lab would fail, with
 * the same words; docs/troubleshooting.md has a section for each line.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "command.h"
#include "cpumeter.h"
#include "error.h"
#include "file.h"
#include "hierarchy.h"
#include "json.h"
#include "namespace.h"
#include "process.h"
#include "rootfs.h"
#include "run.h"

#define EVERY_LAB "01 02 03 04 05 06 07 08 09"
#define ELSEWHERE "run the labs on the machine itself, or in a virtual one (make vm)"

enum { NOTE = 3 }; /* exit status of a probe: every lab can run, but something is to be known */

struct probe {
    const char *name;
    const char *labs; /* that cannot run without it; "": it never keeps one from running */
    void (*body)(const void *argument); /* prints what it saw and returns, or exits with a remedy */
    const void *argument;
    bool anybody; /* it needs no root */
};

/* Say what is to be known, and what can be done about it, though no lab fails. */
__attribute__((noreturn, format(printf, 2, 3))) static void note(const char *remedy,
                                                                 const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("; %s\n", remedy);
    exit(NOTE);
}

/* Fail because of something that no errno tells. */
__attribute__((noreturn, format(printf, 2, 3))) static void refuse(const char *remedy,
                                                                   const char *format, ...)
{
    char seen[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(seen, sizeof(seen), format, arguments);
    va_end(arguments);
    lab_exit(EXIT_FAILURE, "%s; %s", seen, remedy);
}

/*
 * The machine.
 */

static void probe_kernel(const void *unused)
{
    char text[4096], name[128] = "an unknown distribution";
    struct utsname system;
    int major = 0, minor = 0;

    (void)unused;
    if (uname(&system) == -1)
        lab_die("uname");
    const char *line = lab_read_file("/etc/os-release", text, sizeof(text)) == -1 ? NULL : text;
    for (; line; line = lab_next_line(line)) /* os-release(5): quotes only where they are needed */
        if (sscanf(line, "PRETTY_NAME=%*[\"']%127[^\"'\n]", name) == 1 ||
            sscanf(line, "PRETTY_NAME=%127[^\"'\n]", name) == 1)
            break;
    sscanf(system.release, "%d.%d", &major, &minor);
    if (major < 5 || (major == 5 && minor < 8))
        refuse("boot a newer one, or take make vm",
               "Linux %s is older than 5.8, which the labs are written for", system.release);
    printf("Linux %s, %s\n", system.release, name);
}

/* Lab 09's launcher makes its system calls without a library, which it can do on 64-bit machines.
 */
static void probe_word_size(const void *unused)
{
    struct utsname system;

    (void)unused;
    if (uname(&system) == -1)
        lab_die("uname");
    if (sizeof(void *) < 8)
        refuse("install a 64-bit system, if the processor can run one",
               "these are 32-bit programs (machine %s)", system.machine);
    printf("%s\n", system.machine);
}

/* What kind of container this is, or NULL. A file alone proves nothing: an image may have kept it.
 */
static const char *container_kind(void)
{
    static char kind[64];

    if ((int)lab_namespace_inode(0, "user") == LAB_INITIAL_USER &&
        (int)lab_namespace_inode(0, "pid") == LAB_INITIAL_PID)
        return NULL;
    if (lab_read_file("/run/systemd/container", kind, sizeof(kind)) > 0)
        return kind;
    if (access("/.dockerenv", F_OK) == 0)
        return "docker";
    return access("/run/.containerenv", F_OK) == 0 ? "podman" : "of an unknown kind";
}

static void probe_surroundings(const void *unused)
{
    char release[256] = "";
    const char *kind = container_kind();

    (void)unused;
    lab_read_file("/proc/sys/kernel/osrelease", release, sizeof(release));
    if (strstr(release, "Microsoft"))
        refuse("in PowerShell: wsl --set-version DISTRIBUTION 2", "WSL 1 has no Linux kernel");
    if (strstr(release, "microsoft")) /* each distribution is one of its containers */
        printf("WSL 2: a virtual machine with its own kernel\n");
    else if (kind)
        note("where a line below says no, " ELSEWHERE, "in a container (%s)", kind);
    else
        printf("no container\n");
}

static void probe_root(const void *unused)
{
    static const struct {
        int number;
        const char *name;
    } needed[] = {
        {CAP_CHOWN, "CHOWN"},           {CAP_DAC_OVERRIDE, "DAC_OVERRIDE"},
        {CAP_FOWNER, "FOWNER"},         {CAP_KILL, "KILL"},
        {CAP_SETGID, "SETGID"},         {CAP_SETUID, "SETUID"},
        {CAP_SETPCAP, "SETPCAP"},       {CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE"},
        {CAP_NET_ADMIN, "NET_ADMIN"},   {CAP_NET_RAW, "NET_RAW"},
        {CAP_SYS_CHROOT, "SYS_CHROOT"}, {CAP_SYS_PTRACE, "SYS_PTRACE"},
        {CAP_SYS_ADMIN, "SYS_ADMIN"},   {CAP_SYS_TIME, "SYS_TIME"},
        {CAP_MKNOD, "MKNOD"},           {CAP_SETFCAP, "SETFCAP"},
    };
    char status[8192], missing[256] = "";
    unsigned long long effective = 0;

    (void)unused;
    if (geteuid() != 0)
        refuse("type: sudo ./labs/doctor (the labs themselves want sudo, too)", "uid %d",
               (int)geteuid());
    if (lab_read_file("/proc/self/status", status, sizeof(status)) == -1)
        lab_die("read /proc/self/status");
    const char *line = strstr(status, "CapEff:");
    if (line)
        sscanf(line, "CapEff: %llx", &effective);
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        size_t length = strlen(missing);
        if (!(effective >> needed[i].number & 1))
            snprintf(missing + length, sizeof(missing) - length, " CAP_%s", needed[i].name);
    }
    if (*missing)
        refuse("root of a container lacks some rights: " ELSEWHERE, "root, but without%s", missing);
    printf("root, with every capability that the labs use\n");
}

static void probe_cpus(const void *unused)
{
    (void)unused;
    if (lab_cpu_count() < 2)
        note("lab 05 cannot show 150%, the rest is as on any machine", "1 CPU");
    printf("%d CPUs\n", lab_cpu_count());
}

/* Calls that are younger than others, or that containers' filters like to refuse. */
struct call {
    const char *name, *since; /* the version of Linux that brought it */
    long number;
};

static const struct call OF_ALL_LABS[] = {{"pidfd_open", "5.3", SYS_pidfd_open},
                                          {"openat2", "5.6", SYS_openat2},
                                          {"clone3", "5.3", SYS_clone3},
                                          {0}};
static const struct call CHROOT[] = {{"chroot", "1.0", SYS_chroot}, {0}};
static const struct call SETNS[] = {{"setns", "3.0", SYS_setns}, {0}};
static const struct call OF_LAB_09[] = {{"pidfd_send_signal", "5.1", SYS_pidfd_send_signal},
                                        {"close_range", "5.9", SYS_close_range},
                                        {"mount_setattr", "5.12", SYS_mount_setattr},
                                        {"open_tree", "5.2", SYS_open_tree},
                                        {"move_mount", "5.2", SYS_move_mount},
                                        {"fsopen", "5.2", SYS_fsopen},
                                        {"fsconfig", "5.2", SYS_fsconfig},
                                        {"fsmount", "5.2", SYS_fsmount},
                                        {"memfd_create", "3.17", SYS_memfd_create},
                                        {"keyctl", "2.6.10", SYS_keyctl},
                                        {"seccomp", "3.17", SYS_seccomp},
                                        {0}};

/* None of them can do anything with these arguments, and a kernel that has the call says so: by
 * another errno than who has it not, or refuses it. */
static void probe_calls(const void *calls)
{
    for (const struct call *call = calls; call->name; call++) {
        long result = syscall(call->number, -1L, 0L, 0L, 0L, 0L);
        if (result == -1 && (errno == ENOSYS || errno == EPERM || errno == EACCES))
            lab_die_remedy(ELSEWHERE, "%s, Linux %s", call->name, call->since);
    }
    for (const struct call *call = calls; call->name; call++)
        printf("%s%s", call == calls ? "" : ", ", call->name);
    putchar('\n');
}

/*
 * Namespaces.
 */

static const char *unshare_remedy(int error, const struct lab_namespace *kind)
{
    static char remedy[256];

    if (error == ENOSPC)
        snprintf(remedy, sizeof(remedy),
                 "a limit forbids it: sysctl -w user.max_%s_namespaces=10000 (it counts for every "
                 "user namespace above this one, too)",
                 kind->name);
    else if (error == EINVAL)
        snprintf(remedy, sizeof(remedy), "the kernel is built without it: %s", ELSEWHERE);
    else
        snprintf(remedy, sizeof(remedy), "a container or a filter forbids it: %s", ELSEWHERE);
    return remedy;
}

/* The kind of namespaces with this NAME ("mnt"), NULL where there is none. */
static const struct lab_namespace *namespace_named(const char *name)
{
    for (int i = 0; i < LAB_NAMESPACES; i++)
        if (strcmp(lab_namespaces[i].name, name) == 0)
            return &lab_namespaces[i];
    return NULL;
}

static void unshare_or_die(const char *name)
{
    const struct lab_namespace *kind = namespace_named(name);

    if (unshare(kind->flag) == -1)
        lab_die_remedy(unshare_remedy(errno, kind), "unshare %s", kind->flag_name);
}

/* Map root to root in the user namespace that was just made. user_namespaces(7). */
static void map_root(void)
{
    static const char map[] = "0 0 1";

    if (lab_write_file("/proc/self/uid_map", map) == -1)
        lab_die_remedy(ELSEWHERE, "write '%s' to /proc/self/uid_map", map);
}

/* A child of ours is in the namespace, if anybody is: for pid and time the caller itself is not. */
static void probe_namespace(const void *name)
{
    ino_t before = lab_namespace_inode(0, name);
    int status;

    unshare_or_die(name);
    if (strcmp(name, "user") == 0) {
        before = lab_namespace_inode(getppid(), name);
        map_root();
    }
    pid_t child = fork();
    if (child == -1)
        lab_die_remedy(ELSEWHERE, "fork into it");
    if (child == 0)
        _exit(lab_namespace_inode(0, name) == before ||
              (strcmp(name, "pid") == 0 && getpid() != 1));
    status = lab_wait(child);
    if (status != 0)
        refuse(ELSEWHERE, "a child is not in the new namespace");
    printf("made and entered\n");
}

/* Read the number in PATH; -1 where there is none. */
static int number_in(const char *path)
{
    char text[32];

    return lab_read_file(path, text, sizeof(text)) == -1 ? -1 : atoi(text);
}

/* What keeps an ordinary user from a user namespace, as far as the kernel says it. */
static const char *unprivileged_remedy(void)
{
    if (number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
        return "AppArmor forbids it (Ubuntu since 24.04): "
               "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    if (number_in("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return "a sysctl forbids it (Debian): sysctl -w kernel.unprivileged_userns_clone=1";
    if (number_in("/proc/sys/user/max_user_namespaces") == 0)
        return "a limit forbids it: sysctl -w user.max_user_namespaces=10000";
    return "a container or a filter forbids it: " ELSEWHERE;
}

/* AppArmor lets the namespace be made and then gives no rights in it, so something is done that
 * needs one: a host name in a UTS namespace. */
static void probe_unprivileged(const void *unused)
{
    enum { NOBODY = 65534 };

    (void)unused;
    if (geteuid() == 0 && (setgid(NOBODY) == -1 || setuid(NOBODY) == -1))
        note("there is no such user in this user namespace: try it as an ordinary user, or outside",
             "untried: become uid %d: %s", NOBODY, lab_strerror(errno));
    if (unshare(CLONE_NEWUSER) == -1)
        note(unprivileged_remedy(), "unshare CLONE_NEWUSER as uid %d: %s", (int)getuid(),
             lab_strerror(errno));
    if (unshare(CLONE_NEWUTS) == -1 || sethostname("doctor", 6) == -1)
        note(unprivileged_remedy(), "no rights in its user namespace, as uid %d: %s", (int)getuid(),
             lab_strerror(errno));
    printf("uid %d has made one, and has rights in it\n", (int)getuid());
}

/*
 * File systems.
 */

/* A mount namespace of our own, with a tmpfs on /tmp: what every experiment begins with. */
static void private_mounts(void)
{
    unshare_or_die("mnt");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_die_remedy(errno == EINVAL
                           ? "the present root is no mount, as in a chroot: mount --bind "
                             "DIRECTORY DIRECTORY before chroot DIRECTORY"
                           : ELSEWHERE,
                       "make / MS_PRIVATE");
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NODEV, NULL) == -1)
        lab_die_remedy(ELSEWHERE, "mount a tmpfs");
}

static void probe_mounts(const void *unused)
{
    (void)unused;
    private_mounts();
    printf("made, and a tmpfs mounted in it\n");
}

static void probe_pivot_root(const void *unused)
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
    if (access("/proc", F_OK) == 0)
        refuse(ELSEWHERE, "the old root is still there");
    printf("the root was changed, the old one unmounted\n");
}

static void probe_proc(const void *unused)
{
    char self[16] = "";

    (void)unused;
    private_mounts();
    unshare_or_die("pid");
    pid_t child = fork();
    if (child == -1)
        lab_die("fork");
    if (child > 0)
        exit(lab_wait(child));
    if (mount("proc", "/proc", "proc", 0, NULL) == -1)
        lab_die_remedy("parts of the present /proc are covered, as in a container: " ELSEWHERE,
                       "mount proc in a new PID namespace");
    if (readlink("/proc/self", self, sizeof(self) - 1) == -1 || strcmp(self, "1") != 0)
        refuse(ELSEWHERE, "/proc/self is '%s', not 1", self);
    printf("mounted; /proc/self is 1\n");
}

static void probe_overlay(const void *unused)
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
 * container of lab 09 be an ordinary user outside. Where it fails, such a container has the
 * machine's users. The namespace is that of a child, which ends with this process. */
static void probe_idmapped(const void *unused)
{
    static const char remedy[] = "containers of lab 09 start with --userns host; a newer kernel or "
                                 "another file system can do it";
    const struct lab_namespace *kind_of_users = namespace_named("user");
    char path[64];

    (void)unused;
    private_mounts();
    pid_t child = lab_clone(CLONE_NEWUSER, 0);
    if (child == 0)
        for (;;)
            pause();
    if (child == -1)
        note(unshare_remedy(errno, kind_of_users), "clone %s: %s", kind_of_users->flag_name,
             lab_strerror(errno));
    if (lab_map_ids(child, 100000, 1) == -1)
        note(ELSEWHERE, "map the user and the group 100000: %s", lab_strerror(errno));
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
    lab_fd users = open(path, O_RDONLY | O_CLOEXEC);
    lab_fd tree = (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)users};
    if (users == -1 || tree == -1)
        note(ELSEWHERE, "open %s: %s", users == -1 ? path : "the present directory, by open_tree",
             lab_strerror(errno));
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) == -1)
        note(remedy, "mount_setattr MOUNT_ATTR_IDMAP here: %s", lab_strerror(errno));
    printf("the present directory can be shown with other owners\n");
}

/* Programs are run from a temporary directory by the tests, and by whoever makes a root there. */
static void probe_tmp(const void *unused)
{
    char path[PATH_MAX];
    const char *directory = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    LAB_OUTPUT output = {0};

    (void)unused;
    snprintf(path, sizeof(path), "%s/doctor.XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd == -1)
        lab_die_remedy("name another one in TMPDIR", "make a file in %s", directory);
    bool written = write(fd, "#!/bin/sh\n", 10) == 10 && fchmod(fd, 0700) == 0;
    close(fd);
    if (!written) {
        int error = errno;
        unlink(path);
        errno = error;
        lab_die_remedy("name another one in TMPDIR", "write a program to %s", directory);
    }
    int result = lab_listen_command(&output, (const char *[]){path, NULL});
    unlink(path);
    if (result == -1)
        lab_die_remedy(ELSEWHERE, "start %s", path);
    if (output.status != 0)
        refuse("mount -o remount,exec it, or name another directory in TMPDIR",
               "%s is mounted noexec: no program runs from there", directory);
    printf("programs run from %s\n", directory);
}

/*
 * Control groups.
 */

static void probe_cgroup(const void *unused)
{
    struct lab_hierarchies found;

    (void)unused;
    if (lab_hierarchies_find(&found) == -1)
        lab_die("read /proc/self/mountinfo");
    if (!found.unified.version && !*found.v1)
        refuse("mount -t cgroup2 none /sys/fs/cgroup", "%s is mounted",
               lab_hierarchies_kind(&found));
    printf("%s", lab_hierarchies_kind(&found));
    if (*found.v1)
        printf("; v1 has %s", found.v1);
    if (found.unified.version)
        printf("; v2 has %s", *found.v2 ? found.v2 : "no controllers");
    printf("\n");
}

/* Do what the labs do, with their own functions: make a group, limit it, enter it. How it fails is
 * how they fail. */
static void probe_controller(const void *name)
{
    unsigned controllers = strcmp(name, "memory") == 0 ? LAB_BIT(LAB_MEMORY)
                           : strcmp(name, "pids") == 0 ? LAB_BIT(LAB_PIDS)
                                                       : LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT);
    struct lab_cgroup run, group;
    int result;

    lab_begin_tool("doctor");
    lab_run_cgroup(&run, controllers, 0);
    if (lab_cgroup_create_in(&group, &run, "A") == -1)
        lab_cgroup_die();
    if (strcmp(name, "memory") == 0)
        result = lab_cgroup_set_memory(&group, 64 << 20);
    else if (strcmp(name, "pids") == 0)
        result = lab_cgroup_set_pids(&group, 64);
    else
        result = lab_cgroup_set_cpu_limit(&group, 50000, 100000);
    if (result == -1)
        lab_cgroup_die();
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (lab_cgroup_enter(&group, 0) == -1)
            lab_cgroup_die();
        _exit(EXIT_SUCCESS);
    }
    result = lab_wait(child);
    if (result != 0)
        exit(result);
    printf("cgroup v%d: made a group, limited it, entered it\n",
           run.where
               ->of[strcmp(name, "memory") == 0 ? LAB_MEMORY
                    : strcmp(name, "pids") == 0 ? LAB_PIDS
                                                : LAB_CPU]
               .version);
}

/*
 * The network.
 */

/* Fail, with the package, where COMMAND is not in PATH. */
static void need_command(const char *command)
{
    if (lab_find_command(command, NULL, 0))
        return;
    const char *outside = lab_outside_path(command);
    if (outside)
        refuse("use sudo, or su with a minus sign: then PATH has it",
               "%s/%s is there, and PATH has no %s", outside, command, outside);
    refuse("install what is missing: make deps", "%s is not installed", command);
}

/* Run COMMAND and keep the first line of what it says: it is what a remedy is about. Returns its
 * status. */
static int first_line(struct lab_output *output, const char *command)
{
    int status = lab_command(output, "%s", command);

    while (output->timed_out)
        pause(); /* as this probe is at the same moment: let it be ended */
    output->text[strcspn(output->text, "\n")] = '\0';
    return status;
}

/* Make a link of KIND in a network namespace, with ip(8) as the labs do. */
static void probe_link(const void *kind)
{
    char command[64];
    LAB_OUTPUT output = {0};

    need_command("ip");
    unshare_or_die("net");
    snprintf(command, sizeof(command), "ip link add lab1 type %s", (const char *)kind);
    if (first_line(&output, command) != 0)
        refuse(strstr(output.text, "Unknown device")
                   ? "the kernel has no module for it: modprobe it, or make vm"
                   : ELSEWHERE,
               "%s: %s", command, output.text);
    lab_output_free(&output);
    if (first_line(&output, "ip link show lab1") != 0)
        refuse(ELSEWHERE, "no link after %s: %s", command, output.text);
    printf("made, in a network namespace\n");
}

/* What can be done where iptables has said TEXT. */
static const char *iptables_remedy(const char *text)
{
    return strstr(text, "does not exist") || strstr(text, "not supported")
               ? "the kernel lacks what this iptables speaks: modprobe nf_tables nft_chain_nat, "
                 "update-alternatives --config iptables, or make vm"
               : ELSEWHERE;
}

static void probe_nat(const void *unused)
{
    static const char rule[] = "POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE";
    char command[256];

    (void)unused;
    need_command("iptables");
    unshare_or_die("net");
    for (int check = 0; check < 2; check++) {
        LAB_OUTPUT output = {0};
        snprintf(command, sizeof(command), "iptables -t nat -%c %s", check ? 'C' : 'A', rule);
        if (first_line(&output, command) != 0)
            refuse(iptables_remedy(output.text), "%s: %s", command, output.text);
    }
    printf("a MASQUERADE rule was made and found\n");
}

static void probe_forwarding(const void *unused)
{
    static const char path[] = "/proc/sys/net/ipv4/ip_forward";
    int host = number_in(path);

    (void)unused;
    unshare_or_die("net");
    if (lab_write_file(path, "1") == -1)
        lab_die_remedy(errno == EROFS ? "/proc/sys is read-only, as in a container: " ELSEWHERE
                                      : ELSEWHERE,
                       "write 1 to %s", path);
    if (number_in(path) != 1)
        refuse(ELSEWHERE, "%s is %d after 1 was written", path, number_in(path));
    printf("can be switched on (it is %d now, outside)\n", host);
}

/* The policy of the chain FORWARD, "ACCEPT", in OUTPUT. Returns whether iptables told it. */
static bool read_forward_policy(struct lab_output *output)
{
    static const char before[] = "-P FORWARD ";

    if (first_line(output, "iptables -S FORWARD") != 0 ||
        strncmp(output->text, before, strlen(before)) != 0)
        return false;
    memmove(output->text, output->text + strlen(before), strlen(output->text + strlen(before)) + 1);
    return true;
}

static void probe_forward_policy(const void *unused)
{
    LAB_OUTPUT output = {0};

    (void)unused;
    if (!lab_find_command("iptables", NULL, 0))
        note("see the line iptables", "unknown without iptables");
    if (!read_forward_policy(&output))
        note(iptables_remedy(output.text), "unknown: %s", output.text);
    if (strcmp(output.text, "DROP") == 0)
        note("Docker and ufw set it; the experiments have a network of their own, and 08_nat up "
             "lets its own bridge through",
             "DROP");
    printf("%s\n", output.text);
}

/* The module br_netfilter shows iptables what a bridge passes on from port to port. */
static void probe_bridge_netfilter(const void *unused)
{
    int value = number_in("/proc/sys/net/bridge/bridge-nf-call-iptables");
    LAB_OUTPUT policy = {0};

    (void)unused;
    if (value == 1 && !read_forward_policy(&policy))
        note("see the line FORWARD policy", "1, and what FORWARD does is unknown");
    if (value == 1 && strcmp(policy.text, "DROP") == 0)
        note("before 07_veth_bridge up: sysctl -w net.bridge.bridge-nf-call-iptables=0",
             "1, and the FORWARD policy DROP holds for what a bridge passes on, too");
    printf("%s\n", value == -1 ? "not loaded" : value == 1 ? "1, and FORWARD lets it pass" : "0");
}

/*
 * Programs.
 */

/* ROW: the command and the option that makes it tell its version. */
static void probe_command(const void *row)
{
    char command[64];
    LAB_OUTPUT output = {0};

    snprintf(command, sizeof(command), "%s", (const char *)row);
    command[strcspn(command, " ")] = '\0';
    need_command(command);
    first_line(&output, row);
    if (strstr(output.text, "BusyBox") || strstr(output.text, "busybox"))
        refuse("install the real one: make deps",
               "this %s is busybox's, which lacks some of what the labs ask for", command);
    if (output.status != 0 || !*output.text)
        refuse("install its package anew", "%s: %s", (const char *)row,
               *output.text ? output.text : "it says nothing");
    printf("%s\n", output.text);
}

static void probe_busybox(const void *wants_static)
{
    char path[PATH_MAX], loader[PATH_MAX];
    const char *named = getenv("BUSYBOX");

    if (lab_find_busybox(path, sizeof(path)) == -1) {
        if (named && *named)
            refuse("name another one in BUSYBOX, or none", "no program: '%s', named in BUSYBOX",
                   named);
        refuse("install busybox-static (make deps), or name one in BUSYBOX", "not installed");
    }
    if (lab_loader_of(path, loader, sizeof(loader)) == -1)
        lab_die_remedy("name another one in BUSYBOX", "read the ELF header of %s", path);
    if (wants_static && *loader)
        refuse("install busybox-static (make deps), or name one in BUSYBOX",
               "%s is dynamic: it wants %s", path, loader);
    printf("%s, %s\n", path, *loader ? "dynamic" : "static");
}

/*
 * The lines.
 */

static const struct probe probes[] = {
    {"kernel", EVERY_LAB, probe_kernel, NULL, true},
    {"surroundings", EVERY_LAB, probe_surroundings, NULL, true},
    {"root", EVERY_LAB, probe_root, NULL, true},
    {"CPUs", "", probe_cpus, NULL, true},
    {"system calls", EVERY_LAB, probe_calls, OF_ALL_LABS, true},
    {"chroot", "01 02 04", probe_calls, CHROOT, true},
    {"setns", "03 04 07 08 09", probe_calls, SETNS, true},
    {"64-bit machine", "09", probe_word_size, NULL, true},
    {"system calls of lab 09", "09", probe_calls, OF_LAB_09, false},
    {"mount namespace", EVERY_LAB, probe_mounts, NULL, false},
    {"UTS namespace", "03 04 09", probe_namespace, "uts", false},
    {"IPC namespace", "03 04 09", probe_namespace, "ipc", false},
    {"PID namespace", "03 04 09", probe_namespace, "pid", false},
    {"network namespace", "02 03 04 07 08 09", probe_namespace, "net", false},
    {"user namespace", "03 04 09", probe_namespace, "user", false},
    {"cgroup namespace", "03 04 09", probe_namespace, "cgroup", false},
    {"time namespace", "03 04", probe_namespace, "time", false},
    {"unprivileged user namespaces", "", probe_unprivileged, NULL, true},
    {"pivot_root", "01 09", probe_pivot_root, NULL, false},
    {"mount proc", "02 03 04 09", probe_proc, NULL, false},
    {"overlayfs", "02 09", probe_overlay, NULL, false},
    {"idmapped mounts", "", probe_idmapped, NULL, false},
    {"programs in /tmp", "", probe_tmp, NULL, true},
    {"cgroup", "05 06 09", probe_cgroup, NULL, true},
    {"cgroup cpu", "05 06 09", probe_controller, "cpu", false},
    {"cgroup memory", "09", probe_controller, "memory", false},
    {"cgroup pids", "09", probe_controller, "pids", false},
    {"bridge", "07 08 09", probe_link, "bridge", false},
    {"veth", "07 08 09", probe_link, "veth", false},
    {"NAT rule", "08 09", probe_nat, NULL, false},
    {"ip_forward", "08 09", probe_forwarding, NULL, false},
    {"FORWARD policy", "", probe_forward_policy, NULL, false},
    {"bridge-nf-call-iptables", "", probe_bridge_netfilter, NULL, false},
    {"busybox", "01 02 09", probe_busybox, NULL, true},
    {"static busybox", "01", probe_busybox, "static", true},
    {"ip", "03 07 08", probe_command, "ip -V", true},
    {"brctl", "07 08", probe_command, "brctl --version", true},
    {"iptables", "08 09", probe_command, "iptables -V", true},
    {"ping", "07 08", probe_command, "ping -V", true},
    {"ldd", "01", probe_command, "ldd --version", true},
    {"readelf", "01", probe_command, "readelf --version", true},
    {"chroot(1)", "02", probe_command, "chroot --version", true},
    {"unshare", "02 03 04", probe_command, "unshare --version", true},
    {"hostname", "03 04", probe_command, "hostname --version", true},
    {"ps", "03", probe_command, "ps --version", true},
    {"ipcmk", "03", probe_command, "ipcmk --version", true},
    {"mount", "03 04", probe_command, "mount --version", true},
    {"sysctl", "08", probe_command, "sysctl --version", true},
    {"bats", "", probe_command, "bats --version", true},
};

enum { PROBES = sizeof(probes) / sizeof(probes[0]) };

static const char *const VERDICTS[] = {"ok", "note", "no", "untried"};

struct finding {
    enum { WORKS, NOTED, FAILS, UNTRIED, UNWANTED } verdict;
    char seen[512], remedy[512];
};

static int run_probe(void *probe)
{
    const struct probe *chosen = probe;

    chosen->body(chosen->argument);
    return EXIT_SUCCESS;
}

/* The last line that a probe prints is what it found. Behind the first "; " of a failure stands the
 * remedy, as in all complaints of the labs, and before it the program's name. */
static void read_finding(struct finding *finding, char *text)
{
    char prefix[64];
    int length = snprintf(prefix, sizeof(prefix), "%s: ", program_invocation_short_name);

    for (char *end = text + strlen(text); end > text && end[-1] == '\n';)
        *--end = '\0';
    char *line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
    if (strncmp(line, prefix, (size_t)length) == 0)
        line += length;
    char *remedy = finding->verdict == WORKS ? NULL : strstr(line, "; ");
    if (remedy)
        *remedy = '\0';
    snprintf(finding->seen, sizeof(finding->seen), "%s", line);
    snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy ? remedy + 2 : "");
}

static void try_probe(const struct probe *probe, struct finding *finding)
{
    LAB_OUTPUT output = {0};

    *finding = (struct finding){.verdict = UNTRIED, .seen = "needs root"};
    if (!probe->anybody && geteuid() != 0)
        return;
    finding->verdict = FAILS;
    if (lab_listen(&output, run_probe, (void *)probe) == -1) {
        /* Not even that: every lab listens to its children through pidfds. */
        lab_fd pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        snprintf(finding->seen, sizeof(finding->seen), "%s: %s",
                 pidfd == -1 ? "pidfd_open, Linux 5.3" : "start a child", lab_strerror(errno));
        snprintf(finding->remedy, sizeof(finding->remedy), "%s", ELSEWHERE);
        return;
    }
    if (output.status == EXIT_SUCCESS || output.status == NOTE)
        finding->verdict = output.status == NOTE ? NOTED : WORKS;
    read_finding(finding, output.text);
    if (output.timed_out) {
        snprintf(finding->seen, sizeof(finding->seen), "it hung, and was ended");
        snprintf(finding->remedy, sizeof(finding->remedy), "see where: strace -f %s '%s'",
                 lab_typed("doctor"), probe->name);
    } else if (output.status > 128) {
        snprintf(finding->seen, sizeof(finding->seen), "it was ended by %s",
                 lab_signal_name(output.status - 128));
        snprintf(finding->remedy, sizeof(finding->remedy), "%s",
                 output.status == 128 + SIGSYS ? "a filter forbids it: " ELSEWHERE : "");
    }
}

static void print_line(const struct probe *probe, const struct finding *finding)
{
    printf("  %-7s %-29s %s\n", VERDICTS[finding->verdict], probe->name, finding->seen);
    if (finding->verdict == FAILS)
        printf("  %-7s %-29s concerns %s%s\n", "", "",
               *probe->labs ? "labs " : "no lab, but the tests", probe->labs);
    if (*finding->remedy)
        printf("  %-7s %-29s %s\n", "", "", finding->remedy);
}

/* "03 04" as ["03", "04"]. */
static void print_labs(const char *labs)
{
    putchar('[');
    for (const char *lab = labs; *lab; lab += lab[2] ? 3 : 2)
        printf("%s\"%.2s\"", lab == labs ? "" : ", ", lab);
    putchar(']');
}

static void print_json(const struct finding findings[], const char *lost)
{
    bool first = true;

    printf("{\"cannot_run\": ");
    print_labs(lost);
    printf(", \"lines\": [");
    for (int i = 0; i < PROBES; i++) {
        if (findings[i].verdict == UNWANTED)
            continue;
        printf("%s\n  {\"name\": ", first ? "" : ",");
        lab_json_string(probes[i].name);
        printf(", \"labs\": ");
        print_labs(probes[i].labs);
        printf(", \"verdict\": \"%s\", \"seen\": ", VERDICTS[findings[i].verdict]);
        lab_json_string(findings[i].seen);
        printf(", \"remedy\": ");
        lab_json_string(findings[i].remedy);
        printf("}");
        first = false;
    }
    printf("\n]}\n");
}

/* The labs, "07 08", that something keeps from running, or may, as far as could be tried. */
static void collect_lost(const struct finding findings[], char *lost, size_t size)
{
    char lab[] = "00";

    *lost = '\0';
    for (lab[1] = '1'; lab[1] <= '9'; lab[1]++) {
        bool keeps = false;
        for (int i = 0; i < PROBES; i++)
            keeps |= (findings[i].verdict == FAILS || findings[i].verdict == UNTRIED) &&
                     strstr(probes[i].labs, lab);
        size_t length = strlen(lost);
        if (keeps)
            snprintf(lost + length, size - length, "%s%s", length ? " " : "", lab);
    }
}

static const char HELP[] =
    "Usage: doctor [--json] [LINE]...\n"
    "Try each thing that the labs need and tell what works, or why not and what to do. With\n"
    "LINEs, such as 'cgroup cpu' and veth, try these alone.\n"
    "\n"
    "  --json             the same for programs\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0 when no line keeps a lab from running; 1 when one does; 2 for wrong usage.\n";

static bool wants_json(int argc, char *argv[])
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    bool json = false;
    int option;

    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h')
            lab_print_help(HELP);
        if (option == 'v')
            lab_print_version();
        if (option != 'j')
            lab_try_help(LAB_EXIT_USAGE);
        json = true;
    }
    return json;
}

/* Mark the lines that the words of ARGV, if there are any, do not name. */
static void choose(char *argv[], struct finding findings[])
{
    for (int i = 0; i < PROBES; i++)
        findings[i].verdict = *argv ? UNWANTED : UNTRIED;
    for (; *argv; argv++) {
        int i = 0;
        while (i < PROBES && strcasecmp(*argv, probes[i].name) != 0)
            i++;
        if (i == PROBES) {
            lab_warn("there is no line '%s'; the lines are:", *argv);
            for (i = 0; i < PROBES; i++)
                fprintf(stderr, "%s%s", probes[i].name, i == PROBES - 1 ? "\n" : ", ");
            exit(LAB_EXIT_USAGE);
        }
        findings[i].verdict = UNTRIED;
    }
}

int main(int argc, char *argv[])
{
    struct finding findings[PROBES] = {0};
    char lost[64];
    bool json = wants_json(argc, argv);

    choose(argv + optind, findings);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < PROBES; i++) {
        if (findings[i].verdict == UNWANTED)
            continue;
        try_probe(&probes[i], &findings[i]);
        if (!json)
            print_line(&probes[i], &findings[i]);
    }
    collect_lost(findings, lost, sizeof(lost));
    if (json)
        print_json(findings, lost);
    else if (*lost)
        printf("Labs that cannot run here: %s. See docs/troubleshooting.md, by line.\n", lost);
    else if (optind == argc)
        printf("Every lab can run here.\n");
    return *lost ? EXIT_FAILURE : EXIT_SUCCESS;
}
