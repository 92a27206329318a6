#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

void (*remove_pause)(void);

enum { DEEPEST = 32 }; /* directories that are open at a time */

static unsigned moved; /* how many directories were brought up */

static int remove_below(int top, int parent, const char *name, int depth);

int open_own_directory(int parent, const char *name)
{
    return lab_openat2(parent, name, O_RDONLY | O_DIRECTORY, 0,
                       RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/* Unlink NAME, or open it where it is a directory. Returns the descriptor, -1 if NAME is gone, or
 * -2 with errno. */
static int unlink_or_open(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return -1;
    const int error = errno;
    const int fd = open_own_directory(parent, name);
    if (fd == -1 && (errno == ENOTDIR || errno == ELOOP) && error != EISDIR)
        errno = error; /* NAME is no directory: what unlinkat(2) said counts */
    return fd == -1 ? -2 : fd;
}

/* Bring NAME in the directory FROM up to TOP, under a name that nothing there has. */
static bool move_to_top(int top, int from, const char *name)
{
    char fresh[32];
    int result;

    do {
        snprintf(fresh, sizeof(fresh), ".moved-%u", moved++);
        result = renameat2(from, name, top, fresh, RENAME_NOREPLACE);
    } while (result == -1 && errno == EEXIST);
    return result == 0;
}

/* Empty the directory FD; what lies too deep is brought up to TOP, to be removed from there. */
static int empty_directory(int top, int fd, int depth)
{
    DIR *directory = fdopendir(fd);
    const struct dirent *entry;
    int result = 0;

    if (!directory) {
        close(fd);
        return -1;
    }
    while (result == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (remove_pause)
            remove_pause();
        if (unlinkat(fd, entry->d_name, 0) == 0)
            continue;
        if (depth < DEEPEST || !move_to_top(top, fd, entry->d_name))
            result = remove_below(top, fd, entry->d_name, depth + 1);
    }
    int error = errno; /* 0 at the end of the directory */
    closedir(directory);
    errno = error;
    return error == 0 ? result : -1;
}

static int remove_below(int top, int parent, const char *name, int depth)
{
    int fd = unlink_or_open(parent, name);
    if (fd == -1)
        return 0;
    if (fd == -2 || empty_directory(top, fd, depth) == -1)
        return -1;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int remove_contents(int top)
{
    unsigned before;
    int result;

    /* What was brought up may hold more of that kind. */
    do {
        before = moved;
        int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = fd == -1 ? -1 : empty_directory(top, fd, 0);
    } while (result == 0 && moved != before);
    return result;
}

int remove_tree(int parent, const char *name)
{
    lab_fd top = unlink_or_open(parent, name);
    if (top == -1)
        return 0;
    if (top == -2 || remove_contents(top) == -1)
        return -1;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}
