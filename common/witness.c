#include "witness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "narrate.h"

void lab_enter_netns(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/run/netns/%s", name);
    lab_fd namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace == -1 || setns(namespace, CLONE_NEWNET) == -1)
        lab_die("enter the network namespace %s", name);
}

static struct sockaddr_in socket_address(const char *address, int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = inet_addr(address),
    };
}

/* Answer each datagram with the address that it came from, and report that. */
__attribute__((noreturn)) static void serve(int server, int report)
{
    struct sockaddr_in from;
    char question[16];

    for (;;) {
        struct lab_sighting sighting = {.error = 0};
        socklen_t size = sizeof(from);
        if (recvfrom(server, question, sizeof(question), 0, (void *)&from, &size) == -1)
            continue; /* an earlier answer was refused: not this one's matter */
        inet_ntop(AF_INET, &from.sin_addr, sighting.source, sizeof(sighting.source));
        if (sendto(server, sighting.source, strlen(sighting.source), 0, (void *)&from, size) == -1)
            sighting.error = errno;
        if (write(report, &sighting, sizeof(sighting)) == -1)
            _exit(EXIT_FAILURE);
    }
}

int lab_witness(const char *name, const char *address, int port)
{
    struct sockaddr_in here = socket_address(address, port);
    char ready;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        lab_die("pipe");
    lab_fd from = ends[0], to = ends[1];
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        lab_enter_netns(name);
        int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (server == -1 || bind(server, (void *)&here, sizeof(here)) == -1)
            lab_die("serve on %s port %d", address, port);
        if (write(to, "", 1) == 1) /* it can be asked now */
            serve(server, to);
        _exit(EXIT_FAILURE);
    }
    close(lab_take_fd(&to));
    if (read(from, &ready, 1) != 1)
        lab_exit(EXIT_FAILURE, "the server in %s did not start", name);
    return lab_take_fd(&from);
}

struct lab_sighting lab_witness_saw(int witness)
{
    struct lab_sighting sighting = {.source = "nobody"};
    struct pollfd report = {.fd = witness, .events = POLLIN};

    if (poll(&report, 1, 2000) == 1 &&
        read(witness, &sighting, sizeof(sighting)) != sizeof(sighting))
        lab_exit(EXIT_FAILURE, "the server has ended");
    return sighting;
}

struct question {
    const char *name, *address;
    int port, milliseconds;
    int own_port; /* another one each time: the kernel remembers what became of a packet between two
                     ports (conntrack), and does not ask new rules about the next one */
};

static int ask(void *argument)
{
    const struct question *question = argument;
    struct sockaddr_in there = socket_address(question->address, question->port);
    struct sockaddr_in here = socket_address("0.0.0.0", question->own_port);
    struct timeval patience = {
        .tv_sec = question->milliseconds / 1000,
        .tv_usec = question->milliseconds % 1000 * 1000L,
    };
    char answer[64] = "";

    lab_enter_netns(question->name);
    lab_fd client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (client == -1 ||
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1 ||
        bind(client, (void *)&here, sizeof(here)) == -1 ||
        connect(client, (void *)&there, sizeof(there)) == -1 || send(client, "who?", 4, 0) == -1 ||
        recv(client, answer, sizeof(answer) - 1, 0) == -1)
        return errno;
    fputs(answer, stdout);
    return 0;
}

int lab_witness_ask(struct lab_output *answer, const char *name, const char *address, int port,
                    int milliseconds)
{
    enum { FIRST_PORT = 40000 };
    static int asked;
    struct question question = {name, address, port, milliseconds, FIRST_PORT + asked++};

    lab_shell("echo who? | ip netns exec %s nc -u -w 1 %s %d", name, address, port);
    if (lab_listen(answer, ask, &question) == -1)
        lab_die("start a child");
    lab_fact("answer", "%s", answer->status ? lab_strerror(answer->status) : answer->text);
    return answer->status;
}

static FILE *tcpdump_said;

__attribute__((noreturn)) static void exec_tcpdump(int to, const char *name, const char *device,
                                                   const char *filter)
{
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    lab_enter_netns(name);
    alarm(2); /* goes on after exec: it ends although no packet may come */
    /* As root to its end: a process that changes its user is not killed with its parent any more.
     */
    lab_exec((char *[]){"tcpdump", "-Z", "root", "-l", "--immediate-mode", "-n", "-t", "-c", "1",
                        "-i", (char *)device, (char *)filter, NULL});
}

bool lab_tcpdump_begin(const char *name, const char *device, const char *filter)
{
    char line[256] = "";
    int ends[2];

    lab_shell("ip netns exec %s tcpdump -n -t -c 1 -i %s %s &", name, device, filter);
    if (!lab_find_command("tcpdump", NULL, 0))
        return false;
    if (pipe2(ends, O_CLOEXEC) == -1)
        lab_die("pipe");
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0)
        exec_tcpdump(ends[1], name, device, filter);
    close(ends[1]);
    tcpdump_said = fdopen(ends[0], "r");
    if (!tcpdump_said)
        lab_die("fdopen");
    while (!strstr(line, "listening on") && fgets(line, sizeof(line), tcpdump_said))
        continue;
    return true;
}

void lab_tcpdump_end(void)
{
    char line[256];

    if (fgets(line, sizeof(line), tcpdump_said))
        lab_quote(line);
    /* It ends by itself now. That takes the kernel a while (packet(7) sockets), and it is not worth
     * waiting for. */
    fclose(tcpdump_said);
}
