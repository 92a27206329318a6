/*
 * 09_full_container - all of it at once: a container, wall by wall.
 *     sudo ./labs/09_full_container [run ...]   the experiment, or a container of your own
 *
 * Shows in which order a runtime does what labs 01 to 08 did. The kernel has no containers, only
 * processes with other namespaces, another root, limits and fewer privileges. Forced: the group
 * before the command and before the cgroup namespace, the overlay before clone3 copies the mounts,
 * the maps before it is root, proc and sysfs before the old root goes, each act before its
 * privilege or its system call goes.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lab.h"
int container_tool(int argc, char *argv[]); /* the service of labs/container/ */

/* Limits of the container: files of its group, with other names in cgroup v1 and v2. */
enum { CPU, MEMORY, PIDS, GROUPS };
static const char *const CONTROLLERS[] = {"cpu", "memory", "pids"};
static const char *const PATHS[] = {"$CPU/box", "$MEMORY/box", "$PIDS/box"};
static const struct {
    int group;
    const char *v1[2], *v2[2]; /* file and value; 67108864 bytes are 64 MiB */
} LIMITS[] = {
    {MEMORY, {"memory.limit_in_bytes", "67108864"}, {"memory.max", "67108864"}},
    {MEMORY, {"memory.memsw.limit_in_bytes", "67108864"}, {"memory.swap.max", "0"}},
    {PIDS, {"pids.max", "64"}, {"pids.max", "64"}},
    {CPU, {"cpu.cfs_quota_us", "50000"}, {"cpu.max", "50000 100000"}},
    {CPU, {"cpu.shares", "512"}, {"cpu.weight", "50"}},
};

/* The capabilities that root keeps: for its files, its users, ports below 1024. capabilities(7) */
static const cap_value_t KEPT[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                   CAP_KILL,  CAP_SETGID,       CAP_SETUID, CAP_NET_BIND_SERVICE};

/* System calls that a plain command in a container can do without; all others pass. seccomp(2) */
static const char *const REFUSED[] = {
    "mount",  "umount2",       "pivot_root",  "open_tree",      "move_mount",
    "fsopen", "mount_setattr", "unshare",     "setns",          "ptrace",
    "bpf",    "keyctl",        "userfaultfd", "io_uring_setup", "syslog",
};

/* What root inside tries at the end; a part of the answer; the wall that refuses it. */
static const struct {
    const char *line, *answer, *wall;
} ESCAPES[] = {
    {"kill -0 $LAB", "No such process", "ESRCH: its PID namespace has no such number"},
    {"ls /proc/$LAB", "No such file", "ENOENT: its /proc shows its PID namespace alone"},
    {"ls $HERE", "No such file", "ENOENT: after pivot_root and umount2 no path leads there"},
    {"ip link set br0 down", "No such device", "ENODEV: its network namespace has no such link"},
    {"cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern", "Permission denied",
     "EACCES: the user namespace: the file is root's outside, and root inside is another user"},
    {"echo 1 >/sys/kernel/profiling", "Read-only file system",
     "EROFS: the mount of /sys is read-only: what is written there changes the whole machine"},
    {"chroot /bin /busybox true", "not permitted", "EPERM: no CAP_SYS_CHROOT, a way out (lab 01)"},
    {"mknod /tmp/disk b 8 0", "not permitted", "EPERM: no CAP_MKNOD; a user namespace makes none"},
    {"hostname other", "not permitted", "EPERM: no CAP_SYS_ADMIN, which sethostname(2) needs"},
    {"ip addr add 10.0.0.1/8 dev eth0", "not permitted", "EPERM: no CAP_NET_ADMIN, even for eth0"},
    {"mount -t tmpfs none /mnt", "ermission denied", "EPERM: the filter (and no CAP_SYS_ADMIN)"},
    {"unshare -U true", "not permitted", "EPERM: the filter: it would have all capabilities there"},
    {"dmesg", "not permitted", "EPERM: the filter: the kernel's log is the whole machine's"},
    {"dd if=/dev/zero of=/dev/null bs=100M count=1", "Killed",
     "SIGKILL: the limit of memory: the kernel ends a process of this group, and no other"},
    {"sh -c 'for i in $(seq 100); do sleep 1 & done'", "unavailable",
     "EAGAIN: pids.max: fork(2) fails in this group alone"},
};

static struct lab_sandbox *box;
static unsigned first, count = 65536; /* its users and groups, as numbers outside */
static bool limited;                  /* without root there may be no control group */

/* The mechanism: what the child does, from clone3 to the command. */

/* Before the exchange: a user namespace may mount proc and sysfs only while others are visible. */
static void exchange_root(void)
{
    static const char *const DEVICES[] = {"null", "zero", "full", "random", "urandom", "tty"};

    lab_do(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)); /* no mount passes in or out */
    lab_do(mount("root", "root", NULL, MS_BIND, NULL)); /* pivot_root wants a mount made in here */
    lab_do(chdir("root"));
    lab_do(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    lab_do(mount("sysfs", "sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    lab_do(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755"));
    /* A user namespace cannot make devices. The harmless ones of the machine are bound. */
    for (int i = 0; i < LAB_COUNT(DEVICES); i++) {
        const char *own = lab_path("dev/%s", DEVICES[i]);
        close((int)lab_must(open(own, O_CREAT | O_CLOEXEC, 0666)));
        lab_must(mount(lab_path("/dev/%s", DEVICES[i]), own, NULL, MS_BIND, NULL));
    }
    /* This stacks the old root on the new one. umount2 takes it off, with the mounts in it. */
    lab_do(syscall(SYS_pivot_root, ".", "."));
    lab_do(umount2(".", MNT_DETACH));
    lab_do(chdir("/"));
}

/* execve(2) gives root all of the bounding set: it is reduced first, while CAP_SETPCAP is there. */
static void drop_capabilities(void)
{
    cap_t kept = cap_init();
    cap_flag_value_t is_kept;

    lab_must(cap_set_flag(kept, CAP_PERMITTED, LAB_COUNT(KEPT), KEPT, CAP_SET));
    lab_must(cap_set_flag(kept, CAP_EFFECTIVE, LAB_COUNT(KEPT), KEPT, CAP_SET));
    for (cap_value_t each = 0; each < cap_max_bits(); each++) {
        lab_must(cap_get_flag(kept, each, CAP_PERMITTED, &is_kept));
        if (is_kept == CAP_CLEAR)
            lab_must(cap_drop_bound(each));
    }
    lab_do(cap_set_proc(kept));
}

/* Last of all: it refuses mount, pivot_root and unshare, which the lines before it need. */
static void filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    for (int i = 0; i < LAB_COUNT(REFUSED); i++)
        lab_must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
                                  seccomp_syscall_resolve_name(REFUSED[i]), 0));
    /* No user namespace by clone(2): mask, value. The flags of clone3 are in memory, where a filter
     * cannot look: it says that there is no such call, and the C library uses clone instead. */
    lab_must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)));
    lab_must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
    /* A filter needs CAP_SYS_ADMIN or no_new_privs, which is set here, not by the library. */
    lab_must(seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0));
    lab_do(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    lab_do(seccomp_load(filter));
}

static void container(void)
{
    struct clone_args how = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                      CLONE_NEWUTS | CLONE_NEWIPC,
                             .exit_signal = SIGCHLD};

    lab_continue_in_child((pid_t)lab_do(syscall(SYS_clone3, &how, sizeof(how))));
    lab_hold_still(); /* until its maps, group and cable are made from outside */
    if (first != 0)   /* root outside has written the maps: else setgroups is refused (lab 03) */
        lab_do(setgroups(0, NULL));
    lab_do(setresgid(0, 0, 0));
    lab_do(setresuid(0, 0, 0));
    lab_do(prctl(PR_SET_PDEATHSIG, SIGKILL)); /* only now: a change of user clears it */
    lab_must(prctl(PR_SET_DUMPABLE, 1)); /* and this: /proc/$BOX would be for the real root alone */
    lab_do(unshare(CLONE_NEWCGROUP));    /* the group that it is in becomes the root that it sees */
    lab_do(sethostname("box", 3));
    exchange_root();
    lab_hold_still(); /* until its root was looked at from outside */
    drop_capabilities();
    filter_calls();
    lab_hold_still(); /* until the first line is typed into it */
    lab_must(setenv("PATH", "/sbin:/bin", 1));
    /* An open directory of the machine would be a way out. */
    lab_must(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
    lab_exec((char *[]){"sh", NULL});
}

/* The experiment: a function for each step. */
static void a_group(void)
{
    lab_step("a control group with limits, before a process is in it (labs 05, 06)");
    limited = lab_own_groups("cpu memory pids", false);
    lab_own_network(); /* it plays the machine's network, so that yours is not changed */
    if (!limited)
        return;
    lab_run("mkdir -p $CPU/box $MEMORY/box $PIDS/box"); /* on v2 one and the same */
    for (int i = 0; i < GROUPS; i++)
        if (lab_dialect(CONTROLLERS[i]) == 2) /* a group has what its parent hands on */
            lab_run("echo +%s > %s/../cgroup.subtree_control", CONTROLLERS[i], PATHS[i]);
    for (int i = 0; i < LAB_COUNT(LIMITS); i++) {
        const char *path = PATHS[LIMITS[i].group], *controller = CONTROLLERS[LIMITS[i].group];
        const char *const *limit = lab_dialect(controller) == 1 ? LIMITS[i].v1 : LIMITS[i].v2;
        if (!lab_exists("%s/%s", path, limit[0]))
            continue; /* a kernel that does not count swap */
        lab_echo(limit[1], "%s/%s", path, limit[0]);
        lab_check_file(path, limit[0], limit[1], "the kernel has taken it");
    }
}

static void a_file_system(void)
{
    lab_step("a file system: a base, and a layer over it for changes (lab 02)");
    lab_set("HERE", "$(pwd)"); /* what the child will look for in vain */
    lab_set("LAB", "%d", (int)getpid());
    lab_run("02_rootfs base");
    lab_run("mkdir upper work root");
    lab_run("chown -hR %u:%u base upper work", first, first); /* root inside, as seen outside */
    lab_run("mount -t overlay -o lowerdir=base,upperdir=upper,workdir=work overlay root");
    lab_check(strstr(lab_try("ls -C root").text, "bin"), "the layer shows the files of the base");
}

static void a_child(void)
{
    lab_step("clone3(2), which returns twice: a child in six new namespaces (lab 03)");
    box = lab_sandbox(container);
    box->kept = true;
    lab_set("BOX", "%d", (int)box->pid);
    lab_echo(lab_path("0 %u %u", first, count), "/proc/$BOX/uid_map");
    lab_echo(lab_path("0 %u %u", first, count), "/proc/$BOX/gid_map");
    for (int i = 0; limited && i < GROUPS; i++)
        lab_echo("$BOX", "%s/cgroup.procs", PATHS[i]);
    struct lab_answer new = lab_try("for n in cgroup ipc mnt net pid user uts; do "
                                    "[ /proc/self/ns/$n -ef /proc/$BOX/ns/$n ] || echo $n; done");
    lab_check_text(new.text, "ipc\nmnt\nnet\npid\nuser\nuts\n", "these six are new");
}

static void a_network(void)
{
    lab_step("a cable to a bridge, and NAT to the outside (labs 07, 08)");
    lab_run("ip link add br0 up type bridge");
    lab_run("ip addr add 192.168.0.100/24 dev br0");
    lab_run("ip link add veth1 type veth peer name eth0 netns $BOX");
    lab_run("ip link set veth1 master br0 up");
    lab_run("nsenter -t $BOX -n ip addr add 192.168.0.101/24 dev eth0");
    lab_run("nsenter -t $BOX -n sh -c 'ip link set lo up && ip link set eth0 up'");
    lab_run("nsenter -t $BOX -n ip route add default via 192.168.0.100");
    lab_run("sysctl -q -w net.ipv4.ip_forward=1");
    lab_run("iptables -t nat -A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE");
    lab_wait_for_link("br0");
    const char *addresses = lab_try("nsenter -t $BOX -n ip -4 -br addr show eth0").text;
    lab_check(strstr(addresses, " 192.168.0.101/24") && !lab_exists("/sys/class/net/eth0"),
              "eth0 is inside, with its address, and not outside");
}

static void an_outside(void)
{
    lab_step("an outside: a server that prints the address of each client (lab 08)");
    lab_run("ip netns add outside");
    lab_run("ip link add wan0 type veth peer name wan1 netns outside");
    lab_run("ip addr add 198.51.100.2/24 dev wan0");
    lab_run("ip link set wan0 up");
    lab_run("ip netns exec outside ip addr add 198.51.100.1/24 dev wan1");
    lab_run("ip netns exec outside ip link set wan1 up");
    lab_wait_for_link("wan0");
    lab_run("mkdir -p www/cgi-bin; install -m 755 /dev/null www/cgi-bin/who");
    lab_run("printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' >www/cgi-bin/who");
    lab_start("ip netns exec outside busybox httpd -f -p 198.51.100.1:80 -h www");
}

static void its_own_root(void)
{
    lab_step("the child goes on: root inside, another root, /proc, /sys, /dev (lab 01)");
    lab_go_on(box);
    lab_check(lab_exists("/proc/$BOX/root/bin/sh") && !lab_exists("/proc/$BOX/root$HERE") &&
                  !strstr(lab_text("/proc/$BOX/mountinfo"), "container-labs"),
              "it has its own files; of the machine's, only six devices are left");
    lab_check_text(lab_try("nsenter -t $BOX -u hostname; uname -n | grep -c '^box$'").text,
                   "box\n0\n", "its host name is box; the machine's is another");
    if (first != 0)
        lab_check_text(lab_try("stat -c %%u /proc/$BOX").text, lab_path("%u\n", first),
                       "root inside is an ordinary user outside");
}

static void fewer_privileges(void)
{
    lab_step("fewer privileges: capabilities, no_new_privs, a filter");
    lab_go_on(box);
    const char *status = lab_try("grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/$BOX/status").text;
    lab_check(strstr(status, "CapBnd:\t00000000000004fb"), "%d capabilities of %d are left",
              LAB_COUNT(KEPT), cap_max_bits());
    lab_check(strstr(status, "NoNewPrivs:\t1"), "NoNewPrivs is 1: no program adds one");
    lab_check(strstr(status, "Seccomp:\t2"), "Seccomp is 2: a filter decides on each call");
}

static void from_inside(void)
{
    lab_step("the command, sh: what it sees");
    lab_check_text(lab_tell(box, "echo process $$, user $(id -u), host $(hostname)").text,
                   "process 1, user 0, host box\n", "it is root, and process 1");
    lab_check_text(lab_tell(box, "cut -d: -f3 /proc/self/cgroup | sort -u").text, "/\n",
                   "for it, its group is the root of all groups: a seventh namespace, cgroup");
    lab_check_text(lab_try("ls -x /proc/$BOX/fd").text, "0  1  2\n", "no other file is open in it");
    lab_check(strstr(lab_tell(box, "ip -4 addr show eth0").text, "192.168.0.101/"), "it sees eth0");
    struct lab_answer who = lab_tell(box, LAB_UNTIL("wget -qO- 198.51.100.1/cgi-bin/who"));
    lab_check_text(who.text, "198.51.100.2\n", "the outside sees the machine's address");
    lab_tell(box, "echo changed >/bin/new");
    lab_check(lab_exists("upper/bin/new") && !lab_exists("base/bin/new"),
              "what it writes is in its layer; the base is as it was");
    if (!limited)
        return;
    lab_check(strstr(lab_text("/proc/$BOX/cgroup"), "/box"), "it is in the group");
    lab_tell(box, "timeout -s KILL 1 sh -c 'while :; do :; done'");
    lab_check(lab_number("nr_periods", "$CPU/box/cpu.stat") >= 3,
              "its CPU time is counted against a quota (lab 05 measures it)");
}

/* Root inside tries to leave, by the lines FROM up to TO of the table. */
static void walls(const char *kinds, int from, int to)
{
    lab_step("each wall, tried by root inside: %s", kinds);
    for (int i = from; i < to; i++)
        lab_check(strstr(lab_tell(box, "%s", ESCAPES[i].line).text, ESCAPES[i].answer), "%s",
                  ESCAPES[i].wall);
}

static void nothing_is_left(void)
{
    lab_step("the end: nothing is left");
    lab_run("kill -KILL $BOX"); /* with process 1 the kernel ends all others of its namespace */
    lab_end(box);
    lab_check(!lab_exists("/proc/$BOX"), "no process");
    for (int i = 0; limited && i < GROUPS; i++)
        if (lab_exists("%s", PATHS[i])) /* on v2 it is gone already */
            lab_run("rmdir %s", PATHS[i]);
    if (limited)
        lab_check(!lab_exists("$PIDS/box"), "no group: only an empty one can be removed");
    for (int i = 0; i < 1000 && lab_exists("/sys/class/net/veth1"); i++)
        usleep(10000); /* the kernel removes a network namespace later: in up to seconds */
    lab_check(!lab_exists("/sys/class/net/veth1"), "no cable: it went with the network namespace");
}

int main(int argc, char *argv[])
{
    lab_open("09", "a container, wall by wall", 12, container_tool, argc, argv);
    first = lab_choose_ids(100000, &count); /* 0: without root there may be the own ID alone */
    lab_need_commands("ip:iproute2 iptables:iptables busybox:busybox-static 02_rootfs:");
    a_group();
    a_file_system();
    a_child();
    a_network();
    an_outside();
    its_own_root();
    fewer_privileges();
    from_inside();
    walls("namespaces and mounts", 0, 6);
    walls("privileges", 6, 13);
    walls(limited ? "limits" : "limits (NOT SHOWN)", 13, limited ? LAB_COUNT(ESCAPES) : 13);
    nothing_is_left();
    return lab_close("09_full_container run $([ -t 0 ] && echo -it || echo -i)");
}
