#include "state_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

enum { FILE_LIMIT = 1 << 20, ADDED_LIMIT = 4096 /* bytes */ };

/* What is kept of a container, but for the lists: key, type, where it is, and whether it is known
 * before the container runs or later. */
enum when { FIRST = 1, LATER = 2, BOTH = FIRST | LATER };
enum type { TYPE_STRING, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_WIDE };

#define FIELD(key, type, member, when)                                                             \
    {                                                                                              \
        key, offsetof(struct container, member), sizeof(((struct container *)NULL)->member), type, \
            when                                                                                   \
    }

static const struct field {
    const char *key;
    size_t offset, size;
    enum type type;
    enum when when;
} FIELDS[] = {
    FIELD("hostname", TYPE_ARRAY, spec.hostname, FIRST),
    FIELD("root", TYPE_STRING, spec.root, FIRST),
    FIELD("layer", TYPE_STRING, spec.layer, FIRST),
    FIELD("directory", TYPE_STRING, spec.directory, FIRST),
    FIELD("user", TYPE_STRING, spec.user, FIRST),
    FIELD("remove", TYPE_BOOL, spec.remove, FIRST),
    FIELD("init", TYPE_BOOL, spec.init, FIRST),
    FIELD("read_only", TYPE_BOOL, spec.read_only, FIRST),
    FIELD("network", TYPE_INT, spec.network, FIRST),
    FIELD("cpu_quota", TYPE_WIDE, spec.cpu_quota, FIRST),
    FIELD("cpu_shares", TYPE_WIDE, spec.cpu_shares, FIRST),
    FIELD("memory", TYPE_WIDE, spec.memory, FIRST),
    FIELD("pids", TYPE_WIDE, spec.pids, FIRST),
    FIELD("capabilities", TYPE_WIDE, spec.capabilities, FIRST),
    FIELD("without", TYPE_INT, spec.without, FIRST),
    FIELD("address", TYPE_INT, address, FIRST), /* as the number that it is */
    FIELD("runtime", TYPE_INT, runtime, FIRST),
    FIELD("runtime_name", TYPE_ARRAY, runtime_name, FIRST),
    FIELD("runtime_began", TYPE_WIDE, runtime_began, FIRST),
    FIELD("began", TYPE_WIDE, began, FIRST),
    FIELD("own_users", TYPE_BOOL, spec.own_users, BOTH),
    FIELD("first_id", TYPE_INT, first_id, BOTH),
    FIELD("pid", TYPE_INT, pid, LATER),
    FIELD("pid_began", TYPE_WIDE, pid_began, LATER),
    FIELD("ended", TYPE_BOOL, ended, LATER),
    FIELD("status", TYPE_INT, status, LATER),
    FIELD("reason", TYPE_ARRAY, reason, LATER),
    FIELD("cleared", TYPE_BOOL, cleared, LATER),
};

enum { FIELD_COUNT = sizeof(FIELDS) / sizeof(FIELDS[0]) };

/* A value may contain any byte but NUL, and the file consists of lines. */
static void put_text(FILE *to, const char *key, const char *value)
{
    fprintf(to, "%s=", key);
    for (; *value; value++)
        if (*value == '\n' || *value == '\\')
            fprintf(to, "\\%c", *value == '\n' ? 'n' : '\\');
        else
            fputc(*value, to);
    fputc('\n', to);
}

static void put_field(FILE *to, const struct field *field, const void *at)
{
    if (field->type == TYPE_BOOL)
        fprintf(to, "%s=%d\n", field->key, *(const bool *)at);
    else if (field->type == TYPE_INT)
        fprintf(to, "%s=%d\n", field->key, *(const int *)at);
    else if (field->type == TYPE_WIDE)
        fprintf(to, "%s=%lld\n", field->key, *(const long long *)at);
    else if (field->type == TYPE_ARRAY)
        put_text(to, field->key, at);
    else if (*(const char *const *)at)
        put_text(to, field->key, *(const char *const *)at);
}

static void put_fields(FILE *to, const struct container *container, enum when when)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (FIELDS[i].when & when)
            put_field(to, &FIELDS[i], (const char *)container + FIELDS[i].offset);
}

static void put_lists(FILE *to, const struct specification *spec)
{
    for (int i = 0; i < spec->environment_count; i++)
        put_text(to, "environment", spec->environment[i]);
    for (int i = 0; i < spec->volume_count; i++) {
        put_text(to, spec->volumes[i].read_only ? "volume_ro" : "volume", spec->volumes[i].source);
        put_text(to, "target", spec->volumes[i].target);
    }
    for (int i = 0; i < spec->tmpfs_count; i++)
        put_text(to, "tmpfs", spec->tmpfs[i]);
    for (int i = 0; i < spec->port_count; i++)
        fprintf(to, "port=%u:%u/%d\n", spec->ports[i].outside, spec->ports[i].inside,
                spec->ports[i].udp);
    for (int i = 0; spec->command[i]; i++)
        put_text(to, "command", spec->command[i]);
}

/* Write what is known, or what is known LATER, by one write(2): a reader finds all of it or
 * nothing. */
static int write_state(const struct container *container, bool later)
{
    lab_string text = NULL;
    size_t size = 0;
    lab_fd fd = open(state_path(container, "state"),
                     O_WRONLY | O_CLOEXEC | (later ? O_APPEND : O_CREAT | O_TRUNC), 0600);
    FILE *to = fd == -1 ? NULL : open_memstream(&text, &size);

    if (!to)
        return -1;
    put_fields(to, container, later ? LATER : FIRST);
    if (!later)
        put_lists(to, &container->spec);
    if (fclose(to) == EOF)
        return -1;
    if (!later && size > FILE_LIMIT - ADDED_LIMIT) { /* it could not be read again */
        errno = E2BIG;
        return -1;
    }
    return write(fd, text, size) == (ssize_t)size ? 0 : -1;
}

int state_save(const struct container *container)
{
    return write_state(container, false);
}

int state_add(const struct container *container)
{
    return write_state(container, true);
}

static void unescape(char *value)
{
    char *to = value;

    for (const char *from = value; *from; from++)
        if (*from == '\\' && from[1])
            *to++ = (char)(*++from == 'n' ? '\n' : *from);
        else
            *to++ = *from;
    *to = '\0';
}

/* Take the line KEY=VALUE where it is one of a list. */
static void take_list(struct specification *spec, const char *key, char *value, int *commands)
{
    unsigned outside, inside, udp;

    if (strcmp(key, "environment") == 0 && spec->environment_count < MAXIMUM_ITEMS)
        spec->environment[spec->environment_count++] = value;
    else if (strcmp(key, "tmpfs") == 0 && spec->tmpfs_count < MAXIMUM_ITEMS)
        spec->tmpfs[spec->tmpfs_count++] = value;
    else if (strncmp(key, "volume", 6) == 0 && spec->volume_count < MAXIMUM_VOLUMES)
        spec->volumes[spec->volume_count++] = (struct volume){value, "", key[6] == '_'};
    else if (strcmp(key, "target") == 0 && spec->volume_count > 0)
        spec->volumes[spec->volume_count - 1].target = value;
    else if (strcmp(key, "port") == 0 && spec->port_count < MAXIMUM_ITEMS &&
             sscanf(value, "%u:%u/%u", &outside, &inside, &udp) == 3)
        spec->ports[spec->port_count++] =
            (struct port){(uint16_t)outside, (uint16_t)inside, udp != 0};
    else if (strcmp(key, "command") == 0)
        spec->command[(*commands)++] = value;
}

/* Take the line KEY=VALUE where it is one of FIELDS. The string stays in memory. */
static bool take_field(struct container *container, const char *key, char *value)
{
    const struct field *field = FIELDS;

    while (field < FIELDS + FIELD_COUNT && strcmp(field->key, key) != 0)
        field++;
    if (field == FIELDS + FIELD_COUNT)
        return false;
    char *at = (char *)container + field->offset;
    const long long number = strtoll(value, NULL, 10);
    if (field->type == TYPE_STRING)
        *(char **)at = value;
    else if (field->type == TYPE_ARRAY)
        snprintf(at, field->size, "%s", value);
    else if (field->type == TYPE_BOOL)
        *(bool *)at = number != 0;
    else if (field->type == TYPE_INT)
        *(int *)at = (int)number;
    else
        *(long long *)at = number;
    return true;
}

int state_load(struct container *container, const char *name)
{
    int commands = 0;
    size_t lines = 1;
    lab_string text = malloc(FILE_LIMIT);
    char *rest = NULL;

    memset(container, 0, sizeof(*container));
    container->lock = -1;
    snprintf(container->spec.name, sizeof(container->spec.name), "%s", name);
    snprintf(container->directory, sizeof(container->directory), "%s/%s", state_directory(), name);
    if (!text || lab_read_file(state_path(container, "state"), text, FILE_LIMIT) == -1)
        return -1;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    container->spec.command = calloc(lines + 1, sizeof(char *));
    container->text = strdup(text);
    if (!container->spec.command || !container->text)
        return -1;
    for (char *line = strtok_r(container->text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        unescape(value);
        if (!take_field(container, line, value))
            take_list(&container->spec, line, value, &commands);
    }
    return 0;
}
