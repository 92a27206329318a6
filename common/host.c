#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "error.h"
#include "file.h"
#include "nft.h"
#include "process.h"

unsigned lab_link_index(const char *name)
{
    struct ifreq request = {0};
    lab_fd any_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    errno = strlen(name) < sizeof(request.ifr_name) ? errno : ENODEV;
    if (any_socket == -1 || strlen(name) >= sizeof(request.ifr_name))
        return 0;
    strcpy(request.ifr_name, name);
    return ioctl(any_socket, SIOCGIFINDEX, &request) == -1 ? 0 : (unsigned)request.ifr_ifindex;
}

bool lab_is_for_hosts(unsigned first)
{
    return first != 0 && first != 127 && first < 224;
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

enum lab_server lab_host_server_in(const char *line)
{
    char server[64];

    if (sscanf(line, " nameserver %63s", server) != 1)
        return LAB_SERVER_NONE;
    return strncmp(server, "127.", 4) == 0 || strchr(server, ':') ? LAB_SERVER_OUT_OF_REACH
                                                                  : LAB_SERVER_IN_REACH;
}

const char *lab_host_resolver_file(bool *out_of_reach)
{
    static const char *const FILES[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf",
                                        "/run/NetworkManager/no-stub-resolv.conf"};
    char text[LAB_RESOLVER_SIZE];

    *out_of_reach = false;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        const char *line = lab_read_file(FILES[i], text, sizeof(text)) == -1 ? NULL : text;
        /* Those of other programs need not be for this user. */
        if (!line && errno != ENOENT && errno != ENOTDIR && (i == 0 || errno != EACCES))
            return NULL;
        for (; line; line = lab_next_line(line)) {
            enum lab_server server = lab_host_server_in(line);
            if (server == LAB_SERVER_IN_REACH)
                return FILES[i];
            *out_of_reach |= i == 0 && server == LAB_SERVER_OUT_OF_REACH;
        }
    }
    errno = 0;
    return NULL;
}

int lab_host_has_legacy_tables(void)
{
    char tables[256];
    const ssize_t length = lab_read_file("/proc/net/ip_tables_names", tables, sizeof(tables));

    return length == -1 && errno != ENOENT ? -1 : length > 0;
}

bool lab_host_is_need_of_others(const char *line)
{
    const bool is_nat = strstr(line, "-j MASQUERADE") || strstr(line, "-j SNAT") ||
                        strstr(line, "-j DNAT") || strstr(line, "-j NETMAP");
    const bool lets_pass = strncmp(line, "-A FORWARD ", 11) == 0 && strstr(line, "-j ACCEPT");

    return (is_nat || lets_pass) && strncmp(line, "-A ", 3) == 0 &&
           !strcasestr(line, "container-labs") && !strstr(line, "labs0");
}

const char *lab_host_legacy_save(void)
{
    static const char save[] = "iptables-legacy-save";

    return lab_find_command(save, NULL, 0) || lab_outside_path(save) ? save : "iptables-save";
}

void lab_host_warn_of_closed_forward(const char *bridge)
{
    char chain[256];
    int found = lab_nft_closed_forward(bridge, chain, sizeof(chain));

    if (found == -1)
        lab_warn_errno("whether nftables lets %s pass cannot be told", bridge);
    if (found == 1)
        lab_warn("the %s drops what its rules do not accept: what comes from %s may end there; "
                 "with firewalld: firewall-cmd --zone=trusted --add-interface=%s",
                 chain, bridge, bridge);
}
