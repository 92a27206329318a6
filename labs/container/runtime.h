/*
 * runtime.h - what the runtime of one container has: made by start.c, given back by end.c.
 */
#ifndef CONTAINER_RUNTIME_H
#define CONTAINER_RUNTIME_H

#include "container.h"
#include "limits.h"
#include "monitor.h"

/* The one container of this process. */
struct runtime {
    struct container container;
    struct limits limits;
    struct monitored monitored;
    pid_t owner; /* the process that clears up */
    int asked;   /* the signal that ended the start */
    time_t when; /* it came, or the end did */
    int ids;     /* the claim of its users */
    int base;    /* the base directory */
    int archive; /* ROOTFS is "-": what standard input was */
    int socket;  /* our end */
    bool claimed;
};

extern struct runtime run;

/* Give back all that the runtime has: for atexit(3). */
void clean_up(void);

/* Wait until the command has ended, and record how. Returns the exit status. */
int run_until_end(struct container *container);

#endif
