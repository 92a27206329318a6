#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "nft.h"
#include "notes.h"

static int look_for_link(const char *name, unsigned long long *index)
{
    *index = if_nametoindex(name);
    return *index ? 1 : errno == ENODEV ? 0 : -1;
}

/* The cookie of our network namespace, a number that no other one is given until the machine starts
 * again: SO_NETNS_COOKIE, Linux 5.14. Returns 1, 0 where the kernel has none, -1 with errno. */
static int read_cookie(unsigned long long *cookie)
{
    uint64_t value;
    socklen_t size = sizeof(value);
    lab_fd any_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (any_socket == -1)
        return -1;
    if (getsockopt(any_socket, SOL_SOCKET, SO_NETNS_COOKIE, &value, &size) == -1)
        return errno == ENOPROTOOPT ? 0 : -1;
    *cookie = value;
    return 1;
}

/* Without a cookie its identity is the number of its inode, which may be given away again. */
static int look_for_namespace(const char *name, unsigned long long *identity)
{
    char path[64];
    struct stat status;
    struct statfs system;

    snprintf(path, sizeof(path), "/run/netns/%s", name);
    lab_fd there = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (there == -1)
        return errno == ENOENT ? 0 : -1;
    if (fstat(there, &status) == -1 || fstatfs(there, &system) == -1)
        return -1;
    /* An `ip netns` that was killed half-way leaves the file without its namespace. */
    if (system.f_type != NSFS_MAGIC)
        return 1;
    *identity = status.st_ino;
    lab_fd here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (here == -1 || setns(there, CLONE_NEWNET) == -1)
        return -1;
    int result = read_cookie(identity), error = errno;
    if (setns(here, CLONE_NEWNET) == -1)
        lab_die("setns back to our own network namespace");
    errno = error;
    return result == -1 ? -1 : 1;
}

static int look_for_path(const char *path, unsigned long long *identity)
{
    (void)identity;
    return lab_is_there(path);
}

static int look_for_sysctl(const char *setting, unsigned long long *identity)
{
    char path[160];

    (void)identity;
    snprintf(path, sizeof(path), "/proc/sys/%.*s", (int)strcspn(setting, "="), setting);
    return lab_is_there(path);
}

/* iptables -C exits with 1 where the rule is not there. */
static int look_for_rule(const char *rule, unsigned long long *identity)
{
    LAB_OUTPUT output = {0};
    const char *deletes = strstr(rule, " -D ");

    (void)identity;
    int status =
        lab_command(&output, "%.*s -C %s", (int)(deletes - rule), rule, deletes + strlen(" -D "));
    if (status <= 1)
        return status == 0;
    lab_warn("%s -C: %s", rule, output.text);
    errno = EIO;
    return -1;
}

/* The directory of `ip netns`, which is a mount on itself: with a namespace of others in it, it is
 * busy, and stays. */
static int remove_netns_directory(const char *path)
{
    if ((umount2(path, UMOUNT_NOFOLLOW) == 0 || errno == EINVAL) && rmdir(path) == 0)
        return 1;
    return errno == EBUSY || errno == ENOTEMPTY ? 0 : -1;
}

static int remove_directory(const char *path)
{
    return rmdir(path) == 0 ? 1 : errno == ENOTEMPTY ? 0 : -1;
}

/* A table of iptables-nft, or a chain in one. Unless it is empty others use it, and it stays. */
static int remove_empty(const char *thing)
{
    char table[32], chain[32];
    const int names = sscanf(thing, "%31s %31s", table, chain);
    const struct lab_nft_part part = {table, names == 2 ? chain : NULL};

    if (lab_nft_delete_empty(&part, 1) == 0)
        return 1;
    return errno == ENOENT || errno == EBUSY ? 0 : -1;
}

const struct lab_kind lab_kinds[] = {
    {"netns", "net[0-9]{1,3}", "ip netns del", true, look_for_namespace, NULL},
    {"link", "br0|veth[0-9]{1,3}", "ip link del", true, look_for_link, NULL},
    {"netns-directory", "/run/netns", "umount /run/netns && rmdir", false, look_for_path,
     remove_netns_directory},
    {"directory", "/etc/netns(/net[0-9]{1,3})?", "rmdir", false, look_for_path, remove_directory},
    {"file", "/etc/netns/net[0-9]{1,3}/resolv[.]conf", "rm", false, look_for_path, NULL},
    {"sysctl", "net/ipv4/(ip_forward|conf/[^/ ]+/(forwarding|accept_redirects))=[0-9]+",
     "sysctl -q -w", false, look_for_sysctl, NULL},
    {"rule",
     "(/[!-~]*/)?iptables[a-z-]* -w -t (filter|nat) -D [A-Z-]+ [ -~]+ --comment "
     "container-labs:[0-9]{2}",
     "", false, look_for_rule, NULL},
    {"table", "filter|nat", "nft delete table ip", false, NULL, remove_empty},
    {"chain", "(filter|nat) [A-Z-]+", "nft delete chain ip", false, NULL, remove_empty},
    {0},
};
