/*
 * archive.h - read a tar, packed or not, and write its members below the root directory of this
 * process, by libarchive(3).
 *
 * The library is loaded only where an archive is given, so that no other start waits for it. It
 * reads what it is given in a process that has no more rights than the container (unpack.h): links
 * and names of members lead nowhere but into that root.
 */
#ifndef CONTAINER_ARCHIVE_H
#define CONTAINER_ARCHIVE_H

#include <stdbool.h>

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

#endif
