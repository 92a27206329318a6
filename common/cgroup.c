#include "cgroup_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "file.h"

/* Put on container-labs: the controllers that were enabled for its sake. It lives exactly as long
 * as there is something to take back. */
static const char ENABLED[] = "user.container-labs.enabled";

bool lab_cgroup_is_first(const struct lab_cgroup *group, enum lab_controller controller)
{
    if (!(group->controllers & LAB_BIT(controller)))
        return false;
    for (enum lab_controller i = 0; i < controller; i++)
        if ((group->controllers & LAB_BIT(i)) &&
            strcmp(group->where->of[i].base, group->where->of[controller].base) == 0)
            return false;
    return true;
}

/* Whether the group at DIRECTORY, on v2, may hand on controllers: 0, or -1 with errno. EBUSY: it
 * has processes of its own and is not the root. With +memory the kernel says EBUSY itself; with
 * +cpu it would go on and silently make a threaded group of it, whose children take no process
 * (EOPNOTSUPP). */
static int may_hand_on(const char *directory)
{
    char path[LAB_CGROUP_LONGEST + 32], pid[16];

    snprintf(path, sizeof(path), "%s/cgroup.type", directory);
    int has_type = lab_is_there(path);
    if (has_type != 1)
        return has_type; /* the root has none */
    snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
    /* A threaded group cannot be read (EOPNOTSUPP): what it refuses it says itself. */
    ssize_t length = lab_read_file(path, pid, sizeof(pid));
    if (length == 0 || (length == -1 && errno == EOPNOTSUPP))
        return 0;
    if (length > 0 || errno == EFBIG)
        errno = EBUSY;
    return -1;
}

/* Whether LIST has CONTROLLER: names with blanks between, as in cgroup.controllers of v2. */
static bool lists(const char *list, enum lab_controller controller)
{
    char words[258], wanted[32];

    snprintf(words, sizeof(words), " %s ", list);
    snprintf(wanted, sizeof(wanted), " %s ", lab_controllers[controller]);
    return strstr(words, wanted) != NULL;
}

/* v2: let the children of DIRECTORY have the controllers of GROUP. Those that were not enabled
 * before are added to ENABLED_NOW, with blanks between. */
static int hand_on(const struct lab_cgroup *group, const char *directory, char *enabled_now,
                   size_t size)
{
    char path[LAB_CGROUP_LONGEST + 32], present[256];

    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", directory);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        char wanted[32];
        /* The usage of v2's cpu.stat is there without any controller. */
        if (!(group->controllers & LAB_BIT(i)) || group->where->of[i].version != 2 ||
            i == LAB_CPUACCT)
            continue;
        if (lab_read_file(path, present, sizeof(present)) == -1)
            return lab_cgroup_failed("read", path);
        if (lists(present, i))
            continue;
        snprintf(wanted, sizeof(wanted), "+%s", lab_controllers[i]);
        if (may_hand_on(directory) == -1) {
            char what[64];
            snprintf(what, sizeof(what), "write '%s' to", wanted);
            return lab_cgroup_failed(what, path);
        }
        if (lab_cgroup_write_path(group->where, path, wanted) == -1)
            return -1;
        size_t length = strlen(enabled_now);
        snprintf(enabled_now + length, size - length, "%s%s", length ? " " : "", wanted + 1);
    }
    return 0;
}

/* Remove container-labs below the directory BASE if it is empty, and disable the controllers that
 * were enabled for it. Returns 0, or -1 after a warning where it is empty and stays. */
static int remove_parent(const char *base)
{
    char parent[LAB_CGROUP_LONGEST], control[LAB_CGROUP_LONGEST], enabled[64] = "", *rest = NULL;

    snprintf(parent, sizeof(parent), "%s/" LAB_CGROUP_PARENT, base);
    snprintf(control, sizeof(control), "%s/cgroup.subtree_control", base);
    ssize_t length = getxattr(parent, ENABLED, enabled, sizeof(enabled) - 1);
    if (length == -1 && errno != ENODATA && errno != ENOTSUP && errno != ENOENT)
        lab_warn_errno("read which controllers were enabled for %s", parent);
    enabled[length > 0 ? length : 0] = '\0';
    if (rmdir(parent) == -1) {
        if (errno == EBUSY || errno == ENOTEMPTY || errno == ENOENT || errno == EROFS)
            return 0;
        return lab_warn_errno("remove %s", parent);
    }
    for (char *name = strtok_r(enabled, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        char word[66];
        /* Refused with EBUSY where somebody else has come to need it since, as it should be. */
        snprintf(word, sizeof(word), "-%s", name);
        if (lab_write_file(control, word) == -1 && errno != EBUSY && errno != ENOENT)
            lab_warn_errno("write '%s' to %s", word, control);
    }
    return 0;
}

/* Make the directory of GROUP in the hierarchy of CONTROLLER, and container-labs before it. */
static int make_run_directory(const struct lab_cgroup *group, enum lab_controller controller)
{
    char parent[LAB_CGROUP_LONGEST], enabled[64] = "", further[64] = "";
    const char *base = group->where->of[controller].base;
    const char *directory = lab_cgroup_file(group, controller, "");

    snprintf(parent, sizeof(parent), "%s/" LAB_CGROUP_PARENT, base);
    if (mkdir(parent, 0755) == -1 && errno != EEXIST)
        return lab_cgroup_failed("mkdir", parent);
    if (group->where->of[controller].version == 2) {
        int result = hand_on(group, base, enabled, sizeof(enabled));
        if (*enabled)
            setxattr(parent, ENABLED, enabled, strlen(enabled), 0); /* else it stays enabled */
        if (result == -1 || hand_on(group, parent, further, sizeof(further)) == -1)
            return -1;
    }
    return mkdir(directory, 0755) == -1 ? lab_cgroup_failed("mkdir", directory) : 0;
}

/* Return 0 if this machine has all controllers of GROUP, or -1 with ENODEV (EXDEV: outside of our
 * cgroup namespace). */
static int find_controllers(const struct lab_cgroup *group)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if ((group->controllers & LAB_BIT(i)) && !group->where->of[i].version) {
            errno = group->where->outside ? EXDEV : ENODEV;
            return lab_cgroup_failed("find the controller", lab_controllers[i]);
        }
    }
    return 0;
}

/* Remove the directories of GROUP in the hierarchies before that of END, all of them empty. errno
 * stays. */
static void remove_made(const struct lab_cgroup *group, enum lab_controller end)
{
    int error = errno;

    for (enum lab_controller made = 0; made < end; made++) {
        const char *directory = lab_cgroup_file(group, made, "");
        if (lab_cgroup_is_first(group, made) && rmdir(directory) == -1 && errno != ENOENT)
            lab_warn_errno("remove %s", directory);
    }
    errno = error;
}

/* Make the directories of GROUP, in all of its hierarchies or in none. */
static int make_run_directories(const struct lab_cgroup *group)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!lab_cgroup_is_first(group, i) || make_run_directory(group, i) == 0)
            continue;
        int error = errno;
        remove_made(group, i);
        for (enum lab_controller made = 0; made <= i; made++)
            if (lab_cgroup_is_first(group, made))
                remove_parent(group->where->of[made].base);
        errno = error;
        return -1;
    }
    return 0;
}

int lab_cgroup_create_run(struct lab_cgroup *group, const struct lab_hierarchies *where,
                          const char *name, unsigned controllers)
{
    enum { ATTEMPTS = 10 };
    int result = -1;

    *group = (struct lab_cgroup){.where = where, .controllers = controllers};
    snprintf(group->name, sizeof(group->name), LAB_CGROUP_PARENT "/%s", name);
    if (find_controllers(group) == -1)
        return -1;
    /* A run in a container that has a /run of its own may remove container-labs at this moment. */
    for (int attempt = 0; attempt < ATTEMPTS && result == -1; attempt++) {
        result = make_run_directories(group);
        if (result == -1 && errno != ENOENT)
            break;
    }
    return result;
}

int lab_cgroup_create_in(struct lab_cgroup *child, const struct lab_cgroup *parent,
                         const char *name)
{
    char enabled[64] = "";

    *child = *parent;
    int length = snprintf(child->name, sizeof(child->name), "%s/%s", parent->name, name);
    if (length >= (int)sizeof(child->name)) {
        errno = ENAMETOOLONG;
        return lab_cgroup_failed("mkdir", name);
    }
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!lab_cgroup_is_first(child, i))
            continue;
        const char *directory = lab_cgroup_file(child, i, "");
        if (child->where->of[i].version == 1 ||
            hand_on(child, lab_cgroup_file(parent, i, ""), enabled, sizeof(enabled)) == 0) {
            if (mkdir(directory, 0755) == 0)
                continue;
            lab_cgroup_failed("mkdir", directory);
        }
        remove_made(child, i);
        return -1;
    }
    return 0;
}

int lab_cgroup_origin(const struct lab_cgroup *group, pid_t pid, char *text, size_t size)
{
    char path[64], groups[8192], own_path[LAB_CGROUP_PATH], directory[LAB_CGROUP_PATH * 2];
    size_t length = 0;

    if (find_controllers(group) == -1)
        return -1;
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (lab_read_file(path, groups, sizeof(groups)) == -1) {
        errno = errno == ENOENT ? ESRCH : errno;
        return lab_cgroup_failed("read", path);
    }
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const struct lab_hierarchy *place = &group->where->of[i];
        if (!lab_cgroup_is_first(group, i))
            continue;
        if (!lab_hierarchy_group(place, i, groups, own_path, directory, sizeof(directory))) {
            errno = ENOTSUP;
            return lab_cgroup_failed("find the group named in", path);
        }
        /* It would not come back: to whom it belongs, that run alone knows. */
        if (strstr(own_path, "/" LAB_CGROUP_PARENT "/")) {
            errno = EALREADY;
            return lab_cgroup_failed("take a process out of", directory);
        }
        int added =
            snprintf(text + length, size - length, "%s %s\n", lab_controllers[i], directory);
        if ((size_t)added >= size - length) {
            errno = ENAMETOOLONG;
            return lab_cgroup_failed("note the groups of", path);
        }
        length += (size_t)added;
    }
    return 0;
}

int lab_cgroup_remove_run(const char *name, const char *origin, bool locked)
{
    struct lab_hierarchies where;
    struct lab_cgroup group = {.where = &where};

    const bool rootless = strncmp(origin, LAB_CGROUP_BASE, strlen(LAB_CGROUP_BASE)) == 0;
    if (lab_hierarchies_find(&where, rootless ? origin + strlen(LAB_CGROUP_BASE) : NULL) == -1)
        return lab_cgroup_failed("find the control groups in", "/proc/self/mountinfo");
    snprintf(group.name, sizeof(group.name), LAB_CGROUP_PARENT "/%s", name);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (where.of[i].version) {
            const char *directory = lab_cgroup_file(&group, i, "");
            if (access(directory, F_OK) == 0)
                group.controllers |= LAB_BIT(i);
            else if (errno != ENOENT)
                return lab_cgroup_failed("look at", directory);
        }
    int result = lab_cgroup_remove(&group, rootless || !*origin ? NULL : origin), error = errno;
    for (enum lab_controller i = 0; locked && i < LAB_CONTROLLERS; i++)
        if (where.of[i].version && remove_parent(where.of[i].base) == -1 && result == 0)
            result = -1, error = errno;
    errno = error;
    return result;
}

/*
 * Without root.
 */

/* Whether the caller may make groups in DIRECTORY and move processes into them. Ends where that
 * cannot be told. */
static bool is_delegated(const char *directory)
{
    static const char *const files[] = {"", "/cgroup.procs", "/cgroup.subtree_control"};
    char path[LAB_CGROUP_LONGEST];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", directory, files[i]);
        if (access(path, W_OK) == 0)
            continue;
        if (errno == EACCES || errno == EPERM || errno == EROFS || errno == ENOENT)
            return false;
        lab_die("look at %s", path);
    }
    return true;
}

/* Whether the group DIRECTORY can give CONTROLLERS to groups in it: 0, or the errno that says why
 * not. */
static int cannot_hand_on(const char *directory, unsigned controllers)
{
    char path[LAB_CGROUP_LONGEST], text[256], pid[16];

    snprintf(path, sizeof(path), "%s/cgroup.controllers", directory);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        return errno;
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if ((controllers & LAB_BIT(i)) && i != LAB_CPUACCT && !lists(text, i))
            return ENODEV;
    if ((controllers & ~LAB_BIT(LAB_CPUACCT)) == 0) /* nothing is handed on */
        return 0;
    snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
    ssize_t length = lab_read_file(path, pid, sizeof(pid));
    if (length == 0)
        return 0;
    /* A threaded group cannot be read (EOPNOTSUPP), and belongs to one that has processes. */
    return length > 0 || errno == EFBIG || errno == EOPNOTSUPP ? EBUSY : errno;
}

static int find_delegated(struct lab_hierarchies *where, unsigned controllers, char *directory)
{
    char groups[8192], path[LAB_CGROUP_PATH], here[LAB_CGROUP_PATH];
    int error = EACCES;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if ((controllers & LAB_BIT(i)) && where->of[i].version == 1)
            error = EOPNOTSUPP;
    if (lab_read_file("/proc/self/cgroup", groups, sizeof(groups)) == -1)
        lab_die("read /proc/self/cgroup");
    bool there = error == EACCES && where->unified.version &&
                 lab_hierarchy_group(&where->unified, LAB_CPU, groups, path, here, sizeof(here));
    while (there && is_delegated(here)) {
        const int reason = cannot_hand_on(here, controllers);
        if (reason == 0) {
            lab_hierarchies_need(where, here);
            return 0;
        }
        if (reason != EBUSY && reason != ENODEV) {
            errno = reason;
            lab_die("look at %s", here);
        }
        if (error != EBUSY) {
            error = reason;
            memcpy(directory, here, sizeof(here));
        }
        there = strlen(here) > strlen(where->unified.base);
        *strrchr(here, '/') = '\0';
    }
    errno = error;
    return -1;
}

/* End, with the command that gets a group, because of errno. */
__attribute__((noreturn)) static void die_without_group(const char *directory)
{
    char path[LAB_CGROUP_LONGEST], missing[LAB_CGROUP_LONGEST], remedy[LAB_CGROUP_LONGEST];

    if (errno == EBUSY) {
        snprintf(path, sizeof(path), "%s/cgroup.subtree_control", directory);
        lab_cgroup_failed("hand on controllers by", path);
        lab_cgroup_die();
    }
    const bool v1 = errno == EOPNOTSUPP;
    snprintf(missing, sizeof(missing), "%s",
             v1 ? "control groups of v1 need root"
                : "without root, a control group of v2 is needed that belongs to you");
    if (errno == ENODEV)
        snprintf(missing, sizeof(missing), "%s is yours, but lacks a controller", directory);
    snprintf(remedy, sizeof(remedy), "type: %s%s%s",
             v1 ? "" : "systemd-run --user --scope -p Delegate=yes ",
             v1 ? "sudo " : program_invocation_name,
             v1 ? program_invocation_name : ", or use sudo");
    lab_cannot_run(missing, remedy);
}

int lab_cgroup_delegated(struct lab_hierarchies *where, unsigned controllers, char *directory)
{
    char any[LAB_CGROUP_PATH] = "";
    int result = find_delegated(where, controllers, directory ? directory : any);

    if (result == -1 && !directory)
        die_without_group(any);
    return result;
}
