#include "container.h"

#include <stdio.h>
#include <stdlib.h>

const char *state_directory(void)
{
    const char *asked = getenv("CONTAINER_LABS_STATE");

    return asked && *asked == '/' ? asked : "/run/container-labs.service";
}

const char *state_path(const struct container *container, const char *path)
{
    static char buffers[4][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 4];

    snprintf(buffer, sizeof(buffers[0]), "%s/%s", container->directory, path);
    return buffer;
}
