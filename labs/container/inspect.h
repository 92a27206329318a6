/* inspect.h - a container as JSON. */
#ifndef CONTAINER_INSPECT_H
#define CONTAINER_INSPECT_H

#include "container.h"

/* Print what is known of CONTAINER, and what the kernel says of its process, as one JSON object. */
void print_inspection(const struct container *container);

#endif
