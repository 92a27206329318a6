/*
 * read_as.c - run a command on a submission with the rights of who handed it in.
 *
 *     read_as TRUSTED SHARED PATH FILE COMMAND [ARGUMENT]...
 *
 * COMMAND finds the directory PATH as its working directory, or the file PATH, or FILE in the
 * directory PATH, as its stdin; the variable KIND is "directory" or "file". FILE is "" or a path
 * without links and "..". Status 1: it cannot be opened, or the 20 seconds are over after which
 * COMMAND is killed; 2: it is something else.
 *
 * Root opens what is on the way to PATH one by one, each by the descriptor of the one before, and
 * looks at what was opened: nobody can put something else in its place. From the first on that
 * belongs to a user who is not TRUSTED ("0 1000"), the rest is opened, and COMMAND executed, with
 * the rights of that user. Where others can write, they may have moved there what is somebody
 * else's: a file or a link there, and what is in such a directory PATH, is read as nobody. Not so
 * for those that SHARED names, a group (its number) or "all", as on a shared folder.
 * What COMMAND leaves running is killed with it, as it has a PID namespace. That user does not
 * trace it, nor take its descriptors, as it has a user namespace that root has made. Without root
 * nothing of this happens, but a link of another user is not followed.
 *
 * openat(2), "O_PATH"; path_resolution(7); ptrace(2), "Ptrace access mode checking"
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "namespace.h"
#include "process.h"

enum { NOBODY = 65534, LINKS = 40, SECONDS = 20 };

static const char *trusted; /* NULL: without root, or no longer */
static const char *shared;
static uid_t caller;

/* What was opened last, with O_PATH. */
struct place {
    int fd;
    struct stat status;
};

static void become(uid_t user)
{
    const struct passwd *entry = getpwuid(user);
    const gid_t group = entry ? entry->pw_gid : user;

    if (setgroups(0, NULL) == -1 || setresgid(group, group, group) == -1 ||
        setresuid(user, user, user) == -1)
        lab_die("become user %u", user);
    trusted = NULL;
}

static bool is_trusted(uid_t user)
{
    char *end;

    for (const char *at = trusted;; at = end) {
        const uid_t one = (uid_t)strtoul(at, &end, 10);
        if (end == at)
            return false;
        if (one == user)
            return true;
    }
}

/* Whether the group NUMBER has nobody in it but USER, or is the one of SHARED. */
static bool is_own_group(gid_t number, uid_t user)
{
    char text[16];
    const struct passwd *owner = getpwuid(user);
    const struct group *group = getgrgid(number);

    snprintf(text, sizeof(text), "%u", number);
    return number == 0 || strcmp(text, shared) == 0 ||
           (owner && group && strcmp(owner->pw_name, group->gr_name) == 0 && !group->gr_mem[0]);
}

/* Whether others than its owner can make something in the directory AT. */
static bool is_open(const struct place *at)
{
    char path[32];
    const mode_t mode = at->status.st_mode;

    if (strcmp(shared, "all") == 0)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", at->fd);
    return (mode & S_IWOTH) ||
           ((mode & S_IWGRP) && !is_own_group(at->status.st_gid, at->status.st_uid)) ||
           getxattr(path, "system.posix_acl_access", NULL, 0) != -1 ||
           (errno != ENODATA && errno != EOPNOTSUPP); /* it cannot be told */
}

static struct place open_root(void)
{
    struct place root = {.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};

    if (root.fd == -1 || fstat(root.fd, &root.status) == -1)
        lab_die("open /");
    return root;
}

/* Put what the link LINK leads to before REST. */
static void follow(int link, char rest[PATH_MAX])
{
    char path[PATH_MAX];
    ssize_t length = readlinkat(link, "", path, sizeof(path));

    if (length == -1)
        lab_die("read a link");
    if (length + strlen(rest) >= sizeof(path))
        lab_exit(EXIT_FAILURE, "a link leads too far");
    strcpy(path + length, rest);
    strcpy(rest, path);
}

/* Open the first part of REST in AT, and take it from REST. */
static struct place open_part(const struct place *at, char rest[PATH_MAX])
{
    const size_t begin = strspn(rest, "/"), length = strcspn(rest + begin, "/");
    char *end = rest + begin + length, slash = *end;
    struct place part;

    *end = '\0';
    part.fd = openat(at->fd, rest + begin, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (part.fd == -1 || fstat(part.fd, &part.status) == -1)
        lab_die("open %s", rest + begin);
    *end = slash;
    memmove(rest, end, strlen(end) + 1);
    return part;
}

/* Open PATH, below AT, with at most so many LINKS on the way. */
static struct place open_below(struct place at, const char *path, int links)
{
    char rest[PATH_MAX];

    if (strlen(path) >= sizeof(rest))
        lab_exit(EXIT_FAILURE, "the path is too long");
    strcpy(rest, path);
    while (rest[strspn(rest, "/")]) {
        struct place part = open_part(&at, rest);
        if (trusted && !is_trusted(part.status.st_uid))
            become(part.status.st_uid);
        else if (trusted && !S_ISDIR(part.status.st_mode) && is_open(&at))
            become(NOBODY);
        if (S_ISLNK(part.status.st_mode)) {
            if (links-- == 0)
                lab_exit(EXIT_FAILURE, "there are too many links");
            if (caller != 0 && part.status.st_uid != 0 && part.status.st_uid != caller)
                lab_exit(EXIT_FAILURE, "a link of another user is on the way");
            follow(part.fd, rest);
            close(part.fd);
            if (*rest != '/')
                continue;
            part = open_root();
        }
        close(at.fd);
        at = part;
    }
    return at;
}

/* Whether there is a ".." in PATH. */
static bool leads_up(const char *path)
{
    while (*(path += strspn(path, "/"))) {
        const size_t length = strcspn(path, "/");
        if (length == 2 && strncmp(path, "..", length) == 0)
            return true;
        path += length;
    }
    return false;
}

__attribute__((noreturn)) static void execute(char *argv[], int go)
{
    /* An archive says how much memory it takes to unpack it. */
    const struct rlimit memory = {500 << 20, 500 << 20};
    char again[32], byte;

    if (read(go, &byte, 1) != 1) /* the maps are written */
        exit(EXIT_FAILURE);
    if (setpgid(0, 0) == -1)
        lab_die("setpgid");
    if (lab_leave_keyring() == -1)
        lab_die("make a session keyring");
    struct place at = open_below(open_root(), argv[3], LINKS);
    if (trusted && S_ISDIR(at.status.st_mode) && is_open(&at))
        become(NOBODY);
    at = open_below(at, argv[4], 0);
    const bool directory = S_ISDIR(at.status.st_mode);
    if (!directory && !S_ISREG(at.status.st_mode))
        lab_exit(2, "%s is no directory and no file", argv[3]);
    snprintf(again, sizeof(again), "/proc/self/fd/%d", at.fd);
    int fd = open(again, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd == -1 || (directory ? fchdir(fd) : dup2(fd, STDIN_FILENO)) == -1)
        lab_die("open %s", argv[3]);
    if (setrlimit(RLIMIT_AS, &memory) == -1)
        lab_die("setrlimit RLIMIT_AS");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) /* a change of the user takes it back */
        lab_die("prctl PR_SET_PDEATHSIG");
    if (setenv("KIND", directory ? "directory" : "file", 1) == -1)
        lab_die("setenv KIND");
    execvp(argv[5], argv + 5);
    lab_die("execute %s", argv[5]);
}

int main(int argc, char *argv[])
{
    int status, go[2];

    if (argc < 6 || argv[3][0] != '/')
        lab_exit(LAB_EXIT_USAGE, "usage: read_as TRUSTED SHARED PATH FILE COMMAND [ARGUMENT]...");
    if (leads_up(argv[4])) /* a name that whoever has handed it in has made up */
        lab_exit(EXIT_FAILURE, "%s leads out of the directory", argv[4]);
    caller = geteuid();
    if (caller == 0)
        trusted = argv[1];
    shared = argv[2];
    if (pipe2(go, O_CLOEXEC) == -1)
        lab_die("pipe");
    pid_t child = lab_clone(trusted ? CLONE_NEWUSER | CLONE_NEWPID : 0, 0);
    if (child == -1)
        lab_die("clone");
    if (child == 0)
        execute(argv, go[0]);
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (pidfd == -1)
        lab_die("pidfd_open");
    if (trusted && lab_map_same_ids(child, UINT_MAX) == -1)
        lab_die("map the users of process %d", (int)child);
    if (write(go[1], "", 1) == -1)
        lab_die("write to a pipe");
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (TEMP_FAILURE_RETRY(poll(&ended, 1, SECONDS * 1000)) == -1)
        lab_warn_errno("wait for what reads %s", argv[3]);
    /* Not for longer: what waits for a file system of a student's may never end. */
    pid_t waited = waitpid(child, &status, WNOHANG);
    if (waited == -1)
        lab_die("waitpid");
    if (waited == 0) {
        kill(child, SIGKILL);
        kill(-child, SIGKILL); /* without a PID namespace, what it has started */
        lab_exit(EXIT_FAILURE, "%s is not read within %d seconds", argv[3], SECONDS);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
