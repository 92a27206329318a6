/*
 * unshare_options.h - the options of unshare(1), read from the command line and checked.
 */
#ifndef LAB_UNSHARE_OPTIONS_H
#define LAB_UNSHARE_OPTIONS_H

#include <stdbool.h>

#include "namespace.h"

struct lab_unshare_options {
    int flags;                         /* CLONE_NEW... */
    const char *files[LAB_NAMESPACES]; /* of --uts=FILE, in the order of lab_namespaces, or NULL */
    bool fork;
    int kill_child;                /* a signal, 0: none */
    long long map_user, map_group; /* -1: no map */
    long long user, group;         /* -1: do not change */
    unsigned long propagation;     /* MS_REC | MS_PRIVATE..., 0: unchanged */
    const char *setgroups;         /* "allow", "deny", or NULL */
    const char *root, *directory;  /* or NULL */
    const char *proc;              /* where to mount it, or NULL */
};

/* Read the options before the command in ARGV into *WANTED; optind(3) is the index of the command
 * afterwards. Exits with 0 for --help and --version, and with lab_exit_failure and one line for
 * what is wrong or not offered. Reads IDs and signals as identity.h and process.h do. */
void lab_read_unshare_options(struct lab_unshare_options *wanted, int argc, char *argv[]);

#endif
