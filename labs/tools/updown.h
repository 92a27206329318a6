/*
 * updown.h - the command line of the tools that build a network on this host: up, status, down.
 */
#ifndef LAB_UPDOWN_H
#define LAB_UPDOWN_H

#include <stdbool.h>

#include "network.h"

enum { LAB_MAX_PUBLISHED = 64 };

/* What the command line asks for beside the network itself. */
struct lab_wanted {
    const char *uplink; /* --uplink IFACE, or NULL */
    struct {
        int host_port, container, port;
    } published[LAB_MAX_PUBLISHED]; /* --publish HOSTPORT:NS:PORT */
    int published_count;
    bool dot; /* status --dot */
};

struct lab_updown {
    const char *number;          /* of the lab: "07" */
    const char *help;            /* all of --help */
    struct lab_network *network; /* set by --subnet and --namespaces of `up` */
    bool has_way_out;            /* takes --uplink, --publish and --dot as well */

    void (*need_tools)(void); /* exits where a command is missing */

    /* Build it. Changes have begun; the names, the subnet and the ports are free, and with
     * has_way_out there is a default route. */
    void (*up)(const struct lab_wanted *wanted);
    void (*status)(const struct lab_wanted *wanted); /* show it */
};

/* Read the command line and do what it says. Returns the status for main to return; exits with 2
 * for wrong usage. */
int lab_updown(const struct lab_updown *tool, int argc, char *argv[]);

#endif
