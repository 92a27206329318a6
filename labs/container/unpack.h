/*
 * unpack.h - make a root file system of an archive, in a process that has no more rights than the
 * container will have.
 *
 * The process is in namespaces of its own, its root is the new root file system, it is root of the
 * container's users alone, and has the container's capabilities and system call filter. So an
 * archive that misleads it, or the library that reads it, reaches nothing else of the machine.
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
