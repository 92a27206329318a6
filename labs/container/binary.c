#include "binary.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>

#include "mounts.h"
#include "report.h"

static const char SELF[] = "/proc/self/exe";

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static bool is_protected(void)
{
    struct statvfs system;
    lab_fd self = open(SELF, O_RDONLY | O_CLOEXEC);

    return (statvfs(SELF, &system) == 0 && (system.f_flag & ST_RDONLY)) ||
           (self != -1 && fcntl(self, F_GET_SEALS) == SEALS);
}

/* A mount of the file alone, read-only, without a place. */
static int open_view(void)
{
    lab_fd view = open_tree(AT_FDCWD, SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (view == -1 || set_mount(view, "", MOUNT_ATTR_RDONLY, -1, false) == -1)
        return -1;
    return lab_take_fd(&view);
}

/* A sealed copy in memory, for kernels and file systems without such a mount. */
static int open_copy(void)
{
    struct stat status;
    off_t sent = 0;
    lab_fd self = open(SELF, O_RDONLY | O_CLOEXEC);
    lab_fd copy = memfd_create("09_full_container", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (self == -1 || copy == -1 || fstat(self, &status) == -1)
        return -1;
    while (sent < status.st_size)
        if (sendfile(copy, self, &sent, (size_t)(status.st_size - sent)) <= 0)
            return -1;
    return fcntl(copy, F_ADD_SEALS, SEALS) == -1 ? -1 : lab_take_fd(&copy);
}

void protect_binary(char *argv[])
{
    if (is_protected()) {
        prctl(PR_SET_NAME, "container-run");
        return;
    }
    lab_fd view = open_view();
    if (view == -1)
        view = open_copy();
    if (view != -1)
        execveat(view, "", argv, environ, AT_EMPTY_PATH);
    fail("execute the runtime from a read-only view of its file");
}

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

    /* What its user cannot read no process with the same user can trace: begin_new_exec() of
     * fs/exec.c. */
    const ssize_t written = fd == -1 ? -1 : write(fd, launch_begin, launch_size);
    if (written != -1)
        errno = EFBIG; /* where it was cut, by ulimit -f of the caller */
    if (written != launch_size || fchmod(fd, 0111) == -1 || fcntl(fd, F_ADD_SEALS, SEALS) == -1)
        fail("make the launcher's file");
    return fd;
}
