/*
 * namespace.h - the eight kinds of namespaces of Linux, namespaces(7).
 */
#ifndef LAB_NAMESPACE_H
#define LAB_NAMESPACE_H

#include "lab.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080 /* Linux 5.6; linux/sched.h */
#endif

struct lab_namespace {
    const char *name;   /* the file in /proc/PID/ns: "mnt" */
    const char *option; /* the long option of unshare(1) and nsenter(1): "mount" */
    char letter;        /* their short option: 'm' */
    int flag;           /* CLONE_NEWNS */
    const char *flag_name;
    const char *children; /* the file for the namespace of future children, where it can differ */
};

enum { LAB_NAMESPACES = 8 };

/* The numbers of the namespaces that the machine starts with; linux/proc_ns.h. */
enum {
    LAB_INITIAL_USER = (int)0xEFFFFFFD,
    LAB_INITIAL_PID = (int)0xEFFFFFFC,
    LAB_INITIAL_TIME = (int)0xEFFFFFFA
};

/* In the order in which setns(2) should join them one by one: the user namespace first, because it
 * gives the right to join the others, and mount last but for the order among the rest, because
 * after it /proc may be another one. */
extern const struct lab_namespace lab_namespaces[LAB_NAMESPACES];

/* Map the users and groups 0 to COUNT - 1 of the user namespace of process PID to FIRST and the
 * next COUNT - 1 of ours: one line in its uid_map and its gid_map. Returns 0, or -1 with errno.
 * user_namespaces(7). */
int lab_map_ids(pid_t pid, uid_t first, unsigned count);

/* Map the users and groups below END of the user namespace of process PID to the same of ours, as
 * far as ours has them. Returns 0, or -1 with errno. */
int lab_map_same_ids(pid_t pid, unsigned end);

/* From now on the user namespaces that root makes belong to USER, to whom the kernel charges what
 * the users in them have (inotify instances, timers, message queues); root would have none left.
 * The capabilities stay. 0: to root again. Returns 0 with errno as it was, or -1 with errno.
 * SECBIT_NO_SETUID_FIXUP of capabilities(7), inc_ucount() of kernel/ucount.c. */
int lab_own_namespaces_as(uid_t user);

/* The PID of the caller in a form that is unique on the machine: "4711", or "4711.4026532567" with
 * the number of its PID namespace where that is not the machine's first, because a PID is unique
 * only in its namespace. A static buffer; exits where the namespace cannot be read. */
const char *lab_unique_pid(void);

/* The cookie of our network namespace, a number that no other one is given until the machine starts
 * again: SO_NETNS_COOKIE, Linux 5.14. Where the kernel has none, the number of its inode, which may
 * be given away again. Returns 0, or -1 with errno. */
int lab_network_cookie(unsigned long long *cookie);

/* Join a new, empty session keyring. There is no namespace of keys: without this, a process can use
 * the keys of those who started it. Returns 0, also where the kernel has no keys, or -1 with errno.
 * keyctl(2) */
int lab_leave_keyring(void);

/* Whether user 0 of this user namespace is that of the machine: no wall, for what this one owns. */
bool lab_is_root_of_machine(void);

#endif
