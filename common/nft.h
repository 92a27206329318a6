/*
 * nft.h - the tables and chains in which iptables-nft keeps its rules: are they there, and can they
 * go again.
 *
 * iptables(8) on nf_tables makes a table and a base chain with the first rule that needs them and
 * leaves them, empty, after the last one. To undo such a rule exactly, these must go, too,
 * and only as long as they are empty. The netlink protocol can say so (NLM_F_NONREC), nft(8)
 * cannot. linux/netfilter/nf_tables.h; only the family ip.
 */
#ifndef LAB_NFT_H
#define LAB_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A chain in a table of the family ip, or where CHAIN is NULL the table itself. */
struct lab_nft_part {
    const char *table, *chain;
};

/* Returns 1 where it is there, 0 where it is not, -1 with errno where that cannot be told. */
int lab_nft_exists(const char *table, const char *chain);

/* Whether the kernel has nf_tables: 1 or 0, or -1 with errno where that cannot be told. */
int lab_nft_is_there(void);

/* Delete COUNT (8 at most) PARTS in this order, if nothing is in any of them and every chain has
 * still the policy ACCEPT: all or none. Returns 0, or -1 with errno: EBUSY where something is or
 * has another policy, ENOENT where one is not there. */
int lab_nft_delete_empty(const struct lab_nft_part parts[], int count);

/* The number of the present rules of nf_tables in this network namespace: the kernel counts every
 * change of any program. 0 where it cannot be asked. */
uint32_t lab_nft_generation(void);

/* Delete COUNT (8 at most) PARTS with all that is in them, if nothing was changed since GENERATION.
 * Returns 0 as soon as they are gone, or -1 with errno: ERESTART where something was. The kernel
 * frees them later, and close(2) of a netfilter socket waits for it, 10 ms or more: the socket
 * stays open until the process, a child for this alone, ends. */
int lab_nft_delete_full(const struct lab_nft_part parts[], int count, uint32_t generation);

/* What iptables-nft(8) makes for rules of NAT and forwarding, and leaves when they are removed. */
enum { LAB_NFT_PARTS = 7 };
extern const struct lab_nft_part lab_nft_parts[LAB_NFT_PARTS];

/* Those that do not exist, in *MISSING: a set of bits, 1 << INDEX; 0 without nf_tables in the
 * kernel. Returns 0, or -1 with errno. */
int lab_nft_missing(unsigned *missing);

/* Delete those of MISSING that are empty now. What is not deleted because of an error is named. */
void lab_nft_delete_missing(unsigned missing);

/* How many rules of nf_tables need net.ipv4.ip_forward and name no lab of ours: rules of NAT, and
 * those of a chain FORWARD that accept. 0 without nf_tables in the kernel, -1 with errno where that
 * cannot be told. */
int lab_nft_needs_of_others(void);

/* Look for a base chain that keeps packets from being forwarded, whatever the chain FORWARD of
 * iptables accepts (that one is not meant): its policy is drop, or it has a rule that drops or
 * rejects all packets. A table with a rule that names DEVICE (NULL: none) is left out. Returns 1
 * with "chain C of the table inet T" in NAME, 0 where there is none (a kernel without nf_tables has
 * none), or -1 with errno. */
int lab_nft_closed_forward(const char *device, char *name, size_t size);

#endif
