/*
 * monitor.h - the runtime while a container runs: it transfers input and output, forwards signals,
 * and waits for the end.
 */
#ifndef CONTAINER_MONITOR_H
#define CONTAINER_MONITOR_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The process, and the descriptors to transfer between; -1: none. */
struct monitored {
    pid_t pid; /* in our PID namespace; 0: not known, or it handles all signals */
    int pidfd;
    void (*killed)(void);     /* after SIGKILL, where others end with it; NULL: they do not */
    bool started;             /* it has become the command, or is about to */
    int input, output, error; /* our ends of its standard streams */
    int master;               /* of its terminal, instead of these */
    bool interactive;         /* hand on what is typed there */
    int guard;                /* end of file: the process that minds our terminal is dead */
    int signals;              /* see open_signals() */
    const char *log;          /* keep what it says in this file, and the file before it in LOG.old;
                               * where it cannot be written any more, it becomes LOG.cut */
    bool quiet;               /* do not print it */
};

#define MONITORED_NOTHING                                                                          \
    (struct monitored)                                                                             \
    {                                                                                              \
        .pidfd = -1, .input = -1, .output = -1, .error = -1, .master = -1, .guard = -1,            \
        .signals = -1                                                                              \
    }

/* Wait until the process has ended and its output is transferred; meanwhile keys of our terminal go
 * to its own. Returns its status of wait(2).
 * Where a signal had to kill it, because process 1 has no handler, the signal is in *ASKED, else 0.
 */
int monitor(const struct monitored *monitored, int *asked);

/* log.c: what a container prints, kept in a file: the newest MiB at least, and at most twice as
 * much. Add LENGTH BYTES to the log PATH. What it had before, when it is full, is PATH.old; where
 * it cannot be written any more it becomes PATH.cut, after a warning. */
void log_write(const char *path, const char *bytes, size_t length);
void log_close(void);

#endif
