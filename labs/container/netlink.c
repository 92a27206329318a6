#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>

enum { SEQUENCE = 1 };

struct nlmsghdr *netlink_begin(char *buffer, int type, int flags)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

    request->nlmsg_type = (uint16_t)type;
    request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    request->nlmsg_seq = SEQUENCE;
    return request;
}

/* Send REQUEST, LENGTH bytes, and call EACH for the messages of the answer, up to the
 * acknowledgement. */
static int exchange(struct mnl_socket *kernel, const void *request, size_t length, mnl_cb_t each,
                    void *argument)
{
    char answer[NETLINK_BUFFER];
    int result = -1;

    if (mnl_socket_bind(kernel, 0, MNL_SOCKET_AUTOPID) == -1 ||
        mnl_socket_sendto(kernel, request, length) == -1)
        return -1;
    do {
        ssize_t count = mnl_socket_recvfrom(kernel, answer, sizeof(answer));
        result = count == -1 ? -1
                             : mnl_cb_run(answer, (size_t)count, SEQUENCE,
                                          mnl_socket_get_portid(kernel), each, argument);
    } while (result > 0);
    return result;
}

int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t each, void *argument)
{
    struct mnl_socket *kernel = mnl_socket_open2(bus, SOCK_CLOEXEC);

    if (!kernel)
        return -1;
    int result = exchange(kernel, request, request->nlmsg_len, each, argument), error = errno;
    mnl_socket_close(kernel);
    errno = error;
    return result;
}

static int request_change(struct nlmsghdr *request)
{
    request->nlmsg_flags |= NLM_F_ACK;
    return netlink_ask(NETLINK_ROUTE, request, NULL, NULL);
}

static struct ifinfomsg *put_link(struct nlmsghdr *request, unsigned index, unsigned flags)
{
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(request, sizeof(*link));

    link->ifi_family = AF_UNSPEC;
    link->ifi_index = (int)index;
    link->ifi_flags = link->ifi_change = flags;
    return link;
}

int link_make_bridge(const char *name, const unsigned char mac[6])
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

    put_link(request, 0, IFF_UP);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    mnl_attr_put(request, IFLA_ADDRESS, 6, mac);
    struct nlattr *info = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "bridge");
    /* Else one container can fill the bridge's table of multicast groups for all. */
    struct nlattr *data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    mnl_attr_put_u8(request, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, info);
    return request_change(request);
}

void link_mac(in_addr_t address, unsigned char mac[6])
{
    mac[0] = 0x02, mac[1] = 0x42;
    memcpy(mac + 2, &address, sizeof(address));
}

int link_make_pair(const char *name, unsigned bridge, const char *peer, const unsigned char mac[6],
                   pid_t pid)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

    put_link(request, 0, IFF_UP);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    mnl_attr_put_u32(request, IFLA_MASTER, bridge);
    struct nlattr *info = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    struct nlattr *other = mnl_attr_nest_start(request, VETH_INFO_PEER);
    /* The other end is described as a link is, header included. */
    memset(mnl_nlmsg_get_payload_tail(request), 0, sizeof(struct ifinfomsg));
    request->nlmsg_len += sizeof(struct ifinfomsg);
    mnl_attr_put_strz(request, IFLA_IFNAME, peer);
    mnl_attr_put(request, IFLA_ADDRESS, 6, mac);
    mnl_attr_put_u32(request, IFLA_NET_NS_PID, (uint32_t)pid);
    mnl_attr_nest_end(request, other);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, info);
    return request_change(request);
}

int link_set_port(unsigned index, bool hairpin)
{
    enum { ALL_GROUPS = 0xfffd }; /* but 01, of which the bridge drops all */
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_SETLINK, 0);

    put_link(request, index, 0)->ifi_family = AF_BRIDGE;
    struct nlattr *port = mnl_attr_nest_start(request, IFLA_PROTINFO | NLA_F_NESTED);
    mnl_attr_put_u16(request, IFLA_BRPORT_GROUP_FWD_MASK, ALL_GROUPS);
    mnl_attr_put_u8(request, IFLA_BRPORT_MODE, hairpin);
    mnl_attr_nest_end(request, port);
    return request_change(request);
}

int link_up(unsigned index)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_NEWLINK, 0);

    put_link(request, index, IFF_UP);
    return request_change(request);
}

int link_remove(unsigned index)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_DELLINK, 0);

    put_link(request, index, 0);
    return request_change(request);
}

static int read_number(const struct nlmsghdr *message, void *number)
{
    const struct nlattr *attribute;

    mnl_attr_for_each (attribute, message, sizeof(struct rtgenmsg)) {
        if (mnl_attr_get_type(attribute) == NETNSA_NSID &&
            mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
            *(int *)number = (int)mnl_attr_get_u32(attribute);
    }
    return MNL_CB_STOP;
}

/* The number of the network namespace that ATTRIBUTE, NETNSA_PID or NETNSA_NSID, and VALUE name. */
static int ask_number(uint16_t attribute, int value)
{
    char buffer[NETLINK_BUFFER];
    int number = -1;
    struct nlmsghdr *request = netlink_begin(buffer, RTM_GETNSID, 0);
    struct rtgenmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));

    head->rtgen_family = AF_UNSPEC;
    mnl_attr_put_u32(request, attribute, (uint32_t)value);
    return netlink_ask(NETLINK_ROUTE, request, read_number, &number) == -1 ? -1 : number;
}

int network_number(pid_t pid)
{
    return ask_number(NETNSA_PID, pid);
}

bool network_is_gone(int number)
{
    return number != -1 && ask_number(NETNSA_NSID, number) == -1 && errno == ENOENT;
}

int address_add(unsigned index, in_addr_t address, int prefix)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
    in_addr_t broadcast = address | htonl(UINT32_MAX >> prefix);

    head->ifa_family = AF_INET;
    head->ifa_prefixlen = (uint8_t)prefix;
    head->ifa_index = index;
    mnl_attr_put_u32(request, IFA_LOCAL, address);
    mnl_attr_put_u32(request, IFA_ADDRESS, address);
    mnl_attr_put_u32(request, IFA_BROADCAST, broadcast);
    return request_change(request);
}

int route_add_default(in_addr_t gateway)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));

    head->rtm_family = AF_INET;
    head->rtm_table = RT_TABLE_MAIN;
    head->rtm_protocol = RTPROT_BOOT;
    head->rtm_scope = RT_SCOPE_UNIVERSE;
    head->rtm_type = RTN_UNICAST;
    mnl_attr_put_u32(request, RTA_GATEWAY, gateway);
    return request_change(request);
}

struct network_range {
    in_addr_t address;
    int prefix;
    bool taken;
};

/* Whether a route to a larger network than ours means "all else": see route_overlaps(). */
static bool is_general(const struct rtmsg *head, bool has_gateway)
{
    const bool refuses = head->rtm_type == RTN_UNREACHABLE || head->rtm_type == RTN_BLACKHOLE ||
                         head->rtm_type == RTN_PROHIBIT || head->rtm_type == RTN_THROW;

    return head->rtm_dst_len < 8 || refuses || (has_gateway && head->rtm_table == RT_TABLE_MAIN);
}

static int compare_route(const struct nlmsghdr *message, void *argument)
{
    struct network_range *range = argument;
    const struct rtmsg *head = mnl_nlmsg_get_payload(message);
    const struct nlattr *attribute;
    in_addr_t destination = 0;
    bool has_gateway = false;

    if (mnl_nlmsg_get_payload_len(message) < sizeof(*head) || head->rtm_family != AF_INET ||
        head->rtm_dst_len == 0)
        return MNL_CB_OK;
    mnl_attr_for_each (attribute, message, sizeof(*head)) {
        const int type = mnl_attr_get_type(attribute);
        if (type == RTA_DST && mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
            destination = mnl_attr_get_u32(attribute);
        has_gateway |= type == RTA_GATEWAY || type == RTA_VIA || type == RTA_MULTIPATH;
    }
    if (head->rtm_dst_len < range->prefix && is_general(head, has_gateway))
        return MNL_CB_OK;
    int common = head->rtm_dst_len < range->prefix ? head->rtm_dst_len : range->prefix;
    in_addr_t mask = htonl(UINT32_MAX << (32 - common));
    range->taken |= ((destination ^ range->address) & mask) == 0;
    return MNL_CB_OK;
}

int route_overlaps(in_addr_t address, int prefix)
{
    char buffer[NETLINK_BUFFER];
    struct nlmsghdr *request = netlink_begin(buffer, RTM_GETROUTE, NLM_F_DUMP);
    struct rtmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
    struct network_range range = {.address = address, .prefix = prefix};

    head->rtm_family = AF_INET;
    return netlink_ask(NETLINK_ROUTE, request, compare_route, &range) == -1 ? -1 : range.taken;
}
