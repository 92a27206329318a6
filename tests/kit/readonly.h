/* readonly.h - a process that reads trusted.* attributes, and changes nothing. */
#ifndef READONLY_H
#define READONLY_H

/* Become the user USER with one capability, CAP_SYS_ADMIN, which getxattr(2) demands for trusted.*
 * (xattr(7)). It would also mount, freeze file systems and load programs into the kernel. So of all
 * system calls only those remain with which a program starts, reads files and prints; the others
 * fail with EPERM. Both hold for what the process executes. */
void allow_reading_only(unsigned user);

#endif
