/*
 * command.h - the last steps of a process before it is the command: the same for process 1 and for
 * those that `exec` brings in.
 */
#ifndef CONTAINER_COMMAND_H
#define CONTAINER_COMMAND_H

#include <linux/filter.h>

#include "specification.h"
#include "streams.h"

/* What the process has from the runtime. */
struct command {
    const struct specification *spec;
    struct sock_fprog filter;
    struct child_streams ends; /* the streams are not used with a terminal */
    int launcher;              /* open_launcher() */
    int terminals;             /* the root of the container's devpts; -1: without --tty */
    unsigned short rows, columns;
};

/* Become the command: standard streams or a terminal, environment, working directory, user,
 * privileges, filter, no other descriptor; then execve(2) of the launcher, which does that of the
 * command. Failures are reported over report_socket. */
__attribute__((noreturn)) void become_command(const struct command *command);

#endif
