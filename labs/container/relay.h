/*
 * relay.h - published ports at ::1 of the machine.
 *
 * No rule of NAT leads from IPv6 to IPv4, and no packet from ::1 leaves lo. So a process accepts
 * the connections of TCP there and copies between them and the container.
 */
#ifndef CONTAINER_RELAY_H
#define CONTAINER_RELAY_H

#include "container.h"

/* Start the process for the published ports of CONTAINER, which has its address. It ends with the
 * runtime. Where the machine has no ::1 or no TCP port is published, there is none. Errors end by
 * give_up() or fail(). */
void relay_start(const struct container *container);

/* End it, before its ports are given back. */
void relay_end(void);

#endif
