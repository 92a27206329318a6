#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int lab_exit_failure = EXIT_FAILURE;
int lab_exit_cannot_run = LAB_EXIT_CANNOT_RUN;

const char *lab_strerror(int error)
{
    static char text[128];
    const char *name = strerrorname_np(error);

    snprintf(text, sizeof(text), "%s (%s)", name ? name : "unknown error", strerror(error));
    return text;
}

static pid_t owner; /* the process that main() runs in */

/* What was printed and cannot be written makes the run of a program fail, however it ends. */
static void close_stdout(void)
{
    bool failed = ferror(stdout);

    if (getpid() != owner || (fflush(stdout) == 0 && !failed))
        return;
    /* An earlier write has failed, and its errno is lost: the next one tells it. */
    if (failed && write(STDOUT_FILENO, "\n", 1) == 1)
        errno = EIO;
    fprintf(stderr, "%s: write to stdout: %s\n", program_invocation_short_name,
            lab_strerror(errno));
    _exit(lab_exit_failure); /* exit(3) has begun already */
}

__attribute__((constructor)) static void close_stdout_at_exit(void)
{
    owner = getpid();
    atexit(close_stdout);
}

__attribute__((format(printf, 1, 0))) static void begin_line(const char *format, va_list arguments)
{
    fflush(stdout);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
}

/* The line, with ERROR and what to do (NULL: nothing is known). */
__attribute__((format(printf, 3, 0))) static void print_failure(int error, const char *remedy,
                                                                const char *format,
                                                                va_list arguments)
{
    begin_line(format, arguments);
    fprintf(stderr, ": %s%s%s\n", lab_strerror(error), remedy ? "; " : "", remedy ? remedy : "");
}

void lab_die(const char *format, ...)
{
    int error = errno;
    va_list arguments;

    va_start(arguments, format);
    print_failure(error, NULL, format, arguments);
    va_end(arguments);
    exit(lab_exit_failure);
}

void lab_die_remedy(const char *remedy, const char *format, ...)
{
    int error = errno;
    va_list arguments;

    va_start(arguments, format);
    print_failure(error, remedy, format, arguments);
    va_end(arguments);
    exit(lab_exit_failure);
}

void lab_exit(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    begin_line(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(status);
}

void lab_warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    begin_line(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int lab_warn_errno(const char *format, ...)
{
    int error = errno;
    va_list arguments;

    va_start(arguments, format);
    print_failure(error, NULL, format, arguments);
    va_end(arguments);
    errno = error;
    return -1;
}

void lab_cannot_run(const char *missing, const char *remedy)
{
    bool must = lab_exit_cannot_run == LAB_EXIT_CANNOT_RUN && getenv("LAB_MUST_RUN");

    lab_exit(must ? EXIT_FAILURE : lab_exit_cannot_run, "%s; %s", missing, remedy);
}

void lab_try_help(int status)
{
    fprintf(stderr, "Try '%s --help' for more information.\n", program_invocation_short_name);
    exit(status);
}

void lab_common_option(int option, const char *help, int status)
{
    if (option == 'h')
        fputs(help, stdout);
    else if (option == 'v' || option == 'V')
        printf("%s (%s)\n", program_invocation_short_name, LAB_VERSION);
    else
        lab_try_help(status);
    exit(EXIT_SUCCESS);
}

const char *lab_typed(const char *name)
{
    static char text[4096];
    int directory = (int)(program_invocation_short_name - program_invocation_name);

    snprintf(text, sizeof(text), "%.*s%s", directory, program_invocation_name, name);
    return text;
}

void lab_exec(char *const argv[])
{
    fflush(stdout);
    execvp(argv[0], argv);
    int error = errno;
    lab_exit(error == ENOENT ? LAB_EXIT_NOT_FOUND : LAB_EXIT_CANNOT_INVOKE,
             "failed to run command '%s': %s", argv[0], strerror(error));
}
