/*
 * address.h - which network the bridge has, and which address and ports a container. All of these
 * end by give_up() or fail() where it cannot be. They need the lock of state.h.
 */
#ifndef CONTAINER_ADDRESS_H
#define CONTAINER_ADDRESS_H

#include "bridge.h"
#include "container.h"

/* The network of a new BRIDGE: that of SPEC, or a private one to which no route leads. */
void choose_network(struct bridge *bridge, const struct specification *spec);

/* See that ADDRESS is one that a container on BRIDGE can have. */
void check_address(in_addr_t address, const struct bridge *bridge);

/* Claim the address that CONTAINER asks for, or the next one that is free. */
void claim_address(struct container *container, struct bridge *bridge);

/* Claim the ports of this machine that CONTAINER publishes. */
void claim_ports(const struct container *container);

#endif
