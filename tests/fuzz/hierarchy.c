/* Fuzz what reads /proc/self/mountinfo and /proc/PID/cgroup: the two texts, with a NUL between. */
#include <linux/magic.h>

#include "../../common/hierarchy.c" /* the parsers are static */
#include "fuzz.h"

static long any_magic(const char *path)
{
    /* Each answer for some path. */
    static const long magic[] = {CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, TMPFS_MAGIC};

    return magic[strlen(path) % 3];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_hierarchies found;
    char *text = malloc(size + 2), path[LAB_CGROUP_PATH], directory[LAB_CGROUP_PATH * 2];

    if (!text)
        return 0;
    memcpy(text, data, size);
    memset(text + size, 0, 2);
    const char *groups = text + strlen(text) + (strlen(text) < size);
    parse(&found, "/nowhere", text, groups, any_magic);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        for (int version = 1; version <= 2; version++)
            if (path_in(groups, version, i, path, sizeof(path)) &&
                directory_of(&found.of[i], path, directory, sizeof(directory)) &&
                strncmp(directory, found.of[i].base, strlen(found.of[i].base)) != 0)
                abort();
    free(text);
    return 0;
}
