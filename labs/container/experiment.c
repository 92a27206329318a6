#include "experiment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "limits.h"
#include "namespace.h"
#include "narrate.h"
#include "netlink.h"
#include "privileges.h"
#include "process.h"
#include "rootfs.h"
#include "run.h"
#include "start.h"

static const char ROOT[] = "rootfs";

/* What the command inside does: it looks around. */
static const char LOOK[] = "echo host name $(hostname), user $(id -u), process $$\n"
                           "ps\n"
                           "ip -4 addr show eth0 | grep inet\n"
                           "echo /dev: $(ls /dev)\n"
                           "echo changed > /bin/new\n";

/* Then it tries each wall: a line "refused: WORD" for each that holds. */
static const char TRY[] =
    "try() { word=$1; shift; if \"$@\" >/dev/null 2>&1; then echo \"ALLOWED: $word\"; else"
    " echo \"refused: $word\"; fi; }\n"
    "try 'mount a file system' mount -t tmpfs none /mnt\n"
    "try 'make a disk' mknod /tmp/disk b 8 0\n"
    "try 'change the host name' hostname other\n"
    "try 'write core_pattern' sh -c 'echo x > /proc/sys/kernel/core_pattern'\n"
    "try 'read the kernel log' dmesg\n"
    "try 'make a namespace' unshare -m true\n"
    "try 'change the clock' adjtimex -f 1\n"
    "try 'add an address' ip addr add 10.0.0.1/8 dev eth0\n"
    "try 'open a raw socket' ping -c 1 127.0.0.1\n"
    "try 'signal a process outside' kill -0 $OUTSIDE\n"
    "try 'fork 300 times' sh -c 'for i in $(seq 300); do sleep 2 & done'\n";

enum { TRIES = 11 };

static struct {
    struct lab_cgroup group; /* of the experiment; the container's is in it */
    struct specification spec;
    struct container container; /* as it was last seen */
    struct utsname before;
    char said[64 * 1024];
    int status;
} seen;

void base_and_network(void)
{
    char busybox[PATH_MAX], state[PATH_MAX], script[sizeof(LOOK) + sizeof(TRY)];

    lab_step("a root file system, and a machine to run it on");
    if (lab_find_busybox(busybox, sizeof(busybox)) == -1)
        lab_cannot_run("no busybox is installed", "install the package busybox-static");
    lab_shell("02_rootfs %s", ROOT);
    if (mkdir(ROOT, 0755) == -1)
        lab_die("mkdir %s", ROOT);
    int applets = lab_make_rootfs(ROOT, busybox);
    if (applets == -1)
        lab_die("make a root file system in %s", ROOT);
    lab_fact("rootfs.commands", "%d", applets);
    snprintf(script, sizeof(script), "%s%s", LOOK, TRY);
    lab_fd root = open(ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root == -1 || lab_write_text_in(root, "bin/look", script, 0755) == -1)
        lab_die("write %s/bin/look", ROOT);
    lab_say(
        "A network namespace of the experiment's own plays the machine: what is changed in its\n"
        "network is not changed in yours.");
    if (unshare(CLONE_NEWNET) == -1)
        lab_cannot_run("unshare CLONE_NEWNET is refused", "run it on the machine itself");
    if (link_up(if_nametoindex("lo")) == -1 || !getcwd(state, sizeof(state) - 8))
        lab_die("set lo up");
    setenv("CONTAINER_LABS_STATE", strcat(state, "/state"), 1);
    uname(&seen.before);
    lab_check(applets > 100, "the base has a shell and more than a hundred commands");
}

/* Compare a namespace of the container with ours. */
static void check_namespace(pid_t pid, const char *name)
{
    const struct lab_namespace *kind = lab_namespace_named(name);
    ino_t inside = lab_namespace_inode(pid, name), outside = lab_namespace_inode(0, name);

    lab_check(inside != 0 && inside != outside, "%s is its own: %s", kind->flag_name,
              kind->isolates);
}

void one_call(const struct container *container)
{
    static const char *const NAMES[] = {"mnt", "pid", "net", "uts", "ipc"};
    char path[64], map[128];

    lab_step("one clone3(2), six namespaces");
    lab_shell("unshare --user --mount --pid --net --uts --ipc --fork ...");
    lab_fact("container.pid", "%d", (int)container->pid);
    if (container->spec.own_users)
        check_namespace(container->pid, "user");
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        check_namespace(container->pid, NAMES[i]);
    snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)container->pid);
    if (lab_read_file(path, map, sizeof(map)) == -1)
        lab_die("read %s", path);
    lab_fact("uid_map", "%s", map);
    if (container->spec.own_users)
        lab_check(container->first_id >= 100000, "root inside is the ordinary user %u outside",
                  container->first_id);
    else
        lab_say("No user namespace here: this kernel cannot show these files with other owners.");
}

/* Make GROUP, which is the experiment's, that of the container in it. */
static void group_of_container(struct lab_cgroup *group)
{
    size_t length = strlen(group->name);

    snprintf(group->name + length, sizeof(group->name) - length, "/container-%s-%d",
             seen.container.spec.name, (int)seen.container.runtime);
}

/* The limit that FILE of the container's group holds. */
static void check_limit(enum lab_controller controller, const char *v1, const char *v2,
                        long long expected)
{
    const char *file = lab_cgroup_version(&seen.group, controller) == 1 ? v1 : v2;
    struct lab_cgroup group = seen.group;
    long long value = 0;

    group_of_container(&group);
    if (lab_cgroup_number(&group, controller, file, NULL, &value) == -1)
        lab_cgroup_die();
    lab_shell("echo %lld > %s", expected, lab_cgroup_file(&group, controller, file));
    lab_check_number(value, expected, "%s holds the default limit", file);
}

void held_by_limits(const struct container *container)
{
    char path[64], text[4096], name[NAME_SIZE + 32];

    seen.container = *container;
    lab_step("it enters its control group before it does anything else");
    check_limit(LAB_MEMORY, "memory.limit_in_bytes", "memory.max", container->spec.memory);
    check_limit(LAB_PIDS, "pids.max", "pids.max", container->spec.pids);
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)container->pid);
    snprintf(name, sizeof(name), "/container-%s-", container->spec.name);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        lab_die("read %s", path);
    lab_check(strstr(text, name), "%s names the group", path);
    check_namespace(container->pid, "cgroup");
}

/* What the host name is in the UTS namespace of a process. */
static int say_host_name(void *pid)
{
    char path[64];
    struct utsname names;

    snprintf(path, sizeof(path), "/proc/%d/ns/uts", *(pid_t *)pid);
    lab_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || setns(fd, CLONE_NEWUTS) == -1 || uname(&names) == -1)
        lab_die("look into %s", path);
    puts(names.nodename);
    return 0;
}

void names_of_its_own(const struct container *container)
{
    LAB_OUTPUT inside = {0};
    struct utsname now;
    char path[64], text[16384];
    pid_t pid = container->pid;

    lab_step("what its namespaces show: host name, /proc, /sys");
    lab_shell("hostname %s; mount -t proc proc /proc; mount -o ro -t sysfs sysfs /sys",
              container->spec.hostname);
    if (lab_listen(&inside, say_host_name, &pid) == -1 || uname(&now) == -1)
        lab_die("start a child");
    lab_check(strncmp(inside.text, container->spec.hostname, strlen(container->spec.hostname)) == 0,
              "the host name inside is %s", container->spec.hostname);
    lab_check_text(now.nodename, seen.before.nodename, "the machine's is what it was");
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        lab_die("read %s", path);
    lab_check(strstr(text, " /proc/sys ro,"),
              "/proc/sys is read-only: root cannot change the kernel");
    lab_check(strstr(text, " /sys ro,"), "/sys is read-only");
}

void another_root(const struct container *container)
{
    char path[128], text[16384];
    struct stat inside, outside;
    struct in_addr address = container->address;

    lab_step("pivot_root(2): the machine's files are gone, and eth0 is there");
    lab_shell("mount -t overlay -o lowerdir=%s,upperdir=...,workdir=... overlay /; pivot_root . .",
              ROOT);
    snprintf(path, sizeof(path), "/proc/%d/root%s", (int)container->pid, "/bin/busybox");
    lab_check(stat(path, &inside) == 0, "%s is the base's", path);
    snprintf(path, sizeof(path), "/proc/%d/root", (int)container->pid);
    lab_check(stat(path, &inside) == 0 && stat("/", &outside) == 0 &&
                  inside.st_dev != outside.st_dev,
              "its / is on another file system than ours");
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)container->pid);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        lab_die("read %s", path);
    int mounts = 0;
    for (const char *at = text; *at; at++)
        mounts += *at == '\n';
    lab_fact("mounts", "%d", mounts + 1);
    lab_check(strstr(text, " / / ") && !strstr(text, "/run/container-labs"),
              "of all the mounts of the machine none is left in there");
    lab_fact("eth0.address", "%s", inet_ntoa(address));
    lab_check(if_nametoindex("labs0") != 0, "the bridge labs0 is there for it");
}

void less_privileges(const struct container *container)
{
    char path[64], text[8192], names[512];
    unsigned long long effective = 0;

    lab_step("the command runs, with what is left of root's powers");
    snprintf(path, sizeof(path), "/proc/%d/status", (int)container->pid);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        lab_die("read %s", path);
    const char *line = strstr(text, "\nCapBnd:");
    if (!line || sscanf(line, "\nCapBnd: %llx", &effective) != 1)
        lab_die("find CapBnd in %s", path);
    capability_names(effective, names, sizeof(names));
    lab_fact("CapBnd", "%s", names);
    lab_check_number((long long)effective, (long long)default_capabilities(),
                     "11 capabilities of 41, and SYS_ADMIN is none of them");
    lab_check(strstr(text, "\nNoNewPrivs:\t1"), "NoNewPrivs is 1: no set-user-ID program helps");
    lab_check(strstr(text, "\nSeccomp:\t2"), "Seccomp is 2: a filter decides on each system call");
}

/* The command has ended: what it said is what the walls look like from inside. */
static void look_from_inside(const struct container *container, const char *said)
{
    char *tries, path[128];
    int refused = 0;

    seen.container = *container;
    snprintf(seen.said, sizeof(seen.said), "%s", said);
    tries = strstr(seen.said, "refused: ");
    lab_step("the same from inside");
    if (tries)
        tries[-1] = '\0';
    lab_quote(seen.said);
    lab_check(strstr(seen.said, "host name demo, user 0, process 1"),
              "it is root, process 1, on a host of its own");
    lab_check(strstr(seen.said, inet_ntoa(container->address)), "eth0 has its address");
    snprintf(path, sizeof(path), "%s/bin/new", ROOT);
    lab_check(access(path, F_OK) == -1, "the file that it wrote to /bin is in its layer, not in %s",
              ROOT);
    lab_step("every wall, tried by root inside");
    lab_quote(tries ? tries : "");
    for (const char *at = tries; at; at = strstr(at + 1, "refused: "))
        refused++;
    lab_check_number(refused, TRIES, "all of %d tries are refused", TRIES);
    lab_check(!strstr(said, "ALLOWED"), "none is allowed");
}

void let_it_come_to_be(void (*stage)(const struct container *container, const char *name))
{
    static char outside[32];
    static char *argv[] = {"run",    "-n",      "demo",      "-e", outside,
                           "rootfs", "/bin/sh", "/bin/look", NULL};
    struct observer observer = {.parent = &seen.group, .stage = stage, .ended = look_from_inside};

    lab_run_cgroup(&seen.group, limits_controllers(), 0);
    snprintf(outside, sizeof(outside), "OUTSIDE=%d", (int)getpid());
    lab_shell_command("09_full_container", (const char *const *)argv);
    read_run_options(&seen.spec, 8, argv);
    seen.status = run_observed(&seen.spec, &observer);
}

static void enter_shell(void)
{
    const char *how = isatty(STDIN_FILENO) ? "-it" : "-i";

    lab_exec((char *[]){"/proc/self/exe", "run", (char *)how, (char *)ROOT, NULL});
}

void nothing_is_left(void)
{
    char path[64];
    struct lab_cgroup group = seen.group;

    group_of_container(&group);
    lab_step("the end: nothing is left");
    lab_fact("container.exit_status", "%d", seen.status);
    snprintf(path, sizeof(path), "/proc/%d", (int)seen.container.pid);
    lab_check(access(path, F_OK) == -1, "no process");
    lab_check(if_nametoindex("labs0") == 0, "no bridge");
    lab_check(access(state_directory(), F_OK) == -1, "no file of its state");
    lab_check(access(lab_cgroup_file(&group, LAB_PIDS, ""), F_OK) == -1, "no control group");
    lab_shell_enters(enter_shell);
}
