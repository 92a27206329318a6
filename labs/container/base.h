/*
 * base.h - what the overlay of a container lies over: a directory, a tar that is unpacked, or
 * busybox.
 */
#ifndef CONTAINER_BASE_H
#define CONTAINER_BASE_H

#include "state.h"

/* Exit with one line where SPEC's root is neither a directory with something in it nor a file. */
void check_root(const struct specification *spec);

/* Open the base of CONTAINER; what has to be made first is made in CONTAINER's directory. Errors
 * end by give_up(). Returns a descriptor of the directory. */
int open_base(const struct container *container);

#endif
