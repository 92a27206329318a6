/*
 * sweep.h - remove what containers have left whose runtime was killed: processes, control groups,
 * files, claims, the bridge.
 */
#ifndef CONTAINER_SWEEP_H
#define CONTAINER_SWEEP_H

#include <stdbool.h>

/* Do it, and keep the lock of all containers, which state_unlock() releases. MAKE: also where there
 * are no containers yet. Returns whether nothing is left of them. Ends by lab_lock_die(). */
bool lock_and_sweep(bool make);

#endif
