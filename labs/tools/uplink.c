#include "uplink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "command.h"
#include "error.h"
#include "file.h"
#include "forwarding.h"
#include "host.h"
#include "iptables.h"
#include "process.h"
#include "rootless.h"

bool lab_host_default_route(const char *wanted, char uplink[IF_NAMESIZE])
{
    LAB_OUTPUT routes = {0};

    lab_must_command(&routes, "ip -4 route show default");
    for (char *line = strtok(routes.text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *device = strstr(line, " dev ");
        if (device && sscanf(device, " dev %15s", uplink) == 1 &&
            (!wanted || strcmp(uplink, wanted) == 0))
            return true;
    }
    return false;
}

void lab_host_must_have_uplink(const char *wanted)
{
    char uplink[IF_NAMESIZE];

    if (wanted && lab_link_index(wanted) == 0) {
        if (errno != ENODEV)
            lab_die("look for the network device '%s'", wanted);
        lab_exit(EXIT_FAILURE, "there is no network device '%s'", wanted);
    }
    if (wanted && !lab_host_default_route(wanted, uplink))
        lab_exit(EXIT_FAILURE,
                 "no default route leaves by '%s': it leads nowhere; "
                 "try `ip route add default via ROUTER dev %s`",
                 wanted, wanted);
    if (!lab_host_default_route(NULL, uplink))
        lab_exit(EXIT_FAILURE, "this host has no default route: there is no way out to share; "
                               "try `ip route add default via ROUTER`");
}

void lab_host_port_must_be_free(int port)
{
    if (!lab_host_port_is_free(port, false))
        lab_die_remedy(errno == EADDRINUSE ? "`ss -ltnp` shows who listens" : NULL,
                       "publish port %d of this host", port);
}

bool lab_host_note_forwarding(void)
{
    const int rules = lab_iptables_needs_of_others();

    if (rules == -1)
        lab_die("count the rules of other programs that need forwarding");
    lab_undo("rules %d", rules);
    lab_undo("forwarding net/ipv4/ip_forward=0");
    int ours = lab_forwarding_use("08");
    if (ours == -1)
        lab_die_remedy(
            errno == EBADMSG ? "a record there is damaged: see what it says, and remove it" : NULL,
            "record in %s.forwarding that ip_forward becomes 1", lab_runs());
    return ours;
}

/* Make the directory PATH, to be removed by `down` if nobody has put anything else into it. */
static void make_directory(const char *path)
{
    if (lab_exists("%s", path))
        return;
    lab_undo("directory %s", path);
    lab_shell_run("mkdir %s", path);
}

void lab_host_give_resolver(const struct lab_network *network)
{
    char directory[64], file[96];
    bool out_of_reach;
    const char *upstream = lab_host_resolver_file(&out_of_reach);

    if (!upstream && errno != 0)
        lab_die("read the name servers of this host");
    if (out_of_reach && !upstream)
        lab_warn("the resolver of this host is at a loopback address or one of IPv6, which "
                 "containers cannot reach: write their own /etc/netns/NAME/resolv.conf");
    if (!out_of_reach || !upstream || strcmp(upstream, "/etc/resolv.conf") == 0)
        return;
    make_directory("/etc/netns");
    for (int n = 1; n <= network->namespaces; n++) {
        snprintf(directory, sizeof(directory), "/etc/netns/net%d", n);
        snprintf(file, sizeof(file), "%s/resolv.conf", directory);
        if (lab_exists("%s", file))
            continue;
        make_directory(directory);
        lab_undo("file %s", file);
        lab_shell_run("cp %s %s", upstream, file);
    }
}

/* Whether the iptables that SAVE prints drops what its rules do not accept, from port to port of a
 * bridge, too, and lab 08 has no rules there. */
static bool drops_frames(const char *save)
{
    LAB_OUTPUT rules = {0};

    lab_must_command(&rules, "%s -t filter", save);
    return strstr(rules.text, ":FORWARD DROP") && !strstr(rules.text, "container-labs:08");
}

void lab_host_report_bridge_netfilter(void)
{
    static const char path[] = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    const char *saves[2];
    char value[8];

    if (lab_read_file(path, value, sizeof(value)) == -1) {
        if (errno != ENOENT)
            lab_die("read %s", path);
        strcpy(value, "?");
    }
    printf("net.bridge.bridge-nf-call-iptables = %s: frames between two ports of a bridge %s\n",
           *value == '?' ? "(no br_netfilter)" : value,
           *value == '1' ? "pass the chain FORWARD, too" : "are no matter of iptables");
    if (*value != '1')
        return;
    lab_host_warn_of_closed_forward("br0");
    int count = lab_iptables_saves(saves);
    for (int i = 0; i < count; i++)
        if (drops_frames(saves[i]))
            lab_warn(
                "the chain FORWARD drops what its rules do not accept (%s), between the ports, "
                "too%s",
                saves[i],
                lab_changes_are_there("08") ? "" : "; 08_nat up lets those of its bridge pass");
}
