/*
 * 08_nat - out of the box and back: routing, forwarding, source and destination NAT.
 *
 *     sudo ./labs/08_nat                     the experiment, in a private network
 *     sudo ./labs/08_nat up | status | down  the same on this host: labs/tools/08_nat.c
 *
 * Shows what a packet from a container needs to reach a server outside and to be answered: a
 * default route, a host that forwards, a policy that accepts it, and a source address that the
 * outside has a route to. iptables(8), networking/ip-sysctl in the kernel's documentation
 * The article, and what is beyond it: README.md, "The labs".
 *
 * A packet's way through the host, and the hooks of iptables on it:
 *
 *     from a device --> PREROUTING --> routing --+--> FORWARD --+--> POSTROUTING --> to a device
 *                       DNAT: a new    decision  |    policy:   ^    MASQUERADE: a
 *                       destination              v    ACCEPT,   |    new source
 *                                              INPUT  DROP    OUTPUT
 *                                                |              ^
 *                                                +-> a process -+
 *
 * Replies take the same way; the kernel translates their addresses back without a rule.
 */
#include "lab.h"

int nat_tool(int argc, char *argv[]);

/* The host is 198.51.100.2. Outside are its router, 198.51.100.1, and a server, 203.0.113.10
 * (addresses for documentation, RFC 5737). The server tells each client the source address that it
 * saw. */
#define SERVER "203.0.113.10"
#define WHO "/cgi-bin/who"

/* The program of iptables: the one in the environment, such as iptables-legacy. */
static const char *iptables = "iptables";

/* Ping the server from net1, and wait 0.2 s for the reply. Returns the exit status: 1 is no reply.
 */
static int ping_server(void)
{
    return lab_try("ip netns exec net1 ping -c 1 -W 0.2 " SERVER).status;
}

/* The number behind KEY in what LINE prints. */
static long number_behind(const char *key, const char *line)
{
    const char *text = lab_try("%s", line).text, *at = strstr(text, key);

    return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/*
 * The experiment: a function for each step.
 */

/* One half of the network of lab 07. */
static void a_container(void)
{
    lab_step("a container on a bridge, as in lab 07");
    lab_run("ip netns add net1");
    lab_run("ip link add veth1 type veth peer name veth2");
    lab_run("ip link set veth1 netns net1");
    lab_run("ip netns exec net1 ip addr add 192.168.0.101/24 dev veth1");
    lab_run("ip netns exec net1 ip link set veth1 up");
    lab_run("brctl addbr br0");
    lab_run("ip addr add 192.168.0.100/24 dev br0");
    lab_run("ip link set br0 up");
    lab_run("ip link set dev veth2 master br0 up");
    lab_wait_for_link("br0");
    lab_check_number(lab_try("ip netns exec net1 ping -c 1 -w 5 -q 192.168.0.100").status, 0,
                     "net1 reaches the host");
}

/* A world to reach: one more namespace plays the router and the server. */
static void the_outside(void)
{
    lab_step("a world outside: a router, and a server behind it");
    lab_run("ip netns add outside");
    lab_run("ip link add eth0 type veth peer name wan0 netns outside");
    lab_run("ip addr add 198.51.100.2/24 dev eth0");
    lab_run("ip link set eth0 up");
    lab_run("ip netns exec outside ip addr add 198.51.100.1/24 dev wan0");
    lab_run("ip netns exec outside ip addr add " SERVER "/32 dev lo");
    lab_run("ip netns exec outside ip link set lo up");
    lab_run("ip netns exec outside ip link set wan0 up");
    lab_wait_for_link("eth0");
    lab_run("ip route add default via 198.51.100.1");
    /* A new namespace may have the machine's value. */
    lab_run("sysctl -q -w net.ipv4.ip_forward=0");
    lab_say("The server prints the source address of each client, in two lines of shell:");
    lab_run("mkdir -p www/cgi-bin");
    lab_run("printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' >www" WHO);
    lab_run("chmod +x www" WHO);
    lab_start("ip netns exec outside busybox httpd -f -p " SERVER ":80 -h www");
    lab_check_text(lab_try(LAB_UNTIL("timeout 5 busybox wget -qO- http://" SERVER WHO)).text,
                   "198.51.100.2\n", "the host itself reaches the server outside");
}

static void without_a_route(void)
{
    lab_step("without a default route");
    lab_check_number(ping_server(), 2, "net1 cannot even send");
    lab_check(
        strstr(lab_try("ip netns exec net1 ip route get " SERVER).text, "Network is unreachable"),
        "no route of net1 leads there");
}

static void without_forwarding(void)
{
    lab_step("a default route, without forwarding");
    lab_run("ip netns exec net1 ip route add default via 192.168.0.100 dev veth1");
    lab_check_number(ping_server(), 1, "the ping leaves net1, and no reply comes");
    lab_check_text(lab_try("cat /proc/sys/net/ipv4/ip_forward").text, "0\n",
                   "the host is not a router");
    lab_say(
        "The kernel counts a packet that is not for this host as an address error, and drops it:");
    lab_check_number(number_behind("IpInAddrErrors", "nstat -asz IpInAddrErrors"), 1,
                     "it reached br0 and died there");
    lab_check_number(number_behind("IpForwDatagrams", "nstat -asz IpForwDatagrams"), 0,
                     "nothing was forwarded");
}

static void without_the_policy(void)
{
    char forward[64];

    snprintf(forward, sizeof(forward), "%s -nvxL FORWARD", iptables);
    lab_step("forwarding, without a policy that accepts");
    lab_run("sysctl -w net.ipv4.conf.all.forwarding=1");
    lab_check_text(lab_try("cat /proc/sys/net/ipv4/conf/all/forwarding").text, "1\n",
                   "the host is a router (conf.all.forwarding)");
    lab_run("sysctl -w net.ipv4.ip_forward=1");
    lab_check_text(lab_try("cat /proc/sys/net/ipv4/ip_forward").text, "1\n",
                   "ip_forward is the same switch");
    lab_say("Docker often leaves hosts with the policy that nothing is forwarded:");
    lab_run("%s -P FORWARD DROP", iptables);
    lab_check_number(ping_server(), 1, "still no reply");
    lab_check_number(number_behind("policy DROP ", forward), 1,
                     "the policy of the chain FORWARD has dropped it");
    lab_run("%s -P FORWARD ACCEPT", iptables);
    lab_check(number_behind("policy ACCEPT ", forward) != -1,
              "the policy of FORWARD is ACCEPT now");
}

static void without_nat(void)
{
    lab_step("forwarding and policy, without NAT");
    lab_say(
        "The outside counts what comes from 192.168.0.101. (rp_filter drops packets whose source\n"
        "has no route back. It is off here, so that the packet can be counted.)");
    lab_run("ip netns exec outside sysctl -q -w net.ipv4.conf.all.rp_filter=0");
    lab_run("ip netns exec outside sysctl -q -w net.ipv4.conf.wan0.rp_filter=0");
    lab_run("ip netns exec outside %s -A INPUT -s 192.168.0.101", iptables);
    lab_check_number(ping_server(), 1, "no reply");
    struct lab_answer count =
        lab_try("ip netns exec outside %s -nvxL INPUT | awk '/101/ {print $1}'", iptables);
    lab_check_number(strtol(count.text, NULL, 10), 1,
                     "but the outside was asked, by 192.168.0.101");
    lab_check(strstr(lab_try("ip netns exec outside ip route get 192.168.0.101").text,
                     "Network is unreachable"),
              "and it has no route back to that address");
}

static void masquerade(void)
{
    lab_step("MASQUERADE: leave with the host's address");
    lab_say("A packet from the containers that leaves by another device than the bridge gets the\n"
            "address of that device as its source.");
    lab_run("%s -t nat -A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE", iptables);
    lab_check(strstr(lab_try("%s -t nat -S POSTROUTING", iptables).text,
                     "-A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE\n"),
              "the rule is in the table nat");
    lab_check_number(lab_try("ip netns exec net1 ping -c 2 -i 0.2 -w 5 " SERVER).status, 0,
                     "the server outside replies to net1");
    lab_check_text(
        lab_try("ip netns exec net1 timeout 5 busybox wget -qO- http://" SERVER WHO).text,
        "198.51.100.2\n", "the outside saw the host's address");
    if (lab_exists("/proc/net/nf_conntrack")) {
        lab_say(
            "The kernel remembers each connection in both directions, and translates the replies:");
        lab_try("grep -m 1 'dport=80 ' /proc/net/nf_conntrack");
    }
}

#define ASK "ip netns exec outside timeout 5 busybox wget -qO- http://198.51.100.2:8080" WHO

static void publish(void)
{
    lab_step("beyond the article: the way in");
    lab_say("The outside has no route to a server in net1. The host can lend it one of its ports.");
    lab_start("ip netns exec net1 busybox httpd -f -p 192.168.0.101:80 -h www");
    lab_check(strstr(lab_try(ASK).text, "Connection refused"),
              "before the rule nothing listens on that port of the host");
    lab_run("%s -t nat -A PREROUTING -d 198.51.100.2 -p tcp --dport 8080 -j DNAT "
            "--to-destination 192.168.0.101:80",
            iptables);
    lab_check_text(lab_try(LAB_UNTIL(ASK)).text, "198.51.100.1\n",
                   "after it the server inside answers, and saw the client's own address");
}

int main(int argc, char *argv[])
{
    lab_open("08", "out of the box and back", 8, nat_tool, argc, argv);
    if (getenv("IPTABLES"))
        iptables = getenv("IPTABLES");
    lab_need_commands("ip:iproute2 brctl:bridge-utils sysctl:procps ping:iputils-ping "
                      "busybox:busybox-static %s:iptables",
                      iptables);
    lab_own_network();
    lab_try("%s -V", iptables);
    a_container();
    the_outside();
    without_a_route();
    without_forwarding();
    without_the_policy();
    without_nat();
    masquerade();
    publish();
    return lab_close("ip netns exec net1 $SHELL");
}
