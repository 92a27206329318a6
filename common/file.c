#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"

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

int lab_is_there(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 ? 1 : errno == ENOENT || errno == ENOTDIR ? 0 : -1;
}

int lab_each_name(const char *path, int (*each)(int directory, const char *name, void *argument),
                  void *argument)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int result = 0;

    if (!directory)
        return -1;
    while (result == 0) {
        errno = 0;
        entry = readdir(directory);
        if (!entry) {
            result = errno ? -1 : 0; /* NULL without errno is the end */
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = each(dirfd(directory), entry->d_name, argument);
    }
    int error = errno;
    closedir(directory);
    errno = error;
    return result;
}

void lab_must_have_read(const char *file, const char *name)
{
    bool known = errno == 0 || errno == ENOENT || errno == ESRCH || errno == ERANGE;
    char byte;

    if (known) {
        lab_fd database = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        known = database == -1 ? errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                               : read(database, &byte, 1) != -1;
    }
    if (!known)
        lab_die("look up '%s' in %s", name, file);
}

const char *lab_next_line(const char *text)
{
    const char *newline = strchr(text, '\n');

    return newline ? newline + 1 : NULL;
}

bool lab_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

int lab_openat2(int directory, const char *path, int flags, mode_t mode, unsigned long long resolve)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = mode,
        .resolve = resolve,
    };
    int fd = -1, attempts = 128;

    if (directory == -1) /* it could not be opened: that errno stays */
        return -1;
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

    if (strlen(path) >= sizeof(prefix)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int parent = open_in_root(root, ".", O_PATH | O_DIRECTORY, 0);
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
            bool made = mkdirat(parent, last, 0755) == 0;
            if (made || errno == EEXIST)
                next = open_in_root(root, prefix, (made ? O_RDONLY : O_PATH) | O_DIRECTORY, 0);
            if (made && next != -1 && fchmod(next, 0755) == -1) /* whatever the umask says */
                lab_close_fd(&next);
        }
        lab_close_fd(&parent);
        parent = next;
    }
    return parent;
}

/* A file below a root directory, made under another name until it is whole: whoever reads or runs
 * the one that it replaces keeps what he has, and so does the machine if it cannot be filled. */
struct new_file {
    int directory;
    const char *name;
    char temporary[32];
    sighandler_t too_large; /* what the caller has for SIGXFSZ */
};

/* Begin PATH below ROOT, its parents made. Returns a descriptor to write to, or -1 with errno. A
 * limit of the caller's for files (ulimit -f) is EFBIG until the end. */
static int begin_file(struct new_file *file, int root, const char *path, mode_t mode)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');

    file->too_large = signal(SIGXFSZ, SIG_IGN);
    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
    file->name = slash ? slash + 1 : path;
    snprintf(file->temporary, sizeof(file->temporary), ".new-%d", (int)getpid());
    file->directory = lab_make_directory_in(root, parent);
    if (file->directory == -1)
        return -1;
    unlinkat(file->directory, file->temporary, 0); /* of a process that was killed long ago */
    int fd =
        openat(file->directory, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd != -1 && fchmod(fd, mode) == -1) /* whatever the umask says */
        lab_close_fd(&fd);
    return fd;
}

/* Give it its name, if it is WHOLE, else take it away. Returns 0, or -1 with errno. */
static int end_file(struct new_file *file, bool whole)
{
    if (whole)
        whole = renameat(file->directory, file->temporary, file->directory, file->name) == 0;
    if (!whole && file->directory != -1) {
        int error = errno;
        unlinkat(file->directory, file->temporary, 0);
        errno = error;
    }
    lab_close_fd(&file->directory);
    signal(SIGXFSZ, file->too_large);
    return whole ? 0 : -1;
}

/* Whether PATH below ROOT is the file of SOURCE already. */
static bool is_there(int root, const char *path, const struct stat *source)
{
    struct stat status;
    lab_fd there = open_in_root(root, path, O_PATH, 0);

    return there != -1 && fstat(there, &status) == 0 && lab_same_file(&status, source);
}

int lab_copy_file_in(int root, const char *path, const char *source, mode_t mode)
{
    struct new_file file;
    struct stat status;
    ssize_t count = 0;
    lab_fd from = open(source, O_RDONLY | O_CLOEXEC);

    if (from == -1 || fstat(from, &status) == -1)
        return -1;
    if (is_there(root, path, &status))
        return 0;
    lab_fd to = begin_file(&file, root, path, mode);
    off_t left = status.st_size;
    while (to != -1 && left > 0 && (count = sendfile(to, from, NULL, (size_t)left)) > 0)
        left -= count;
    if (to != -1 && left > 0 && count == 0)
        errno = EIO; /* the file became shorter under our hands */
    return end_file(&file, to != -1 && left <= 0);
}

int lab_write_once(int fd, const char *text)
{
    const ssize_t length = (ssize_t)strlen(text), count = write(fd, text, (size_t)length);

    if (count == -1 || count == length)
        return count == -1 ? -1 : 0;
    /* A second write of the rest fails with the reason. */
    if (write(fd, text + count, (size_t)(length - count)) != -1)
        errno = EIO;
    return -1;
}

int lab_write_file(const char *path, const char *text)
{
    lab_fd fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd == -1 ? -1 : lab_write_once(fd, text);
}

int lab_write_text_in(int root, const char *path, const char *text, mode_t mode)
{
    struct new_file file;
    lab_fd to = begin_file(&file, root, path, mode);

    return end_file(&file, to != -1 && lab_write_once(to, text) == 0);
}
