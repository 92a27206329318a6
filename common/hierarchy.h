/*
 * hierarchy.h - where this machine keeps its cgroup controllers, and in which dialect they speak.
 *
 * A machine has cgroup v1 (a hierarchy for every controller, or for a few together), v2 (one for
 * all of them) or both at once, a hybrid; then each controller is in exactly one of the two. No
 * path is taken for granted: /proc/self/mountinfo names the mounts, /proc/self/cgroup the place of
 * this process in them, and statfs(2) says what lies on a mount point now. On a v1 machine
 * /sys/fs/cgroup itself is a tmpfs, on which a write to "x/cpu.max" creates an ordinary file,
 * succeeds, and limits nothing. cgroups(7), cgroup_namespaces(7), proc_pid_mountinfo(5).
 */
#ifndef LAB_HIERARCHY_H
#define LAB_HIERARCHY_H

#include <stdbool.h>
#include <stddef.h>

/* The controllers that the labs use, and their names: "cpu". On v2, cpu does the work of v1's
 * cpuacct too. */
enum lab_controller { LAB_CPU, LAB_CPUACCT, LAB_MEMORY, LAB_PIDS, LAB_CONTROLLERS };
extern const char *const lab_controllers[LAB_CONTROLLERS];

enum { LAB_CGROUP_PATH = 512 }; /* longer paths are passed over as if they were not there */

/* The place of one controller. */
struct lab_hierarchy {
    int version;                /* 1 or 2; 0: the controller cannot be used here */
    bool read_only;             /* mounted so, as in most containers */
    char base[LAB_CGROUP_PATH]; /* the directory below which groups can be made */
    char root[LAB_CGROUP_PATH]; /* which group of the hierarchy that directory is: "/" */
};

/* What was found. */
struct lab_hierarchies {
    struct lab_hierarchy of[LAB_CONTROLLERS];
    struct lab_hierarchy unified; /* the v2 hierarchy, whatever controllers it has */
    const char *kind;             /* "cgroup v1", "hybrid (v1 beside v2)", and the like */
    char v1[256], v2[256];        /* the names of all controllers in each, with blanks between */
    bool outside;                 /* a mount from outside our cgroup namespace was passed over */
    bool recorded;                /* read from a recorded tree: its files are on no cgroupfs */
    int error;                    /* errno, where a mount cannot be looked at; else 0 */
};

/* Find where this machine has its controllers, for this process; one that is nowhere has version 0.
 * BASE: let groups of v2 be made below this directory of it; NULL: below the mount itself. Returns
 * 0, or -1 with errno. */
int lab_hierarchies_find(struct lab_hierarchies *found, const char *base);

/* The same, or exits. */
void lab_hierarchies_need(struct lab_hierarchies *found, const char *base);

/* The group of a process, which TEXT, in the form of /proc/PID/cgroup, names for CONTROLLER in the
 * hierarchy PLACE: its path in the hierarchy, in PATH (LAB_CGROUP_PATH bytes), and its directory
 * below the mount, in DIRECTORY (SIZE bytes). Returns whether it can be seen from here. */
bool lab_hierarchy_group(const struct lab_hierarchy *place, enum lab_controller controller,
                         const char *text, char *path, char *directory, size_t size);

#endif
