#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_parts.h"
#include "file.h"
#include "lab.h"
#include "number.h"

/* The two numbers of a text in the form of cpu.max: "max 100000". Returns whether it is one. */
static bool parse_cpu_max(const char *text, long long *quota, long long *period)
{
    char first[32], second[32];
    int used = 0;

    if (sscanf(text, "%31s %31s%n", first, second, &used) != 2 || text[used] != '\0')
        return false;
    return lab_cgroup_parse_number(first, NULL, quota) &&
           lab_parse_number(second, 1, INT64_MAX, period);
}

/* The limit of GROUP, read back. */
static int cpu_limit(const struct lab_cgroup *group, long long *quota, long long *period)
{
    char text[64];

    if (group->where->of[LAB_CPU].version == 1)
        return lab_cgroup_number(group, LAB_CPU, "cpu.cfs_quota_us", NULL, quota) == -1 ||
                       lab_cgroup_number(group, LAB_CPU, "cpu.cfs_period_us", NULL, period) == -1
                   ? -1
                   : 0;
    if (lab_cgroup_read(group, LAB_CPU, "cpu.max", text, sizeof(text)) == -1)
        return -1;
    if (parse_cpu_max(text, quota, period))
        return 0;
    errno = EBADMSG;
    lab_cgroup_failed("find a limit in", lab_cgroup_file(group, LAB_CPU, "cpu.max"));
    return -1;
}

/* The least that a quota of the group of process PID, or of one above it, allows: in percent of a
 * CPU. 0 where none of them has one, as far as can be seen from here. */
static double least_quota(const struct lab_hierarchies *where, pid_t pid)
{
    const struct lab_hierarchy *place = &where->of[LAB_CPU];
    struct lab_cgroup group = {.where = where};
    char path[64], groups[8192], own_path[LAB_CGROUP_PATH], directory[LAB_CGROUP_PATH * 2];
    double ceiling = 0;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (lab_read_file(path, groups, sizeof(groups)) == -1 ||
        !lab_hierarchy_group(place, LAB_CPU, groups, own_path, directory, sizeof(directory)))
        return 0;
    const char *below = directory + strlen(place->base);
    for (int length = (int)strlen(below); length >= 0; length--) {
        long long quota, period;
        if (below[length] != '/' && below[length] != '\0' && length > 0)
            continue;
        if (snprintf(group.name, sizeof(group.name), "%.*s", length, below) >=
                (int)sizeof(group.name) ||
            cpu_limit(&group, &quota, &period) == -1 || quota == LAB_UNLIMITED)
            continue; /* the root of v2 has no limit, and no file for one */
        double percent = 100.0 * (double)quota / (double)period;
        if (ceiling == 0 || percent < ceiling)
            ceiling = percent;
    }
    return ceiling;
}

double lab_cpu_ceiling(pid_t pid)
{
    struct lab_hierarchies where;

    if (lab_hierarchies_find(&where, NULL) == -1)
        lab_die("read /proc/self/mountinfo");
    double all = 100.0 * lab_cpu_count(), least = least_quota(&where, pid);
    return least > 0 && least < all ? least : all;
}

static int write_number(const struct lab_cgroup *group, enum lab_controller controller,
                        const char *file, long long number)
{
    char text[32] = "max";

    if (number != LAB_UNLIMITED || group->where->of[controller].version == 1)
        snprintf(text, sizeof(text), "%lld", number);
    return lab_cgroup_write(group, controller, file, text);
}

/* The quota and the period are two files in v1, and the kernel checks after each write that the
 * group gets no more than its parent: without a quota in between, no combination can be refused
 * that would be right in the end. */
static int write_limit_v1(const struct lab_cgroup *group, long long quota, long long period)
{
    long long old_quota, old_period;

    if (cpu_limit(group, &old_quota, &old_period) == -1)
        return -1;
    if (old_period != period) {
        if (old_quota != LAB_UNLIMITED &&
            write_number(group, LAB_CPU, "cpu.cfs_quota_us", LAB_UNLIMITED) == -1)
            return -1;
        if (write_number(group, LAB_CPU, "cpu.cfs_period_us", period) == -1)
            return -1;
    }
    return write_number(group, LAB_CPU, "cpu.cfs_quota_us", quota);
}

static int set_cpu(const struct lab_cgroup *group, long long quota, long long period)
{
    char text[64];
    long long new_quota, new_period;
    int result;

    if (group->where->of[LAB_CPU].version == 1) {
        result = write_limit_v1(group, quota, period);
    } else {
        if (quota == LAB_UNLIMITED)
            snprintf(text, sizeof(text), "max %lld", period);
        else
            snprintf(text, sizeof(text), "%lld %lld", quota, period);
        result = lab_cgroup_write(group, LAB_CPU, "cpu.max", text);
    }
    if (result == -1 || cpu_limit(group, &new_quota, &new_period) == -1)
        return -1;
    if (new_quota == quota && new_period == period)
        return 0;
    errno = EIO;
    return lab_cgroup_failed("read back the limit of", lab_cgroup_file(group, LAB_CPU, ""));
}

/* What is in force: bytes, or LAB_UNLIMITED. */
static int memory_limit(const struct lab_cgroup *group, long long *bytes)
{
    if (group->where->of[LAB_MEMORY].version == 2)
        return lab_cgroup_number(group, LAB_MEMORY, "memory.max", NULL, bytes);
    if (lab_cgroup_number(group, LAB_MEMORY, "memory.limit_in_bytes", NULL, bytes) == -1)
        return -1;
    /* v1 writes "no limit" as the largest number of whole pages. */
    if (*bytes > INT64_MAX - (1 << 20))
        *bytes = LAB_UNLIMITED;
    return 0;
}

static int set_memory(const struct lab_cgroup *group, long long bytes)
{
    bool v2 = group->where->of[LAB_MEMORY].version == 2;
    const char *swap = v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
    int has_swap = lab_is_there(lab_cgroup_file(group, LAB_MEMORY, swap));
    long long limit;

    if (has_swap == -1)
        return lab_cgroup_failed("look at", lab_cgroup_file(group, LAB_MEMORY, swap));
    if (write_number(group, LAB_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes", bytes) == -1)
        return -1;
    /* v1 counts memory and swap together, v2 swap alone. */
    if (has_swap && write_number(group, LAB_MEMORY, swap, v2 && bytes >= 0 ? 0 : bytes) == -1)
        return -1;
    if (memory_limit(group, &limit) == -1)
        return -1;
    if (limit == bytes || (limit <= bytes && limit > bytes - sysconf(_SC_PAGESIZE)))
        return 0;
    errno = EIO;
    return lab_cgroup_failed("read back the memory limit of",
                             lab_cgroup_file(group, LAB_MEMORY, ""));
}

static int set_pids(const struct lab_cgroup *group, long long count)
{
    char text[32] = "max";
    long long limit;

    if (count != LAB_UNLIMITED)
        snprintf(text, sizeof(text), "%lld", count);
    if (lab_cgroup_write(group, LAB_PIDS, "pids.max", text) == -1 ||
        lab_cgroup_number(group, LAB_PIDS, "pids.max", NULL, &limit) == -1)
        return -1;
    if (limit == count)
        return 0;
    errno = EIO;
    return lab_cgroup_failed("read back", lab_cgroup_file(group, LAB_PIDS, "pids.max"));
}

int lab_cgroup_limit(const struct lab_cgroup *group, const struct lab_limits *limits)
{
    if (limits->period && set_cpu(group, limits->quota, limits->period) == -1)
        return -1;
    if (limits->memory && set_memory(group, limits->memory) == -1)
        return -1;
    return limits->pids ? set_pids(group, limits->pids) : 0;
}
