/*
 * binary.h - the runtime's own file must not be within reach of a container.
 *
 * A process that `exec` brings into a container is still this program until it is the command, and
 * /proc/PID/exe is a way to the file that it came from: whoever inside is quick, and allowed to
 * look into other processes, could open it and write to it later (CVE-2019-5736; launch.c is the
 * other half of the answer). So `exec` begins anew from a read-only view of its file that is
 * mounted nowhere: through that way the kernel lets nobody write, however root he is. `run` needs
 * it not: when it goes through the container, nobody else is in there.
 */
#ifndef CONTAINER_BINARY_H
#define CONTAINER_BINARY_H

/* Execute this program again, with the same arguments, from such a view. Returns at once where that
 * is done already. Ends by fail() where it cannot be done. */
void protect_binary(char *argv[]);

#endif
