#include "probe.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "error.h"
#include "file.h"
#include "namespace.h"
#include "process.h"

void probe_kernel(const void *unused)
{
    char text[4096], name[128] = "an unknown distribution";
    struct utsname system;
    int major = 0, minor = 0;

    (void)unused;
    if (uname(&system) == -1)
        lab_die("uname");
    const char *line = lab_read_file("/etc/os-release", text, sizeof(text)) == -1 ? NULL : text;
    if (!line && errno != ENOENT)
        lab_die("read /etc/os-release");
    for (; line; line = lab_next_line(line)) /* os-release(5): quotes only where they are needed */
        if (sscanf(line, "PRETTY_NAME=%*[\"']%127[^\"'\n]", name) == 1 ||
            sscanf(line, "PRETTY_NAME=%127[^\"'\n]", name) == 1)
            break;
    sscanf(system.release, "%d.%d", &major, &minor);
    if (major < 5 || (major == 5 && minor < 8))
        probe_refuse("boot a newer one, or take make vm",
                     "Linux %s is older than 5.8, which the labs are written for", system.release);
    printf("Linux %s, %s\n", system.release, name);
}

/* Lab 09's launcher makes its system calls without a library, which it can do on 64-bit machines.
 */
void probe_word_size(const void *unused)
{
    struct utsname system;

    (void)unused;
    if (uname(&system) == -1)
        lab_die("uname");
    if (sizeof(void *) < 8)
        probe_refuse("install a 64-bit system, if the processor can run one",
                     "these are 32-bit programs (machine %s)", system.machine);
    printf("%s\n", system.machine);
}

/* What kind of container this is, or NULL. A file alone proves nothing: an image may have kept it.
 */
static const char *container_kind(void)
{
    static char kind[64];

    const ino_t user = lab_namespace_inode(0, "user"),
                pid = user ? lab_namespace_inode(0, "pid") : 0;

    if (pid == 0)
        lab_die("look at the namespaces in /proc/self/ns");
    if ((int)user == LAB_INITIAL_USER && (int)pid == LAB_INITIAL_PID)
        return NULL;
    ssize_t length = lab_read_file("/run/systemd/container", kind, sizeof(kind));
    if (length > 0)
        return kind;
    if (length == -1 && errno != ENOENT && errno != EACCES)
        lab_die("read /run/systemd/container");
    int there = lab_is_there("/.dockerenv");
    if (there == 1)
        return "docker";
    there = there == -1 ? -1 : lab_is_there("/run/.containerenv");
    if (there == -1)
        lab_die("look for /.dockerenv and /run/.containerenv");
    return there ? "podman" : "of an unknown kind";
}

/* Whether the root of this process is another one than that of process 1. Where this process may
 * not look, it is taken for the same. */
static bool is_in_chroot(void)
{
    struct stat first, own;

    if (stat("/proc/1/root", &first) == -1) {
        if (errno != EACCES && errno != EPERM && errno != ENOENT)
            lab_die("look at /proc/1/root");
        return false;
    }
    if (stat("/", &own) == -1)
        lab_die("look at /");
    return !lab_same_file(&first, &own);
}

void probe_surroundings(const void *unused)
{
    char release[256] = "";
    const char *kind = container_kind();

    (void)unused;
    if (lab_read_file("/proc/sys/kernel/osrelease", release, sizeof(release)) == -1)
        lab_die("read /proc/sys/kernel/osrelease");
    if (strstr(release, "Microsoft"))
        probe_refuse("in PowerShell: wsl --set-version DISTRIBUTION 2",
                     "WSL 1 has no Linux kernel");
    if (is_in_chroot())
        probe_note(ELSEWHERE, "in a chroot: no user namespace can be made, and pivot_root fails");
    if (strstr(release, "microsoft")) /* each distribution is one of its containers */
        printf("WSL 2: a virtual machine with its own kernel\n");
    else if (kind)
        probe_note("where a line below says no, " ELSEWHERE, "in a container (%s)", kind);
    else
        printf("no container\n");
}

void probe_root(const void *unused)
{
    static const struct {
        int number;
        const char *name;
    } needed[] = {
        {CAP_CHOWN, "CHOWN"},           {CAP_DAC_OVERRIDE, "DAC_OVERRIDE"},
        {CAP_FOWNER, "FOWNER"},         {CAP_KILL, "KILL"},
        {CAP_SETGID, "SETGID"},         {CAP_SETUID, "SETUID"},
        {CAP_SETPCAP, "SETPCAP"},       {CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE"},
        {CAP_NET_RAW, "NET_RAW"},       {CAP_SYS_CHROOT, "SYS_CHROOT"},
        {CAP_SYS_PTRACE, "SYS_PTRACE"}, {CAP_SYS_ADMIN, "SYS_ADMIN"},
        {CAP_SYS_TIME, "SYS_TIME"},     {CAP_MKNOD, "MKNOD"},
        {CAP_SETFCAP, "SETFCAP"},
    };
    char missing[256] = "";
    unsigned long long effective = 0;

    (void)unused;
    if (geteuid() != 0) {
        printf("uid %d; a lab makes it root of a user namespace\n", (int)geteuid());
        return;
    }
    const char *status = lab_process_status(0);
    if (!status)
        lab_die("read /proc/self/status");
    const char *line = strstr(status, "CapEff:");
    if (line)
        sscanf(line, "CapEff: %llx", &effective);
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        size_t length = strlen(missing);
        if (!(effective >> needed[i].number & 1))
            snprintf(missing + length, sizeof(missing) - length, " CAP_%s", needed[i].name);
    }
    if (*missing)
        probe_refuse("root of a container lacks some rights: " ELSEWHERE, "root, but without%s",
                     missing);
    printf("root, with every capability that the labs use\n");
}

void probe_cpus(const void *unused)
{
    (void)unused;
    if (lab_cpu_count() < 2)
        probe_note("lab 05 cannot show 150%, the rest is as on any machine", "1 CPU");
    printf("%d CPUs\n", lab_cpu_count());
}

/* None of them can do anything with these arguments, and a kernel that has the call says so: by
 * another errno than who has it not, or refuses it. */
void probe_calls(const void *calls)
{
    for (const struct probe_call *call = calls; call->name; call++) {
        long result = syscall(call->number, -1L, 0L, 0L, 0L, 0L);
        if (result == -1 && (errno == ENOSYS || errno == EPERM || errno == EACCES))
            lab_die_remedy(ELSEWHERE, "%s, Linux %s", call->name, call->since);
    }
    for (const struct probe_call *call = calls; call->name; call++)
        printf("%s%s", call == calls ? "" : ", ", call->name);
    putchar('\n');
}
