/*
 * start.h - from a specification to a running container, and to its end, on the runtime's side.
 */
#ifndef CONTAINER_START_H
#define CONTAINER_START_H

/* `run`. ARGV[0] is "run". Returns the exit status. */
int run_container(int argc, char *argv[]);

#endif
