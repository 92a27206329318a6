#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "number.h"

enum { PATH_SIZE = LAB_CGROUP_PATH + LAB_CGROUP_NAME + 64 };

/* Put on container-labs: the controllers that were enabled for its sake (trusted attributes are
 * root's alone, xattr(7)). It lives exactly as long as there is something to take back. */
static const char ENABLED[] = "trusted.container-labs.enabled";

/* What was tried last, for lab_cgroup_die(). */
static struct {
    char what[PATH_SIZE + 128];
    char file[64]; /* written to or read; "" for a directory */
    int error;
} last;

/* Note that WHAT was tried on PATH, and failed with errno. Returns -1. */
static int failed(const char *what, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat status;

    last.error = errno;
    bool is_directory = strcmp(what, "mkdir") == 0 || strcmp(what, "rmdir") == 0 ||
                        (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
    snprintf(last.what, sizeof(last.what), "%s %s", what, path);
    snprintf(last.file, sizeof(last.file), "%s", slash && !is_directory ? slash + 1 : "");
    errno = last.error;
    return -1;
}

/*
 * Paths and files.
 */

int lab_cgroup_version(const struct lab_cgroup *group, enum lab_controller controller)
{
    return group->where->of[controller].version;
}

const char *lab_cgroup_file(const struct lab_cgroup *group, enum lab_controller controller,
                            const char *file)
{
    static char paths[4][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, PATH_SIZE, "%s/%s%s%s", group->where->of[controller].base, group->name,
             *file ? "/" : "", file);
    return path;
}

/* Whether CONTROLLER is the first of GROUP's controllers in its hierarchy: so that a hierarchy that
 * several of them share is dealt with once. */
static bool is_first(const struct lab_cgroup *group, enum lab_controller controller)
{
    if (!(group->controllers & LAB_BIT(controller)))
        return false;
    for (enum lab_controller i = 0; i < controller; i++)
        if ((group->controllers & LAB_BIT(i)) &&
            strcmp(group->where->of[i].base, group->where->of[controller].base) == 0)
            return false;
    return true;
}

/* Open a file that must be on a cgroup file system: on the tmpfs of a v1 machine a file of the same
 * name may lie about, and it would take every write. */
static int open_checked(const struct lab_hierarchies *where, const char *path, int flags)
{
    struct statfs status;
    int fd = open(path, flags | O_CLOEXEC);

    if (fd == -1 || where->recorded)
        return fd;
    if (fstatfs(fd, &status) == 0 &&
        (status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC))
        return fd;
    close(fd);
    errno = ENODEV;
    return -1;
}

static int write_path(const struct lab_hierarchies *where, const char *path, const char *text)
{
    char what[96];
    lab_fd fd = open_checked(where, path, O_WRONLY);

    if (fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
        return 0;
    snprintf(what, sizeof(what), "write '%s' to", text);
    return failed(what, path);
}

int lab_cgroup_write(const struct lab_cgroup *group, enum lab_controller controller,
                     const char *file, const char *text)
{
    return write_path(group->where, lab_cgroup_file(group, controller, file), text);
}

int lab_cgroup_read(const struct lab_cgroup *group, enum lab_controller controller,
                    const char *file, char *buffer, size_t size)
{
    const char *path = lab_cgroup_file(group, controller, file);

    return lab_read_file(path, buffer, size) == -1 ? failed("read", path) : 0;
}

bool lab_cgroup_parse_number(const char *text, const char *key, long long *number)
{
    char word[32];
    size_t length = key ? strlen(key) : 0;

    while (key && (strncmp(text, key, length) != 0 || text[length] != ' ')) {
        text = lab_next_line(text);
        if (!text)
            return false;
    }
    text += key ? length + 1 : 0;
    size_t digits = strcspn(text, "\n");
    if (digits >= sizeof(word))
        return false;
    snprintf(word, sizeof(word), "%.*s", (int)digits, text);
    *number = LAB_UNLIMITED;
    return strcmp(word, "max") == 0 || lab_parse_number(word, INT64_MIN, INT64_MAX, number);
}

int lab_cgroup_number(const struct lab_cgroup *group, enum lab_controller controller,
                      const char *file, const char *key, long long *number)
{
    char text[8192];

    if (lab_cgroup_read(group, controller, file, text, sizeof(text)) == -1)
        return -1;
    if (lab_cgroup_parse_number(text, key, number))
        return 0;
    errno = EBADMSG;
    return failed("find a number in", lab_cgroup_file(group, controller, file));
}

/*
 * Making groups.
 */

/* Whether the group at DIRECTORY, on v2, has processes of its own and is not the root: then it must
 * not hand on controllers. With +memory the kernel says EBUSY itself; with +cpu it would go on and
 * silently make a threaded group of it, whose children take no process (EOPNOTSUPP). */
static bool must_not_hand_on(const char *directory)
{
    char path[PATH_SIZE + 32], pid[16];

    snprintf(path, sizeof(path), "%s/cgroup.type", directory);
    if (access(path, F_OK) == -1)
        return false;
    snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
    /* A threaded group cannot be read (EOPNOTSUPP): what it refuses it says itself. */
    ssize_t length = lab_read_file(path, pid, sizeof(pid));
    return length > 0 || (length == -1 && errno == EFBIG);
}

/* v2: let the children of DIRECTORY have the controllers of GROUP. Those that were not enabled
 * before are added to ENABLED_NOW, with blanks between. */
static int hand_on(const struct lab_cgroup *group, const char *directory, char *enabled_now,
                   size_t size)
{
    char path[PATH_SIZE + 32], present[256];

    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", directory);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        char words[258], wanted[32];
        /* The usage of v2's cpu.stat is there without any controller. */
        if (!(group->controllers & LAB_BIT(i)) || lab_cgroup_version(group, i) != 2 ||
            i == LAB_CPUACCT)
            continue;
        if (lab_read_file(path, present, sizeof(present)) == -1)
            return failed("read", path);
        snprintf(words, sizeof(words), " %s ", present);
        snprintf(wanted, sizeof(wanted), " %s ", lab_controller_name(i));
        if (strstr(words, wanted))
            continue;
        wanted[0] = '+';
        wanted[strlen(wanted) - 1] = '\0';
        if (must_not_hand_on(directory)) {
            char what[64];
            snprintf(what, sizeof(what), "write '%s' to", wanted);
            errno = EBUSY;
            return failed(what, path);
        }
        if (write_path(group->where, path, wanted) == -1)
            return -1;
        size_t length = strlen(enabled_now);
        snprintf(enabled_now + length, size - length, "%s%s", length ? " " : "", wanted + 1);
    }
    return 0;
}

/* Remove container-labs below BASE if it is empty, and take back what was enabled for it. */
static void remove_parent(const char *base)
{
    char parent[PATH_SIZE], control[PATH_SIZE], enabled[64] = "", *rest = NULL;

    snprintf(parent, sizeof(parent), "%s/" LAB_CGROUP_PARENT, base);
    snprintf(control, sizeof(control), "%s/cgroup.subtree_control", base);
    ssize_t length = getxattr(parent, ENABLED, enabled, sizeof(enabled) - 1);
    enabled[length > 0 ? length : 0] = '\0';
    if (rmdir(parent) == -1)
        return;
    for (char *name = strtok_r(enabled, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        char word[66];
        /* Refused with EBUSY where somebody else has come to need it since, as it should be. */
        snprintf(word, sizeof(word), "-%s", name);
        lab_write_file(control, word);
    }
}

/* Make the directory of GROUP in the hierarchy of CONTROLLER, and container-labs before it. */
static int make_run_directory(const struct lab_cgroup *group, enum lab_controller controller)
{
    char parent[PATH_SIZE], enabled[64] = "", further[64] = "";
    const char *base = group->where->of[controller].base;
    const char *directory = lab_cgroup_file(group, controller, "");

    snprintf(parent, sizeof(parent), "%s/" LAB_CGROUP_PARENT, base);
    if (mkdir(parent, 0755) == -1 && errno != EEXIST)
        return failed("mkdir", parent);
    if (lab_cgroup_version(group, controller) == 2) {
        int result = hand_on(group, base, enabled, sizeof(enabled));
        if (*enabled)
            setxattr(parent, ENABLED, enabled, strlen(enabled), 0); /* else it stays enabled */
        if (result == -1 || hand_on(group, parent, further, sizeof(further)) == -1)
            return -1;
    }
    return mkdir(directory, 0755) == -1 ? failed("mkdir", directory) : 0;
}

static int find_controllers(const struct lab_cgroup *group)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if ((group->controllers & LAB_BIT(i)) && !group->where->of[i].version) {
            errno = group->where->outside ? EXDEV : ENODEV;
            return failed("find the controller", lab_controller_name(i));
        }
    }
    return 0;
}

/* Make the directories of GROUP, in all of its hierarchies or in none. */
static int make_run_directories(const struct lab_cgroup *group)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!is_first(group, i) || make_run_directory(group, i) == 0)
            continue;
        int error = errno;
        for (enum lab_controller made = 0; made <= i; made++) {
            if (made < i && is_first(group, made))
                rmdir(lab_cgroup_file(group, made, ""));
            if (is_first(group, made))
                remove_parent(group->where->of[made].base);
        }
        errno = error;
        return -1;
    }
    return 0;
}

int lab_cgroup_create_run(struct lab_cgroup *group, const struct lab_hierarchies *where,
                          const char *name, unsigned controllers)
{
    enum { ATTEMPTS = 10 };
    int result = -1;

    *group = (struct lab_cgroup){.where = where, .controllers = controllers};
    snprintf(group->name, sizeof(group->name), LAB_CGROUP_PARENT "/%s", name);
    if (find_controllers(group) == -1)
        return -1;
    /* A run in a container that has a /run of its own may remove container-labs at this moment. */
    for (int attempt = 0; attempt < ATTEMPTS && result == -1; attempt++) {
        result = make_run_directories(group);
        if (result == -1 && errno != ENOENT)
            break;
    }
    return result;
}

int lab_cgroup_create_in(struct lab_cgroup *child, const struct lab_cgroup *parent,
                         const char *name)
{
    char enabled[64] = "";

    *child = *parent;
    int length = snprintf(child->name, sizeof(child->name), "%s/%s", parent->name, name);
    if (length >= (int)sizeof(child->name)) {
        errno = ENAMETOOLONG;
        return failed("mkdir", name);
    }
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!is_first(child, i))
            continue;
        const char *directory = lab_cgroup_file(child, i, "");
        if (lab_cgroup_version(child, i) == 2 &&
            hand_on(child, lab_cgroup_file(parent, i, ""), enabled, sizeof(enabled)) == -1)
            return -1;
        if (mkdir(directory, 0755) == -1)
            return failed("mkdir", directory);
    }
    return 0;
}

/*
 * Limits.
 */

bool lab_cgroup_parse_cpu_max(const char *text, long long *quota, long long *period)
{
    char first[32], second[32];
    int used = 0;

    if (sscanf(text, "%31s %31s%n", first, second, &used) != 2 || text[used] != '\0')
        return false;
    return lab_cgroup_parse_number(first, NULL, quota) &&
           lab_parse_number(second, 1, INT64_MAX, period);
}

/* The limit of GROUP, read back. */
static int cpu_limit(const struct lab_cgroup *group, long long *quota, long long *period)
{
    char text[64];

    if (lab_cgroup_version(group, LAB_CPU) == 1)
        return lab_cgroup_number(group, LAB_CPU, "cpu.cfs_quota_us", NULL, quota) == -1 ||
                       lab_cgroup_number(group, LAB_CPU, "cpu.cfs_period_us", NULL, period) == -1
                   ? -1
                   : 0;
    if (lab_cgroup_read(group, LAB_CPU, "cpu.max", text, sizeof(text)) == -1)
        return -1;
    if (lab_cgroup_parse_cpu_max(text, quota, period))
        return 0;
    errno = EBADMSG;
    return failed("find a limit in", lab_cgroup_file(group, LAB_CPU, "cpu.max"));
}

double lab_cgroup_cpu_ceiling(const struct lab_hierarchies *where, pid_t pid)
{
    const struct lab_hierarchy *place = &where->of[LAB_CPU];
    struct lab_cgroup group = {.where = where};
    char path[64], groups[8192], own_path[LAB_CGROUP_PATH], directory[LAB_CGROUP_PATH * 2];
    double ceiling = 0;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (lab_read_file(path, groups, sizeof(groups)) == -1 ||
        !lab_cgroup_path_in(groups, place->version, LAB_CPU, own_path, sizeof(own_path)) ||
        !lab_cgroup_directory(place, own_path, directory, sizeof(directory)))
        return 0;
    const char *below = directory + strlen(place->base);
    for (int length = (int)strlen(below); length >= 0; length--) {
        long long quota, period;
        if (below[length] != '/' && below[length] != '\0' && length > 0)
            continue;
        if (snprintf(group.name, sizeof(group.name), "%.*s", length, below) >=
                (int)sizeof(group.name) ||
            cpu_limit(&group, &quota, &period) == -1 || quota == LAB_UNLIMITED)
            continue; /* the root of v2 has no limit, and no file for one */
        double percent = 100.0 * (double)quota / (double)period;
        if (ceiling == 0 || percent < ceiling)
            ceiling = percent;
    }
    return ceiling;
}

static int write_number(const struct lab_cgroup *group, enum lab_controller controller,
                        const char *file, long long number)
{
    char text[32] = "max";

    if (number != LAB_UNLIMITED || lab_cgroup_version(group, controller) == 1)
        snprintf(text, sizeof(text), "%lld", number);
    return lab_cgroup_write(group, controller, file, text);
}

/* The quota and the period are two files in v1, and the kernel checks after each write that the
 * group gets no more than its parent: without a quota in between, no combination can be refused
 * that would be right in the end. */
static int write_limit_v1(const struct lab_cgroup *group, long long quota, long long period)
{
    long long old_quota, old_period;

    if (cpu_limit(group, &old_quota, &old_period) == -1)
        return -1;
    if (old_period != period) {
        if (old_quota != LAB_UNLIMITED &&
            write_number(group, LAB_CPU, "cpu.cfs_quota_us", LAB_UNLIMITED) == -1)
            return -1;
        if (write_number(group, LAB_CPU, "cpu.cfs_period_us", period) == -1)
            return -1;
    }
    return write_number(group, LAB_CPU, "cpu.cfs_quota_us", quota);
}

int lab_cgroup_set_cpu_limit(const struct lab_cgroup *group, long long quota, long long period)
{
    char text[64];
    long long new_quota, new_period;
    int result;

    if (lab_cgroup_version(group, LAB_CPU) == 1) {
        result = write_limit_v1(group, quota, period);
    } else {
        if (quota == LAB_UNLIMITED)
            snprintf(text, sizeof(text), "max %lld", period);
        else
            snprintf(text, sizeof(text), "%lld %lld", quota, period);
        result = lab_cgroup_write(group, LAB_CPU, "cpu.max", text);
    }
    if (result == -1 || cpu_limit(group, &new_quota, &new_period) == -1)
        return -1;
    if (new_quota == quota && new_period == period)
        return 0;
    errno = EIO;
    return failed("read back the limit of", lab_cgroup_file(group, LAB_CPU, ""));
}

/* What is in force: bytes, or LAB_UNLIMITED. */
static int memory_limit(const struct lab_cgroup *group, long long *bytes)
{
    if (lab_cgroup_version(group, LAB_MEMORY) == 2)
        return lab_cgroup_number(group, LAB_MEMORY, "memory.max", NULL, bytes);
    if (lab_cgroup_number(group, LAB_MEMORY, "memory.limit_in_bytes", NULL, bytes) == -1)
        return -1;
    /* v1 writes "no limit" as the largest number of whole pages. */
    if (*bytes > INT64_MAX - (1 << 20))
        *bytes = LAB_UNLIMITED;
    return 0;
}

int lab_cgroup_set_memory(const struct lab_cgroup *group, long long bytes)
{
    bool v2 = lab_cgroup_version(group, LAB_MEMORY) == 2;
    const char *swap = v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
    bool has_swap = access(lab_cgroup_file(group, LAB_MEMORY, swap), F_OK) == 0;
    long long limit;

    if (write_number(group, LAB_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes", bytes) == -1)
        return -1;
    /* v1 counts memory and swap together, v2 swap alone. */
    if (has_swap && write_number(group, LAB_MEMORY, swap, v2 && bytes >= 0 ? 0 : bytes) == -1)
        return -1;
    if (memory_limit(group, &limit) == -1)
        return -1;
    if (limit == bytes || (limit <= bytes && limit > bytes - sysconf(_SC_PAGESIZE)))
        return 0;
    errno = EIO;
    return failed("read back the memory limit of", lab_cgroup_file(group, LAB_MEMORY, ""));
}

int lab_cgroup_set_pids(const struct lab_cgroup *group, long long count)
{
    char text[32] = "max";
    long long limit;

    if (count != LAB_UNLIMITED)
        snprintf(text, sizeof(text), "%lld", count);
    if (lab_cgroup_write(group, LAB_PIDS, "pids.max", text) == -1 ||
        lab_cgroup_number(group, LAB_PIDS, "pids.max", NULL, &limit) == -1)
        return -1;
    if (limit == count)
        return 0;
    errno = EIO;
    return failed("read back", lab_cgroup_file(group, LAB_PIDS, "pids.max"));
}

/*
 * Processes.
 */

int lab_cgroup_enter(const struct lab_cgroup *group, pid_t pid)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", (int)pid);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (is_first(group, i) && lab_cgroup_write(group, i, "cgroup.procs", text) == -1)
            return -1;
    return 0;
}

/* The processes that cgroup.procs of DIRECTORY names, up to COUNT of them. -1 with errno. */
static int read_processes(const char *directory, pid_t *pids, int count)
{
    char path[PATH_SIZE + 32];
    int pid, found = 0;

    snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    for (; fscanf(file, "%d", &pid) == 1; found++)
        if (found < count)
            pids[found] = pid;
    fclose(file);
    return found;
}

int lab_cgroup_processes(const struct lab_cgroup *group, pid_t *pids, int count)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (is_first(group, i))
            return read_processes(lab_cgroup_file(group, i, ""), pids, count);
    return 0;
}

static void wait_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Kill the processes in DIRECTORY until there are none. They are waited for by their pidfds: a dead
 * process whose parent has not asked for its status yet does not count any more. */
static int kill_processes(const char *directory)
{
    enum { AT_ONCE = 256, ROUNDS = 1000 };
    char path[PATH_SIZE + 32];
    pid_t pids[AT_ONCE];

    snprintf(path, sizeof(path), "%s/cgroup.kill", directory);
    lab_write_file(path, "1"); /* Linux 5.14; where it is missing, one by one does it too */
    for (int round = 0; round < ROUNDS; round++) {
        int count = read_processes(directory, pids, AT_ONCE);
        if (count <= 0)
            return count == 0 || errno == ENOENT ? 0 : failed("read processes of", directory);
        for (int i = 0; i < count && i < AT_ONCE; i++) {
            /* 0 is a process outside of our PID namespace. */
            lab_fd pidfd = pids[i] > 0 ? (int)syscall(SYS_pidfd_open, pids[i], 0) : -1;
            if (pidfd == -1)
                continue;
            syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
            poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 1000);
        }
        if (round > 0)
            wait_a_moment();
    }
    errno = EBUSY;
    return failed("kill the processes of", directory);
}

/* Call EACH for the groups below DIRECTORY, and for DIRECTORY last. Returns 0, or -1 as soon as one
 * fails. A directory that is not there is fine. However deep they are nested, no path is too long:
 * each begins at the descriptor of the group above. */
static int walk_up(const char *directory, int (*each)(const char *directory))
{
    DIR *listed = opendir(directory);
    const struct dirent *entry;
    int result = 0;

    if (!listed)
        return errno == ENOENT ? 0 : failed("open", directory);
    while (result == 0 && (entry = readdir(listed)) != NULL) {
        char path[64 + sizeof(entry->d_name)];
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd(listed), entry->d_name);
        result = walk_up(path, each);
    }
    closedir(listed);
    return result == 0 ? each(directory) : -1;
}

static int for_each_directory(const struct lab_cgroup *group, int (*each)(const char *directory))
{
    int result = 0;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (is_first(group, i) && walk_up(lab_cgroup_file(group, i, ""), each) == -1)
            result = -1;
    return result;
}

int lab_cgroup_kill(const struct lab_cgroup *group)
{
    return for_each_directory(group, kill_processes);
}

/* A process that has just died can still count for an instant, and there is no event in v1 to wait
 * for: so a group that is busy is tried again, for a second at most. */
static int remove_directory(const char *directory)
{
    enum { ATTEMPTS = 1000 };

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (rmdir(directory) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            break;
        wait_a_moment();
    }
    return failed("rmdir", directory);
}

int lab_cgroup_remove(const struct lab_cgroup *group)
{
    return for_each_directory(group, remove_directory);
}

/*
 * Processes that are only lent to a group.
 */

int lab_cgroup_origin(const struct lab_cgroup *group, pid_t pid, char *text, size_t size)
{
    char path[64], groups[8192], own_path[LAB_CGROUP_PATH], directory[LAB_CGROUP_PATH * 2];
    size_t length = 0;

    if (find_controllers(group) == -1)
        return -1;
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (lab_read_file(path, groups, sizeof(groups)) == -1) {
        errno = errno == ENOENT ? ESRCH : errno;
        return failed("read", path);
    }
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const struct lab_hierarchy *place = &group->where->of[i];
        if (!is_first(group, i))
            continue;
        if (!lab_cgroup_path_in(groups, place->version, i, own_path, sizeof(own_path)) ||
            !lab_cgroup_directory(place, own_path, directory, sizeof(directory))) {
            errno = ENOTSUP;
            return failed("find the group named in", path);
        }
        /* It would not come back: to whom it belongs, that run alone knows. */
        if (strstr(own_path, "/" LAB_CGROUP_PARENT "/")) {
            errno = EALREADY;
            return failed("take a process out of", directory);
        }
        int added =
            snprintf(text + length, size - length, "%s %s\n", lab_controller_name(i), directory);
        if ((size_t)added >= size - length) {
            errno = ENAMETOOLONG;
            return failed("note the groups of", path);
        }
        length += (size_t)added;
    }
    return 0;
}

/* Move all processes of the group at FROM to the group at TO, or above TO, but not above BASE. */
static int move_processes(const struct lab_hierarchies *where, const char *from, char *to,
                          const char *base)
{
    enum { AT_ONCE = 256, ROUNDS = 100 };
    pid_t pids[AT_ONCE];
    char path[PATH_SIZE * 2], text[16];
    int count = 0;

    while ((access(to, F_OK) == -1 || strcmp(strrchr(to, '/'), "/" LAB_CGROUP_PARENT) == 0) &&
           strlen(to) > strlen(base))
        *strrchr(to, '/') = '\0';
    snprintf(path, sizeof(path), "%s/cgroup.procs", to);
    for (int round = 0; round < ROUNDS; round++) {
        int result = 0;
        count = read_processes(from, pids, AT_ONCE);
        if (count <= 0)
            break;
        for (int i = 0; i < count && i < AT_ONCE; i++) {
            snprintf(text, sizeof(text), "%d", (int)pids[i]);
            if (write_path(where, path, text) == -1 && errno != ESRCH)
                result = -1;
        }
        if (result == -1)
            return -1;
    }
    return count > 0 ? failed("move processes out of", from) : 0;
}

/* Move every process of GROUP to the directories of ORIGIN, or the nearest group above. */
static int give_back(const struct lab_cgroup *group, const char *origin)
{
    int result = 0;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const char *name = lab_controller_name(i), *base = group->where->of[i].base;
        char to[PATH_SIZE];
        snprintf(to, sizeof(to), "%s", base);
        /* Without a record, the root of the hierarchy is the one group that holds nobody back. */
        for (const char *line = origin; line; line = lab_next_line(line))
            if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ')
                snprintf(to, sizeof(to), "%.*s", (int)strcspn(line + strlen(name) + 1, "\n"),
                         line + strlen(name) + 1);
        if (is_first(group, i) &&
            move_processes(group->where, lab_cgroup_file(group, i, ""), to, base) == -1)
            result = -1;
    }
    return result;
}

int lab_cgroup_remove_run(const char *name, const char *origin)
{
    struct lab_hierarchies where;
    struct lab_cgroup group = {.where = &where};

    if (lab_hierarchies_find(&where) == -1)
        return failed("read", "/proc/self/mountinfo");
    snprintf(group.name, sizeof(group.name), LAB_CGROUP_PARENT "/%s", name);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (where.of[i].version && access(lab_cgroup_file(&group, i, ""), F_OK) == 0)
            group.controllers |= LAB_BIT(i);
    if (*origin && give_back(&group, origin) == -1)
        return -1;
    int result = lab_cgroup_kill(&group) == -1 || lab_cgroup_remove(&group) == -1 ? -1 : 0;
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (where.of[i].version)
            remove_parent(where.of[i].base);
    return result;
}

/*
 * What went wrong, and what to do about it.
 */

static const struct {
    const char *file; /* "": a directory; a prefix of the file's name */
    int error;
    const char *remedy;
} REMEDIES[] = {
    {"", EEXIST,
     "a group of this name exists (end what made it, or remove it with rmdir), or a file of "
     "the kernel's"},
    {"", EALREADY, "it is a group of another run of the labs: let that one end first"},
    {"", EAGAIN, "cgroup.max.descendants or cgroup.max.depth of a group above allows no more"},
    {"cgroup.subtree_control", EBUSY,
     "a group of v2 with processes of its own hands on no controllers: move them into a child "
     "group first (in a container: run the lab on the machine itself)"},
    {"cgroup.subtree_control", EINVAL,
     "with realtime threads outside the root group the kernel enables no cpu controller "
     "(CONFIG_RT_GROUP_SCHED): end them, or move them to the root group"},
    {"cgroup.subtree_control", EOPNOTSUPP,
     "the group is threaded, see its cgroup.type: such a group can host no processes and no "
     "memory limit; start from a group of type domain"},
    {"cgroup.subtree_control", ENOENT,
     "the group above does not hand this controller on: enable it there first"},
    {"cgroup.procs", ESRCH, "there is no such process (any more)"},
    {"cgroup.procs", EINVAL,
     "a realtime process enters no group without a realtime budget, and a kernel thread none at "
     "all (for the first: chrt --other --pid 0 PID)"},
    {"cgroup.procs", EOPNOTSUPP,
     "the group is beside or below a threaded one, see its cgroup.type: use another parent"},
    {"cgroup.procs", EBUSY, "the group hands on controllers, so it takes no processes itself"},
    {"cpu.cfs_quota_us", EINVAL,
     "less than 1000 us, or more than the parent allows (its quota and period)"},
    {"cpu.max", EINVAL, "a quota is 1000 us or more, a period 1000 to 1000000 us"},
    {"memory.", EBUSY, "the group uses more than that already"},
};

/* What can be done about ERROR, met at a write to FILE (its last name) or with a directory (""). */
static const char *remedy_for(int error, const char *file)
{
    if (error == EROFS)
        return "the cgroup file system is read-only, as in a container: run the lab on the machine "
               "itself";
    if (error == EACCES || error == EPERM)
        return "only root may: try sudo (in a container even root may not)";
    if (error == ENODEV && *file)
        return "that file is on no cgroup file system: something is mounted over it";
    if (error == ENODEV)
        return "no hierarchy of this machine has it: look at /proc/self/mountinfo and the "
               "cgroup.controllers of v2, and mount one (mount -t cgroup -o cpu,cpuacct ...)";
    if (error == EXDEV)
        return "the cgroup file system was mounted outside of this cgroup namespace: mount it "
               "again in "
               "here, or leave the namespace";
    if (error == ENOENT && strncmp(file, "cgroup.", 7) != 0)
        return "the kernel was built without this, or the group has gone";
    for (size_t i = 0; i < sizeof(REMEDIES) / sizeof(REMEDIES[0]); i++) {
        size_t length = strlen(REMEDIES[i].file);
        if (REMEDIES[i].error == error && (length > 0) == (*file != '\0') &&
            strncmp(file, REMEDIES[i].file, length) == 0)
            return REMEDIES[i].remedy;
    }
    return "nothing was changed";
}

const char *lab_cgroup_remedy(const char *path, int error)
{
    struct stat status;
    const char *slash = strrchr(path, '/');

    if (stat(path, &status) == 0 ? S_ISDIR(status.st_mode) : !strchr(slash ? slash : path, '.'))
        return remedy_for(error, "");
    return remedy_for(error, slash ? slash + 1 : path);
}

void lab_cgroup_die(void)
{
    const char *remedy = remedy_for(last.error, last.file);
    bool machine = last.error == EROFS || last.error == ENODEV || last.error == EXDEV ||
                   strcmp(last.file, "cgroup.subtree_control") == 0;

    if (machine) {
        char missing[sizeof(last.what) + 128];
        snprintf(missing, sizeof(missing), "%s: %s", last.what, lab_strerror(last.error));
        lab_cannot_run(missing, remedy);
    }
    errno = last.error;
    lab_die_remedy(remedy, "%s", last.what);
}
