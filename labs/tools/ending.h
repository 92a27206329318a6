/*
 * ending.h - signals that ask a tool to end while it waits for a command.
 */
#ifndef LAB_ENDING_H
#define LAB_ENDING_H

#include <signal.h>
#include <sys/types.h>

/* For a tool that runs a command: block the signals that ask a process to end (SIGINT, SIGTERM,
 * SIGHUP, SIGQUIT). The mask before goes to *BEFORE, for the command. Returns a descriptor of
 * signalfd(2) that tells of them, or -1 with errno. */
int lab_ending_signals(sigset_t *before);

/* Wait until the process behind PIDFD has ended. The SIGNALS of lab_ending_signals() are passed on
 * to COMMAND, which decides what to do; Ctrl-C it has heard itself, from the terminal. Where
 * COMMAND is 0 the first of them ends the wait. Returns 0, or -1 with errno. */
int lab_wait_passing_on(int pidfd, int signals, pid_t command);

#endif
