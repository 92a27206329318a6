#include "probe.h"

#include <errno.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "nft.h"
#include "run.h"

/* Make a link of KIND in a network namespace, with ip(8) as the labs do. */
void probe_link(const void *kind)
{
    char command[64];
    LAB_OUTPUT output = {0};

    probe_need_command("ip");
    probe_unshare("net");
    snprintf(command, sizeof(command), "ip link add lab1 type %s", (const char *)kind);
    if (probe_first_line(&output, command) != 0)
        probe_refuse(strstr(output.text, "Unknown device")
                         ? "the kernel has no module for it: modprobe it, or make vm"
                         : ELSEWHERE,
                     "%s: %s", command, output.text);
    lab_output_free(&output);
    if (probe_first_line(&output, "ip link show lab1") != 0)
        probe_refuse(ELSEWHERE, "no link after %s: %s", command, output.text);
    printf("made, in a network namespace\n");
}

/* What can be done where iptables has said TEXT. */
static const char *iptables_remedy(const char *text)
{
    return strstr(text, "does not exist") || strstr(text, "not supported")
               ? "the kernel lacks what this iptables speaks: modprobe nf_tables nft_chain_nat, "
                 "update-alternatives --config iptables, or make vm"
               : ELSEWHERE;
}

void probe_nat(const void *unused)
{
    static const char rule[] = "POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE";
    char command[256];

    (void)unused;
    probe_need_command("iptables");
    probe_unshare("net");
    for (int check = 0; check < 2; check++) {
        LAB_OUTPUT output = {0};
        snprintf(command, sizeof(command), "iptables -t nat -%c %s", check ? 'C' : 'A', rule);
        if (probe_first_line(&output, command) != 0)
            probe_refuse(iptables_remedy(output.text), "%s: %s", command, output.text);
    }
    printf("a MASQUERADE rule was made and found\n");
}

void probe_forwarding(const void *unused)
{
    static const char path[] = "/proc/sys/net/ipv4/ip_forward";
    int host = probe_number_in(path);

    (void)unused;
    probe_unshare("net");
    if (lab_write_file(path, "1") == -1)
        lab_die_remedy(errno == EROFS ? "/proc/sys is read-only, as in a container: " ELSEWHERE
                                      : ELSEWHERE,
                       "write 1 to %s", path);
    if (probe_number_in(path) != 1)
        probe_refuse(ELSEWHERE, "%s is %d after 1 was written", path, probe_number_in(path));
    printf("can be switched on (it is %d now, outside)\n", host);
}

/* The policy of the chain FORWARD, "ACCEPT", in OUTPUT. Returns whether iptables told it. */
static bool read_forward_policy(struct lab_output *output)
{
    static const char before[] = "-P FORWARD ";

    if (probe_first_line(output, "iptables -S FORWARD") != 0 ||
        strncmp(output->text, before, strlen(before)) != 0)
        return false;
    memmove(output->text, output->text + strlen(before), strlen(output->text + strlen(before)) + 1);
    return true;
}

void probe_forward_policy(const void *unused)
{
    LAB_OUTPUT output = {0};
    char chain[256];

    (void)unused;
    int closed = lab_nft_closed_forward(NULL, chain, sizeof(chain));
    if (closed == -1)
        probe_note(ELSEWHERE, "unknown: list the chains of nftables: %s", lab_strerror(errno));
    if (closed == 1)
        probe_note("let labs0 of lab 09 and br0 of 08_nat up pass there, with firewalld: "
                   "firewall-cmd --zone=trusted --add-interface=labs0 --add-interface=br0",
                   "the %s drops what its rules do not accept", chain);
    if (!lab_find_command("iptables", NULL, 0))
        probe_note("see the line iptables", "unknown without iptables");
    if (!read_forward_policy(&output))
        probe_note(iptables_remedy(output.text), "unknown: %s", output.text);
    if (strcmp(output.text, "DROP") == 0)
        probe_note(
            "Docker and ufw set it; the experiments have a network of their own, and 08_nat up "
            "lets its own bridge through",
            "DROP");
    printf("%s\n", output.text);
}

/* The module br_netfilter shows iptables what a bridge passes on from port to port. */
void probe_bridge_netfilter(const void *unused)
{
    int value = probe_number_in("/proc/sys/net/bridge/bridge-nf-call-iptables");
    LAB_OUTPUT policy = {0};
    char chain[256];

    (void)unused;
    if (value == 1 && lab_nft_closed_forward(NULL, chain, sizeof(chain)) == 1)
        probe_note("see the line FORWARD policy",
                   "1, and the %s drops what a bridge passes on, too", chain);
    if (value == 1 && !read_forward_policy(&policy))
        probe_note("see the line FORWARD policy", "1, and what FORWARD does is unknown");
    if (value == 1 && strcmp(policy.text, "DROP") == 0)
        probe_note("before 07_veth_bridge up: sysctl -w net.bridge.bridge-nf-call-iptables=0",
                   "1, and the FORWARD policy DROP holds for what a bridge passes on, too");
    printf("%s\n", value == -1 ? "not loaded" : value == 1 ? "1, and FORWARD lets it pass" : "0");
}

void probe_loopback(const void *unused)
{
    (void)unused;
    probe_unshare("net");
    lab_set_up_loopback();
    printf("set up, in a network namespace\n");
}
