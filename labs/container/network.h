/*
 * network.h - the bridge that connects containers, and its connection to the outside.
 *
 *     machine            labs0 10.209.0.1/24 ---- labs-PID ==== eth0 10.209.0.2 in the container
 *       |  NAT: from the network to the outside,
 *       |  and for published ports from outside to a container
 *
 * The bridge, its address, its rules and forwarding are set up with the first container on it, and
 * removed with the last. Functions for outside need the lock of state.h.
 */
#ifndef CONTAINER_NETWORK_H
#define CONTAINER_NETWORK_H

#include "container.h"

/* Create the bridge if it is missing, and claim an address and the ports for CONTAINER; errors end
 * by give_up(). CONTAINER->address is set, and its specification's subnet is the bridge's. The
 * rules of a new bridge take a while: keep the lock until network_wait_for_rules(). */
void network_join(struct container *container);

/* Whether rules are being made. */
bool network_rules_pending(void);

/* Wait for them. Returns what nat_wait() does. */
int network_wait_for_rules(void);

/* Install rules for the published ports of all recorded containers, and no others. HAD_UDP: one
 * with ports of UDP has left. Returns what nat_wait() does. */
int network_publish(bool had_udp);

/* relay.c: published ports at ::1 of the machine. No rule of NAT leads from IPv6 to IPv4, and no
 * packet from ::1 leaves lo. So a process accepts the connections of TCP there and copies between
 * them and CONTAINER, which has its address. It ends with the runtime. Where the machine has no ::1
 * or no TCP port is published, there is none. Errors end by give_up() or fail(). */
void relay_start(const struct container *container);

/* End it, before its ports are given back. */
void relay_end(void);

/* Connect the network namespace of process PID to the bridge: its end of the veth pair is eth0. */
void network_connect(const struct container *container, pid_t pid);

/* Remove that pair. It goes with the namespace by itself, unless a socket of the container's that a
 * process outside has keeps that. Returns 0, or -1 after a warning. */
int network_disconnect(const struct container *container);

/* Inside: set up lo. */
void network_set_up_loopback(void);

/* Inside, when network_connect() has made it: set up eth0 where CONTAINER has an address. */
void network_set_up_eth0(const struct container *container);

/* After the claims of a container were removed, LEFT (NULL: it is not known): update the rules, or
 * remove the bridge with the last address. Returns 0; or -1 after a warning, and the next call
 * tries again. */
int network_leave(const struct container *left);

#endif
