/* Fuzz what reads the kernel's answers: about tables and chains of nf_tables, and about routes. */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include "fuzz.h"

static const uint8_t *given;
static size_t given_size;
static int times;

/* The same answer a few times (to the question for chains, and to that for the rules of one), and
 * then none. */
static ssize_t give_answer(void *place, size_t size)
{
    if (times-- <= 0)
        return -1;
    if (size > given_size)
        size = given_size;
    memcpy(place, given, size);
    return (ssize_t)size;
}

#define send(netlink, bytes, size, none) ((void)(netlink), (void)(bytes), (ssize_t)(size))
#define recv(netlink, place, size, none) ((void)(netlink), give_answer(place, size))
#include "../../common/nft.c"
#undef send
#undef recv
#define exchange exchange_routes /* both files have these */
#define ask ask_routes
#include "../../labs/container/netlink.c"
#undef exchange
#undef ask

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct request nothing;
    struct network_range range = {.address = htonl(0x0a000000), .prefix = 24};
    struct wanted wanted = {.type = NFTA_CHAIN_POLICY};
    char name[64];

    /* In memory of exactly that size. */
    void *copy = malloc(size);
    if (!copy && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    given = copy;
    given_size = size;
    times = 1;
    exchange(0, &nothing, take_number, &wanted);
    times = 3;
    lab_nft_closed_forward("br0", name, sizeof(name));
    times = 1;
    lab_nft_needs_of_others();
    /* libmnl takes a length of more than 2 GiB, which the kernel does not send. */
    if (size >= sizeof(struct nlmsghdr)) {
        ((struct nlmsghdr *)copy)->nlmsg_len = (uint32_t)size;
        mnl_cb_run(copy, size, 0, 0, compare_route, &range);
    }
    free(copy);
    return 0;
}
