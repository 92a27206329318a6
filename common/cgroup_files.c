#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_parts.h"
#include "file.h"
#include "lab.h"
#include "number.h"
#include "process.h"

const char *lab_cgroup_file(const struct lab_cgroup *group, enum lab_controller controller,
                            const char *file)
{
    static char paths[4][LAB_CGROUP_LONGEST];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, LAB_CGROUP_LONGEST, "%s/%s%s%s", group->where->of[controller].base, group->name,
             *file ? "/" : "", file);
    return path;
}

/* Open a file that must be on a cgroup file system: on the tmpfs of a v1 machine a file of the same
 * name may lie about, and it would take every write. */
static int open_checked(const struct lab_hierarchies *where, const char *path, int flags)
{
    struct statfs status;
    lab_fd fd = open(path, flags | O_CLOEXEC);

    if (fd == -1 || where->recorded)
        return lab_take_fd(&fd);
    if (fstatfs(fd, &status) == -1)
        return -1;
    if (status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC)
        return lab_take_fd(&fd);
    errno = ENODEV;
    return -1;
}

int lab_cgroup_write_path(const struct lab_hierarchies *where, const char *path, const char *text)
{
    char what[96];
    lab_fd fd = open_checked(where, path, O_WRONLY);

    if (fd != -1 && lab_write_once(fd, text) == 0)
        return 0;
    snprintf(what, sizeof(what), "write '%s' to", text);
    return lab_cgroup_failed(what, path);
}

int lab_cgroup_write(const struct lab_cgroup *group, enum lab_controller controller,
                     const char *file, const char *text)
{
    return lab_cgroup_write_path(group->where, lab_cgroup_file(group, controller, file), text);
}

/* Read FILE into BUFFER (SIZE bytes); a last newline is removed. */
static int read_text(const struct lab_cgroup *group, enum lab_controller controller,
                     const char *file, char *buffer, size_t size)
{
    const char *path = lab_cgroup_file(group, controller, file);

    return lab_read_file(path, buffer, size) == -1 ? lab_cgroup_failed("read", path) : 0;
}

bool lab_cgroup_parse_number(const char *text, const char *key, long long *number)
{
    char word[32];
    size_t length = key ? strlen(key) : 0;

    while (key && (strncmp(text, key, length) != 0 || text[length] != ' ')) {
        text = lab_next_line(text);
        if (!text)
            return false;
    }
    text += key ? length + 1 : 0;
    size_t digits = strcspn(text, "\n");
    if (digits >= sizeof(word))
        return false;
    snprintf(word, sizeof(word), "%.*s", (int)digits, text);
    *number = LAB_UNLIMITED;
    return strcmp(word, "max") == 0 || lab_parse_number(word, INT64_MIN, INT64_MAX, number);
}

int lab_cgroup_number(const struct lab_cgroup *group, enum lab_controller controller,
                      const char *file, const char *key, long long *number)
{
    char text[8192];

    if (read_text(group, controller, file, text, sizeof(text)) == -1)
        return -1;
    if (lab_cgroup_parse_number(text, key, number))
        return 0;
    errno = EBADMSG;
    return lab_cgroup_failed("find a number in", lab_cgroup_file(group, controller, file));
}

/*
 * Limits.
 */

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
    if (read_text(group, LAB_CPU, "cpu.max", text, sizeof(text)) == -1)
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
    if (lab_read_file(path, groups, sizeof(groups)) == -1)
        lab_die("read %s", path);
    if (!lab_hierarchy_group(place, LAB_CPU, groups, own_path, directory, sizeof(directory)))
        return 0;
    const char *below = directory + strlen(place->base);
    for (int length = (int)strlen(below); length >= 0; length--) {
        long long quota, period;
        if (below[length] != '/' && below[length] != '\0' && length > 0)
            continue;
        if (snprintf(group.name, sizeof(group.name), "%.*s", length, below) >=
            (int)sizeof(group.name))
            continue;
        bool read = cpu_limit(&group, &quota, &period) == 0;
        if (!read && errno != ENOENT)
            lab_cgroup_die();
        if (!read || quota == LAB_UNLIMITED)
            continue; /* the root has no limit, and no file for one */
        double percent = 100.0 * (double)quota / (double)period;
        if (ceiling == 0 || percent < ceiling)
            ceiling = percent;
    }
    return ceiling;
}

double lab_cpu_ceiling(pid_t pid)
{
    struct lab_hierarchies where;

    lab_hierarchies_need(&where, NULL);
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

/* Let FILE, a limit of how many there are in GROUP, be COUNT. */
static int set_count(const struct lab_cgroup *group, const char *file, long long count)
{
    char text[32] = "max";
    long long limit;

    if (count != LAB_UNLIMITED)
        snprintf(text, sizeof(text), "%lld", count);
    if (lab_cgroup_write(group, LAB_PIDS, file, text) == -1 ||
        lab_cgroup_number(group, LAB_PIDS, file, NULL, &limit) == -1)
        return -1;
    if (limit == count)
        return 0;
    errno = EIO;
    return lab_cgroup_failed("read back", lab_cgroup_file(group, LAB_PIDS, file));
}

int lab_cgroup_limit(const struct lab_cgroup *group, const struct lab_limits *limits)
{
    if (limits->period && set_cpu(group, limits->quota, limits->period) == -1)
        return -1;
    if (limits->memory && set_memory(group, limits->memory) == -1)
        return -1;
    if (limits->groups && group->where->of[LAB_PIDS].version == 2 &&
        set_count(group, "cgroup.max.descendants", limits->groups) == -1)
        return -1;
    return limits->pids ? set_count(group, "pids.max", limits->pids) : 0;
}

/*
 * Usage.
 */

/* Read the text of a cpu.stat in the dialect of VERSION into *SAMPLE. Numbers that are not there
 * stay as they are: v1 has no usage in it, v2 no periods where the cpu controller is not enabled.
 * Returns whether there was any. */
static bool parse_stat(const char *text, int version, struct lab_cpu_sample *sample)
{
    bool any = lab_cgroup_parse_number(text, "nr_periods", &sample->periods);

    any |= lab_cgroup_parse_number(text, "nr_throttled", &sample->throttled);
    if (version == 2) {
        any |= lab_cgroup_parse_number(text, "throttled_usec", &sample->throttled_time);
        any |= lab_cgroup_parse_number(text, "usage_usec", &sample->usage);
    } else if (lab_cgroup_parse_number(text, "throttled_time", &sample->throttled_time)) {
        sample->throttled_time /= 1000; /* v1 counts nanoseconds */
        any = true;
    }
    return any;
}

static int sample_process(pid_t pid, struct lab_cpu_sample *sample)
{
    clockid_t clock;
    struct timespec used;

    errno = clock_getcpuclockid(pid, &clock);
    if (errno || clock_gettime(clock, &used) == -1)
        return -1;
    sample->at = lab_now();
    sample->usage = used.tv_sec * 1000000LL + used.tv_nsec / 1000;
    return 0;
}

int lab_cpu_sample(const struct lab_cgroup *group, pid_t pid, struct lab_cpu_sample *sample)
{
    char text[4096];

    *sample = (struct lab_cpu_sample){0};
    if (!group)
        return sample_process(pid, sample);
    if (group->where->of[LAB_CPUACCT].version == 1) {
        if (lab_cgroup_number(group, LAB_CPUACCT, "cpuacct.usage", NULL, &sample->usage) == -1)
            return -1;
        sample->usage /= 1000;
    } else {
        if (read_text(group, LAB_CPUACCT, "cpu.stat", text, sizeof(text)) == -1)
            return -1;
        parse_stat(text, 2, sample);
    }
    sample->at = lab_now();
    if (group->where->of[LAB_CPU].version == 1) {
        if (read_text(group, LAB_CPU, "cpu.stat", text, sizeof(text)) == -1)
            return -1;
        parse_stat(text, 1, sample);
    }
    return 0;
}

struct lab_cpu_sample lab_cpu_difference(const struct lab_cpu_sample *from,
                                         const struct lab_cpu_sample *to)
{
    const long long passed = to->at - from->at, usage = to->usage - from->usage;

    return (struct lab_cpu_sample){
        .at = passed,
        .usage = usage,
        .periods = to->periods - from->periods,
        .throttled = to->throttled - from->throttled,
        .throttled_time = to->throttled_time - from->throttled_time,
        .percent = passed > 0 ? 100.0 * (double)usage / (double)passed : 0,
    };
}

int lab_cpu_count(void)
{
    cpu_set_t cpus;

    /* A machine of more than 1024 CPUs does not fit: then all that are online. */
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        return CPU_COUNT(&cpus);
    if (errno != EINVAL)
        lab_die("sched_getaffinity");
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}
