/* commands.h - the commands of the tool, and what they do first. */
#ifndef CONTAINER_COMMANDS_H
#define CONTAINER_COMMANDS_H

#include "container.h"

/* Each takes the command line from its own word on, and returns the exit status. */
int run_container(int argc, char *argv[]);
int list_containers(int argc, char *argv[]);
int show_log(int argc, char *argv[]);
int stop_container(int argc, char *argv[]);
int kill_container(int argc, char *argv[]);
int inspect_container(int argc, char *argv[]);
int prune_containers(int argc, char *argv[]);

/* `exec`; WHOLE is the command line as it was typed. */
int join_container(int argc, char *argv[], char *whole[]);

/* "starting", "running", "ending" (its process has ended, and the rest not yet) or "ended". */
const char *container_state(const struct container *container);

/* Print what is known of CONTAINER, and what the kernel says of its process, as one JSON object. */
void print_inspection(const struct container *container);

/* sweep.c: remove what containers have left whose runtime was killed: processes, control groups,
 * files, claims, the bridge. Then keep the lock of all containers, which state_unlock() releases.
 * MAKE: also where there are no containers yet. Returns whether nothing is left of them. Ends by
 * lab_lock_die(). */
bool lock_and_sweep(bool make);

#endif
