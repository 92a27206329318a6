/*
 * unpack.h - make a root file system of an archive, in a process with the container's rights.
 *
 * The process has namespaces of its own, the new root file system as its root, the container's
 * users and capabilities, and the system call filter. An archive that exploits a fault in the
 * library reaches nothing else of the machine: links and names of members lead only into that root.
 * libarchive(3) is loaded only where an archive is given, so that no other start waits for it.
 */
#ifndef CONTAINER_UNPACK_H
#define CONTAINER_UNPACK_H

#include <stdbool.h>

#include "container.h"

/* Unpack the archive behind the descriptor ARCHIVE, with its layers where it is an image, into the
 * empty directory BASE of CONTAINER. While the process is there, *PIDFD is its pidfd, else -1.
 * WAIT_FOR is called to wait until a descriptor can be read; it may exit. Errors end by give_up().
 */
void unpack_archive(const struct container *container, int archive, int base, int *pidfd,
                    void (*wait_for)(int fd, int milliseconds));

/* Load the library; before the root changes, as what is in the new one is not trusted. OWN_USERS:
 * members may belong to users of the container alone. Ends by give_up() where there is no library.
 */
void load_libarchive(bool own_users);

enum archive_kind {
    ARCHIVE_PLAIN, /* links to directories stay where the archive has a directory of that name */
    ARCHIVE_LAYER, /* a layer of an image: what it has replaces what was there */
};

/* Write the members of the archive behind the descriptor FD, NAME in messages, below /. Devices,
 * extended attributes and file capabilities are left out. Of a layer, whiteouts are left out.
 * Returns the number of members; errors end by fail() or give_up(). */
int extract_archive(int fd, const char *name, enum archive_kind kind);

/* Remove what the layer behind FD hides in the layers below it: DIRECTORY/.wh.NAME hides NAME,
 * DIRECTORY/.wh..wh..opq all that DIRECTORY has. To be called before extract_archive(). The OCI
 * image specification, "Image Layer Filesystem Changeset". */
void apply_whiteouts(int fd, const char *name);

/* Remove all entries of the directory PATH; one that is not there is fine. Ends by fail(). */
void empty_directory(const char *path);

/* An image as `docker save`, podman and skopeo write it is a tar that holds layers, each a tar
 * itself, and a description in JSON (the OCI image specification, "Image Layout"). Where the tree
 * below / is an image, from the archive NAME, put the root file system that its layers make in its
 * place. Any other tree stays as it is. Errors end by fail() or give_up(). */
void image_apply(const char *name);

#endif
