/*
 * nat.h - the rules of the bridge's network: NAT to the outside, and published ports. Each change
 * is one run of iptables-restore(8); the rules are in chains of our own.
 */
#ifndef CONTAINER_NAT_H
#define CONTAINER_NAT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "specification.h"

/* Allow connections from NETWORK ("10.209.0.0/24") on BRIDGE to the outside, and none from the
 * outside. GUARDED: only this network is forwarded, as forwarding was off. It takes a while:
 * returns a child for nat_wait(), or -1 with errno. */
pid_t nat_up(const char *bridge, const char *network, bool guarded);

/* Wait for that child. Returns 0, -1, or the exit status of iptables-restore(8), which has printed
 * why; LAB_EXIT_NOT_FOUND where it is not installed. */
int nat_wait(pid_t child);

/* Write to RULES what sends PORT of this machine to ADDRESS: to be added, VERB 'A', or deleted,
 * 'D'.
 */
void nat_write_port(FILE *rules, char verb, const struct port *port, struct in_addr address);

/* Let RULES take the place of all rules for published ports, or change only what they name. Returns
 * what nat_wait() does. */
int nat_publish(const char *rules, bool all);

/* How many changes nat_up() and nat_publish() are to lab_nft_generation(): a table each. */
enum { NAT_UP_CHANGES = 2, NAT_PUBLISH_CHANGES = 1 };

/* Whether all that nat_up() has made is there, or as much, but for what keeps connections few: 1,
 * 0, or -1 after a warning, or with ENOENT where iptables is not installed. GUARDED: only this
 * network is forwarded. */
int nat_is_up(const char *bridge, bool guarded);

/* Remove what nat_up() has made, and what was MISSING before, unless others have rules in it now.
 * GENERATION: lab_nft_generation() when only our rules had changed, or 0. Returns 0, or -1 where
 * rules are left, or iptables-save(8) cannot tell. */
int nat_down(const char *bridge, const char *network, bool guarded, unsigned missing,
             uint32_t generation);

/* What lab_nft_needs_of_others() counts, with those of iptables-legacy(8); -1 after a warning. */
int nat_needs_of_others(void);

#endif
