#include "commands.h"

#include <arpa/inet.h>

#include "json.h"
#include "namespace.h"
#include "privileges.h"
#include "report.h"

/* Where we are in the output: before the first item of an object or array, and how deep. */
static struct {
    bool first;
    int depth;
} json;

/* Begin an item: a comma before all but the first, a new line, and KEY unless it is NULL. */
static void begin_item(const char *key)
{
    printf("%s\n%*s", json.first ? "" : ",", 2 * json.depth, "");
    json.first = false;
    if (key) {
        lab_json_string(key);
        printf(": ");
    }
}

static void put_text(const char *key, const char *value)
{
    begin_item(key);
    if (value)
        lab_json_string(value);
    else
        printf("null");
}

static void put_number(const char *key, long long value)
{
    begin_item(key);
    printf("%lld", value);
}

static void put_limit(const char *key, long long value)
{
    if (value == UNLIMITED)
        put_text(key, NULL);
    else
        put_number(key, value);
}

static void put_truth(const char *key, bool value)
{
    begin_item(key);
    printf(value ? "true" : "false");
}

/* Open an object or an array: as an item of what is open, but for the outermost. */
static void open_part(const char *key, char bracket)
{
    if (json.depth > 0)
        begin_item(key);
    putchar(bracket);
    json.first = true;
    json.depth++;
}

static void close_part(char bracket)
{
    json.depth--;
    if (!json.first)
        printf("\n%*s", 2 * json.depth, "");
    putchar(bracket);
    json.first = false;
}

/* An array of COUNT strings; COUNT -1: up to NULL. */
static void put_texts(const char *key, const char *const *texts, int count)
{
    open_part(key, '[');
    for (int i = 0; count == -1 ? texts[i] != NULL : i < count; i++)
        put_text(NULL, texts[i]);
    close_part(']');
}

static void put_state(const struct container *container, const char *state)
{
    const struct specification *spec = &container->spec;

    put_text("name", spec->name);
    put_text("state", state);
    put_number("pid", container->ended ? 0 : container->pid);
    put_number("runtime_pid", container->ended ? 0 : container->runtime);
    put_number("began", container->began);
    if (container->ended) {
        put_number("status", container->status);
        put_text("reason", *container->reason ? container->reason : NULL);
    }
    put_text("hostname", spec->hostname);
    put_texts("command", (const char *const *)spec->command, -1);
    put_texts("environment", spec->environment, spec->environment_count);
    put_text("directory", spec->directory ? spec->directory : "/");
    put_truth("init", spec->init);
}

static void put_file_system(const struct specification *spec)
{
    put_text("root", spec->root);
    put_truth("read_only", spec->read_only);
    open_part("volumes", '[');
    for (int i = 0; i < spec->volume_count; i++) {
        open_part(NULL, '{');
        put_text("source", spec->volumes[i].source);
        put_text("target", spec->volumes[i].target);
        put_truth("read_only", spec->volumes[i].read_only);
        close_part('}');
    }
    close_part(']');
    put_texts("tmpfs", spec->tmpfs, spec->tmpfs_count);
    put_limit("cpu_quota", spec->cpu_quota);
    put_number("cpu_shares", spec->cpu_shares);
    put_limit("memory", spec->memory);
    put_limit("pids", spec->pids);
}

static void put_network(const struct container *container)
{
    static const char *const NAMES[] = {"bridge", "none", "host", "user"};
    const struct specification *spec = &container->spec;

    put_text("network", NAMES[spec->network]);
    put_text("address", container->address.s_addr ? inet_ntoa(container->address) : NULL);
    open_part("ports", '[');
    for (int i = 0; i < spec->port_count; i++) {
        open_part(NULL, '{');
        put_number("outside", spec->ports[i].outside);
        put_number("inside", spec->ports[i].inside);
        put_text("protocol", spec->ports[i].udp ? "udp" : "tcp");
        close_part('}');
    }
    close_part(']');
}

static void put_walls(const struct container *container, bool running)
{
    const struct specification *spec = &container->spec;
    char names[1024];

    put_text("user", spec->user ? spec->user : "root");
    put_truth("own_users", spec->own_users);
    put_number("first_id", container->first_id);
    capability_names(spec->capabilities, names, sizeof(names));
    put_text("capabilities", names);
    open_part("without", '[');
    for (unsigned wall = 1; wall_name(wall); wall <<= 1)
        if (spec->without & wall)
            put_text(NULL, wall_name(wall));
    close_part(']');
    open_part("namespaces", '{');
    for (int i = 0; i < LAB_NAMESPACES && running; i++) {
        const ino_t inode = lab_namespace_inode(container->pid, lab_namespaces[i].name);
        if (inode == 0 && errno == ENOENT && lab_namespace_inode(0, lab_namespaces[i].name) != 0)
            break;                         /* it has ended since */
        if (inode == 0 && errno != ENOENT) /* without that kind in this kernel, it is 0 */
            fail("look at the %s namespace of process %d", lab_namespaces[i].name,
                 (int)container->pid);
        put_number(lab_namespaces[i].name, (long long)inode);
    }
    close_part('}');
}

void print_inspection(const struct container *container)
{
    const char *state = container_state(container);

    json.first = true;
    open_part(NULL, '{');
    put_state(container, state);
    put_file_system(&container->spec);
    put_network(container);
    put_walls(container, strcmp(state, "running") == 0);
    close_part('}');
    putchar('\n');
}
