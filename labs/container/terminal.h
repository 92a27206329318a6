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
void terminal_become(int terminals, uid_t owner, unsigned short rows, unsigned short columns);

/* Outside: the size of our own terminal. */
void terminal_size(unsigned short *rows, unsigned short *columns);

/* Let every key through to the container, Ctrl-C included, until terminal_restore(). Nothing
 * happens where standard input is no terminal. */
void terminal_make_raw(void);
void terminal_restore(void);

/* Give the terminal behind MASTER the size of ours. */
void terminal_resize(int master);

/* Fork, so that two processes mind our terminal: the child goes on and does the work; the parent
 * waits for it, and restores the terminal if the child could not, then ends as the child did. The
 * child learns from the returned descriptor, at end of file, that the parent is no more. -1, and
 * nothing else, where standard input is no terminal. */
int terminal_guard(void);

#endif
