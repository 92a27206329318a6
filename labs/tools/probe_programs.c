#include "probe.h"

#include <limits.h>

#include "error.h"
#include "rootfs.h"

/* ROW: the command and the option that makes it tell its version. */
void probe_command(const void *row)
{
    char command[64];
    LAB_OUTPUT output = {0};

    snprintf(command, sizeof(command), "%s", (const char *)row);
    command[strcspn(command, " ")] = '\0';
    probe_need_command(command);
    probe_first_line(&output, row);
    if (strstr(output.text, "BusyBox") || strstr(output.text, "busybox"))
        probe_refuse("install the real one: make deps",
                     "this %s is busybox's, which lacks some of what the labs ask for", command);
    if (output.status != 0 || !*output.text)
        probe_refuse("install its package anew", "%s: %s", (const char *)row,
                     *output.text ? output.text : "it says nothing");
    printf("%s\n", output.text);
}

void probe_busybox(const void *wants_static)
{
    char path[PATH_MAX], loader[PATH_MAX];
    const char *named = getenv("BUSYBOX");

    if (lab_find_busybox(path, sizeof(path)) == -1) {
        if (named && *named)
            probe_refuse("name another one in BUSYBOX, or none",
                         "no program: '%s', named in BUSYBOX", named);
        probe_refuse("install busybox-static (make deps), or name one in BUSYBOX", "not installed");
    }
    if (lab_loader_of(path, loader, sizeof(loader)) == -1)
        lab_die_remedy("name another one in BUSYBOX", "read the ELF header of %s", path);
    if (wants_static && *loader)
        probe_refuse("install busybox-static (make deps), or name one in BUSYBOX",
                     "%s is dynamic: it wants %s", path, loader);
    printf("%s, %s\n", path, *loader ? "dynamic" : "static");
}
