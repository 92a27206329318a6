#include "container.h"

#include <stdio.h>
#include <stdlib.h>

#include "rootless.h"

const char *state_directory(void)
{
    static char path[PATH_MAX / 4];
    const char *asked = getenv("CONTAINER_LABS_STATE");

    if (asked && *asked == '/')
        return asked;
    if (!*path)
        snprintf(path, sizeof(path), "%s.service", lab_runs());
    return path;
}

const char *state_path(const struct container *container, const char *path)
{
    static char buffers[4][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 4];

    snprintf(buffer, sizeof(buffers[0]), "%s/%s", container->directory, path);
    return buffer;
}
