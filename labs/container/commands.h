/* commands.h - the commands of the tool. */
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

/* Print what is known of CONTAINER, and what the kernel says of its process, as one JSON object. */
void print_inspection(const struct container *container);

#endif
