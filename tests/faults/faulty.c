/*
 * faulty.c - what tests/faults.bats lets fail: a program that opens a file, with an error for each
 * class of result.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int look(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int fail(const char *how)
{
    int error = errno;

    if (strcmp(how, "unnamed") == 0)
        return 1;
    if (strcmp(how, "hang") == 0)
        pause();
    if (strcmp(how, "crash") == 0)
        abort();
    if (strcmp(how, "left") == 0)
        close(open("/run/faulty.left", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (strcmp(how, "lie") == 0)
        return puts("nothing is there") < 0;
    errno = error;
    perror("faulty");
    return strcmp(how, "told") != 0;
}

int main(int argc, char *argv[])
{
    const char *how = argc > 1 ? argv[1] : "";
    int status = 0, fd = look("/etc/passwd");

    if (fd == -1 && strcmp(how, "fallback") != 0)
        status = fail(how);
    if (status == 0 && (fd != -1 || strcmp(how, "lie") != 0))
        puts("looked");
    return status;
}
