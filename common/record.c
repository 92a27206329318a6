#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

enum { VERSION = 1 };

static const char END[] = "end\n";

static void first_line(char *line, size_t size, const char *kind)
{
    snprintf(line, size, "container-labs %s %d\n", kind, VERSION);
}

/* Read the file PATH, whose size is less than SIZE, and end it by NUL. Returns its length or -1. */
static ssize_t read_all(const char *path, char *text, size_t size)
{
    size_t length = 0;
    ssize_t count;
    struct stat status;
    lab_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &status) == -1)
        return -1;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022)) {
        errno = EPERM;
        return -1;
    }
    while ((count = read(fd, text + length, size - length)) > 0) {
        length += (size_t)count;
        if (length == size) {
            errno = EFBIG;
            return -1;
        }
    }
    text[length] = '\0';
    return count == -1 ? -1 : (ssize_t)length;
}

int lab_record_read(const char *path, const char *kind, char *text, size_t size)
{
    char first[64];
    ssize_t length = read_all(path, text, size);

    if (length == -1)
        return -1;
    first_line(first, sizeof(first), kind);
    const size_t all = (size_t)length, head = strlen(first), tail = strlen(END);
    if (all < head + tail || strlen(text) != all || strncmp(text, first, head) != 0 ||
        strcmp(text + all - tail, END) != 0 || text[all - tail - 1] != '\n') {
        errno = EBADMSG;
        return -1;
    }
    memmove(text, text + head, all - head - tail);
    text[all - head - tail] = '\0';
    return 0;
}

static int write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t count = write(fd, text, left);
        if (count == -1)
            return -1;
        text += count;
        left -= (size_t)count;
    }
    return 0;
}

int lab_record_write(const char *path, const char *kind, const char *text)
{
    char fresh[PATH_MAX], first[64];
    lab_string whole = NULL;

    first_line(first, sizeof(first), kind);
    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (asprintf(&whole, "%s%s%s", first, text, END) == -1)
        return -1;
    lab_fd fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return -1;
    if (write_all(fd, whole) == 0 && rename(fresh, path) == 0)
        return 0;
    int error = errno;
    unlink(fresh);
    errno = error;
    return -1;
}
