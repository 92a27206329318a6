#include <limits.h>

#include "lab.h"
#include "process.h"

void lab_need_command(const char *command, const char *package)
{
    char missing[128], remedy[128], beside[PATH_MAX];

    if (lab_find_command(command, NULL, 0))
        return;
    if (!package && lab_find_beside(command, beside, sizeof(beside))) {
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
    snprintf(missing, sizeof(missing), "no %s is installed", command);
    snprintf(remedy, sizeof(remedy), package ? "install the package %s" : "type: make %s",
             package ? package : command);
    lab_cannot_run(missing, remedy);
}
