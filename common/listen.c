#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"

int lab_output_seconds = 10;
pid_t lab_output_needs;

void lab_output_free(struct lab_output *output)
{
    free(output->text);
    output->text = NULL;
}

/* Read what is there now. Returns 1, 0 at end of file, or -1 with errno. */
static int read_some(struct lab_output *output, int from)
{
    char buffer[4096];
    ssize_t count;

    while ((count = read(from, buffer, sizeof(buffer))) > 0) {
        size_t room = output->limit - output->length;
        size_t kept = (size_t)count < room ? (size_t)count : room;
        memcpy(output->text + output->length, buffer, kept);
        output->length += kept;
        output->truncated |= kept < (size_t)count;
    }
    output->text[output->length] = '\0';
    return count == 0 ? 0 : errno == EAGAIN || errno == EINTR ? 1 : -1;
}

/* Read until CHILD has ended. Waiting for the end of file alone would hang when a grandchild goes
 * on with our pipe in its hands. Returns 0, or -1 with errno. */
static int listen_until_end(struct lab_output *output, int from, int pidfd, int needed)
{
    long long deadline = lab_now() + 1000000LL * lab_output_seconds * lab_slowness();
    struct pollfd wanted[3] = {{.fd = pidfd, .events = POLLIN},
                               {.fd = from, .events = POLLIN},
                               {.fd = needed, .events = POLLIN}};
    int more = 1;

    while (!(wanted[0].revents & POLLIN)) {
        long long left = (deadline - lab_now()) / 1000;
        if (left <= 0) {
            output->timed_out = true;
            return 0;
        }
        if (poll(wanted, 3, (int)left) == -1) {
            if (errno != EINTR)
                return -1;
            continue;
        }
        if (wanted[1].revents && (more = read_some(output, from)) == -1)
            return -1;
        if (more == 0)
            wanted[1].fd = -1;
        if (wanted[2].revents) {
            wanted[2].fd = -1;
            deadline = lab_now() + 1000000LL * lab_slowness();
        }
    }
    return more == 1 && read_some(output, from) == -1 ? -1 : 0;
}

/* What has nothing to read but the end of a file: /dev/null may not be there. */
static int open_nothing(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    close(ends[1]);
    return ends[0];
}

__attribute__((noreturn)) static void speak(int nothing, int to, int (*body)(void *),
                                            void *argument)
{
    /* A group of its own, so that a command which hangs is killed with its children. */
    if (dup2(nothing, STDIN_FILENO) == -1 || dup2(to, STDOUT_FILENO) == -1 ||
        dup2(to, STDERR_FILENO) == -1 || setpgid(0, 0) == -1) {
        lab_warn_errno("prepare a child");
        _exit(LAB_EXIT_CANNOT_INVOKE);
    }
    clearerr(stdout); /* the parent tells its own */
    int status = body(argument);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        lab_warn_errno("what a child prints is lost");
        _exit(LAB_EXIT_CANNOT_INVOKE);
    }
    exit(status);
}

static int hear(struct lab_output *output, size_t limit, int (*body)(void *argument),
                void *argument)
{
    int ends[2];

    *output = (struct lab_output){.text = malloc(limit + 1), .limit = limit};
    if (!output->text || pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    output->text[0] = '\0';
    lab_fd from = ends[0], to = ends[1];
    lab_fd nothing = open_nothing(); /* here, where it can be told that there is none */
    if (nothing == -1 || fcntl(from, F_SETFL, O_NONBLOCK) == -1)
        return -1;
    pid_t child = lab_fork();
    if (child == -1)
        return -1;
    if (child == 0)
        speak(nothing, to, body, argument);
    lab_close_fd(&to);
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    lab_fd needed = lab_output_needs ? (int)syscall(SYS_pidfd_open, lab_output_needs, 0) : -1;
    const bool can = pidfd != -1 && (needed != -1 || !lab_output_needs);
    int result = can ? listen_until_end(output, from, pidfd, needed) : -1, error = errno;
    if (result == -1 || output->timed_out) {
        kill(child, SIGKILL);
        kill(-child, SIGKILL);
    }
    output->status = lab_wait(child);
    if (result == -1)
        errno = error;
    return result == -1 || output->status == -1 ? -1 : 0;
}

int lab_listen(struct lab_output *output, int (*body)(void *argument), void *argument)
{
    return hear(output, LAB_OUTPUT_LIMIT, body, argument);
}

struct command {
    const char *const *argv;
    int errors; /* where its stderr goes, for a program; -1: to a reader */
};

static int exec_command(void *argument)
{
    const struct command *command = argument;

    /* The status is not one of the program's own answers. */
    if (command->errors != -1 &&
        (dup2(command->errors, STDERR_FILENO) == -1 || setenv("LC_ALL", "C", 1) == -1))
        lab_exit(LAB_EXIT_CANNOT_INVOKE, "prepare %s: %s", command->argv[0], lab_strerror(errno));
    /* exec does not write to its arguments; its prototype is older than const. */
    lab_exec((char *const *)command->argv);
}

/* Put what the file ERRORS contains, as far as there is room, before the text of OUTPUT. */
static int put_before(int errors, struct lab_output *output)
{
    const off_t size = lseek(errors, 0, SEEK_END);
    size_t count = output->limit - output->length;

    if (size != -1 && (size_t)size < count)
        count = (size_t)size;
    memmove(output->text + count, output->text, output->length + 1);
    output->length += count;
    return size == -1 || pread(errors, output->text, count, 0) != (ssize_t)count ? -1 : 0;
}

int lab_listen_command(struct lab_output *output, const char *const argv[], enum lab_listener who)
{
    lab_fd errors = who == LAB_PROGRAM ? memfd_create("stderr", MFD_CLOEXEC) : -1;
    struct command command = {.argv = argv, .errors = errors};
    const size_t limit = who == LAB_PROGRAM ? LAB_PROGRAM_LIMIT : LAB_OUTPUT_LIMIT;

    if ((who == LAB_PROGRAM && errors == -1) || hear(output, limit, exec_command, &command) == -1)
        return -1;
    if (who == LAB_READER)
        return 0;
    if (output->truncated) {
        errno = EFBIG;
        return -1;
    }
    if (output->timed_out) {
        errno = ETIME;
        return -1;
    }
    return output->status == 0 ? 0 : put_before(errors, output);
}
