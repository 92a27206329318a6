/* readonly.h - processes that may not make all system calls: some sockets, or reading alone. */
#ifndef READONLY_H
#define READONLY_H

/* Become the user USER with one capability, CAP_SYS_ADMIN, which getxattr(2) demands for trusted.*
 * (xattr(7)). It would also mount, freeze file systems and load programs into the kernel. So of all
 * system calls only those remain with which a program starts, reads files and prints; the others
 * fail with EPERM. Both hold for what the process executes. */
void allow_reading_only(unsigned user);

/* From now on no other file is executed than COMMAND and the loader of programs, landlock(7), Linux
 * 5.13: on a kernel without it, any. It needs CAP_SYS_ADMIN in its user namespace. */
void execute_only(const char *command);

/* From now on, also for what the process executes: the filters of common/sockets.h and
 * common/core_limit.h, and no rings of packets, no io_setup and no io_uring_setup. It needs
 * CAP_SYS_ADMIN in its user namespace, or no_new_privs. */
void refuse_sockets_and_cores(void);

#endif
