/*
 * rootfs.h - fill a directory so that programs run with it as their root.
 */
#ifndef LAB_ROOTFS_H
#define LAB_ROOTFS_H

#include <stddef.h>

/* The program loader that PROGRAM asks for, its ELF segment PT_INTERP (elf(5)): a path such as
 * /lib64/ld-linux-x86-64.so.2 is written to LOADER (SIZE bytes), "" for a static program.
 * Returns 0, or -1 with errno; ENOEXEC where PROGRAM is no ELF file of this machine's word size. */
int lab_loader_of(const char *program, char *loader, size_t size);

/* Copy PROGRAM, a path or a name to look up in PATH, and what ldd(1) names for it to the same
 * absolute paths below ROOT, an open directory. Exits where ldd fails or a library is missing.
 * Links are followed on the outside and resolved inside ROOT on the inside. Returns 0, or -1 with
 * errno. */
int lab_copy_program(int root, const char *program);

/* Find a busybox: $BUSYBOX, or else busybox.static, busybox in PATH. A static one is preferred.
 * Returns its path in PATH (SIZE bytes) and 0, or -1 with errno. */
int lab_find_busybox(char *path, size_t size);

/* Make a root file system in the existing, empty directory ROOT: BUSYBOX (with its libraries, where
 * it is dynamic) in /bin, a link for each of its applets, and the files and directories a shell and
 * a runtime expect; /dev stays empty, as in an image. Directories get 0755 less the umask(2).
 * BUSYBOX is run (--list) before anything is made.
 * Returns the number of applets linked, or -1 with errno: ENOEXEC where this machine cannot run
 * BUSYBOX, EINVAL where it is not a busybox (its list of applets has no sh). What was made before a
 * failure stays. */
int lab_make_rootfs(const char *root, const char *busybox);

#endif
