#include "inside.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "mounts.h"
#include "network.h"
#include "privileges.h"
#include "report.h"
#include "resolver.h"
#include "unprivileged.h"

/* The mounts, which may come while something else is waited for. */
static int mount_fds[MAXIMUM_FDS], mount_count;

/* Wait for the runtime. */
static void receive(enum message_kind kind)
{
    struct message message;

    while (kind != MESSAGE_MOUNTS || mount_count == 0) {
        int fds[MAXIMUM_FDS], count = MAXIMUM_FDS;
        int result = receive_message(report_socket, &message, fds, &count);
        if (result == -1)
            fail("receive from the runtime");
        if (result == 0)
            _exit(STATUS_RUNTIME); /* it is gone */
        if (message.kind == MESSAGE_MOUNTS) {
            memcpy(mount_fds, fds, sizeof(fds));
            mount_count = count;
        }
        if (message.kind == kind)
            break;
    }
}

/* Until its maps are written, no ID is valid in a user namespace, not even that of root. */
static void become_namespace_root(void)
{
    receive(MESSAGE_GO);
    if (set_groups(0, NULL) == -1 || setresgid(0, 0, 0) == -1 || setresuid(0, 0, 0) == -1)
        fail("become root of the user namespace");
    die_with_runtime();
}

void set_up_child(int socket, bool own_users)
{
    static const int HANDLED[] = {SIGPIPE, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD};
    sigset_t none;

    report_socket = socket;
    die_with_runtime();
    for (size_t i = 0; i < sizeof(HANDLED) / sizeof(HANDLED[0]); i++)
        signal(HANDLED[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (own_users)
        become_namespace_root();
}

/* The cgroup namespace begins where its maker is at that moment: in the container's group. */
static void enter_limits(const struct inside *inside)
{
    limits_enter(inside->limits);
    if (!(inside->container->spec.without & WALL_CGROUP) && unshare(CLONE_NEWCGROUP) == -1)
        fail("unshare CLONE_NEWCGROUP");
}

const int *receive_mounts(int count)
{
    receive(MESSAGE_MOUNTS);
    if (mount_count != count)
        give_up(STATUS_RUNTIME, "%d mounts came, not %d", mount_count, count);
    return mount_fds;
}

static void take_mounts(const struct specification *spec, struct mounts *mounts)
{
    const int *fds = receive_mounts(2 + spec->volume_count);

    mounts->root = fds[0];
    mounts->device = fds[1];
    memcpy(mounts->volumes, fds + 2, sizeof(*fds) * (size_t)spec->volume_count);
}

static void set_names(const struct inside *inside)
{
    const struct specification *spec = &inside->container->spec;

    if (!(spec->without & WALL_UTS) && sethostname(spec->hostname, strlen(spec->hostname)) == -1)
        fail("sethostname '%s'", spec->hostname);
}

/* Ping sockets need no capability where the group of their maker is in this range. Groups that are
 * not in the user namespace cannot be in it. */
static void set_network(const struct inside *inside, const struct pseudo_mounts *own)
{
    const struct specification *spec = &inside->container->spec;
    char groups[32];

    if (spec->network == NETWORK_HOST)
        return;
    network_set_up_loopback();
    snprintf(groups, sizeof(groups), "0 %u", !spec->own_users ? INT_MAX : mapped_ids() - 1);
    mounts_set(own, "net/ipv4/ping_group_range", groups);
    if (spec->network == NETWORK_NONE)
        return;
    /* For eth0, whether it is here already or comes in a moment. */
    mounts_set(own, "net/ipv6/conf/default/disable_ipv6", "1");
    mounts_set(own, "net/ipv6/conf/eth0/disable_ipv6", "1");
}

void become_container(const struct inside *inside)
{
    const struct container *container = inside->container;
    const struct specification *spec = &container->spec;
    struct command command = inside->command;
    struct pseudo_mounts own;
    struct mounts mounts = {0};
    struct resolver names;

    set_up_child(command.ends.socket, spec->own_users);
    enter_limits(inside);
    mounts_make_pseudo(&own, spec, inside->limits->directory != -1);
    set_names(inside);
    leave_keyring();
    set_network(inside, &own);
    mounts_mask(&own, spec);
    limit_bounding_set(spec->capabilities);
    take_mounts(spec, &mounts);
    network_set_up_eth0(container);
    resolver_read(&names, container);
    mounts_pivot(&mounts, &own, container);
    resolver_write(&names);
    mounts_attach(&mounts, &own, spec);
    if (spec->terminal)
        command.terminals = own.terminals;
    become_command(&command);
}
