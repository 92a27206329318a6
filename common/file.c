#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void lab_close_fd(int *fd)
{
    if (*fd >= 0) {
        int error = errno;
        close(*fd);
        errno = error;
    }
    *fd = -1;
}

int lab_take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

void lab_free_string(char **string)
{
    free(*string);
    *string = NULL;
}

ssize_t lab_read_file(const char *path, char *buffer, size_t size)
{
    size_t length = 0;
    lab_fd fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1)
        return -1;
    for (;;) {
        ssize_t count = read(fd, buffer + length, size - length);
        if (count == -1)
            return -1;
        if (count == 0)
            break;
        length += (size_t)count;
        if (length == size) {
            errno = EFBIG;
            return -1;
        }
    }
    if (length > 0 && buffer[length - 1] == '\n')
        length--;
    buffer[length] = '\0';
    return (ssize_t)length;
}

const char *lab_next_line(const char *text)
{
    const char *newline = strchr(text, '\n');

    return newline ? newline + 1 : NULL;
}

int lab_write_file(const char *path, const char *text)
{
    size_t length = strlen(text);
    lab_fd fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd == -1)
        return -1;
    ssize_t count = write(fd, text, length);
    if (count >= 0 && (size_t)count != length)
        errno = EIO;
    return count == (ssize_t)length ? 0 : -1;
}

int lab_openat2(int directory, const char *path, int flags, mode_t mode, unsigned long long resolve)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = mode,
        .resolve = resolve,
    };
    int fd, attempts = 128;

    do
        fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
    while (fd == -1 && errno == EAGAIN && --attempts > 0);
    return fd;
}

static int open_in_root(int root, const char *path, int flags, mode_t mode)
{
    return lab_openat2(root, path, flags, flags & O_CREAT ? mode : 0,
                       RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int lab_make_directory_in(int root, const char *path)
{
    char prefix[PATH_MAX];
    int parent = open_in_root(root, ".", O_PATH | O_DIRECTORY, 0);

    if (strlen(path) >= sizeof(prefix)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    /* Component by component: what exists is entered, what does not is made in what was entered. */
    for (const char *end = path; parent != -1 && *end;) {
        const char *name = end + strspn(end, "/");
        end = name + strcspn(name, "/");
        if (end == name)
            break;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)(end - path), path);
        int next = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
        if (next == -1 && errno == ENOENT) {
            const char *last = prefix + (name - path);
            if (mkdirat(parent, last, 0755) == 0 || errno == EEXIST)
                next = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
        }
        lab_close_fd(&parent);
        parent = next;
    }
    return parent;
}

/* Open PATH below ROOT for writing, empty, its parents made. */
static int create_in(int root, const char *path, mode_t mode)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) : 0, path);
    lab_fd parent = lab_make_directory_in(root, directory);
    if (parent == -1)
        return -1;
    int fd = open_in_root(root, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd != -1 && fchmod(fd, mode) == -1) /* whatever the umask says */
        lab_close_fd(&fd);
    return fd;
}

int lab_copy_file_in(int root, const char *path, const char *source, mode_t mode)
{
    struct stat status;
    ssize_t count;
    lab_fd from = open(source, O_RDONLY | O_CLOEXEC);

    if (from == -1 || fstat(from, &status) == -1)
        return -1;
    lab_fd to = create_in(root, path, mode);
    if (to == -1)
        return -1;
    off_t left = status.st_size;
    while (left > 0 && (count = sendfile(to, from, NULL, (size_t)left)) > 0)
        left -= count;
    if (left > 0 && count == 0)
        errno = EIO; /* the file became shorter under our hands */
    return left > 0 ? -1 : 0;
}

int lab_write_text_in(int root, const char *path, const char *text, mode_t mode)
{
    lab_fd to = create_in(root, path, mode);

    if (to == -1)
        return -1;
    return write(to, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* nftw(3) hands no argument to its callback. */
static struct {
    long long bytes, limit;
    ino_t *counted; /* inodes with several links that were counted already */
    size_t count;
} usage;

/* Whether a link to the same inode was counted before: 1 or 0, -1 with errno. One file system is
 * walked, so the inode number is enough. */
static int counted_before(const struct stat *status)
{
    if (status->st_nlink == 1 || !S_ISREG(status->st_mode))
        return 0;
    for (size_t i = 0; i < usage.count; i++)
        if (usage.counted[i] == status->st_ino)
            return 1;
    ino_t *larger = reallocarray(usage.counted, usage.count + 1, sizeof(*larger));
    if (!larger)
        return -1;
    usage.counted = larger;
    usage.counted[usage.count++] = status->st_ino;
    return 0;
}

static int add_usage(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path, (void)walk;
    int before = type == FTW_NS ? 1 : counted_before(status);
    if (before == 0)
        usage.bytes += (long long)status->st_blocks * 512;
    return before == -1 ? -1 : usage.limit > 0 && usage.bytes > usage.limit;
}

long long lab_disk_usage(const char *path, long long limit)
{
    usage.bytes = 0;
    usage.limit = limit;
    usage.count = 0;
    int walked = nftw(path, add_usage, 16, FTW_PHYS | FTW_MOUNT);
    free(usage.counted);
    usage.counted = NULL;
    return walked == -1 ? -1 : usage.bytes;
}
