#include "bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "container.h"
#include "error.h"
#include "file.h"
#include "record.h"

static const char RECORD[] = "network";

enum { BRIDGE_TEXT = 256 };

const char *bridge_file(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/.network", state_directory());
    return path;
}

int bridge_set_boot(struct bridge *bridge)
{
    char text[64];

    if (lab_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text)) == -1)
        return -1;
    snprintf(bridge->boot, sizeof(bridge->boot), "%.8s", text);
    return 0;
}

int bridge_read(struct bridge *bridge)
{
    char text[BRIDGE_TEXT], network[32];
    struct bridge present;

    if (lab_record_read(bridge_file(), RECORD, text, sizeof(text)) == -1)
        return errno == ENOENT ? bridge_forget() : -1;
    if (bridge_set_boot(&present) == -1)
        return -1;
    if (sscanf(text, "%8s %31[0-9.]/%d %d %u %u %u %u", bridge->boot, network, &bridge->prefix,
               &bridge->forwarded, &bridge->others, &bridge->missing, &bridge->rules,
               &bridge->last) != 8 ||
        inet_pton(AF_INET, network, &bridge->network) != 1 || bridge->prefix < 0 ||
        bridge->prefix > 31) {
        errno = EBADMSG;
        return -1;
    }
    if (strcmp(bridge->boot, present.boot) == 0)
        return 1;
    return bridge_forget();
}

const char *bridge_trouble(void)
{
    static char text[PATH_MAX + 256];

    if (errno == EBADMSG)
        snprintf(text, sizeof(text),
                 "%s is damaged or of another version, so the bridge is not removed: remove labs0 "
                 "(ip link del labs0) and its rules (iptables-save | grep -e labs0 -e "
                 "CONTAINER-LABS), set net.ipv4.ip_forward as it was, then remove that file",
                 bridge_file());
    else
        snprintf(text, sizeof(text), "read %s: %s", bridge_file(), lab_strerror(errno));
    return text;
}

const char *bridge_network(const struct bridge *bridge)
{
    static char text[INET_ADDRSTRLEN + 4];
    char network[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &bridge->network, network, sizeof(network));
    snprintf(text, sizeof(text), "%s/%d", network, bridge->prefix);
    return text;
}

int bridge_write(const struct bridge *bridge)
{
    char text[BRIDGE_TEXT];

    snprintf(text, sizeof(text), "%s %s %d %u %u %u %u\n", bridge->boot, bridge_network(bridge),
             bridge->forwarded, bridge->others, bridge->missing, bridge->rules, bridge->last);
    return lab_record_write(bridge_file(), RECORD, text);
}

int bridge_forget(void)
{
    char fresh[PATH_MAX + 8];

    snprintf(fresh, sizeof(fresh), "%s.new", bridge_file());
    if (unlink(fresh) == -1 && errno != ENOENT) /* left by kill -9 */
        return -1;
    return unlink(bridge_file()) == -1 && errno != ENOENT ? -1 : 0;
}
