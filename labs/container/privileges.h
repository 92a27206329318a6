/*
 * privileges.h - what root in a container may not do: capabilities, the filter, no way back.
 */
#ifndef CONTAINER_PRIVILEGES_H
#define CONTAINER_PRIVILEGES_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#include "specification.h"

/* The capabilities that root inside has if nothing else is asked for, a bit each. */
uint64_t default_capabilities(void);

/* The bit of "NET_RAW", "cap_net_raw" and the like; all bits for "ALL"; 0 for an unknown name. */
uint64_t capability_bits(const char *name);

/* The names of the capabilities in BITS, "CHOWN,KILL", in TEXT (SIZE bytes). */
void capability_names(uint64_t bits, char *text, size_t size);

/* The filter for CAPABILITIES, made before the process that will load it. Ends by fail(). */
struct sock_fprog filter_for(uint64_t capabilities);

/* The user and the groups of the command. */
struct account {
    uid_t user;
    gid_t group;
    int group_count;
    gid_t *groups; /* of malloc(3); the process executes a command soon */
    char name[64]; /* "" where the user is but a number */
    char home[256];
};

/* Find USER[:GROUP] (NULL: root) in the /etc/passwd and /etc/group of the present root. The files
 * are read here and not by getpwnam(3), which would load libraries of the root file system, with
 * all our rights (CVE-2019-14271). Fails by give_up() where there is no such user. */
void find_account(struct account *account, const char *user);

/* Leave what limits do not apply to, and what a container does not inherit: a realtime priority,
 * which on v2 no quota holds back and on v1 keeps it out of its group, a nice value below 0, a
 * realtime priority of I/O, and protection from the end by lack of memory. Ends by fail().
 * sched(7), ioprio_set(2), proc_pid_oom_score_adj(5) */
void leave_exemptions(void);

/* Lower the limits of what the kernel counts for a user. A container has many, whom it counts
 * together within the limits of the process that makes their user namespace
 * (set_userns_rlimit_max() of kernel/user_namespace.c, since Linux 5.14). Ends by fail(). */
void lower_counted_limits(void);

/* Limit what execve(2) can grant to CAPABILITIES. The process keeps what it has. Ends by fail(). */
void limit_bounding_set(uint64_t capabilities);

/* Become ACCOUNT, with at most the capabilities of SPEC for ever, without a way to get more by
 * execve(2), and behind FILTER. Fails by fail(). capabilities(7), seccomp(2) */
void drop_privileges(const struct specification *spec, const struct account *account,
                     const struct sock_fprog *filter);

#endif
