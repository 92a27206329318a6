/* tar.h - unpack an archive that nobody has to trust. */
#ifndef CONTAINER_TAR_H
#define CONTAINER_TAR_H

/* Unpack the tar behind the descriptor ARCHIVE (NAME in messages; plain, or packed by gzip, xz,
 * bzip2 or zstd, whose program is run then) into the empty directory INTO. A member that would lead
 * out of it, by "..", by a link on its way or by a hard link, ends it by give_up(). Devices are
 * left out. WAIT_FOR is called before each read, to wait until there is something; it may exit. */
void tar_unpack(int archive, const char *name, int into, void (*wait_for)(int fd));

#endif
