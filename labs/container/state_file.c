/* The file `state` of a container, for state.h: "key=value", a line each, in the order of writing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "state_file.h"

enum { FILE_LIMIT = 1 << 20 };

/* A value may hold anything but NUL; the file is one of lines. */
static void put_text(FILE *to, const char *key, const char *value)
{
    if (!value)
        return;
    fprintf(to, "%s=", key);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", to);
        else if (*value == '\\')
            fputs("\\\\", to);
        else
            fputc(*value, to);
    }
    fputc('\n', to);
}

static void put_number(FILE *to, const char *key, long long value)
{
    fprintf(to, "%s=%lld\n", key, value);
}

static void put_lists(FILE *to, const struct specification *spec)
{
    char text[PATH_MAX];

    for (int i = 0; i < spec->environment_count; i++)
        put_text(to, "environment", spec->environment[i]);
    for (int i = 0; i < spec->volume_count; i++) {
        const struct volume *volume = &spec->volumes[i];
        snprintf(text, sizeof(text), "%s:%s%s", volume->source, volume->target,
                 volume->read_only ? ":ro" : "");
        put_text(to, "volume", text);
    }
    for (int i = 0; i < spec->tmpfs_count; i++)
        put_text(to, "tmpfs", spec->tmpfs[i]);
    for (int i = 0; i < spec->port_count; i++) {
        snprintf(text, sizeof(text), "%u:%u/%s", spec->ports[i].outside, spec->ports[i].inside,
                 spec->ports[i].udp ? "udp" : "tcp");
        put_text(to, "port", text);
    }
    for (int i = 0; spec->command[i]; i++)
        put_text(to, "command", spec->command[i]);
}

static void put_specification(FILE *to, const struct specification *spec)
{
    put_text(to, "hostname", spec->hostname);
    put_text(to, "root", spec->root);
    put_text(to, "layer", spec->layer);
    put_text(to, "directory", spec->directory);
    put_text(to, "user", spec->user);
    put_number(to, "remove", spec->remove);
    put_number(to, "init", spec->init);
    put_number(to, "read_only", spec->read_only);
    put_number(to, "own_users", spec->own_users);
    put_number(to, "network", spec->network);
    put_number(to, "cpu_quota", spec->cpu_quota);
    put_number(to, "cpu_shares", spec->cpu_shares);
    put_number(to, "memory", spec->memory);
    put_number(to, "pids", spec->pids);
    put_number(to, "capabilities", (long long)spec->capabilities);
    put_number(to, "without", spec->without);
    put_lists(to, spec);
}

int state_save(const struct container *container)
{
    char address[INET_ADDRSTRLEN];
    FILE *to = fopen(state_path(container, "state"), "we");

    if (!to)
        return -1;
    put_specification(to, &container->spec);
    put_number(to, "runtime", container->runtime);
    put_number(to, "runtime_began", (long long)container->runtime_began);
    put_number(to, "first_id", container->first_id);
    put_number(to, "began", container->began);
    inet_ntop(AF_INET, &container->address, address, sizeof(address));
    put_text(to, "address", address);
    /* There will be some more words, and what is not to be read is not to be written. */
    if (ftell(to) > FILE_LIMIT - 4096) {
        fclose(to);
        errno = E2BIG;
        return -1;
    }
    return fclose(to) == 0 ? 0 : -1;
}

/* By one write(2), so that whoever reads meanwhile finds all of it or nothing. A later line counts.
 */
int state_add(const struct container *container)
{
    const struct specification *spec = &container->spec;
    char text[512];
    lab_fd fd = open(state_path(container, "state"), O_WRONLY | O_APPEND | O_CLOEXEC);
    int length =
        snprintf(text, sizeof(text),
                 "pid=%d\npid_began=%llu\nown_users=%d\nfirst_id=%u\nended=%d\nstatus=%d\n"
                 "reason=%s\ncleared=%d\n",
                 (int)container->pid, container->pid_began, spec->own_users, container->first_id,
                 container->ended, container->status, container->reason, container->cleared);

    return fd != -1 && write(fd, text, (size_t)length) == length ? 0 : -1;
}

/*
 * Reading. The text stays in memory: the strings of the specification point into it.
 */

static void take_back(char *value)
{
    char *to = value;

    for (const char *from = value; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
            *to++ = *from;
            if (*from == 'n')
                to[-1] = '\n';
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static bool take_list(struct specification *spec, const char *key, char *value, int *commands)
{
    unsigned outside, inside;
    char protocol[8];

    if (strcmp(key, "environment") == 0 && spec->environment_count < MAXIMUM_ITEMS) {
        spec->environment[spec->environment_count++] = value;
    } else if (strcmp(key, "tmpfs") == 0 && spec->tmpfs_count < MAXIMUM_ITEMS) {
        spec->tmpfs[spec->tmpfs_count++] = value;
    } else if (strcmp(key, "volume") == 0 && spec->volume_count < MAXIMUM_VOLUMES) {
        struct volume *volume = &spec->volumes[spec->volume_count++];
        char *target = strchr(value, ':'), *option = target ? strchr(target + 1, ':') : NULL;
        if (target)
            *target++ = '\0';
        if (option)
            *option = '\0';
        *volume = (struct volume){value, target ? target : "", option != NULL};
    } else if (strcmp(key, "port") == 0 && spec->port_count < MAXIMUM_ITEMS &&
               sscanf(value, "%u:%u/%7s", &outside, &inside, protocol) == 3) {
        spec->ports[spec->port_count++] =
            (struct port){(uint16_t)outside, (uint16_t)inside, strcmp(protocol, "udp") == 0};
    } else if (strcmp(key, "command") == 0) {
        spec->command[(*commands)++] = value;
    } else {
        return false;
    }
    return true;
}

static bool take_text(struct container *container, const char *key, char *value)
{
    struct specification *spec = &container->spec;

    if (strcmp(key, "hostname") == 0)
        snprintf(spec->hostname, sizeof(spec->hostname), "%s", value);
    else if (strcmp(key, "root") == 0)
        spec->root = value;
    else if (strcmp(key, "layer") == 0)
        spec->layer = value;
    else if (strcmp(key, "directory") == 0)
        spec->directory = value;
    else if (strcmp(key, "user") == 0)
        spec->user = value;
    else if (strcmp(key, "reason") == 0)
        snprintf(container->reason, sizeof(container->reason), "%s", value);
    else if (strcmp(key, "address") == 0)
        inet_pton(AF_INET, value, &container->address);
    else
        return false;
    return true;
}

static void take_number(struct container *container, const char *key, long long value)
{
    struct specification *spec = &container->spec;
    const struct {
        const char *key;
        long long *to;
    } wide[] = {{"cpu_quota", &spec->cpu_quota},
                {"cpu_shares", &spec->cpu_shares},
                {"memory", &spec->memory},
                {"pids", &spec->pids},
                {"began", (long long *)&container->began},
                {"capabilities", (long long *)&spec->capabilities},
                {"pid_began", (long long *)&container->pid_began},
                {"runtime_began", (long long *)&container->runtime_began}};
    const struct {
        const char *key;
        int *to;
    } narrow[] = {{"pid", &container->pid},           {"runtime", &container->runtime},
                  {"status", &container->status},     {"first_id", (int *)&container->first_id},
                  {"network", (int *)&spec->network}, {"without", (int *)&spec->without}};
    const struct {
        const char *key;
        bool *to;
    } yes[] = {{"remove", &spec->remove},       {"init", &spec->init},
               {"read_only", &spec->read_only}, {"own_users", &spec->own_users},
               {"ended", &container->ended},    {"cleared", &container->cleared}};

    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        if (strcmp(key, wide[i].key) == 0)
            *wide[i].to = value;
    for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++)
        if (strcmp(key, narrow[i].key) == 0)
            *narrow[i].to = (int)value;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (strcmp(key, yes[i].key) == 0)
            *yes[i].to = value != 0;
}

int state_load(struct container *container, const char *name)
{
    int commands = 0;
    size_t lines = 1;
    lab_string text = malloc(FILE_LIMIT);

    memset(container, 0, sizeof(*container));
    container->lock = -1;
    snprintf(container->spec.name, sizeof(container->spec.name), "%s", name);
    snprintf(container->directory, sizeof(container->directory), "%s/%s", state_directory(), name);
    if (!text || lab_read_file(state_path(container, "state"), text, FILE_LIMIT) == -1)
        return -1;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    container->spec.command = calloc(lines + 1, sizeof(char *));
    char *rest = NULL;
    container->text = strdup(text);
    if (!container->spec.command || !container->text)
        return -1;
    for (char *line = strtok_r(container->text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        take_back(value);
        if (!take_list(&container->spec, line, value, &commands) &&
            !take_text(container, line, value))
            take_number(container, line, strtoll(value, NULL, 10));
    }
    return 0;
}
