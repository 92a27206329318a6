#include "resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "host.h"
#include "report.h"

/* The machine's own name servers, but for those that listen on its lo alone: behind such a one,
 * systemd has the real ones. */
void resolver_read(struct resolver *names, const struct container *container)
{
    static const char *const FILES[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
    char text[sizeof(names->servers) - 1]; /* room for a last newline */
    char address[INET_ADDRSTRLEN];
    bool found = false;

    names->servers[0] = names->hosts[0] = '\0';
    if (container->spec.network == NETWORK_NONE)
        return;
    for (size_t i = 0; i < 2 && !found; i++) {
        char *rest = NULL;
        if (lab_read_file(FILES[i], text, sizeof(text)) == -1)
            continue;
        names->servers[0] = '\0';
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            enum lab_server server = lab_host_server_in(line);
            found |= server == LAB_SERVER_ELSEWHERE;
            if (server != LAB_SERVER_LOOPBACK)
                strcat(strcat(names->servers, line), "\n");
        }
    }
    if (container->address.s_addr == 0)
        return;
    inet_ntop(AF_INET, &container->address, address, sizeof(address));
    snprintf(names->hosts, sizeof(names->hosts), "127.0.0.1\tlocalhost\n%s\t%s\n", address,
             container->spec.hostname);
}

/* Replace the file NAME in ETC. The one of the root file system may be a link to /proc, a pipe, or
 * a dangling link, so it is removed and not written to. (CVE-2025-52881) */
static void write_name_file(int etc, const char *name, const char *text)
{
    if (!*text)
        return;
    if (unlinkat(etc, name, 0) == -1 && errno != ENOENT)
        fail("replace /etc/%s in the container", name);
    lab_fd file = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file == -1 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        fail("write /etc/%s in the container", name);
}

void resolver_write(const struct resolver *names)
{
    lab_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (!*names->servers && !*names->hosts)
        return;
    if (mkdirat(root, "etc", 0755) == -1 && errno != EEXIST)
        fail("make /etc in the container");
    lab_fd etc = lab_openat2(root, "etc", O_PATH | O_DIRECTORY, 0,
                             RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
    if (etc == -1)
        fail("open /etc in the container");
    write_name_file(etc, "resolv.conf", names->servers);
    write_name_file(etc, "hosts", names->hosts);
}
