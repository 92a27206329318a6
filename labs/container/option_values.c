/* The values of options, for options.h: each is checked and put into the specification. */
#include <arpa/inet.h>
#include <ctype.h>
#include <getopt.h>

#include "cgroup.h"
#include "host.h"
#include "number.h"
#include "options.h"
#include "privileges.h"
#include "report.h"

const char *list_walls(const char *middle)
{
    static char walls[256];

    *walls = '\0';
    for (unsigned i = 0; wall_name(1U << i); i++) {
        const char *space = i == 7 ? middle : i ? " " : "";
        snprintf(walls + strlen(walls), sizeof(walls) - strlen(walls), "%s%s%s", i ? "," : "",
                 space, wall_name(1U << i));
    }
    return walls;
}

/* An option that can be given a few times. */
static void add(const char **list, int *count, const char *value, const char *option)
{
    if (*count == MAXIMUM_ITEMS)
        give_up("more than %d times %s", MAXIMUM_ITEMS, option);
    list[(*count)++] = value;
}

/* A word of two: whether VALUE is YES. Exits with one line where it is neither that nor NO. */
static bool parse_choice(const char *value, const char *option, const char *yes, const char *no)
{
    const bool chosen = strcmp(value, yes) == 0;

    if (!chosen && strcmp(value, no) != 0)
        give_up("invalid %s: '%s' is neither %s nor %s", option, value, yes, no);
    return chosen;
}

/* "512m", "1g", "4096" or "max". */
static long long parse_size(const char *text, const char *option, long long minimum)
{
    static const char UNITS[] = "bkmgt";
    char digits[32];
    long long number;
    size_t length = strspn(text, "0123456789");
    const char *unit = text[length] ? strchr(UNITS, tolower(text[length])) : UNITS;

    if (strcmp(text, "max") == 0)
        return UNLIMITED;
    snprintf(digits, sizeof(digits), "%.*s", (int)length, text);
    if (length >= sizeof(digits) || !unit || (text[length] && text[length + 1]) ||
        !lab_parse_number(digits, 1, INT64_MAX >> (10 * (unit - UNITS)), &number))
        give_up("invalid %s: '%s' is not a size such as 512m", option, text);
    number <<= 10 * (unit - UNITS);
    if (number < minimum)
        give_up("invalid %s: '%s' is less than %lld bytes", option, text, minimum);
    return number;
}

static long long parse_count(const char *text, const char *option, long long minimum,
                             long long maximum)
{
    long long number;

    if (!lab_parse_number(text, minimum, maximum, &number))
        give_up("invalid %s: '%s' is not a number from %lld to %lld", option, text, minimum,
                maximum);
    return number;
}

/* A copy that can be taken apart: the words of the command line may be needed as they are. */
static char *copy(const char *value)
{
    char *text = strdup(value);

    if (!text)
        fail("strdup");
    return text;
}

static void take_name(struct specification *spec, char *value)
{
    if (!is_container_name(value))
        give_up("invalid name: '%s' (letters, digits, - _ and ., at most %d, a letter or digit "
                "first)",
                value, NAME_SIZE - 1);
    strcpy(spec->name, value);
}

static void take_hostname(struct specification *spec, char *value)
{
    if (!is_container_name(value))
        give_up("invalid host name: '%s'", value);
    strcpy(spec->hostname, value);
}

static void take_layer(struct specification *spec, char *value)
{
    if (*value != '/' && strcmp(value, "memory") != 0)
        give_up("invalid --layer: '%s' is neither memory nor begins with /", value);
    spec->layer = *value == '/' ? value : NULL;
}

static void take_remove(struct specification *spec, char *value)
{
    spec->remove = !value || parse_choice(value, "--rm", "true", "false");
}

static void take_environment(struct specification *spec, char *value)
{
    if (*value == '=' || !*value)
        give_up("invalid --env: '%s' is not of the form KEY=VALUE", value);
    if (!strchr(value, '=')) {
        const char *present = getenv(value);
        if (!present)
            return;
        /* getenv() points behind the "KEY=" that we want to have. */
        value = (char *)present - strlen(value) - 1;
    }
    add(spec->environment, &spec->environment_count, value, "--env");
}

static void take_directory(struct specification *spec, char *value)
{
    if (*value != '/')
        give_up("invalid --workdir: '%s' does not begin with /", value);
    spec->directory = value;
}

static void take_user(struct specification *spec, char *value)
{
    if (!*value || *value == ':')
        give_up("invalid --user: '%s' is not of the form USER[:GROUP]", value);
    spec->user = value;
}

/* HOST:DIR[:ro]; a colon in HOST or DIR cannot be written. */
static void take_volume(struct specification *spec, char *word)
{
    char *value = copy(word), *target = strchr(value, ':'),
         *option = target ? strchr(target + 1, ':') : NULL;
    bool read_only = option && strcmp(option, ":ro") == 0;

    if (!target || target == value || target[1] != '/' ||
        (option && !read_only && strcmp(option, ":rw") != 0))
        give_up("invalid --volume: '%s' is not of the form HOST:/DIR[:ro]", word);
    if (spec->volume_count == MAXIMUM_VOLUMES)
        give_up("more than %d volumes", MAXIMUM_VOLUMES);
    *target++ = '\0';
    if (option)
        *option = '\0';
    spec->volumes[spec->volume_count++] =
        (struct volume){.source = value, .target = target, .read_only = read_only};
}

static void take_tmpfs(struct specification *spec, char *value)
{
    char *size = strchr(value, ':');

    if (*value != '/')
        give_up("invalid --tmpfs: '%s' does not begin with /", value);
    if (size) {
        /* In bytes, as the kernel has it: 0 is no limit. */
        long long bytes = parse_size(size + 1, "--tmpfs", 4096);
        if (asprintf(&value, "%.*s:%lld", (int)(size - value), value, bytes < 0 ? 0 : bytes) == -1)
            fail("asprintf");
    }
    add(spec->tmpfs, &spec->tmpfs_count, value, "--tmpfs");
}

static void take_cpus(struct specification *spec, char *value)
{
    long long millionths;

    if (!lab_parse_decimal(value, 100000, &millionths) || millionths < 10000)
        give_up("invalid --cpus: '%s' is not a number such as 1.5, from 0.01", value);
    spec->cpu_quota = millionths / (1000000 / CPU_PERIOD);
    spec->limits_asked = true;
}

static void take_shares(struct specification *spec, char *value)
{
    spec->cpu_shares = parse_count(value, "--cpu-shares", LAB_MINIMUM_SHARES, LAB_MAXIMUM_SHARES);
    spec->limits_asked = true;
}

static void take_memory(struct specification *spec, char *value)
{
    spec->memory = parse_size(value, "--memory", 1 << 20);
    spec->limits_asked |= spec->memory != UNLIMITED;
}

static void take_pids(struct specification *spec, char *value)
{
    spec->pids =
        strcmp(value, "max") == 0 ? UNLIMITED : parse_count(value, "--pids-limit", 1, 4194304);
    spec->limits_asked |= spec->pids != UNLIMITED;
}

static void take_network(struct specification *spec, char *value)
{
    static const char *const NAMES[] = {"bridge", "none", "host"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(value, NAMES[i]) == 0) {
            spec->network = (enum network)i;
            return;
        }
    }
    give_up("invalid --net: '%s' is none of bridge, none, host", value);
}

static void take_address(struct specification *spec, char *value)
{
    struct in_addr address;

    if (inet_pton(AF_INET, value, &address) != 1 || address.s_addr == 0)
        give_up("invalid --ip: '%s' is not an IPv4 address", value);
    spec->address = address.s_addr;
}

static void take_subnet(struct specification *spec, char *value)
{
    struct in_addr address;
    char text[32];
    long long prefix = 0;
    const char *slash = strchr(value, '/');

    snprintf(text, sizeof(text), "%.*s", slash ? (int)(slash - value) : 0, value);
    if (!slash || !lab_parse_number(slash + 1, 8, 30, &prefix) ||
        inet_pton(AF_INET, text, &address) != 1 ||
        (ntohl(address.s_addr) & (UINT32_MAX >> prefix)) != 0)
        give_up("invalid --subnet: '%s' is not a network such as 10.209.0.0/24", value);
    if (!lab_is_for_hosts(ntohl(address.s_addr) >> 24))
        give_up("invalid --subnet: '%s' is not a network of hosts", value);
    spec->subnet = address.s_addr;
    spec->prefix = (int)prefix;
}

/* HOSTPORT:PORT[/udp] */
static void take_port(struct specification *spec, char *value)
{
    char text[32];
    long long outside, inside;
    char *colon, *protocol;

    snprintf(text, sizeof(text), "%s", value);
    protocol = strchr(text, '/');
    if (protocol)
        *protocol++ = '\0';
    colon = strchr(text, ':');
    if (colon)
        *colon++ = '\0';
    if (strlen(value) >= sizeof(text) || !colon || !lab_parse_number(text, 1, 65535, &outside) ||
        !lab_parse_number(colon, 1, 65535, &inside) ||
        (protocol && strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0))
        give_up("invalid --publish: '%s' is not of the form HOSTPORT:PORT[/udp], ports 1 to 65535",
                value);
    if (spec->port_count == MAXIMUM_ITEMS)
        give_up("more than %d ports", MAXIMUM_ITEMS);
    spec->ports[spec->port_count++] =
        (struct port){.outside = (uint16_t)outside,
                      .inside = (uint16_t)inside,
                      .udp = protocol && strcmp(protocol, "udp") == 0};
}

static void take_capability(struct specification *spec, const char *value, bool added)
{
    uint64_t bits = capability_bits(value);

    if (bits == 0)
        give_up("invalid capability: '%s' (such as NET_RAW, or ALL)", value);
    if (added)
        spec->capabilities |= bits;
    else
        spec->capabilities &= ~bits;
}

static void take_cap_add(struct specification *spec, char *value)
{
    take_capability(spec, value, true);
}

static void take_cap_drop(struct specification *spec, char *value)
{
    take_capability(spec, value, false);
}

static void take_users(struct specification *spec, char *value)
{
    spec->own_users = parse_choice(value, "--userns", "auto", "host");
}

static void take_without(struct specification *spec, char *value)
{
    char *words = copy(value), *rest = NULL;

    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (wall_named(word) == 0)
            give_up("invalid --without: '%s' is not a wall; the walls are %s", word,
                    list_walls(" "));
        spec->without |= wall_named(word);
    }
    free(words);
}

const struct known_option KNOWN_OPTIONS[] = {
    {"name", take_name, required_argument, 'n', false, 0},
    {"hostname", take_hostname, required_argument, 0, false, 0},
    {"detach", NULL, no_argument, 'd', false, offsetof(struct specification, detach)},
    {"interactive", NULL, no_argument, 'i', true, offsetof(struct specification, interactive)},
    {"tty", NULL, no_argument, 't', true, offsetof(struct specification, terminal)},
    {"rm", take_remove, optional_argument, 0, false, 0},
    {"init", NULL, no_argument, 0, false, offsetof(struct specification, init)},
    {"env", take_environment, required_argument, 'e', true, 0},
    {"workdir", take_directory, required_argument, 'w', true, 0},
    {"user", take_user, required_argument, 'u', true, 0},
    {"volume", take_volume, required_argument, 'v', false, 0},
    {"layer", take_layer, required_argument, 0, false, 0},
    {"read-only", NULL, no_argument, 0, false, offsetof(struct specification, read_only)},
    {"tmpfs", take_tmpfs, required_argument, 0, false, 0},
    {"cpus", take_cpus, required_argument, 0, false, 0},
    {"cpu-shares", take_shares, required_argument, 0, false, 0},
    {"memory", take_memory, required_argument, 'm', false, 0},
    {"pids-limit", take_pids, required_argument, 0, false, 0},
    {"net", take_network, required_argument, 0, false, 0},
    {"ip", take_address, required_argument, 0, false, 0},
    {"subnet", take_subnet, required_argument, 0, false, 0},
    {"publish", take_port, required_argument, 'p', false, 0},
    {"cap-add", take_cap_add, required_argument, 0, false, 0},
    {"cap-drop", take_cap_drop, required_argument, 0, false, 0},
    {"userns", take_users, required_argument, 0, false, 0},
    {"without", take_without, required_argument, 0, false, 0},
    {"help", NULL, no_argument, 0, true, 0},
    {0},
};
