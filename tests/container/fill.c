/*
 * fill - inside a container: use memory of the kernel that no process has mapped.
 *
 *     fill ptys    open as many pseudo terminals as there are, 2000 at most; prints how many
 *     fill tcp     fill the buffers of 400 connections to itself; prints how many MiB they hold
 *     fill netlink fill the buffers of as many sockets as one process can have, 2000 at most; the
 * same
 *     fill timers  make as many timers as ten users can have, 2000 at most each; prints how many
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PTYS = 2000, CONNECTIONS = 400, SOCKETS = 2000, FILES = 4000, TIMERS = 2000 };

static int open_ptys(void)
{
    int count = 0;

    while (count < PTYS && open("/dev/ptmx", O_RDWR | O_NOCTTY) != -1)
        count++;
    return count;
}

static int fill_connections(void)
{
    static char block[1 << 16];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    long long bytes = 0;
    ssize_t count;

    if (bind(listener, (struct sockaddr *)&address, size) == -1 || listen(listener, 1) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &size) == -1)
        return -1;
    for (int i = 0; i < CONNECTIONS; i++) {
        int one = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(one, (struct sockaddr *)&address, size) == -1 ||
            accept(listener, NULL, NULL) == -1)
            return -1;
        while ((count = send(one, block, sizeof(block), MSG_DONTWAIT)) > 0)
            bytes += count;
    }
    return (int)(bytes >> 20);
}

/* Messages of sockets to themselves, which are not read. */
static int fill_sockets(struct sockaddr *self, socklen_t size, int type, int protocol)
{
    static char block[16384] = {sizeof(block) & 0xff,
                                sizeof(block) >> 8}; /* the length of nlmsghdr */
    long long bytes = 0;
    int one;

    for (int i = 0; i < SOCKETS; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof(address);
        unsigned memory[SK_MEMINFO_VARS] = {0};
        socklen_t room = sizeof(memory);
        if ((one = socket(self->sa_family, type, protocol)) == -1)
            break;
        if (bind(one, self, size) == -1 ||
            getsockname(one, (struct sockaddr *)&address, &length) == -1)
            return -1;
        /* UDP does not report that the buffer is full. */
        for (int sent = 0; sent < 64; sent++)
            sendto(one, block, sizeof(block), MSG_DONTWAIT, (struct sockaddr *)&address, length);
        if (getsockopt(one, SOL_SOCKET, SO_MEMINFO, memory, &room) == -1)
            return -1;
        bytes += memory[SK_MEMINFO_RMEM_ALLOC];
    }
    return (int)(bytes >> 20);
}

static int fill_netlink(void)
{
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};

    return fill_sockets((struct sockaddr *)&self, sizeof(self), SOCK_RAW, NETLINK_USERSOCK);
}

static int fill_udp(void)
{
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    return fill_sockets((struct sockaddr *)&self, sizeof(self), SOCK_DGRAM, 0);
}

/* The user alone is changed, so that root can become the next one. */
static int make_timers(void)
{
    int count = 0, timer;

    for (long user = 0; user < 10; user++) {
        if (syscall(SYS_setresuid, user, 0, 0) == -1)
            return -1;
        for (int i = 0; i < TIMERS && syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer) == 0;
             i++)
            count++;
    }
    return count;
}

int main(int argc, char *argv[])
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        return 1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){FILES, FILES}) == -1 &&
        setrlimit(RLIMIT_NOFILE, &files) == -1)
        return 1;
    const char *what = argc > 1 ? argv[1] : "ptys";
    printf("%d\n", strcmp(what, "tcp") == 0       ? fill_connections()
                   : strcmp(what, "udp") == 0     ? fill_udp()
                   : strcmp(what, "netlink") == 0 ? fill_netlink()
                   : strcmp(what, "timers") == 0  ? make_timers()
                                                  : open_ptys());
    return 0;
}
