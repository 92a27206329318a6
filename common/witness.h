/*
 * witness.h - a server that answers with the source address that it saw, and somebody who asks it,
 * each in a network namespace of its own: what has become of a packet's source on its way.
 */
#ifndef LAB_WITNESS_H
#define LAB_WITNESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "process.h"

/* Go into the network namespace with this NAME in /run/netns, ip-netns(8). Exits on failure. */
void lab_enter_netns(const char *name);

/* Start such a server (UDP) in the namespace NAME at ADDRESS and PORT; it is ready on return, and
 * ends with its parent. Returns the descriptor on which it reports. */
int lab_witness(const char *name, const char *address, int port);

/* What it saw next: where a question came from, and the errno of answering it (0: it was sent). */
struct lab_sighting {
    char source[INET_ADDRSTRLEN];
    int error;
};

/* The next of them; one of "nobody" where none comes within 2 s. */
struct lab_sighting lab_witness_saw(int witness);

/* Ask the server at ADDRESS and PORT from the namespace NAME, and wait so many MILLISECONDS for the
 * answer, which is in ANSWER. Shows what a person would type. Returns 0, or the errno of what
 * failed: EAGAIN where no answer came. */
int lab_witness_ask(struct lab_output *answer, const char *name, const char *address, int port,
                    int milliseconds);

/* Let tcpdump(8) wait for the next packet on DEVICE in the namespace NAME that FILTER is about, for
 * 2 s at most. It is listening on return. Returns whether it is installed. */
bool lab_tcpdump_begin(const char *name, const char *device, const char *filter);

/* Show what it has said. */
void lab_tcpdump_end(void);

#endif
