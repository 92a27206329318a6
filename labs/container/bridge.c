#include "bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "container.h"
#include "file.h"

enum { BRIDGE_TEXT = 128 + 4096 };

const char *bridge_file(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/.network", state_directory());
    return path;
}

/* The name under which the file is written, before it is moved. */
static const char *fresh_file(void)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/.network.new", state_directory());
    return path;
}

void bridge_set_boot(struct bridge *bridge)
{
    char text[64] = "";

    lab_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
    snprintf(bridge->boot, sizeof(bridge->boot), "%.8s", text);
}

bool bridge_read(struct bridge *bridge)
{
    char text[BRIDGE_TEXT], network[32];
    struct bridge present = {0};

    if (lab_read_file(bridge_file(), text, sizeof(text)) == -1) {
        unlink(fresh_file()); /* left by kill -9 */
        return false;
    }
    const char *along = strchr(text, '\n');
    snprintf(bridge->along, sizeof(bridge->along), "%s", along ? along + 1 : "");
    bridge_set_boot(&present);
    if (sscanf(text, "%8s %31[0-9.]/%d %d %u %u %u %u", bridge->boot, network, &bridge->prefix,
               &bridge->forwarded, &bridge->others, &bridge->missing, &bridge->rules,
               &bridge->last) == 8 &&
        inet_pton(AF_INET, network, &bridge->network) == 1 &&
        strcmp(bridge->boot, present.boot) == 0)
        return true;
    unlink(bridge_file());
    return false;
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
    lab_fd fd = open(fresh_file(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    int length = snprintf(text, sizeof(text), "%s %s %d %u %u %u %u\n%s", bridge->boot,
                          bridge_network(bridge), bridge->forwarded, bridge->others,
                          bridge->missing, bridge->rules, bridge->last, bridge->along);
    if (fd != -1 && write(fd, text, (size_t)length) == length &&
        rename(fresh_file(), bridge_file()) == 0)
        return 0;
    int error = errno;
    unlink(fresh_file());
    errno = error;
    return -1;
}

void bridge_forget(void)
{
    unlink(bridge_file());
}
