/*
 * The tool 08_nat: containers with a way out, and published ports, on this host, until `down`.
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "change.h"
#include "command.h"
#include "host.h"
#include "iptables.h"
#include "network.h"
#include "updown.h"
#include "uplink.h"

int nat_tool(int argc, char *argv[]);

static struct lab_network network = LAB_NETWORK_OF_THE_ARTICLE;

/* What lab 07 builds: containers on a bridge. */
static void network_of_lab_07(void)
{
    for (int n = 1; n <= network.namespaces; n++) {
        const struct lab_address address = lab_network_address_length(&network, n);
        lab_undo("netns net%d", n);
        lab_shell_run("ip netns add net%d", n);
        lab_undo("link veth%d", 2 * n);
        lab_shell_run("ip link add veth%d type veth peer name veth%d", 2 * n - 1, 2 * n);
        lab_shell_run("ip link set veth%d netns net%d", 2 * n - 1, n);
        lab_shell_run("ip netns exec net%d ip addr add %s dev veth%d", n, address.text, 2 * n - 1);
        lab_shell_run("ip netns exec net%d ip link set veth%d up", n, 2 * n - 1);
    }
    lab_undo("link br0");
    lab_shell_run("brctl addbr br0");
    lab_shell_run("ip addr add %s dev br0", lab_network_address_length(&network, 0).text);
    lab_shell_run("ip link set br0 up");
    for (int n = 1; n <= network.namespaces; n++)
        lab_shell_run("ip link set dev veth%d master br0 up", 2 * n);
    lab_wait_for_link("br0");
}

/* Inside: what is in no other route goes to the bridge. */
static void default_route_of(int n)
{
    lab_shell_run("ip netns exec net%d ip route add default via %s dev veth%d", n,
                  lab_network_address(&network, 0).text, 2 * n - 1);
}

/* The host becomes a router. Both names are one switch, net.ipv4.ip_forward for short. */
static void turn_forwarding_on(void)
{
    lab_shell_run("sysctl -w net.ipv4.conf.all.forwarding=1");
    lab_shell_run("sysctl -w net.ipv4.ip_forward=1");
}

/* Whoever leaves by another device than the bridge leaves with the address of that device. */
#define MASQUERADE "-s %s ! -o br0 -j MASQUERADE"
#define MASQUERADE_BY "-s %s -o %s -j MASQUERADE"
#define BACK_IN "-s %s -o br0 -m conntrack --ctstate DNAT -j MASQUERADE"

/* br0 accepts 127.0.0.1 (route_localnet), for the answers to this host: a container must not reach
 * servers on the host's lo by it. */
#define LOCAL_ONLY "-i br0 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"

/* Who comes to a port of the host is sent on to a container. */
#define PUBLISH "-p %s --dport %d -m addrtype --dst-type LOCAL -j DNAT --to-destination %s:%d"

static const char HELP[] =
    "Usage: 08_nat [--step] [--shell]\n"
    "   or: 08_nat up [--uplink IFACE] [--publish HOSTPORT:NS:PORT]... [--subnet CIDR]\n"
    "                 [--namespaces N]\n"
    "   or: 08_nat status [--dot] | down\n"
    "Without a command, play the experiment in a private network. With one, build containers\n"
    "with a way out on this host, show them, or take down exactly what was built.\n"
    "\n"
    "  --uplink=IFACE     the device to leave by (whichever the routes say)\n"
    "  --publish=HOSTPORT:NS:PORT\n"
    "                     a TCP port of this host leads to a port in NS, as 8080:net1:80\n"
    "  --subnet=CIDR      the network of the containers (192.168.0.0/24)\n"
    "  --namespaces=N     how many containers, 2 to 200 (2)\n"
    "  --dot              status: print it as a graph for Graphviz\n"
    "  --step             experiment: wait for Enter before each step\n"
    "  --shell            experiment: end with a shell in net1\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0; 1 for a failure, which changes nothing, or for output that could not be\n"
    "written; 2 for wrong usage; 77 where a program is missing.\n"
    "IPTABLES in the environment names the iptables to use, such as iptables-legacy.\n";

/* The article lets everything pass: iptables -P FORWARD ACCEPT. On a host that others use as well,
 * let pass what comes from our bridge, and what answers it or was published. Docker leaves a chain
 * for such rules, which it asks first. */
static void let_pass(void)
{
    const char *chain = lab_iptables_has_chain("filter", "DOCKER-USER") ? "DOCKER-USER" : "FORWARD";

    lab_iptables_add("08", "filter", chain, 'I', "-i br0 -j ACCEPT");
    lab_iptables_add("08", "filter", chain, 'I',
                     "-o br0 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT");
}

/* Lead ports of the host to containers. */
static void publish(const struct lab_wanted *wanted)
{
    /* A container that asks for a published port has to be answered by way of this host, too, and
     * so has this host itself, which asks from 127.0.0.1. br0's sysctl goes with br0. */
    lab_iptables_add("08", "nat", "POSTROUTING", 'A', BACK_IN, lab_network_subnet(&network).text);
    lab_iptables_add("08", "nat", "POSTROUTING", 'A', BACK_IN, "127.0.0.0/8");
    lab_iptables_add("08", "filter", "INPUT", 'I', LOCAL_ONLY);
    lab_shell_run("sysctl -q -w net.ipv4.conf.br0.route_localnet=1");
    for (int i = 0; i < wanted->published_count; i++) {
        int container = wanted->published[i].container;
        const struct lab_address address = lab_network_address(&network, container);
        int host_port = wanted->published[i].host_port, port = wanted->published[i].port;
        /* PREROUTING for what comes from elsewhere, OUTPUT for the host itself. */
        lab_iptables_add("08", "nat", "PREROUTING", 'A', PUBLISH, "tcp", host_port, address.text,
                         port);
        lab_iptables_add("08", "nat", "OUTPUT", 'A', PUBLISH, "tcp", host_port, address.text, port);
        /* What the container sends to its own port comes back by its port of the bridge, where
         * bridge-nf-call-iptables lets the NAT change frames there. */
        lab_shell_run("brctl hairpin br0 veth%d on", 2 * container);
    }
}

static void need_tools(void)
{
    lab_need_commands("ip:iproute2 brctl:bridge-utils sysctl:procps");
    lab_iptables_choose();
}

static void up(const struct lab_wanted *wanted)
{
    const struct lab_address subnet = lab_network_subnet(&network);

    printf("iptables: %s (%s)\n", lab_iptables(), lab_iptables_backend());
    lab_iptables_warn_of_other();
    if (lab_host_note_forwarding())
        turn_forwarding_on();
    network_of_lab_07();
    /* Somebody may have switched it off for new devices. It goes with br0. */
    if (strcmp(lab_text("/proc/sys/net/ipv4/conf/br0/forwarding"), "0") == 0)
        lab_shell_run("sysctl -q -w net.ipv4.conf.br0.forwarding=1");
    for (int n = 1; n <= network.namespaces; n++)
        default_route_of(n);
    lab_host_give_resolver(&network);
    let_pass();
    lab_host_warn_of_closed_forward("br0");
    if (wanted->uplink)
        lab_iptables_add("08", "nat", "POSTROUTING", 'A', MASQUERADE_BY, subnet.text,
                         wanted->uplink);
    else
        lab_iptables_add("08", "nat", "POSTROUTING", 'A', MASQUERADE, subnet.text);
    if (wanted->published_count > 0)
        publish(wanted);
    printf("Try: sudo %s status\n", program_invocation_name);
}

static void status(const struct lab_wanted *wanted)
{
    char uplink[IF_NAMESIZE] = "none";

    lab_host_default_route(NULL, uplink);
    if (wanted->dot) {
        lab_network_draw_dot(uplink);
        return;
    }
    printf("default route by %s; net.ipv4.ip_forward = %s\n\n", uplink,
           lab_text("/proc/sys/net/ipv4/ip_forward"));
    lab_network_draw();
    putchar('\n');
    lab_iptables_print("08");
    lab_host_report_bridge_netfilter();
}

static const struct lab_updown tool = {
    .number = "08",
    .help = HELP,
    .network = &network,
    .has_way_out = true,
    .need_tools = need_tools,
    .up = up,
    .status = status,
};

int nat_tool(int argc, char *argv[])
{
    return lab_updown(&tool, argc, argv);
}
