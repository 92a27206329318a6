#include "limits.h"

#include "report.h"
#include "state.h"
#include "unprivileged.h"

enum { CONTROLLERS = LAB_BIT(LAB_CPU) | LAB_BIT(LAB_MEMORY) | LAB_BIT(LAB_PIDS) };

/* With the runtime's PID, names of containers in two state directories cannot collide. */
static void group_name(const struct container *container, char *name, size_t size)
{
    snprintf(name, size, "container-%s-%s", container->spec.name, container->runtime_name);
}

/* Where the groups of containers lie: on v2 below container-labs, where the controllers are handed
 * on to them; on v1 all groups have all controllers, so it is the root. */
static bool is_v1(const struct lab_hierarchies *where)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if ((CONTROLLERS & LAB_BIT(i)) && where->of[i].version == 2)
            return false;
    return true;
}

/* Open the files by which a process enters the group. On v2 a process can start in the group. On v1
 * it has to move, and only a single thread that writes 0 to `tasks` moves without a pause of all
 * forks and exits of the machine (10 ms and more by cgroup.procs). A machine may have some
 * controllers on v1 and some on v2. */
static void open_group_files(struct limits *limits)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        if (!(CONTROLLERS & LAB_BIT(i)))
            continue;
        const bool v1 = limits->group.where->of[i].version == 1;
        const char *path = lab_cgroup_file(&limits->group, i, v1 ? "tasks" : "");
        int *entrance = v1 ? &limits->tasks[i] : &limits->directory;
        if (*entrance == -1)
            *entrance = open(path, (v1 ? O_WRONLY : O_RDONLY | O_DIRECTORY) | O_CLOEXEC);
        if (*entrance == -1)
            fail("open %s", path);
    }
}

static int set_shares(const struct lab_cgroup *group, long long shares)
{
    if (shares == LAB_DEFAULT_SHARES) /* what a new group has */
        return 0;
    return lab_cgroup_set_shares(group, (int)shares);
}

/* v1 counts what the kernel keeps for TCP apart; some kernels do not have this file. All of the
 * machine has a tenth of its memory for TCP (tcp_mem, tcp(7)), of which no container may take all.
 */
static void limit_tcp(const struct lab_cgroup *group, long long bytes)
{
    const long long share = sysconf(_SC_PHYS_PAGES) / 64 * sysconf(_SC_PAGESIZE);
    char text[32];

    if (bytes == UNLIMITED || group->where->of[LAB_MEMORY].version == 2)
        return;
    const char *path = lab_cgroup_file(group, LAB_MEMORY, "memory.kmem.tcp.limit_in_bytes");
    snprintf(text, sizeof(text), "%lld", bytes < share ? bytes : share);
    if (lab_write_file(path, text) == -1 && errno != ENOENT)
        fail("write %s", path);
}

/* A container without limits could use up the machine, so a missing controller is an error. */
static void need_controllers(const struct lab_hierarchies *where)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if ((CONTROLLERS & LAB_BIT(i)) && where->of[i].version == 0)
            give_up("no control group file system with the controller %s is mounted",
                    lab_controllers[i]);
}

static int make_group(struct limits *limits, const char *name)
{
    const struct lab_cgroup root = {
        .where = &limits->where, .controllers = CONTROLLERS, .name = "."};

    if (is_v1(&limits->where))
        return lab_cgroup_create_in(&limits->group, &root, name);
    return lab_cgroup_create_run(&limits->group, &limits->where, name, CONTROLLERS);
}

static bool has_none(const struct container *container)
{
    return is_unprivileged() && !container->group_base;
}

static void have_none(struct limits *limits)
{
    limits->directory = -1;
    for (int i = 0; i < LAB_CONTROLLERS; i++)
        limits->tasks[i] = -1;
}

/* Without root only a group of v2 that belongs to the caller can have groups in it. Returns whether
 * there is one, and records it: what is recorded is swept. */
static bool find_delegated(struct limits *limits, struct container *container)
{
    char directory[LAB_CGROUP_PATH] = "";

    if (lab_cgroup_delegated(&limits->where, CONTROLLERS,
                             container->spec.limits_asked ? NULL : directory) == -1) {
        if (errno == EBUSY || errno == ENODEV)
            lab_warn("%s has no limits: the control group %s is yours, but %s",
                     container->spec.name, directory,
                     errno == EBUSY ? "has processes of its own: move them into a group in it"
                                    : "lacks a controller");
        else
            lab_warn("%s has no limits: without root they need a control group of v2 that belongs "
                     "to you, as systemd-run --user --scope -p Delegate=yes COMMAND gives one",
                     container->spec.name);
        return false;
    }
    container->group_base = limits->where.unified.base;
    must(state_save(container), "write %s", state_path(container, "state"));
    return true;
}

void limits_make(struct limits *limits, struct container *container)
{
    const struct specification *spec = &container->spec;
    const struct lab_limits limit = {.quota = spec->cpu_quota,
                                     .period = spec->cpu_quota == UNLIMITED ? 0 : CPU_PERIOD,
                                     .memory = spec->memory == UNLIMITED ? 0 : spec->memory,
                                     .pids = spec->pids == UNLIMITED ? 0 : spec->pids};
    struct lab_cgroup *group = &limits->group;
    char name[LAB_CGROUP_NAME];

    have_none(limits);
    group_name(container, name, sizeof(name));
    must(lab_hierarchies_find(&limits->where, container->group_base),
         "find the control groups in /proc/self/mountinfo");
    if (is_unprivileged() && !find_delegated(limits, container))
        return;
    need_controllers(&limits->where);
    limits->made = true;
    if (make_group(limits, name) == -1)
        lab_cgroup_die();
    if (lab_cgroup_limit(group, &limit) == -1 || set_shares(group, spec->cpu_shares) == -1)
        lab_cgroup_die();
    limit_tcp(group, spec->memory);
    open_group_files(limits);
}

/* The group of CONTAINER as limits_make() has made it. */
static void name_group(struct limits *limits, const struct container *container)
{
    char name[LAB_CGROUP_NAME];

    group_name(container, name, sizeof(name));
    limits->group = (struct lab_cgroup){.where = &limits->where, .controllers = CONTROLLERS};
    snprintf(limits->group.name, sizeof(limits->group.name), "%s/%.200s",
             is_v1(&limits->where) ? "." : LAB_CGROUP_PARENT, name);
}

void limits_find(struct limits *limits, const struct container *container)
{
    have_none(limits);
    if (has_none(container))
        return;
    must(lab_hierarchies_find(&limits->where, container->group_base),
         "find the control groups in /proc/self/mountinfo");
    need_controllers(&limits->where);
    name_group(limits, container);
    open_group_files(limits);
}

void limits_enter(const struct limits *limits)
{
    for (int i = 0; i < LAB_CONTROLLERS; i++)
        if (limits->tasks[i] != -1 && write(limits->tasks[i], "0", 1) != 1)
            fail("enter %s", lab_cgroup_file(&limits->group, (enum lab_controller)i, ""));
}

bool limits_count_oom_kills(struct limits *limits)
{
    if (limits->group.controllers == 0)
        return false;
    bool v2 = limits->group.where->of[LAB_MEMORY].version == 2;
    long long before = limits->out_of_memory, killed;

    if (lab_cgroup_number(&limits->group, LAB_MEMORY, v2 ? "memory.events" : "memory.oom_control",
                          "oom_kill", &killed) == 0)
        limits->out_of_memory = killed;
    return limits->out_of_memory > before;
}

/* v1: remove the group, which is empty if the container ended by itself. Returns whether it is
 * gone. */
static bool remove_empty_group(const struct lab_cgroup *group)
{
    bool gone = true;

    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (CONTROLLERS & LAB_BIT(i))
            gone &= rmdir(lab_cgroup_file(group, i, "")) == 0 || errno == ENOENT;
    return gone;
}

/* On v2 container-labs is removed with the last group in it. */
static int remove_group(struct limits *limits, const struct container *container)
{
    char name[LAB_CGROUP_NAME], base[LAB_CGROUP_PATH + 16] = "";

    if (container->group_base)
        snprintf(base, sizeof(base), LAB_CGROUP_BASE "%s", container->group_base);
    if (!is_v1(&limits->where)) {
        group_name(container, name, sizeof(name));
        return lab_cgroup_remove_run(name, base, true);
    }
    if (remove_empty_group(&limits->group))
        return 0;
    return lab_cgroup_remove(&limits->group, NULL);
}

int limits_remove(struct limits *limits, const struct container *container)
{
    if (!limits->made || remove_group(limits, container) == 0)
        return 0;
    return lab_warn_errno("the control group of %s cannot be removed", container->spec.name);
}

/* Name the group of CONTAINER. Returns 1, 0 where it has none, or -1 after a warning. */
static int look_for_group(struct limits *limits, const struct container *container)
{
    if (has_none(container) || !*container->runtime_name)
        return 0;
    if (lab_hierarchies_find(&limits->where, container->group_base) == -1)
        return lab_warn_errno("find the control groups in /proc/self/mountinfo");
    name_group(limits, container);
    return 1;
}

int limits_kill(const struct container *container)
{
    struct limits limits = {0};
    const int found = look_for_group(&limits, container);

    if (found != 1)
        return found;
    if (lab_cgroup_kill(&limits.group) == 0)
        return 0;
    return lab_warn_errno("the processes of %s do not end", container->spec.name);
}

int limits_sweep(const struct container *container)
{
    struct limits limits = {.made = true};
    const int found = look_for_group(&limits, container);

    return found == 1 ? limits_remove(&limits, container) : found;
}
