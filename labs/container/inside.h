/*
 * inside.h - the process that becomes the container, from its first moment to execve(2).
 */
#ifndef CONTAINER_INSIDE_H
#define CONTAINER_INSIDE_H

#include "command.h"
#include "container.h"
#include "limits.h"

/* What the process has from the runtime. */
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
