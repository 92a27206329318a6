#include <limits.h>

#include "lab.h"
#include "page.h"
#include "process.h"

/* End unless COMMAND is in PATH. With PACKAGE "" it is a program of the labs, and the directory of
 * this one is added to PATH for it. */
static void need(const char *command, const char *package)
{
    char missing[128], remedy[128], beside[PATH_MAX];

    const int error = lab_find_command(command, NULL, 0) ? 0 : errno;
    if (error == 0)
        return;
    if (error != ENOENT && error != EACCES) {
        errno = error;
        lab_die("find %s", command);
    }
    if (!*package && lab_find_beside(command, beside, sizeof(beside))) {
        *strrchr(beside, '/') = '\0';
        lab_set("PATH", "$PATH:%s", beside);
        return;
    }
    const char *outside = strchr(command, '/') ? NULL : lab_outside_path(command);
    if (outside) {
        snprintf(missing, sizeof(missing), "%s/%s is there, and PATH has no %s", outside, command,
                 outside);
        lab_cannot_run(missing, "use sudo, or su with a minus sign: then PATH has it");
    }
    if (error == ENOENT)
        snprintf(missing, sizeof(missing), "no %s is installed", command);
    else
        snprintf(missing, sizeof(missing), "find %s: %s", command, lab_strerror(error));
    snprintf(remedy, sizeof(remedy), *package ? "install the package %s" : "type: make %s",
             *package ? package : command);
    lab_cannot_run(missing, remedy);
}

void lab_need_commands(const char *format, ...)
{
    char words[PATH_MAX + 512], *rest;
    LAB_FORMAT(text, format);

    snprintf(words, sizeof(words), "%s", text);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *colon = strrchr(word, ':');
        *colon = '\0';
        need(word, colon + 1);
    }
}
