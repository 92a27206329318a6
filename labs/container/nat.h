/*
 * nat.h - the rules that lead out of the bridge's network, and in to the published ports: by
 * iptables(8), which is run once for each change. All of them are in chains of our own.
 */
#ifndef CONTAINER_NAT_H
#define CONTAINER_NAT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Let NETWORK ("10.209.0.0/16") on BRIDGE out, and nobody in who was not asked. OTHERS: where
 * nothing was forwarded before, a pipe to which the child first writes what nat_rules() is; nothing
 * but this network is forwarded then. -1: something was. It takes a while: returns a child for
 * nat_wait(), or -1 with errno. */
pid_t nat_up(const char *bridge, const char *network, int others);

/* Wait until the rules are there. Returns 0, -1, or the exit status of iptables-restore(8), which
 * has said why; LAB_EXIT_NOT_FOUND where it is not installed. */
int nat_wait(pid_t child);

/* Replace the rules for the published ports. They are written to a stream of open_memstream(3):
 * first nat_begin(), then nat_rule() for each port, "what comes to PORT of this machine goes to
 * ADDRESS:INSIDE", last nat_publish(), which closes it; *TEXT is where it has written to.
 * Returns what nat_wait() does. */
void nat_begin(FILE *to);
void nat_rule(FILE *to, const char *protocol, unsigned port, const char *address, unsigned inside);
int nat_publish(FILE *to, char *const *text);

/* Which of the tables and chains that iptables-nft(8) needs for the rules are not there yet: a set
 * of bits for nat_down(). */
unsigned nat_missing(void);

/* Remove all that nat_up() has made; what was MISSING before, unless others have rules in it now.
 */
void nat_down(const char *bridge, const char *network, bool guarded, unsigned missing);

/* How many rules there are, anybody's, that iptables-save(8) knows; 0 where it cannot be asked. */
unsigned nat_rules(void);

#endif
