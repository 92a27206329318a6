/*
 * 08_nat - out of the box and back: routing, forwarding, source and destination NAT.
 *
 *     sudo ./labs/08_nat                     the experiment, in a private network
 *     sudo ./labs/08_nat up | status | down  the containers of lab 07 on this host, with a way out
 *
 * Shows what a packet from a container needs to reach a server far away and to be answered: a
 * default route, a host that forwards, a policy that lets it pass, and a source address that the
 * outside can answer to.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "command.h"
#include "file.h"
#include "host.h"
#include "iptables.h"
#include "narrate.h"
#include "network.h"
#include "process.h"
#include "run.h"
#include "updown.h"
#include "witness.h"

/* The world outside, with addresses that are meant for documentation (RFC 5737). */
static const char HOST[] = "198.51.100.2", ROUTER[] = "198.51.100.1", SERVER[] = "203.0.113.10";
enum { SERVER_PORT = 4242, INNER_PORT = 80, PUBLISHED_PORT = 8080 };

static struct lab_network network = LAB_NETWORK_OF_THE_ARTICLE;

/*
 * The mechanism. The experiment and `up` both run it; lab_undo() notes for `down`, and does nothing
 * in the experiment.
 */

/* What lab 07 builds: containers on a bridge. */
static void network_of_lab_07(void)
{
    for (int n = 1; n <= network.namespaces; n++) {
        const char *address = lab_network_address_length(&network, n);
        lab_undo("ip netns del net%d", n);
        lab_shell_run("ip netns add net%d", n);
        lab_undo("ip link del veth%d", 2 * n);
        lab_shell_run("ip link add veth%d type veth peer name veth%d", 2 * n - 1, 2 * n);
        lab_shell_run("ip link set veth%d netns net%d", 2 * n - 1, n);
        lab_shell_run("ip netns exec net%d ip addr add %s dev veth%d", n, address, 2 * n - 1);
        lab_shell_run("ip netns exec net%d ip link set veth%d up", n, 2 * n - 1);
    }
    lab_undo("ip link del br0");
    lab_shell_run("brctl addbr br0");
    lab_shell_run("ip addr add %s dev br0", lab_network_address_length(&network, 0));
    lab_shell_run("ip link set br0 up");
    for (int n = 1; n <= network.namespaces; n++)
        lab_shell_run("ip link set dev veth%d master br0 up", 2 * n);
    lab_network_wait_for("br0");
}

/* Inside: what is in no other route goes to the bridge. */
static void default_route_of(int n)
{
    lab_shell_run("ip netns exec net%d ip route add default via %s dev veth%d", n,
                  lab_network_address(&network, 0), 2 * n - 1);
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

/* Who comes to a port of the host is sent on to a container. */
#define PUBLISH "-p %s --dport %d -m addrtype --dst-type LOCAL -j DNAT --to-destination %s:%d"

/*
 * The tool.
 */

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
    "  --step             experiment: wait for Enter after each step\n"
    "  --shell            experiment: end with a shell in net1\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0; 1 for a failure, which changes nothing; 2 for wrong usage; 77 where a\n"
    "program is missing.\n"
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

static void need_tools(void)
{
    lab_need_command("ip", "iproute2");
    lab_need_command("brctl", "bridge-utils");
    lab_need_command("sysctl", "procps");
    lab_iptables_choose();
}

static void up(const struct lab_wanted *wanted)
{
    const char *subnet = lab_network_subnet(&network);

    printf("iptables: %s (%s)\n", lab_iptables(), lab_iptables_backend());
    if (strcmp(lab_host_sysctl("net/ipv4/ip_forward"), "0") == 0) {
        lab_host_note_forwarding();
        turn_forwarding_on();
    }
    network_of_lab_07();
    /* Somebody may have switched it off for new devices. It goes with br0. */
    if (strcmp(lab_host_sysctl("net/ipv4/conf/br0/forwarding"), "0") == 0)
        lab_shell_run("sysctl -q -w net.ipv4.conf.br0.forwarding=1");
    for (int n = 1; n <= network.namespaces; n++)
        default_route_of(n);
    lab_host_give_resolver(&network);
    let_pass();
    if (wanted->uplink)
        lab_iptables_add("08", "nat", "POSTROUTING", 'A', MASQUERADE_BY, subnet, wanted->uplink);
    else
        lab_iptables_add("08", "nat", "POSTROUTING", 'A', MASQUERADE, subnet);
    /* A container that asks for a published port has to be answered by way of this host, too. */
    if (wanted->published_count > 0)
        lab_iptables_add("08", "nat", "POSTROUTING", 'A', BACK_IN, subnet);
    for (int i = 0; i < wanted->published_count; i++) {
        const char *address = lab_network_address(&network, wanted->published[i].container);
        int host_port = wanted->published[i].host_port, port = wanted->published[i].port;
        /* PREROUTING for those who come from elsewhere, OUTPUT for the host itself. */
        lab_iptables_add("08", "nat", "PREROUTING", 'A', PUBLISH, "tcp", host_port, address, port);
        lab_iptables_add("08", "nat", "OUTPUT", 'A', "! -d 127.0.0.0/8 " PUBLISH, "tcp", host_port,
                         address, port);
    }
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
           lab_host_sysctl("net/ipv4/ip_forward"));
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

/*
 * The experiment.
 */

static int outside_saw; /* where the server outside reports */

/* A ping from net1 to the server outside: a short one where it is to fail. */
static int ping_server(const char *how)
{
    LAB_OUTPUT ping = {0};
    int ping_status = lab_shell_try(&ping, "ip netns exec net1 ping %s %s", how, SERVER);

    lab_fact("ping.exit_status", "%d", ping_status);
    return ping_status;
}

static const char ONE[] = "-c 1 -W 0.2", SOME[] = "-c 2 -i 0.2 -w 1";

static void build_the_world(void)
{
    lab_step("the network of lab 07, and a world outside");
    network_of_lab_07();
    lab_say(
        "The outside is a namespace as well: a router that knows nothing of 192.168.0.0/24, and\n"
        "behind it a server that answers with the source address it saw. (Without rp_filter: a\n"
        "router would drop at once what it has no way back to, and we want to see it arrive.)");
    lab_shell_run("ip netns add outside");
    lab_shell_run("ip link add eth0 type veth peer name wan0 netns outside");
    lab_shell_run("ip addr add %s/24 dev eth0", HOST);
    lab_shell_run("ip link set eth0 up");
    lab_shell_run("ip netns exec outside sysctl -w net.ipv4.conf.all.rp_filter=0");
    lab_shell_run("ip netns exec outside sysctl -w net.ipv4.conf.wan0.rp_filter=0");
    lab_shell_run("ip netns exec outside ip addr add %s/24 dev wan0", ROUTER);
    lab_shell_run("ip netns exec outside ip addr add %s/32 dev lo", SERVER);
    lab_shell_run("ip netns exec outside ip link set lo up");
    lab_shell_run("ip netns exec outside ip link set wan0 up");
    lab_network_wait_for("eth0");
    lab_shell_run("ip route add default via %s", ROUTER);
    lab_shell_run("sysctl -w net.ipv4.ip_forward=0"); /* a new namespace may have the host's */
    outside_saw = lab_witness("outside", SERVER, SERVER_PORT);
    LAB_OUTPUT ping = {0};
    lab_check_number(lab_shell_try(&ping, "ping -c 1 -w 1 %s", SERVER), 0,
                     "the host itself reaches the server outside");
}

static void before_the_route(void)
{
    LAB_OUTPUT answer = {0};

    lab_step("before the default route");
    lab_check_number(ping_server(ONE), 2, "net1 cannot even send");
    lab_check_errno(lab_witness_ask(&answer, "net1", SERVER, SERVER_PORT, 2000), ENETUNREACH,
                    "no route of net1 leads there");
}

static void before_forwarding(void)
{
    lab_step("a default route, before forwarding");
    default_route_of(1);
    long long refused = lab_host_ip_counter("InAddrErrors"),
              forwarded = lab_host_ip_counter("ForwDatagrams");
    lab_check_number(ping_server(ONE), 1, "the ping leaves net1, and no reply comes");
    lab_shell("cat /proc/net/snmp   # before and after");
    refused = lab_host_ip_counter("InAddrErrors") - refused;
    forwarded = lab_host_ip_counter("ForwDatagrams") - forwarded;
    lab_fact("net.ipv4.ip_forward", "%s", lab_host_sysctl("net/ipv4/ip_forward"));
    lab_fact("Ip.InAddrErrors", "+%lld", refused);
    lab_fact("Ip.ForwDatagrams", "+%lld", forwarded);
    lab_check(refused == 1 && forwarded == 0,
              "it reached br0 and died there: not for this host, and this host is no router");
}

static void before_the_policy(void)
{
    lab_step("forwarding, before the policy");
    turn_forwarding_on();
    lab_fact("net.ipv4.ip_forward", "%s", lab_host_sysctl("net/ipv4/ip_forward"));
    lab_check_text(lab_host_sysctl("net/ipv4/conf/all/forwarding"), "1",
                   "the host is a router (conf.all.forwarding)");
    lab_check_text(lab_host_sysctl("net/ipv4/ip_forward"), "1", "ip_forward is the same switch");
    lab_say("Docker often leaves hosts with the policy that nothing is to be forwarded:");
    lab_shell_run("%s -P FORWARD DROP", lab_iptables());
    int dropped = lab_iptables_policy_count("FORWARD", "DROP");
    lab_check_number(ping_server(ONE), 1, "still no reply");
    lab_shell("%s-save -c -t filter   # before and after", lab_iptables());
    dropped = lab_iptables_policy_count("FORWARD", "DROP") - dropped;
    lab_fact("FORWARD.DROP.packets", "+%d", dropped);
    lab_check_number(dropped, 1, "the policy of the chain FORWARD has dropped it");
    lab_shell_run("%s -P FORWARD ACCEPT", lab_iptables());
    lab_check(lab_iptables_policy_count("FORWARD", "ACCEPT") != -1,
              "the policy of FORWARD is ACCEPT now");
    lab_fact("net.bridge.bridge-nf-call-iptables", "%s",
             lab_host_sysctl("net/bridge/bridge-nf-call-iptables"));
}

static void before_the_rule(void)
{
    LAB_OUTPUT answer = {0};

    lab_step("forwarding and policy, before the rule");
    bool watched = lab_tcpdump_begin("outside", "wan0", "icmp");
    lab_check_number(ping_server(ONE), 1, "no reply");
    if (watched)
        lab_tcpdump_end();
    else
        lab_say("(No tcpdump is installed. It would show the source 192.168.0.101.)");
    lab_check_errno(lab_witness_ask(&answer, "net1", SERVER, SERVER_PORT, 200), EAGAIN,
                    "the server gives no answer that arrives");
    struct lab_sighting sighting = lab_witness_saw(outside_saw);
    lab_fact("outside.saw", "%s", sighting.source);
    lab_check_text(sighting.source, "192.168.0.101", "but it was asked: by 192.168.0.101");
    lab_check_errno(sighting.error, ENETUNREACH, "and it has no way back to that address");
}

static void masquerade(void)
{
    LAB_OUTPUT answer = {0}, saved = {0};
    char connections[16384] = "";

    lab_step("MASQUERADE: leave with the host's address");
    lab_shell_run("%s -t nat -A POSTROUTING " MASQUERADE, lab_iptables(),
                  lab_network_subnet(&network));
    lab_shell_try(&saved, "%s-save -t nat", lab_iptables());
    lab_check(strstr(saved.text, "-A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE\n"),
              "the rule is in the table nat");
    lab_check_number(ping_server(SOME), 0, "the server outside replies to net1");
    lab_check_errno(lab_witness_ask(&answer, "net1", SERVER, SERVER_PORT, 2000), 0,
                    "and answers it");
    struct lab_sighting sighting = lab_witness_saw(outside_saw);
    lab_fact("outside.saw", "%s", sighting.source);
    lab_check_text(sighting.source, HOST, "the outside saw the host's address");
    lab_check_text(answer.text, HOST, "and told net1 so");
    /* Where the kernel shows what it remembers in order to turn the answers back. */
    if (lab_read_file("/proc/net/nf_conntrack", connections, sizeof(connections)) > 0) {
        const char *udp = strstr(connections, "udp ");
        lab_say("The kernel remembers the connection in both directions, and turns answers back:");
        lab_fact("conntrack", "%.*s", udp ? (int)strcspn(udp, "\n") : 0, udp ? udp : "");
    }
}

static void publish(void)
{
    LAB_OUTPUT before = {0}, after = {0};

    lab_step("beyond the article: the way in");
    lab_say("Nobody outside can name a server in net1. The host can lend it one of its ports.");
    int inside_saw = lab_witness("net1", "192.168.0.101", INNER_PORT);
    lab_check_errno(lab_witness_ask(&before, "outside", HOST, PUBLISHED_PORT, 2000), ECONNREFUSED,
                    "before the rule nobody is at that port of the host");
    lab_shell_run("%s -t nat -A PREROUTING " PUBLISH, lab_iptables(), "udp", PUBLISHED_PORT,
                  "192.168.0.101", INNER_PORT);
    lab_check_errno(lab_witness_ask(&after, "outside", HOST, PUBLISHED_PORT, 2000), 0,
                    "after it the server inside answers");
    struct lab_sighting sighting = lab_witness_saw(inside_saw);
    lab_fact("inside.saw", "%s", sighting.source);
    lab_check_text(sighting.source, ROUTER, "it saw who really asked: only the target was changed");
    close(inside_saw);
}

static void enter_net1(void)
{
    lab_enter_netns("net1");
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return lab_updown(&tool, argc, argv);
    lab_open("08", "out of the box and back", 7, argc, argv);
    lab_need_command("ping", "iputils-ping");
    lab_own_network();
    need_tools();
    lab_fact("iptables", "%s (%s)", lab_iptables(), lab_iptables_backend());
    build_the_world();
    before_the_route();
    before_forwarding();
    before_the_policy();
    before_the_rule();
    masquerade();
    publish();
    lab_shell_enters(enter_net1);
    return lab_close();
}
