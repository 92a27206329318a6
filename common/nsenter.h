/*
 * nsenter.h - the command line of nsenter(1): what to enter, opened; who to be inside.
 */
#ifndef LAB_NSENTER_H
#define LAB_NSENTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "namespace.h"

/* A file or directory that is given, or the target's own. */
struct lab_place {
    int fd;         /* open; -1: not asked for */
    bool of_target; /* it is one of /proc/TARGET */
};

struct lab_nsenter {
    pid_t target;                                /* 0: none */
    int process;                                 /* its pidfd, -1: none can be had */
    struct lab_place namespaces[LAB_NAMESPACES]; /* in the order of lab_namespaces */
    struct lab_place root, directory;            /* --root, --wd */
    const char *directory_inside;                /* --wdns; NULL: none */
    long long user, group;                       /* --setuid, --setgid; -1: not given */
    bool all, preserve, no_fork, follow_context;
};

/* Read the options of nsenter(1) of util-linux 2.38 and open what they name; getopt(3)'s optind is
 * then the index of the command in ARGV. What was opened of the target is all of one process,
 * though its PID be given to another meanwhile. Nothing has been entered when it returns. Exits
 * with lab_exit_failure and one line where an option is wrong, or a file cannot be opened. */
void lab_read_nsenter(struct lab_nsenter *wanted, int argc, char *argv[]);

#endif
