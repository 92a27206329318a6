/*
 * uplink.h - the way out of this host, changed with lab_undo() (change.h), for `up` of 07 and 08.
 */
#ifndef LAB_UPLINK_H
#define LAB_UPLINK_H

#include <net/if.h>
#include <stdbool.h>

#include "network.h"

/* The device by which the default route leaves, or one does that leaves by WANTED unless that is
 * NULL. Returns whether there is one, with its name in UPLINK. */
bool lab_host_default_route(const char *wanted, char uplink[IF_NAMESIZE]);

/* Exit with 1 and one line unless WANTED (NULL: any device) exists and has a default route. */
void lab_host_must_have_uplink(const char *wanted);

/* Exit with 1 and one line where a TCP port of this host is listened on. */
void lab_host_port_must_be_free(int port);

/* Note with lab_undo() that lab 08 forwards packets (forwarding.h). Returns whether ip_forward has
 * to be turned on, or has been turned on by another lab. */
bool lab_host_note_forwarding(void);

/* A resolver at a loopback address of the host (systemd-resolved: 127.0.0.53) is none for a network
 * namespace, which has a loopback of its own. In that case give each container of NETWORK the
 * servers that the host itself asks, as /etc/netns/NAME/resolv.conf, which `ip netns exec` lays
 * over /etc/resolv.conf. Files that are there already are left as they are. ip-netns(8). */
void lab_host_give_resolver(const struct lab_network *network);

/* Print the value of net.bridge.bridge-nf-call-iptables: whether a bridge shows its frames to
 * iptables, and what follows from that. A warning where FORWARD drops them. */
void lab_host_report_bridge_netfilter(void);

#endif
