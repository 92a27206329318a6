/* Published ports at ::1, for network.h. */
#include "network.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "report.h"

enum { MAXIMUM_CONNECTIONS = 256, WAITING = 128, QUIET = 60 /* seconds */ };
enum { LACK_OF_MEMORY = 10000 /* microseconds, and perhaps there is some again */ };

static pid_t relay; /* 0: none */

/* What goes from one side of a connection to the other. */
struct way {
    int from, to;
    bool ended; /* FROM sends no more */
    bool cut;   /* and this is not in order: it was reset */
    char bytes[16384], *next;
    size_t length; /* of what was read, from NEXT on, and not yet sent */
};

/* Whether closing SOCKET is a reset. It is, unless both sides have ended in order: a side must not
 * take a part for the whole because the other one is gone, or this process was killed. Returns 0,
 * or -1 with errno. SO_LINGER in socket(7) */
static int close_is_reset(int socket, bool reset)
{
    const struct linger linger = {.l_onoff = reset};

    return setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static bool wants_input(const struct way *way)
{
    return !way->ended && way->length == 0;
}

/* What is wanted of the side that IN comes from and OUT goes to. */
static short wanted(const struct way *in, const struct way *out)
{
    return (short)((wants_input(in) ? POLLIN : 0) | (out->length > 0 ? POLLOUT : 0));
}

/* Read what has come, and hand on that FROM has ended. Returns false if a side is gone. */
static bool read_some(struct way *way)
{
    const ssize_t length = recv(way->from, way->bytes, sizeof(way->bytes), MSG_DONTWAIT);

    if (length == -1)
        return errno == EAGAIN;
    way->next = way->bytes;
    way->length = (size_t)length;
    way->ended = length == 0;
    return !way->ended || way->cut || shutdown(way->to, SHUT_WR) == 0;
}

/* Send what TO has room for. Returns false if it is gone. */
static bool send_some(struct way *way)
{
    const ssize_t length = send(way->to, way->next, way->length, MSG_DONTWAIT);

    if (length == -1 && errno == EAGAIN) {
        usleep(LACK_OF_MEMORY);
        return true;
    }
    if (length == -1)
        return false;
    way->next += length;
    way->length -= (size_t)length;
    return true;
}

/* Go on in both ways, after poll(2) has said SAYS of the client and of the server. Returns false
 * where a side is gone and the other one has all that it said. */
static bool go_on(struct way *up, struct way *down, const short says[2])
{
    const short client = says[0], server = says[1];

    if (down->length > 0 ? (client & ~POLLIN) && !send_some(down)
                         : wants_input(down) && (server & ~POLLOUT) && !read_some(down))
        return false;
    if (wants_input(up))
        return !(client & ~POLLOUT) || read_some(up);
    if (up->length > 0 && (server & ~POLLIN) && !send_some(up)) {
        /* What the server has said before may be an answer. */
        up->ended = down->cut = true;
        up->length = 0;
    }
    return true;
}

/* Copy both ways until both sides have ended what they send. Returns false where one is gone
 * before, or the server has read nothing for a minute of what a client has left. */
static bool copy(int client, int server)
{
    struct way up = {.from = client, .to = server}, down = {.from = server, .to = client};
    bool left = false; /* the client sends no more, and gets no more */

    while (!up.ended || up.length > 0 || !down.ended || down.length > 0) {
        struct pollfd sides[] = {{client, wanted(&up, &down), 0}, {server, wanted(&down, &up), 0}};
        const bool idle[] = {sides[0].events == 0, sides[1].events == 0};

        /* A side that nothing is wanted of is asked whether it is there yet: not a client that has
         * left, which poll(2) would say each time, nor a server whose words wait for the client. */
        left = left && idle[0];
        if (left)
            sides[0].fd = -1;
        if (idle[1] && down.length > 0)
            sides[1].fd = -1;
        if (TEMP_FAILURE_RETRY(poll(sides, 2, left ? QUIET * 1000 : -1)) <= 0 ||
            (idle[0] && (sides[0].revents & POLLERR)) || (idle[1] && sides[1].revents))
            return false;
        left = idle[0] && (left || sides[0].revents);
        if (!go_on(&up, &down, (short[]){sides[0].revents, sides[1].revents}))
            return false;
    }
    return !down.cut;
}

/* Let the kernel ask the other side whether it is still there, when nothing has come for a minute.
 * A socket that its process has closed is answered with a reset by then (tcp_fin_timeout, 60 s).
 * Returns 0, or -1 with errno. tcp(7) */
static int keep_alive(int socket)
{
    static const int names[] = {TCP_KEEPIDLE, TCP_KEEPINTVL};
    int result = setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));

    for (int i = 0; i < LAB_COUNT(names) && result == 0; i++)
        result = setsockopt(socket, IPPROTO_TCP, names[i], &(int){QUIET}, sizeof(int));
    return result;
}

/* Serve one CONNECTION. */
__attribute__((noreturn)) static void serve(int connection, const struct sockaddr_in *target)
{
    lab_fd inside = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (inside == -1 || keep_alive(connection) == -1 || keep_alive(inside) == -1 ||
        close_is_reset(inside, true) == -1 ||
        connect(inside, (const void *)target, sizeof(*target)) == -1 || !copy(connection, inside) ||
        close_is_reset(connection, false) == -1 || close_is_reset(inside, false) == -1)
        _exit(STATUS_RUNTIME);
    _exit(EXIT_SUCCESS);
}

/* Accept what comes, for ever. */
__attribute__((noreturn)) static void accept_connections(struct pollfd listeners[], int count,
                                                         const struct sockaddr_in targets[])
{
    int connections = 0;

    for (;;) {
        while (connections > 0 && waitpid(-1, NULL, WNOHANG) > 0)
            connections--;
        if (poll(listeners, (nfds_t)count, -1) == -1) {
            usleep(LACK_OF_MEMORY);
            continue;
        }
        for (int i = 0; i < count; i++) {
            if (listeners[i].revents == 0)
                continue;
            int connection = accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC);
            if (connection == -1) {
                usleep(LACK_OF_MEMORY);
                continue;
            }
            /* One too many ends at once: its client need not wait for others. */
            pid_t child =
                close_is_reset(connection, true) == -1 || connections == MAXIMUM_CONNECTIONS
                    ? -1
                    : lab_fork();
            if (child == 0)
                serve(connection, &targets[i]);
            connections += child > 0;
            lab_close_fd(&connection);
        }
    }
}

/* Listen at ::1. Returns the socket, or -1 where this machine has no such address. */
static int listen_locally(uint16_t port)
{
    const struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    lab_fd listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (listener == -1 && errno == EAFNOSUPPORT)
        return -1;
    if (listener == -1 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("make a socket for port %u of ::1", port);
    if (bind(listener, (const void *)&address, sizeof(address)) == 0 &&
        listen(listener, WAITING) == 0)
        return lab_take_fd(&listener);
    if (errno == EADDRINUSE)
        give_up("port %u/tcp is in use on this machine, at ::1", port);
    if (errno != EADDRNOTAVAIL)
        fail("listen on port %u of ::1", port);
    return -1;
}

/* Close all descriptors but the listeners, whose numbers ascend: locks, and pipes whose readers
 * wait for their end. */
static void keep_listeners(const struct pollfd listeners[], int count)
{
    unsigned next = 0;

    for (int i = 0; i < count; i++) {
        const unsigned fd = (unsigned)listeners[i].fd;
        if (fd > next)
            close_range(next, fd - 1, 0);
        next = fd + 1;
    }
    close_range(next, ~0U, 0);
}

void relay_start(const struct container *container)
{
    struct pollfd listeners[MAXIMUM_ITEMS];
    struct sockaddr_in targets[MAXIMUM_ITEMS];
    int count = 0;

    for (int i = 0; i < container->spec.port_count; i++) {
        const struct port *port = &container->spec.ports[i];
        int listener = port->udp ? -1 : listen_locally(port->outside);
        if (listener == -1)
            continue;
        listeners[count] = (struct pollfd){.fd = listener, .events = POLLIN};
        targets[count++] = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(port->inside), .sin_addr = container->address};
    }
    if (count == 0)
        return;
    pid_t child = must(lab_fork(), "fork for the ports at ::1");
    if (child == 0) {
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_DFL);
        keep_listeners(listeners, count);
        accept_connections(listeners, count, targets);
    }
    relay = child;
    while (count > 0)
        close(listeners[--count].fd);
}

void relay_end(void)
{
    if (relay == 0)
        return;
    if (kill(relay, SIGKILL) == -1) /* it dies with us, then */
        lab_warn_errno("end the process for the ports at ::1");
    else if (lab_wait(relay) != 128 + SIGKILL)
        lab_warn("the process for the ports at ::1 had ended before its container");
    relay = 0;
}
