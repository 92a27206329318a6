/*
 * container.h - what is known about one container, and the directory where it is kept.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "specification.h"

struct container {
    struct specification spec;
    char *text;                   /* of the state file; the strings of SPEC point into it */
    char directory[PATH_MAX / 2]; /* absolute */
    int lock;                     /* of the directory; -1: another process has it, or none */
    pid_t pid, runtime;           /* process 1, and the process that waits for it; 0: none */
    unsigned long long pid_began, runtime_began; /* clock ticks since boot, against reused PIDs */
    char runtime_name[32]; /* the runtime's PID as lab_unique_pid() has it, for names */
    const char
        *group_base; /* without root: the directory below which its control group is, or NULL */
    uid_t first_id;  /* user 0 inside is this one outside, and 65535 follow; 0: no user namespace */
    struct in_addr address;   /* on the bridge; 0: none */
    unsigned long long layer; /* the inode of its layer in a directory; 0: none */
    time_t began;
    bool ended;
    bool cleared;     /* it has ended, and only its directory is left */
    int status;       /* the exit status, once it has ended */
    char reason[128]; /* why it ended, where a signal or the lack of memory is the cause */
};

/* Whether CONTAINER is being made yet, as while an archive is unpacked. */
bool is_starting(const struct container *container);

/* The directory of all containers: $CONTAINER_LABS_STATE, or lab_runs() of rootless.h with
 * ".service" after it: /run/container-labs.service, without root a private directory of the user.
 */
const char *state_directory(void);

/* Exit with one line where another user can change what is in it: a forged state would name any
 * process as the container's. It is the caller's, of mode 0700, and its parents are root's or the
 * caller's, and not writable by others unless they are sticky. */
void check_state_directory(void);

/* Check what leads to PATH, from / on; a directory that others can change ends the program. */
void check_parents(const char *path);

/* The name of PATH below CONTAINER's directory, in one of four static buffers. */
const char *state_path(const struct container *container, const char *path);

#endif
