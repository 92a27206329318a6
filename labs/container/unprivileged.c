#include "unprivileged.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "error.h"
#include "file.h"
#include "ids.h"
#include "process.h"
#include "remove.h"
#include "report.h"
#include "rootless.h"

static bool unprivileged;

bool is_unprivileged(void)
{
    return unprivileged;
}

void begin_service(void)
{
    unprivileged = geteuid() != 0;
    if (unprivileged && getauxval(AT_SECURE)) /* PATH and the rest are the words of another user */
        give_up(STATUS_RUNTIME, "set-user-ID or set-group-ID it does nothing");
    check_state_directory(); /* of this user, and not of root inside */
}

/* Call EACH for the lines of MAP, in the form of /proc/self/uid_map, that lie below 65536: its
 * FIRST number and how many follow, itself included. */
static int read_map(const char *path, void (*each)(unsigned first, unsigned count, void *to),
                    void *to)
{
    char map[4096];
    unsigned first, count;

    if (lab_read_file(path, map, sizeof(map)) == -1)
        return -1;
    for (const char *line = map; line; line = lab_next_line(line))
        if (sscanf(line, "%u %*u %u", &first, &count) == 2 && first < IDS_PER_CONTAINER)
            each(first, count < IDS_PER_CONTAINER - first ? count : IDS_PER_CONTAINER - first, to);
    return 0;
}

static void write_line(unsigned first, unsigned count, void *to)
{
    fprintf(to, "%u %u %u\n", first, first, count);
}

int map_same_ids(pid_t pid)
{
    static const char *const KINDS[] = {"uid_map", "gid_map"};
    char path[64], own[64];

    for (int i = 0; i < 2; i++) {
        lab_string map = NULL;
        size_t size;
        FILE *to = open_memstream(&map, &size);
        if (!to)
            return -1;
        snprintf(own, sizeof(own), "/proc/self/%s", KINDS[i]);
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, KINDS[i]);
        int result = read_map(own, write_line, to);
        if (fclose(to) == EOF || result == -1 || lab_write_file(path, map) == -1)
            return -1;
    }
    return 0;
}

/* The lines of a map may come in any order, but newuidmap writes them as it was told. */
static void extend(unsigned first, unsigned count, void *end)
{
    if (first == *(unsigned *)end)
        *(unsigned *)end += count;
}

unsigned mapped_ids(void)
{
    unsigned users = 0, groups = 0;

    if (read_map("/proc/self/uid_map", extend, &users) == -1 ||
        read_map("/proc/self/gid_map", extend, &groups) == -1)
        lab_die("read /proc/self/uid_map");
    return users < groups ? users : groups;
}

int set_groups(size_t count, const gid_t *groups)
{
    return setgroups(count, groups) == 0 || (unprivileged && errno == EPERM) ? 0 : -1;
}

void check_ids(uid_t user, gid_t group)
{
    if (!unprivileged || (user < mapped_ids() && group < mapped_ids()))
        return;
    if (mapped_ids() == 1)
        give_up(STATUS_RUNTIME, "without root a container has user 0 and group 0 alone; more are "
                                "given by /etc/subuid and /etc/subgid, where newuidmap is there");
    give_up(STATUS_RUNTIME,
            "this container has the users and groups 0 to %u, as /etc/subuid and "
            "/etc/subgid give them",
            mapped_ids() - 1);
}

void adapt_to_user(struct specification *spec)
{
    struct stat status;

    if (!unprivileged)
        return;
    if (!spec->own_users)
        give_up(STATUS_RUNTIME, "--userns host needs root: root inside would be root outside");
    if (spec->address || spec->subnet)
        give_up(STATUS_RUNTIME, "--ip and --subnet need root, as the bridge does");
    if (spec->root && stat(spec->root, &status) == 0 && S_ISDIR(status.st_mode) &&
        status.st_uid != geteuid())
        lab_warn("'%s' belongs to user %u; in it, root inside can read, and change nothing",
                 spec->root, status.st_uid);
    if (spec->network == NETWORK_BRIDGE)
        choose_user_network(spec);
}

int remove_container_tree(int parent, const char *name)
{
    if (remove_tree(parent, name) == 0)
        return 0;
    if (!unprivileged || lab_rootless)
        return -1;
    pid_t child = lab_fork();
    if (child == 0) {
        lab_become_root();
        _exit(remove_tree(parent, name) == -1);
    }
    int status = child == -1 ? -1 : lab_wait(child);
    if (status > 0)
        errno = EACCES;
    return status == 0 ? 0 : -1;
}
