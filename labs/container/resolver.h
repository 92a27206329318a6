/*
 * resolver.h - /etc/resolv.conf and /etc/hosts of a container.
 */
#ifndef CONTAINER_RESOLVER_H
#define CONTAINER_RESOLVER_H

#include "container.h"

/* What the files will contain; "": those of the root file system stay. */
struct resolver {
    char servers[4096], hosts[256];
};

/* With the machine's root: read its name servers, and prepare both files for CONTAINER. */
void resolver_read(struct resolver *names, const struct container *container);

/* With the container's root: write the files. Ends by fail(). */
void resolver_write(const struct resolver *names);

#endif
