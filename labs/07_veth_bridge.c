/*
 * 07_veth_bridge - two containers, two cables, and a switch between them.
 *
 *     sudo ./labs/07_veth_bridge                     the experiment, in a private network
 *     sudo ./labs/07_veth_bridge up | status | down  the tool: labs/tools/07_veth_bridge.c
 *
 * Shows veth(4), a cable whose two ends can be in two network namespaces, and the bridge, a switch
 * in software. This is how containers on one host reach each other.
 * The article, and what is beyond it: README.md, "The labs".
 *
 *     net1                            the host                             net2
 *     veth1 ========= veth2 - - - - - - br0 - - - - - - veth4 ========= veth3
 *     192.168.0.101               192.168.0.100                192.168.0.102
 *
 * Steps 1 and 2 lay the cables (===), step 4 joins them (- -); in between, nothing does.
 */
#include "lab.h"

int bridge_tool(int argc, char *argv[]);

/* Container n: the network namespace net<n> and a cable. One end, veth<2n-1>, goes inside and gets
 * the article's address; the other end, veth<2n>, stays outside. Both ends are up: the cable
 * works. */
static void make_container(int n)
{
    int inside = 2 * n - 1, outside = 2 * n;

    lab_run("ip netns add net%d", n);
    lab_run("ip link add veth%d type veth peer name veth%d", inside, outside);
    lab_run("ip link set veth%d netns net%d", inside, n);
    lab_run("ip netns exec net%d ip addr add 192.168.0.10%d/24 dev veth%d", n, n, inside);
    lab_run("ip link set veth%d up", outside);
    lab_run("ip netns exec net%d ip link set veth%d up", n, inside);
    lab_wait_for_link(lab_path("veth%d", outside));
    struct lab_answer shown = lab_try("ip netns exec net%d ip -4 addr show veth%d", n, inside);
    lab_check_number(shown.status, 0, "veth%d is in net%d", inside, n);
    lab_check(!lab_exists("/sys/class/net/veth%d", inside), "it is no longer outside");
    lab_check(strstr(shown.text, lab_path(" 192.168.0.10%d/24 ", n)),
              "veth%d has the address of the article", inside);
}

static void first_container(void)
{
    lab_step("net1: a namespace and one end of a cable");
    lab_say(
        "A veth pair is a cable: a frame that enters one end leaves the other. Each end can be\n"
        "moved into another network namespace.");
    make_container(1);
}

static void second_container(void)
{
    lab_step("net2: the same once more");
    make_container(2);
}

static void before_the_bridge(void)
{
    /* -I veth1 is the article's; without it, the route chooses the same device. */
    lab_step("without a bridge, net1 does not reach net2");
    lab_check(strstr(lab_try("ip netns exec net1 ip route").text, "192.168.0.0/24 dev veth1 "),
              "net1 has a route: the whole subnet is on its cable");
    struct lab_answer ping = lab_try("ip netns exec net1 ping -c 1 -W 0.2 192.168.0.102 -I veth1");
    lab_check_number(ping.status, 1, "no reply");
    lab_say("So net1 asks for the MAC address of 192.168.0.102 on the cable (ARP). The request "
            "arrives\n"
            "at veth2, and there it ends: nothing joins the two cables.");
    struct lab_answer neighbour = lab_try("ip netns exec net1 ip neigh show 192.168.0.102");
    lab_check(!strstr(neighbour.text, "lladdr"), "the ARP request has no answer");
    struct lab_answer link = lab_try("ip netns exec net1 ip -br link show veth1");
    lab_check(strstr(link.text, ",LOWER_UP"), "the cable works: veth1 has a carrier");
    lab_check(!lab_exists("/sys/class/net/veth2/master") &&
                  !lab_exists("/sys/class/net/veth4/master"),
              "veth2 and veth4 are not ports of a bridge");
}

/* The switch: a bridge with the outer end of each cable in one of its ports. brctl is the article's
 * command; today: ip link add br0 type bridge. */
static void bridge_the_cables(void)
{
    lab_step("br0: a switch with both cables in it");
    lab_run("brctl addbr br0");
    lab_run("ip link set dev veth2 master br0");
    lab_run("ip link set dev veth4 master br0");
    lab_run("ip addr add 192.168.0.100/24 dev br0");
    lab_run("ip link set br0 up");
    lab_wait_for_link("br0");
    lab_try("brctl show");
    lab_check_text(lab_try("ls /sys/class/net/br0/brif").text, "veth2\nveth4\n",
                   "veth2 and veth4 are ports of br0, and nothing else is");
    lab_check_file("/sys/class/net/veth2/brport", "state", "3",
                   "veth2 passes frames (3: forwarding; 0: disabled)");
    lab_check_file("/sys/class/net/veth4/brport", "state", "3",
                   "veth4 passes frames (3: forwarding; 0: disabled)");
    lab_check(strstr(lab_try("ip -br -4 addr show br0").text, " 192.168.0.100/24 "),
              "br0 has an address: the host itself is on the switch, too");
}

static void ping_across(void)
{
    lab_step("net1 reaches net2");
    lab_say("(The failed entry for 192.168.0.102 is removed, so that net1 asks at once.)");
    lab_run("ip netns exec net1 ip neigh flush dev veth1");
    struct lab_answer ping =
        lab_try("ip netns exec net1 ping -c 2 -i 0.2 -w 5 192.168.0.102 -I veth1");
    lab_check_number(ping.status, 0, "net2 replies");
    lab_check(strstr(ping.text, ", 0% packet loss"), "no packet is lost");
    lab_check(strstr(ping.text, "ttl=64"), "ttl 64: the packets passed a switch, not a router");
}

static void learned_addresses(void)
{
    static const char LEARNED[] = "bridge fdb show br br0 dynamic | "
                                  "grep $(ip netns exec net%d cat /sys/class/net/veth%d/address)";

    lab_step("beyond the article: the switch learns");
    lab_say(
        "A switch notes the port at which it saw each sender. A frame to an address that it has\n"
        "seen goes to that port only; a frame to another address goes to all ports.");
    lab_check(strstr(lab_try(LEARNED, 1, 1).text, " veth2 "),
              "the MAC address of veth1 is behind the port veth2");
    lab_check(strstr(lab_try(LEARNED, 2, 3).text, " veth4 "),
              "the MAC address of veth3 is behind the port veth4");
}

int main(int argc, char *argv[])
{
    lab_open("07", "two containers and a switch", 6, bridge_tool, argc, argv);
    lab_need_commands("ip:iproute2 brctl:bridge-utils ping:iputils-ping");
    lab_own_network();
    first_container();
    second_container();
    before_the_bridge();
    bridge_the_cables();
    ping_across();
    learned_addresses();
    return lab_close("ip netns exec net1 $SHELL");
}
