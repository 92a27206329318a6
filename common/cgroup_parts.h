/*
 * cgroup_parts.h - what the files behind cgroup.h share: cgroup.c (where groups are made, and
 * for whom), cgroup_files.c (limits are written, usage is read), cgroup_end.c (processes enter, are
 * killed or given back, groups removed), and cgroup_remedy.c.
 */
#ifndef LAB_CGROUP_PARTS_H
#define LAB_CGROUP_PARTS_H

#include "cgroup.h"

enum { LAB_CGROUP_LONGEST = LAB_CGROUP_PATH + LAB_CGROUP_NAME + 64 }; /* bytes of a path */

/* Note for lab_cgroup_die() that WHAT ("mkdir") was tried on PATH and failed with errno, which
 * stays. Returns -1. */
int lab_cgroup_failed(const char *what, const char *path);

/* Whether CONTROLLER is the first of GROUP's controllers in its hierarchy: so that a hierarchy that
 * several of them share is dealt with once. */
bool lab_cgroup_is_first(const struct lab_cgroup *group, enum lab_controller controller);

/* Write TEXT to PATH, an existing file on a cgroup file system. Returns 0, or -1 with errno; ENODEV
 * where it is on another file system. */
int lab_cgroup_write_path(const struct lab_hierarchies *where, const char *path, const char *text);

#endif
