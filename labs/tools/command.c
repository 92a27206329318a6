#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "lab.h"

/* Run LINE, which is cut into its words. */
static int run_line(struct lab_output *output, char *line, enum lab_listener who)
{
    const char *argv[64];
    int count = 0;

    for (char *word = strtok(line, " "); word && count < 63; word = strtok(NULL, " "))
        argv[count++] = word;
    argv[count] = NULL;
    int result = lab_listen_command(output, argv, who);
    if (result == 0 && output->timed_out)
        result = -1, errno = ETIME;
    if (result == -1)
        lab_die("run %s", argv[0]);
    return output->status;
}

static char *format_line(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));

static char *format_line(const char *format, va_list arguments)
{
    char *line = NULL;

    if (vasprintf(&line, format, arguments) == -1)
        lab_die("vasprintf");
    return line;
}

int lab_command(struct lab_output *output, const char *format, ...)
{
    va_list arguments;
    LAB_OUTPUT dropped = {0};

    va_start(arguments, format);
    lab_string line = format_line(format, arguments);
    va_end(arguments);
    return run_line(output ? output : &dropped, line, LAB_PROGRAM);
}

/* Exit unless LINE has succeeded. */
static void must_succeed(const char *line, struct lab_output *output)
{
    if (output->status == 0)
        return;
    output->text[strcspn(output->text, "\n")] = '\0';
    lab_exit(lab_exit_failure, "%s: %s (exit status %d)", line, output->text, output->status);
}

void lab_must_command(struct lab_output *output, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    lab_string line = format_line(format, arguments);
    va_end(arguments);
    lab_command(output, "%s", line);
    must_succeed(line, output);
}

void lab_shell_run(const char *format, ...)
{
    va_list arguments;
    char line[1024];
    LAB_OUTPUT output = {0};

    va_start(arguments, format);
    lab_string words = format_line(format, arguments);
    va_end(arguments);
    snprintf(line, sizeof(line), "%s", words);
    lab_type("%s", line);
    run_line(&output, words, LAB_READER);
    must_succeed(line, &output);
}

void lab_exec_shell(void)
{
    const char *shell = getenv("SHELL");
    char name[256];

    fflush(stdout);
    if (!shell)
        shell = "/bin/sh";
    snprintf(name, sizeof(name), "-%s", basename(shell));
    execl(shell, name, (char *)NULL);
    int error = errno;
    lab_exit(error == ENOENT ? LAB_EXIT_NOT_FOUND : LAB_EXIT_CANNOT_INVOKE,
             "failed to run command '%s': %s", shell, strerror(error));
}
