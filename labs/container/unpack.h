/*
 * unpack.h - make a root file system of an archive, in a process with the container's rights.
 *
 * The process has namespaces of its own, the new root file system as its root, the container's
 * users and capabilities, and the system call filter. An archive that exploits a fault in the
 * library reaches nothing else of the machine.
 */
#ifndef CONTAINER_UNPACK_H
#define CONTAINER_UNPACK_H

#include "container.h"

/* Unpack the archive behind the descriptor ARCHIVE, with its layers where it is an image, into the
 * empty directory BASE of CONTAINER. While the process is there, *PIDFD is its pidfd, else -1.
 * WAIT_FOR is called to wait until a descriptor can be read; it may exit. Errors end by give_up().
 */
void unpack_archive(const struct container *container, int archive, int base, int *pidfd,
                    void (*wait_for)(int fd));

#endif
