#include "updown.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "error.h"
#include "number.h"
#include "process.h"
#include "uplink.h"

static const struct option options[] = {
    {"subnet", required_argument, NULL, 's'}, {"namespaces", required_argument, NULL, 'n'},
    {"uplink", required_argument, NULL, 'u'}, {"publish", required_argument, NULL, 'p'},
    {"dot", no_argument, NULL, 'd'},          {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},      {0},
};

static struct lab_wanted wanted;

/* Whether the command VERB of TOOL takes the option LETTER. */
static bool takes(const struct lab_updown *tool, const char *verb, int letter)
{
    if (strchr("upd", letter) && !tool->has_way_out)
        return false;
    return strcmp(verb, letter == 'd' ? "status" : "up") == 0;
}

/* "8080:net1:80" */
static void read_publish(const char *text)
{
    char words[64], *rest = words;
    long long host_port, container, port;

    snprintf(words, sizeof(words), "%s", text);
    const char *first = strsep(&rest, ":"), *name = strsep(&rest, ":"), *last = rest;
    if (strlen(text) >= sizeof(words) || !last || strncmp(name, "net", 3) != 0 ||
        !lab_parse_number(first, 1, 65535, &host_port) ||
        !lab_parse_number(name + 3, 1, 200, &container) || !lab_parse_number(last, 1, 65535, &port))
        lab_exit(LAB_EXIT_USAGE, "'%s' publishes nothing: it looks like 8080:net1:80", text);
    if (wanted.published_count == LAB_MAX_PUBLISHED)
        lab_exit(LAB_EXIT_USAGE, "at most %d ports can be published", LAB_MAX_PUBLISHED);
    for (int i = 0; i < wanted.published_count; i++)
        if (wanted.published[i].host_port == host_port)
            lab_exit(LAB_EXIT_USAGE, "port %lld is published twice", host_port);
    wanted.published[wanted.published_count].host_port = (int)host_port;
    wanted.published[wanted.published_count].container = (int)container;
    wanted.published[wanted.published_count++].port = (int)port;
}

static void read_option(const struct lab_updown *tool, int letter, const char *argument)
{
    switch (letter) {
    case 's': lab_network_read_subnet(tool->network, argument); break;
    case 'n': lab_network_read_namespaces(tool->network, argument); break;
    case 'u': wanted.uplink = argument; break;
    case 'p': read_publish(argument); break;
    default: wanted.dot = true;
    }
}

static void read_options(const struct lab_updown *tool, const char *verb, int argc, char *argv[])
{
    int letter, which = 0;

    argv[0] = program_invocation_short_name; /* getopt's complaints begin with it */
    unsetenv("POSIXLY_CORRECT");             /* options come after the command */
    while ((letter = getopt_long(argc, argv, "", options, &which)) != -1) {
        if (letter == 'h' || letter == 'v' || letter == '?')
            lab_common_option(letter, tool->help, LAB_EXIT_USAGE);
        if (!takes(tool, verb, letter)) {
            lab_warn("'%s' takes no option --%s", verb, options[which].name);
            lab_try_help(LAB_EXIT_USAGE);
        }
        read_option(tool, letter, optarg);
    }
    lab_network_check_size(tool->network);
    for (int i = 0; i < wanted.published_count; i++)
        if (wanted.published[i].container > tool->network->namespaces)
            lab_exit(LAB_EXIT_USAGE, "there will be no net%d to publish a port of",
                     wanted.published[i].container);
}

static int bring_up(const struct lab_updown *tool)
{
    lab_changes_begin(tool->number);
    lab_network_must_be_free(tool->network);
    if (tool->has_way_out)
        lab_host_must_have_uplink(wanted.uplink);
    for (int i = 0; i < wanted.published_count; i++)
        lab_host_port_must_be_free(wanted.published[i].host_port);
    if (!lab_exists("/run/netns"))
        lab_undo("netns-directory /run/netns"); /* the first `ip netns add` makes it */
    tool->up(&wanted);
    lab_changes_end();
    return EXIT_SUCCESS;
}

static int take_down(const char *number)
{
    int failed = lab_changes_take_back(number);

    if (failed == -1)
        puts("nothing is up");
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int show(const struct lab_updown *tool)
{
    if (lab_changes_are_there(tool->number))
        tool->status(&wanted);
    else
        puts("nothing is up");
    return EXIT_SUCCESS;
}

int lab_updown(const struct lab_updown *tool, int argc, char *argv[])
{
    lab_begin_as_usual();
    const char *verb = *argv[1] == '-' ? "" : argv[1];
    bool is_up = strcmp(verb, "up") == 0, is_down = strcmp(verb, "down") == 0;

    read_options(tool, verb, argc, argv);
    if ((!is_up && !is_down && strcmp(verb, "status") != 0) || optind != argc - 1) {
        lab_warn("one command is wanted: up, status or down");
        lab_try_help(LAB_EXIT_USAGE);
    }
    if (geteuid() != 0)
        lab_exit(EXIT_FAILURE, "'%s' needs root; type: sudo %s %s", verb, program_invocation_name,
                 verb);
    tool->need_tools();
    return is_up ? bring_up(tool) : is_down ? take_down(tool->number) : show(tool);
}
