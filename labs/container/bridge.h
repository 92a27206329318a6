/*
 * bridge.h - how the bridge was made, in the file .network of the state directory, so that the last
 * container can restore the machine's network exactly.
 */
#ifndef CONTAINER_BRIDGE_H
#define CONTAINER_BRIDGE_H

#include <netinet/in.h>

#define BRIDGE "labs0"

struct bridge {
    char boot[9];      /* the beginning of the machine's boot ID */
    in_addr_t network; /* in network order */
    int prefix;
    int forwarded;    /* ip_forward was on before, not by these labs; forwarding.h */
    unsigned others;  /* the number of iptables rules of other programs then */
    unsigned missing; /* the tables and chains that did not exist then; lab_nft_missing() */
    unsigned rules;   /* nft_generation() after our last change; 0: others changed rules, too */
    unsigned last;    /* the host part of the address that was assigned last */
};

/* Read the file, a record (record.h). Returns 1; 0 where there is none, after one from before a
 * restart was removed; or -1 with errno, EBADMSG where it is damaged. */
int bridge_read(struct bridge *bridge);

/* After bridge_read() has failed with errno: what is wrong and what to do, in a static buffer. */
const char *bridge_trouble(void);

/* Write it, or remove it. Returns 0, or -1 with errno. */
int bridge_write(const struct bridge *bridge);
int bridge_forget(void);

/* The file's name, for messages. */
const char *bridge_file(void);

/* Set BRIDGE->boot to the present boot. Returns 0, or -1 with errno. */
int bridge_set_boot(struct bridge *bridge);

/* "10.209.0.0/24", in a static buffer */
const char *bridge_network(const struct bridge *bridge);

#endif
