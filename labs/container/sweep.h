/*
 * sweep.h - remove what containers have left whose runtime was killed: processes, control groups,
 * files, claims, the bridge.
 */
#ifndef CONTAINER_SWEEP_H
#define CONTAINER_SWEEP_H

#include <stdbool.h>

/* Before the lock of all containers is taken: kill the processes and remove the large files. The
 * lock of NAME/ is enough for that, so other commands need not wait. */
void sweep_large(void);

/* Under the lock of all containers: remove the rest. Returns whether nothing is left; what is was
 * named, and is tried again by the next command. */
bool sweep_rest(void);

#endif
