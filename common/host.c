#include "host.h"

#include <arpa/inet.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "change.h"
#include "command.h"
#include "error.h"
#include "file.h"
#include "iptables.h"

bool lab_host_default_route(const char *wanted, char uplink[IF_NAMESIZE])
{
    LAB_OUTPUT routes = {0};

    lab_command(&routes, "ip -4 route show default");
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

    if (wanted && if_nametoindex(wanted) == 0)
        lab_exit(EXIT_FAILURE, "there is no network device '%s'", wanted);
    if (wanted && !lab_host_default_route(wanted, uplink))
        lab_exit(EXIT_FAILURE,
                 "no default route leaves by '%s': it leads nowhere; "
                 "try `ip route add default via ROUTER dev %s`",
                 wanted, wanted);
    if (!lab_host_default_route(NULL, uplink))
        lab_exit(EXIT_FAILURE, "this host has no default route: there is no way out to share; "
                               "try `ip route add default via ROUTER`");
}

bool lab_host_port_is_free(int port, bool udp)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    lab_fd listener = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

    /* With UDP it would let two have the port. */
    if (listener == -1 ||
        (!udp && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1))
        return false;
    return bind(listener, (void *)&address, sizeof(address)) == 0;
}

void lab_host_port_must_be_free(int port)
{
    if (!lab_host_port_is_free(port, false))
        lab_die_remedy("`ss -ltnp` shows who listens", "publish port %d of this host", port);
}

const char *lab_host_sysctl(const char *path)
{
    static char value[32];
    char full[160];

    snprintf(full, sizeof(full), "/proc/sys/%s", path);
    if (lab_read_file(full, value, sizeof(value)) == -1)
        return "?";
    return value;
}

long long lab_host_ip_counter(const char *name)
{
    char text[8192], *lines, *names, *values;

    if (lab_read_file("/proc/net/snmp", text, sizeof(text)) == -1)
        return -1;
    /* "Ip: NAME NAME ...", and below it "Ip: VALUE VALUE ..." */
    names = strtok_r(text, "\n", &lines);
    values = strtok_r(NULL, "\n", &lines);
    while (names && values && *names && *values) {
        const char *key = strsep(&names, " "), *value = strsep(&values, " ");
        if (strcmp(key, name) == 0)
            return atoll(value);
    }
    return -1;
}

void lab_host_forwarding(char *text, size_t size)
{
    static const char all_redirects[] = "net/ipv4/conf/all/accept_redirects";
    glob_t found = {0};
    size_t length =
        (size_t)snprintf(text, size, "%s=%s\n", all_redirects, lab_host_sysctl(all_redirects));

    glob("/proc/sys/net/ipv4/conf/*/forwarding", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i] + strlen("/proc/sys/");
        const char *value = lab_host_sysctl(path);
        size_t needed = strlen(path) + strlen(value) + 2;
        if (strcmp(value, "0") != 0 && length + needed < size)
            length += (size_t)snprintf(text + length, size - length, "%s=%s\n", path, value);
    }
    globfree(&found);
}

void lab_host_note_forwarding(void)
{
    char text[16384];

    /* `down` runs these lines from the last one: ip_forward, which sets all of the others, is first
     * there. */
    lab_host_forwarding(text, sizeof(text));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        lab_undo("sysctl -q -w %s", line);
    lab_undo("sysctl -q -w net/ipv4/ip_forward=0");
}

enum lab_server lab_host_server_in(const char *line)
{
    char server[64];

    if (sscanf(line, " nameserver %63s", server) != 1)
        return LAB_SERVER_NONE;
    return strncmp(server, "127.", 4) == 0 || strcmp(server, "::1") == 0 ? LAB_SERVER_LOOPBACK
                                                                         : LAB_SERVER_ELSEWHERE;
}

/* Whether the resolv.conf(5) at PATH names a server of this kind. */
static bool names_server(const char *path, enum lab_server wanted)
{
    char text[16384];

    if (lab_read_file(path, text, sizeof(text)) == -1)
        return false;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (lab_host_server_in(line) == wanted)
            return true;
    return false;
}

/* Make the directory PATH, to be removed by `down` if nobody has put anything else into it. */
static void make_directory(const char *path)
{
    if (access(path, F_OK) == 0)
        return;
    lab_undo("rmdir --ignore-fail-on-non-empty %s", path);
    lab_shell_run("mkdir %s", path);
}

void lab_host_give_resolver(const struct lab_network *network)
{
    static const char upstream[] = "/run/systemd/resolve/resolv.conf";
    char directory[64], file[96];

    if (!names_server("/etc/resolv.conf", LAB_SERVER_LOOPBACK) ||
        names_server("/etc/resolv.conf", LAB_SERVER_ELSEWHERE))
        return;
    if (!names_server(upstream, LAB_SERVER_ELSEWHERE)) {
        lab_warn("the resolver of this host is at a loopback address, which containers cannot "
                 "reach: write their own /etc/netns/NAME/resolv.conf");
        return;
    }
    make_directory("/etc/netns");
    for (int n = 1; n <= network->namespaces; n++) {
        snprintf(directory, sizeof(directory), "/etc/netns/net%d", n);
        snprintf(file, sizeof(file), "%s/resolv.conf", directory);
        if (access(file, F_OK) == 0)
            continue;
        make_directory(directory);
        lab_undo("rm %s", file);
        lab_shell_run("cp %s %s", upstream, file);
    }
}

/* Whether the policy of the iptables that SAVE prints lets nothing pass from port to port of a
 * bridge, and lab 08 has no rules there that do. */
static bool drops_frames(const char *save)
{
    LAB_OUTPUT rules = {0};

    return lab_command(&rules, "%s -t filter", save) == 0 && strstr(rules.text, ":FORWARD DROP") &&
           !strstr(rules.text, "container-labs:08");
}

void lab_host_report_bridge_netfilter(void)
{
    const char *value = lab_host_sysctl("net/bridge/bridge-nf-call-iptables"), *saves[2];

    printf("net.bridge.bridge-nf-call-iptables = %s: frames between two ports of a bridge %s\n",
           *value == '?' ? "(no br_netfilter)" : value,
           *value == '1' ? "pass the chain FORWARD, too" : "are no matter of iptables");
    if (*value != '1')
        return;
    int count = lab_iptables_saves(saves);
    for (int i = 0; i < count; i++)
        if (drops_frames(saves[i]))
            lab_warn("the policy of FORWARD is DROP (%s), so no packet passes between the ports%s",
                     saves[i],
                     lab_changes_are_there("08") ? ""
                                                 : "; 08_nat up lets those of its bridge pass");
}
