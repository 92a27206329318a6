#include "fill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"

static volatile sig_atomic_t filler, asked; /* the child's PID, and the signal that came */

static void end_filler(int number)
{
    asked = number;
    if (filler > 0)
        kill(filler, SIGKILL);
}

/* Have the signals that ask a process to end reach end_filler(), but for those that whoever started
 * us had us ignore, as nohup(1) does. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (signal(numbers[i], end_filler) == SIG_IGN)
            signal(numbers[i], SIG_IGN);
}

/* 0 if the directory FD has no entries; -1 with errno, ENOTEMPTY if it has. */
static int check_empty(int fd)
{
    lab_fd copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = copy == -1 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    bool empty = true;

    if (!names)
        return -1;
    lab_take_fd(&copy); /* closedir() closes it */
    while ((entry = readdir(names)) != NULL)
        empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(names);
    errno = ENOTEMPTY;
    return empty ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type;
    if (walk->level > 0 && remove(path) == -1)
        lab_warn("remove '%s': %s", path, lab_strerror(errno));
    return 0;
}

/* The directory was empty when we locked it, so all that is in it now is ours. */
static void take_back(const char *path, bool made, mode_t mode)
{
    char inside[PATH_MAX];

    snprintf(inside, sizeof(inside), "%s/.", path); /* PATH itself may be a link */
    nftw(inside, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    struct stat now;
    if (made ? rmdir(path) == -1
             : stat(path, &now) == -1 || ((now.st_mode & 07777) != mode && chmod(path, mode) == -1))
        lab_warn("leave '%s' as it was: %s", path, lab_strerror(errno));
}

int lab_fill_directory(const char *path, void (*fill)(const char *path))
{
    struct stat before;

    catch_signals(); /* before there is anything that would have to be taken back */
    bool made = mkdir(path, 0755) == 0;
    if (!made && errno != EEXIST)
        return -1;
    lab_fd directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory == -1)
        return -1;
    if (flock(directory, LOCK_EX | LOCK_NB) == -1) {
        errno = errno == EWOULDBLOCK ? EBUSY : errno;
        return -1;
    }
    if (check_empty(directory) == -1 || fstat(directory, &before) == -1)
        return -1;
    pid_t child = lab_fork();
    if (child == 0) {
        fill(path);
        exit(EXIT_SUCCESS);
    }
    int error = errno;
    filler = child;
    if (asked) /* before we knew whom to end */
        end_filler(asked);
    int status = child == -1 ? -1 : lab_wait(child);
    filler = 0;
    if (status != 0)
        take_back(path, made, before.st_mode & 07777);
    errno = error;
    if (status == 0 || child == -1)
        return status;
    return asked ? 128 + asked : EXIT_FAILURE;
}
