/*
 * record.h - small files that say what is to be undone later. A part of one must not be taken for
 * all of it, so each says what it is, and where it ends:
 *
 *     container-labs state 1      its kind, and the version of the format
 *     ...
 *     end
 */
#ifndef LAB_RECORD_H
#define LAB_RECORD_H

#include <stddef.h>

/* Read what stands between the first line and the last of the record PATH, of KIND ("state"), into
 * TEXT, SIZE bytes. Links are not followed. Returns 0, or -1 with errno: ENOENT where there is
 * none; EPERM where it is not a file that the caller alone can write; EBADMSG where it is damaged,
 * or of another kind or version. */
int lab_record_read(const char *path, const char *kind, char *text, size_t size);

/* Write the record PATH with TEXT, whole lines, by way of PATH.new and rename(2): a reader finds
 * the old one or the new one. Returns 0, or -1 with errno and the old one as it was. */
int lab_record_write(const char *path, const char *kind, const char *text);

#endif
