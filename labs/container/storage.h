/*
 * storage.h - what may be large and lies on a disk: the base of a container, what its overlay lies
 * over (a directory, or made of a tar or of busybox), and its layer with --layer DIR.
 */
#ifndef CONTAINER_STORAGE_H
#define CONTAINER_STORAGE_H

#include "container.h"

/* Exit with one line where SPEC's root is neither a directory with something in it nor a file. */
void check_root(const struct specification *spec);

/* Whether SPEC's root has to be unpacked, which may take long. */
bool base_is_packed(const struct specification *spec);

/* Open the base of CONTAINER; what has to be made first is made in /var/lib/container-labs/+bases
 * or $CONTAINER_LABS_STATE/+bases: /run, in memory, is too small. ARCHIVE is a descriptor of an
 * archive, or -1 where the root is a path; PIDFD and WAIT_FOR are those of unpack_archive(). Errors
 * end by give_up(). Returns a descriptor of the directory. */
int open_base(const struct container *container, int archive, int *pidfd,
              void (*wait_for)(int fd, int milliseconds));

/* Create the directory of CONTAINER's layer, and open it. Returns it, or -1 with errno. */
int storage_make_layer(struct container *container);

/* These return 0, or -1 after a warning. Remove CONTAINER's layer. */
int storage_remove_layer(const struct container *container);

/* Remove CONTAINER's layer and base. The caller has the lock of its directory. */
int storage_remove(const struct container *container);

/* Remove bases without a container: a restart of the machine empties /run only. */
int storage_sweep(void);

#endif
