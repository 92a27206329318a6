/*
 * privileges.h - what root in a container may not do: capabilities, the filter, no way back.
 */
#ifndef CONTAINER_PRIVILEGES_H
#define CONTAINER_PRIVILEGES_H

#include <linux/filter.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "specification.h"

/* The capabilities that root inside has if nothing else is asked for, a bit each. */
uint64_t default_capabilities(void);

/* The bit of "NET_RAW", "cap_net_raw" and the like; all bits of "ALL"; 0: there is no such one. */
uint64_t capability_bits(const char *name);

/* The names of the capabilities in BITS, "CHOWN,KILL", in TEXT (SIZE bytes). */
void capability_names(uint64_t bits, char *text, size_t size);

/* The filter for CAPABILITIES: made beforehand, because the process that will use it has no time.
 * Fails by fail(). */
struct sock_fprog filter_for(uint64_t capabilities);

/* Who the command runs as. */
struct account {
    uid_t user;
    gid_t group;
    int group_count;
    gid_t groups[64];
    char name[64]; /* "" where the user is but a number */
    char home[256];
};

/* Find USER[:GROUP] (NULL: root) in the /etc/passwd and /etc/group of the present root. The files
 * are read here and not by getpwnam(3), which would load libraries of the root file system, with
 * all our rights (CVE-2019-14271). Fails by give_up() where there is no such user. */
void find_account(struct account *account, const char *user);

/* A session keyring of its own: those of the machine's users are out of reach. keyctl(2) */
void leave_keyring(void);

/* What execve(2) can give to root from now on: CAPABILITIES at most. What this process has, it
 * keeps. Fails by fail(). */
void limit_bounding_set(uint64_t capabilities);

/* Become ACCOUNT, with at most the capabilities of SPEC for ever, without a way to get more by
 * execve(2), and behind FILTER. Fails by fail(). capabilities(7), seccomp(2) */
void drop_privileges(const struct specification *spec, const struct account *account,
                     const struct sock_fprog *filter);

#endif
