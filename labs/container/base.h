/*
 * base.h - what the overlay of a container lies over: a directory, a tar that is unpacked, or
 * busybox.
 */
#ifndef CONTAINER_BASE_H
#define CONTAINER_BASE_H

#include "container.h"

/* Exit with one line where SPEC's root is neither a directory with something in it nor a file. */
void check_root(const struct specification *spec);

/* Whether SPEC's root has to be unpacked, which may take long. */
bool base_is_packed(const struct specification *spec);

/* Open the base of CONTAINER; what has to be made first is made in CONTAINER's directory. ARCHIVE
 * is a descriptor of an archive, or -1 where the root is a path; PIDFD and WAIT_FOR are those of
 * unpack_archive(). Errors end by give_up(). Returns a descriptor of the directory. */
int open_base(const struct container *container, int archive, int *pidfd, void (*wait_for)(int fd));

#endif
