/*
 * nft.h - the tables and chains in which iptables-nft keeps its rules: are they there, and can they
 * go again.
 *
 * iptables(8) on nf_tables makes a table and a base chain with the first rule that needs them and
 * leaves them, empty, after the last one. Whoever takes back a rule exactly has to take back these,
 * and only as long as they are empty. The netlink protocol can say so (NLM_F_NONREC), nft(8)
 * cannot. linux/netfilter/nf_tables.h; only the family ip.
 */
#ifndef LAB_NFT_H
#define LAB_NFT_H

#include <stdbool.h>

/* Whether the table TABLE of the family ip is there, and in it CHAIN unless that is NULL. */
bool lab_nft_exists(const char *table, const char *chain);

/* Delete CHAIN in TABLE, or TABLE itself where CHAIN is NULL, if nothing is in it.
 * Returns 0, or -1 with errno: EBUSY where something is, ENOENT where it is not there. */
int lab_nft_delete_empty(const char *table, const char *chain);

#endif
