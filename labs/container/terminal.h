/*
 * terminal.h - a pseudo terminal between the runtime's terminal and the container's processes.
 */
#ifndef CONTAINER_TERMINAL_H
#define CONTAINER_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

/* Inside: open a new terminal in the devpts whose root TERMINALS is, make it the controlling
 * terminal and the standard streams of this process, show it as /dev/console where there is such a
 * file, and send its master to the runtime. Failures end by fail(). pts(4) */
void terminal_open(int terminals, uid_t owner, unsigned short rows, unsigned short columns);

/* The other end of the terminal whose MASTER we have. By the master and not by a path: it is this
 * terminal and no other. Returns a descriptor, or -1 with errno, and where MASTER is -1. pts(4) */
int terminal_open_slave(int master);

/* Outside: the size of our own terminal. */
void terminal_size(unsigned short *rows, unsigned short *columns);

/* Let every key through to the container, Ctrl-C included, until terminal_restore(). Nothing
 * happens where standard input is not a terminal. */
void terminal_make_raw(void);
void terminal_restore(void);

/* Set the size of the terminal behind MASTER to that of standard input. */
void terminal_resize(int master);

/* Fork: the child returns and does the work; the parent waits for it, restores the terminal if the
 * child could not, and exits with its status. The returned descriptor is at end of file when the
 * parent is dead. Returns -1, without a fork, where standard input is not a terminal. */
int terminal_guard(void);

#endif
