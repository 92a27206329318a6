#include "bridge.h"

#include <arpa/inet.h>

#include "host.h"
#include "namespace.h"
#include "netlink.h"
#include "record.h"
#include "report.h"
#include "state.h"

static const char RECORD[] = "network";

enum { BRIDGE_TEXT = 256 };

const char *bridge_file(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/.network", state_directory());
    return path;
}

int bridge_set_place(struct bridge *bridge)
{
    char text[64];

    if (lab_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text)) == -1 ||
        lab_network_cookie(&bridge->cookie) == -1)
        return -1;
    snprintf(bridge->boot, sizeof(bridge->boot), "%.8s", text);
    return 0;
}

int bridge_read(struct bridge *bridge)
{
    char text[BRIDGE_TEXT], network[32];
    struct bridge present;

    if (lab_record_read(bridge_file(), RECORD, text, sizeof(text)) == -1)
        return errno == ENOENT ? bridge_forget() : -1;
    if (bridge_set_place(&present) == -1)
        return -1;
    if (sscanf(text, "%8s %llu %31[0-9.]/%d %d %u %u %u %d %u", bridge->boot, &bridge->cookie,
               network, &bridge->prefix, &bridge->forwarded, &bridge->others, &bridge->missing,
               &bridge->rules, &bridge->alone, &bridge->last) != 10 ||
        inet_pton(AF_INET, network, &bridge->network) != 1 || bridge->prefix < 0 ||
        bridge->prefix > 31) {
        errno = EBADMSG;
        return -1;
    }
    if (strcmp(bridge->boot, present.boot) == 0)
        return 1;
    return bridge_forget();
}

int bridge_is_here(const struct bridge *bridge)
{
    unsigned long long here;

    if (lab_network_cookie(&here) == -1)
        return lab_warn_errno("tell this network namespace from that of %s", BRIDGE);
    return bridge->cookie == here;
}

const char *bridge_trouble(void)
{
    static char text[PATH_MAX + 256];

    if (errno == EBADMSG)
        snprintf(text, sizeof(text),
                 "%s is damaged or of another version, so the bridge is not removed: remove labs0 "
                 "(ip link del labs0) and its rules (iptables-save | grep -e labs0 -e "
                 "CONTAINER-LABS), set net.ipv4.ip_forward as it was, then remove that file",
                 bridge_file());
    else
        snprintf(text, sizeof(text), "use the record %s: %s", bridge_file(), lab_strerror(errno));
    return text;
}

const char *bridge_network(const struct bridge *bridge)
{
    static char text[INET_ADDRSTRLEN + 8];

    inet_ntop(AF_INET, &bridge->network, text, sizeof(text));
    snprintf(text + strlen(text), 8, "/%d", bridge->prefix);
    return text;
}

int bridge_write(const struct bridge *bridge)
{
    char text[BRIDGE_TEXT];

    snprintf(text, sizeof(text), "%s %llu %s %d %u %u %u %d %u\n", bridge->boot, bridge->cookie,
             bridge_network(bridge), bridge->forwarded, bridge->others, bridge->missing,
             bridge->rules, bridge->alone, bridge->last);
    return lab_record_write(bridge_file(), RECORD, text);
}

int bridge_forget(void)
{
    char fresh[PATH_MAX + 8];

    snprintf(fresh, sizeof(fresh), "%s.new", bridge_file());
    if (unlink(fresh) == -1 && errno != ENOENT) /* left by kill -9 */
        return -1;
    return unlink(bridge_file()) == -1 && errno != ENOENT ? -1 : 0;
}

/*
 * Addresses and ports.
 */

/* Whether the network of BRIDGE is in use. Ends by fail() where that cannot be told. */
static bool is_in_use(const struct bridge *bridge)
{
    return must(route_overlaps(bridge->network, bridge->prefix), "list the routes of this machine");
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
            give_up("the network asked for by --subnet is in use on this machine");
        return;
    }
    bridge->prefix = PREFIX;
    for (int i = 0; i < LAB_COUNT(CANDIDATES); i++)
        for (uint32_t address = CANDIDATES[i].first; address <= CANDIDATES[i].last;
             address += CANDIDATES[i].step) {
            bridge->network = htonl(address);
            if (!is_in_use(bridge))
                return;
        }
    give_up("10.209.0.0/24 to 10.239.0.0/24, 172.16.0.0/24 to 172.31.0.0/24 and 192.168.0.0/16 are "
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
    const uint32_t mask = UINT32_MAX >> bridge->prefix;

    if ((ntohl(address ^ bridge->network) & ~mask) != 0 ||
        !is_usable(bridge, ntohl(address) & mask))
        give_up("address %s is not one that a container on %s can have",
                inet_ntoa((struct in_addr){address}), bridge_network(bridge));
}

/* A claim has failed with errno. */
__attribute__((noreturn)) static void report_claim(const char *kind, const char *value,
                                                   const char *owner)
{
    if (errno != EEXIST)
        fail("claim %s %s in %s", kind, value, state_directory());
    give_up("%s %s is in use by %s", kind, value, *owner ? owner : "another");
}

/* Claim ADDRESS. Returns false where another container has it, whose name is then in OWNER. */
static bool claim_one(struct container *container, in_addr_t address, char owner[NAME_SIZE])
{
    const char *text = inet_ntoa((struct in_addr){address});

    if (state_claim(container, "address", text, owner) == 0) {
        container->address.s_addr = address;
        return true;
    }
    if (errno != EEXIST || container->spec.address)
        report_claim("address", text, owner);
    return false;
}

void claim_address(struct container *container, struct bridge *bridge)
{
    const unsigned hosts = UINT32_MAX >> bridge->prefix;
    char owner[NAME_SIZE];

    if (container->spec.address) {
        claim_one(container, container->spec.address, owner);
        must(bridge_write(bridge), "write %s", bridge_file());
        return;
    }
    /* Begin after the address that was assigned last: one that has just become free may still be in
     * a network namespace that the kernel is removing. */
    for (unsigned step = 1; step <= hosts; step++) {
        unsigned host = (bridge->last + step) % hosts;
        if (!is_usable(bridge, host) || !claim_one(container, bridge->network | htonl(host), owner))
            continue;
        bridge->last = host;
        must(bridge_write(bridge), "write %s", bridge_file());
        return;
    }
    give_up("no address is free in %s", bridge_network(bridge));
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
        if (errno == EACCES && container->spec.network == NETWORK_USER)
            continue; /* pasta opens this port later, and reports the error */
        if (errno != EADDRINUSE)
            fail("look whether port %s of this machine is free", name);
        give_up("port %s is in use on this machine", name);
    }
}
