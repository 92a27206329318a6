#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "change.h"
#include "command.h"
#include "error.h"
#include "file.h"
#include "forwarding.h"
#include "host.h"
#include "iptables.h"
#include "namespace.h"
#include "nft.h"
#include "notes.h"

static int look_for_link(const char *name, unsigned long long *index)
{
    *index = lab_link_index(name);
    return *index ? 1 : errno == ENODEV ? 0 : -1;
}

static int look_for_namespace(const char *name, unsigned long long *identity)
{
    char path[64];
    struct statfs system;

    snprintf(path, sizeof(path), "/run/netns/%s", name);
    /* ip(8) would unmount what a link leads to. */
    lab_fd there = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (there == -1)
        return errno == ENOENT ? 0 : -1;
    if (fstatfs(there, &system) == -1)
        return -1;
    /* An `ip netns` that was killed half-way leaves the file without its namespace. */
    if (system.f_type != NSFS_MAGIC)
        return 1;
    lab_fd here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (here == -1 || setns(there, CLONE_NEWNET) == -1)
        return -1;
    int result = lab_network_cookie(identity), error = errno;
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

/* How many rules other programs had is noted before forwarding: it stays as long as that does. */
static int keep_note(const char *count)
{
    (void)count;
    return 0;
}

/* Whether programs outside of these labs, such as Docker, rely on forwarding, because they have
 * made rules for it meanwhile: 1, 0, or -1 with errno. */
static int others_rely_on_it(void)
{
    const int last = lab_forwarding_goes_with("08");
    const char *before = lab_changes_thing("08", "rules", NULL);

    if (!before || last != 1)
        return last == -1 ? -1 : 0;
    const int rules = lab_iptables_needs_of_others();
    return rules == -1 ? -1 : rules > atoi(before);
}

/* It stays on while another lab uses it. */
static int stop_forwarding(const char *setting)
{
    unsigned missing;

    (void)setting;
    const int keep = others_rely_on_it();
    int left = keep == -1 ? -1 : lab_forwarding_leave("08", keep, &missing);
    if (keep == 1)
        lab_warn(
            "net.ipv4.ip_forward stays 1: other programs have made rules that need it since `up`");
    if (left == -1) { /* the record stays */
        lab_warn("%s", lab_forwarding_trouble());
        return -1;
    }
    lab_nft_delete_missing(missing);
    return !left;
}

/* iptables -C exits with 1 where the rule, or its chain, is not there, and says so; the legacy one
 * where it cannot tell, too. */
static int look_for_rule(const char *rule, unsigned long long *identity)
{
    LAB_OUTPUT output = {0};
    const char *deletes = strstr(rule, " -D ");

    (void)identity;
    int status =
        lab_command(&output, "%.*s -C %s", (int)(deletes - rule), rule, deletes + strlen(" -D "));
    if (status == 0)
        return 1;
    if (status == 1 && (strstr(output.text, ": Bad rule (") ||
                        strstr(output.text, ": No chain/target/match by that name")))
        return 0;
    lab_warn("%s -C: %.*s", rule, (int)strcspn(output.text, "\n"), output.text);
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
    {"forwarding", "net/ipv4/ip_forward=0", "sysctl -q -w", false, NULL, stop_forwarding},
    {"rules", "[0-9]{1,9}", "", false, NULL, keep_note},
    {"rule",
     "(/[!-~]*/)?iptables[a-z-]* -w -t (filter|nat) -D [A-Z-]+ [ -~]+ --comment "
     "container-labs:[0-9]{2}",
     "", false, look_for_rule, NULL},
    {"table", "filter|nat", "nft delete table ip", false, NULL, remove_empty},
    {"chain", "(filter|nat) [A-Z-]+", "nft delete chain ip", false, NULL, remove_empty},
    {0},
};
