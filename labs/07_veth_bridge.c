/*
 * 07_veth_bridge - two containers, two cables, and a switch between them.
 *
 *     sudo ./labs/07_veth_bridge                     the experiment, in a private network
 *     sudo ./labs/07_veth_bridge up | status | down  the same network on this host
 *
 * Shows veth(4), a cable with two ends that can lie in two network namespaces, and the bridge, a
 * switch made of software: how containers on one host reach each other.
 */
#include <stdio.h>
#include <string.h>

#include "change.h"
#include "command.h"
#include "error.h"
#include "file.h"
#include "host.h"
#include "narrate.h"
#include "network.h"
#include "run.h"
#include "updown.h"
#include "witness.h"

static struct lab_network network = LAB_NETWORK_OF_THE_ARTICLE;

/*
 * The mechanism: iproute2 and bridge-utils, as the article types them. The experiment and `up` both
 * run it; lab_undo() notes for `down`, and does nothing in the experiment.
 */

/* Container n: a network namespace, and a cable of which one end lies in it. */
static void plug_cable_into(int n)
{
    int inside = 2 * n - 1, outside = 2 * n;

    lab_undo("ip netns del net%d", n);
    lab_shell_run("ip netns add net%d", n);
    lab_undo("ip link del veth%d", outside);
    lab_shell_run("ip link add veth%d type veth peer name veth%d", inside, outside);
    lab_shell_run("ip link set veth%d netns net%d", inside, n);
    lab_shell_run("ip netns exec net%d ip addr add %s dev veth%d", n,
                  lab_network_address_length(&network, n), inside);
    lab_shell_run("ip netns exec net%d ip link set veth%d up", n, inside);
}

/* The switch: a bridge with the other end of every cable in one of its ports. */
static void build_bridge(void)
{
    lab_undo("ip link del br0");
    lab_shell_run("brctl addbr br0");
    for (int n = 1; n <= network.namespaces; n++)
        lab_shell_run("ip link set dev veth%d master br0", 2 * n);
    lab_shell_run("ip addr add %s dev br0", lab_network_address_length(&network, 0));
    for (int n = 1; n <= network.namespaces; n++)
        lab_shell_run("ip link set veth%d up", 2 * n);
    lab_shell_run("ip link set br0 up");
    lab_network_wait_for("br0");
}

/*
 * The tool.
 */

static const char HELP[] =
    "Usage: 07_veth_bridge [--step] [--shell]\n"
    "   or: 07_veth_bridge up [--subnet CIDR] [--namespaces N]\n"
    "   or: 07_veth_bridge status | down\n"
    "Without a command, play the experiment in a private network. With one, build the same\n"
    "network on this host, show it, or take it down to exactly what was there before.\n"
    "\n"
    "  --subnet=CIDR      the network of the containers (192.168.0.0/24)\n"
    "  --namespaces=N     how many containers, 2 to 200 (2)\n"
    "  --step             experiment: wait for Enter after each step\n"
    "  --shell            experiment: end with a shell in net1\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0; 1 for a failure, which changes nothing; 2 for wrong usage; 77 where a\n"
    "program is missing.\n";

static void need_tools(void)
{
    lab_need_command("ip", "iproute2");
    lab_need_command("brctl", "bridge-utils");
}

static void up(const struct lab_wanted *wanted)
{
    (void)wanted;
    for (int n = 1; n <= network.namespaces; n++)
        plug_cable_into(n);
    build_bridge();
    lab_host_report_bridge_netfilter();
    printf("Try: sudo ip netns exec net1 ping -c 2 %s\n", lab_network_address(&network, 2));
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

/*
 * The experiment.
 */

/* Container n is cabled: is its end of the cable inside, and only there, with its address? */
static void container(int n)
{
    char inside[16], namespace[16];
    struct lab_link link;
    LAB_OUTPUT shown = {0};

    snprintf(inside, sizeof(inside), "veth%d", 2 * n - 1);
    snprintf(namespace, sizeof(namespace), "net%d", n);
    plug_cable_into(n);
    lab_shell_try(&shown, "ip netns exec %s ip addr show %s", namespace, inside);
    lab_check(lab_network_read_link(&link, namespace, inside), "%s is in %s", inside, namespace);
    lab_check(!lab_network_read_link(&(struct lab_link){0}, NULL, inside), "and no longer outside");
    lab_check_text(link.address, lab_network_address_length(&network, n),
                   "%s has the address of the article", inside);
}

static void first_container(void)
{
    lab_step("net1: a namespace and one end of a cable");
    lab_say("A veth pair is a cable: what goes in at one end comes out at the other, and each end\n"
            "can be moved into another network namespace.");
    container(1);
}

static void second_container(void)
{
    lab_step("net2: the same once more");
    container(2);
}

static void before_the_bridge(void)
{
    struct lab_link link;
    LAB_OUTPUT ping = {0}, neighbours = {0};

    lab_step("before the bridge");
    int ping_status =
        lab_shell_try(&ping, "ip netns exec net1 ping -c 1 -W 0.2 192.168.0.102 -I veth1");
    lab_fact("ping.exit_status", "%d", ping_status);
    lab_check_number(ping_status, 1, "no reply");
    lab_say("The address fits the subnet of veth1, so net1 asks for its MAC address on the cable.\n"
            "The other end is down and in no switch: nobody hears the question.");
    lab_shell_try(&neighbours, "ip netns exec net1 ip neigh show 192.168.0.102");
    lab_check(strstr(neighbours.text, "INCOMPLETE") || strstr(neighbours.text, "FAILED"),
              "the question for its MAC address has no answer");
    lab_network_read_link(&link, "net1", "veth1");
    lab_fact("veth1.state", "%s", link.state);
    lab_check_text(link.state, "LOWERLAYERDOWN", "veth1 sees no carrier: its other end is down");
}

static int ports_of_ours, ports_of_others;

static void count_port(const char *port, int n)
{
    char state[8], path[64];

    snprintf(path, sizeof(path), "/sys/class/net/br0/brif/%s/state", port);
    if (lab_read_file(path, state, sizeof(state)) == -1)
        lab_die("read %s", path);
    lab_fact("br0.port", "%s, state %s", port, strcmp(state, "3") == 0 ? "forwarding" : state);
    ports_of_ours += n == 1 || n == 2;
    ports_of_others += n != 1 && n != 2;
}

static void switch_between(void)
{
    struct lab_link bridge;
    LAB_OUTPUT shown = {0};

    lab_step("br0: a switch, and both cables in it");
    build_bridge();
    lab_shell_try(&shown, "brctl show");
    lab_network_each_port(count_port);
    lab_check(ports_of_ours == 2 && ports_of_others == 0,
              "veth2 and veth4 are ports of br0, and nothing else is");
    lab_network_read_link(&bridge, NULL, "br0");
    lab_check_text(bridge.address, "192.168.0.100/24",
                   "br0 has an address: the host itself is on the switch, too");
}

static void ping_across(void)
{
    LAB_OUTPUT ping = {0};

    lab_step("net1 reaches net2");
    lab_say(
        "(The failed ping left its question in the table of neighbours, to be asked again in a\n"
        "second. Forget it rather than wait.)");
    lab_shell_run("ip netns exec net1 ip neigh flush dev veth1");
    int ping_status =
        lab_shell_try(&ping, "ip netns exec net1 ping -c 2 -i 0.2 -w 1 192.168.0.102 -I veth1");
    lab_fact("ping.exit_status", "%d", ping_status);
    lab_check_number(ping_status, 0, "net2 replies");
    lab_check(strstr(ping.text, ", 0% packet loss"), "no packet is lost");
    lab_check(strstr(ping.text, "ttl=64"), "ttl 64: no router has touched it, only a switch");
}

/* The MAC address of a device in a namespace, from the kernel. */
static void read_mac(const char *namespace, const char *name, char mac[18])
{
    LAB_OUTPUT output = {0};

    mac[0] = '\0';
    lab_command(&output, "ip -n %s -br link show dev %s", namespace, name);
    if (sscanf(output.text, "%*s %*s %17s", mac) != 1)
        lab_exit(lab_exit_failure, "ip shows no %s in %s: %s", name, namespace, output.text);
}

static void learned_addresses(void)
{
    char first[18], second[18], line[64];
    LAB_OUTPUT learned = {0};

    lab_step("beyond the article: the switch has learned");
    lab_say(
        "A switch notes at which port it saw which sender. What it knows goes to one port only;\n"
        "what it does not know yet goes to all of them.");
    lab_shell_try(&learned, "bridge fdb show br br0 dynamic");
    read_mac("net1", "veth1", first);
    read_mac("net2", "veth3", second);
    lab_fact("veth1.mac", "%s", first);
    lab_fact("veth3.mac", "%s", second);
    snprintf(line, sizeof(line), "%s dev veth2 ", first);
    lab_check(strstr(learned.text, line), "the MAC address of veth1 is behind the port veth2");
    snprintf(line, sizeof(line), "%s dev veth4 ", second);
    lab_check(strstr(learned.text, line), "the MAC address of veth3 is behind the port veth4");
}

static void enter_net1(void)
{
    lab_enter_netns("net1");
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return lab_updown(&tool, argc, argv);
    lab_open("07", "two containers and a switch", 6, argc, argv);
    need_tools();
    lab_need_command("ping", "iputils-ping");
    lab_own_network();
    first_container();
    second_container();
    before_the_bridge();
    switch_between();
    ping_across();
    learned_addresses();
    lab_shell_enters(enter_net1);
    return lab_close();
}
