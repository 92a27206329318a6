#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "namespace.h"
#include "number.h"
#include "process.h"
#include "readonly.h"
#include "rootless.h"

const char PLACE_HOST_NAME[] = "sandbox";

/* The new root is built here; pivot_root(2) makes it the root. */
#define NEW "/tmp"
#define FILES "/run/exercise" /* where files and PROGRAM are inside */
#define GUARDED "/program"    /* below: the program itself; the guard has its place and name */

enum {
    USERS = 65535,          /* user and group numbers inside: 0 to 65534 */
    USER_BASE = 0x7e000000, /* and outside, where the machine lets us choose: one of these */
    RANGES = 256,
    ORDINARY_USER = 65534,
    ORDINARY_GROUP = 65533, /* another number, so that a program that mixes them up fails */
    RESULT_BYTES = 16 << 20,
};

/*
 * Users and groups.
 */

/* Which numbers of this machine stand for 0, 1, ... inside: USERS of them, none of which is ours,
 * and seldom those of another sandbox, because what the kernel counts for a user, one could
 * take from all of them. In a user namespace not all numbers exist: then the highest of the largest
 * range. Without so many, our own number alone. uid_map of user_namespaces(7). */
static void choose_numbers(struct place *place)
{
    unsigned first, outside, count, most = 0;
    FILE *map = fopen("/proc/self/uid_map", "re");

    if (!map)
        lab_die("/proc/self/uid_map");
    place->first = 0;
    while (fscanf(map, "%u %u %u", &first, &outside, &count) == 3) {
        if (first <= USER_BASE && count > USER_BASE - first + RANGES * (USERS + 1)) {
            place->first = USER_BASE + (unsigned)getpid() % RANGES * (USERS + 1);
            most = UINT_MAX;
        } else if (count > most && count >= USERS && first + count > USERS) {
            place->first = first + count - USERS;
            most = count;
        }
    }
    if (ferror(map))
        lab_die("read /proc/self/uid_map");
    fclose(map);
    place->has_ids = place->first != 0;
    if (!place->has_ids && lab_is_root_of_machine())
        lab_exit(EXIT_FAILURE, "a sandbox needs %d user numbers, and there are fewer", USERS);
}

/* With our own number alone, this is the number of the command's user. */
static int map_numbers(const struct place *place, pid_t init)
{
    char path[64], map[64];
    const int numbers[] = {ORDINARY_USER, ORDINARY_GROUP};

    if (place->has_ids || !place->user)
        return lab_map_ids(init, place->first, place->has_ids ? USERS : 1);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "/proc/%d/%cid_map", (int)init, "ug"[i]);
        snprintf(map, sizeof(map), "%d 0 1", numbers[i]);
        if (lab_write_file(path, map) == -1)
            return -1;
    }
    return 0;
}

static void become(unsigned user, unsigned group)
{
    if (setgroups(0, NULL) == -1 || setresgid(group, group, group) == -1 ||
        setresuid(user, user, user) == -1)
        lab_die("become user %u", user);
}

/*
 * Mounts.
 */

static void mount_or_die(const char *source, const char *target, const char *type,
                         unsigned long flags, const char *data)
{
    if (mount(source, target, type, flags, data) == -1)
        lab_die("mount on %s", target);
}

static int clone_tree(const char *path)
{
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static void attach(int tree, const char *target)
{
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == -1)
        lab_die("move_mount %s", target);
    close(tree);
}

static void set_attributes(const char *path, uint64_t attributes)
{
    struct mount_attr wanted = {.attr_set = attributes};

    if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &wanted, sizeof(wanted)) == -1)
        lab_die_remedy("Linux 5.12 can do this", "make the mounts of %s read-only", path);
}

static void make_directory(const char *path)
{
    if (mkdir(path, 0755) == -1)
        lab_die("mkdir %s", path);
}

/* What programs, compilers and checks read, and no more of the machine's files: not the home
 * directories, and not the project with its solutions. */
static void bind_system(void)
{
    static const char *const names[] = {"/usr", "/etc",   "/bin",   "/sbin",
                                        "/lib", "/lib32", "/lib64", "/libx32"};
    static const char *const empty[] = {"/home", "/mnt", "/opt", "/root", "/srv",    "/var",
                                        "/dev",  "/tmp", "/run", "/proc", "/var/tmp"};
    char place[64], link[PATH_MAX];

    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        snprintf(place, sizeof(place), NEW "%s", empty[i]);
        make_directory(place);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(place, sizeof(place), NEW "%s", names[i]);
        ssize_t length = readlink(names[i], link, sizeof(link) - 1);
        if (length > 0) {
            link[length] = '\0';
            if (symlink(link, place) == -1)
                lab_die("symlink %s", place);
        } else if (errno == EINVAL) { /* no link */
            make_directory(place);
            mount_or_die(names[i], place, NULL, MS_BIND | MS_REC, NULL);
        } else if (errno != ENOENT) {
            lab_die("look at %s", names[i]);
        }
    }
    make_directory(NEW "/sys");
    mount_or_die("/sys", NEW "/sys", NULL, MS_BIND | MS_REC, NULL);
}

/* Devices that reach nothing of the machine. */
static void make_devices(void)
{
    static const char *const names[] = {"/dev/null", "/dev/zero",    "/dev/full",
                                        "/dev/tty",  "/dev/urandom", "/dev/random"};

    mount_or_die("tmpfs", NEW "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char place[64];
        int tree = clone_tree(names[i]);
        if (tree == -1 && errno == ENOENT)
            continue;
        if (tree == -1)
            lab_die("open_tree %s", names[i]);
        snprintf(place, sizeof(place), NEW "%s", names[i]);
        lab_fd file = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (file == -1)
            lab_die("create %s", place);
        attach(tree, place);
    }
    if (symlink("/proc/self/fd", NEW "/dev/fd") == -1 || symlink("fd/0", NEW "/dev/stdin") == -1 ||
        symlink("fd/1", NEW "/dev/stdout") == -1 || symlink("fd/2", NEW "/dev/stderr") == -1)
        lab_die("make links in /dev");
    make_directory(NEW "/dev/shm");
    mount_or_die("tmpfs", NEW "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=16m");
}

/* The file systems of the machine that are written to inside belong to root inside. */
static void make_writable(unsigned base)
{
    char options[128];

    snprintf(options, sizeof(options), "mode=1777,size=128m,uid=%u,gid=%u", base, base);
    mount_or_die("tmpfs", NEW "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options);
    snprintf(options, sizeof(options), "mode=755,size=16m,uid=%u,gid=%u", base, base);
    mount_or_die("tmpfs", NEW "/run", "tmpfs", MS_NOSUID | MS_NODEV, options);
}

/* The cgroup file systems, each bound to our own group. Taken before anything is covered. */
struct hierarchies {
    int count, tree[LAB_CONTROLLERS];
    char base[LAB_CONTROLLERS][LAB_CGROUP_PATH];
};

static void attach_hierarchies(const struct hierarchies *hierarchies)
{
    char path[LAB_CGROUP_PATH + sizeof(NEW)];

    for (int i = 0; i < hierarchies->count; i++) {
        snprintf(path, sizeof(path), NEW "%s", hierarchies->base[i]);
        umount2(path, MNT_DETACH); /* EINVAL where it is a directory of a mount */
        attach(hierarchies->tree[i], path);
    }
}

/*
 * Files that are copied in, opened while their paths still lead to them.
 */

struct copies {
    int root, count;
    struct {
        int fd;
        char path[256];
    } of[PLACE_FILES + 2];
};

/* SOURCE comes from a student, whose links lead anywhere: only a file is opened, not what a link
 * names. */
static void add_copy(struct copies *copies, const char *directory, const char *name,
                     const char *source, int flags)
{
    struct stat status;
    int fd = open(source, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);

    if (fd == -1 || fstat(fd, &status) == -1)
        lab_die("open %s", source);
    if (!S_ISREG(status.st_mode))
        lab_exit(EXIT_FAILURE, "%s is not a file", source);
    snprintf(copies->of[copies->count].path, sizeof(copies->of[0].path), "%s/%.128s", directory,
             name);
    copies->of[copies->count++].fd = fd;
}

static void open_copies(const struct place *place, struct copies *copies)
{
    char self[PATH_MAX] = "", source[PATH_MAX], guard[PATH_MAX + 16];

    for (int i = 0; place->files[i]; i++) {
        snprintf(source, sizeof(source), "%s", place->files[i]);
        add_copy(copies, "", basename(source), place->files[i], O_NOFOLLOW);
    }
    if (!place->program)
        return;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) == -1)
        lab_die("/proc/self/exe");
    snprintf(guard, sizeof(guard), "%s/guard", dirname(self));
    snprintf(source, sizeof(source), "%s", place->program);
    add_copy(copies, GUARDED, basename(source), place->program, 0);
    add_copy(copies, "", basename(source), guard, 0);
    setenv("PROGRAM", strcat(strcpy(guard, FILES "/"), basename(source)), 1);
}

static void make_copies(struct copies *copies)
{
    char source[64];

    make_directory(NEW FILES);
    mount_or_die("tmpfs", NEW FILES, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m");
    lab_fd root = open(NEW FILES, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < copies->count; i++) {
        snprintf(source, sizeof(source), "/proc/self/fd/%d", copies->of[i].fd);
        if (root == -1 || lab_copy_file_in(root, copies->of[i].path, source, 0755) == -1)
            lab_die("copy %s", copies->of[i].path);
        close(copies->of[i].fd);
    }
    set_attributes(NEW FILES, MOUNT_ATTR_RDONLY);
}

/* In a mount namespace of our own: make the tree, and make it the root. */
static void build_tree(const struct place *place, const struct hierarchies *hierarchies)
{
    struct copies copies = {0};
    int layers = place->layers ? clone_tree(place->layers) : -1;

    if (place->layers && layers == -1)
        lab_die("open_tree %s", place->layers);
    open_copies(place, &copies);
    mount_or_die(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    mount_or_die("tmpfs", NEW, "tmpfs", 0, "mode=755,size=1m");
    bind_system();
    set_attributes(NEW, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
    make_writable(place->first);
    make_devices();
    /* Without one that is visible, the kernel refuses a new one in the user namespace. */
    mount_or_die("/proc", NEW "/proc", NULL, MS_BIND | (lab_rootless ? MS_REC : 0), NULL);
    attach_hierarchies(hierarchies);
    make_copies(&copies);
    if (layers != -1) {
        make_directory(NEW "/tmp/layers");
        attach(layers, NEW "/tmp/layers");
        set_attributes(NEW "/tmp/layers", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    }
    if (chdir(NEW) == -1 || syscall(SYS_pivot_root, ".", ".") == -1 ||
        umount2(".", MNT_DETACH) == -1 || chdir("/tmp") == -1)
        lab_die("pivot_root");
}

/*
 * Control groups.
 */

static void give_away(const struct lab_cgroup *group, unsigned base)
{
    static const char *const files[] = {"", "cgroup.procs", "tasks", "cgroup.threads",
                                        "cgroup.subtree_control"};

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        for (size_t j = 0; group->controllers & LAB_BIT(i) && j < sizeof(files) / sizeof(files[0]);
             j++)
            if (chown(lab_cgroup_file(group, i, files[j]), base, base) == -1 && errno != ENOENT)
                lab_die("chown %s", lab_cgroup_file(group, i, files[j]));
}

static struct lab_cgroup group_in(const struct lab_cgroup *group, const char *name)
{
    struct lab_cgroup within = *group;

    strcat(strcat(within.name, "/"), name);
    return within;
}

/* Make the two groups below GROUP. TOP is what is seen inside: where root there has the only ID of
 * the account, the kernel lets it write the limits of each group that it sees, and cgroup.kill. The
 * processes live in SHELL: on v2 a group with processes hands on no controllers, and those inside
 * make groups, too. */
static void make_groups(const struct lab_cgroup *group, struct lab_cgroup *top,
                        struct lab_cgroup *shell, struct hierarchies *hierarchies, unsigned base)
{
    struct lab_hierarchies mounts;

    /* Where they are mounted: a group of the caller's own lies deeper, and becomes the root here.
     */
    lab_hierarchies_need(&mounts, NULL);
    *top = group_in(group, "top");
    *shell = group_in(top, "shell");
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!(group->controllers & LAB_BIT(i)))
            continue;
        if (mkdir(lab_cgroup_file(top, i, ""), 0755) == -1) {
            if (errno == EEXIST) /* controllers that share a hierarchy */
                continue;
            lab_die("mkdir %s", lab_cgroup_file(top, i, ""));
        }
        if (mkdir(lab_cgroup_file(shell, i, ""), 0755) == -1)
            lab_die("mkdir %s", lab_cgroup_file(shell, i, ""));
        int tree = clone_tree(lab_cgroup_file(top, i, ""));
        if (tree == -1)
            lab_die("open_tree %s", lab_cgroup_file(top, i, ""));
        hierarchies->tree[hierarchies->count] = tree;
        strcpy(hierarchies->base[hierarchies->count++], mounts.of[i].base);
    }
    give_away(top, base);
    give_away(shell, base);
}

static void hand_on_controllers(const struct lab_cgroup *group)
{
    char word[32];

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!(group->controllers & LAB_BIT(i)) || group->where->of[i].version != 2 ||
            i == LAB_CPUACCT)
            continue;
        snprintf(word, sizeof(word), "+%s", lab_controllers[i]);
        if (lab_cgroup_write(group, i, "cgroup.subtree_control", word) == -1)
            lab_cgroup_die();
    }
}

/*
 * Inside.
 */

/* What a command gets to see: nothing of the environment of those who started the sandbox, but for
 * what is meant for it. */
static void set_environment(void)
{
    static const char *const kept[] = {"PROGRAM", "EXERCISE_MAY_RUN", "EXERCISE_WORDS", "LAB_SLOW"};
    enum { KEPT = sizeof(kept) / sizeof(kept[0]) };
    static const struct {
        const char *name, *value;
    } environment[] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"HOME", "/tmp"},
        {"LC_ALL", "C"},
        {"TMPDIR", "/tmp"},
    };
    const char *values[KEPT];

    for (int i = 0; i < KEPT; i++)
        values[i] = getenv(kept[i]);
    clearenv();
    for (int i = 0; i < KEPT; i++)
        if (values[i])
            setenv(kept[i], values[i], 1);
    for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++)
        setenv(environment[i].name, environment[i].value, 1);
}

static void attach_output(int output)
{
    lab_fd empty = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (empty == -1 || dup2(empty, STDIN_FILENO) == -1 || dup2(output, STDOUT_FILENO) == -1 ||
        dup2(output, STDERR_FILENO) == -1)
        lab_die("dup2");
}

/* The other side has done its part when it sends a byte. Where it has ended, it has printed why. */
static void tell(int channel)
{
    ssize_t count = send(channel, "", 1, MSG_NOSIGNAL);

    if (count == -1 && errno == EPIPE)
        exit(EXIT_FAILURE);
    if (count != 1)
        lab_die("write to the other side of the sandbox");
}

static void listen_to(int channel)
{
    char byte;
    ssize_t count = read(channel, &byte, 1);

    if (count == 0 || (count == -1 && errno == ECONNRESET)) /* reset: it has not read ours */
        exit(EXIT_FAILURE);
    if (count == -1)
        lab_die("read from the other side of the sandbox");
}

/* In memory that all processes of the sandbox share until one executes the command. */
static bool *has_run;

static void share_has_run(void)
{
    has_run =
        mmap(NULL, sizeof(*has_run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (has_run == MAP_FAILED)
        lab_die("mmap");
}

bool place_has_run(void)
{
    return *has_run;
}

static void note_failure(void)
{
    *has_run = false;
}

/* Hand out the file that the command has made. Status 1: it is none that can be. */
static int hand_out(int result)
{
    struct stat status;
    lab_fd made = open("/tmp/result", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (made == -1 || fstat(made, &status) == -1)
        lab_die("open what the command has made");
    if (!S_ISREG(status.st_mode) || status.st_size > RESULT_BYTES) {
        lab_warn("what the command has made is no file, or too large");
        return EXIT_FAILURE;
    }
    if (ftruncate(result, 0) == -1)
        lab_die("empty the file of --result");
    for (off_t left = status.st_size; left > 0;) {
        ssize_t count = sendfile(result, made, NULL, (size_t)left);
        if (count == 0)
            errno = EIO; /* it has become shorter */
        if (count <= 0)
            lab_die("write to the file of --result");
        left -= count;
    }
    return EXIT_SUCCESS;
}

/* Nothing of those who started the sandbox is open or in reach but OUTPUT. It needs the
 * capabilities of root inside. */
static void leave_all_but(int output)
{
    attach_output(output);
    if (close_range(STDERR_FILENO + 1, ~0U, 0) == -1)
        lab_die("close_range");
    if (lab_leave_keyring() == -1)
        lab_die("make a session keyring");
    /* A core dump may be written by a program of the machine, as its root: with a limit of 1 the
     * kernel starts none, core(5), with 0 it does, which may be all there is. */
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1}) == -1 &&
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == -1)
        lab_die("setrlimit");
    refuse_sockets_and_cores();
}

/* An ordinary user, all of whose commands have one capability, which allows nothing here. The guard
 * takes it from the program, which so does not reach by way of /proc, or trace, what has it: the
 * check's shell and the guard itself. */
static void become_ordinary(const struct place *place)
{
    const int kept = CAP_WAKE_ALARM;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    data[CAP_TO_INDEX(kept)].effective = data[CAP_TO_INDEX(kept)].permitted =
        data[CAP_TO_INDEX(kept)].inheritable = CAP_TO_MASK(kept);
    if (prctl(PR_SET_KEEPCAPS, 1) == -1)
        lab_die("PR_SET_KEEPCAPS");
    if (place->has_ids)
        become(ORDINARY_USER, ORDINARY_GROUP);
    if (syscall(SYS_capset, &header, data) == -1 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0) == -1)
        lab_die("keep CAP_WAKE_ALARM");
}

static void run_command(const struct place *place, int output)
{
    leave_all_but(output);
    if (place->user)
        become_ordinary(place);
    set_environment();
    *has_run = true;
    lab_exec(place->command); /* where that fails, note_failure() is called */
}

/* Every guard inside is asked, others ignore it. */
static void ask_guards(int signal)
{
    kill(-1, signal);
}

/* The guardian of the run waits for all that have its pipe, and so we would for ourselves, if
 * something failed outside. */
static void close_all_but(const int *kept, int count)
{
    for (unsigned next = STDERR_FILENO + 1, last; next != 0; next = last + 2) {
        last = ~0U - 1;
        for (int i = 0; i < count; i++)
            if (kept[i] >= (int)next && (unsigned)kept[i] - 1 < last)
                last = (unsigned)kept[i] - 1;
        if (last >= next && close_range(next, last, 0) == -1)
            lab_die("close_range");
    }
}

/* PID 1: reap what has lost its parent, until the command has ended. The kernel then kills the
 * rest. */
__attribute__((noreturn)) static void live(const struct place *place, int channel, int output)
{
    int wait_status = 0;

    if (atexit(note_failure) != 0)
        lab_die("atexit");
    close_all_but((const int[]){channel, output, place->result}, 3);
    listen_to(channel); /* the maps are written, and we are in the group */
    /* The mounts come from a namespace above: so they are locked. */
    if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == -1)
        lab_die("unshare CLONE_NEWCGROUP, CLONE_NEWNS");
    tell(channel);
    listen_to(channel); /* and now in the one below */
    if (sethostname(PLACE_HOST_NAME, strlen(PLACE_HOST_NAME)) == -1)
        lab_die("sethostname");
    /* As systemd has it on the machine: pivot_root fails until a program makes it private. */
    mount_or_die(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
    tell(channel);
    listen_to(channel); /* what is looked at from outside is open */
    if (place->has_ids)
        become(0, 0);
    /* What we have open leads out of here. */
    if (prctl(PR_SET_DUMPABLE, 0) == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || setsid() == -1)
        lab_die("setsid");
    sigaction(SIGURG, &(struct sigaction){.sa_handler = ask_guards, .sa_flags = SA_RESTART}, NULL);
    tell(channel);
    pid_t child = place->layers ? 0 : fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0 && !place->layers)
        run_command(place, output);
    for (pid_t ended = 0; ended != child || place->layers;)
        if ((ended = wait(&wait_status)) == -1 && errno == ECHILD)
            pause(); /* with layers it has no child, and lives until it is killed */
    int status = lab_shell_status(wait_status);
    if (status == 0 && place->result != -1)
        status = hand_out(place->result);
    _exit(status);
}

/* Lead INIT, at the other end of CHANNEL, into TOP, which becomes the root of its cgroup namespace,
 * and on into SHELL below it. */
static void lead_into_groups(const struct place *place, const struct lab_cgroup *top,
                             const struct lab_cgroup *shell, pid_t init, int channel)
{
    if (place->group && lab_cgroup_enter(top, init) == -1)
        lab_cgroup_die();
    tell(channel);
    listen_to(channel); /* its cgroup namespace has that group as its root */
    if (place->group && lab_cgroup_enter(shell, init) == -1)
        lab_cgroup_die();
    if (place->group) {
        hand_on_controllers(place->group);
        hand_on_controllers(top);
    }
    tell(channel);
    listen_to(channel);
}

/* PATH in /proc of INIT, which nothing but root of the machine can open later. */
static int open_inside(pid_t init, const char *path)
{
    char whole[64];

    snprintf(whole, sizeof(whole), "/proc/%d/%s", (int)init, path);
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        lab_die("open %s", whole);
    return fd;
}

/* A child in the namespaces of the sandbox, which belong to its user FIRST. Returns as fork(2). */
static pid_t clone_inside(uid_t first)
{
    const bool owned = lab_is_root_of_machine();

    if (owned && lab_own_namespaces_as(first) == -1)
        lab_die("become user %u, the owner of the user namespace", first);
    pid_t init =
        lab_clone(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, 0);
    if (init != 0 && owned && lab_own_namespaces_as(0) == -1)
        lab_die("become root again");
    if (init == -1)
        lab_die("clone3");
    return init;
}

/* A child in the NAMESPACES (CLONE_NEW...) of INIT, as setns(2) enters them: a PID namespace is
 * that of children alone, so there is a process between, which enters GROUP first, unless that is
 * NULL, and ends with the child's status. Returns 0 in the child, and the process between to the
 * caller.
 */
static pid_t fork_beside(pid_t init, int namespaces, const struct lab_cgroup *group)
{
    pid_t between = lab_fork();

    if (between == -1)
        lab_die("fork");
    if (between > 0)
        return between;
    if (group && lab_cgroup_enter(group, 0) == -1)
        lab_cgroup_die();
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, init, 0);
    if (pidfd == -1 || setns(pidfd, namespaces) == -1)
        lab_die("enter the sandbox");
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child > 0)
        _exit(lab_must_wait(child));
    return 0;
}

/* Mount the /proc of INIT in our tree, by a process in its PID namespace. Root inside would take
 * away one that it has mounted itself, and see the one below. */
static void mount_proc(pid_t init)
{
    pid_t child = fork_beside(init, CLONE_NEWPID, NULL);

    if (child == 0) {
        mount_or_die("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        _exit(EXIT_SUCCESS);
    }
    if (lab_must_wait(child) != 0)
        exit(EXIT_FAILURE); /* it has said why, unless it was killed */
}

pid_t place_start(struct place *place, int output)
{
    struct hierarchies hierarchies = {0};
    struct lab_cgroup top, shell;
    int channel[2];
    lab_fd home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    lab_fd directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (home == -1 || directory == -1 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        lab_die("open what the sandbox needs");
    share_has_run();
    choose_numbers(place);
    if (place->group)
        make_groups(place->group, &top, &shell, &hierarchies, place->first);
    if (unshare(CLONE_NEWNS) == -1)
        lab_die_remedy("it needs root on the machine itself, or in a virtual machine",
                       "a mount namespace");
    build_tree(place, &hierarchies);
    pid_t init = clone_inside(place->first);
    if (init == 0) {
        close(channel[0]);
        live(place, channel[1], output);
    }
    close(channel[1]);
    mount_proc(init);
    if (setns(home, CLONE_NEWNS) == -1 || fchdir(directory) == -1)
        lab_die("return to the machine's mounts");
    if (map_numbers(place, init) == -1)
        lab_die("map the IDs of process %d to %u and up", (int)init, place->first);
    lead_into_groups(place, &top, &shell, init, channel[0]);
    place->host_name = open_inside(init, "ns/uts");
    place->processes = open_inside(init, "root/proc");
    tell(channel[0]);
    listen_to(channel[0]);
    close(channel[0]);
    return init;
}

pid_t place_read_layers(const struct place *place, pid_t init, int output)
{
    const struct lab_cgroup top = group_in(place->group, "top"), shell = group_in(&top, "shell");
    pid_t child = fork_beside(init,
                              CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
                                  CLONE_NEWNET | CLONE_NEWCGROUP,
                              &shell);
    if (child > 0)
        return child;
    if (chdir("/tmp/layers") == -1)
        lab_die("chdir /tmp/layers");
    leave_all_but(output);
    set_environment();
    execute_only(place->command[0]);
    allow_reading_only(place->first);
    *has_run = true; /* this command is the program, and its fault if it cannot be executed */
    lab_exec(place->command);
}
