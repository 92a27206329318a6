/*
 * rootless.h - an experiment without root: it enters a user namespace and goes on as root of that.
 *
 * The caller becomes user 0 there. Where /etc/subuid and /etc/subgid give the caller further IDs
 * and newuidmap(1) is installed, the namespace has these, too: 1 to 65535, and from 100000 on.
 * user_namespaces(7), subuid(5)
 */
#ifndef LAB_ROOTLESS_H
#define LAB_ROOTLESS_H

/* Without root, go on as root of a new user namespace, with private mounts, host name and IPC
 * objects. With root, do nothing. Exits as lab_cannot_run() does where the machine refuses it. */
void lab_become_root(void);

/* Root has the directories of the administrator's commands in PATH, an ordinary user may not: add
 * them. lab_become_root() does it. */
void lab_extend_path(void);

/* Where lab_become_root() has entered a user namespace, the way it took, in a line that ends with
 * what root would add; else NULL. */
extern const char *lab_rootless;

/* The directory of all runs of this user: /run/container-labs, where only root can make a link;
 * without root container-labs in XDG_RUNTIME_DIR, or /tmp/container-labs-UID. */
const char *lab_runs(void);

/* What can be done where an ordinary user cannot make a user namespace, or has no rights in it. */
const char *lab_rootless_remedy(void);

#endif
