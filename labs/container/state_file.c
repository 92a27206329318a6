#include "state.h"

#include "error.h"
#include "file.h"
#include "record.h"

static const char RECORD[] = "state";

enum { FILE_LIMIT = 1 << 20, GROWTH = 4096 /* bytes */ };

/* What is kept of a container, but for the lists: key, type, and where it is. */
enum type { TYPE_STRING, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_WIDE };

#define FIELD(key, type, member)                                                                   \
    {                                                                                              \
        key, offsetof(struct container, member), sizeof(((struct container *)NULL)->member), type  \
    }

static const struct field {
    const char *key;
    size_t offset, size;
    enum type type;
} FIELDS[] = {
    FIELD("hostname", TYPE_ARRAY, spec.hostname),
    FIELD("root", TYPE_STRING, spec.root),
    FIELD("layer", TYPE_STRING, spec.layer),
    FIELD("directory", TYPE_STRING, spec.directory),
    FIELD("user", TYPE_STRING, spec.user),
    FIELD("group_base", TYPE_STRING, group_base),
    FIELD("remove", TYPE_BOOL, spec.remove),
    FIELD("init", TYPE_BOOL, spec.init),
    FIELD("read_only", TYPE_BOOL, spec.read_only),
    FIELD("network", TYPE_INT, spec.network),
    FIELD("cpu_quota", TYPE_WIDE, spec.cpu_quota),
    FIELD("cpu_shares", TYPE_WIDE, spec.cpu_shares),
    FIELD("memory", TYPE_WIDE, spec.memory),
    FIELD("pids", TYPE_WIDE, spec.pids),
    FIELD("capabilities", TYPE_WIDE, spec.capabilities),
    FIELD("without", TYPE_INT, spec.without),
    FIELD("address", TYPE_INT, address), /* as the number that it is */
    FIELD("layer_inode", TYPE_WIDE, layer),
    FIELD("runtime", TYPE_INT, runtime),
    FIELD("runtime_name", TYPE_ARRAY, runtime_name),
    FIELD("runtime_began", TYPE_WIDE, runtime_began),
    FIELD("began", TYPE_WIDE, began),
    FIELD("own_users", TYPE_BOOL, spec.own_users),
    FIELD("first_id", TYPE_INT, first_id),
    FIELD("pid", TYPE_INT, pid),
    FIELD("pid_began", TYPE_WIDE, pid_began),
    FIELD("ended", TYPE_BOOL, ended),
    FIELD("status", TYPE_INT, status),
    FIELD("reason", TYPE_ARRAY, reason),
    FIELD("cleared", TYPE_BOOL, cleared),
};

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

int state_save(const struct container *container)
{
    lab_string text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return -1;
    for (int i = 0; i < LAB_COUNT(FIELDS); i++)
        put_field(to, &FIELDS[i], (const char *)container + FIELDS[i].offset);
    put_lists(to, &container->spec);
    if (fclose(to) == EOF)
        return -1;
    if (container->pid == 0 && size > FILE_LIMIT - GROWTH) { /* later it could not be read again */
        errno = E2BIG;
        return -1;
    }
    return lab_record_write(state_path(container, "state"), RECORD, text);
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

/* Take the line KEY=VALUE of a list. Returns false where it is none. */
static bool take_list(struct specification *spec, const char *key, char *value, int *commands)
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
    else
        return false;
    return true;
}

/* Take VALUE for FIELD. The string stays in memory. Returns whether it is one. */
static bool take_field(struct container *container, const struct field *field, char *value)
{
    char *at = (char *)container + field->offset, *end;
    const long long number = strtoll(value, &end, 10);

    if (field->type == TYPE_STRING)
        *(char **)at = value;
    else if (field->type == TYPE_ARRAY)
        snprintf(at, field->size, "%s", value);
    else if (*end || end == value)
        return false;
    else if (field->type == TYPE_BOOL)
        *(bool *)at = number != 0;
    else if (field->type == TYPE_INT)
        *(int *)at = (int)number;
    else
        *(long long *)at = number;
    return true;
}

/* Take LINE, "KEY=VALUE", and set the bit of its field in *SEEN. Returns whether it is right. */
static bool take_line(struct container *container, char *line, int *commands, unsigned *seen)
{
    char *value = strchr(line, '=');

    if (!value)
        return false;
    *value++ = '\0';
    unescape(value);
    for (int i = 0; i < LAB_COUNT(FIELDS); i++)
        if (strcmp(FIELDS[i].key, line) == 0) {
            *seen |= 1U << i;
            return take_field(container, &FIELDS[i], value);
        }
    return take_list(&container->spec, line, value, commands);
}

/* Take all lines. Returns whether each is right, and none is missing. */
static bool take_lines(struct container *container)
{
    int commands = 0;
    unsigned seen = 0;
    char *rest = NULL;

    for (char *line = strtok_r(container->text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        if (!take_line(container, line, &commands, &seen))
            return false;
    for (int i = 0; i < LAB_COUNT(FIELDS); i++)
        if (FIELDS[i].type != TYPE_STRING && !(seen & 1U << i))
            return false;
    return commands > 0;
}

int state_load(struct container *container, const char *name)
{
    size_t lines = 1;
    static char text[FILE_LIMIT];

    memset(container, 0, sizeof(*container));
    container->lock = -1;
    snprintf(container->spec.name, sizeof(container->spec.name), "%s", name);
    snprintf(container->directory, sizeof(container->directory), "%s/%s", state_directory(), name);
    if (!is_container_name(name))
        errno = ENOENT;
    if (!is_container_name(name) ||
        lab_record_read(state_path(container, "state"), RECORD, text, FILE_LIMIT) == -1) {
        if (errno == ENOTDIR) /* a file of that name */
            errno = ENOENT;
        return -1;
    }
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    container->spec.command = calloc(lines + 1, sizeof(char *));
    container->text = strdup(text);
    if (!container->spec.command || !container->text)
        return -1;
    if (take_lines(container))
        return 0;
    errno = EBADMSG;
    return -1;
}

const char *state_trouble(const struct container *container)
{
    static char text[PATH_MAX + 256];
    const char *path = state_path(container, "state");

    if (errno == EBADMSG)
        snprintf(text, sizeof(text),
                 "%s is damaged or of another version, so nothing of %s is removed: end its "
                 "processes and remove its control groups (container-%s-*), then remove that file",
                 path, container->spec.name, container->spec.name);
    else
        snprintf(text, sizeof(text), "read %s: %s", path, lab_strerror(errno));
    return text;
}
