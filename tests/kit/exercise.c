/* What is behind include/exercise.h and is not in common/ already. */
#include "exercise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Both declare the functions below, so the compiler compares them. */
#include "cgroup.h"
#include "error.h"
#include "file.h"
#include "namespace.h"
#include "number.h"
#include "process.h"
#include "run.h"

struct lab_group {
    struct lab_cgroup group;
};

void lab_todo(const char *number)
{
    fflush(stdout);
    fprintf(stderr, "TODO %s is not written yet\n", number);
    exit(EXIT_TODO);
}

static enum lab_controller controller_named(const char *name)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (strcmp(lab_controllers[i], name) == 0)
            return i;
    lab_exit(EXIT_FAILURE, "there is not a controller '%s'", name);
}

static struct lab_group *new_group(void)
{
    struct lab_group *group = calloc(1, sizeof(*group));

    if (!group)
        lab_die("calloc");
    return group;
}

int lab_group_version(const struct lab_group *group, const char *controller)
{
    return group->group.where->of[controller_named(controller)].version;
}

const char *lab_group_file(const struct lab_group *group, const char *controller, const char *file)
{
    return lab_cgroup_file(&group->group, controller_named(controller), file);
}

void lab_group_write(const struct lab_group *group, const char *controller, const char *file,
                     const char *text)
{
    if (lab_cgroup_write(&group->group, controller_named(controller), file, text) == -1)
        lab_cgroup_die();
}

long long lab_group_number(const struct lab_group *group, const char *controller, const char *file,
                           const char *key)
{
    long long number;

    if (lab_cgroup_number(&group->group, controller_named(controller), file, key, &number) == -1)
        lab_cgroup_die();
    return number;
}

struct lab_group *lab_group_make(const char *name)
{
    static struct lab_hierarchies hierarchies;
    struct lab_cgroup top = {.where = &hierarchies,
                             .controllers = LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT)};
    struct lab_group *group = new_group();

    lab_hierarchies_need(&hierarchies, NULL);
    if (lab_cgroup_create_in(&group->group, &top, name) == -1)
        lab_cgroup_die();
    return group;
}

int lab_group_processes(const struct lab_group *group, pid_t *pids, int count)
{
    enum lab_controller any = 0;
    int pid, found = 0;

    while (!(group->group.controllers & LAB_BIT(any)))
        any++;
    const char *path = lab_cgroup_file(&group->group, any, "cgroup.procs");
    FILE *file = fopen(path, "re");
    for (; file && fscanf(file, "%d", &pid) == 1; found++)
        if (found < count)
            pids[found] = pid;
    if (!file || ferror(file))
        lab_die("read %s", path);
    fclose(file);
    return found;
}

struct lab_group *lab_group_of_program(const char *controllers)
{
    struct lab_group *group = new_group();
    char names[64];
    unsigned set = 0;

    snprintf(names, sizeof(names), "%s", controllers);
    for (char *name = strtok(names, " "); name; name = strtok(NULL, " "))
        set |= LAB_BIT(controller_named(name));
    lab_begin_tool("exercise"); /* the group goes when the program does, with all that is in it */
    lab_run_cgroup(&group->group, set, 0);
    return group;
}

void lab_group_enter(const struct lab_group *group)
{
    if (lab_cgroup_enter(&group->group, 0) == -1)
        lab_cgroup_die();
}

struct lab_group *lab_group_make_in(const struct lab_group *parent, const char *name)
{
    struct lab_group *group = new_group();

    if (lab_cgroup_create_in(&group->group, &parent->group, name) == -1)
        lab_cgroup_die();
    return group;
}
