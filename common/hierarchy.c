#include "hierarchy.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "error.h"
#include "file.h"

const char *const lab_controllers[LAB_CONTROLLERS] = {"cpu", "cpuacct", "memory", "pids"};

/* What the file system at PATH is, f_type of statfs(2); -1 with errno where it cannot be asked. */
typedef long magic_of_path(const char *path);

/* One line of mountinfo, taken apart. */
struct mount_line {
    char root[LAB_CGROUP_PATH], point[LAB_CGROUP_PATH];
    char options[256], type[32], super_options[256];
};

static long ask_magic(const char *path)
{
    struct statfs status;

    return statfs(path, &status) == 0 ? (long)status.f_type : -1;
}

/* Note errno, except of a mount that is hidden, that this user cannot reach, or whose group has
 * been removed. */
static void note_error(struct lab_hierarchies *found)
{
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ENODEV)
        found->error = errno;
}

/* Whether LIST, whose words are separated by SEPARATOR and ended by a newline or NUL, has WORD. */
static bool has_word(const char *list, char separator, const char *word)
{
    const char ends[] = {separator, '\n', '\0'};
    size_t wanted = strlen(word);

    for (;;) {
        size_t length = strcspn(list, ends);
        if (length == wanted && strncmp(list, word, wanted) == 0)
            return true;
        if (list[length] != separator)
            return false;
        list += length + 1;
    }
}

/* mountinfo writes blanks, tabs, newlines and backslashes in a path as \ and three octal digits. */
static void decode(char *path)
{
    char *to = path;

    for (const char *from = path; *from; to++) {
        unsigned value;
        if (sscanf(from, "\\%3o", &value) == 1 && strspn(from + 1, "01234567") >= 3) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* "36 35 98:0 /root /mount/point rw,noatime master:1 - type source rw,cpu". Returns whether LINE is
 * such a line of a cgroup file system. */
static bool parse_mount(const char *line, struct mount_line *mount)
{
    if (sscanf(line, "%*s %*s %*s %511s %511s %255s", mount->root, mount->point, mount->options) !=
        3)
        return false;
    const char *rest = strstr(line, " - ");
    if (!rest || sscanf(rest, " - %31s %*s %255s", mount->type, mount->super_options) != 2)
        return false;
    /* A path that did not fit has lost its end, and so names another place. */
    if (strlen(mount->root) == LAB_CGROUP_PATH - 1 || strlen(mount->point) == LAB_CGROUP_PATH - 1)
        return false;
    decode(mount->root);
    decode(mount->point);
    return strcmp(mount->type, "cgroup") == 0 || strcmp(mount->type, "cgroup2") == 0;
}

/* Which path TEXT, in the form of /proc/PID/cgroup, has for CONTROLLER in a hierarchy of VERSION.
 * Returns whether there is one. */
static bool path_in(const char *text, int version, enum lab_controller controller, char *path,
                    size_t size)
{
    for (const char *line = text; line; line = lab_next_line(line)) {
        /* "4:cpu,cpuacct:/user.slice" in v1, "0::/user.slice" in v2, "1:name=systemd:/" in none. */
        const char *list = line + strcspn(line, ":\n");
        if (*list++ != ':')
            continue;
        size_t length = strcspn(list, ":\n");
        char names[256];
        if (list[length] != ':' || length >= sizeof(names))
            continue;
        snprintf(names, sizeof(names), "%.*s", (int)length, list);
        bool fits = version == 2 ? strncmp(line, "0::", 3) == 0
                                 : has_word(names, ',', lab_controllers[controller]);
        const char *start = list + length + 1;
        size_t path_length = strcspn(start, "\n");
        if (!fits || *start != '/' || path_length >= size)
            continue;
        snprintf(path, size, "%.*s", (int)path_length, start);
        return true;
    }
    return false;
}

/* What is left of PATH behind the group ROOT that holds it: "/a/b" behind "/a" is "/b". NULL where
 * PATH is not below ROOT. */
static const char *behind(const char *root, const char *path)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    return strcmp(path + length, "/") == 0 ? "" : path + length;
}

/* The directory of the group PATH below the mount that HIERARCHY describes. Returns whether it can
 * be seen from there. */
static bool directory_of(const struct lab_hierarchy *hierarchy, const char *path, char *directory,
                         size_t size)
{
    const char *below = behind(hierarchy->root, path);

    /* "/../x" is the group of a process outside of our cgroup namespace. */
    if (!below || strstr(path, "/.."))
        return false;
    return snprintf(directory, size, "%s%s", hierarchy->base, below) < (int)size;
}

/* Put MOUNT down as the place of a controller, if it is a better one than PLACE has already: one
 * that shows our own group, and of those the one that shows most. The last of equals wins, it may
 * lie on top of the others. */
static void consider(struct lab_hierarchy *place, const struct lab_hierarchy *candidate,
                     const char *own_path)
{
    bool shows_us = behind(candidate->root, own_path) != NULL;

    if (place->version) {
        bool place_shows_us = behind(place->root, own_path) != NULL;
        if (shows_us < place_shows_us)
            return;
        if (shows_us == place_shows_us && strlen(candidate->root) > strlen(place->root))
            return;
    }
    *place = *candidate;
}

/* What can stand among the controllers in the options of a v1 mount; a named hierarchy, such as
 * name=systemd, has no controller at all. */
static const char OPTIONS[] = "rw ro xattr noprefix clone_children cpuset_v2_mode favordynmods";

static void add_words(char *list, size_t size, const char *words, const char *separators)
{
    char copy[256], *rest = NULL;

    snprintf(copy, sizeof(copy), "%s", words);
    for (const char *word = strtok_r(copy, separators, &rest); word;
         word = strtok_r(NULL, separators, &rest)) {
        size_t length = strlen(list);
        bool is_option = strchr(word, '=') || has_word(OPTIONS, ' ', word);
        if (!is_option && !has_word(list, ' ', word))
            snprintf(list + length, size - length, "%s%s", length ? " " : "", word);
    }
}

/* Take a mount of v1 for each controller that its options name. */
static void take_v1(struct lab_hierarchies *found, const struct lab_hierarchy *candidate,
                    const char *options, const char *self_cgroup)
{
    add_words(found->v1, sizeof(found->v1), options, ",");
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        char own_path[LAB_CGROUP_PATH] = "/";
        if (!has_word(options, ',', lab_controllers[i]))
            continue;
        path_in(self_cgroup, 1, i, own_path, sizeof(own_path));
        consider(&found->of[i], candidate, own_path);
    }
}

/* A v2 hierarchy has the controllers that its cgroup.controllers names and no v1 mount has. */
static void take_v2_controllers(struct lab_hierarchies *found)
{
    char path[LAB_CGROUP_PATH + 32];

    if (!found->unified.version)
        return;
    snprintf(path, sizeof(path), "%s/cgroup.controllers", found->unified.base);
    if (lab_read_file(path, found->v2, sizeof(found->v2)) == -1) {
        note_error(found);
        found->v2[0] = '\0';
    }
    /* The usage in cpu.stat is there in every group of v2, with or without the cpu controller. */
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (!found->of[i].version &&
            (i == LAB_CPUACCT || has_word(found->v2, ' ', lab_controllers[i])))
            found->of[i] = found->unified;
}

static void take_line(struct lab_hierarchies *found, const char *root, const char *line,
                      const char *self_cgroup, magic_of_path *magic_of)
{
    struct mount_line mount;

    /* A root of "/.." was mounted outside of our cgroup namespace and shows the groups above it:
     * which of the directories is our own cannot be told from inside. */
    if (!parse_mount(line, &mount))
        return;
    if (strncmp(mount.root, "/..", 3) == 0) {
        found->outside = true;
        return;
    }
    int version = strcmp(mount.type, "cgroup2") == 0 ? 2 : 1;
    struct lab_hierarchy candidate = {.version = version};
    int length = snprintf(candidate.base, sizeof(candidate.base), "%s%s", root, mount.point);
    long magic = length < (int)sizeof(candidate.base) ? magic_of(candidate.base) : 0;
    if (magic == -1)
        note_error(found);
    if (magic != (version == 2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
        return;
    snprintf(candidate.root, sizeof(candidate.root), "%s", mount.root);
    candidate.read_only =
        has_word(mount.options, ',', "ro") || has_word(mount.super_options, ',', "ro");
    char own_path[LAB_CGROUP_PATH] = "/";
    if (version == 2) {
        path_in(self_cgroup, 2, LAB_CPU, own_path, sizeof(own_path));
        consider(&found->unified, &candidate, own_path);
    } else {
        take_v1(found, &candidate, mount.super_options, self_cgroup);
    }
}

static const char *kind_of(const struct lab_hierarchies *found)
{
    if (found->unified.version)
        return *found->v1 ? "hybrid (v1 beside v2)" : "cgroup v2";
    return *found->v1 ? "cgroup v1" : "no cgroup file system";
}

/* Find the controllers from texts in the form of /proc/self/mountinfo and /proc/self/cgroup. ROOT
 * comes before every path: "" on the machine itself, or the directory of a recorded tree, whose
 * file systems are what MAGIC_OF says (NULL: ask the kernel). */
static void parse(struct lab_hierarchies *found, const char *root, const char *mountinfo,
                  const char *self_cgroup, magic_of_path *magic_of)
{
    *found = (struct lab_hierarchies){.recorded = magic_of != NULL};
    for (const char *line = mountinfo; *line;) {
        char copy[4096];
        size_t length = strcspn(line, "\n");
        if (length < sizeof(copy)) {
            snprintf(copy, sizeof(copy), "%.*s", (int)length, line);
            take_line(found, root, copy, self_cgroup, magic_of ? magic_of : ask_magic);
        }
        line += length + (line[length] == '\n');
    }
    take_v2_controllers(found);
    found->kind = kind_of(found);
}

int lab_hierarchies_find(struct lab_hierarchies *found, const char *base)
{
    enum { SIZE = 4 << 20 }; /* a host of many containers has thousands of mounts */
    char self_cgroup[8192];
    lab_string mountinfo = malloc(SIZE);

    if (!mountinfo || lab_read_file("/proc/self/mountinfo", mountinfo, SIZE) == -1 ||
        lab_read_file("/proc/self/cgroup", self_cgroup, sizeof(self_cgroup)) == -1)
        return -1;
    parse(found, "", mountinfo, self_cgroup, NULL);
    errno = found->error;
    if (found->error || !base)
        return found->error ? -1 : 0;
    found->unified.root[0] = '\0';
    snprintf(found->unified.base, sizeof(found->unified.base), "%s", base);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (found->of[i].version == 2)
            found->of[i] = found->unified;
    return 0;
}

void lab_hierarchies_need(struct lab_hierarchies *found, const char *base)
{
    if (lab_hierarchies_find(found, base) == -1)
        lab_die("find the control groups in /proc/self/mountinfo");
}

bool lab_hierarchy_group(const struct lab_hierarchy *place, enum lab_controller controller,
                         const char *text, char *path, char *directory, size_t size)
{
    return path_in(text, place->version, controller, path, LAB_CGROUP_PATH) &&
           directory_of(place, path, directory, size);
}
