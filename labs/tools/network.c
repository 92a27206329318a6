#include "network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "command.h"
#include "error.h"
#include "file.h"
#include "host.h"
#include "number.h"

/*
 * The plan.
 */

void lab_network_read_subnet(struct lab_network *network, const char *text)
{
    char address[INET_ADDRSTRLEN];
    struct in_addr base;
    long long prefix;
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : 0;

    if (!slash || length >= sizeof(address) || !lab_parse_number(slash + 1, 0, 32, &prefix))
        lab_exit(LAB_EXIT_USAGE, "'%s' is not a subnet: it looks like 192.168.0.0/24", text);
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET, address, &base) != 1)
        lab_exit(LAB_EXIT_USAGE, "'%s' is not a subnet: it looks like 192.168.0.0/24", text);
    network->base = ntohl(base.s_addr);
    network->prefix = (int)prefix;
    uint32_t hosts = prefix == 0 ? UINT32_MAX : (UINT32_C(1) << (32 - prefix)) - 1;
    if (network->base & hosts) {
        network->base &= ~hosts;
        lab_exit(LAB_EXIT_USAGE, "'%s' is an address in a subnet; the subnet is %s", text,
                 lab_network_subnet(network).text);
    }
    if (prefix < 8 || !lab_is_for_hosts(network->base >> 24))
        lab_exit(LAB_EXIT_USAGE, "'%s' is not a subnet for hosts of one network", text);
}

void lab_network_read_namespaces(struct lab_network *network, const char *text)
{
    long long number;

    if (!lab_parse_number(text, 2, 200, &number))
        lab_exit(LAB_EXIT_USAGE, "'%s' is not a number of namespaces from 2 to 200", text);
    network->namespaces = (int)number;
}

/* Addresses of hosts: all but the first (the subnet) and the last (broadcast). */
static long host_addresses(const struct lab_network *network)
{
    return (1L << (32 - network->prefix)) - 2;
}

void lab_network_check_size(const struct lab_network *network)
{
    if (host_addresses(network) < network->namespaces + 1)
        lab_exit(LAB_EXIT_USAGE, "%s is too small for %d namespaces and the bridge: it has %ld %s",
                 lab_network_subnet(network).text, network->namespaces,
                 host_addresses(network) > 0 ? host_addresses(network) : 0, "addresses of hosts");
}

/* ADDRESS as text, with "/PREFIX" unless that is negative. */
static struct lab_address address_text(uint32_t address, int prefix)
{
    struct lab_address result;
    int length = snprintf(result.text, sizeof(result.text), "%u.%u.%u.%u", address >> 24,
                          address >> 16 & 255, address >> 8 & 255, address & 255);

    if (prefix >= 0)
        snprintf(result.text + length, sizeof(result.text) - (size_t)length, "/%d", prefix);
    return result;
}

static uint32_t address_of(const struct lab_network *network, int number)
{
    bool as_the_article = host_addresses(network) >= 100 + network->namespaces;

    return network->base + (as_the_article ? 100 : 1) + (uint32_t)number;
}

struct lab_address lab_network_address(const struct lab_network *network, int number)
{
    return address_text(address_of(network, number), -1);
}

struct lab_address lab_network_address_length(const struct lab_network *network, int number)
{
    return address_text(address_of(network, number), network->prefix);
}

struct lab_address lab_network_subnet(const struct lab_network *network)
{
    return address_text(network->base, network->prefix);
}

/*
 * What must be free.
 */

/* Exit because NAME, in WORDS a KIND of thing, is there already, with the lab that has made it, if
 * it is in its notes, or with the command that SHOWS what it is. */
__attribute__((noreturn)) static void is_there_already(const char *words, const char *kind,
                                                       const char *name, const char *shows)
{
    const char *maker = lab_changes_thing("07", kind, name)   ? "07_veth_bridge"
                        : lab_changes_thing("08", kind, name) ? "08_nat"
                                                              : NULL;

    if (maker)
        lab_exit(EXIT_FAILURE,
                 "the %s %s is there already (made by %s up); run `sudo %s down` first", words,
                 name, maker, lab_typed(maker));
    lab_exit(EXIT_FAILURE, "the %s %s is there already (not made by these labs): see `%s`", words,
             name, shows);
}

static void link_must_be_free(const char *name)
{
    char shows[64];

    if (lab_link_index(name) == 0) {
        if (errno != ENODEV)
            lab_die("look for the link %s", name);
        return;
    }
    snprintf(shows, sizeof(shows), "ip link show dev %s", name);
    is_there_already("link", "link", name, shows);
}

static void namespace_must_be_free(const char *name)
{
    if (lab_exists("/run/netns/%s", name))
        is_there_already("network namespace", "netns", name, "ip netns list");
}

/* Exit when LINES of `ip`, which are about addresses or routes within or AROUND the subnet, are
 * about anything but a default route. Halves of it (0.0.0.0/1), as VPNs make them, count as one,
 * and so does a larger network behind a gateway, in the table main. */
static void lines_must_be_default(const char *subnet, char *lines, bool around)
{
    static const char *const nowhere[] = {"blackhole ", "unreachable ", "prohibit ", "throw "};

    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        int prefix = 32;
        line[strcspn(line, "\\")] = '\0'; /* from there on `ip -o` tells lifetimes */
        /* A route that leads nowhere begins with how. */
        const char *to = line;
        for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
            if (strncmp(line, nowhere[i], strlen(nowhere[i])) == 0)
                to = line + strlen(nowhere[i]);
        bool is_default = strncmp(to, "default", 7) == 0 ||
                          (sscanf(to, "%*[0-9.]/%d", &prefix) == 1 && prefix < 8) ||
                          (around && strstr(line, " via ") && !strstr(line, " table "));
        if (!is_default)
            lab_exit(EXIT_FAILURE, "%s is in use already: %s; choose another with --subnet", subnet,
                     line);
    }
}

static void subnet_must_be_free(const char *subnet)
{
    LAB_OUTPUT addresses = {0}, within = {0}, around = {0};

    lab_must_command(&addresses, "ip -o -4 addr show to %s", subnet);
    lab_must_command(&within, "ip -4 route show table all root %s", subnet);
    lab_must_command(&around, "ip -4 route show table all match %s", subnet);
    lines_must_be_default(subnet, addresses.text, false);
    lines_must_be_default(subnet, within.text, false);
    lines_must_be_default(subnet, around.text, true);
}

void lab_network_must_be_free(const struct lab_network *network)
{
    char name[32];

    link_must_be_free(LAB_BRIDGE);
    for (int n = 1; n <= network->namespaces; n++) {
        snprintf(name, sizeof(name), "net%d", n);
        namespace_must_be_free(name);
        snprintf(name, sizeof(name), "veth%d", 2 * n - 1);
        link_must_be_free(name);
        snprintf(name, sizeof(name), "veth%d", 2 * n);
        link_must_be_free(name);
    }
    subnet_must_be_free(lab_network_subnet(network).text);
}

/*
 * What the kernel says.
 */

/* The file FILE of the device NAME, as /sys has it; "?" where it is gone. */
static void read_device(const char *name, const char *file, char *text, size_t size)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, file);
    if (lab_read_file(path, text, size) != -1)
        return;
    if (errno != ENOENT && errno != ENODEV && errno != EINVAL)
        lab_die("read %s", path);
    snprintf(text, size, "?");
}

/* What the kernel says of a device. */
struct lab_link {
    char state[16];      /* "UP", "DOWN", "LOWERLAYERDOWN" */
    char address[32];    /* its first IPv4 address, "192.168.0.100/24", or "-" */
    char rx[24], tx[24]; /* packets received and sent, of links here */
};

/* Read it of the device NAME in the network namespace NAMESPACE (NULL: here). Returns whether it is
 * there. */
static bool read_link(struct lab_link *link, const char *namespace, const char *name)
{
    LAB_OUTPUT output = {0};
    int status = namespace
                     ? lab_command(&output, "ip -n %s -br -4 addr show dev %s", namespace, name)
                     : lab_command(&output, "ip -br -4 addr show dev %s", name);

    *link = (struct lab_link){.state = "?", .address = "-"};
    if (status != 0 && !strstr(output.text, "does not exist") &&
        !(strstr(output.text, "Cannot open network namespace") &&
          strstr(output.text, "No such file")))
        lab_exit(EXIT_FAILURE, "ip cannot tell about %s: %.*s (exit status %d)", name,
                 (int)strcspn(output.text, "\n"), output.text, status);
    if (status != 0)
        return false;
    /* ip shows nothing at all for a device without an address of the family */
    if (sscanf(output.text, "%*s %15s %31s", link->state, link->address) < 1 && !namespace)
        read_device(name, "operstate", link->state, sizeof(link->state));
    if (!namespace) {
        read_device(name, "statistics/rx_packets", link->rx, sizeof(link->rx));
        read_device(name, "statistics/tx_packets", link->tx, sizeof(link->tx));
    }
    return true;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Call EACH for every port of the bridge, with the container that hangs on it (0: not ours). */
static void each_port(void (*each)(const char *port, int container))
{
    struct dirent **ports;
    int count = scandir("/sys/class/net/" LAB_BRIDGE "/brif", &ports, is_visible, versionsort);

    const int error = errno;
    if (count == -1 && (error != ENOENT || lab_link_index(LAB_BRIDGE))) {
        errno = error;
        lab_die("list the ports of " LAB_BRIDGE " in /sys");
    }
    for (int i = 0; i < count; i++) {
        const char *name = ports[i]->d_name;
        int number = 0, end = 0;
        bool ours = sscanf(name, "veth%d%n", &number, &end) == 1 && name[end] == '\0';
        each(name, ours && number > 0 && number % 2 == 0 ? number / 2 : 0);
        free(ports[i]);
    }
    if (count >= 0)
        free(ports);
}

static void draw_port(const char *port, int container)
{
    static const char *const states[] = {"disabled", "listening", "learning", "forwarding",
                                         "blocking"};
    char inner[16], namespace[16], number[16];
    struct lab_link outside, inside;
    long long state = -1;

    read_link(&outside, NULL, port);
    read_device(port, "brport/state", number, sizeof(number));
    if (!lab_parse_number(number, 0, 4, &state))
        state = 0;
    printf("  |-- %-8s port %s, %s packets in, %s out\n", port, states[state], outside.rx,
           outside.tx);
    snprintf(inner, sizeof(inner), "veth%d", 2 * container - 1);
    snprintf(namespace, sizeof(namespace), "net%d", container);
    if (container && read_link(&inside, namespace, inner))
        printf("  |     ||\n  |   %-8s %s %s   in namespace %s\n", inner, inside.address,
               inside.state, namespace);
    puts("  |");
}

void lab_network_draw(void)
{
    struct lab_link bridge;

    if (!read_link(&bridge, NULL, LAB_BRIDGE)) {
        puts("there is no " LAB_BRIDGE);
        return;
    }
    printf("%s  %s %s   bridge on the host, %s packets in, %s out\n  |\n", LAB_BRIDGE,
           bridge.address, bridge.state, bridge.rx, bridge.tx);
    each_port(draw_port);
}

static void draw_port_dot(const char *port, int container)
{
    char inner[16], namespace[16];
    struct lab_link inside;

    printf("  br0 -- \"%s\";\n", port);
    snprintf(inner, sizeof(inner), "veth%d", 2 * container - 1);
    snprintf(namespace, sizeof(namespace), "net%d", container);
    if (!container || !read_link(&inside, namespace, inner))
        return;
    printf("  subgraph cluster_%s { label=\"%s\"; %s [label=\"%s\\n%s\"]; }\n", namespace,
           namespace, inner, inner, inside.address);
    printf("  %s -- %s [label=\"cable\"];\n", port, inner);
}

void lab_network_draw_dot(const char *uplink)
{
    struct lab_link bridge, out;

    read_link(&bridge, NULL, LAB_BRIDGE);
    read_link(&out, NULL, uplink);
    printf("graph network {\n  node [shape=box];\n");
    printf("  br0 [label=\"br0\\n%s\"];\n  \"%s\" [label=\"%s\\n%s\"];\n", bridge.address, uplink,
           uplink, out.address);
    printf("  outside [shape=ellipse];\n  br0 -- \"%s\" [label=\"forwarding, NAT\"];\n", uplink);
    printf("  \"%s\" -- outside;\n", uplink);
    each_port(draw_port_dot);
    puts("}");
}
