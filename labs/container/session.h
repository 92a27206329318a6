/*
 * session.h - the runtime's own standard streams and session.
 */
#ifndef CONTAINER_SESSION_H
#define CONTAINER_SESSION_H

#include "specification.h"

/* --detach: return in a child. The process itself waits until the child calls
 * session_report_ready(), prints the name and exits; or exits with the child's status. */
void session_detach(const struct specification *spec);

/* With --detach: give up the standard streams, and let the first process exit. Returns false
 * without --detach. */
bool session_report_ready(void);

/* Close the pipe to the first process, which then exits with the status of this one. */
void session_close(void);

/* Where the root is "-", an archive on standard input: return a descriptor of it. The command reads
 * the terminal instead with --interactive, else nothing. */
int session_take_archive(const struct specification *spec);

#endif
