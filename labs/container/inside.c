#include "inside.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>

#include "host.h"
#include "mounts.h"
#include "namespace.h"
#include "network.h"
#include "privileges.h"
#include "report.h"
#include "signals.h"
#include "unprivileged.h"

/* The mounts, which may come while something else is waited for. */
static int mount_fds[MAXIMUM_FDS], mount_count;

/* Wait for the runtime. */
static void receive(enum message_kind kind)
{
    struct message message;

    while (kind != MESSAGE_MOUNTS || mount_count == 0) {
        int fds[MAXIMUM_FDS], count = MAXIMUM_FDS;
        int result =
            must(receive_message(report_socket, &message, fds, &count), "receive from the runtime");
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
    static const int HANDLED[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD};

    report_socket = socket;
    die_with_runtime();
    for (int i = 0; i < LAB_COUNT(HANDLED); i++)
        signal(HANDLED[i], SIG_DFL);
    let_signals_through();
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
        give_up("%d mounts came, not %d", mount_count, count);
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
    /* Connections that wait for accept(2) are memory that no control group counts, 3 KiB each. */
    mounts_set(own, "net/core/somaxconn", "128");
    if (spec->network == NETWORK_NONE)
        return;
    /* For eth0, whether it is here already or comes in a moment. */
    mounts_set(own, "net/ipv6/conf/default/disable_ipv6", "1");
    mounts_set(own, "net/ipv6/conf/eth0/disable_ipv6", "1");
}

/* What /etc/resolv.conf and /etc/hosts will contain; "": those of the root file system stay. */
struct name_files {
    char servers[LAB_RESOLVER_SIZE], hosts[256];
};

/* Whether a volume is shown at /etc/resolv.conf. */
static bool has_own_servers(const struct specification *spec)
{
    for (int i = 0; i < spec->volume_count; i++)
        if (strcmp(spec->volumes[i].target, "/etc/resolv.conf") == 0)
            return true;
    return false;
}

/* What a container on a bridge cannot reach is left out of the machine's own file. */
static void read_servers(struct name_files *names, const struct specification *spec)
{
    char text[sizeof(names->servers) - 1], *rest = NULL; /* room for a last newline */
    char *end = names->servers;
    bool out_of_reach;
    const char *file = lab_host_resolver_file(&out_of_reach);
    const bool reaches_all = !file && spec->network == NETWORK_HOST;

    if (!file && errno != 0)
        fail("read the name servers of this machine");
    if (reaches_all)
        file = "/etc/resolv.conf";
    else if (!file && out_of_reach && !has_own_servers(spec))
        lab_warn("the name servers in /etc/resolv.conf are at loopback addresses or ones of IPv6, "
                 "which the container does not reach; give it others: -v FILE:/etc/resolv.conf");
    if (!file)
        return;
    if (lab_read_file(file, text, sizeof(text)) == -1) {
        if (errno != ENOENT) /* a host without name servers has a network all the same */
            fail("read %s", file);
        return;
    }
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (reaches_all || lab_host_server_in(line) != LAB_SERVER_OUT_OF_REACH)
            end = stpcpy(stpcpy(end, line), "\n");
}

/* With the machine's root: read its name servers, and prepare both files for CONTAINER. */
static void read_names(struct name_files *names, const struct container *container)
{
    names->servers[0] = names->hosts[0] = '\0';
    if (container->spec.network == NETWORK_NONE)
        return;
    read_servers(names, &container->spec);
    if (container->address.s_addr == 0)
        return;
    snprintf(names->hosts, sizeof(names->hosts), "127.0.0.1\tlocalhost\n%s\t%s\n",
             inet_ntoa(container->address), container->spec.hostname);
}

/* Replace the file NAME in ETC. The one of the root file system may be a link to /proc, a pipe, or
 * a dangling link, so it is removed and not written to. (CVE-2025-52881) */
static void write_name_file(int etc, const char *name, const char *text)
{
    if (!*text)
        return;
    if (unlinkat(etc, name, 0) == -1 && errno != ENOENT)
        fail("replace /etc/%s in the container", name);
    lab_fd file = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file == -1 || lab_write_once(file, text) == -1)
        fail("write /etc/%s in the container", name);
}

/* With the container's root: write the files. */
static void write_names(const struct name_files *names)
{
    lab_fd root = must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /");

    if (!*names->servers && !*names->hosts)
        return;
    if (mkdirat(root, "etc", 0755) == -1 && errno != EEXIST)
        fail("make /etc in the container");
    lab_fd etc = must(lab_openat2(root, "etc", O_PATH | O_DIRECTORY, 0,
                                  RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV),
                      "open /etc in the container");
    write_name_file(etc, "resolv.conf", names->servers);
    write_name_file(etc, "hosts", names->hosts);
}

void become_container(const struct inside *inside)
{
    const struct container *container = inside->container;
    const struct specification *spec = &container->spec;
    struct command command = inside->command;
    struct pseudo_mounts own;
    struct mounts mounts = {0};
    struct name_files names;

    set_up_child(command.ends.socket, spec->own_users);
    enter_limits(inside);
    mounts_make_pseudo(&own, spec, inside->limits->directory != -1);
    set_names(inside);
    must(lab_leave_keyring(), "make a session keyring");
    set_network(inside, &own);
    mounts_mask(&own, spec);
    limit_bounding_set(spec->capabilities);
    take_mounts(spec, &mounts);
    network_set_up_eth0(container);
    read_names(&names, container);
    mounts_pivot(&mounts, &own, container);
    write_names(&names);
    mounts_attach(&mounts, &own, spec);
    if (spec->terminal)
        command.terminals = own.terminals;
    become_command(&command);
}
