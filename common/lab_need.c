#include <fcntl.h>
#include <limits.h>

#include "file.h"
#include "lab.h"
#include "process.h"

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
