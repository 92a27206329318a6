#include <fcntl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "file.h"
#include "host.h"
#include "lab.h"
#include "run.h"

/* A tmpfs on /run itself, because a mount needs a directory to lie on, and /run/netns may not be
 * there: made on the host, it would stay. The run's directory is bound to its name again, by way of
 * a descriptor, since the name is hidden from here on. */
static void own_run(void)
{
    char here_path[64], directory[PATH_MAX];
    lab_fd here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    snprintf(here_path, sizeof(here_path), "/proc/self/fd/%d", here);
    if (!getcwd(directory, sizeof(directory)))
        lab_die("getcwd");
    if (here == -1 || mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == -1)
        lab_die("mount tmpfs on /run");
    lab_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    lab_fd place = root == -1 ? -1 : lab_make_directory_in(root, directory);
    if (place == -1 || mount(here_path, directory, NULL, MS_BIND, NULL) == -1 ||
        chdir(directory) == -1)
        lab_die("bind %s to its name again", directory);
}

void lab_set_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    lab_fd any_socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (any_socket == -1 || ioctl(any_socket, SIOCSIFFLAGS, &request) == -1)
        lab_cannot_begin("bring lo up");
}

void lab_own_network(void)
{
    if (unshare(CLONE_NEWNET) == -1)
        lab_cannot_begin("unshare CLONE_NEWNET");
    own_run();
    /* A sysfs shows the devices of the namespace in which it was mounted. It hides the mounts below
     * the old one: those of the control groups are shown again. */
    lab_fd groups = (int)syscall(SYS_open_tree, AT_FDCWD, "/sys/fs/cgroup",
                                 OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC);
    if (groups == -1 && errno != ENOENT)
        lab_die("open the tree /sys/fs/cgroup");
    if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
        lab_die("mount sysfs on /sys");
    if (groups != -1 && syscall(SYS_move_mount, groups, "", AT_FDCWD, "/sys/fs/cgroup",
                                MOVE_MOUNT_F_EMPTY_PATH) == -1)
        lab_die("move the tree of control groups to /sys/fs/cgroup");
    lab_set_up_loopback();
}

enum { OPERSTATE_UP = 6 }; /* IF_OPER_UP of linux/if.h, which not every C library lets in */

/* Whether MESSAGE, LENGTH bytes, says of the device INDEX that its operstate is "up". */
static bool says_up(const struct nlmsghdr *message, ssize_t length, int index)
{
    for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
        const struct ifinfomsg *link = NLMSG_DATA(message);
        if (message->nlmsg_type != RTM_NEWLINK || link->ifi_index != index)
            continue;
        long left = (long)IFLA_PAYLOAD(message);
        for (const struct rtattr *part = IFLA_RTA(link); RTA_OK(part, left);
             part = RTA_NEXT(part, left))
            if (part->rta_type == IFLA_OPERSTATE)
                return *(const unsigned char *)RTA_DATA(part) == OPERSTATE_UP;
    }
    return false;
}

/* The kernel brings a device to operstate "up" a moment after it was set up, when its link watch
 * has run. On a busy machine that takes seconds: at most 10. rtnetlink(7), RTMGRP_LINK. */
void lab_wait_for_link(const char *device)
{
    _Alignas(struct nlmsghdr) char message[8192];
    const int index = (int)lab_link_index(device);
    struct sockaddr_nl link_events = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    lab_fd netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct pollfd wanted = {.fd = netlink, .events = POLLIN};
    const struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } question = {{sizeof(question), RTM_GETLINK, NLM_F_REQUEST, 0, 0}, {.ifi_index = index}};

    /* Listen first, ask then: a change between the two is not missed. */
    if (index == 0 || netlink == -1 ||
        bind(netlink, (void *)&link_events, sizeof(link_events)) == -1 ||
        send(netlink, &question, sizeof(question), 0) == -1)
        lab_die("ask for the state of %s", device);
    while (lab_must(poll(&wanted, 1, 10000)) == 1)
        if (says_up((void *)message, lab_must(recv(netlink, message, sizeof(message), 0)), index))
            return;
}
