/*
 * options.h - the options of `run` and `exec`, read into a specification.
 *
 * Reading them changes nothing on the machine.
 */
#ifndef CONTAINER_OPTIONS_H
#define CONTAINER_OPTIONS_H

#include "specification.h"

/* One option. Without TAKE it is a flag, and FLAG is where its bool is in the specification. */
struct known_option {
    const char *name;
    void (*take)(struct specification *spec, char *value);
    int argument;  /* of getopt_long(3) */
    char letter;   /* 0: only the long one */
    bool for_exec; /* `exec` has it, too */
    size_t flag;
};

/* All of them, with an empty one at the end. */
extern const struct known_option KNOWN_OPTIONS[];

/* The names of all walls, with commas; MIDDLE separates the first seven from the others. */
const char *list_walls(const char *middle);

/* Read the options of `run`, argv[0] being "run". Exits with STATUS_RUNTIME and one line where they
 * are wrong. The strings are those of ARGV. */
void read_run_options(struct specification *specification, int argc, char *argv[]);

/* What `exec` adds to the container's own specification: environment, directory, user, terminal.
 * Returns the index of the container's name in ARGV. */
int read_exec_options(struct specification *specification, int argc, char *argv[]);

/* Overwrite the values of --env in ARGV: all users of the machine can read a command line in /proc.
 */
void hide_environment(struct specification *specification, int argc, char *argv[]);

#endif
