/* pidfd.h - processes by descriptors, which never come to mean another process. pidfd_open(2) */
#ifndef CONTAINER_PIDFD_H
#define CONTAINER_PIDFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* clone3(2) with FLAGS: as fork(2), with *PIDFD set in the parent unless PIDFD is NULL (-1 where it
 * fails), and on v2 in the control group whose directory GROUP is (-1: that of this process). */
pid_t clone_process(uint64_t flags, int *pidfd, int group);

/* When the process PID began, in clock ticks since boot, whatever the time namespace of who asks;
 * or 0 with errno: ESRCH where there is none. */
unsigned long long process_began(pid_t pid);

/* A pidfd of PID if it still is the process that began at BEGAN; or -1 with errno: ESRCH where that
 * process is gone. */
int open_process(pid_t pid, unsigned long long began);

/* Whether process PID handles or blocks SIGNAL: 1, 0 (also where it is gone), or -1 with errno. The
 * kernel delivers no other signals to a process 1. */
int process_handles_signal(pid_t pid, int signal);

/* Send SIGNAL to the process behind PIDFD. Returns 0, or -1 with errno. */
int signal_process(int pidfd, int signal);

/* The same, to a process of the container: 0 also where it has ended. What fails is told. */
int signal_or_warn(int pidfd, int signal);

/* Kill the child behind *PIDFD (-1: none), wait for it and close the descriptor; it is -1 then. */
void end_process(int *pidfd);

#endif
