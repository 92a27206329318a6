#include "launcher.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

/* LAUNCH is the file that the Makefile has built of launch.c. */
__asm__(".section .rodata\n"
        "launch_begin: .incbin \"" LAUNCH "\"\n"
        "launch_end: .balign 4\n"
        "launch_size: .long launch_end - launch_begin\n"
        ".previous\n");
/* Hidden, so that the address is computed and not loaded from the global offset table: the linker
 * of arm64 gives two local labels of one section the same entry there. */
extern const char launch_begin[] __attribute__((visibility("hidden")));
extern const unsigned launch_size __attribute__((visibility("hidden")));

int open_launcher(void)
{
    int fd = memfd_create("launch", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd == -1 || write(fd, launch_begin, launch_size) != launch_size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == -1)
        fail("make the launcher's file");
    return fd;
}
