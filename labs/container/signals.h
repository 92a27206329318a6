/* signals.h - the signals that a command of lab 09 waits for, and waiting for something else beside
 * them. */
#ifndef CONTAINER_SIGNALS_H
#define CONTAINER_SIGNALS_H

#include <stdbool.h>

/* Those that ask a program to end. */
enum { END_SIGNALS = 4 };
extern const int end_signals[END_SIGNALS];
bool is_end_signal(unsigned signal);

/* Block these and others that are forwarded to a container, but for those that the caller ignores,
 * and ignore those that a failed write makes. Returns a signalfd(2) for the blocked ones. */
int open_signals(void);

/* In a child: none is blocked, and a failed write ends it. */
void let_signals_through(void);

/* The pending signal that asks for the end, which is then consumed; 0: none. */
int pending_end_signal(void);

/* Whether poll(2), which has failed with errno, is to be called again; that stays. Where the limit
 * of open files was lowered meanwhile, it fails each time. */
bool may_poll_again(void);

/* Wait until FD can be read, before there is a process to forward signals to, or until PROCESS, a
 * pidfd or -1, has ended, or until MILLISECONDS (-1: without end) are over. Returns 0, or -1 where
 * FD cannot be read as PROCESS has ended, or the one of SIGNALS, the descriptor of
 * open_signals(), that asks a program to end: it comes first. */
int wait_readable(int fd, int process, int signals, int milliseconds);

#endif
