/*
 * run.h - one run of an experiment: what it owns, and how all of it goes away.
 *
 * An experiment owns few things that die together: private namespaces, which the kernel takes away
 * with the last process in them, and one directory, on whose name a tmpfs of the private mount
 * namespace lies. So there is nothing to undo, whatever ends the run:
 *
 *     supervisor          the process that was typed; it waits, kills what is left of its
 *       |                 descendants (it is their subreaper) and removes the directory
 *       +-- experiment    a child, in the private namespaces; killed when the supervisor dies
 *
 * Only kill -9 of the supervisor itself leaves a name behind, an empty directory in
 * /run/container-labs, or without root where lab_runs() says. It is locked as long as its run
 * lives; the next run sweeps those that are not.
 *
 * A run that needs control groups asks for them and owns one more thing: the group
 * container-labs/NN-PID in the hierarchies of its controllers. It goes with the rest. For kill -9
 * a guardian stands by, a small process that outlives the run by an instant and removes what is
 * left; a sweep does it where even the guardian was killed.
 *
 * A PID is unique in its PID namespace only. In a container, both names are NN-PID.NAMESPACE, see
 * lab_unique_pid(): runs in two containers that share /run or the control groups do not meet.
 *
 * lab_open() of lab.h reads the experiment's options, sweeps what dead runs left, and goes on as
 * the supervised child with root privileges, in a mount namespace of its own (nothing propagates
 * out of it) and in the run's empty directory, a tmpfs. Without root, all of it happens in a user
 * namespace, see rootless.h. It exits with 2 for other arguments, with 77 without the right to make
 * such a namespace. mount_namespaces(7), prctl(2), flock(2).
 */
#ifndef LAB_RUN_H
#define LAB_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"
#include "lab.h"

/* Begin the experiment NUMBER: claim a directory, and return as the supervised child in a mount
 * namespace of its own, in that directory. Exits as lab_open() does. */
void lab_begin_experiment(const char *number);

/* Make this process's group the foreground of the terminal again, if stdin is one: an interactive
 * shell makes its own group that and does not give it back when it is killed. tcsetpgrp(3) */
void lab_take_terminal(void);

/* Begin a tool that changes something for as long as it runs, as run number NUMBER ("05"): needs
 * root, claims the run's directory, sweeps what dead runs left. The process stays what it is; its
 * run ends with it, by exit(3), or else by a guardian. A forked child may exit as it likes. */
void lab_begin_tool(const char *number);

/* The group of this run, an experiment's or a tool's: container-labs/NN-PID in the hierarchies of
 * all CONTROLLERS (a set of LAB_BIT()s), found on this machine. Where PID is not 0, that process,
 * which is not ours, is going to be put into the group and shall be given back to where it is now,
 * instead of killed, when the run ends. Exits, with what is missing and what to do about it, where
 * that cannot be. */
void lab_run_cgroup(struct lab_cgroup *group, unsigned controllers, pid_t pid);

/* CALL, with which an experiment begins, has failed with errno: end as lab_cannot_run() does. */
__attribute__((noreturn)) void lab_cannot_begin(const char *call);

/* The remedy where mount(2) of "/" says EINVAL. */
#define LAB_ROOT_IS_NO_MOUNT                                                                       \
    "the present root is no mount, as in a chroot: mount --bind DIRECTORY DIRECTORY before "       \
    "chroot DIRECTORY"

/* Set the device lo of the present network namespace up, or end. */
void lab_set_up_loopback(void);

#endif
