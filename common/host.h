/*
 * host.h - what the network of this host is like: ports and resolvers.
 */
#ifndef LAB_HOST_H
#define LAB_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Whether hosts may have addresses below FIRST, the first byte of an address: "this network",
 * loopback, multicast and what is reserved are for other things. RFC 6890. */
bool lab_is_for_hosts(unsigned first);

/* Whether nothing on this host listens on PORT of TCP, or of UDP. Connections of TCP that have just
 * ended (TIME-WAIT) do not count. errno if not, that of bind(2): EADDRINUSE. */
bool lab_host_port_is_free(int port, bool udp);

/* Whether LINE of a resolv.conf(5) names a name server, and whether a container on a bridge reaches
 * it: not where it is at a loopback address, as the container has a loopback of its own, or at one
 * of IPv6. */
enum lab_server { LAB_SERVER_NONE, LAB_SERVER_OUT_OF_REACH, LAB_SERVER_IN_REACH };
enum lab_server lab_host_server_in(const char *line);

/* The largest resolv.conf(5) that is read, in bytes: administrators write long comments. */
enum { LAB_RESOLVER_SIZE = 65536 };

/* The resolv.conf(5) of this host with a name server that containers reach: /etc/resolv.conf, or
 * the file in which systemd-resolved or NetworkManager keeps the servers behind its own one. NULL
 * where there is none, with errno 0; *OUT_OF_REACH: because all of /etc/resolv.conf are out of
 * reach. NULL with errno where a file cannot be read. */
const char *lab_host_resolver_file(bool *out_of_reach);

/* The index of the network device NAME in the present namespace; 0 with errno: ENODEV where there
 * is none. As if_nametoindex(3), which makes ENOENT of whatever its socket(2) fails by.
 * netdevice(7) */
unsigned lab_link_index(const char *name);

/* Whether tables of iptables-legacy(8) are in use: 1 or 0, or -1 with errno. To ask the program on
 * a machine without any would load modules. /proc/net/ip_tables_names */
int lab_host_has_legacy_tables(void);

/* The command that prints them: iptables-legacy-save(8), or iptables-save where iptables is of one
 * kind only. */
const char *lab_host_legacy_save(void);

/* Whether LINE of what it prints is what lab_nft_needs_of_others() of nft.h counts. */
bool lab_host_is_need_of_others(const char *line);

/* Warn where a chain of nftables keeps what comes from BRIDGE from being forwarded, or, where
 * br_netfilter shows it, from another port. */
void lab_host_warn_of_closed_forward(const char *bridge);

#endif
