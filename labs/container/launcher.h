/* launcher.h - the program of launch.c, carried along as data. */
#ifndef CONTAINER_LAUNCHER_H
#define CONTAINER_LAUNCHER_H

/* A sealed file in memory with that program: memfd_create(2), fcntl(2) */
int open_launcher(void);

#endif
