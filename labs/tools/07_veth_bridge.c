/*
 * The tool 07_veth_bridge: the bridge and its containers on this host, until `down`.
 */
#include <stdio.h>

#include "change.h"
#include "command.h"
#include "network.h"
#include "updown.h"
#include "uplink.h"

int bridge_tool(int argc, char *argv[]);

static struct lab_network network = LAB_NETWORK_OF_THE_ARTICLE;

/*
 * The network of the page, for any number of containers. lab_undo() notes each part for `down`.
 */

/* Container n: a network namespace, and a cable of which one end lies in it. */
static void plug_cable_into(int n)
{
    int inside = 2 * n - 1, outside = 2 * n;

    lab_undo("netns net%d", n);
    lab_shell_run("ip netns add net%d", n);
    lab_undo("link veth%d", outside);
    lab_shell_run("ip link add veth%d type veth peer name veth%d", inside, outside);
    lab_shell_run("ip link set veth%d netns net%d", inside, n);
    lab_shell_run("ip netns exec net%d ip addr add %s dev veth%d", n,
                  lab_network_address_length(&network, n).text, inside);
    lab_shell_run("ip netns exec net%d ip link set veth%d up", n, inside);
}

/* The switch: a bridge with the other end of every cable in one of its ports. */
static void build_bridge(void)
{
    lab_undo("link br0");
    lab_shell_run("brctl addbr br0");
    for (int n = 1; n <= network.namespaces; n++)
        lab_shell_run("ip link set dev veth%d master br0", 2 * n);
    lab_shell_run("ip addr add %s dev br0", lab_network_address_length(&network, 0).text);
    for (int n = 1; n <= network.namespaces; n++)
        lab_shell_run("ip link set veth%d up", 2 * n);
    lab_shell_run("ip link set br0 up");
    lab_wait_for_link("br0");
}

static const char HELP[] =
    "Usage: 07_veth_bridge [--step] [--shell]\n"
    "   or: 07_veth_bridge up [--subnet CIDR] [--namespaces N]\n"
    "   or: 07_veth_bridge status | down\n"
    "Without a command, play the experiment in a private network. With one, build the same\n"
    "network on this host, show it, or take it down to exactly what was there before.\n"
    "\n"
    "  --subnet=CIDR      the network of the containers (192.168.0.0/24)\n"
    "  --namespaces=N     how many containers, 2 to 200 (2)\n"
    "  --step             experiment: wait for Enter before each step\n"
    "  --shell            experiment: end with a shell in net1\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0; 1 for a failure, which changes nothing, or for output that could not be\n"
    "written; 2 for wrong usage; 77 where a program is missing.\n";

static void need_tools(void)
{
    lab_need_commands("ip:iproute2 brctl:bridge-utils");
}

static void up(const struct lab_wanted *wanted)
{
    (void)wanted;
    for (int n = 1; n <= network.namespaces; n++)
        plug_cable_into(n);
    build_bridge();
    lab_host_report_bridge_netfilter();
    printf("Try: sudo ip netns exec net1 ping -c 2 %s\n", lab_network_address(&network, 2).text);
}

static void status(const struct lab_wanted *wanted)
{
    (void)wanted;
    lab_network_draw();
    lab_host_report_bridge_netfilter();
}

static const struct lab_updown tool = {
    .number = "07",
    .help = HELP,
    .network = &network,
    .need_tools = need_tools,
    .up = up,
    .status = status,
};

int bridge_tool(int argc, char *argv[])
{
    return lab_updown(&tool, argc, argv);
}
