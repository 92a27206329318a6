/*
 * network.h - what labs 07 and 08 share: the plan of the article's network (names, addresses), what
 * must be free before it is built on a host, and its picture.
 *
 * Container n (1, 2, ...) is the network namespace net<n>. Its cable is veth<2n-1>, inside, and
 * veth<2n>, outside, which is a port of the bridge br0.
 */
#ifndef LAB_NETWORK_H
#define LAB_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "lab.h"

#define LAB_BRIDGE "br0"

struct lab_network {
    uint32_t base;  /* the first address of the subnet, in host order */
    int prefix;     /* the length of its prefix, bits */
    int namespaces; /* how many containers: 2..200 */
};

/* 192.168.0.0/24 and two containers. */
#define LAB_NETWORK_OF_THE_ARTICLE                                                                 \
    {                                                                                              \
        .base = 0xc0a80000, .prefix = 24, .namespaces = 2                                          \
    }

/* Read the arguments of --subnet ("10.1.2.0/24") and --namespaces ("2".."200"), and when both are
 * known see that there is an address for everybody. They exit with 2 and one line when not. */
void lab_network_read_subnet(struct lab_network *network, const char *text);
void lab_network_read_namespaces(struct lab_network *network, const char *text);
void lab_network_check_size(const struct lab_network *network);

struct lab_address {
    char text[32];
};

/* The address of container NUMBER, or of the bridge for 0: base+100 and the bridge before, as in
 * the article, or base+1 where the subnet is too small for that. LENGTH: with "/24" behind it. */
struct lab_address lab_network_address(const struct lab_network *network, int number);
struct lab_address lab_network_address_length(const struct lab_network *network, int number);
struct lab_address lab_network_subnet(const struct lab_network *network);

/* Exit with 1 and one line, which names what and whose it is, where a name, an address or the
 * subnet that NETWORK needs is in use on this host. Changes nothing. */
void lab_network_must_be_free(const struct lab_network *network);

/* Print the bridge, its ports and the containers as a picture of text, or as a graph for Graphviz,
 * in which UPLINK is the device that leads outside. */
void lab_network_draw(void);
void lab_network_draw_dot(const char *uplink);

#endif
