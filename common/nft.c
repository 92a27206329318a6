#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "file.h"

/* Messages that go to the kernel together. */
struct request {
    size_t length;
    _Alignas(struct nlmsghdr) char bytes[1024];
};

/* Room in the request for LENGTH bytes, zeroed and aligned as netlink wants it. Names are the few
 * letters of iptables's own tables and chains, so ten messages fit. */
static void *append(struct request *request, size_t length)
{
    void *place = request->bytes + request->length;

    memset(place, 0, NLMSG_ALIGN(length));
    request->length += NLMSG_ALIGN(length);
    return place;
}

static struct nlmsghdr *append_message(struct request *request, int type, int flags, int family)
{
    struct nlmsghdr *header = append(request, NLMSG_LENGTH(sizeof(struct nfgenmsg)));
    struct nfgenmsg *generic = NLMSG_DATA(header);

    header->nlmsg_type = (unsigned short)type;
    header->nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    header->nlmsg_len = NLMSG_LENGTH(sizeof(*generic));
    generic->nfgen_family = (unsigned char)family;
    generic->version = NFNETLINK_V0;
    return header;
}

static void append_name(struct request *request, struct nlmsghdr *header, int type,
                        const char *name)
{
    size_t length = NLA_HDRLEN + strlen(name) + 1;
    struct nlattr *attribute = append(request, length);

    attribute->nla_type = (unsigned short)type;
    attribute->nla_len = (unsigned short)length;
    strcpy((char *)attribute + NLA_HDRLEN, name);
    header->nlmsg_len += NLMSG_ALIGN(length);
}

/* A message of nf_tables about TABLE or, unless it is NULL, CHAIN in it. */
static void append_subject(struct request *request, int type, int flags, const char *table,
                           const char *chain)
{
    struct nlmsghdr *header =
        append_message(request, NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_IPV4);

    append_name(request, header, chain ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
    if (chain)
        append_name(request, header, NFTA_CHAIN_NAME, chain);
}

/* The two that frame what changes something; nfgenmsg.res_id is the subsystem, in network order. */
static void append_frame(struct request *request, int type)
{
    struct nlmsghdr *header = append_message(request, type, 0, AF_UNSPEC);
    struct nfgenmsg *generic = NLMSG_DATA(header);

    generic->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

/* Send, and return the errno of the first message that failed, or 0 of the acknowledgement. */
static int transact(const struct request *request)
{
    _Alignas(struct nlmsghdr) char answer[8192];
    struct timeval patience = {.tv_sec = 2};
    lab_fd netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (netlink == -1 ||
        setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1 ||
        send(netlink, request->bytes, request->length, 0) == -1)
        return errno;
    for (;;) {
        ssize_t length = recv(netlink, answer, sizeof(answer), 0);
        if (length == -1)
            return errno;
        for (const struct nlmsghdr *header = (const void *)answer; NLMSG_OK(header, length);
             header = NLMSG_NEXT(header, length))
            if (header->nlmsg_type == NLMSG_ERROR)
                return -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
    }
}

bool lab_nft_exists(const char *table, const char *chain)
{
    struct request request = {0};

    append_subject(&request, chain ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE, NLM_F_ACK, table, chain);
    return transact(&request) == 0;
}

int lab_nft_delete_empty(const struct lab_nft_part parts[], int count)
{
    struct request request = {0};

    append_frame(&request, NFNL_MSG_BATCH_BEGIN);
    for (int i = 0; i < count; i++)
        append_subject(&request, parts[i].chain ? NFT_MSG_DELCHAIN : NFT_MSG_DELTABLE,
                       NLM_F_NONREC | (i == count - 1 ? NLM_F_ACK : 0), parts[i].table,
                       parts[i].chain);
    append_frame(&request, NFNL_MSG_BATCH_END);
    errno = transact(&request);
    return errno ? -1 : 0;
}
