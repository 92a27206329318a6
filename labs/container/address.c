#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "host.h"
#include "netlink.h"
#include "report.h"
#include "state.h"

/* Whether the network of BRIDGE is in use. Ends by fail() where that cannot be told. */
static bool is_in_use(const struct bridge *bridge)
{
    int overlaps = route_overlaps(bridge->network, bridge->prefix);

    if (overlaps == -1)
        fail("list the routes of this machine");
    return overlaps;
}

/* The networks to choose from: parts of the three that RFC 1918 leaves to private use. They are
 * small, because all network namespaces share one neighbour table of 1024 entries (gc_thresh3,
 * arp(7)): a container that asks for all addresses of its network fills a quarter of it. */
enum { PREFIX = 24 };
static const struct {
    uint32_t first, last, step;
} CANDIDATES[] = {{0x0ad10000, 0x0aef0000, 1 << 16}, /* 10.209.0.0 to 10.239.0.0 */
                  {0xac100000, 0xac1f0000, 1 << 16}, /* 172.16.0.0 to 172.31.0.0 */
                  {0xc0a80000, 0xc0a8ff00, 1 << 8}}; /* 192.168.0.0 to 192.168.255.0 */

void choose_network(struct bridge *bridge, const struct specification *spec)
{
    if (spec->subnet) {
        bridge->network = spec->subnet, bridge->prefix = spec->prefix;
        if (is_in_use(bridge))
            give_up(STATUS_RUNTIME, "the network asked for by --subnet is in use on this machine");
        return;
    }
    bridge->prefix = PREFIX;
    for (size_t i = 0; i < sizeof(CANDIDATES) / sizeof(CANDIDATES[0]); i++)
        for (uint32_t address = CANDIDATES[i].first; address <= CANDIDATES[i].last;
             address += CANDIDATES[i].step) {
            bridge->network = htonl(address);
            if (!is_in_use(bridge))
                return;
        }
    give_up(STATUS_RUNTIME,
            "10.209.0.0/24 to 10.239.0.0/24, 172.16.0.0/24 to 172.31.0.0/24 and 192.168.0.0/16 are "
            "all in use on "
            "this machine (ip route show table all); choose a network with --subnet");
}

/* Whether HOST can be a container's: not the network itself, the bridge, or the broadcast address.
 */
static bool is_usable(const struct bridge *bridge, unsigned host)
{
    return host >= 2 && host < (UINT32_MAX >> bridge->prefix);
}

void check_address(in_addr_t address, const struct bridge *bridge)
{
    char text[INET_ADDRSTRLEN];
    const uint32_t mask = UINT32_MAX >> bridge->prefix;

    inet_ntop(AF_INET, &address, text, sizeof(text));
    if ((ntohl(address ^ bridge->network) & ~mask) != 0 ||
        !is_usable(bridge, ntohl(address) & mask))
        give_up(STATUS_RUNTIME, "address %s is not one that a container on %s can have", text,
                bridge_network(bridge));
}

/* A claim has failed with errno. */
__attribute__((noreturn)) static void report_claim(const char *kind, const char *value,
                                                   const char *owner)
{
    if (errno != EEXIST)
        fail("claim %s %s in %s", kind, value, state_directory());
    give_up(STATUS_RUNTIME, "%s %s is in use by %s", kind, value, *owner ? owner : "another");
}

static void claim_asked_address(struct container *container)
{
    char text[INET_ADDRSTRLEN], owner[NAME_SIZE];
    const in_addr_t address = container->spec.address;

    inet_ntop(AF_INET, &address, text, sizeof(text));
    if (state_claim(container, "address", text, owner) == -1)
        report_claim("address", text, owner);
    container->address.s_addr = address;
}

/* Begin after the address that was assigned last: one that has just become free may still be in a
 * network namespace that the kernel is removing. */
static void claim_free_address(struct container *container, struct bridge *bridge)
{
    const unsigned hosts = UINT32_MAX >> bridge->prefix;
    char text[INET_ADDRSTRLEN], owner[NAME_SIZE];

    for (unsigned step = 1; step <= hosts; step++) {
        unsigned host = (bridge->last + step) % hosts;
        struct in_addr address = {.s_addr = bridge->network | htonl(host)};
        inet_ntop(AF_INET, &address, text, sizeof(text));
        if (!is_usable(bridge, host))
            continue;
        if (state_claim(container, "address", text, owner) == -1) {
            if (errno != EEXIST)
                report_claim("address", text, owner);
            continue;
        }
        container->address = address;
        bridge->last = host;
        if (bridge_write(bridge) == -1)
            fail("write %s", bridge_file());
        return;
    }
    give_up(STATUS_RUNTIME, "no address is free in %s", bridge_network(bridge));
}

void claim_address(struct container *container, struct bridge *bridge)
{
    if (container->spec.address)
        claim_asked_address(container);
    else
        claim_free_address(container, bridge);
}

void claim_ports(const struct container *container)
{
    for (int i = 0; i < container->spec.port_count; i++) {
        const struct port *port = &container->spec.ports[i];
        const char *protocol = port->udp ? "udp" : "tcp";
        char text[32], name[32], owner[NAME_SIZE];
        snprintf(text, sizeof(text), "%s-%u", protocol, port->outside);
        snprintf(name, sizeof(name), "%u/%s", port->outside, protocol);
        if (state_claim(container, "port", text, owner) == -1)
            report_claim("port", name, owner);
        if (lab_host_port_is_free(port->outside, port->udp))
            continue;
        if (errno != EADDRINUSE)
            fail("look whether port %s of this machine is free", name);
        give_up(STATUS_RUNTIME, "port %s is in use on this machine", name);
    }
}
