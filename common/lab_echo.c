#include "lab.h"

#include <fcntl.h>

#include "file.h"
#include "page.h"

/* The files of /proc and of control groups take one write(2) each. They exist already: without
 * O_CREAT, a name that the kernel does not know is an error, not a new file. */
void lab_echo(const char *text, const char *format, ...)
{
    LAB_FORMAT(line, format);
    const char *path = lab_path("%s", line), *value = lab_path("%s", text);

    lab_type("echo %s > %s", text, line);
    lab_fd file = open(path, O_WRONLY | O_CLOEXEC);
    if (file == -1 || lab_write_once(file, value) == -1)
        lab_die_path(path, "write '%s' to", value);
}
