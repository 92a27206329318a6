#include "monitor.h"

#include <limits.h>

#include "report.h"

enum {
    LOG_LIMIT = 1 << 20, /* bytes in a log before it becomes the old one */
    RECORD = 8 << 10,    /* and that an ordinary record of a container takes */
};

static struct {
    int fd;
    long long size;
    bool cut; /* it could not be written any more */
} current = {.fd = -1};

static void open_log(const char *path)
{
    current.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    current.size = current.fd == -1 ? 0 : lseek(current.fd, 0, SEEK_END);
    if (current.size == -1)
        lab_close_fd(&current.fd);
}

/* The log ends here, because of errno. Its name says so: a new name needs no room on a full disk,
 * and a detached runtime has no terminal for a message. */
static void cut_log(const char *path)
{
    char cut[PATH_MAX];
    const bool full = errno == ENOSPC || errno == EDQUOT;

    lab_warn("write %s: %s; it ends here", path, lab_strerror(errno));
    current.cut = true;
    /* Without room for its last record the container would count as crashed. */
    if (full && current.fd != -1 &&
        ftruncate(current.fd, current.size > RECORD ? current.size - RECORD : 0) == -1)
        lab_warn_errno("shorten %s", path);
    lab_close_fd(&current.fd);
    snprintf(cut, sizeof(cut), "%s.cut", path);
    if (rename(path, cut) == -1 && (errno != ENOENT || mknod(cut, S_IFREG | 0600, 0) == -1))
        lab_warn_errno("rename %s", path);
}

void log_write(const char *path, const char *bytes, size_t length)
{
    char old[PATH_MAX];

    if (current.cut)
        return;
    if (current.fd == -1)
        open_log(path);
    if (current.fd != -1 && current.size + (long long)length > LOG_LIMIT) {
        snprintf(old, sizeof(old), "%s.old", path);
        if (rename(path, old) == 0) { /* else it grows */
            lab_close_fd(&current.fd);
            open_log(path);
        }
    }
    while (current.fd != -1 && length > 0) {
        ssize_t count = write(current.fd, bytes, length);
        if (count == -1)
            break;
        bytes += count, length -= (size_t)count;
        current.size += count;
    }
    if (length > 0)
        cut_log(path);
}

void log_close(void)
{
    lab_close_fd(&current.fd);
    current.cut = false;
}
