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

/* The controllers that the labs use. On v2, cpu does the work of v1's cpuacct too. */
enum lab_controller { LAB_CPU, LAB_CPUACCT, LAB_MEMORY, LAB_PIDS, LAB_CONTROLLERS };

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
    char v1[256], v2[256];        /* the names of all controllers in each, with blanks between */
    bool outside;                 /* a mount from outside our cgroup namespace was passed over */
    bool recorded;                /* read from a recorded tree: its files are on no cgroupfs */
    int error;                    /* errno, where a mount cannot be looked at; else 0 */
};

/* The name of a controller: "cpu". */
const char *lab_controller_name(enum lab_controller controller);

/* What the file system at PATH is, f_type of statfs(2); -1 with errno where it cannot be asked. */
typedef long lab_magic_of(const char *path);

/* Find the controllers from texts in the form of /proc/self/mountinfo and /proc/self/cgroup. ROOT
 * comes before every path: "" on the machine itself, or the directory of a recorded tree, whose
 * file systems are what MAGIC_OF says (NULL: ask the kernel). A controller that is nowhere has
 * version 0. */
void lab_hierarchies_parse(struct lab_hierarchies *found, const char *root, const char *mountinfo,
                           const char *self_cgroup, lab_magic_of *magic_of);

/* The same for this machine and this process. Returns 0, or -1 with errno. */
int lab_hierarchies_find(struct lab_hierarchies *found);

/* Without root: from now on let groups be made in the nearest group, from our own one upwards, that
 * belongs to the caller, can hand on all CONTROLLERS (a set of bits, 1 << controller) and has no
 * processes of its own. Returns 0, or -1 with errno: EOPNOTSUPP where one of them is on v1, EACCES
 * where no group belongs to the caller, ENODEV where none has them all; EBUSY where only processes
 * are in the way, and DIRECTORY (SIZE bytes) is the group that they are in. */
int lab_hierarchies_delegated(struct lab_hierarchies *found, unsigned controllers, char *directory,
                              size_t size);

/* From now on let groups be made below the directory BASE of v2, which is the group ROOT. */
void lab_hierarchies_set_base(struct lab_hierarchies *found, const char *base, const char *root);

/* "cgroup v1", "cgroup v2", "hybrid (v1 beside v2)", or "no cgroup file system". */
const char *lab_hierarchies_kind(const struct lab_hierarchies *found);

/* The group of a process: which path TEXT, in the form of /proc/PID/cgroup, has for CONTROLLER in a
 * hierarchy of VERSION. Written to PATH (SIZE bytes). Returns whether there is one. */
bool lab_cgroup_path_in(const char *text, int version, enum lab_controller controller, char *path,
                        size_t size);

/* The directory of that group below the mount that HIERARCHY describes, in DIRECTORY (SIZE bytes).
 * Returns whether it can be seen from there. */
bool lab_cgroup_directory(const struct lab_hierarchy *hierarchy, const char *path, char *directory,
                          size_t size);

#endif
