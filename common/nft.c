#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
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

static void append_attribute(struct request *request, struct nlmsghdr *header, int type,
                             const void *value, size_t size)
{
    size_t length = NLA_HDRLEN + size;
    struct nlattr *attribute = append(request, length);

    attribute->nla_type = (unsigned short)type;
    attribute->nla_len = (unsigned short)length;
    memcpy((char *)attribute + NLA_HDRLEN, value, size);
    header->nlmsg_len += NLMSG_ALIGN(length);
}

static void append_name(struct request *request, struct nlmsghdr *header, int type,
                        const char *name)
{
    append_attribute(request, header, type, name, strlen(name) + 1);
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
static struct nlmsghdr *append_frame(struct request *request, int type)
{
    struct nlmsghdr *header = append_message(request, type, 0, AF_UNSPEC);
    struct nfgenmsg *generic = NLMSG_DATA(header);

    generic->res_id = htons(NFNL_SUBSYS_NFTABLES);
    return header;
}

static int open_netlink(void)
{
    struct timeval patience = {.tv_sec = 2};
    lab_fd netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (netlink == -1 ||
        setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1)
        return -1;
    return lab_take_fd(&netlink);
}

/* The number in an attribute of the answer HEADER, or 0. */
static uint32_t find_number(const struct nlmsghdr *header, int type)
{
    const char *at = (const char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
    const char *end = (const char *)header + header->nlmsg_len;
    struct nlattr attribute;
    uint32_t number;

    for (; end - at >= (ptrdiff_t)sizeof(attribute); at += NLA_ALIGN(attribute.nla_len)) {
        memcpy(&attribute, at, sizeof(attribute));
        if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > end - at)
            break;
        if (attribute.nla_type == type && attribute.nla_len >= NLA_HDRLEN + sizeof(number)) {
            memcpy(&number, at + NLA_HDRLEN, sizeof(number));
            return ntohl(number);
        }
    }
    return 0;
}

/* Send, and return the errno of the first message that failed, or 0 of the acknowledgement. From an
 * answer before that, *NUMBER is set to its attribute of the type TYPE, unless NUMBER is NULL. */
static int transact(int netlink, const struct request *request, int type, uint32_t *number)
{
    _Alignas(struct nlmsghdr) char answer[8192];

    if (send(netlink, request->bytes, request->length, 0) == -1)
        return errno;
    for (;;) {
        ssize_t length = recv(netlink, answer, sizeof(answer), 0);
        if (length == -1)
            return errno;
        for (const struct nlmsghdr *header = (const void *)answer; NLMSG_OK(header, length);
             header = NLMSG_NEXT(header, length)) {
            if (header->nlmsg_type == NLMSG_ERROR)
                return -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
            if (number)
                *number = find_number(header, type);
        }
    }
}

/* The same on a socket of its own. */
static int transact_alone(const struct request *request)
{
    lab_fd netlink = open_netlink();

    return netlink == -1 ? errno : transact(netlink, request, 0, NULL);
}

bool lab_nft_exists(const char *table, const char *chain)
{
    struct request request = {0};

    append_subject(&request, chain ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE, NLM_F_ACK, table, chain);
    return transact_alone(&request) == 0;
}

/* Whether it is a chain with another policy than the one it was made with. */
static bool has_policy(const struct lab_nft_part *part)
{
    struct request request = {0};
    uint32_t policy = NF_ACCEPT;
    lab_fd netlink = part->chain ? open_netlink() : -1;

    append_subject(&request, NFT_MSG_GETCHAIN, NLM_F_ACK, part->table, part->chain);
    return netlink != -1 && transact(netlink, &request, NFTA_CHAIN_POLICY, &policy) == 0 &&
           policy != NF_ACCEPT;
}

int lab_nft_delete_empty(const struct lab_nft_part parts[], int count)
{
    struct request request = {0};

    for (int i = 0; i < count; i++)
        if (has_policy(&parts[i])) {
            errno = EBUSY;
            return -1;
        }
    append_frame(&request, NFNL_MSG_BATCH_BEGIN);
    for (int i = 0; i < count; i++)
        append_subject(&request, parts[i].chain ? NFT_MSG_DELCHAIN : NFT_MSG_DELTABLE,
                       NLM_F_NONREC | (i == count - 1 ? NLM_F_ACK : 0), parts[i].table,
                       parts[i].chain);
    append_frame(&request, NFNL_MSG_BATCH_END);
    errno = transact_alone(&request);
    return errno ? -1 : 0;
}

uint32_t lab_nft_generation(void)
{
    struct request request = {0};
    uint32_t generation = 0;
    lab_fd netlink = open_netlink();

    append_message(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_ACK, AF_UNSPEC);
    if (netlink == -1 || transact(netlink, &request, NFTA_GEN_ID, &generation) != 0)
        return 0;
    return generation;
}

int lab_nft_delete_tables(const char *const tables[], int count, uint32_t generation)
{
    struct request request = {0};
    const uint32_t number = htonl(generation);
    int error, ends[2];

    append_attribute(&request, append_frame(&request, NFNL_MSG_BATCH_BEGIN), NFNL_BATCH_GENID,
                     &number, sizeof(number));
    for (int i = 0; i < count; i++)
        append_subject(&request, NFT_MSG_DELTABLE, i == count - 1 ? NLM_F_ACK : 0, tables[i], NULL);
    append_frame(&request, NFNL_MSG_BATCH_END);
    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 0);
        close_range(1, ~0U, 0); /* locks too, and pipes whose readers wait for their end */
        int netlink = open_netlink();
        error = netlink == -1 ? errno : transact(netlink, &request, 0, NULL);
        _exit(write(0, &error, sizeof(error)) == -1);
    }
    close(ends[1]);
    if (child == -1 || read(ends[0], &error, sizeof(error)) != sizeof(error))
        error = EIO;
    close(ends[0]);
    errno = error;
    return error ? -1 : 0;
}
