#include "probe.h"

#include <stdarg.h>

#include "command.h"
#include "error.h"
#include "file.h"

void probe_note(const char *remedy, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("; %s\n", remedy);
    /* At the end of a child it would not be looked at. */
    if (fflush(stdout) == EOF || ferror(stdout))
        lab_die("write what was found");
    exit(PROBE_NOTE);
}

void probe_refuse(const char *remedy, const char *format, ...)
{
    char seen[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(seen, sizeof(seen), format, arguments);
    va_end(arguments);
    lab_exit(EXIT_FAILURE, "%s; %s", seen, remedy);
}

void probe_need_command(const char *command)
{
    if (lab_find_command(command, NULL, 0))
        return;
    const int error = errno;
    const char *outside = lab_outside_path(command);
    if (outside)
        probe_refuse("use sudo, or su with a minus sign: then PATH has it",
                     "%s/%s is there, and PATH has no %s", outside, command, outside);
    if (error != ENOENT)
        probe_refuse("look at the directories of PATH", "find %s: %s", command,
                     lab_strerror(error));
    probe_refuse("install what is missing: make deps", "%s is not installed", command);
}

int probe_first_line(struct lab_output *output, const char *command)
{
    int status = lab_command(output, "%s", command);

    output->text[strcspn(output->text, "\n")] = '\0';
    return status;
}

int probe_number_in(const char *path)
{
    char text[32];

    if (lab_read_file(path, text, sizeof(text)) != -1)
        return atoi(text);
    if (errno != ENOENT)
        lab_die("read %s", path);
    return -1;
}
