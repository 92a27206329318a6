/*
 * filter.h - the system calls that a container does not have.
 *
 * Namespaces and capabilities decide what a call may do; the filter decides which calls can be made
 * at all, and so how much of the kernel can be attacked. seccomp(2), seccomp_init(3).
 */
#ifndef CONTAINER_FILTER_H
#define CONTAINER_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* The capabilities that change the filter, because they allow calls. */
uint64_t filter_capabilities(void);

/* Make the filter for a container with CAPABILITIES, a bit each. Returns the program, *LENGTH
 * instructions, to be freed, or NULL with errno. */
struct sock_filter *make_filter(uint64_t capabilities, unsigned short *length);

#endif
