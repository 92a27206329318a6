/*
 * cgroup.h - a control group: one object, whichever dialect the machine speaks.
 *
 * A group is a name below the root of each controller's hierarchy: on v2 one directory, on v1 as
 * many as the controllers asked for have mounts. mkdir(2) makes a group, rmdir(2) removes it, and
 * everything else is a write to or a read of a file in it. Files are opened without O_CREAT, are
 * checked to be on a cgroup file system, and are read back after they were written.
 *
 * Functions return 0 or -1 with errno; lab_cgroup_die() then prints what was tried, on which file,
 * and what can be done about it. cgroups(7), Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/ of the kernel.
 */
#ifndef LAB_CGROUP_H
#define LAB_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hierarchy.h"

/* A set of controllers: LAB_BIT(LAB_CPU) | LAB_BIT(LAB_MEMORY). */
#define LAB_BIT(controller) (1U << (controller))

enum { LAB_CGROUP_NAME = 256 };

struct lab_cgroup {
    const struct lab_hierarchies *where;
    unsigned controllers;       /* a set */
    char name[LAB_CGROUP_NAME]; /* below the base of each hierarchy: "container-labs/05-4711/A" */
};

/* The path of FILE ("": the directory itself) of GROUP in CONTROLLER's hierarchy. Returns one of
 * four static buffers, so that a few paths can stand in one call. */
const char *lab_cgroup_file(const struct lab_cgroup *group, enum lab_controller controller,
                            const char *file);

/* The groups of the labs are made below container-labs/NAME, each NAME a run's. */
#define LAB_CGROUP_PARENT "container-labs"

/* Make GROUP: container-labs/NAME below the roots of the hierarchies of all CONTROLLERS. On v2 the
 * controllers are handed on by cgroup.subtree_control from the root downwards. A group that exists
 * is EEXIST, a controller that is nowhere ENODEV (EXDEV: outside of our namespace). What was made
 * is removed again when a later part fails. WHERE must live as long as GROUP. Runs are expected to
 * lock each other out meanwhile. */
int lab_cgroup_create_run(struct lab_cgroup *group, const struct lab_hierarchies *where,
                          const char *name, unsigned controllers);

/* Make CHILD: the group NAME in PARENT, with the same controllers. On v2 PARENT hands them on, so
 * it must have no processes of its own. */
int lab_cgroup_create_in(struct lab_cgroup *child, const struct lab_cgroup *parent,
                         const char *name);

/* Write TEXT to FILE of GROUP in CONTROLLER's hierarchy. */
int lab_cgroup_write(const struct lab_cgroup *group, enum lab_controller controller,
                     const char *file, const char *text);

/* The number behind KEY in FILE, whose lines are "key number" (cpu.stat, memory.events), or the
 * only number of FILE where KEY is NULL. "max" is -1. EBADMSG where there is no such number. */
int lab_cgroup_number(const struct lab_cgroup *group, enum lab_controller controller,
                      const char *file, const char *key, long long *number);

/* The same of a text in the form of such a file. Returns whether there is one. */
bool lab_cgroup_parse_number(const char *text, const char *key, long long *number);

enum {
    LAB_UNLIMITED = -1,
    LAB_MINIMUM_QUOTA = 1000, /* microseconds; the kernel refuses less */
    LAB_MINIMUM_PERIOD = 1000,
    LAB_MAXIMUM_PERIOD = 1000000,
};

/* What a group may use at most. 0: as it was. */
struct lab_limits {
    long long quota;  /* microseconds of CPU time in every PERIOD, or LAB_UNLIMITED: */
    long long period; /* cpu.cfs_quota_us and cpu.cfs_period_us, or cpu.max */
    long long memory; /* bytes, and no swap beyond it where swap is counted: memory.limit_in_bytes
                       * and memory.memsw.limit_in_bytes, or memory.max and memory.swap.max */
    long long pids;   /* processes and threads: pids.max, the same in both dialects */
    long long groups; /* below it: cgroup.max.descendants of v2; v1 has no such limit */
};

/* Limit GROUP, and read back what is in force. EINVAL where a parent allows less CPU time (v1). */
int lab_cgroup_limit(const struct lab_cgroup *group, const struct lab_limits *limits);

enum { LAB_MINIMUM_SHARES = 2, LAB_DEFAULT_SHARES = 1024, LAB_MAXIMUM_SHARES = 262144 };

/* Give GROUP this many SHARES (LAB_MINIMUM_SHARES to LAB_MAXIMUM_SHARES), its weight among its
 * neighbours: cpu.shares of v1, or the weight for it to cpu.weight of v2. ERANGE where the kernel
 * took another number. A program that uses this function is linked with -lm. */
int lab_cgroup_set_shares(const struct lab_cgroup *group, int shares);

/* How much CPU time was used until now, by the kernel's own accounting; all times in microseconds.
 * The rate of use is the difference of two samples. Under a quota it is only the quota over a whole
 * number of periods. In the periods in which a group was throttled its limit held it back; where it
 * was not throttled and got less than it wanted, others had the CPUs. */
struct lab_cpu_sample {
    long long at;             /* CLOCK_MONOTONIC */
    long long usage;          /* CPU time of all processes of the group, the dead ones included */
    long long periods;        /* that have passed while the group had a quota and ran */
    long long throttled;      /* of these, those in which the quota was used up */
    long long throttled_time; /* the group's CPUs stood still so long */
    double percent;           /* of a difference: usage in percent of one CPU */
};

/* Take a sample of GROUP: cpuacct.usage and cpu.stat of v1 (LAB_CPUACCT and LAB_CPU must be among
 * its controllers), cpu.stat of v2. GROUP NULL: of process PID, only the time and the usage,
 * clock_getcpuclockid(3). */
int lab_cpu_sample(const struct lab_cgroup *group, pid_t pid, struct lab_cpu_sample *sample);

/* What was used between two samples: *TO minus *FROM, field by field. */
struct lab_cpu_sample lab_cpu_difference(const struct lab_cpu_sample *from,
                                         const struct lab_cpu_sample *to);

/* Move process PID with all its threads (0: the caller) into GROUP, by cgroup.procs of each of its
 * hierarchies. */
int lab_cgroup_enter(const struct lab_cgroup *group, pid_t pid);

/* Kill every process in GROUP and in the groups below it, and wait until they are dead
 * (cgroup.kill, or SIGKILL to each until none is left). Limits of CPU time, by which that would
 * take for ever, are lifted. */
int lab_cgroup_kill(const struct lab_cgroup *group);

/* Kill the processes in the same way, and remove the groups. One that is gone is fine. First,
 * unless ORIGIN is NULL, give the processes of GROUP back: to where ORIGIN, a text of
 * lab_cgroup_origin(), tells, or the nearest group above which is there yet. */
int lab_cgroup_remove(const struct lab_cgroup *group, const char *origin);

/* Where process PID is now in the hierarchies of GROUP's controllers: a line "controller directory"
 * for each, in TEXT (SIZE bytes). ESRCH where there is no such process, ENOTSUP where its group
 * cannot be seen from here. */
int lab_cgroup_origin(const struct lab_cgroup *group, pid_t pid, char *text, size_t size);

/* Before the directory in which a run without root has its groups, in the place of an ORIGIN. */
#define LAB_CGROUP_BASE "base "

/* Take away all that the run NAME has in any hierarchy: its processes are killed, or given back
 * by ORIGIN where it is not empty, its groups removed; and, if runs are LOCKED out meanwhile,
 * container-labs too where it is empty then. */
int lab_cgroup_remove_run(const char *name, const char *origin, bool locked);

/* Without root: from now on let groups be made in the nearest group, from our own one upwards, that
 * belongs to the caller, can hand on all CONTROLLERS and has no processes of its own. Returns 0, or
 * -1 with errno: EOPNOTSUPP where one of them is on v1, EACCES where no group belongs to the
 * caller, ENODEV where none has them all; EBUSY where only processes are in the way, and DIRECTORY
 * (LAB_CGROUP_PATH bytes) is the group that they are in. DIRECTORY NULL: ends in the place of -1,
 * with the command that gets such a group. Where it cannot be told, it ends in any case. */
int lab_cgroup_delegated(struct lab_hierarchies *where, unsigned controllers, char *directory);

/* Print what failed last, its errno, and the remedy; end with lab_exit_failure, or as
 * lab_cannot_run() does where it is the machine that lacks something. */
__attribute__((noreturn)) void lab_cgroup_die(void);

#endif
