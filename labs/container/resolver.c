#include "resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "host.h"
#include "report.h"

/* Whether a volume is shown at /etc/resolv.conf. */
static bool has_own_servers(const struct specification *spec)
{
    for (int i = 0; i < spec->volume_count; i++)
        if (strcmp(spec->volumes[i].target, "/etc/resolv.conf") == 0)
            return true;
    return false;
}

/* What a container on a bridge cannot reach is left out of the machine's own file. */
static void read_servers(struct resolver *names, const struct specification *spec)
{
    char text[sizeof(names->servers) - 1], *rest = NULL; /* room for a last newline */
    bool out_of_reach;
    const char *file = lab_host_resolver_file(&out_of_reach);
    const bool reaches_all = !file && spec->network == NETWORK_HOST;

    if (!file && errno != 0)
        fail("read the name servers of this machine");
    if (reaches_all)
        file = "/etc/resolv.conf";
    else if (!file && out_of_reach && !has_own_servers(spec))
        lab_warn("the name servers in /etc/resolv.conf are at loopback addresses or ones of IPv6, "
                 "which the container does not reach; give it others: -v FILE:/etc/resolv.conf");
    if (!file)
        return;
    if (lab_read_file(file, text, sizeof(text)) == -1) {
        if (errno != ENOENT) /* a host without name servers has a network all the same */
            fail("read %s", file);
        return;
    }
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (reaches_all || lab_host_server_in(line) != LAB_SERVER_OUT_OF_REACH)
            strcat(strcat(names->servers, line), "\n");
}

void resolver_read(struct resolver *names, const struct container *container)
{
    char address[INET_ADDRSTRLEN];

    names->servers[0] = names->hosts[0] = '\0';
    if (container->spec.network == NETWORK_NONE)
        return;
    read_servers(names, &container->spec);
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
