/*
 * state_file.h - the file `state` of a container, a record (record.h) of lines KEY=VALUE.
 */
#ifndef CONTAINER_STATE_FILE_H
#define CONTAINER_STATE_FILE_H

#include "container.h"

/* Write down what is known of CONTAINER by now. Returns 0, or -1 with errno. */
int state_save(const struct container *container);

/* Read what is known of NAME. Strings live as long as the process. Returns 0, or -1 with errno:
 * ENOENT where there is no such container, or none yet; EBADMSG where the file is damaged. Name and
 * directory are set in any case. */
int state_load(struct container *container, const char *name);

/* After state_load() has failed with errno: what is wrong and what to do, in a static buffer. */
const char *state_trouble(const struct container *container);

#endif
