/*
 * connections.h - the kernel's table of connections, conntrack. The rules are asked for the first
 * packet of a connection; the others follow it, and over UDP the packets from one port to another
 * are one connection for as long as they come.
 */
#ifndef CONTAINER_CONNECTIONS_H
#define CONTAINER_CONNECTIONS_H

#include <netinet/in.h>

#include "bridge.h"

/* A port of UDP that is published: OUTSIDE leads to INSIDE of ADDRESS. In network order. */
struct udp_port {
    in_addr_t address;
    in_port_t outside, inside;
};

/* Forget the connections of UDP to this machine that the rules would lead elsewhere now: PORTS, and
 * no others, lead into the network of BRIDGE. A failure is a warning. */
void connections_forget_udp(const struct bridge *bridge, const struct udp_port *ports, int count);

#endif
