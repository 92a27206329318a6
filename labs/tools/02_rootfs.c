/*
 * The tool 02_rootfs: leaves a root file system in a directory. What is put into it is listed in
 * common/rootfs.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"
#include "rootfs.h"

int rootfs_tool(int argc, char *argv[]);

static const char HELP[] =
    "Usage: 02_rootfs [OPTION]... DIR\n"
    "   or: 02_rootfs [--step] [--shell]\n"
    "Make a root file system out of a busybox in DIR, which is empty or not there yet.\n"
    "Without DIR, play the experiment.\n"
    "\n"
    "  --busybox=FILE     the busybox to use, with its libraries where it has any\n"
    "                     ($BUSYBOX, or else busybox.static or busybox in PATH)\n"
    "  --tar=FILE         also pack it into the tar archive FILE, everything owned by root\n"
    "  --step             experiment: wait for Enter before each step\n"
    "  --shell            experiment: end with a shell in the root file system\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0 if all is there, 1 if not (then nothing is left in DIR), 2 for bad usage.\n";

static struct {
    const char *directory, *busybox, *tar;
} tool;

static void read_options(int argc, char *argv[])
{
    static const struct option options[] = {
        {"busybox", required_argument, NULL, 'b'},
        {"tar", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    int option;

    argv[0] = program_invocation_short_name;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'b')
            tool.busybox = optarg;
        else if (option == 't')
            tool.tar = optarg;
        else
            lab_common_option(option, HELP, LAB_EXIT_USAGE);
    }
    char *end = argv[optind] ? strchr(argv[optind], '\0') : NULL;
    while (end && end - argv[optind] > 1 && end[-1] == '/')
        *--end = '\0';
    tool.directory = argv[optind];
    if (optind + 1 == argc && *tool.directory)
        return;
    if (optind + 1 < argc)
        lab_warn("one DIR is filled at a time; '%s' is one too many", argv[optind + 1]);
    else
        lab_warn(tool.directory ? "the name of DIR is empty" : "missing operand: which DIR?");
    lab_try_help(LAB_EXIT_USAGE);
}

/*
 * Fill a directory whole or not at all.
 */

static volatile sig_atomic_t filler, asked; /* the child's PID, and the signal that came */

static void end_filler(int number)
{
    asked = number;
    if (filler > 0)
        kill(filler, SIGKILL);
}

/* Has the signals that ask a process to end reach end_filler(), except those that were ignored from
 * the start, as with nohup(1). */
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
    while (errno = 0, empty && (entry = readdir(names)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    int error = empty ? errno : ENOTEMPTY;
    closedir(names);
    errno = error;
    return error == 0 ? 0 : -1;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

/* Open the directory that PATH is in. Another user may own it, and put a link in the place of what
 * is to be removed later; and a link of proc(5) on the way would lead into his own mount namespace,
 * where any directory of root may be mounted. */
static int open_place(const char *path)
{
    char place[PATH_MAX];

    if (strlen(path) + 1 >= sizeof(place)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(place, sizeof(place), "%.*s.", (int)(last_name(path) - path), path);
    return lab_openat2(AT_FDCWD, place, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);
}

/* A directory that is filled: NAME in PLACE; it was MADE, or had this MODE. */
struct target {
    int place;
    const char *name;
    bool made;
    mode_t mode;
};

/* Leave the directory that fill_directory() has locked as it was. It was empty, so all that is in
 * it now is ours. The work is done by the descriptor, and find(1) follows no link. */
static void take_back(const struct target *target, int directory)
{
    const char *path = tool.directory;
    struct stat ours, named;
    pid_t child = lab_fork();

    if (child == 0) {
        if (fchdir(directory) == -1)
            lab_die("enter '%s'", path);
        lab_exec((char *[]){"find", ".", "-xdev", "-mindepth", "1", "-delete", NULL});
    }
    if (child == -1 || lab_wait(child) != 0)
        lab_warn("'%s' is not empty again", path);
    if (fstat(directory, &ours) == -1 ||
        fstatat(target->place, target->name, &named, AT_SYMLINK_NOFOLLOW) == -1)
        lab_warn_errno("look at '%s'", path);
    else if (target->made && !lab_same_file(&ours, &named))
        lab_warn("'%s' is another file by now", path);
    else if (target->made
                 ? unlinkat(target->place, target->name, AT_REMOVEDIR) == -1
                 : (ours.st_mode & 07777) != target->mode && fchmod(directory, target->mode) == -1)
        lab_warn_errno("leave '%s' as it was", path);
}

/* Lock the directory, which must be empty. Returns a descriptor, or -1 with errno. */
static int lock_target(struct target *target)
{
    struct stat before;
    lab_fd directory = lab_openat2(target->place, target->name,
                                   O_RDONLY | O_DIRECTORY | (target->made ? O_NOFOLLOW : 0), 0,
                                   RESOLVE_NO_MAGICLINKS);
    if (directory == -1)
        return -1;
    if (flock(directory, LOCK_EX | LOCK_NB) == -1) {
        errno = errno == EWOULDBLOCK ? EBUSY : errno;
        return -1;
    }
    if (check_empty(directory) == -1 || fstat(directory, &before) == -1)
        return -1;
    target->mode = before.st_mode & 07777;
    return lab_take_fd(&directory);
}

/* Make or take the directory, and lock it. Returns a descriptor, or -1 with errno. */
static int open_target(struct target *target)
{
    target->made = mkdirat(target->place, target->name, 0755) == 0;
    if (!target->made && errno != EEXIST)
        return -1;
    int directory = lock_target(target);
    int error = errno;
    /* Where another process was faster with the lock, it is that one's. */
    if (directory == -1 && target->made && error != EBUSY &&
        unlinkat(target->place, target->name, AT_REMOVEDIR) == -1)
        lab_warn_errno("remove '%s'", tool.directory);
    errno = error;
    return directory;
}

/* Makes the directory DIR (0755 less the umask(2)), or takes it as it is if it is empty, and calls
 * FILL(DIRECTORY), a descriptor of it, in a child. Whatever ends the child before it returns from
 * FILL - an error that exits, a signal, Ctrl-C - all that is in the directory then is removed, and
 * the directory is as it was: not there, or empty and with its old mode. A lock keeps other calls
 * off, flock(2). Returns 0 when FILL has returned, 128 + the signal that asked this process to end,
 * 1 for every other failure of FILL, which has printed it; or -1 with errno where nothing was
 * begun: ENOTEMPTY, ENOTDIR, EBUSY (another process fills it now), ELOOP (a link of proc(5)), and
 * those of mkdir(2) and open(2). */
static int fill_directory(void (*fill)(int directory))
{
    lab_fd place = open_place(tool.directory);
    struct target target = {.place = place, .name = last_name(tool.directory)};

    catch_signals(); /* before there is anything that would have to be taken back */
    if (place == -1)
        return -1;
    lab_fd directory = open_target(&target);
    if (directory == -1)
        return -1;
    pid_t child = lab_fork();
    if (child == 0) {
        fill(directory);
        exit(EXIT_SUCCESS);
    }
    int error = errno;
    filler = child;
    if (asked) /* before the PID was known */
        end_filler(asked);
    int status = child == -1 ? -1 : lab_wait(child);
    if (child != -1 && status == -1)
        lab_warn_errno("wait for the process that fills '%s'", tool.directory);
    if (status > 128 && !asked) /* FILL exits with less, and has said why */
        lab_warn("the process that fills '%s' was ended by %s", tool.directory,
                 lab_signal_name(status - 128));
    filler = 0;
    if (status != 0)
        take_back(&target, directory);
    errno = error;
    if (status == 0 || child == -1)
        return status;
    return asked ? 128 + asked : EXIT_FAILURE;
}

/*
 * What fills it.
 */

/* Packs the working directory into the open archive. In the archive root owns the files, whatever
 * their owner here. */
static void pack(int archive)
{
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (dup2(archive, STDOUT_FILENO) == -1)
            lab_die("dup2");
        lab_exec((char *[]){"tar", "--numeric-owner", "--owner=0", "--group=0", "--sort=name",
                            "-cf", "-", ".", NULL});
    }
    int status = lab_wait(child);
    if (status == -1)
        lab_die("wait for tar");
    struct statvfs disk;
    if (status != 0 && fstatvfs(archive, &disk) == 0 && disk.f_blocks > 0 && disk.f_bavail == 0) {
        errno = ENOSPC; /* which tar does not name where a part of a record could be written */
        lab_die("pack '%s' into '%s'", tool.directory, tool.tar);
    }
    if (status != 0)
        lab_exit(EXIT_FAILURE, "pack '%s' into '%s': tar ended with status %d", tool.directory,
                 tool.tar, status);
}

/* The archive must not be a part of what goes into it. */
static void check_archive(int archive, int directory, const char *busybox)
{
    struct stat itself, other;

    if (fstat(archive, &itself) == -1)
        lab_die("stat the archive '%s'", tool.tar);
    int there = fstatat(directory, last_name(tool.tar), &other, 0);
    if (there == -1 && errno != ENOENT)
        lab_die("look for the archive in '%s'", tool.directory);
    if (there == 0 && lab_same_file(&itself, &other))
        lab_exit(EXIT_FAILURE, "the archive '%s' would lie in '%s', which goes into it", tool.tar,
                 tool.directory);
    if (stat(busybox, &other) == -1)
        lab_die("look at the busybox '%s'", busybox);
    if (lab_same_file(&itself, &other))
        lab_exit(EXIT_FAILURE, "the archive '%s' is the busybox that goes into it", tool.tar);
}

/* What fills DIR. It may exit at any point: fill_directory() then takes all of it back. */
static void build(int directory)
{
    char found[PATH_MAX], absolute[PATH_MAX];
    const char *busybox = tool.busybox ? tool.busybox : found;
    struct stat status;
    lab_fd archive = -1;

    if (tool.tar && !lab_has_command("tar")) /* before an older archive is emptied */
        lab_die_remedy("install the package tar", "find tar");
    if (tool.tar && (archive = open(tool.tar, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) == -1)
        lab_die("open the archive '%s'", tool.tar);
    if (!tool.busybox && lab_find_busybox(found, sizeof(found)) == -1)
        lab_die_remedy("install the package busybox-static, or name one by --busybox",
                       "find a busybox");
    if (access(busybox, R_OK | X_OK) == -1 || !realpath(busybox, absolute))
        lab_die("use the busybox '%s'", busybox);
    if (tool.tar)
        check_archive(archive, directory, busybox);
    if (fchdir(directory) == -1 || lab_make_rootfs(".", absolute) == -1)
        lab_die_remedy(errno == ENOEXEC  ? "it is not a program that this machine can run"
                       : errno == EINVAL ? "it is not a busybox: `busybox --list` names a sh"
                                         : "nothing was left behind",
                       "make a root file system in '%s' out of '%s'", tool.directory, busybox);
    /* All users inside must be able to pass through "/"; mktemp -d makes it for one. */
    if (fstat(directory, &status) == -1 ||
        ((status.st_mode & 0755) != 0755 && fchmod(directory, status.st_mode | 0755) == -1))
        lab_die("chmod '%s'", tool.directory);
    if (archive == -1)
        return;
    if (ftruncate(archive, 0) == -1 && errno != EINVAL) /* EINVAL: a pipe, a device */
        lab_die("empty the archive '%s'", tool.tar);
    pack(archive);
}

int rootfs_tool(int argc, char *argv[])
{
    read_options(argc, argv);
    lab_begin_as_usual();
    umask(022);
    int has_tar = tool.tar ? lab_is_there(tool.tar) : 1;
    if (has_tar == -1)
        lab_die("look at the archive '%s'", tool.tar);
    lab_fd place = has_tar ? -1 : open_place(tool.tar);
    if (!has_tar && place == -1 && errno != ENOENT && errno != ENOTDIR)
        lab_die_remedy("nothing was changed", "open the directory of the archive '%s'", tool.tar);
    int status = fill_directory(build);
    if (status == -1)
        lab_die_remedy(errno == EBUSY ? "another run is filling it" : "nothing was changed",
                       "fill the directory '%s'", tool.directory);
    if (status != 0 && place != -1 && unlinkat(place, last_name(tool.tar), 0) == -1 &&
        errno != ENOENT)
        lab_warn_errno("remove the archive '%s'", tool.tar);
    return status;
}
