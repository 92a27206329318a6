/* commands.h - the commands for containers that exist. */
#ifndef CONTAINER_COMMANDS_H
#define CONTAINER_COMMANDS_H

/* Each takes the command line from its own word on, and returns the exit status. */
int list_containers(int argc, char *argv[]);
int show_log(int argc, char *argv[]);
int stop_container(int argc, char *argv[]);
int kill_container(int argc, char *argv[]);
int inspect_container(int argc, char *argv[]);
int prune_containers(int argc, char *argv[]);

/* `exec`; WHOLE is the command line as it was typed. */
int join_container(int argc, char *argv[], char *whole[]);

#endif
