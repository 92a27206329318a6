/*
 * place.h - the machine of its own in which a student's program is compiled and tried.
 *
 * Its root is the root of a user namespace, an unprivileged user of the real machine. The kernel
 * then refuses what reaches beyond the other namespaces: settings and devices of the machine, files
 * of root, super blocks. Its file system is a tmpfs with what programs need (/usr, /etc, /lib...),
 * read-only. These mounts belong to the namespace above, so they are locked: nothing inside
 * unmounts them or makes them writable (mount_namespaces(7), "Restrictions on mount namespaces").
 *
 * All that takes no root of the machine: without it, the user namespace above is one that the
 * caller has made, see rootless.h. With further IDs, root inside is one of these, else the caller's
 * own.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"

enum { PLACE_FILES = 8 };

struct place {
    const char *program;            /* NULL, or what $PROGRAM runs, under the eyes of the guard */
    const char *files[PLACE_FILES]; /* copied to /run/exercise; the last one is NULL */
    const char *layers;             /* NULL, or a directory; see place_read_layers() */
    int result;                     /* -1, or where /tmp/result goes after a success */
    bool user;                      /* the command runs as an ordinary user, not as root */
    char **command;
    struct lab_cgroup *group; /* with the limits, or NULL */

    /* place_start() sets: */
    unsigned first; /* which ID is root inside */
    bool has_ids;   /* and others are more; else it is the caller's, and the only one inside */
    int host_name;  /* its UTS namespace, open */
    int processes;  /* its /proc, open */
};

/* Build PLACE and start its PID 1, which runs the command (not with layers: then it waits) and ends
 * with the command's status. What the command prints goes to OUTPUT. Returns the PID. */
pid_t place_start(struct place *place, int output);

/* Run the command in PLACE, whose PID 1 is INIT, as a process that reads trusted.* attributes: that
 * takes CAP_SYS_ADMIN of the real machine, so of all system calls it has only those that read
 * files. Its working directory is a read-only view of layers. Returns the PID of a process that
 * ends as the command does. */
pid_t place_read_layers(const struct place *place, pid_t init, int output);

/* Was the command run, and has nothing of the sandbox's own failed inside? Only its processes can
 * tell, nothing that the command does. */
bool place_has_run(void);

/* The host name that the place has before the command changes it. */
extern const char PLACE_HOST_NAME[];

#endif
