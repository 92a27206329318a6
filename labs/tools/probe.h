/*
 * probe.h - the probes of doctor: each is run in a child, in namespaces that end with it, really
 * does what a lab does, and prints in one line what it saw. It fails as a lab does, by
 * lab_die_remedy() and the like, or by what stands here.
 */
#ifndef LAB_PROBE_H
#define LAB_PROBE_H

#include "process.h"

#define ELSEWHERE "run the labs on the machine itself, or in a virtual one (make vm)"

/* Exit status of a probe: every lab can run, but something is to be known. */
enum { PROBE_NOTE = 3 };

/* End with the line "FORMAT; REMEDY": PROBE_NOTE and no lab fails; or a failure that no errno
 * tells. */
__attribute__((noreturn, format(printf, 2, 3))) void probe_note(const char *remedy,
                                                                const char *format, ...);
__attribute__((noreturn, format(printf, 2, 3))) void probe_refuse(const char *remedy,
                                                                  const char *format, ...);

/* End as probe_refuse(), with the remedy, unless COMMAND is in PATH. */
void probe_need_command(const char *command);

/* Run COMMAND, a line for lab_command(), and keep the first line of its output: a remedy is about
 * that. Returns its status. */
int probe_first_line(struct lab_output *output, const char *command);

/* The number in the file PATH; -1 where there is none. */
int probe_number_in(const char *path);

/* unshare(2) the namespace with the NAME of lab_namespaces ("mnt"), or end with the remedy. */
void probe_unshare(const char *name);

/* What can be done where unshare(2) or clone(2) of that kind has failed with ERROR. */
const char *probe_unshare_remedy(int error, const char *name);

/* Calls that are younger than others, or that containers' filters refuse: for probe_calls(), which
 * takes an array that ends with {0}. */
struct probe_call {
    const char *name, *since; /* the version of Linux that brought it */
    long number;
};

/* The machine. */
void probe_kernel(const void *unused);
void probe_word_size(const void *unused);
void probe_surroundings(const void *unused);
void probe_root(const void *unused);
void probe_cpus(const void *unused);
void probe_calls(const void *calls);

/* Mount namespaces and file systems. */
void probe_mounts(const void *unused);
void probe_pivot_root(const void *unused);
void probe_proc(const void *unused);
void probe_overlay(const void *unused);
void probe_idmapped(const void *unused);
void probe_tmp(const void *unused);
void probe_run(const void *unused);

/* Namespaces; NAME is that of a kind in lab_namespaces. */
void probe_namespace(const void *name);
void probe_unprivileged(const void *unused);
void probe_ids(const void *many); /* NULL: user 65534 alone */

/* Control groups; NAME is a controller. */
void probe_cgroup(const void *unused);
void probe_controller(const void *name);

/* The network; KIND is a type of ip-link(8). */
void probe_loopback(const void *unused);
void probe_link(const void *kind);
void probe_nat(const void *unused);
void probe_forwarding(const void *unused);
void probe_forward_policy(const void *unused);
void probe_bridge_netfilter(const void *unused);

/* Programs: ROW is a command with the option that prints its version; WANTS_STATIC is not NULL
 * where a dynamic busybox does not do. */
void probe_command(const void *row);
void probe_busybox(const void *wants_static);

#endif
