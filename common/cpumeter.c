#include "cpumeter.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "process.h"

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
        if (lab_cgroup_read(group, LAB_CPUACCT, "cpu.stat", text, sizeof(text)) == -1)
            return -1;
        parse_stat(text, 2, sample);
    }
    sample->at = lab_now();
    if (group->where->of[LAB_CPU].version == 1) {
        if (lab_cgroup_read(group, LAB_CPU, "cpu.stat", text, sizeof(text)) == -1)
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
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}
