/*
 * bridge.h - which network the bridge has, and which address and ports a container. How the bridge
 * was made is in the file .network of the state directory, so that the last container can restore
 * the machine's network exactly.
 */
#ifndef CONTAINER_BRIDGE_H
#define CONTAINER_BRIDGE_H

#include "container.h"

#define BRIDGE "labs0"

struct bridge {
    char boot[9];              /* the beginning of the machine's boot ID */
    unsigned long long cookie; /* lab_network_cookie() of its network namespace */
    in_addr_t network;         /* in network order */
    int prefix;
    int forwarded;    /* ip_forward was on before, not by these labs; forwarding.h */
    unsigned others;  /* how many rules of other programs needed it then */
    unsigned missing; /* the tables and chains that did not exist then; lab_nft_missing() */
    unsigned rules;   /* lab_nft_generation() when all of ours were there; 0: it is not known */
    int alone;        /* others have not changed any rule since then */
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

/* Set boot and cookie of BRIDGE to the present ones. Returns 0, or -1 with errno. */
int bridge_set_place(struct bridge *bridge);

/* Whether BRIDGE is in this network namespace: 1, 0, or -1 after a warning. */
int bridge_is_here(const struct bridge *bridge);

/* "10.209.0.0/24", in a static buffer */
const char *bridge_network(const struct bridge *bridge);

/* The rest ends by give_up() or fail() where it cannot be, and needs the lock of state.h. The
 * network of a new BRIDGE: that of SPEC, or a private one to which no route leads. */
void choose_network(struct bridge *bridge, const struct specification *spec);

/* See that ADDRESS is one that a container on BRIDGE can have. */
void check_address(in_addr_t address, const struct bridge *bridge);

/* Claim the address that CONTAINER asks for, or the next one that is free. */
void claim_address(struct container *container, struct bridge *bridge);

/* Claim the ports of this machine that CONTAINER publishes. */
void claim_ports(const struct container *container);

#endif
