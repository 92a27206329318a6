#include "network.h"

#include <arpa/inet.h>

#include "bridge.h"
#include "connections.h"
#include "forwarding.h"
#include "host.h"
#include "nat.h"
#include "netlink.h"
#include "nft.h"
#include "process.h"
#include "report.h"
#include "rootless.h"
#include "state.h"
#include "unprivileged.h"

static const char LAB[] = "09";
static pid_t coming;    /* the child that makes the rules of a new bridge; 0: none */
static uint32_t before; /* lab_nft_generation() then */
static bool again;      /* they are made again, for a bridge with other containers */
static const char FORWARDING[] = "/proc/sys/net/ipv4/ip_forward";

/* The index of the bridge, 0 where there is none, or -1 with errno. */
static int find_bridge(void)
{
    unsigned index = lab_link_index(BRIDGE);

    return index == 0 && errno != ENODEV ? -1 : (int)index;
}

/* Remove the bridge. It is enough to wait until its name is gone; the kernel goes on for a while,
 * and a child waits for that without the lock. Returns 0, or -1 with errno. */
static int remove_bridge(void)
{
    const int index = find_bridge();

    if (index <= 0)
        return index;
    pid_t child = fork();
    if (child == 0) {
        close_range(0, ~0U, 0); /* locks, and pipes whose readers wait for their end */
        _exit(link_remove((unsigned)index) == -1 ? errno : 0);
    }
    if (child == -1)
        return link_remove((unsigned)index);
    for (int wait = 0; wait < 1000 && find_bridge() == index; wait++)
        usleep(200);
    int left = find_bridge();
    if (left == index) { /* the kernel is busy, or has refused it */
        const int error = lab_wait(child);
        if (error > 128) /* it was killed */
            return link_remove((unsigned)index);
        if (error > 0)
            errno = error;
        return error ? -1 : 0;
    }
    return left == -1 ? -1 : 0;
}

/* Whether programs outside of these labs, such as Docker, rely on forwarding, because they have
 * made rules for it meanwhile: 1, 0, or -1 after a warning. Our own rules are removed already. */
static int others_rely_on_it(const struct bridge *bridge)
{
    const int rules = nat_needs_of_others();

    if (rules == -1)
        lab_warn("%s stays 1: it cannot be told whether other programs rely on it", FORWARDING);
    else if (rules > (int)bridge->others)
        lab_warn("%s stays 1: other programs have made rules that need it since the first "
                 "container started",
                 FORWARDING);
    return rules == -1 ? -1 : rules > (int)bridge->others;
}

/* Switch forwarding off again, unless others rely on it. ALONE: there are no rules but our own.
 * MISSING: see lab_forwarding_leave(). Returns 0, or -1 after a warning. */
static int stop_forwarding(const struct bridge *bridge, bool alone, unsigned *missing)
{
    int on = bridge->forwarded ? 0 : lab_forwarding_is_on(), keep = 0;
    const int last = on == 1 ? lab_forwarding_goes_with(LAB) : 0;

    if (last == 1 && !alone)
        keep = others_rely_on_it(bridge);
    if (keep == -1)
        return -1;
    if (on != -1 && last != -1 && lab_forwarding_leave(LAB, keep, missing) != -1)
        return 0;
    return lab_warn("%s", lab_forwarding_trouble()), -1;
}

/* Returns 0; or -1 after a warning, and the record stays for the next command to try again. */
static int remove_network(struct bridge *bridge)
{
    /* While forwarding is on, the guard rule stays. The bridge is last, because the kernel blocks
     * other changes of the network while it removes one. */
    const uint32_t rules = bridge->alone ? bridge->rules : 0;
    const bool alone =
        rules != 0 && lab_nft_generation() == rules && lab_host_has_legacy_tables() == 0;
    unsigned missing = 0;

    if (alone && stop_forwarding(bridge, true, &missing) == -1)
        return -1;
    if (nat_down(BRIDGE, bridge_network(bridge), !bridge->forwarded, bridge->missing | missing,
                 rules) == -1) {
        lab_warn("the rules of %s cannot be removed: iptables-save shows them", BRIDGE);
        return -1;
    }
    if (!alone && stop_forwarding(bridge, false, &missing) == -1)
        return -1;
    if (!alone)
        lab_nft_delete_missing(missing);
    if (remove_bridge() == 0 && bridge_forget() == 0)
        return 0;
    return lab_warn_errno("remove %s", BRIDGE);
}

/* Make the link. It forwards where conf.default.forwarding is 0, too. With route_localnet only
 * rp_filter refuses what a container sends as 127.0.0.2. Without IPv6, which would reach the
 * machine past all rules. */
static int make_bridge(in_addr_t address, int prefix)
{
    unsigned char mac[6];

    link_mac(address, mac);
    if (link_make_bridge(BRIDGE, mac) == -1 ||
        lab_write_file("/proc/sys/net/ipv4/conf/labs0/forwarding", "1") == -1 ||
        lab_write_file("/proc/sys/net/ipv4/conf/labs0/rp_filter", "1") == -1 ||
        lab_write_file("/proc/sys/net/ipv4/conf/labs0/route_localnet", "1") == -1 ||
        (lab_write_file("/proc/sys/net/ipv6/conf/labs0/disable_ipv6", "1") == -1 &&
         errno != ENOENT))
        return -1;
    const unsigned index = lab_link_index(BRIDGE);
    return index == 0 ? -1 : address_add(index, address, prefix);
}

static unsigned count_needs_of_others(void)
{
    const int count = nat_needs_of_others();

    if (count == -1)
        give_up("later it could not be told whether other programs rely on %s", FORWARDING);
    return (unsigned)count;
}

/* Begin to make the rules of BRIDGE. */
static void begin_rules(const struct bridge *bridge)
{
    before = lab_nft_generation();
    coming = nat_up(BRIDGE, bridge_network(bridge), !bridge->forwarded);
}

static void create_network(struct bridge *bridge)
{
    if (must(find_bridge(), "look for %s", BRIDGE) != 0)
        give_up(
            "a link %s exists already, and no record says that it is of this program; if nobody "
            "needs it, type: ip link delete %s",
            BRIDGE, BRIDGE);
    must(bridge_set_place(bridge), "read the boot ID of this machine and that of its network");
    bridge->forwarded = 0; /* until lab_forwarding_use() */
    bridge->others = count_needs_of_others();
    must(lab_nft_missing(&bridge->missing), "look for the tables of nf_tables");
    bridge->rules = 0;
    bridge->alone = 0;
    bridge->last = 1;
    must(bridge_write(bridge), "write %s", bridge_file());
    const int forwards = must(lab_forwarding_use(LAB),
                              "record in %s.forwarding that ip_forward becomes 1", lab_runs());
    bridge->forwarded = !forwards; /* written with the first address */
    if (make_bridge(bridge->network | htonl(1), bridge->prefix) == -1) {
        int error = errno;
        remove_network(bridge); /* else the next command does */
        errno = error;
        fail("make the bridge %s with %s", BRIDGE, bridge_network(bridge));
    }
    begin_rules(bridge);
}

/* Other programs may remove the rules: a reload of nftables.service flushes all. Then they are made
 * again, and so are those of the published ports. Until then those that are left are missing, too.
 */
static void see_to_rules(struct bridge *bridge)
{
    const uint32_t now = lab_nft_generation();

    if (must(lab_forwarding_is_on(), "read %s", FORWARDING) == 0) /* and it stays so */
        lab_warn("another program has set net.ipv4.ip_forward to 0: containers on %s reach only "
                 "each other and this machine, until it is 1 again",
                 BRIDGE);
    if (bridge->rules != 0 && bridge->rules == now)
        return;
    const int up = nat_is_up(BRIDGE, !bridge->forwarded);
    if (up == -1 && errno == ENOENT)
        give_up("a bridge needs iptables; install it, or use --net none");
    if (up == -1)
        give_up("it cannot be told whether the rules of %s are there", BRIDGE);
    bridge->rules = up ? now : 0;
    bridge->alone = 0;
    if (up == 1) /* written with the address */
        return;
    lab_warn("rules of %s are gone (by nft flush ruleset, or a firewall that was started anew), "
             "and are made again",
             BRIDGE);
    /* -1 where rules of others name the bridge, which stay. */
    nat_down(BRIDGE, bridge_network(bridge), !bridge->forwarded, bridge->missing, 0);
    must(lab_nft_missing(&bridge->missing), "look for the tables of nf_tables");
    /* Those that others have made since the first container count as new still. */
    const unsigned others = count_needs_of_others();
    if (others < bridge->others)
        bridge->others = others;
    must(bridge_write(bridge), "write %s", bridge_file());
    again = true;
    begin_rules(bridge);
}

bool network_rules_pending(void)
{
    return coming != 0;
}

/* The present generation, if it is FROM and CHANGES of ours, else 0. */
static unsigned generation_if_ours(uint32_t from, uint32_t changes)
{
    uint32_t now = lab_nft_generation();

    return from != 0 && now == from + changes ? now : 0;
}

/* Read the record of a bridge that is there. Returns 0, or -1 after a warning. */
static int read_present_bridge(struct bridge *bridge)
{
    int found = bridge_read(bridge);

    if (found == 0)
        lab_warn("%s is gone", bridge_file());
    else if (found == -1)
        lab_warn("%s", bridge_trouble());
    return found == 1 ? 0 : -1;
}

static int write_bridge(const struct bridge *bridge)
{
    return bridge_write(bridge) == 0 ? 0 : lab_warn_errno("write %s", bridge_file());
}

/* Record the present generation. Returns 0, or -1 after a warning. */
static int record_rules(void)
{
    struct bridge bridge;

    if (read_present_bridge(&bridge) == -1)
        return -1;
    bridge.rules = generation_if_ours(before, NAT_UP_CHANGES);
    bridge.alone = bridge.rules != 0 && !again;
    return write_bridge(&bridge);
}

int network_wait_for_rules(void)
{
    pid_t child = coming;

    if (child == 0)
        return 0;
    coming = 0;
    int status = nat_wait(child);
    if (status > 128)
        lab_warn("the process that makes the rules of %s was ended by %s", BRIDGE,
                 lab_signal_name(status - 128));
    if (status == 0)
        status = record_rules();
    if (status == 0 && again && network_publish(false) != 0)
        return lab_warn("the published ports could not be made reachable again"), -1;
    /* Only after the rules: at no moment is another network forwarded. */
    if (status == 0 && !again && lab_write_file(FORWARDING, "1") == -1)
        return lab_warn_errno("write 1 to %s", FORWARDING);
    return status;
}

void network_join(struct container *container)
{
    struct bridge bridge;

    if (container->spec.network == NETWORK_USER) {
        container->address.s_addr = inet_addr(USER_NETWORK_ADDRESS);
        claim_ports(container); /* pasta would share one of UDP with another */
    }
    if (container->spec.network != NETWORK_BRIDGE)
        return;
    int found = bridge_read(&bridge);
    if (found == -1)
        give_up("%s", bridge_trouble());
    bool is_there = found == 1;
    if (is_there && bridge_is_here(&bridge) == 0)
        give_up("%s and its containers are in another network namespace: stop them first", BRIDGE);
    if (!is_there) {
        choose_network(&bridge, &container->spec);
    } else if (container->spec.subnet && (bridge.network != container->spec.subnet ||
                                          bridge.prefix != container->spec.prefix)) {
        give_up("%s has the network %s already, for the containers that run", BRIDGE,
                bridge_network(&bridge));
    }
    if (container->spec.address)
        check_address(container->spec.address, &bridge);
    if (is_there &&
        must(find_bridge(), "look for %s", BRIDGE) == 0) { /* removed by another program */
        if (remove_network(&bridge) == -1)
            give_up("what is left of an earlier %s cannot be removed", BRIDGE);
        is_there = false;
    }
    if (is_there)
        see_to_rules(&bridge);
    else
        create_network(&bridge);
    container->spec.subnet = bridge.network, container->spec.prefix = bridge.prefix;
    claim_address(container, &bridge);
    claim_ports(container);
    relay_start(container);
}

struct published {
    FILE *rules, *udp;
};

static void add_ports(const struct container *container, void *published)
{
    const struct published *to = published;

    for (int i = 0; i < container->spec.port_count && !container->ended; i++) {
        const struct port *port = &container->spec.ports[i];
        const struct udp_port udp = {container->address.s_addr, htons(port->outside),
                                     htons(port->inside)};
        nat_write_port(to->rules, 'A', port, container->address);
        if (port->udp)
            fwrite(&udp, sizeof(udp), 1, to->udp);
    }
}

int network_publish(bool had_udp)
{
    struct bridge bridge;
    lab_string rules = NULL;
    lab_string udp = NULL;
    size_t size, udp_size = 0;
    struct published to = {open_memstream(&rules, &size), open_memstream(&udp, &udp_size)};

    if (!to.rules || !to.udp)
        return -1;
    const int all = state_for_each(add_ports, &to);
    const uint32_t found = lab_nft_generation();
    const bool whole = fclose(to.rules) != EOF && fclose(to.udp) != EOF && all != -1;
    /* Without one that cannot be read, its ports would be closed. */
    int status = whole ? nat_publish(rules, true) : -1;
    const int count = (int)(udp_size / sizeof(struct udp_port));
    if (read_present_bridge(&bridge) == -1)
        return -1;
    if (status == 0 && (had_udp || count > 0))
        connections_forget_udp(&bridge, (const void *)udp, count);
    if (status == -1 || bridge.rules == 0)
        return status;
    bridge.rules = bridge.rules == found ? generation_if_ours(found, NAT_PUBLISH_CHANGES) : 0;
    bridge.alone = bridge.alone && bridge.rules != 0;
    return write_bridge(&bridge) == -1 ? -1 : status;
}

/* Where the record of another container cannot be read: the ports of LEFT alone, or they would lead
 * to the next container with its address. */
static int withdraw(const struct container *left)
{
    lab_string rules = NULL;
    size_t size;
    FILE *to = open_memstream(&rules, &size);

    for (int i = 0; to && i < left->spec.port_count; i++)
        nat_write_port(to, 'D', &left->spec.ports[i], left->address);
    return !to || fclose(to) == EOF ? -1 : nat_publish(rules, false);
}

int network_leave(const struct container *left)
{
    const bool had_ports = !left || left->spec.port_count > 0;
    const bool had_udp = !left || publishes_udp(&left->spec);
    struct bridge bridge;

    network_wait_for_rules(); /* of a start that failed */
    int found = bridge_read(&bridge);
    if (found == -1)
        lab_warn("%s", bridge_trouble());
    if (found != 1)
        return found;
    const int here = bridge_is_here(&bridge), claimed = state_has_claim("address-");
    switch (here) {
    case 0:
        if (claimed == 1 && !had_ports)
            return 0;
        lab_warn("%s is in another network namespace: prune removes it there", BRIDGE);
        return -1;
    case -1: return -1;
    }
    if (claimed == -1)
        return lab_warn_errno("read %s", state_directory());
    if (claimed == 0) {
        const int result = remove_network(&bridge);
        if (had_udp) /* when no rule is left that would lead the next packet there */
            connections_forget_udp(&bridge, NULL, 0);
        return result;
    }
    if (!had_ports || network_publish(had_udp) == 0 || (left && withdraw(left) == 0))
        return 0;
    return lab_warn("the rules of the published ports could not be changed"), -1;
}
