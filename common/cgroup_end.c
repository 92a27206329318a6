#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_parts.h"
#include "file.h"

enum { MOMENT = 1000 }; /* microseconds: what dies, or has died, is looked at again */

int lab_cgroup_enter(const struct lab_cgroup *group, pid_t pid)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", (int)pid);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (lab_cgroup_is_first(group, i) && lab_cgroup_write(group, i, "cgroup.procs", text) == -1)
            return -1;
    return 0;
}

/* The processes that cgroup.procs of DIRECTORY names, up to COUNT of them. -1 with errno. */
static int read_processes(const char *directory, pid_t *pids, int count)
{
    char path[LAB_CGROUP_LONGEST + 32];
    int pid, found = 0;

    snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    for (; fscanf(file, "%d", &pid) == 1; found++)
        if (found < count)
            pids[found] = pid;
    int error = ferror(file) ? errno : 0;
    fclose(file);
    errno = error;
    return error == 0 ? found : -1;
}

static int unfinished; /* 0, or why there may be processes yet; kill_processes() only sets it */

/* Kill the processes in DIRECTORY, and lift its limit of CPU time, which they may have made: to end
 * takes some. It is not waited for that: who runs yet, in another group, can limit it again. */
static int kill_processes(const char *directory)
{
    enum { AT_ONCE = 256 };
    static const char *const texts[][2] = {
        {"cgroup.kill", "1"}, /* Linux 5.14; where it is missing, one by one does it too */
        {"cpu.max", "max"},
        {"cpu.cfs_quota_us", "-1"},
    };
    char path[LAB_CGROUP_LONGEST + 32];
    pid_t pids[AT_ONCE];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, texts[i][0]);
        lab_write_file(path, texts[i][1]);
    }
    int count = read_processes(directory, pids, AT_ONCE);
    /* Gone before or after it was opened; or threaded, so that the group above names them. */
    if (count == -1 && errno != ENOENT && errno != ENODEV && errno != EOPNOTSUPP)
        return lab_cgroup_failed("read processes of", directory);
    if (count > 0)
        unfinished = EBUSY;
    for (int i = 0; i < count && i < AT_ONCE; i++)
        /* 0 is a process outside of our PID namespace. */
        if (pids[i] > 0 && kill(pids[i], SIGKILL) == -1 && errno != ESRCH)
            unfinished = errno;
    return 0;
}

/* The next group in LISTED, or the one of INODE if not 0. NULL at the end, or with errno. */
static const struct dirent *next_group(DIR *listed, ino_t inode)
{
    const struct dirent *entry;

    do {
        errno = 0;
        entry = readdir(listed);
    } while (entry && (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
                       strcmp(entry->d_name, "..") == 0 || (inode && entry->d_ino != inode)));
    return entry;
}

/* Replace *LISTED by the directory NAME in it, which no mount may cover. */
static int step(DIR **listed, const char *name)
{
    lab_fd fd = lab_openat2(dirfd(*listed), name, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_XDEV);
    DIR *next = fd == -1 ? NULL : fdopendir(fd);

    if (!next)
        return -1;
    lab_take_fd(&fd);
    closedir(*listed);
    *listed = next;
    return 0;
}

/* Call EACH for the groups below DIRECTORY, and for DIRECTORY last. Returns 0, or -1 as soon as one
 * fails. A directory that is not there is fine. However deep they are nested, one of them is open
 * at a time, and no path is too long: each begins at the descriptor of the group above. */
static int walk_up(const char *directory, int (*each)(const char *directory))
{
    char path[64 + sizeof(((struct dirent *)NULL)->d_name)];
    DIR *listed = opendir(directory);
    struct stat status;
    ino_t left = 0; /* the group in LISTED that the walk has come up from */
    int depth = 0, result = 0;

    if (!listed)
        return errno == ENOENT ? 0 : lab_cgroup_failed("open", directory);
    while (result == 0) {
        const struct dirent *entry = next_group(listed, left);
        if (entry) {
            snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd(listed), entry->d_name);
            /* A directory without others in it has two links. */
            if (left || (lstat(path, &status) == 0 && status.st_nlink == 2)) {
                left = 0;
                result = each(path);
            } else if (step(&listed, entry->d_name) == 0) {
                depth++;
            } else if (errno != ENOENT) {
                result = lab_cgroup_failed("open", path);
            }
        } else if (errno != 0) {
            result = lab_cgroup_failed("list", directory);
        } else if (left) { /* it is gone meanwhile */
            rewinddir(listed);
            left = 0;
        } else if (depth-- == 0) {
            break;
        } else {
            result = fstat(dirfd(listed), &status) == -1 || step(&listed, "..") == -1
                         ? lab_cgroup_failed("climb in", directory)
                         : 0;
            left = status.st_ino;
        }
    }
    closedir(listed);
    return result == 0 ? each(directory) : -1;
}

static int for_each_directory(const struct lab_cgroup *group, int (*each)(const char *directory))
{
    int result = 0, error = 0;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (lab_cgroup_is_first(group, i) && walk_up(lab_cgroup_file(group, i, ""), each) == -1)
            result = -1, error = errno;
    errno = error;
    return result;
}

int lab_cgroup_kill(const struct lab_cgroup *group)
{
    enum { ROUNDS = 200 }; /* 20 seconds in all */
    bool none = false;

    for (int round = 0; round < ROUNDS; round++) {
        unfinished = 0;
        if (for_each_directory(group, kill_processes) == -1)
            return -1;
        /* One may have gone from a group that is looked at later to one that had none. */
        if (!unfinished && none)
            return 0;
        none = !unfinished;
        usleep((useconds_t)round * MOMENT);
    }
    errno = unfinished ? unfinished : EBUSY;
    return lab_cgroup_failed("kill the processes of", group->name);
}

/* A dead process can keep its group busy for a moment, and v1 has no event for the end of that: a
 * busy group is tried again, for a second at most. */
static int remove_directory(const char *directory)
{
    enum { ATTEMPTS = 1000 };

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (rmdir(directory) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            break;
        usleep(MOMENT);
    }
    return lab_cgroup_failed("rmdir", directory);
}

/*
 * Processes that are only lent to a group.
 */

/* Move all processes of the group at FROM to the group at TO, or above TO, but not above BASE. */
static int move_processes(const struct lab_hierarchies *where, const char *from, char *to,
                          const char *base)
{
    enum { AT_ONCE = 256, ROUNDS = 100 };
    pid_t pids[AT_ONCE];
    char path[LAB_CGROUP_LONGEST * 2], text[16];

    while (strlen(to) > strlen(base)) {
        int there = lab_is_there(to);
        if (there == -1)
            return lab_cgroup_failed("look at", to);
        if (there == 1 && strcmp(strrchr(to, '/'), "/" LAB_CGROUP_PARENT) != 0)
            break;
        *strrchr(to, '/') = '\0';
    }
    snprintf(path, sizeof(path), "%s/cgroup.procs", to);
    for (int round = 0; round < ROUNDS; round++) {
        int error = 0, count = read_processes(from, pids, AT_ONCE);
        if (count <= 0)
            return count == 0 || errno == ENOENT ? 0 : lab_cgroup_failed("read processes of", from);
        for (int i = 0; i < count && i < AT_ONCE; i++) {
            snprintf(text, sizeof(text), "%d", (int)pids[i]);
            if (lab_cgroup_write_path(where, path, text) == -1 && errno != ESRCH)
                error = errno;
        }
        if (error) {
            errno = error;
            return -1;
        }
    }
    errno = EBUSY;
    return lab_cgroup_failed("move processes out of", from);
}

/* Move every process of GROUP to the directories of ORIGIN, or the nearest group above. */
static int give_back(const struct lab_cgroup *group, const char *origin)
{
    int result = 0, error = 0;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const char *name = lab_controllers[i], *base = group->where->of[i].base;
        char to[LAB_CGROUP_LONGEST];
        snprintf(to, sizeof(to), "%s", base);
        /* Without a record, to the root of the hierarchy, which has no limits. */
        for (const char *line = origin; line; line = lab_next_line(line))
            if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ')
                snprintf(to, sizeof(to), "%.*s", (int)strcspn(line + strlen(name) + 1, "\n"),
                         line + strlen(name) + 1);
        if (lab_cgroup_is_first(group, i) &&
            move_processes(group->where, lab_cgroup_file(group, i, ""), to, base) == -1)
            result = -1, error = errno;
    }
    errno = error;
    return result;
}

int lab_cgroup_remove(const struct lab_cgroup *group, const char *origin)
{
    if (origin && give_back(group, origin) == -1)
        return -1;
    return lab_cgroup_kill(group) == -1 ? -1 : for_each_directory(group, remove_directory);
}
