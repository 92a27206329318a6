#include "specification.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "error.h"
#include "number.h"
#include "privileges.h"
#include "report.h"
#include "run.h"
#include "shares.h"

static const char HELP[] =
    "Usage: 09_full_container run [OPTION]... [ROOTFS [COMMAND [ARG]...]]\n"
    "Run COMMAND (/bin/sh if none) in a new container. ROOTFS is a directory, which is never\n"
    "written to, or an archive: a tar, packed or not, or an image as docker save writes it, by\n"
    "standard input where ROOTFS is -. Without it, a root file system of busybox is made.\n"
    "\n"
    "  -n, --name NAME         what the container is called (default: made up)\n"
    "      --hostname NAME     its host name (default: its name)\n"
    "  -d, --detach            print the name and leave the container running\n"
    "  -i, --interactive       hand on standard input\n"
    "  -t, --tty               give it a pseudo terminal\n"
    "      --rm[=false]        remove it when it ends (default), or keep log and status\n"
    "      --init              run a small process 1 that reaps and forwards signals\n"
    "  -e, --env KEY=VALUE     set an environment variable (KEY: take it from here)\n"
    "  -w, --workdir DIR       working directory (default: /)\n"
    "  -u, --user USER[:GROUP] who COMMAND runs as (default: root)\n"
    "  -v, --volume HOST:DIR[:ro]  show HOST, a file or directory of the machine, as DIR\n"
    "      --layer memory|DIR  keep what it writes in memory, at most half of --memory\n"
    "                          (default), or below DIR on a disk\n"
    "      --read-only         the root file system cannot be written to\n"
    "      --tmpfs DIR[:SIZE]  an empty file system in memory (default: 64m)\n"
    "      --cpus N            at most N CPUs, such as 0.5 (default: no limit)\n"
    "      --cpu-shares N      weight where CPUs are short, 2..262144 (default: 1024)\n"
    "  -m, --memory SIZE       at most SIZE bytes (k, m, g; max: no limit; default: 512m)\n"
    "      --pids-limit N      at most N processes and threads (max: no limit; default: 256)\n"
    "      --net bridge|none|host  a network behind NAT (default), none, or the machine's own\n"
    "      --ip ADDRESS        its address on the bridge (default: a free one)\n"
    "      --subnet NET/LENGTH the bridge's network, for the first container on it\n"
    "  -p, --publish HOSTPORT:PORT[/udp]  make PORT reachable as HOSTPORT of all addresses of\n"
    "                          the machine but 127.0.0.1\n"
    "      --cap-add CAP, --cap-drop CAP  change the capabilities (ALL: all of them)\n"
    "      --userns auto|host  root inside is an ordinary user outside (default), or is root\n"
    "      --without WALL      take one wall away, to see what it is good for:\n"
    "                          %s\n"
    "      --help              print this and exit\n"
    "\n"
    "Exit status: that of COMMAND, 128+N if signal N ended it, 125 if the container could not be\n"
    "made, 126 if COMMAND cannot be invoked, 127 if it is not found.\n";

static const char EXEC_HELP[] =
    "Usage: 09_full_container exec [OPTION]... NAME COMMAND [ARG]...\n"
    "Run COMMAND in the container NAME, which runs.\n"
    "\n"
    "  -i, --interactive       COMMAND reads what is typed here\n"
    "  -t, --tty               it has a terminal\n"
    "  -e, --env KEY=VALUE     set an environment variable, beside those of the container\n"
    "  -w, --workdir DIR       working directory (default: the container's)\n"
    "  -u, --user USER[:GROUP] who COMMAND runs as (default: the container's)\n"
    "      --help              print this and exit\n"
    "\n"
    "Exit status: as that of run.\n";

static const char *const WALLS[] = {"pid",        "ipc",     "uts",         "cgroup",
                                    "pivot",      "masks",   "read-only",   "nodev",
                                    "privileges", "seccomp", "descriptors", "binary"};

enum { WALL_COUNT = sizeof(WALLS) / sizeof(WALLS[0]) };

const char *wall_name(unsigned wall)
{
    for (unsigned i = 0; i < WALL_COUNT; i++)
        if (wall == 1U << i)
            return WALLS[i];
    return NULL;
}

/* All walls, with commas; after the seventh comma comes MIDDLE. */
static const char *list_of_walls(const char *middle)
{
    static char walls[256];

    *walls = '\0';
    for (unsigned i = 0; i < WALL_COUNT; i++)
        snprintf(walls + strlen(walls), sizeof(walls) - strlen(walls), "%s%s%s", i ? "," : "",
                 i == 7 ? middle
                 : i    ? " "
                        : "",
                 WALLS[i]);
    return walls;
}

__attribute__((noreturn)) static void print_help(void)
{
    char text[sizeof(HELP) + 256];

    snprintf(text, sizeof(text), HELP, list_of_walls("\n                          "));
    lab_print_help(text);
}

bool is_container_name(const char *name)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t length = strlen(name);

    return length > 0 && length < NAME_SIZE && strspn(name, LETTERS) > 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
               length;
}

/* An option that can be given a few times. */
static void add(const char **list, int *count, const char *value, const char *option)
{
    if (*count == MAXIMUM_ITEMS)
        give_up(STATUS_RUNTIME, "more than %d times %s", MAXIMUM_ITEMS, option);
    list[(*count)++] = value;
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
        give_up(STATUS_RUNTIME, "invalid %s: '%s' is no size such as 512m", option, text);
    number <<= 10 * (unit - UNITS);
    if (number < minimum)
        give_up(STATUS_RUNTIME, "invalid %s: '%s' is less than %lld bytes", option, text, minimum);
    return number;
}

static long long parse_count(const char *text, const char *option, long long minimum,
                             long long maximum)
{
    long long number;

    if (!lab_parse_number(text, minimum, maximum, &number))
        give_up(STATUS_RUNTIME, "invalid %s: '%s' is not a number from %lld to %lld", option, text,
                minimum, maximum);
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
        give_up(STATUS_RUNTIME,
                "invalid name: '%s' (letters, digits, - _ and ., at most %d, a letter or digit "
                "first)",
                value, NAME_SIZE - 1);
    strcpy(spec->name, value);
}

static void take_hostname(struct specification *spec, char *value)
{
    if (!is_container_name(value))
        give_up(STATUS_RUNTIME, "invalid host name: '%s'", value);
    strcpy(spec->hostname, value);
}

static void take_detach(struct specification *spec, char *value)
{
    (void)value;
    spec->detach = true;
}

static void take_interactive(struct specification *spec, char *value)
{
    (void)value;
    spec->interactive = true;
}

static void take_terminal(struct specification *spec, char *value)
{
    (void)value;
    spec->terminal = true;
}

static void take_init(struct specification *spec, char *value)
{
    (void)value;
    spec->init = true;
}

static void take_layer(struct specification *spec, char *value)
{
    if (*value != '/' && strcmp(value, "memory") != 0)
        give_up(STATUS_RUNTIME, "invalid --layer: '%s' is neither memory nor begins with /", value);
    spec->layer = *value == '/' ? value : NULL;
}

static void take_read_only(struct specification *spec, char *value)
{
    (void)value;
    spec->read_only = true;
}

static void take_remove(struct specification *spec, char *value)
{
    if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        give_up(STATUS_RUNTIME, "invalid --rm: '%s' is neither true nor false", value);
    spec->remove = !value || strcmp(value, "true") == 0;
}

static void take_environment(struct specification *spec, char *value)
{
    if (*value == '=' || !*value)
        give_up(STATUS_RUNTIME, "invalid --env: '%s' is not of the form KEY=VALUE", value);
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
        give_up(STATUS_RUNTIME, "invalid --workdir: '%s' does not begin with /", value);
    spec->directory = value;
}

static void take_user(struct specification *spec, char *value)
{
    if (!*value || *value == ':')
        give_up(STATUS_RUNTIME, "invalid --user: '%s' is not of the form USER[:GROUP]", value);
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
        give_up(STATUS_RUNTIME, "invalid --volume: '%s' is not of the form HOST:/DIR[:ro]", word);
    if (spec->volume_count == MAXIMUM_VOLUMES)
        give_up(STATUS_RUNTIME, "more than %d volumes", MAXIMUM_VOLUMES);
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
        give_up(STATUS_RUNTIME, "invalid --tmpfs: '%s' does not begin with /", value);
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
        give_up(STATUS_RUNTIME, "invalid --cpus: '%s' is not a number such as 1.5, from 0.01",
                value);
    spec->cpu_quota = millionths / (1000000 / CPU_PERIOD);
}

static void take_shares(struct specification *spec, char *value)
{
    spec->cpu_shares = parse_count(value, "--cpu-shares", LAB_MINIMUM_SHARES, LAB_MAXIMUM_SHARES);
}

static void take_memory(struct specification *spec, char *value)
{
    spec->memory = parse_size(value, "--memory", 1 << 20);
}

static void take_pids(struct specification *spec, char *value)
{
    spec->pids =
        strcmp(value, "max") == 0 ? UNLIMITED : parse_count(value, "--pids-limit", 1, 4194304);
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
    give_up(STATUS_RUNTIME, "invalid --net: '%s' is none of bridge, none, host", value);
}

static void take_address(struct specification *spec, char *value)
{
    struct in_addr address;

    if (inet_pton(AF_INET, value, &address) != 1 || address.s_addr == 0)
        give_up(STATUS_RUNTIME, "invalid --ip: '%s' is no IPv4 address", value);
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
        give_up(STATUS_RUNTIME, "invalid --subnet: '%s' is no network such as 10.209.0.0/16",
                value);
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
        give_up(STATUS_RUNTIME,
                "invalid --publish: '%s' is not of the form HOSTPORT:PORT[/udp], ports 1 to 65535",
                value);
    if (spec->port_count == MAXIMUM_ITEMS)
        give_up(STATUS_RUNTIME, "more than %d ports", MAXIMUM_ITEMS);
    spec->ports[spec->port_count++] =
        (struct port){.outside = (uint16_t)outside,
                      .inside = (uint16_t)inside,
                      .udp = protocol && strcmp(protocol, "udp") == 0};
}

static void take_capability(struct specification *spec, const char *value, bool added)
{
    uint64_t bits = capability_bits(value);

    if (bits == 0)
        give_up(STATUS_RUNTIME, "invalid capability: '%s' (such as NET_RAW, or ALL)", value);
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
    if (strcmp(value, "auto") != 0 && strcmp(value, "host") != 0)
        give_up(STATUS_RUNTIME, "invalid --userns: '%s' is neither auto nor host", value);
    spec->own_users = strcmp(value, "auto") == 0;
}

static void take_without(struct specification *spec, char *value)
{
    char *words = copy(value), *rest = NULL;

    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned i = 0;
        while (i < WALL_COUNT && strcmp(word, WALLS[i]) != 0)
            i++;
        if (i == WALL_COUNT)
            give_up(STATUS_RUNTIME, "invalid --without: there is no wall '%s'; the walls are %s",
                    word, list_of_walls(" "));
        spec->without |= 1U << i;
    }
    free(words);
}

static void take_help(struct specification *spec, char *value)
{
    (void)spec, (void)value;
    print_help();
}

struct known_option {
    const char *name;
    void (*take)(struct specification *spec, char *value);
    int argument;
    char letter;   /* 0: only the long one */
    bool for_exec; /* `exec` has it, too */
};

static const struct known_option KNOWN[] = {
    {"name", take_name, required_argument, 'n', false},
    {"hostname", take_hostname, required_argument, 0, false},
    {"detach", take_detach, no_argument, 'd', false},
    {"interactive", take_interactive, no_argument, 'i', true},
    {"tty", take_terminal, no_argument, 't', true},
    {"rm", take_remove, optional_argument, 0, false},
    {"init", take_init, no_argument, 0, false},
    {"env", take_environment, required_argument, 'e', true},
    {"workdir", take_directory, required_argument, 'w', true},
    {"user", take_user, required_argument, 'u', true},
    {"volume", take_volume, required_argument, 'v', false},
    {"layer", take_layer, required_argument, 0, false},
    {"read-only", take_read_only, no_argument, 0, false},
    {"tmpfs", take_tmpfs, required_argument, 0, false},
    {"cpus", take_cpus, required_argument, 0, false},
    {"cpu-shares", take_shares, required_argument, 0, false},
    {"memory", take_memory, required_argument, 'm', false},
    {"pids-limit", take_pids, required_argument, 0, false},
    {"net", take_network, required_argument, 0, false},
    {"ip", take_address, required_argument, 0, false},
    {"subnet", take_subnet, required_argument, 0, false},
    {"publish", take_port, required_argument, 'p', false},
    {"cap-add", take_cap_add, required_argument, 0, false},
    {"cap-drop", take_cap_drop, required_argument, 0, false},
    {"userns", take_users, required_argument, 0, false},
    {"without", take_without, required_argument, 0, false},
    {"help", take_help, no_argument, 0, true},
};

enum { KNOWN_COUNT = sizeof(KNOWN) / sizeof(KNOWN[0]), LONG_ONLY = 256 };

__attribute__((noreturn)) static void try_help(const char *verb)
{
    fprintf(stderr, "Try '%s %s --help' for more information.\n", program_invocation_short_name,
            verb);
    exit(STATUS_RUNTIME);
}

/* Let getopt_long(3) read what is in KNOWN; what is not an option begins at optind then. */
static void read_options(struct specification *spec, int argc, char *argv[], bool for_exec)
{
    struct option options[KNOWN_COUNT + 1] = {0};
    char letters[KNOWN_COUNT * 2 + 2] = "+";
    int count = 0, option;

    for (int i = 0; i < KNOWN_COUNT; i++) {
        if (for_exec && !KNOWN[i].for_exec)
            continue;
        options[count++] = (struct option){KNOWN[i].name, KNOWN[i].argument, NULL,
                                           KNOWN[i].letter ? KNOWN[i].letter : LONG_ONLY + i};
        if (KNOWN[i].letter)
            snprintf(letters + strlen(letters), 3, "%c%s", KNOWN[i].letter,
                     KNOWN[i].argument == no_argument ? "" : ":");
    }
    char *verb = argv[0];
    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    optind = 0;
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        int i = 0;
        while (i < KNOWN_COUNT && option != KNOWN[i].letter && option != LONG_ONLY + i)
            i++;
        if (option == '?' || i == KNOWN_COUNT)
            try_help(verb); /* getopt has named the option */
        if (for_exec && KNOWN[i].take == take_help)
            lab_print_help(EXEC_HELP);
        KNOWN[i].take(spec, optarg);
    }
    argv[0] = verb;
}

/* Options that are fine alone and make no sense together. */
static void check_together(const struct specification *spec)
{
    if (spec->detach && (spec->interactive || spec->terminal))
        give_up(STATUS_RUNTIME, "--detach does not go together with --interactive or --tty");
    if (spec->network != NETWORK_BRIDGE && (spec->address || spec->port_count || spec->subnet))
        give_up(STATUS_RUNTIME, "--ip, --publish and --subnet need --net bridge");
    for (int i = 0; i < spec->port_count; i++)
        for (int j = 0; j < i; j++)
            if (spec->ports[i].outside == spec->ports[j].outside &&
                spec->ports[i].udp == spec->ports[j].udp)
                give_up(STATUS_RUNTIME, "port %d is published twice", spec->ports[i].outside);
}

static void make_up_name(struct specification *spec)
{
    unsigned number = 0;

    if (getrandom(&number, sizeof(number), 0) == -1)
        fail("getrandom");
    snprintf(spec->name, sizeof(spec->name), "c-%08x", number);
}

void read_run_options(struct specification *spec, int argc, char *argv[])
{
    static char *shell[] = {"/bin/sh", NULL};

    *spec = (struct specification){
        .remove = true,
        .own_users = true,
        .cpu_quota = UNLIMITED,
        .cpu_shares = LAB_DEFAULT_SHARES,
        .memory = DEFAULT_MEMORY,
        .pids = DEFAULT_PIDS,
        .capabilities = default_capabilities(),
        .command = shell,
    };
    read_options(spec, argc, argv, false);
    check_together(spec);
    if (!*spec->name)
        make_up_name(spec);
    if (!*spec->hostname)
        strcpy(spec->hostname, spec->name);
    if (optind < argc)
        spec->root = argv[optind++];
    if (optind < argc)
        spec->command = argv + optind;
    if (!*spec->command[0])
        give_up(LAB_EXIT_NOT_FOUND, "the command is empty");
}

int read_exec_options(struct specification *spec, int argc, char *argv[])
{
    read_options(spec, argc, argv, true);
    if (argc - optind < 2)
        give_up(STATUS_RUNTIME, "exec needs the name of a container and a command");
    spec->command = argv + optind + 1;
    return optind;
}

uint64_t namespaces_of(const struct specification *spec)
{
    uint64_t flags = CLONE_NEWNS;

    flags |= spec->without & WALL_PID ? 0 : CLONE_NEWPID;
    flags |= spec->without & WALL_IPC ? 0 : CLONE_NEWIPC;
    flags |= spec->without & WALL_UTS ? 0 : CLONE_NEWUTS;
    flags |= spec->network == NETWORK_HOST ? 0 : CLONE_NEWNET;
    flags |= spec->own_users ? CLONE_NEWUSER : 0;
    return flags;
}
