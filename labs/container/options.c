#include "options.h"

#include <getopt.h>
#include <sys/random.h>

#include "cgroup.h"
#include "privileges.h"
#include "report.h"

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
    "      --net bridge|none|host  a network behind NAT (default), none, or the machine's own;\n"
    "                          without root pasta or slirp4netns in place of the bridge\n"
    "      --ip ADDRESS        its address on the bridge (default: a free one)\n"
    "      --subnet NET/LENGTH the bridge's network, for the first container on it\n"
    "  -p, --publish HOSTPORT:PORT[/udp]  make PORT reachable as HOSTPORT of the machine\n"
    "      --cap-add CAP, --cap-drop CAP  change the capabilities (ALL: all of them)\n"
    "      --userns auto|host  root inside is an ordinary user outside (default), or is root;\n"
    "                          without root always the first, the caller\n"
    "      --without WALL      take one wall away, to see what it is good for:\n"
    "                          %s\n"
    "      --help              print this and exit\n"
    "\n"
    "Exit status: that of COMMAND, 128+N if signal N ended it, 125 if the container could not be\n"
    "made or removed, 126 if COMMAND cannot be invoked, 127 if it is not found.\n";

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

__attribute__((noreturn)) static void print_help(bool for_exec)
{
    char text[sizeof(HELP) + 256];

    snprintf(text, sizeof(text), HELP, list_walls("\n                          "));
    lab_common_option('h', for_exec ? EXEC_HELP : text, STATUS_RUNTIME);
}

enum { MAXIMUM_OPTIONS = 32, LONG_ONLY = 256 };

__attribute__((noreturn)) static void try_help(const char *verb)
{
    fprintf(stderr, "Try '%s %s --help' for more information.\n", program_invocation_short_name,
            verb);
    exit(STATUS_RUNTIME);
}

/* Let getopt_long(3) read the options; the first word that is not one is then at optind. */
static void read_options(struct specification *spec, int argc, char *argv[], bool for_exec)
{
    struct option options[MAXIMUM_OPTIONS + 1] = {0};
    char letters[MAXIMUM_OPTIONS * 2 + 2] = "+";
    const char *verb = argv[0];
    const struct known_option *known;
    int count = 0, option;

    for (known = KNOWN_OPTIONS; known->name; known++) {
        if (for_exec && !known->for_exec)
            continue;
        const int value = known->letter ? known->letter : LONG_ONLY + (int)(known - KNOWN_OPTIONS);
        options[count++] = (struct option){known->name, known->argument, NULL, value};
        if (known->letter)
            snprintf(letters + strlen(letters), 3, "%c%s", known->letter,
                     known->argument == no_argument ? "" : ":");
    }
    argv[0] = program_invocation_short_name; /* for the messages of getopt */
    optind = 0;
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        for (known = KNOWN_OPTIONS; known->name; known++)
            if (option == known->letter || option == LONG_ONLY + (known - KNOWN_OPTIONS))
                break;
        if (option == '?' || !known->name)
            try_help(verb);
        if (known->take)
            known->take(spec, optarg);
        else if (known->flag)
            *(bool *)((char *)spec + known->flag) = true;
        else
            print_help(for_exec);
    }
    argv[0] = (char *)verb;
}

/* Options that exclude each other. */
static void check_combinations(const struct specification *spec)
{
    if (spec->detach && (spec->interactive || spec->terminal))
        give_up("--detach does not go together with --interactive or --tty");
    if (spec->network != NETWORK_BRIDGE && (spec->address || spec->port_count || spec->subnet))
        give_up("--ip, --publish and --subnet need --net bridge");
    for (int i = 0; i < spec->port_count; i++)
        for (int j = 0; j < i; j++)
            if (spec->ports[i].outside == spec->ports[j].outside &&
                spec->ports[i].udp == spec->ports[j].udp)
                give_up("port %d is published twice", spec->ports[i].outside);
}

static void generate_name(struct specification *spec)
{
    unsigned number = 0;

    must(getrandom(&number, sizeof(number), 0), "getrandom");
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
    check_combinations(spec);
    if (!*spec->name)
        generate_name(spec);
    if (!*spec->hostname)
        strcpy(spec->hostname, spec->name);
    if (optind < argc)
        spec->root = argv[optind++];
    if (optind < argc)
        spec->command = argv + optind;
    if (!*spec->command[0])
        give_up_with(LAB_EXIT_NOT_FOUND, "the command is empty");
}

int read_exec_options(struct specification *spec, int argc, char *argv[])
{
    read_options(spec, argc, argv, true);
    if (argc - optind < 2)
        give_up("exec needs the name of a container and a command");
    spec->command = argv + optind + 1;
    return optind;
}

void hide_environment(struct specification *spec, int argc, char *argv[])
{
    for (int i = 0; i < spec->environment_count; i++) {
        const char *entry = spec->environment[i];
        if (entry < argv[0] || entry > argv[argc - 1]) /* of the environment, or the container's */
            continue;
        char *value = strchr(entry, '=') + 1;
        spec->environment[i] = strdup(entry);
        if (!spec->environment[i])
            fail("strdup");
        memset(value, '*', strlen(value));
    }
}
