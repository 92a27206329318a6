/*
 * streams.h - what connects the runtime with a command: a socket for the time until it runs, and
 * its standard streams, unless it has a terminal; and the runtime's own streams and session.
 */
#ifndef CONTAINER_STREAMS_H
#define CONTAINER_STREAMS_H

#include <stdbool.h>
#include <sys/types.h>

#include "monitor.h"
#include "specification.h"

/* The ends of the command's. Descriptors that are not there are -1. */
struct child_streams {
    int socket;
    int streams[3];
};

/* Make them for a command whose root is ROOT on this machine. Our ends of the streams are put into
 * WATCHED; that of the socket, SOCK_SEQPACKET of unix(7), is returned. Ends the program on error.
 */
int make_streams(struct child_streams *ends, struct monitored *monitored,
                 const struct specification *spec, uid_t root);

/* Close those that are open. */
void close_streams(struct child_streams *ends);

/* Receive a message of the process that becomes the command of SPEC: its pidfd, where it is our
 * child, and its terminal, where SPEC wants one, are put into MONITORED; its failure ends the
 * program. Returns false when execve(2) has closed its end. */
bool receive_progress(int socket, const struct specification *spec, struct monitored *monitored);

/* After that: end the program where the process was ended before it became the command. */
void need_started(const struct monitored *monitored);

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
