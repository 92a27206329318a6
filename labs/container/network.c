#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "host.h"
#include "nat.h"
#include "netlink.h"
#include "nft.h"
#include "process.h"
#include "report.h"
#include "state.h"

enum { LOOPBACK = 1 }; /* the index of lo, the first link of every network namespace */

static const char BRIDGE[] = "labs0";
static pid_t coming;     /* the child that makes the rules of a new bridge; 0: none */
static int counted = -1; /* a pipe from it: how many rules others have */
static uint32_t before;  /* lab_nft_generation() then */
static const char FORWARDING[] = "/proc/sys/net/ipv4/ip_forward";

/* What the bridge was made with, in the file .network of the state directory. */
struct bridge {
    char boot[9];      /* of the machine, the beginning of its random ID */
    in_addr_t network; /* in network order */
    int prefix;
    int forwarded;    /* what ip_forward was before */
    unsigned others;  /* how many rules of iptables others had then */
    unsigned missing; /* which tables and chains there were not then; see nat_missing() */
    unsigned rules;   /* lab_nft_generation() after our last change; 0: others made some, too */
    unsigned last;    /* the host part of the address that was given away last */
    char along[4096]; /* what the kernel changes along with ip_forward; lab_host_forwarding() */
};

enum { BRIDGE_TEXT = 128 + 4096 };

static const char *bridge_file(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/.network", state_directory());
    return path;
}

/* The name under which the file is written, before it is moved. */
static const char *fresh_file(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/.network.new", state_directory());
    return path;
}

static void find_boot(char boot[9])
{
    char text[64] = "";

    lab_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
    snprintf(boot, 9, "%.8s", text);
}

/* Whether there is a bridge of ours. After a restart of the machine there is only its file. */
static bool read_bridge(struct bridge *bridge)
{
    char text[BRIDGE_TEXT], network[32], boot[9];

    if (lab_read_file(bridge_file(), text, sizeof(text)) == -1) {
        unlink(fresh_file()); /* kill -9 came in the middle */
        return false;
    }
    const char *along = strchr(text, '\n');
    snprintf(bridge->along, sizeof(bridge->along), "%s", along ? along + 1 : "");
    find_boot(boot);
    if (sscanf(text, "%8s %31[0-9.]/%d %d %u %u %u %u", bridge->boot, network, &bridge->prefix,
               &bridge->forwarded, &bridge->others, &bridge->missing, &bridge->rules,
               &bridge->last) == 8 &&
        inet_pton(AF_INET, network, &bridge->network) == 1 && strcmp(bridge->boot, boot) == 0)
        return true;
    unlink(bridge_file());
    return false;
}

/* Under another name, to be moved: what is half written would be taken for no bridge of ours. */
static int write_bridge(const struct bridge *bridge)
{
    char text[BRIDGE_TEXT], network[INET_ADDRSTRLEN];
    lab_fd fd = open(fresh_file(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    inet_ntop(AF_INET, &bridge->network, network, sizeof(network));
    int length = snprintf(text, sizeof(text), "%s %s/%d %d %u %u %u %u\n%s", bridge->boot, network,
                          bridge->prefix, bridge->forwarded, bridge->others, bridge->missing,
                          bridge->rules, bridge->last, bridge->along);
    if (fd != -1 && write(fd, text, (size_t)length) == length &&
        rename(fresh_file(), bridge_file()) == 0)
        return 0;
    int error = errno;
    unlink(fresh_file());
    errno = error;
    return -1;
}

static void network_text(const struct bridge *bridge, char *text, size_t size)
{
    char network[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &bridge->network, network, sizeof(network));
    snprintf(text, size, "%s/%d", network, bridge->prefix);
}

/* Remove the bridge. Our part is done when its name is gone; the kernel works on it for a while,
 * and that a child can wait for as well as we, without the lock. */
static void remove_bridge(void)
{
    unsigned index = if_nametoindex(BRIDGE);

    if (index == 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        close_range(0, ~0U, 0); /* the locks too, and what somebody may wait for the end of */
        _exit(link_remove(index) == -1);
    }
    if (child == -1)
        link_remove(index);
    for (int wait = 0; wait < 1000 && if_nametoindex(BRIDGE) == index; wait++)
        usleep(200);
    if (child != -1 && if_nametoindex(BRIDGE) == index)
        lab_wait(child); /* the kernel is busy */
}

/* 1, 0, or -1 with errno. */
static int read_forwarding(void)
{
    char text[32];

    return lab_read_file(FORWARDING, text, sizeof(text)) == -1 ? -1 : atoi(text) != 0;
}

/* Set what the kernel has changed along with ip_forward as it was. A device may have gone. */
static void restore_along(char *along)
{
    char path[160];

    for (char *rest = NULL, *line = strtok_r(along, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strrchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        snprintf(path, sizeof(path), "/proc/sys/%s", line);
        if (lab_write_file(path, value) == -1 && errno != ENOENT)
            lab_warn("write %s to %s: %s", value, path, lab_strerror(errno));
    }
}

/* Whoever came while we forwarded, Docker or libvirt, has found it switched on and relies on it.
 * ALONE: nobody has come; else our own rules are gone already. */
static void stop_forwarding(struct bridge *bridge, bool alone)
{
    if (bridge->forwarded || read_forwarding() == 0)
        return;
    if (!alone && nat_rules() > bridge->others)
        lab_warn("%s stays 1: somebody else has made rules since the first container came",
                 FORWARDING);
    else if (lab_write_file(FORWARDING, "0") == -1)
        lab_warn("write 0 to %s: %s", FORWARDING, lab_strerror(errno));
    else
        restore_along(bridge->along);
}

static void take_down(struct bridge *bridge)
{
    char network[32];

    network_text(bridge, network, sizeof(network));
    /* As long as we forward, the guard is there, and the kernel takes no other change to a network
     * while it removes a bridge: so the bridge is last. */
    const bool alone =
        bridge->rules != 0 && lab_nft_generation() == bridge->rules && !nat_has_legacy();
    if (alone)
        stop_forwarding(bridge, true);
    nat_down(BRIDGE, network, !bridge->forwarded, bridge->missing, bridge->rules);
    if (!alone)
        stop_forwarding(bridge, false);
    remove_bridge();
    unlink(bridge_file());
}

/* A private network that no route of this machine leads to. */
static void choose_network(struct bridge *bridge, const struct specification *spec)
{
    if (spec->subnet) {
        bridge->network = spec->subnet, bridge->prefix = spec->prefix;
        if (route_overlaps(bridge->network, bridge->prefix))
            give_up(STATUS_RUNTIME, "the network asked for by --subnet is in use on this machine");
        return;
    }
    bridge->prefix = 16;
    for (uint32_t second = 209; second < 240; second++) {
        bridge->network = htonl(10U << 24 | second << 16);
        if (!route_overlaps(bridge->network, bridge->prefix))
            return;
    }
    give_up(STATUS_RUNTIME, "10.209.0.0/16 to 10.239.0.0/16 are all in use on this machine; "
                            "choose a network with --subnet");
}

static void set_up(struct bridge *bridge)
{
    char network[32];
    unsigned char mac[6] = {0x02, 0x42};
    int count[2] = {-1, -1};

    if (if_nametoindex(BRIDGE) != 0)
        give_up(STATUS_RUNTIME, "there is a link %s already that is not ours", BRIDGE);
    find_boot(bridge->boot);
    bridge->forwarded = read_forwarding();
    if (bridge->forwarded == -1)
        fail("read %s", FORWARDING);
    bridge->along[0] = '\0';
    if (!bridge->forwarded)
        lab_host_forwarding(bridge->along, sizeof(bridge->along));
    bridge->others = 0; /* until network_settle() */
    bridge->missing = nat_missing();
    bridge->rules = 0;
    before = lab_nft_generation();
    bridge->last = 1;
    in_addr_t address = bridge->network | htonl(1);
    memcpy(mac + 2, &address, sizeof(address));
    network_text(bridge, network, sizeof(network));
    if (write_bridge(bridge) == -1)
        fail("write %s", bridge_file());
    /* No IPv6: what a container says there would reach the machine past all rules. */
    if (link_make_bridge(BRIDGE, mac) == -1 ||
        (lab_write_file("/proc/sys/net/ipv6/conf/labs0/disable_ipv6", "1") == -1 &&
         errno != ENOENT) ||
        address_add(if_nametoindex(BRIDGE), address, bridge->prefix) == -1) {
        int error = errno;
        take_down(bridge);
        errno = error;
        fail("make the bridge %s with %s", BRIDGE, network);
    }
    if (!bridge->forwarded && pipe2(count, O_CLOEXEC) == -1)
        fail("make a pipe");
    coming = nat_up(BRIDGE, network, count[1]);
    lab_close_fd(&count[1]);
    counted = count[0];
}

bool network_is_coming(void)
{
    return coming != 0;
}

/* The generation of the rules after CHANGES of ours to those of FROM, if they were the only ones.
 */
static unsigned only_ours(uint32_t from, uint32_t changes)
{
    uint32_t now = lab_nft_generation();

    return from != 0 && now == from + changes ? now : 0;
}

/* Note how many rules others had before ours were made, and what the rules are after that. */
static void note_rules(void)
{
    struct bridge bridge;

    if (!read_bridge(&bridge))
        return;
    if (counted != -1 && read(counted, &bridge.others, sizeof(bridge.others)) == -1)
        bridge.others = 0;
    bridge.rules = only_ours(before, NAT_UP_CHANGES);
    if (write_bridge(&bridge) == -1)
        lab_warn("write %s: %s", bridge_file(), lab_strerror(errno));
}

int network_settle(void)
{
    pid_t child = coming;

    if (child == 0)
        return 0;
    coming = 0;
    int status = nat_wait(child);
    note_rules();
    lab_close_fd(&counted);
    /* Not before the rules are there: nothing but what is ours is forwarded at any moment. */
    if (status == 0 && lab_write_file(FORWARDING, "1") == -1) {
        lab_warn("write 1 to %s: %s", FORWARDING, lab_strerror(errno));
        return -1;
    }
    return status;
}

/* Whether HOST can be a container's: not the network itself, the bridge, or the broadcast address.
 */
static bool is_usable(const struct bridge *bridge, unsigned host)
{
    return host >= 2 && host < (UINT32_MAX >> bridge->prefix);
}

static void check_asked_address(in_addr_t address, const struct bridge *bridge)
{
    char text[INET_ADDRSTRLEN], network[32];
    const uint32_t mask = UINT32_MAX >> bridge->prefix;

    inet_ntop(AF_INET, &address, text, sizeof(text));
    network_text(bridge, network, sizeof(network));
    if ((ntohl(address ^ bridge->network) & ~mask) != 0 ||
        !is_usable(bridge, ntohl(address) & mask))
        give_up(STATUS_RUNTIME, "address %s is not one that a container on %s can have", text,
                network);
}

static void claim_asked_address(struct container *container)
{
    char text[INET_ADDRSTRLEN], owner[NAME_SIZE];
    const in_addr_t address = container->spec.address;

    inet_ntop(AF_INET, &address, text, sizeof(text));
    if (state_claim(container, "address", text, owner) == -1)
        give_up(STATUS_RUNTIME, "address %s is in use by %s", text, *owner ? owner : "another");
    container->address.s_addr = address;
}

/* The next after the one that was given away last: an address that has just become free may still
 * be answered for by a network namespace that the kernel is taking down. */
static void claim_free_address(struct container *container, struct bridge *bridge)
{
    const unsigned hosts = UINT32_MAX >> bridge->prefix;
    char text[INET_ADDRSTRLEN], network[32];

    for (unsigned step = 1; step <= hosts; step++) {
        unsigned host = (bridge->last + step) % hosts;
        struct in_addr address = {.s_addr = bridge->network | htonl(host)};
        inet_ntop(AF_INET, &address, text, sizeof(text));
        if (!is_usable(bridge, host) || state_claim(container, "address", text, NULL) == -1)
            continue;
        container->address = address;
        bridge->last = host;
        if (write_bridge(bridge) == -1)
            fail("write %s", bridge_file());
        return;
    }
    network_text(bridge, network, sizeof(network));
    give_up(STATUS_RUNTIME, "no address is free in %s", network);
}

static void claim_ports(const struct container *container)
{
    for (int i = 0; i < container->spec.port_count; i++) {
        const struct port *port = &container->spec.ports[i];
        const char *protocol = port->udp ? "udp" : "tcp";
        char text[32], owner[NAME_SIZE];
        snprintf(text, sizeof(text), "%s-%u", protocol, port->outside);
        if (state_claim(container, "port", text, owner) == -1)
            give_up(STATUS_RUNTIME, "port %u/%s is in use by %s", port->outside, protocol,
                    *owner ? owner : "another");
        if (!lab_host_port_is_free(port->outside, port->udp))
            give_up(STATUS_RUNTIME, "port %u/%s is in use on this machine", port->outside,
                    protocol);
    }
}

void network_join(struct container *container)
{
    struct bridge bridge;

    if (container->spec.network != NETWORK_BRIDGE)
        return;
    bool is_there = read_bridge(&bridge);
    if (!is_there) {
        choose_network(&bridge, &container->spec);
    } else if (container->spec.subnet && (bridge.network != container->spec.subnet ||
                                          bridge.prefix != container->spec.prefix)) {
        char network[32];
        network_text(&bridge, network, sizeof(network));
        give_up(STATUS_RUNTIME, "%s has the network %s already, for the containers that run",
                BRIDGE, network);
    }
    if (container->spec.address)
        check_asked_address(container->spec.address, &bridge);
    if (is_there && if_nametoindex(BRIDGE) == 0) { /* somebody has removed it */
        take_down(&bridge);
        is_there = false;
    }
    if (!is_there)
        set_up(&bridge);
    container->spec.subnet = bridge.network, container->spec.prefix = bridge.prefix;
    if (container->spec.address)
        claim_asked_address(container);
    else
        claim_free_address(container, &bridge);
    claim_ports(container);
}

static void add_rules(const struct container *container, void *rules)
{
    char address[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &container->address, address, sizeof(address));
    for (int i = 0; i < container->spec.port_count && !container->ended; i++) {
        const struct port *port = &container->spec.ports[i];
        nat_rule(rules, port->udp ? "udp" : "tcp", port->outside, address, port->inside);
    }
}

int network_publish(void)
{
    struct bridge bridge;
    lab_string rules = NULL;
    size_t size;
    FILE *to = open_memstream(&rules, &size);

    if (!to)
        return -1;
    nat_begin(to);
    state_for_each(add_rules, to);
    const uint32_t found = lab_nft_generation();
    int status = nat_publish(to, &rules);
    if (!read_bridge(&bridge) || bridge.rules == 0)
        return status;
    bridge.rules = bridge.rules == found ? only_ours(found, NAT_PUBLISH_CHANGES) : 0;
    if (write_bridge(&bridge) == -1)
        lab_warn("write %s: %s", bridge_file(), lab_strerror(errno));
    return status;
}

void network_connect(const struct container *container, pid_t pid)
{
    char name[IFNAMSIZ];

    if (container->address.s_addr == 0)
        return;
    snprintf(name, sizeof(name), "labs-%d", (int)container->runtime);
    const unsigned bridge = if_nametoindex(BRIDGE);
    if (bridge == 0 || link_make_pair(name, bridge, "eth0", pid) == -1)
        fail("connect the container to %s", BRIDGE);
}

void network_inside(void)
{
    if (link_up(LOOPBACK) == -1)
        fail("set lo up");
}

void network_plug_in(const struct container *container)
{
    const struct specification *spec = &container->spec;
    const in_addr_t address = container->address.s_addr;
    unsigned link;

    if (address == 0)
        return;
    link = if_nametoindex("eth0");
    if (link == 0 || address_add(link, address, spec->prefix) == -1 || link_up(link) == -1 ||
        route_add_default(spec->subnet | htonl(1)) == -1)
        fail("set eth0 up");
}

/* The machine's own name servers, but for those that listen on its lo alone: behind such a one,
 * systemd has the real ones. */
void network_read_names(struct network_names *names, const struct container *container)
{
    static const char *const FILES[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
    char text[sizeof(names->servers) - 1]; /* the last line may want a newline */
    char address[INET_ADDRSTRLEN];
    bool found = false;

    names->servers[0] = names->hosts[0] = '\0';
    if (container->spec.network == NETWORK_NONE)
        return;
    for (size_t i = 0; i < 2 && !found; i++) {
        char *rest = NULL;
        if (lab_read_file(FILES[i], text, sizeof(text)) == -1)
            continue;
        names->servers[0] = '\0';
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            enum lab_server server = lab_host_server_in(line);
            found |= server == LAB_SERVER_ELSEWHERE;
            if (server != LAB_SERVER_LOOPBACK)
                strcat(strcat(names->servers, line), "\n");
        }
    }
    if (container->address.s_addr == 0)
        return;
    inet_ntop(AF_INET, &container->address, address, sizeof(address));
    snprintf(names->hosts, sizeof(names->hosts), "127.0.0.1\tlocalhost\n%s\t%s\n", address,
             container->spec.hostname);
}

/* Make the file NAME in ETC anew. What the root file system has of that name may be a link to
 * /proc, a pipe, or a link to nowhere: it is not written to, it goes. (CVE-2025-52881) */
static void write_name_file(int etc, const char *name, const char *text)
{
    if (!*text)
        return;
    if (unlinkat(etc, name, 0) == -1 && errno != ENOENT)
        fail("replace /etc/%s in the container", name);
    lab_fd file = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file == -1 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        fail("write /etc/%s in the container", name);
}

void network_write_names(const struct network_names *names)
{
    lab_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (!*names->servers && !*names->hosts)
        return;
    if (mkdirat(root, "etc", 0755) == -1 && errno != EEXIST)
        fail("make /etc in the container");
    lab_fd etc = lab_openat2(root, "etc", O_PATH | O_DIRECTORY, 0,
                             RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
    if (etc == -1)
        fail("open /etc in the container");
    write_name_file(etc, "resolv.conf", names->servers);
    write_name_file(etc, "hosts", names->hosts);
}

void network_leave(bool had_ports)
{
    struct bridge bridge;

    network_settle();
    if (!read_bridge(&bridge))
        return;
    if (!state_has_claim("address-"))
        take_down(&bridge);
    else if (had_ports && network_publish() != 0)
        lab_warn("the rules of the published ports could not be changed");
}
