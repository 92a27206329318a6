/*
 * mounts.h - the file system of a container, made on two sides.
 *
 * Outside, where the machine's paths and rights are available: the root (an overlay over the base),
 * /dev, the volumes. Each is an unattached mount that only a descriptor refers to; it is sent to
 * the child by a socket, and vanishes with its descriptors.
 *
 * Inside: while the outside part is made, /proc and /sys of the container's own namespaces, with
 * masks over what they show of the machine; then pivot_root(2). Links in the root file system are
 * not trusted: its paths are resolved beneath a descriptor, or after pivot_root(2).
 *
 * fsopen(2), fsmount(2), open_tree(2), mount_setattr(2), move_mount(2): Linux 5.12.
 */
#ifndef CONTAINER_MOUNTS_H
#define CONTAINER_MOUNTS_H

#include "container.h"

/* The devices in /dev. */
enum { DEVICE_COUNT = 6 };
extern const struct device {
    const char *name;
    unsigned major, minor;
} DEVICES[DEVICE_COUNT];

/* Mounts that were made outside. */
struct mounts {
    int root, device;
    int volumes[MAXIMUM_VOLUMES];
    int used[2]; /* what the root was made of: to be closed when there is time, it takes some */
};

/* Make the mounts of CONTAINER; errors end by fail(). USERS is the container's user namespace, or
 * -1: then files keep the owners they have. BASE is a descriptor of the base directory. */
void mounts_make(struct mounts *mounts, struct container *container, int base, int users);

/* A mount of BASE, the base directory of SPEC, whose files are owned as USERS, a user namespace,
 * maps them; with -1 by their owners. Returns its descriptor. Ends by give_up() where this kernel
 * or file system cannot do that: root inside would be root outside. */
int mounts_show_base(const struct specification *spec, int base, int users);

/* File systems that show what the namespaces of the process that makes them have. */
struct pseudo_mounts {
    int proc, sys, terminals, shared_memory, queues; /* -1: none */
    int covers;                                      /* what masks; -1: nothing is masked */
};

/* Inside, with the old root still there: the kernel lets a user namespace have /proc and /sys only
 * where it sees whole ones already. V2: there is a cgroup v2 hierarchy to show. */
void mounts_make_pseudo(struct pseudo_mounts *own, const struct specification *spec, bool v2);

/* Cover what /proc and /sys show of the whole machine, and make read-only what root could change.
 */
void mounts_mask(const struct pseudo_mounts *own, const struct specification *spec);

/* Make MOUNTS->root the root of this mount namespace, with /dev, /proc and /sys, and detach the old
 * one. */
void mounts_pivot(const struct mounts *mounts, const struct pseudo_mounts *own,
                  const struct container *container);

/* Make the mount ROOT the root of this mount namespace. The old root lies over it until it is
 * detached. */
void mounts_enter_root(int root);
void mounts_leave_old_root(void);

/* Attach all the others. */
void mounts_attach(const struct mounts *mounts, const struct pseudo_mounts *own,
                   const struct specification *spec);

/* Write VALUE to sys/NAME of OWN's /proc, which still can be written to. Without such a file
 * nothing happens. */
void mounts_set(const struct pseudo_mounts *own, const char *name, const char *value);

/*
 * The mount calls, as they are used here: a mount is made first and attached afterwards, or never.
 */

/* Make a file system of TYPE with OPTIONS, pairs of key and value (NULL: a flag) up to one without
 * a key, and a mount of it with ATTRIBUTES (MOUNT_ATTR_...). Returns its descriptor, or -1 with
 * errno. */
int new_mount(const char *type, const char *const options[][2], unsigned attributes);

/* A copy of the mount of NAME below DIRECTORY ("": of DIRECTORY itself), beginning there, without a
 * place, and a private one; with the mounts below it if RECURSIVE. Returns its descriptor, or -1
 * with errno. mount_namespaces(7) */
int clone_mount(int directory, const char *name, bool recursive);

/* Set ATTRIBUTES of MOUNT at NAME; USERS is the user namespace for MOUNT_ATTR_IDMAP. */
int set_mount(int mount, const char *name, unsigned attributes, int users, bool recursive);

/* Attach MOUNT on TARGET. Both are descriptors: no path is looked up. */
int attach(int mount, int target);

#endif
