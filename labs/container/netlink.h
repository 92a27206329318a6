/*
 * netlink.h - requests to the kernel's network: a link, an address, a route. Over libmnl, which
 * writes and reads the messages of netlink(7); what is in them is rtnetlink(7).
 */
#ifndef CONTAINER_NETLINK_H
#define CONTAINER_NETLINK_H

#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { NETLINK_BUFFER = 8192 };

/* Begin a request of TYPE in BUFFER (NETLINK_BUFFER bytes), with FLAGS beside NLM_F_REQUEST. */
struct nlmsghdr *netlink_begin(char *buffer, int type, int flags);

/* Send REQUEST to BUS (NETLINK_ROUTE), and call EACH, unless it is NULL, for the messages of the
 * answer, up to the acknowledgement or the end. Returns 0 or more, or -1 with errno. */
int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t each, void *argument);

/* All of these return 0, or -1 with errno. They work in the present network namespace. */

/* Make a bridge called NAME, with a MAC address that stays. */
int link_make_bridge(const char *name, const unsigned char mac[6]);

/* The MAC address of a link of ours that has ADDRESS (in network order). */
void link_mac(in_addr_t address, unsigned char mac[6]);

/* Make a pair of Ethernet devices: NAME, up and a port of the link BRIDGE, and PEER with MAC in the
 * network namespace of process PID. */
int link_make_pair(const char *name, unsigned bridge, const char *peer, const unsigned char mac[6],
                   pid_t pid);

/* Let the bridge take each frame that comes by its port INDEX, also to the groups
 * 01:80:c2:00:00:0X that are for the port itself otherwise; and HAIRPIN: send one back by the port
 * that it came from. */
int link_set_port(unsigned index, bool hairpin);

/* Set the link INDEX up. */
int link_up(unsigned index);

/* Remove the link INDEX. It is gone from view soon, but the call lasts until the kernel has
 * forgotten it, some 20 ms. */
int link_remove(unsigned index);

/* The number that a network namespace, that of process PID, has in this one once a link leads
 * there; -1: none. And whether it is gone: nothing is in it any more, and the kernel removes its
 * links. The kernel's RTM_GETNSID takes no lock that other changes hold. */
int network_number(pid_t pid);
bool network_is_gone(int number);

/* Give the link INDEX an IPv4 ADDRESS (network order) in a network of PREFIX bits. */
int address_add(unsigned index, in_addr_t address, int prefix);

/* Send what has no route of its own to GATEWAY. */
int route_add_default(in_addr_t gateway);

/* Whether the network ADDRESS/PREFIX or a part of it is in use: a route of this machine leads
 * there. Routes that our more specific one may replace in part do not count: a default route, its
 * halves (0.0.0.0/1, as VPNs make them), and in the table main a larger network behind a gateway. 1
 * or 0, or -1 with errno. */
int route_overlaps(in_addr_t address, int prefix);

#endif
