#include "ids.h"

#include <sched.h>
#include <sys/file.h>

#include "lock.h"
#include "namespace.h"
#include "pidfd.h"
#include "report.h"
#include "unprivileged.h"

/* Above what distributions assign to people, services and the containers of systemd, and below what
 * the sandboxes of exercises have (tests/kit/place.c): 3584 ranges. */
static const uid_t LOWEST = 0x70000000, END = 0x7e000000;

static const char TAKEN[] = "/run/container-labs.ids";

/* Whether a range that begins at FIRST overlaps one in PATH, /etc/subuid or /etc/subgid, whose
 * lines are "name:first:count": 1 or 0, or -1 with errno. */
static int is_delegated(const char *path, uid_t first)
{
    FILE *file = fopen(path, "re");
    char line[512];
    unsigned long given, count;
    bool taken = false;

    if (!file)
        return errno == ENOENT ? 0 : -1;
    while (!taken && fgets(line, sizeof(line), file)) {
        const char *range = strchr(line, ':');
        taken = range && sscanf(range, ":%lu:%lu", &given, &count) == 2 &&
                given < (unsigned long)first + IDS_PER_CONTAINER && first < given + count;
    }
    const bool failed = ferror(file);
    int error = errno;
    fclose(file);
    errno = error;
    return failed ? -1 : taken;
}

/* Lock COUNT bytes of FD from FIRST on; COUNT 0: all. Fails with EAGAIN where one is locked. */
static int lock_bytes(int fd, off_t first, off_t count)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count};

    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* Open the file and lock all of it: another process may just have removed it, because no range was
 * in use. FLAGS: O_CREAT or 0. */
static int open_locked_file(int flags)
{
    for (;;) {
        struct stat opened, present;
        lab_fd fd = open(TAKEN, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
        if (fd == -1 || lab_lock(fd, LAB_LOCK_PATIENCE) == -1 || fstat(fd, &opened) == -1)
            return -1;
        int there = stat(TAKEN, &present);
        if (there == -1 && errno != ENOENT)
            return -1;
        if (there == 0 && opened.st_ino == present.st_ino)
            return lab_take_fd(&fd);
    }
}

int ids_claim(uid_t *first)
{
    lab_fd fd = open_locked_file(O_CREAT);

    if (fd == -1)
        return -1;
    for (*first = LOWEST; *first < END; *first += IDS_PER_CONTAINER) {
        int users = is_delegated("/etc/subuid", *first);
        int groups = is_delegated("/etc/subgid", *first);
        if (users == -1 || groups == -1)
            return -1;
        if (users || groups)
            continue;
        if (lock_bytes(fd, (*first - LOWEST) / IDS_PER_CONTAINER, 1) == 0) {
            return flock(fd, LOCK_UN) == -1 ? -1 : lab_take_fd(&fd);
        }
        if (errno != EAGAIN && errno != EACCES)
            return -1;
    }
    errno = EAGAIN;
    return -1;
}

pid_t ids_clone(uint64_t flags, int *pidfd, int group, uid_t owner)
{
    if (!(flags & CLONE_NEWUSER) || is_unprivileged())
        return clone_process(flags, pidfd, group);
    if (lab_own_namespaces_as(owner) == -1)
        fail("become user %u, the owner of the user namespace", owner);
    pid_t pid = clone_process(flags, pidfd, group);
    if (pid != 0 && lab_own_namespaces_as(0) == -1)
        fail("become root again");
    return pid;
}

bool has_no_user_namespaces(void)
{
    char limit[32];

    /* Without a /proc, that cannot be told. */
    if (lab_is_there("/proc/self/ns/user") == 0 && lab_is_there("/proc/self/ns") == 1) {
        errno = EINVAL;
        return true;
    }
    ssize_t length = lab_read_file("/proc/sys/user/max_user_namespaces", limit, sizeof(limit));
    errno = ENOSPC;
    return length != -1 && strcmp(limit, "0") == 0;
}

int ids_map(pid_t pid, uid_t first, int socket)
{
    const struct message go = {.kind = MESSAGE_GO};
    char path[64];

    if ((is_unprivileged() ? lab_map_same_ids(pid, IDS_PER_CONTAINER)
                           : lab_map_ids(pid, first, IDS_PER_CONTAINER)) == -1)
        fail("map the IDs of process %d to %u and up", (int)pid, first);
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    int users = is_unprivileged() ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (users == -1 && !is_unprivileged())
        fail("open %s", path);
    must(send_message(socket, &go, NULL, 0), "send to process %d", (int)pid);
    return users;
}

void ids_remove_unused_file(void)
{
    if (is_unprivileged()) /* it is root's */
        return;
    lab_fd fd = open_locked_file(0);
    if (fd != -1 && lock_bytes(fd, 0, 0) == 0 && unlink(TAKEN) == 0)
        return;
    const bool in_use = fd != -1 && errno == EAGAIN, not_there = fd == -1 && errno == ENOENT;
    if (!in_use && !not_there)
        lab_warn_errno("remove %s", TAKEN);
}

void ids_release(int *claim)
{
    if (*claim == -1)
        return;
    /* Before it is closed: a child may have a copy of the descriptor. */
    if (fcntl(*claim, F_OFD_SETLK, &(struct flock){.l_type = F_UNLCK}) == -1)
        lab_warn_errno("release the user IDs in %s", TAKEN);
    lab_close_fd(claim);
    ids_remove_unused_file();
}
