#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "cgroup_parts.h"
#include "error.h"
#include "page.h"

/* What was tried last, for lab_cgroup_die(). */
static struct {
    char what[LAB_CGROUP_LONGEST + 128];
    char path[LAB_CGROUP_LONGEST];
    char file[64]; /* written to or read; "" for a directory */
    int error;
} last;

int lab_cgroup_failed(const char *what, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat status;

    last.error = errno;
    bool is_directory = strcmp(what, "mkdir") == 0 || strcmp(what, "rmdir") == 0 ||
                        (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
    snprintf(last.what, sizeof(last.what), "%s %s", what, path);
    snprintf(last.path, sizeof(last.path), "%s", path);
    snprintf(last.file, sizeof(last.file), "%s", slash && !is_directory ? slash + 1 : "");
    errno = last.error;
    return -1;
}

static const struct {
    const char *file; /* "": a directory; a prefix of the file's name */
    int error;
    const char *remedy;
} REMEDIES[] = {
    {"", EEXIST,
     "a group of this name exists (end what made it, or remove it with rmdir), or a file of "
     "the kernel's"},
    {"", EALREADY, "it is a group of another run of the labs: let that one end first"},
    {"", EAGAIN, "cgroup.max.descendants or cgroup.max.depth of a group above allows no more"},
    {"cgroup.subtree_control", EBUSY,
     "a group of v2 with processes of its own hands on no controllers: move them into a child "
     "group first"},
    {"cgroup.subtree_control", EINVAL,
     "with realtime threads outside the root group the kernel enables no cpu controller "
     "(CONFIG_RT_GROUP_SCHED): end them, or move them to the root group"},
    {"cgroup.subtree_control", EOPNOTSUPP,
     "the group is threaded, see its cgroup.type: such a group can host no processes and no "
     "memory limit; start from a group of type domain"},
    {"cgroup.subtree_control", ENOENT,
     "the group above does not hand this controller on: enable it there first"},
    {"cgroup.procs", ESRCH, "there is no such process (any more)"},
    {"cgroup.procs", EINVAL,
     "a realtime process enters no group without a realtime budget, and a kernel thread none at "
     "all (for the first: chrt --other --pid 0 PID)"},
    {"cgroup.procs", EOPNOTSUPP,
     "the group is beside or below a threaded one, see its cgroup.type: use another parent"},
    {"cgroup.procs", EBUSY, "the group hands on controllers, so it takes no processes itself"},
    {"cpu.cfs_quota_us", EINVAL,
     "less than 1000 us, or more than the parent allows (its quota and period)"},
    {"cpu.max", EINVAL, "a quota is 1000 us or more, a period 1000 to 1000000 us"},
    {"memory.", EBUSY, "the group uses more than that already"},
};

/* What can be done about ERROR, met at a write to FILE (its last name) or with a directory (""). */
static const char *remedy_for(int error, const char *file)
{
    if (error == EROFS)
        return "the cgroup file system is read-only, as in a container: run the lab on the machine "
               "itself";
    if (error == EACCES || error == EPERM)
        return "only root may: try sudo (in a container even root may not)";
    if (error == ENODEV && *file)
        return "that file is on no cgroup file system: something is mounted over it";
    if (error == ENODEV)
        return "no hierarchy of this machine has it: look at /proc/self/mountinfo and the "
               "cgroup.controllers of v2, and mount one (mount -t cgroup -o cpu,cpuacct ...)";
    if (error == EXDEV)
        return "the cgroup file system was mounted outside of this cgroup namespace: mount it "
               "again in "
               "here, or leave the namespace";
    if (error == ENOENT && strncmp(file, "cgroup.", 7) != 0)
        return "the kernel was built without this, or the group has gone";
    for (size_t i = 0; i < sizeof(REMEDIES) / sizeof(REMEDIES[0]); i++) {
        size_t length = strlen(REMEDIES[i].file);
        if (REMEDIES[i].error == error && (length > 0) == (*file != '\0') &&
            strncmp(file, REMEDIES[i].file, length) == 0)
            return REMEDIES[i].remedy;
    }
    return "nothing was changed";
}

/* What can be done about ERROR, met at PATH, a file of a control group or the directory of one. */
static const char *remedy_at(const char *path, int error)
{
    struct stat status;
    const char *slash = strrchr(path, '/');

    if (stat(path, &status) == 0 ? S_ISDIR(status.st_mode) : !strchr(slash ? slash : path, '.'))
        return remedy_for(error, "");
    return remedy_for(error, slash ? slash + 1 : path);
}

void lab_die_path(const char *path, const char *format, ...)
{
    struct statfs status;
    char directory[PATH_MAX];
    int error = errno;
    LAB_FORMAT(what, format);

    snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    bool cgroup = statfs(slash ? directory : ".", &status) == 0 &&
                  (status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC);
    const char *remedy = cgroup ? remedy_at(path, error) : NULL;
    errno = error;
    lab_die_remedy(remedy, "%s %s", what, path);
}

/* The commands that move the processes out of the group whose cgroup.subtree_control was written
 * to. */
static const char *commands_that_move(const char *remedy)
{
    static char text[4 * LAB_CGROUP_LONGEST];
    const int length = (int)(strrchr(last.path, '/') - last.path); /* of the group's directory */

    snprintf(text, sizeof(text),
             "%s: mkdir %.*s/init; xargs -rn1 <%.*s/cgroup.procs >%.*s/init/cgroup.procs", remedy,
             length, last.path, length, last.path, length, last.path);
    return text;
}

void lab_cgroup_die(void)
{
    const char *remedy = remedy_for(last.error, last.file);

    if (last.error == EBUSY && strcmp(last.file, "cgroup.subtree_control") == 0)
        remedy = commands_that_move(remedy);
    bool machine = last.error == EROFS || last.error == ENODEV || last.error == EXDEV ||
                   strcmp(last.file, "cgroup.subtree_control") == 0;

    if (machine) {
        char missing[sizeof(last.what) + 128];
        snprintf(missing, sizeof(missing), "%s: %s", last.what, lab_strerror(last.error));
        lab_cannot_run(missing, remedy);
    }
    errno = last.error;
    lab_die_remedy(remedy, "%s", last.what);
}
