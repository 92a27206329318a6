#include <fcntl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "file.h"
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

/* The kernel brings a device to operstate "up", IFF_RUNNING, a moment after it was set up, when its
 * link watch has run. On a busy machine that takes seconds: at most 10. rtnetlink(7), RTMGRP_LINK;
 * netdevice(7). */
void lab_wait_for_link(const char *device)
{
    char message[4096];
    struct ifreq link = {0};
    struct sockaddr_nl link_events = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    lab_fd netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct pollfd wanted = {.fd = netlink, .events = POLLIN};

    /* Listen first, look then: a change between the two is not missed. */
    if (netlink == -1 || bind(netlink, (void *)&link_events, sizeof(link_events)) == -1)
        lab_die("listen to events of links");
    snprintf(link.ifr_name, sizeof(link.ifr_name), "%s", device);
    do {
        if (ioctl(netlink, SIOCGIFFLAGS, &link) == -1)
            lab_die("ioctl SIOCGIFFLAGS of %s", device);
        if (link.ifr_flags & IFF_RUNNING)
            return;
    } while (lab_must(poll(&wanted, 1, 10000)) == 1 &&
             lab_must(recv(netlink, message, sizeof(message), 0)) > 0);
}
