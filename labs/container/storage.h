/*
 * storage.h - what may be large and lies on a disk: the base of a container, where it had to be
 * made, and its layer with --layer DIR.
 */
#ifndef CONTAINER_STORAGE_H
#define CONTAINER_STORAGE_H

#include "container.h"

/* Create CONTAINER's own base directory, empty, below /var/lib/container-labs or
 * $CONTAINER_LABS_STATE/+bases: /run, in memory, is too small. *PATH is where. Returns its
 * descriptor, or -1 with errno. */
int storage_make_base(const struct container *container, const char **path);

/* Create the directory of CONTAINER's layer, and open it. Returns it, or -1 with errno. */
int storage_make_layer(const struct container *container);

/* These return 0, or -1 after a warning. Remove CONTAINER's layer. */
int storage_remove_layer(const struct container *container);

/* Remove CONTAINER's layer and base. The caller has the lock of its directory. */
int storage_remove(const struct container *container);

/* Remove bases without a container: a restart of the machine empties /run only. */
int storage_sweep(void);

#endif
