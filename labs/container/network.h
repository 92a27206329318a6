/*
 * network.h - the bridge that containers meet on, and the way in and out of it.
 *
 *     machine            labs0 10.209.0.1/16 ---- labs-PID ==== eth0 10.209.0.2 in the container
 *       |  NAT: from the network to the outside,
 *       |  and for published ports from outside to a container
 *
 * The bridge, its address, its rules and forwarding come with the first container that wants them
 * and go with the last. The functions for outside want the lock of state.h.
 */
#ifndef CONTAINER_NETWORK_H
#define CONTAINER_NETWORK_H

#include "container.h"

/* Make the bridge if there is none, and claim an address and the ports for CONTAINER; errors end by
 * give_up(). CONTAINER->address is set, and its specification's subnet is the bridge's. The rules
 * of a new bridge take a while: they are waited for by network_settle(), until when the lock is to
 * be kept. */
void network_join(struct container *container);

/* Whether there is something to wait for. */
bool network_is_coming(void);

/* Wait for it. Returns what nat_wait() does. */
int network_settle(void);

/* Make the published ports of all containers that are written down reachable, and no others.
 * Returns what nat_wait() does. */
int network_publish(void);

/* Give process PID, which is in the container's network namespace, its end of a cable: eth0. */
void network_connect(const struct container *container, pid_t pid);

/* Inside: set up lo. */
void network_inside(void);

/* Inside, when network_connect() has made it: set up eth0 where CONTAINER has an address. */
void network_plug_in(const struct container *container);

/* Who answers for names: /etc/resolv.conf and /etc/hosts for a container. They are read with the
 * machine's root, and written with the container's. "": the root file system's own are left. */
struct network_names {
    char servers[4096], hosts[256];
};

/* Before the machine's files are gone: read them into NAMES. */
void network_read_names(struct network_names *names, const struct container *container);

/* In the container's root: write /etc/resolv.conf and /etc/hosts, where NAMES has something for
 * them. */
void network_write_names(const struct network_names *names);

/* After the claims of a container with ports or an address were removed: publish what is left, or
 * take down the bridge where no container has an address any more. */
void network_leave(bool had_ports);

#endif
