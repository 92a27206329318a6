/*
 * iptables.h - which iptables this machine has, and rules that can be taken back.
 *
 * There are two programs of that name, one that keeps its rules in nf_tables and one, "legacy",
 * with tables of its own. The kernel asks the rules of both. A run uses one: the command in
 * $IPTABLES, or else `iptables`. iptables(8), iptables-nft(8).
 */
#ifndef LAB_IPTABLES_H
#define LAB_IPTABLES_H

#include <stdbool.h>

#include "process.h"

/* Find out which one is here. Exits with 77 when there is none. Before all others. */
void lab_iptables_choose(void);

/* Warn where the other one has rules. */
void lab_iptables_warn_of_other(void);

/* The command, and what stands behind it: "nf_tables" or "legacy". */
const char *lab_iptables(void);
const char *lab_iptables_backend(void);

/* Where there is such a chain now: ":DOCKER-USER" in the table filter, say. */
bool lab_iptables_has_chain(const char *table, const char *chain);

/* Add a rule to CHAIN of TABLE, with lab_undo(): HOW is 'A' to append it, 'I' to insert it as the
 * first. A comment in it names the lab NUMBER. Tables and chains that iptables-nft makes for it are
 * noted as well. */
__attribute__((format(printf, 5, 6))) void lab_iptables_add(const char *number, const char *table,
                                                            const char *chain, char how,
                                                            const char *rule, ...);

/* Print the rules of lab NUMBER, made with either iptables, with their counters of packets and
 * bytes. */
void lab_iptables_print(const char *number);

/* The commands that print the rules of either iptables: those that are there, and have rules. Fills
 * SAVES and returns how many. iptables-save(8) */
int lab_iptables_saves(const char *saves[2]);

/* What lab_nft_needs_of_others() counts, with those of the legacy one; -1 with errno where that
 * cannot be told. iptables-legacy-save(8) */
int lab_iptables_needs_of_others(void);

#endif
