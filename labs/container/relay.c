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

/* Wait until there is something to read from FROM. Returns false where nobody can receive it: the
 * connection TO is closed or reset. */
static bool wait_to_copy(int from, int to)
{
    struct pollfd polled[] = {{.fd = from, .events = POLLIN}, {.fd = to}};

    return TEMP_FAILURE_RETRY(poll(polled, 2, -1)) > 0 &&
           !(polled[1].revents & (POLLERR | POLLHUP));
}

/* Send LENGTH bytes to TO. Returns false if they cannot be sent, or if CLIENT, which they come
 * from, is gone meanwhile (-1: it is not looked at): a server may never read. */
static bool send_all(int to, const char *bytes, size_t length, int client)
{
    struct pollfd polled[] = {{.fd = to, .events = POLLOUT}, {.fd = client}};
    int ready = 1, limit = -1;

    for (;;) {
        const ssize_t part = send(to, bytes, length, MSG_DONTWAIT);
        if (part == -1 && (errno != EAGAIN || ready == 0))
            return false;
        if (part == -1 && polled[0].revents & POLLOUT)
            usleep(LACK_OF_MEMORY);
        if (part > 0)
            bytes += part, length -= (size_t)part;
        if (length == 0)
            return true;
        ready = TEMP_FAILURE_RETRY(poll(polled, 2, limit));
        if (ready == -1 || (polled[0].revents | polled[1].revents) & POLLERR)
            return false;
        /* Client and server have both ended what they send. From now on poll(2) would return at
         * once each time, and keepalive no longer asks whether the client is there. */
        if (polled[1].revents & POLLHUP)
            polled[1].fd = -1, limit = QUIET * 1000;
    }
}

/* Copy until FROM ends, then end TO. CLIENT: FROM, where this is the client; else -1. */
static void copy(int from, int to, int client)
{
    char buffer[16384];

    while (wait_to_copy(from, to)) {
        const ssize_t length = read(from, buffer, sizeof(buffer));
        if (length <= 0) {
            shutdown(to, SHUT_WR);
            return;
        }
        if (!send_all(to, buffer, (size_t)length, client))
            break;
    }
    /* Of a client that is gone nothing more is sent. What a server has said yet may be an answer.
     */
    if (client == -1)
        shutdown(from, SHUT_RDWR);
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

/* Serve one CONNECTION, by a process for each direction: neither waits for the other. */
__attribute__((noreturn)) static void serve(int connection, const struct sockaddr_in *target)
{
    lab_fd inside = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (inside == -1 || keep_alive(connection) == -1 || keep_alive(inside) == -1 ||
        connect(inside, (const void *)target, sizeof(*target)) == -1)
        _exit(STATUS_RUNTIME);
    pid_t child = lab_fork();
    if (child == -1)
        _exit(STATUS_RUNTIME);
    if (child == 0)
        copy(inside, connection, -1);
    else
        copy(connection, inside, connection);
    _exit(child > 0 ? lab_wait(child) : 0);
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
            pid_t child = connections == MAXIMUM_CONNECTIONS ? -1 : lab_fork();
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
