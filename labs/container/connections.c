#include "connections.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "netlink.h"

/* The addresses and ports of a packet, in network order. */
struct packet {
    in_addr_t from, to;
    in_port_t from_port, to_port;
    uint8_t protocol;
};

struct search {
    const struct udp_port *ports;
    int count;
    in_addr_t network, mask;
    int error; /* of the first that could not be looked at or forgotten */
};

/* The attribute TYPE in NEST, NULL where there is none. */
static const struct nlattr *find(const struct nlattr *nest, int type)
{
    const struct nlattr *attribute;

    if (!nest)
        return NULL;
    mnl_attr_for_each_nested (attribute, nest) {
        if (mnl_attr_get_type(attribute) == type)
            return attribute;
    }
    return NULL;
}

static void copy(void *value, size_t size, const struct nlattr *nest, int type)
{
    const struct nlattr *attribute = find(nest, type);

    memset(value, 0, size);
    if (attribute && mnl_attr_get_payload_len(attribute) == size)
        memcpy(value, mnl_attr_get_payload(attribute), size);
}

static struct packet read_packet(const struct nlattr *tuple)
{
    const struct nlattr *ip = find(tuple, CTA_TUPLE_IP), *rest = find(tuple, CTA_TUPLE_PROTO);
    struct packet packet;

    copy(&packet.from, sizeof(packet.from), ip, CTA_IP_V4_SRC);
    copy(&packet.to, sizeof(packet.to), ip, CTA_IP_V4_DST);
    copy(&packet.from_port, sizeof(packet.from_port), rest, CTA_PROTO_SRC_PORT);
    copy(&packet.to_port, sizeof(packet.to_port), rest, CTA_PROTO_DST_PORT);
    copy(&packet.protocol, sizeof(packet.protocol), rest, CTA_PROTO_NUM);
    return packet;
}

/* Whether this machine has ADDRESS, as only such a one can be bound: 1 or 0, or -1 with errno. */
static int is_local(in_addr_t address)
{
    const struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    lab_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd != -1 && bind(fd, (const struct sockaddr *)&self, sizeof(self)) == 0)
        return 1;
    return fd != -1 && errno == EADDRNOTAVAIL ? 0 : -1;
}

/* Whether a connection whose packets are like FIRST, and those back like REPLY, would be led
 * elsewhere if it began now: 1 or 0, or -1 with errno. */
static int is_outdated(const struct search *search, struct packet first, struct packet reply)
{
    const bool was_led = (reply.from & search->mask) == search->network &&
                         (first.to != reply.from || first.to_port != reply.from_port);

    for (int i = 0; i < search->count; i++) {
        const struct udp_port *port = &search->ports[i];
        if (port->outside != first.to_port)
            continue;
        if (was_led)
            return port->address != reply.from || port->inside != reply.from_port;
        return first.to == reply.from ? is_local(first.to) : 0;
    }
    return was_led;
}

/* The head of a request to the table, of TYPE (IPCTNL_MSG_CT_...), in BUFFER. */
static struct nlmsghdr *begin(char *buffer, int type, int flags)
{
    struct nlmsghdr *request = netlink_begin(buffer, NFNL_SUBSYS_CTNETLINK << 8 | type, flags);
    struct nfgenmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));

    head->nfgen_family = AF_INET;
    return request;
}

static int forget(const struct nlattr *tuple)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);

    mnl_attr_put(request, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(tuple),
                 mnl_attr_get_payload(tuple));
    return netlink_ask(NETLINK_NETFILTER, request, NULL, NULL) == -1 && errno != ENOENT ? -1 : 0;
}

static int see_to(const struct nlmsghdr *message, void *argument)
{
    struct search *search = argument;
    const struct nlattr *attribute, *first = NULL, *reply = NULL;

    mnl_attr_for_each (attribute, message, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(attribute) == CTA_TUPLE_ORIG)
            first = attribute;
        if (mnl_attr_get_type(attribute) == CTA_TUPLE_REPLY)
            reply = attribute;
    }
    const struct packet packet = read_packet(first);
    const int outdated =
        packet.protocol == IPPROTO_UDP ? is_outdated(search, packet, read_packet(reply)) : 0;
    if (outdated == -1 || (outdated && forget(first) == -1))
        search->error = search->error ? search->error : errno;
    return MNL_CB_OK;
}

void connections_forget_udp(const struct bridge *bridge, const struct udp_port *ports, int count)
{
    char buffer[NETLINK_BUFFER];
    struct search search = {ports, count, bridge->network,
                            htonl(UINT32_MAX << (32 - bridge->prefix)), 0};
    struct nlmsghdr *request = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP);

    if (netlink_ask(NETLINK_NETFILTER, request, see_to, &search) == -1)
        search.error = errno;
    errno = search.error;
    if (search.error)
        lab_warn_errno("look for clients of UDP that have sent before (they may stay with what "
                       "they found then)");
}
