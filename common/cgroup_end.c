#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup_parts.h"
#include "file.h"
#include "process.h"

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
    char path[LAB_CGROUP_LONGEST + 32], present[64] = "";
    pid_t pids[AT_ONCE];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, texts[i][0]);
        /* At the write of a limit the kernel looks at all groups of the machine. */
        bool there = lab_read_file(path, present, sizeof(present)) != -1;
        if (there ? strncmp(present, texts[i][1], strlen(texts[i][1])) != 0 : errno != ENOENT)
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

/* Where a walk is. The list of a group is read in small parts, and again from the same place when
 * the walk comes back to it: else each return would take as long as the list. */
struct walk {
    int fd;            /* the group that is listed */
    ino_t left;        /* the group in it that the walk has come up from; 0: none */
    bool again;        /* it is looked for from the beginning */
    off_t place, next; /* in the list: of the last entry, and of the next */
    off_t *places;     /* of the entries that lead here, one for each group above */
    size_t depth;      /* how many these are */
    size_t at, length; /* of what was read: */
    alignas(struct dirent) char entries[1024];
};

/* Go on with the list at PLACE. */
static int list_from(struct walk *walk, off_t place)
{
    walk->at = walk->length = 0;
    walk->next = place;
    return lseek(walk->fd, place, SEEK_SET) == -1 ? -1 : 0;
}

/* The group that was left is not in the rest of the list. Where two have the same place, the kernel
 * may have gone on behind it: it is looked for from the beginning. Else it is gone, and the walk
 * begins there again. */
static int list_again(struct walk *walk)
{
    walk->left = walk->again ? 0 : walk->left;
    walk->again = !walk->again;
    return list_from(walk, 0);
}

/* The next group in the list, or the one that was left. NULL at the end, or with errno. */
static const struct dirent *next_group(struct walk *walk)
{
    for (;;) {
        if (walk->at == walk->length) {
            long length = syscall(SYS_getdents64, walk->fd, walk->entries, sizeof(walk->entries));
            if (length == -1 && errno != ENOENT) /* the group is removed, and has none */
                return NULL;
            walk->at = 0, walk->length = length > 0 ? (size_t)length : 0;
            errno = 0;
            if (length <= 0 && (!walk->left || list_again(walk) == -1))
                return NULL;
            continue;
        }
        const struct dirent *entry = (const void *)(walk->entries + walk->at);
        walk->at += entry->d_reclen;
        walk->place = walk->next, walk->next = entry->d_off;
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 && (!walk->left || entry->d_ino == walk->left))
            return entry;
    }
}

/* Go on at PLACE in the directory NAME of the group, which no mount may cover. */
static int step(struct walk *walk, const char *name, off_t place)
{
    lab_fd fd = lab_openat2(walk->fd, name, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_XDEV);

    if (fd == -1)
        return -1;
    close(walk->fd);
    walk->fd = lab_take_fd(&fd);
    return list_from(walk, place);
}

static int step_down(struct walk *walk, const char *name)
{
    off_t *places = reallocarray(walk->places, walk->depth + 1, sizeof(*places));

    if (!places)
        return -1;
    walk->places = places;
    places[walk->depth] = walk->place;
    if (step(walk, name, 0) == -1)
        return -1;
    walk->depth++;
    return 0;
}

static int step_up(struct walk *walk)
{
    struct stat status;

    if (fstat(walk->fd, &status) == -1 || step(walk, "..", walk->places[--walk->depth]) == -1)
        return -1;
    walk->left = status.st_ino;
    return 0;
}

/* Call EACH for the groups below DIRECTORY, and for DIRECTORY last. Returns 0, or -1 as soon as one
 * fails. A directory that is not there is fine. However deep they are nested, one of them is open
 * at a time, and no path is too long: each begins at the descriptor of the group above. */
static int walk_up(const char *directory, int (*each)(const char *directory))
{
    char path[64 + sizeof(((struct dirent *)NULL)->d_name)];
    struct walk walk = {.fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    struct stat status;
    int result = 0;

    if (walk.fd == -1)
        return errno == ENOENT ? 0 : lab_cgroup_failed("open", directory);
    while (result == 0) {
        const struct dirent *entry = next_group(&walk);
        if (entry) {
            snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", walk.fd, entry->d_name);
            /* A directory without others in it has two links. */
            if (walk.left || (lstat(path, &status) == 0 && status.st_nlink == 2)) {
                walk.left = 0, walk.again = false;
                result = each(path);
            } else if (step_down(&walk, entry->d_name) == -1 && errno != ENOENT) {
                result = lab_cgroup_failed("open", path);
            }
        } else if (errno != 0) {
            result = lab_cgroup_failed("list", directory);
        } else if (walk.depth == 0) {
            break;
        } else if (step_up(&walk) == -1) {
            result = lab_cgroup_failed("climb in", directory);
        }
    }
    close(walk.fd);
    free(walk.places);
    return result == 0 ? each(directory) : -1;
}

/* Whether GROUP has no processes in the hierarchy of CONTROLLER, as far as that counts them. */
static bool is_empty(const struct lab_cgroup *group, enum lab_controller controller)
{
    char count[32];
    const char *path = lab_cgroup_file(group, controller, "pids.current");

    return lab_read_file(path, count, sizeof(count)) != -1 && strcmp(count, "0") == 0;
}

static int for_each_directory(const struct lab_cgroup *group, int (*each)(const char *directory))
{
    int result = 0, error = 0;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (lab_cgroup_is_first(group, i) && !(each == kill_processes && is_empty(group, i)) &&
            walk_up(lab_cgroup_file(group, i, ""), each) == -1)
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
    enum { AT_ONCE = 256, PATIENCE = 20000000 }; /* microseconds: new ones may come for ever */
    const long long until = lab_now() + (long long)PATIENCE * lab_slowness();
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
    while (lab_now() < until) {
        int error = 0, count = read_processes(from, pids, AT_ONCE);
        if (count <= 0)
            return count == 0 || errno == ENOENT ? 0 : lab_cgroup_failed("read processes of", from);
        for (int i = 0; i < count && i < AT_ONCE && lab_now() < until; i++) {
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
