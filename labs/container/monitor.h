/*
 * monitor.h - the runtime while a container runs: it carries what is typed and said, hands on
 * signals, and waits.
 */
#ifndef CONTAINER_MONITOR_H
#define CONTAINER_MONITOR_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Who is watched, and what there is to carry. Descriptors that are not there are -1. */
struct watched {
    pid_t pid; /* in our PID namespace; 0: not known, or it hears all */
    int pidfd;
    int input, output, error; /* our ends of its standard streams */
    int master;               /* of its terminal, instead of these */
    bool interactive;         /* hand on what is typed there */
    int guard;                /* end of file: the process that minds our terminal is dead */
    int signals;              /* signalfd(2) */
    const char *log;          /* keep what it says in this file, and the file before it */
    bool quiet;               /* do not print it */
};

/* Block the signals that monitor() takes care of, and make the descriptor that tells of them. */
int monitor_signals(void);

/* Which of them, that asks a program to end, has come meanwhile; 0: none. It is taken. */
int monitor_asked(void);

/* Wait until FD can be read, before there is a process to hand signals on to. Returns 0, or the one
 * of SIGNALS, the descriptor of monitor_signals(), that asks a program to end: it comes first. */
int monitor_until(int fd, int signals);

/* Wait until the process has ended and all that it said is carried. Returns its status of wait(2).
 * A signal that came and would not have been heard by a process 1 ends it as it would have ended
 * another: then it is in *ASKED, else 0. */
int monitor(const struct watched *watched, int *asked);

/* Whether process PID would do anything about SIGNAL. The kernel keeps from a process 1 what it has
 * no handler for. */
bool process_hears(pid_t pid, int signal);

#endif
