#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"
#include "rootless.h"

enum { FIRST_NAP = 100, LONGEST_NAP = 50000 }; /* microseconds */

/* The process that has locked the file of STATUS; 0 where none can be seen, -1 with errno where
 * they cannot be read. The lines of /proc/locks: "1: FLOCK  ADVISORY  WRITE 4711 00:1a:42 0 EOF".
 * proc_locks(5) */
static pid_t holder(const struct stat *status)
{
    FILE *locks = fopen("/proc/locks", "re");
    char line[256], kind[16];
    unsigned high, low;
    unsigned long inode;
    int pid, found = 0;

    if (!locks)
        return -1;
    while (!found && fgets(line, sizeof(line), locks))
        if (sscanf(line, "%*d: %15s %*s %*s %d %x:%x:%lu", kind, &pid, &high, &low, &inode) == 5 &&
            strcmp(kind, "FLOCK") == 0 && high == major(status->st_dev) &&
            low == minor(status->st_dev) && inode == status->st_ino)
            found = pid;
    const int error = ferror(locks) ? errno : 0;
    fclose(locks);
    errno = error;
    return found > 0 ? found : error ? -1 : 0;
}

static pid_t holder_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == -1 ? -1 : holder(&status);
}

int lab_lock(int fd, int milliseconds)
{
    const long long patience = milliseconds * 1000LL * lab_slowness();
    long long left = patience;
    long nap = FIRST_NAP;
    pid_t before = -1;

    while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        if (errno != EWOULDBLOCK)
            return -1;
        if (before == -1)
            before = holder_of(fd);
        if (left <= 0) {
            pid_t now = holder_of(fd);
            /* 0 may be a moment between two holders, but not twice. */
            if (now == before || now == -1) {
                errno = ETIMEDOUT;
                return -1;
            }
            before = now, left = patience;
        }
        nanosleep(&(struct timespec){.tv_nsec = nap * 1000}, NULL);
        left -= nap;
        nap = nap * 2 < LONGEST_NAP ? nap * 2 : LONGEST_NAP;
    }
    return 0;
}

int lab_lock_directory(const char *path, mode_t mode, int milliseconds)
{
    for (;;) {
        struct stat opened, present;
        if (mode && mkdir(path, mode) == -1 && errno != EEXIST)
            return -1;
        lab_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd == -1 && mode && errno == ENOENT)
            continue; /* the last one in it has just taken it away */
        if (fd == -1 || fstat(fd, &opened) == -1)
            return -1;
        if (opened.st_uid != geteuid()) { /* that user may keep it locked */
            errno = EEXIST;
            return -1;
        }
        if (lab_lock(fd, milliseconds) == -1)
            return -1;
        /* Somebody who waited with us may have removed the directory that we have locked now. */
        int there = stat(path, &present);
        if (there == -1 && errno != ENOENT)
            return -1;
        if (there == 0 && opened.st_ino == present.st_ino)
            return lab_take_fd(&fd);
    }
}

const char *lab_lock_holder(const char *path)
{
    static char text[512];
    char file[64], line[1024], name[64] = "", state = '?';
    struct stat status;
    const bool seen = stat(path, &status) == 0;
    pid_t pid = seen ? holder(&status) : -1;

    snprintf(file, sizeof(file), "/proc/%d/stat", (int)pid);
    if (pid == -1) {
        snprintf(text, sizeof(text), "a process that cannot be told: %s: %s",
                 seen ? "read /proc/locks" : "look at it", lab_strerror(errno));
    } else if (pid == 0) {
        snprintf(text, sizeof(text),
                 "a process that cannot be seen from here, such as one on the other side of a "
                 "container's wall");
    } else if (lab_read_file(file, line, sizeof(line)) == -1) {
        snprintf(text, sizeof(text),
                 errno == ENOENT || errno == ESRCH
                     ? "process %d, which has ended, but what it has started has not: see fuser(1)"
                     : "process %d: wait for it, or end it",
                 (int)pid);
    } else {
        const char *end = strrchr(line, ')');
        sscanf(line, "%*d (%63[^)]", name);
        if (end)
            sscanf(end, ") %c", &state);
        if (state == 'T' || state == 't')
            snprintf(text, sizeof(text),
                     "process %d (%s), which is stopped: let it continue (kill -CONT %d) or end it "
                     "(kill -KILL %d)",
                     (int)pid, name, (int)pid, (int)pid);
        else
            snprintf(text, sizeof(text),
                     "process %d (%s): wait for it, or end it (kill %d, or kill -KILL %d)",
                     (int)pid, name, (int)pid, (int)pid);
    }
    return text;
}

void lab_lock_die(const char *path)
{
    const bool no_files = errno == EROFS || errno == ENOENT;

    if (no_files || errno == EACCES || errno == EPERM) {
        char missing[512];
        snprintf(missing, sizeof(missing), "make and lock %s: %s", path, lab_strerror(errno));
        lab_cannot_run(
            missing,
            no_files && lab_rootless
                ? "set XDG_RUNTIME_DIR to a directory of your own in which files can be made"
            : no_files ? "it has to be where files can be made: mount -t tmpfs none /run"
                       : "only root may: try sudo (root of a user namespace needs a "
                         "/run of its own: mount -t tmpfs none /run)");
    }
    if (errno != ETIMEDOUT)
        lab_die("make and lock %s", path);
    lab_exit(lab_exit_failure, "%s stays locked by %s", path, lab_lock_holder(path));
}
