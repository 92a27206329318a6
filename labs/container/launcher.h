/* launcher.h - the program of launch.c, carried along as data. */
#ifndef CONTAINER_LAUNCHER_H
#define CONTAINER_LAUNCHER_H

/* A file in memory with that program, which nobody can change any more: memfd_create(2), fcntl(2)
 * F_ADD_SEALS. Fails by fail(). */
int open_launcher(void);

#endif
