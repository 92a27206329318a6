/*
 * state_file.h - the file `state` of a container: lines KEY=VALUE, where a later line replaces an
 * earlier one of its key, but for the keys of lists.
 */
#ifndef CONTAINER_STATE_FILE_H
#define CONTAINER_STATE_FILE_H

#include "container.h"

/* Write down what is known of CONTAINER before it runs. Returns 0 or -1 with errno. */
int state_save(const struct container *container);

/* Add what has become known since: its process, or how it has ended. */
int state_add(const struct container *container);

/* Read what is known of NAME. Strings live as long as the process. Returns 0 or -1 with errno. */
int state_load(struct container *container, const char *name);

#endif
