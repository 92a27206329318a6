#include "nft.h"

#include <arpa/inet.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <sys/socket.h>

#include "error.h"
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
                             const void *value, size_t length)
{
    struct nlattr *attribute = append(request, NLA_HDRLEN + length);

    attribute->nla_type = (unsigned short)type;
    attribute->nla_len = (unsigned short)(NLA_HDRLEN + length);
    memcpy(attribute + 1, value, length);
    header->nlmsg_len += NLMSG_ALIGN(attribute->nla_len);
}

/* A message of nf_tables about TABLE or, unless it is NULL, CHAIN in it. */
static void append_subject(struct request *request, int type, int flags, const char *table,
                           const char *chain)
{
    struct nlmsghdr *header =
        append_message(request, NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_IPV4);

    append_attribute(request, header, chain ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table,
                     strlen(table) + 1);
    if (chain)
        append_attribute(request, header, NFTA_CHAIN_NAME, chain, strlen(chain) + 1);
}

/* The two that frame what changes something; nfgenmsg.res_id is the subsystem, in network order.
 * GENERATION: only if it is the present one; 0: whichever is. */
static void append_frame(struct request *request, int type, uint32_t generation)
{
    struct nlmsghdr *header = append_message(request, type, 0, AF_UNSPEC);
    struct nfgenmsg *generic = NLMSG_DATA(header);
    const uint32_t in_network_order = htonl(generation);

    generic->res_id = htons(NFNL_SUBSYS_NFTABLES);
    if (generation != 0)
        append_attribute(request, header, NFNL_BATCH_GENID, &in_network_order, sizeof(generation));
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

/* Attributes one behind the other, or what is in one of them. .at is NULL where there is none. */
struct attributes {
    const char *at, *end;
};

static struct attributes attributes_of(const struct nlmsghdr *header)
{
    const size_t before = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct nfgenmsg)));

    if (header->nlmsg_len < before)
        return (struct attributes){0};
    return (struct attributes){(const char *)header + before,
                               (const char *)header + header->nlmsg_len};
}

/* What is in the first attribute of the type TYPE among THESE. */
static struct attributes find(struct attributes these, int type)
{
    struct nlattr attribute;

    while (these.at && these.end - these.at >= (ptrdiff_t)sizeof(attribute)) {
        memcpy(&attribute, these.at, sizeof(attribute));
        if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > these.end - these.at)
            break;
        if ((attribute.nla_type & NLA_TYPE_MASK) == type)
            return (struct attributes){these.at + NLA_HDRLEN, these.at + attribute.nla_len};
        these.at += NLA_ALIGN(attribute.nla_len);
    }
    return (struct attributes){0};
}

/* The first element of *LIST, which goes on behind it; .at is NULL at its end. */
static struct attributes next_element(struct attributes *list)
{
    const struct attributes element = find(*list, NFTA_LIST_ELEM);

    if (element.at)
        list->at = element.at + NLA_ALIGN(element.end - element.at);
    return element;
}

static bool has_bytes(struct attributes these, const char *bytes, size_t length)
{
    return these.at && memmem(these.at, (size_t)(these.end - these.at), bytes, length);
}

static uint32_t as_number(struct attributes value)
{
    uint32_t number = 0;

    if (value.at && value.end - value.at >= (ptrdiff_t)sizeof(number))
        memcpy(&number, value.at, sizeof(number));
    return ntohl(number);
}

static const char *as_text(struct attributes value)
{
    return value.at && value.end > value.at && value.end[-1] == '\0' ? value.at : "";
}

/* The errno that a message of the type NLMSG_ERROR has; 0: it is an acknowledgement. */
static int error_of(const struct nlmsghdr *header)
{
    const struct nlmsgerr *answer = NLMSG_DATA(header);
    const bool whole = header->nlmsg_len >= NLMSG_LENGTH(sizeof(answer->error));

    return whole && answer->error <= 0 && answer->error > INT_MIN ? -answer->error : EBADMSG;
}

/* Send REQUEST, and call EACH, unless it is NULL, for every message of the answer, up to the
 * acknowledgement or the end of a dump. Returns 0, or -1 with the errno of the first that failed.
 */
static int exchange(int netlink, const struct request *request,
                    void (*each)(const struct nlmsghdr *header, void *argument), void *argument)
{
    _Alignas(struct nlmsghdr) char answer[8192];

    if (netlink == -1 || send(netlink, request->bytes, request->length, 0) == -1)
        return -1;
    for (;;) {
        ssize_t length = recv(netlink, answer, sizeof(answer), 0);
        if (length == -1)
            return -1;
        for (const struct nlmsghdr *header = (const void *)answer; NLMSG_OK(header, length);
             header = NLMSG_NEXT(header, length)) {
            if (header->nlmsg_type == NLMSG_DONE)
                return 0;
            if (header->nlmsg_type == NLMSG_ERROR) {
                errno = error_of(header);
                return errno ? -1 : 0;
            }
            if (each)
                each(header, argument);
        }
    }
}

static int ask(const struct request *request,
               void (*each)(const struct nlmsghdr *header, void *argument), void *argument)
{
    lab_fd netlink = open_netlink();

    return exchange(netlink, request, each, argument);
}

/* A number in an answer: the attribute of this TYPE. */
struct wanted {
    int type;
    uint32_t number;
};

static void take_number(const struct nlmsghdr *header, void *argument)
{
    struct wanted *wanted = argument;

    wanted->number = as_number(find(attributes_of(header), wanted->type));
}

int lab_nft_exists(const char *table, const char *chain)
{
    struct request request = {0};

    append_subject(&request, chain ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE, NLM_F_ACK, table, chain);
    return ask(&request, NULL, NULL) == 0 ? 1 : errno == ENOENT ? 0 : -1;
}

uint32_t lab_nft_generation(void)
{
    struct request request = {0};
    struct wanted generation = {.type = NFTA_GEN_ID};

    append_message(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_ACK, AF_UNSPEC);
    return ask(&request, take_number, &generation) == -1 ? 0 : generation.number;
}

/* Returns 0, or -1 with errno: EBUSY where it is a chain with another policy than the one it was
 * made with. */
static int look_at_policy(const struct lab_nft_part *part)
{
    struct request request = {0};
    struct wanted policy = {NFTA_CHAIN_POLICY, NF_ACCEPT};

    if (!part->chain)
        return 0;
    append_subject(&request, NFT_MSG_GETCHAIN, NLM_F_ACK, part->table, part->chain);
    if (ask(&request, take_number, &policy) == -1)
        return -1;
    if (policy.number == NF_ACCEPT)
        return 0;
    errno = EBUSY;
    return -1;
}

static int delete_parts(int netlink, const struct lab_nft_part parts[], int count, int flags,
                        uint32_t generation)
{
    struct request request = {0};

    append_frame(&request, NFNL_MSG_BATCH_BEGIN, generation);
    for (int i = 0; i < count; i++)
        append_subject(&request, parts[i].chain ? NFT_MSG_DELCHAIN : NFT_MSG_DELTABLE,
                       flags | (i == count - 1 ? NLM_F_ACK : 0), parts[i].table, parts[i].chain);
    append_frame(&request, NFNL_MSG_BATCH_END, 0);
    return exchange(netlink, &request, NULL, NULL);
}

int lab_nft_delete_empty(const struct lab_nft_part parts[], int count)
{
    for (int i = 0; i < count; i++)
        if (look_at_policy(&parts[i]) == -1)
            return -1;
    lab_fd netlink = open_netlink();
    return delete_parts(netlink, parts, count, NLM_F_NONREC, 0);
}

int lab_nft_delete_full(const struct lab_nft_part parts[], int count, uint32_t generation)
{
    return delete_parts(open_netlink(), parts, count, 0, generation);
}

const struct lab_nft_part lab_nft_parts[LAB_NFT_PARTS] = {
    {"nat", "PREROUTING"}, {"nat", "OUTPUT"},     {"nat", "POSTROUTING"}, {"nat", NULL},
    {"filter", "INPUT"},   {"filter", "FORWARD"}, {"filter", NULL},
};

/* Whether errno is that of a kernel without nf_tables. */
static bool is_absent(void)
{
    return errno == EPROTONOSUPPORT || errno == EINVAL || errno == EOPNOTSUPP;
}

int lab_nft_is_there(void)
{
    return lab_nft_exists("filter", NULL) != -1 ? 1 : is_absent() ? 0 : -1;
}

int lab_nft_missing(unsigned *missing)
{
    *missing = 0;
    for (int i = 0; i < LAB_NFT_PARTS; i++) {
        int there = lab_nft_exists(lab_nft_parts[i].table, lab_nft_parts[i].chain);
        if (there == -1)
            return is_absent() ? 0 : -1;
        *missing |= there ? 0 : 1U << i;
    }
    return 0;
}

void lab_nft_delete_missing(unsigned missing)
{
    struct lab_nft_part parts[LAB_NFT_PARTS];
    int count = 0;

    for (int i = 0; i < LAB_NFT_PARTS; i++)
        if (missing & 1U << i)
            parts[count++] = lab_nft_parts[i];
    if (count == 0 || lab_nft_delete_empty(parts, count) == 0)
        return;
    /* A part that others use now stays: each of the others alone. */
    for (int i = 0; i < count; i++)
        if (lab_nft_delete_empty(&parts[i], 1) == -1 && errno != ENOENT && errno != EBUSY)
            lab_warn_errno("delete %s %s of nf_tables", parts[i].table,
                           parts[i].chain ? parts[i].chain : "");
}

/*
 * Chains that do not let forwarded packets pass.
 */

enum verdict { VERDICT_NONE, VERDICT_ACCEPT, VERDICT_DROP };

static enum verdict verdict_of(struct attributes expression)
{
    const char *name = as_text(find(expression, NFTA_EXPR_NAME));
    struct attributes data = find(expression, NFTA_EXPR_DATA);
    struct attributes code =
        find(find(find(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT), NFTA_VERDICT_CODE);

    if (strcmp(name, "reject") == 0)
        return VERDICT_DROP;
    if (strcmp(name, "immediate") != 0 || !code.at)
        return VERDICT_NONE;
    return as_number(code) == NF_DROP     ? VERDICT_DROP
           : as_number(code) == NF_ACCEPT ? VERDICT_ACCEPT
                                          : VERDICT_NONE;
}

/* What a rule does with every packet. */
static enum verdict unconditional_verdict(struct attributes rule)
{
    struct attributes list = find(rule, NFTA_RULE_EXPRESSIONS), element;
    enum verdict verdict = VERDICT_NONE;

    while ((element = next_element(&list)).at) {
        const char *name = as_text(find(element, NFTA_EXPR_NAME));
        verdict = verdict_of(element);
        if (verdict == VERDICT_NONE && strcmp(name, "counter") != 0 && strcmp(name, "log") != 0)
            return VERDICT_NONE; /* a condition */
    }
    return verdict;
}

struct forward_chain {
    const char *table, *chain, *device;
    enum verdict verdict;
    bool names_device;
};

static void add_rule(const struct nlmsghdr *header, void *argument)
{
    struct forward_chain *forward = argument;
    struct attributes rule = attributes_of(header);

    if (forward->device && has_bytes(rule, forward->device, strlen(forward->device) + 1))
        forward->names_device = true;
    if (forward->verdict == VERDICT_NONE &&
        strcmp(as_text(find(rule, NFTA_RULE_CHAIN)), forward->chain) == 0)
        forward->verdict = unconditional_verdict(rule);
}

struct closed_chain {
    const char *device;
    char *name;
    size_t size;
    bool found, failed;
};

static void add_chain(const struct nlmsghdr *header, void *argument)
{
    struct closed_chain *closed = argument;
    struct attributes chain = attributes_of(header), hook = find(chain, NFTA_CHAIN_HOOK);
    const int family = ((const struct nfgenmsg *)NLMSG_DATA(header))->nfgen_family;
    struct forward_chain forward = {.table = as_text(find(chain, NFTA_CHAIN_TABLE)),
                                    .chain = as_text(find(chain, NFTA_CHAIN_NAME)),
                                    .device = closed->device};
    struct request request = {0};

    if (closed->found || !hook.at || (family != NFPROTO_IPV4 && family != NFPROTO_INET) ||
        as_number(find(hook, NFTA_HOOK_HOOKNUM)) != NF_INET_FORWARD ||
        (family == NFPROTO_IPV4 && strcmp(forward.table, "filter") == 0 &&
         strcmp(forward.chain, "FORWARD") == 0))
        return;
    append_attribute(
        &request,
        append_message(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_DUMP, family),
        NFTA_RULE_TABLE, forward.table, strlen(forward.table) + 1);
    if (ask(&request, add_rule, &forward) == -1)
        closed->failed = true;
    const bool drops = forward.verdict == VERDICT_DROP ||
                       (forward.verdict == VERDICT_NONE && find(chain, NFTA_CHAIN_POLICY).at &&
                        as_number(find(chain, NFTA_CHAIN_POLICY)) == NF_DROP);
    closed->found = drops && !forward.names_device;
    if (closed->found)
        snprintf(closed->name, closed->size, "chain %s of the table %s %s", forward.chain,
                 family == NFPROTO_INET ? "inet" : "ip", forward.table);
}

int lab_nft_closed_forward(const char *device, char *name, size_t size)
{
    struct request request = {0};
    struct closed_chain closed = {.device = device, .name = name, .size = size};

    append_message(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, NLM_F_DUMP, AF_UNSPEC);
    if (ask(&request, add_chain, &closed) == -1 || (closed.failed && !closed.found))
        return is_absent() ? 0 : -1;
    return closed.found;
}

/*
 * Rules that need forwarding.
 */

static bool is_one_of(const char *word, const char *const words[])
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words;
}

/* An expression of nft(8), or a target of iptables(8). */
static bool changes_addresses(struct attributes expression)
{
    static const char *const names[] = {"masq", "nat", NULL};
    static const char *const targets[] = {"MASQUERADE", "SNAT", "DNAT", "NETMAP", NULL};
    const char *target = as_text(find(find(expression, NFTA_EXPR_DATA), NFTA_TARGET_NAME));
    const char *name = as_text(find(expression, NFTA_EXPR_NAME));

    return is_one_of(name, names) || (strcmp(name, "target") == 0 && is_one_of(target, targets));
}

static void count_needs_of_others(const struct nlmsghdr *header, void *argument)
{
    static const char *const ours[] = {"container-labs", "CONTAINER-LABS", "labs0"};
    struct attributes rule = attributes_of(header), element;
    struct attributes list = find(rule, NFTA_RULE_EXPRESSIONS);
    int *count = argument;

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (has_bytes(rule, ours[i], strlen(ours[i])))
            return;
    const bool forwards = strcmp(as_text(find(rule, NFTA_RULE_CHAIN)), "FORWARD") == 0;
    while ((element = next_element(&list)).at)
        *count += changes_addresses(element) || (forwards && verdict_of(element) == VERDICT_ACCEPT);
}

int lab_nft_needs_of_others(void)
{
    struct request request = {0};
    int count = 0;

    append_message(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_DUMP, AF_UNSPEC);
    if (ask(&request, count_needs_of_others, &count) == -1)
        return is_absent() ? 0 : -1;
    return count;
}
