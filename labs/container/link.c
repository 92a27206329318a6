/* The pair of links that connects a container to the bridge, for network.h. */
#include <net/if.h>

#include "bridge.h"
#include "host.h"
#include "netlink.h"
#include "network.h"
#include "pidfd.h"
#include "report.h"
#include "state.h"

enum { LOOPBACK = 1 }; /* the index of lo, the first link of every network namespace */

static int inside = -1; /* network_number() of the container */

/* The runtime's end of the container's cable. */
static void name_link(const struct container *container, char name[IFNAMSIZ])
{
    snprintf(name, IFNAMSIZ, "labs-%d", (int)container->runtime);
}

/* What comes by the port to the machine has to come by labs0, for which the rules are. What the
 * container sends to its own published port comes back to it by the bridge, where
 * bridge-nf-call-iptables lets the NAT change frames there: HAIRPIN. */
static int set_up_port(const char *name, bool hairpin)
{
    char path[64 + IFNAMSIZ];
    const unsigned index = lab_link_index(name);

    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    if (lab_write_file(path, "1") == -1 && errno != ENOENT)
        return -1;
    return index == 0 ? -1 : link_set_port(index, hairpin);
}

void network_connect(const struct container *container, pid_t pid)
{
    char name[IFNAMSIZ];
    unsigned char mac[6];

    if (container->spec.network != NETWORK_BRIDGE)
        return;
    name_link(container, name);
    const unsigned bridge = lab_link_index(BRIDGE);
    /* The same for the same address: the neighbours know it still. */
    link_mac(container->address.s_addr, mac);
    if (bridge == 0 || link_make_pair(name, bridge, "eth0", mac, pid) == -1 ||
        set_up_port(name, container->spec.port_count > 0) == -1)
        fail("connect the container to %s", BRIDGE);
    inside = network_number(pid);
    lab_host_warn_of_closed_forward(BRIDGE);
}

/* Whether another container has this runtime's PID by now, and so the name of the link. The sweep
 * of that runtime has removed ours. */
static void compare_runtime(const struct container *other, void *argument)
{
    const struct container **container = argument;

    if (*container && other->runtime == (*container)->runtime &&
        strcmp(other->spec.name, (*container)->spec.name) != 0)
        *container = NULL;
}

/* Returns 1, 0, or -1 after a warning. */
static int is_of_another(const struct container *container)
{
    if (container->runtime == getpid() || process_began(container->runtime) == 0)
        return 0;
    return state_for_each(compare_runtime, &container) == -1 ? -1 : !container;
}

/* Where nothing keeps the namespace, it is gone as soon as the kernel has freed its last sockets.
 */
static int remove_unless_gone(unsigned index)
{
    pid_t child = fork();

    if (child == 0) {
        close_range(0, ~0U, 0); /* locks, and pipes whose readers wait for their end */
        for (int wait = 0; wait < 100 && !network_is_gone(inside); wait++)
            usleep(1000);
        _exit(!network_is_gone(inside) && link_remove(index) == -1 && errno != ENODEV);
    }
    return child == -1 ? link_remove(index) : 0;
}

int network_disconnect(const struct container *container)
{
    char name[IFNAMSIZ];

    if (container->spec.network != NETWORK_BRIDGE || network_is_gone(inside))
        return 0;
    name_link(container, name);
    const unsigned index = lab_link_index(name);
    const int other = index == 0 ? 0 : is_of_another(container);
    if (other != 0)
        return other == 1 ? 0 : -1;
    if (index != 0 && (inside == -1 ? link_remove(index) : remove_unless_gone(index)) == 0)
        return 0;
    if (errno == ENODEV)
        return 0;
    return lab_warn_errno("remove %s", name);
}

void network_set_up_loopback(void)
{
    must(link_up(LOOPBACK), "set lo up");
}

void network_set_up_eth0(const struct container *container)
{
    const struct specification *spec = &container->spec;
    const in_addr_t address = container->address.s_addr;
    unsigned link;

    if (spec->network != NETWORK_BRIDGE)
        return;
    link = lab_link_index("eth0");
    if (link == 0 || address_add(link, address, spec->prefix) == -1 || link_up(link) == -1 ||
        route_add_default(spec->subnet | htonl(1)) == -1)
        fail("set eth0 up");
}
