/*
 * bridge.h - how the bridge was made, in the file .network of the state directory, so that the last
 * container can restore the machine's network exactly.
 */
#ifndef CONTAINER_BRIDGE_H
#define CONTAINER_BRIDGE_H

#include <netinet/in.h>
#include <stdbool.h>

struct bridge {
    char boot[9];      /* the beginning of the machine's boot ID */
    in_addr_t network; /* in network order */
    int prefix;
    int forwarded;    /* ip_forward before */
    unsigned others;  /* the number of iptables rules of other programs then */
    unsigned missing; /* the tables and chains that did not exist then; see nat_missing() */
    unsigned rules;   /* lab_nft_generation() after our last change; 0: others changed rules, too */
    unsigned last;    /* the host part of the address that was assigned last */
    char along[4096]; /* what the kernel changes along with ip_forward; lab_host_forwarding() */
};

/* Read the file. Returns false where there is none; one from before a restart is removed. */
bool bridge_read(struct bridge *bridge);

/* Write it, by rename(2): a part of it would be taken for no bridge. Returns 0, or -1 with errno.
 */
int bridge_write(const struct bridge *bridge);

void bridge_forget(void);

/* The file's name, for messages. */
const char *bridge_file(void);

/* Set BRIDGE->boot to the present boot. */
void bridge_set_boot(struct bridge *bridge);

/* "10.209.0.0/16", in a static buffer */
const char *bridge_network(const struct bridge *bridge);

#endif
