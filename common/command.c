#include "command.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "narrate.h"

/* Run LINE, which is cut into its words, by LISTEN. */
static int run_line(struct lab_output *output, char *line,
                    int (*listen)(struct lab_output *output, const char *const argv[]))
{
    const char *argv[64];
    int count = 0;

    for (char *word = strtok(line, " "); word && count < 63; word = strtok(NULL, " "))
        argv[count++] = word;
    argv[count] = NULL;
    if (listen(output, argv) == -1)
        lab_die("start %s", argv[0]);
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
    return run_line(output ? output : &dropped, line, lab_ask_command);
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
    if (run_line(&output, words, lab_listen_command) == 0)
        return;
    output.text[strcspn(output.text, "\n")] = '\0';
    lab_exit(lab_exit_failure, "%s: %s (exit status %d)", line, output.text, output.status);
}

/* Whether COMMAND is in the directory of this program, as those of the labs are: that is in PATH
 * from now on. */
static bool find_beside(const char *command)
{
    char directory[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", directory, sizeof(directory) - 1);

    if (length == -1)
        lab_die("readlink /proc/self/exe");
    directory[length] = '\0';
    *strrchr(directory, '/') = '\0';
    lab_fd place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place == -1 || faccessat(place, command, X_OK, 0) == -1)
        return false;
    lab_set("PATH", "$PATH:%s", directory);
    return true;
}

void lab_need_command(const char *command, const char *package)
{
    char missing[128], remedy[128];

    if (lab_find_command(command, NULL, 0) || (!package && find_beside(command)))
        return;
    const char *outside = strchr(command, '/') ? NULL : lab_outside_path(command);
    if (outside) {
        snprintf(missing, sizeof(missing), "%s/%s is there, and PATH has no %s", outside, command,
                 outside);
        lab_cannot_run(missing, "use sudo, or su with a minus sign: then PATH has it");
    }
    snprintf(missing, sizeof(missing), "no %s is installed", command);
    snprintf(remedy, sizeof(remedy), package ? "install the package %s" : "type: make %s",
             package ? package : command);
    lab_cannot_run(missing, remedy);
}
