/*
 * fill - inside a container: use memory of the kernel that no process has mapped.
 *
 *     fill ptys    open as many pseudo terminals as there are, 2000 at most; prints how many
 *     fill tcp     fill the buffers of 400 connections to itself; prints how many MiB they hold
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PTYS = 2000, CONNECTIONS = 400 };

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

int main(int argc, char *argv[])
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        return 1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) == -1)
        return 1;
    printf("%d\n", argc > 1 && strcmp(argv[1], "tcp") == 0 ? fill_connections() : open_ptys());
    return 0;
}
