#include "specification.h"

#include <sched.h>
#include <string.h>

static const char *const WALLS[] = {"pid",        "ipc",     "uts",         "cgroup",
                                    "pivot",      "masks",   "read-only",   "nodev",
                                    "privileges", "seccomp", "descriptors", "binary"};

enum { WALL_COUNT = sizeof(WALLS) / sizeof(WALLS[0]) };

const char *wall_name(unsigned wall)
{
    for (unsigned i = 0; i < WALL_COUNT; i++)
        if (wall == 1U << i)
            return WALLS[i];
    return NULL;
}

unsigned wall_named(const char *name)
{
    for (unsigned i = 0; i < WALL_COUNT; i++)
        if (strcmp(name, WALLS[i]) == 0)
            return 1U << i;
    return 0;
}

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

bool is_container_name(const char *name)
{
    const size_t length = strlen(name);

    return length > 0 && length < NAME_SIZE && strspn(name, ALPHANUMERIC) > 0 &&
           strspn(name, ALPHANUMERIC "-_.") == length;
}

uint64_t namespaces_of(const struct specification *spec)
{
    uint64_t flags = CLONE_NEWNS;

    flags |= spec->without & WALL_PID ? 0 : CLONE_NEWPID;
    flags |= spec->without & WALL_IPC ? 0 : CLONE_NEWIPC;
    flags |= spec->without & WALL_UTS ? 0 : CLONE_NEWUTS;
    flags |= spec->network == NETWORK_HOST ? 0 : CLONE_NEWNET;
    flags |= spec->own_users ? CLONE_NEWUSER : 0;
    return flags;
}

bool publishes_udp(const struct specification *spec)
{
    for (int i = 0; i < spec->port_count; i++)
        if (spec->ports[i].udp)
            return true;
    return false;
}
