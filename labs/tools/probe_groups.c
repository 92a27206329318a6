#include "probe.h"

#include "cgroup.h"
#include "hierarchy.h"
#include "process.h"
#include "run.h"

void probe_cgroup(const void *unused)
{
    struct lab_hierarchies found;

    (void)unused;
    lab_hierarchies_need(&found, NULL);
    if (!found.unified.version && !*found.v1)
        probe_refuse("mount -t cgroup2 none /sys/fs/cgroup", "%s is mounted", found.kind);
    printf("%s", found.kind);
    if (*found.v1)
        printf("; v1 has %s", found.v1);
    if (found.unified.version)
        printf("; v2 has %s", *found.v2 ? found.v2 : "no controllers");
    printf("\n");
}

/* Do what the labs do, with their own functions: make a group, limit it, enter it. How it fails is
 * how they fail. */
void probe_controller(const void *name)
{
    enum lab_controller controller = strcmp(name, "memory") == 0 ? LAB_MEMORY
                                     : strcmp(name, "pids") == 0 ? LAB_PIDS
                                                                 : LAB_CPU;
    const struct lab_limits limits = {.quota = controller == LAB_CPU ? 50000 : 0,
                                      .period = controller == LAB_CPU ? 100000 : 0,
                                      .memory = controller == LAB_MEMORY ? 64 << 20 : 0,
                                      .pids = controller == LAB_PIDS ? 64 : 0};
    struct lab_cgroup run, group;

    lab_begin_tool("doctor");
    lab_run_cgroup(&run, LAB_BIT(controller) | (controller == LAB_CPU ? LAB_BIT(LAB_CPUACCT) : 0),
                   0);
    if (lab_cgroup_create_in(&group, &run, "A") == -1)
        lab_cgroup_die();
    if (lab_cgroup_limit(&group, &limits) == -1)
        lab_cgroup_die();
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (lab_cgroup_enter(&group, 0) == -1)
            lab_cgroup_die();
        _exit(EXIT_SUCCESS);
    }
    int result = lab_must_wait(child);
    if (result != 0)
        exit(result);
    printf("cgroup v%d: made a group, limited it, entered it\n", run.where->of[controller].version);
}
