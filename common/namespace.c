#include "namespace.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"

const struct lab_namespace lab_namespaces[LAB_NAMESPACES] = {
    {"user", "user", 'U', CLONE_NEWUSER, "CLONE_NEWUSER", "user"},
    {"cgroup", "cgroup", 'C', CLONE_NEWCGROUP, "CLONE_NEWCGROUP", "cgroup"},
    {"ipc", "ipc", 'i', CLONE_NEWIPC, "CLONE_NEWIPC", "ipc"},
    {"uts", "uts", 'u', CLONE_NEWUTS, "CLONE_NEWUTS", "uts"},
    {"net", "net", 'n', CLONE_NEWNET, "CLONE_NEWNET", "net"},
    {"pid", "pid", 'p', CLONE_NEWPID, "CLONE_NEWPID", "pid_for_children"},
    {"time", "time", 'T', CLONE_NEWTIME, "CLONE_NEWTIME", "time_for_children"},
    {"mnt", "mount", 'm', CLONE_NEWNS, "CLONE_NEWNS", "mnt"},
};

int lab_map_ids(pid_t pid, uid_t first, unsigned count)
{
    char path[64], map[64];

    snprintf(map, sizeof(map), "0 %u %u", first, count);
    for (const char *kind = "ug"; *kind; kind++) {
        snprintf(path, sizeof(path), "/proc/%d/%cid_map", (int)pid, *kind);
        if (lab_write_file(path, map) == -1)
            return -1;
    }
    return 0;
}

int lab_map_same_ids(pid_t pid, unsigned end)
{
    char path[64], own[4096], map[sizeof(own)]; /* the kernel takes no more */
    unsigned first, count;

    for (const char *kind = "ug"; *kind; kind++) {
        size_t length = 0;
        snprintf(path, sizeof(path), "/proc/self/%cid_map", *kind);
        if (lab_read_file(path, own, sizeof(own)) == -1)
            return -1;
        for (const char *line = own; line; line = lab_next_line(line))
            if (sscanf(line, "%u %*u %u", &first, &count) == 2 && first < end)
                length += (size_t)snprintf(map + length, sizeof(map) - length, "%u %u %u\n", first,
                                           first, count < end - first ? count : end - first);
        snprintf(path, sizeof(path), "/proc/%d/%cid_map", (int)pid, *kind);
        if (lab_write_file(path, length ? map : "") == -1)
            return -1;
    }
    return 0;
}

int lab_own_namespaces_as(uid_t user)
{
    if (user != 0 && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == -1)
        return -1;
    if (setresuid((uid_t)-1, user, (uid_t)-1) == -1)
        return -1;
    return user == 0 ? prctl(PR_SET_SECUREBITS, 0) : 0;
}

ino_t lab_namespace_inode(pid_t pid, const char *file)
{
    char path[64];
    struct stat status;

    if (pid == 0)
        snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
    else
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, file);
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

const char *lab_unique_pid(void)
{
    static char text[32];
    const ino_t inode = lab_namespace_inode(0, "pid");

    if (inode == 0)
        lab_die("look at /proc/self/ns/pid");
    if ((int)inode == LAB_INITIAL_PID)
        snprintf(text, sizeof(text), "%d", (int)getpid());
    else
        snprintf(text, sizeof(text), "%d.%lu", (int)getpid(), (unsigned long)inode);
    return text;
}

/* The first number from FIRST on that MAP, in the form of /proc/self/uid_map, does not have. */
static unsigned long end_of_range(const char *map, unsigned long first)
{
    unsigned long inside, count;

    for (const char *line = map; line;) {
        if (sscanf(line, "%lu %*u %lu", &inside, &count) == 2 && inside <= first &&
            first - inside < count) {
            first = inside + count;
            line = map;
        } else {
            line = lab_next_line(line);
        }
    }
    return first;
}

/* The map, of users or of groups, that does not have all of the COUNT numbers from FIRST on, and in
 * *END the first that is not there; NULL: both have all. */
static const char *map_without(unsigned first, unsigned count, unsigned long *end)
{
    static const char *const maps[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
    char map[8192];

    for (size_t i = 0; i < LAB_COUNT(maps); i++) {
        if (lab_read_file(maps[i], map, sizeof(map)) == -1)
            lab_die("read %s", maps[i]);
        *end = end_of_range(map, first);
        if (*end < (unsigned long)first + count)
            return maps[i];
    }
    return NULL;
}

int lab_leave_keyring(void)
{
    const long result = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

    return result == -1 && errno != ENOSYS ? -1 : 0;
}

bool lab_is_root_of_machine(void)
{
    struct stat status;

    if (stat("/proc/sys/kernel", &status) == -1)
        lab_die("look at /proc/sys/kernel");
    return status.st_uid == 0;
}

unsigned lab_choose_ids(unsigned first, unsigned *count)
{
    unsigned long end;

    if (map_without(first, 1, &end))
        first = 0;
    if (count && first == 0 && lab_is_root_of_machine())
        lab_cannot_run("user 0 is the machine's root here, and a container has no other ID",
                       "leave this user namespace, or make one with more users and groups");
    while (count && *count > 1 && map_without(first, *count, &end))
        *count = end > first ? (unsigned)end - first : 1;
    return first;
}

const char *lab_namespaces_differing(pid_t a, pid_t b)
{
    static char names[64];
    size_t length = 0;

    *names = '\0';
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *name = lab_namespaces[i].name;
        ino_t of_a = lab_namespace_inode(a, name), of_b = lab_namespace_inode(b, name);
        if (of_a == 0 || of_b == 0)
            lab_die("look at the %s namespaces of the processes %d and %d", name, (int)a, (int)b);
        if (of_a != of_b)
            length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                       length ? " " : "", name);
    }
    return names;
}

void lab_show_namespaces(int columns, ...)
{
    pid_t pids[8];
    va_list values;

    printf("    %-6s", "");
    va_start(values, columns);
    for (int column = 0; column < columns && column < 8; column++) {
        printf("  %11s", va_arg(values, const char *));
        pids[column] = va_arg(values, pid_t);
    }
    va_end(values);
    printf("\n");
    for (int i = 0; i < LAB_NAMESPACES; i++) {
        const char *kind = lab_namespaces[i].name;
        printf("    %-6s", kind);
        for (int column = 0; column < columns && column < 8; column++) {
            ino_t inode = lab_namespace_inode(pids[column], kind);
            /* ENOENT also if this kernel has no such namespace. */
            if (inode == 0 && (errno != ENOENT || lab_namespace_inode(0, kind) != 0))
                lab_die("look at the %s namespace of process %d", kind, (int)pids[column]);
            bool new = inode != lab_namespace_inode(pids[0], kind);
            printf("  %c%10lu", new ? '*' : ' ', (unsigned long)inode);
        }
        printf("\n");
    }
    lab_say("(* not the namespace of the first column)");
}

int lab_network_cookie(unsigned long long *cookie)
{
    uint64_t value;
    struct stat status;
    socklen_t size = sizeof(value);
    lab_fd any_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (any_socket == -1)
        return -1;
    if (getsockopt(any_socket, SOL_SOCKET, SO_NETNS_COOKIE, &value, &size) == 0) {
        *cookie = value;
        return 0;
    }
    if (errno != ENOPROTOOPT || stat("/proc/self/ns/net", &status) == -1)
        return -1;
    *cookie = status.st_ino;
    return 0;
}
