/* Fuzz what reads the headers of a program: the loader that an ELF file names. */
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "file.h"
#include "fuzz.h"
#include "rootfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], loader[PATH_MAX];
    lab_fd program = memfd_create("program", MFD_CLOEXEC);

    if (program == -1 || write(program, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
    errno = 0;
    if (lab_loader_of(path, loader, sizeof(loader)) == -1) {
        if (errno == 0)
            abort();
    } else if (strlen(loader) >= sizeof(loader)) {
        abort();
    }
    return 0;
}
