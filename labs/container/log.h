/*
 * log.h - what a container says, kept in a file: the newest MiB at least, and at most twice as
 * much.
 */
#ifndef CONTAINER_LOG_H
#define CONTAINER_LOG_H

#include <stddef.h>

/* Add LENGTH BYTES to the log PATH. What it had before, when it is full, is PATH.old; where it
 * cannot be written any more it becomes PATH.cut, after a warning. */
void log_write(const char *path, const char *bytes, size_t length);

void log_close(void);

#endif
