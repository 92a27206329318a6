/* Fuzz what reads the file `state` of a container; what was read is written and read again. */
#include <sys/stat.h>

#include "../../labs/container/container.h"
#include "../../labs/container/state.h"
#include "file.h"
#include "fuzz.h"

static char directory[64], path[80]; /* of the one container that there is, and its state */

static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
    rmdir(state_directory());
}

static void make_directory(void)
{
    make_state_directory(remove_directory);
    snprintf(directory, sizeof(directory), "%s/w", state_directory());
    snprintf(path, sizeof(path), "%s/state", directory);
    if (mkdir(directory, 0700) == -1)
        abort();
}

static void forget(struct container *container)
{
    free(container->text);
    free(container->spec.command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct container container, again;

    if (!*path)
        make_directory();
    write_data(path, data, size);
    if (state_load(&container, "w") == 0 && state_save(&container) == 0) {
        if (state_load(&again, "w") == -1 || again.spec.port_count != container.spec.port_count ||
            again.address.s_addr != container.address.s_addr ||
            again.first_id != container.first_id)
            abort();
        forget(&again);
    }
    forget(&container);
    return 0;
}
