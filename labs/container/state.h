/*
 * state.h - which containers there are, as names in a directory.
 *
 *     /run/container-labs.service/   for root only; locked while names in it are added or removed
 *         +address-10.209.0.2        a claim: a symbolic link to the name of its owner. symlink(2)
 *                                    fails where the claim exists already.
 *         NAME/                      a container
 *             state                  what is known about it
 *             log                    its output
 *
 * The runtime of a container holds the lock of NAME/ as long as it lives; the kernel releases the
 * lock however the runtime ends. If the lock is free, the runtime is dead, and the next command
 * removes what it has left (sweep.c). After a restart of the machine /run is empty.
 */
#ifndef CONTAINER_STATE_H
#define CONTAINER_STATE_H

#include "container.h"

/* Lock the directory of all containers. MAKE: create it where it is missing. Returns 0 or -1 with
 * errno (ENOENT: there are no containers; ETIMEDOUT: see lock.h); 0 if this process has the lock
 * already. */
int state_lock(bool make);

/* Release the lock, and remove the directory if it is empty. */
void state_unlock(void);

/* Under the lock: create CONTAINER's directory and lock it. Returns 0, or -1 with errno (EEXIST).
 */
int state_claim_name(struct container *container);

/* Under the lock: claim KIND-VALUE for CONTAINER. Returns 0, or -1 with errno (EEXIST); then the
 * name of the owner is in OWNER (NAME_SIZE bytes). */
int state_claim(const struct container *container, const char *kind, const char *value,
                char *owner);

/* Under the lock: whether there is a claim that begins with PREFIX: 1 or 0, or -1 with errno. */
int state_has_claim(const char *prefix);

/* Under the lock: whether each claim is of a container that has a directory. Else, or where that
 * cannot be told, false after a warning. */
bool state_claims_are_owned(void);

/* Under the lock: remove CONTAINER's claims and, unless KEEP, its directory, last. Returns 0, or -1
 * after a warning. */
int state_remove(const struct container *container, bool keep);

/* Record that of an ended CONTAINER only its directory is left. */
void state_mark_cleared(struct container *container);

/* Whether the runtime of a loaded container lives: 1 or 0, or -1 with errno. */
int state_is_running(const struct container *container);

/* Call EACH with every container. Returns 0, or -1 after a warning where one, or the directory,
 * cannot be read. */
int state_for_each(void (*each)(const struct container *container, void *argument), void *argument);

/* The file `state`, a record (record.h) of lines KEY=VALUE: write down what is known of CONTAINER
 * by now. Returns 0, or -1 with errno. */
int state_save(const struct container *container);

/* Read what is known of NAME. Strings live as long as the process. Returns 0, or -1 with errno:
 * ENOENT if no container has this name, or its record is not written yet; EBADMSG where the file is
 * damaged. Name and directory are set in any case. */
int state_load(struct container *container, const char *name);

/* After state_load() has failed with errno: what is wrong and what to do, in a static buffer. */
const char *state_trouble(const struct container *container);

#endif
