/*
 * host.h - what the network of a host is like, and changing it with lab_undo() (change.h), for the
 * tools that build containers on it.
 */
#ifndef LAB_HOST_H
#define LAB_HOST_H

#include <net/if.h>
#include <stdbool.h>

#include "network.h"

/* The device by which the default route leaves, or one does that leaves by WANTED unless that is
 * NULL. Returns whether there is one, with its name in UPLINK. */
bool lab_host_default_route(const char *wanted, char uplink[IF_NAMESIZE]);

/* Exit with 1 and one line unless WANTED (NULL: any device) exists and has a default route. */
void lab_host_must_have_uplink(const char *wanted);

/* Whether nothing on this host listens on PORT of TCP, or of UDP. Connections of TCP that have just
 * ended (TIME-WAIT) do not count. errno if not, that of bind(2): EADDRINUSE. */
bool lab_host_port_is_free(int port, bool udp);

/* Exit with 1 and one line where a TCP port of this host is listened on. */
void lab_host_port_must_be_free(int port);

/* Whether LINE of a resolv.conf(5) names a name server, and whether that is at a loopback address,
 * which is another one in a network namespace. */
enum lab_server { LAB_SERVER_NONE, LAB_SERVER_LOOPBACK, LAB_SERVER_ELSEWHERE };
enum lab_server lab_host_server_in(const char *line);

/* The value of a file below /proc/sys, "?" where there is none. In a static buffer. */
const char *lab_host_sysctl(const char *path);

/* A counter of IP in this network namespace since it began, such as "InAddrErrors" or
 * "ForwDatagrams"; -1 where the kernel has no such name. /proc/net/snmp, nstat(8). */
long long lab_host_ip_counter(const char *name);

/* While net.ipv4.ip_forward is 0: what the kernel will change along with it, and has to be set
 * again after a later 0, as lines "net/ipv4/conf/all/accept_redirects=1" in TEXT, SIZE bytes. The
 * kernel turns accept_redirects of "all" against ip_forward, and forwarding of every device with
 * it. networking/ip-sysctl in the kernel's documentation. */
void lab_host_forwarding(char *text, size_t size);

/* Note all of it with lab_undo(), and ip_forward itself. */
void lab_host_note_forwarding(void);

/* A resolver at a loopback address of the host (systemd-resolved: 127.0.0.53) is none for a network
 * namespace, which has a loopback of its own. In that case give each container of NETWORK the
 * servers that the host itself asks, as /etc/netns/NAME/resolv.conf, which `ip netns exec` lays
 * over /etc/resolv.conf. Files that are there already are left as they are. ip-netns(8). */
void lab_host_give_resolver(const struct lab_network *network);

/* Print the value of net.bridge.bridge-nf-call-iptables: whether a bridge shows its frames to
 * iptables, and what follows from that. A warning where FORWARD drops them. */
void lab_host_report_bridge_netfilter(void);

#endif
