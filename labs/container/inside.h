/*
 * inside.h - the process that becomes the container, from its first moment to execve(2); and
 * command.c: the last steps of a process before it is the command, the same for process 1 and for
 * those that `exec` brings in.
 */
#ifndef CONTAINER_INSIDE_H
#define CONTAINER_INSIDE_H

#include <linux/filter.h>

#include "container.h"
#include "limits.h"
#include "streams.h"

/* What a process that becomes a command has from the runtime. */
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

/* What process 1 has from it. */
struct inside {
    const struct container *container;
    const struct limits *limits;
    struct command command;
};

/* In a new process of the runtime: report over SOCKET, end with the runtime, and where the process
 * has users of its own, become root of them. */
void set_up_child(int socket, bool own_users);

/* Wait for the COUNT mounts that the runtime makes for this process, and return their descriptors.
 */
const int *receive_mounts(int count);

/* Become the container. Ends by execve(2), or by a report and _exit(2). */
__attribute__((noreturn)) void become_container(const struct inside *inside);

#endif
