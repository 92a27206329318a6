/*
 * 07_veth_bridge - ip-link(8) by hand: what ip says to the kernel, over rtnetlink with libmnl.
 *
 *     07_veth_bridge add NAME PEER            a pair of devices, the two ends of a cable
 *     07_veth_bridge move NAME PID            put a device into the network namespace of PID
 *     07_veth_bridge address NAME IPV4/BITS   give it an address
 *     07_veth_bridge up NAME                  switch it on
 *
 * Each is one message: a header (nlmsghdr), a structure for the kind of object (ifinfomsg,
 * ifaddrmsg), attributes, some with attributes in them. The kernel answers with an errno, 0 for
 * success. rtnetlink(7), netlink(7); libmnl:
 * https://www.netfilter.org/projects/libmnl/doxygen/html/
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exercise.h"

/* A request under construction: BUFFER begins with its header. */
static char buffer[4096] __attribute__((aligned(NLMSG_ALIGNTO)));

/* Begin a request of TYPE, as RTM_NEWLINK, with SIZE bytes for the structure that follows its
 * header. Returns that structure, all zero. */
static void *begin(uint16_t type, uint16_t flags, size_t size)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    return mnl_nlmsg_put_extra_header(header, size);
}

/* Send the request and wait for the answer. Ends the program where the kernel refuses. */
static void finish(const char *what, const char *name)
{
    struct nlmsghdr *header = (struct nlmsghdr *)buffer;
    struct mnl_socket *channel = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    char answer[8192];

    if (!channel || mnl_socket_bind(channel, 0, MNL_SOCKET_AUTOPID) == -1 ||
        mnl_socket_sendto(channel, header, header->nlmsg_len) == -1)
        lab_die("rtnetlink");
    ssize_t length = mnl_socket_recvfrom(channel, answer, sizeof(answer));
    if (length == -1 ||
        mnl_cb_run(answer, (size_t)length, 0, mnl_socket_get_portid(channel), NULL, NULL) == -1)
        lab_die("%s %s", what, name);
    mnl_socket_close(channel);
}

/* The number of the device NAME in our network namespace. */
static unsigned index_of(const char *name)
{
    unsigned index = if_nametoindex(name);

    if (index == 0)
        lab_die("%s", name);
    return index;
}

static void add_pair(const char *name, const char *peer)
{
    struct nlmsghdr *header = (struct nlmsghdr *)buffer;

    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    // BEGIN SOLUTION 7.1 a veth device NAME, and in its attributes a whole second device PEER
    mnl_attr_put_strz(header, IFLA_IFNAME, name);
    struct nlattr *info = mnl_attr_nest_start(header, IFLA_LINKINFO);
    mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
    /* The other end is described as a device is: an ifinfomsg, then attributes. */
    struct nlattr *other = mnl_attr_nest_start(header, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(header, IFLA_IFNAME, peer);
    mnl_attr_nest_end(header, other);
    mnl_attr_nest_end(header, data);
    mnl_attr_nest_end(header, info);
    // END SOLUTION
    finish("add", name);
}

static void move(const char *name, const char *pid)
{
    struct ifinfomsg *link = begin(RTM_SETLINK, 0, sizeof(*link));
    struct nlmsghdr *header = (struct nlmsghdr *)buffer;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%.32s/ns/net", pid);
    lab_fd net = open(path, O_RDONLY | O_CLOEXEC);
    if (net == -1)
        lab_die("%s", path);
    // BEGIN SOLUTION 7.2 the device of this number, into that namespace
    link->ifi_index = (int)index_of(name);
    mnl_attr_put_u32(header, IFLA_NET_NS_FD, (uint32_t)net);
    // END SOLUTION
    finish("move", name);
}

static void add_address(const char *name, const char *text)
{
    struct ifaddrmsg *message =
        begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg));
    struct nlmsghdr *header = (struct nlmsghdr *)buffer;
    const char *slash = strchr(text, '/');
    char number[INET_ADDRSTRLEN];
    struct in_addr address;
    long long bits;

    snprintf(number, sizeof(number), "%.*s", slash ? (int)(slash - text) : 0, text);
    if (!slash || inet_pton(AF_INET, number, &address) != 1 ||
        !lab_parse_number(slash + 1, 0, 32, &bits))
        lab_exit(EXIT_USAGE, "'%s' is no address as 192.168.0.101/24", text);
    message->ifa_family = AF_INET;
    // BEGIN SOLUTION 7.3 address and length of the network; our end of the link is local
    message->ifa_index = index_of(name);
    message->ifa_prefixlen = (unsigned char)bits;
    mnl_attr_put(header, IFA_LOCAL, sizeof(address), &address);
    mnl_attr_put(header, IFA_ADDRESS, sizeof(address), &address);
    // END SOLUTION
    finish("give an address to", name);
}

static void switch_on(const char *name)
{
    struct ifinfomsg *link = begin(RTM_SETLINK, 0, sizeof(*link));

    link->ifi_index = (int)index_of(name);
    // BEGIN SOLUTION 7.4 set the flag IFF_UP, and say which flags are meant
    link->ifi_flags = IFF_UP;
    link->ifi_change = IFF_UP; /* leave the others as they are */
    // END SOLUTION
    finish("switch on", name);
}

int main(int argc, char *argv[])
{
    const char *verb = argc > 2 ? argv[1] : "";

    if (argc == 4 && strcmp(verb, "add") == 0)
        add_pair(argv[2], argv[3]);
    else if (argc == 4 && strcmp(verb, "move") == 0)
        move(argv[2], argv[3]);
    else if (argc == 4 && strcmp(verb, "address") == 0)
        add_address(argv[2], argv[3]);
    else if (argc == 3 && strcmp(verb, "up") == 0)
        switch_on(argv[2]);
    else
        lab_exit(EXIT_USAGE, "usage: add NAME PEER | move NAME PID | address NAME IPV4/BITS | "
                             "up NAME");
    return EXIT_SUCCESS;
}
