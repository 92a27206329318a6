#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

void (*remove_pause)(void);

enum { DEEPEST = 32 }; /* directories that are open at a time */

static unsigned moved; /* makes the names of directories that were brought up */

static int remove_below(int top, int parent, const char *name, int depth);

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
    while (result == 0 && (entry = readdir(directory)) != NULL) {
        char name[32];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (remove_pause)
            remove_pause();
        if (unlinkat(fd, entry->d_name, 0) == 0)
            continue;
        snprintf(name, sizeof(name), ".moved-%u", moved);
        if (depth == DEEPEST && renameat(fd, entry->d_name, top, name) == 0)
            moved++;
        else
            result = remove_below(top, fd, entry->d_name, depth + 1);
    }
    closedir(directory);
    return result;
}

static int remove_below(int top, int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1 || empty_directory(top, fd, depth) == -1)
        return -1;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int remove_tree(int parent, const char *name)
{
    unsigned first = moved;
    int result = remove_below(parent, parent, name, 0);

    /* What was brought up may hold more of that kind. */
    for (unsigned i = first; i < moved; i++) {
        char brought[32];
        snprintf(brought, sizeof(brought), ".moved-%u", i);
        if (remove_below(parent, parent, brought, 0) == -1)
            result = -1;
    }
    return result;
}
