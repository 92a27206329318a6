/*
 * 08_nat - publish a port: what docker run -p does.
 *
 *     08_nat forward                        let the machine hand packets from network to network
 *     08_nat masquerade SUBNET BRIDGE       the way out: what comes from SUBNET gets our address
 *     08_nat publish PORT IPV4:PORT         the way in: what comes for our PORT goes to another
 *     08_nat serve PORT                     answer one client with the address that one sees of it
 *
 * forward, masquerade and publish change the network namespace that one is in, for as long as it
 * lives; iptables(8) does it for us. serve shows what a server gets to see of all that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exercise.h"

/* Run a command, and end where it fails. */
static void run(char *const argv[])
{
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0)
        lab_exec(argv);
    int status = lab_wait(child);
    if (status != 0)
        lab_exit(EXIT_FAILURE, "%s: status %d", argv[0], status);
}

static void forward(void)
{
    // BEGIN SOLUTION 8.1 switch forwarding on, and let the packets pass the chain FORWARD
    if (lab_write_file("/proc/sys/net/ipv4/ip_forward", "1") == -1)
        lab_die("switch forwarding on");
    run((char *[]){"iptables", "-P", "FORWARD", "ACCEPT", NULL});
    // END SOLUTION
}

static void masquerade(char *subnet, char *bridge)
{
    // BEGIN SOLUTION 8.2 MASQUERADE what comes from the subnet and does not go to the bridge
    /* The source address is chosen when it is known by which device the packet leaves. */
    run((char *[]){"iptables", "-t", "nat", "-A", "POSTROUTING", "-s", subnet, "!", "-o", bridge,
                   "-j", "MASQUERADE", NULL});
    // END SOLUTION
}

static void publish(char *port, char *destination)
{
    // BEGIN SOLUTION 8.3 DNAT what comes for the port, before the way is chosen
    run((char *[]){"iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-m", "addrtype",
                   "--dst-type", "LOCAL", "--dport", port, "-j", "DNAT", "--to-destination",
                   destination, NULL});
    // END SOLUTION
}

/* Wait for a client at PORT, of any address of ours. Returns the connection. */
static int wait_for_client(long long port, struct sockaddr_in *client)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    lab_fd listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connection = -1;

    if (listening == -1 ||
        setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1 ||
        bind(listening, (struct sockaddr *)&here, sizeof(here)) == -1 || listen(listening, 1) == -1)
        lab_die("listen at port %lld", port);
    puts("listening");
    fflush(stdout);
    // BEGIN SOLUTION 8.4 accept a client, and learn its address
    socklen_t size = sizeof(*client);

    connection = accept(listening, (struct sockaddr *)client, &size);
    if (connection == -1)
        lab_die("accept");
    // END SOLUTION
    return connection;
}

static void serve(long long port)
{
    struct sockaddr_in client = {0};
    char address[INET_ADDRSTRLEN];

    lab_fd connection = wait_for_client(port, &client);
    if (!inet_ntop(AF_INET, &client.sin_addr, address, sizeof(address)))
        lab_die("inet_ntop");
    printf("client %s\n", address);
    if (dprintf(connection, "you are %s\n", address) < 0)
        lab_die("answer %s", address);
}

int main(int argc, char *argv[])
{
    const char *verb = argc > 1 ? argv[1] : "";
    long long port;

    if (argc == 2 && strcmp(verb, "forward") == 0)
        forward();
    else if (argc == 4 && strcmp(verb, "masquerade") == 0)
        masquerade(argv[2], argv[3]);
    else if (argc == 4 && strcmp(verb, "publish") == 0 &&
             lab_parse_number(argv[2], 1, 65535, &port))
        publish(argv[2], argv[3]);
    else if (argc == 3 && strcmp(verb, "serve") == 0 && lab_parse_number(argv[2], 1, 65535, &port))
        serve(port);
    else
        lab_exit(EXIT_USAGE, "usage: forward | masquerade SUBNET BRIDGE | "
                             "publish PORT IPV4:PORT | serve PORT");
    return EXIT_SUCCESS;
}
