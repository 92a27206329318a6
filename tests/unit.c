/*
 * unit - calls what common/ has and prints what it says, for tests/cgroup.bats and tests/lock.bats.
 *
 *     unit lock DIRECTORY MILLISECONDS lock it, or say who has it
 *     unit hierarchies TREE            where the recorded tree TREE has its controllers
 *     unit directory TREE FILE         where a process is, FILE in the form of /proc/PID/cgroup
 *     unit limit TREE NAME QUOTA PERIOD    write a limit to the group NAME of a copy of TREE
 *     unit shares TREE NAME SHARES     the same for shares
 *     unit create TREE ERRNO           make a run's group while the kernel refuses "+cpu"
 *     unit stat VERSION FILE           what a cpu.stat has
 *     unit idle FILE CPU...            idle ticks of these CPUs in a /proc/stat
 *     unit max TEXT                    what a cpu.max has
 *     unit number TEXT KEY             the number behind KEY ("" for the only number)
 *     unit decimal TEXT MAXIMUM        a decimal number, in millionths
 *     unit fair CPUS PARENT:WEIGHT:THREADS...  what each group gets, in percent of one CPU
 *
 * A recorded tree is a directory with "mountinfo" and "self_cgroup" as a kernel wrote them, "magic"
 * with what statfs(2) says of each mount point ("PATH cgroup"), and the files that are read.
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../labs/tools/fairness.h"
/* The parsers are static. */
#include "cgroup_files.c"
#include "error.h"
#include "file.h"
#include "hierarchy.c"
#include "lock.h"
#include "measure.c"
#include "number.h"

enum { SIZE = 1 << 20, CONTROLLERS = LAB_BIT(LAB_CPU) | LAB_BIT(LAB_CPUACCT) };

static char tree[PATH_MAX];
static struct lab_hierarchies found;

static char *read_all(const char *directory, const char *file)
{
    char path[PATH_MAX * 2], *text = malloc(SIZE);

    snprintf(path, sizeof(path), "%s%s%s", directory, *directory ? "/" : "", file);
    if (!text || lab_read_file(path, text, SIZE) == -1)
        lab_die("read %s", path);
    return text;
}

/* The file systems of the recorded tree: lines "PATH TYPE", where PATH may have blanks. */
static long recorded_magic(const char *path)
{
    lab_string text = read_all(tree, "magic");
    char *rest = NULL;
    long magic = 0;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *type = strrchr(line, ' ');
        if (!type)
            continue;
        *type++ = '\0';
        if (strcmp(line, path + strlen(tree)) == 0)
            magic = strcmp(type, "cgroup2") == 0  ? CGROUP2_SUPER_MAGIC
                    : strcmp(type, "cgroup") == 0 ? CGROUP_SUPER_MAGIC
                                                  : TMPFS_MAGIC;
    }
    return magic;
}

static void find(const char *name)
{
    snprintf(tree, sizeof(tree), "%s", name);
    lab_string mountinfo = read_all(name, "mountinfo");
    lab_string self_cgroup = read_all(name, "self_cgroup");
    parse(&found, tree, mountinfo, self_cgroup, recorded_magic);
}

static int hierarchies(char *arguments[])
{
    find(arguments[0]);
    printf("%s; v1: %s; v2: %s\n", found.kind, *found.v1 ? found.v1 : "-",
           *found.v2 ? found.v2 : "-");
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const struct lab_hierarchy *place = &found.of[i];
        if (!place->version)
            printf("%s: nowhere\n", lab_controllers[i]);
        else
            printf("%s: v%d %s root %s %s\n", lab_controllers[i], place->version,
                   place->base + strlen(tree), place->root, place->read_only ? "ro" : "rw");
    }
    return 0;
}

static int directory(char *arguments[])
{
    char path[LAB_CGROUP_PATH], where[PATH_MAX];

    find(arguments[0]);
    lab_string text = read_all("", arguments[1]);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++) {
        const struct lab_hierarchy *place = &found.of[i];
        if (!place->version || !path_in(text, place->version, i, path, sizeof(path)))
            printf("%s: -\n", lab_controllers[i]);
        else if (!directory_of(place, path, where, sizeof(where)))
            printf("%s: %s, not to be seen\n", lab_controllers[i], path);
        else
            printf("%s: %s\n", lab_controllers[i], where + strlen(tree));
    }
    return 0;
}

static struct lab_cgroup group_in(char *arguments[])
{
    struct lab_cgroup group = {.where = &found, .controllers = CONTROLLERS};

    find(arguments[0]);
    snprintf(group.name, sizeof(group.name), "%s", arguments[1]);
    return group;
}

static int limit(char *arguments[])
{
    struct lab_cgroup group = group_in(arguments);
    const struct lab_limits limits = {.quota = atoll(arguments[2]), .period = atoll(arguments[3])};

    if (lab_cgroup_limit(&group, &limits) == -1)
        lab_cgroup_die();
    return 0;
}

static int shares(char *arguments[])
{
    struct lab_cgroup group = group_in(arguments);

    if (lab_cgroup_set_shares(&group, atoi(arguments[2])) == -1)
        lab_cgroup_die();
    return 0;
}

/* From now on the kernel refuses writes of four bytes, such as "+cpu", with ERROR. */
static void refuse_writes_of_four(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
        lab_die("set a seccomp filter");
}

static int create(char *arguments[])
{
    static const int errors[] = {EBUSY, EINVAL, EOPNOTSUPP, EROFS};
    struct lab_cgroup group;

    find(arguments[0]);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(strerrorname_np(errors[i]), arguments[1]) == 0)
            refuse_writes_of_four(errors[i]);
    if (lab_cgroup_create_run(&group, &found, "05-1", CONTROLLERS) == -1)
        lab_cgroup_die();
    puts(lab_cgroup_file(&group, LAB_CPU, "") + strlen(tree));
    return 0;
}

static int stat_(char *arguments[])
{
    struct lab_cpu_sample sample = {0};
    lab_string text = read_all("", arguments[1]);
    bool any = parse_stat(text, atoi(arguments[0]), &sample);

    printf("%s usage %lld periods %lld throttled %lld for %lld us\n", any ? "yes" : "no",
           sample.usage, sample.periods, sample.throttled, sample.throttled_time);
    return 0;
}

static int idle(char *arguments[])
{
    bool wanted[64] = {false};
    lab_string text = read_all("", arguments[0]);

    for (char **cpu = arguments + 1; *cpu; cpu++)
        wanted[atoi(*cpu) % 64] = true;
    printf("%lld\n", parse_idle(text, wanted, 64));
    return 0;
}

static int max(char *arguments[])
{
    long long quota, period;

    if (!parse_cpu_max(arguments[0], &quota, &period))
        puts("no");
    else
        printf("%lld of %lld\n", quota, period);
    return 0;
}

static int number(char *arguments[])
{
    long long value;

    if (!lab_cgroup_parse_number(arguments[0], *arguments[1] ? arguments[1] : NULL, &value))
        puts("no");
    else
        printf("%lld\n", value);
    return 0;
}

static int decimal(char *arguments[])
{
    long long millionths;

    if (!lab_parse_decimal(arguments[0], atoll(arguments[1]), &millionths))
        puts("no");
    else
        printf("%lld\n", millionths);
    return 0;
}

static int fair(char *arguments[])
{
    struct lab_competitor groups[16];
    int count = 0, cpus;
    double capacity;

    if (sscanf(*arguments++, "%d/%lf", &cpus, &capacity) == 1)
        capacity = cpus;
    for (; *arguments && count < 16; arguments++, count++)
        if (sscanf(*arguments, "%d:%lf:%d", &groups[count].parent, &groups[count].weight,
                   &groups[count].threads) != 3)
            lab_exit(LAB_EXIT_USAGE, "'%s'", *arguments);
    lab_share_out(groups, count, cpus, capacity);
    for (int i = 0; i < count; i++)
        printf("%s%.1f", i ? " " : "", 100 * groups[i].share);
    puts("");
    return 0;
}

static int lock(char *arguments[])
{
    lab_fd fd = lab_lock_directory(arguments[0], 0755, atoi(arguments[1]));

    if (fd == -1)
        lab_lock_die(arguments[0]);
    puts("locked");
    return 0;
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(char *arguments[]);
    } commands[] = {
        {"lock", 2, lock},
        {"hierarchies", 1, hierarchies},
        {"directory", 2, directory},
        {"limit", 4, limit},
        {"shares", 3, shares},
        {"create", 2, create},
        {"stat", 2, stat_},
        {"idle", 1, idle},
        {"max", 1, max},
        {"number", 2, number},
        {"decimal", 2, decimal},
        {"fair", 2, fair},
    };

    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0 && argc >= 2 + commands[i].arguments)
            return commands[i].run(argv + 2);
    lab_exit(LAB_EXIT_USAGE, "see the comment at the top of tests/unit.c");
}
