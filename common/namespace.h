/*
 * namespace.h - the eight kinds of namespaces of Linux, namespaces(7).
 */
#ifndef LAB_NAMESPACE_H
#define LAB_NAMESPACE_H

#include <stddef.h>
#include <sys/types.h>

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
    const char *isolates; /* in a few words */
};

enum { LAB_NAMESPACES = 8 };

/* In the order in which setns(2) should join them one by one: the user namespace first, because it
 * gives the right to join the others, and mount last but for the order among the rest, because
 * after it /proc may be another one. */
extern const struct lab_namespace lab_namespaces[LAB_NAMESPACES];

/* The kind with this NAME ("mnt"), NULL where there is none. */
const struct lab_namespace *lab_namespace_named(const char *name);

/* The inode number that identifies the namespace behind /proc/PID/ns/FILE (PID 0: /proc/self).
 * Two processes are in the same namespace when the numbers are equal. 0 with errno on failure. */
ino_t lab_namespace_inode(pid_t pid, const char *file);

/* Write to NAMES (SIZE bytes) the kinds in which the processes A and B (0: this one) are in
 * different namespaces, in the order above, as in "pid mnt"; "" where they share all eight.
 * Returns 0, or -1 with errno where one of them cannot be looked at. */
int lab_namespaces_differing(pid_t a, pid_t b, char *names, size_t size);

#endif
