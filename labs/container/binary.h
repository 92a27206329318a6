/*
 * binary.h - the runtime's own file must not be within reach of a container.
 *
 * A process that `exec` starts in a container executes the runtime's file until it executes the
 * command, and /proc/PID/exe is a path to that file. A process inside that may trace others could
 * open it, and write to it later (CVE-2019-5736; launch.c is the other half of the answer). So
 * `exec` executes itself again from a read-only, unattached mount of its file: the kernel refuses
 * every write through it, to root too. `run` does not need it: while its process goes through the
 * container, no other process is in there.
 */
#ifndef CONTAINER_BINARY_H
#define CONTAINER_BINARY_H

/* Execute this program again, with the same arguments, from such a view. Returns at once where that
 * is done already. Ends by fail() where it cannot be done. */
void protect_binary(char *argv[]);

/* The program of launch.c, in a sealed file in memory: memfd_create(2), fcntl(2) */
int open_launcher(void);

#endif
