/*
 * file.h - descriptors that close themselves, small files read and written whole, and paths that
 * are resolved inside a root directory.
 */
#ifndef LAB_FILE_H
#define LAB_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Declare a descriptor that is closed at the end of its block (not by exit(3)); -1 is none. */
void lab_close_fd(int *fd);
#define lab_fd __attribute__((cleanup(lab_close_fd))) int

/* Take the descriptor out of such a variable: it is the caller's now, and the variable has none. */
int lab_take_fd(int *fd);

/* Declare a string of malloc(3) that is freed at the end of its block. */
void lab_free_string(char **string);
#define lab_string __attribute__((cleanup(lab_free_string))) char *

/* Read the file PATH into BUFFER (SIZE bytes, ended by NUL, a last newline removed).
 * Returns its length, or -1 with errno; EFBIG where it does not fit. */
ssize_t lab_read_file(const char *path, char *buffer, size_t size);

/* Returns 1 where PATH is there (a link counts, wherever it leads), 0 where it is not, -1 with
 * errno where that cannot be told. */
int lab_is_there(const char *path);

/* After libc has looked for NAME in FILE, "/etc/passwd" or "/etc/group", and has found less than it
 * might: end the program where that cannot be relied on. errno is what getpwnam(3) has left (0
 * before it), and ERANGE is a line longer than its first buffer. With more than one service in
 * nsswitch.conf(5) errno is that of the last one; so FILE must be readable, too, if it is there. */
void lab_must_have_read(const char *file, const char *name);

/* Call EACH with the names in the directory PATH, but for "." and "..", until it returns another
 * value than 0; DIRECTORY is a descriptor of the directory. Returns that value, or 0 after the last
 * name, or -1 with errno where the directory cannot be opened or read. */
int lab_each_name(const char *path, int (*each)(int directory, const char *name, void *argument),
                  void *argument);

/* What follows the next newline of TEXT, NULL after the last one. */
const char *lab_next_line(const char *text);

/* Write TEXT to FD by one write(2), as the files of /proc and /sys want it. Returns 0, or -1 with
 * errno; where only a part was written, why the rest is refused, or EIO. */
int lab_write_once(int fd, const char *text);

/* The same to the file PATH, which must exist: it is opened without O_CREAT. */
int lab_write_file(const char *path, const char *text);

/* Whether two results of stat(2) are of one inode. */
bool lab_same_file(const struct stat *one, const struct stat *other);

/* openat2(2): open PATH below DIRECTORY with the FLAGS of open(2), close-on-exec, resolved as
 * RESOLVE (RESOLVE_...) says; MODE for O_CREAT, else 0. While others mount or rename, the kernel
 * may not be sure that a ".." stays inside and says EAGAIN: then it is tried again, many times.
 * Returns the descriptor, or -1 with errno; where DIRECTORY is -1, with the present one. */
int lab_openat2(int directory, const char *path, int flags, mode_t mode,
                unsigned long long resolve);

/* Make the directory PATH below the directory ROOT, parents included. Links are resolved inside
 * ROOT (openat2(2), RESOLVE_IN_ROOT), so an absolute link in ROOT does not lead out of it.
 * Returns a descriptor of the directory (O_PATH), or -1 with errno. */
int lab_make_directory_in(int root, const char *path);

/* Make or replace the file PATH below the directory ROOT with MODE and the contents of the file
 * SOURCE; parents are made, links on the way are resolved as above. It takes the place of what was
 * there at once and whole, by rename(2), and what is SOURCE itself is left as it is.
 * Returns 0, or -1 with errno, and nothing is replaced. */
int lab_copy_file_in(int root, const char *path, const char *source, mode_t mode);

/* The same with TEXT as the contents. */
int lab_write_text_in(int root, const char *path, const char *text, mode_t mode);

#endif
