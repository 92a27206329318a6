/*
 * state.h - what is known about the containers of this machine, in files.
 *
 *     /run/container-labs.service/   only root may enter; its lock is held while names in it come
 *         +address-10.209.0.2        and go. A name with a plus is a claim, a link that names its
 *         NAME/                      owner: symlink(2) makes it if nobody else has.
 *             state                  key=value, a line each
 *             log                    what the container said
 *     /var/lib/container-labs/NAME   its root file system, where that had to be made: too large for
 *                                    a file system in memory, as /run is one
 *
 * The runtime of a container holds the lock of NAME/ as long as it lives, and the kernel lets go of
 * it however it ends. So a directory whose lock can be had belongs to nobody any more, and the next
 * command sweeps it. A restart of the machine needs no care of its own.
 */
#ifndef CONTAINER_STATE_H
#define CONTAINER_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "specification.h"

struct container {
    struct specification spec;
    char *text;                   /* read from the file; the strings of SPEC point into it */
    char directory[PATH_MAX / 2]; /* absolute */
    int lock;                     /* of the directory; -1: not ours */
    pid_t pid, runtime;           /* process 1, and the process that watches it; 0: none */
    unsigned long long pid_began, runtime_began; /* clock ticks since boot, against reused PIDs */
    uid_t first_id; /* user 0 inside is this one outside, and 65535 follow; 0: no user namespace */
    struct in_addr address; /* on the bridge; 0: none */
    time_t began;
    bool ended;
    bool cleared;     /* after its end: nothing but its directory is left of it */
    int status;       /* the exit status, once it has ended */
    char reason[128]; /* in words, where a signal or the lack of memory ended it */
};

/* The directory of all containers: $CONTAINER_LABS_STATE or /run/container-labs.service. */
const char *state_directory(void);

/* Make CONTAINER's own base directory, empty. *PATH is where. Returns its descriptor, or -1 with
 * errno. It is below /var/lib/container-labs, or $CONTAINER_LABS_STATE/+bases. */
int state_make_base(const struct container *container, const char **path);

/* Lock the directory of all containers. MAKE: make it where it is missing. Returns 0 or -1 with
 * errno (ENOENT: there are no containers; ETIMEDOUT: see lock.h). Who has the lock keeps it. */
int state_lock(bool make);

/* Let go of it, and remove it if nothing is in it any more. */
void state_unlock(void);

/* Without the lock, before it is taken: end what dead runtimes have left running, and remove what
 * may be large. The lock of NAME/ is enough for that, and nobody else has to wait for it. */
void state_sweep_large(void);

/* Under the lock: remove all else that dead runtimes have left behind. */
void state_sweep(void);

/* Under the lock: make CONTAINER's directory and lock it. Returns 0, or -1 with errno (EEXIST). */
int state_claim_name(struct container *container);

/* Claim KIND-VALUE for CONTAINER. Returns 0, or -1 with errno (EEXIST); then the name of the owner
 * is in OWNER (NAME_SIZE bytes) if that is not NULL. */
int state_claim(const struct container *container, const char *kind, const char *value,
                char *owner);

/* Whether there is a claim that begins with PREFIX. */
bool state_has_claim(const char *prefix);

/* Write down what is known of CONTAINER before it runs. Returns 0 or -1 with errno. */
int state_save(const struct container *container);

/* Add what has become known since: its process, or how it has ended. */
int state_add(const struct container *container);

/* Read what is known of NAME. Strings live as long as the process. Returns 0 or -1 with errno. */
int state_load(struct container *container, const char *name);

/* Whether the runtime of a loaded container lives. */
bool state_is_running(const struct container *container);

/* Call EACH with every container. Those that are just being made or removed are left out. */
void state_for_each(void (*each)(const struct container *container, void *argument),
                    void *argument);

/* Make the directory of CONTAINER's layer on a disk, and open it. Returns it, or -1 with errno. */
int state_make_layer(const struct container *container);
void state_remove_layer(const struct container *container);

/* The name of PATH below CONTAINER's directory, in one of four static buffers. */
const char *state_path(const struct container *container, const char *path);

/* Remove CONTAINER's layer and base: for who has the lock of its directory. */
void state_remove_large(const struct container *container);

/* Remove CONTAINER's claims and, unless KEEP, its directory. Under the lock. */
void state_remove(const struct container *container, bool keep);

/* Write down, where the directory of an ended CONTAINER stays, that the rest of it is gone. */
void state_cleared(struct container *container);

#endif
