#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"
#include "process.h"
#include "report.h"

static int ready_pipe = -1; /* to the first process */

void session_close(void)
{
    lab_close_fd(&ready_pipe);
}

void session_detach(const struct specification *spec)
{
    int ends[2];
    char byte;

    if (!(spec->without & WALL_DESCRIPTORS))
        close_range(3, ~0U, 0); /* a reader of an inherited pipe would wait for its end */
    if (pipe2(ends, O_CLOEXEC) == -1)
        fail("pipe");
    pid_t child = fork();
    if (child == -1)
        fail("fork");
    if (child > 0) {
        close(ends[1]);
        if (read(ends[0], &byte, 1) != 1)
            exit(lab_wait(child));
        puts(spec->name);
        exit(EXIT_SUCCESS);
    }
    close(ends[0]);
    ready_pipe = ends[1];
    if (setsid() == -1)
        fail("setsid");
}

bool session_report_ready(void)
{
    lab_fd nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (ready_pipe == -1)
        return false;
    /* stderr is last, so that a failure can be told. */
    if (nothing == -1 || dup2(nothing, 0) == -1 || dup2(nothing, 1) == -1 || chdir("/") == -1 ||
        dup2(nothing, 2) == -1 || write(ready_pipe, "", 1) != 1)
        fail("detach");
    lab_close_fd(&ready_pipe);
    return true;
}

int session_take_archive(const struct specification *spec)
{
    lab_fd keys = spec->interactive ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;

    if (keys == -1)
        keys = open("/dev/null", O_RDWR | O_CLOEXEC);
    int archive = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (archive == -1 || keys == -1 || dup2(keys, STDIN_FILENO) == -1)
        fail("read an archive from standard input");
    return archive;
}
