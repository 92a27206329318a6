#include "filter.h"

#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core_limit.h"
#include "sockets.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* Refused to everybody; UNSUPPORTED: with EOPNOTSUPP, as where a file system has no such thing. */
enum { NO_CAPABILITY = -1, UNSUPPORTED = -2 };

#define ALL_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)

/* With CLONE_PARENT a process that `exec` has started would make further children of its runtime,
 * which does not wait for them, so that the container could not end. */
#define REFUSED_FLAGS (ALL_NAMESPACES | CLONE_PARENT)

/* The calls that are refused, by the capability that allows them, mostly with EPERM. All other
 * calls that this libseccomp knows are allowed. Calls that it does not know are newer; they get
 * ENOSYS, and programs fall back to older ones. */
static const struct {
    int capability;
    const char *calls[16];
} REFUSED[] = {
    /* Mounts: what the root file system is, was decided outside. */
    {CAP_SYS_ADMIN,
     {"mount", "umount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsconfig",
      "fsmount", "fspick", "mount_setattr"}},
    /* Other namespaces: a new user namespace would give every capability in itself, and with them a
     * large part of the kernel to attack. clone(2) is looked at below. */
    {CAP_SYS_ADMIN, {"setns", "unshare", "sethostname", "setdomainname"}},
    /* Handles open any file of a file system, whatever the root directory is (CVE-2014-9357). */
    {CAP_DAC_READ_SEARCH, {"open_by_handle_at", "name_to_handle_at"}},
    /* The machine itself: modules, another kernel, power, clocks, swap, ports, accounting. */
    {CAP_SYS_MODULE,
     {"init_module", "finit_module", "delete_module", "create_module", "query_module",
      "get_kernel_syms"}},
    {CAP_SYS_BOOT, {"kexec_load", "kexec_file_load", "reboot"}},
    {CAP_SYS_TIME, {"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime"}},
    {CAP_SYS_ADMIN,
     {"swapon", "swapoff", "quotactl", "quotactl_fd", "lookup_dcookie", "fanotify_init"}},
    {CAP_SYS_RAWIO, {"iopl", "ioperm"}},
    {CAP_SYS_PACCT, {"acct"}},
    {CAP_SYS_TTY_CONFIG, {"vhangup"}},
    {CAP_SYSLOG, {"syslog"}},
    /* Programs that run in the kernel, and counters that observe other processes. */
    {CAP_BPF, {"bpf"}},
    {CAP_PERFMON, {"perf_event_open"}},
    /* Access to other processes: those of the runtime are inside for a moment. */
    {CAP_SYS_PTRACE,
     {"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"}},
    /* Where memory lies is shared with the other containers. */
    {CAP_SYS_NICE,
     {"mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages"}},
    /* Keys know no namespaces: the keyring of a user is the same in every container. */
    {NO_CAPABILITY, {"add_key", "keyctl", "request_key"}},
    /* fs.aio-max-nr is one number for the whole machine: a container could take all of it. */
    {NO_CAPABILITY, {"io_setup"}},
    /* --memory does not count the ACLs of files in memory: up to 256 KiB for each directory. */
    {UNSUPPORTED, {"setxattr", "lsetxattr", "fsetxattr", "setxattrat"}},
    /* Large, young or unmaintained parts of the kernel, with a history of escapes. */
    {NO_CAPABILITY,
     {"userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "uselib", "ustat",
      "sysfs", "_sysctl", "nfsservctl", "vm86", "vm86old"}},
};

enum { REFUSED_COUNT = sizeof(REFUSED) / sizeof(REFUSED[0]) };

uint64_t filter_capabilities(void)
{
    uint64_t bits = 0;

    for (int i = 0; i < REFUSED_COUNT; i++)
        if (REFUSED[i].capability >= 0)
            bits |= UINT64_C(1) << REFUSED[i].capability;
    return bits;
}

static int has_capability(uint64_t capabilities, int capability)
{
    return capability >= 0 && (capabilities >> capability & 1);
}

/* Whether the filter refuses the call that is named NAME, or has a rule of its own for it. */
static int has_own_rule(const char *name, uint64_t capabilities)
{
    static const char *const BY_ARGUMENT[] = {"clone", "clone3", "personality", "ioctl", "socket"};

    for (int i = 0; i < REFUSED_COUNT; i++)
        for (const char *const *call = REFUSED[i].calls; *call; call++)
            if (strcmp(name, *call) == 0)
                return !has_capability(capabilities, REFUSED[i].capability);
    for (size_t i = 0; i < sizeof(BY_ARGUMENT) / sizeof(BY_ARGUMENT[0]); i++)
        if (strcmp(name, BY_ARGUMENT[i]) == 0)
            return 1;
    return 0;
}

/* The numbers of one architecture are dense; 1024 is far above the last. */
static int add_plain_rules(scmp_filter_ctx filter, uint64_t capabilities)
{
    for (int number = 0; number < 1024; number++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
        int error = 0;
        if (name && !has_own_rule(name, capabilities))
            error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        free(name);
        if (error)
            return error;
    }
    for (int i = 0; i < REFUSED_COUNT; i++) {
        const int answer = REFUSED[i].capability == UNSUPPORTED ? EOPNOTSUPP : EPERM;
        const char *const *call = REFUSED[i].calls;
        for (; *call && !has_capability(capabilities, REFUSED[i].capability); call++) {
            int number = seccomp_syscall_resolve_name(*call), error = 0;
            if (number >= 0) /* else another architecture's, or newer than this libseccomp */
                error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(answer), number, 0);
            if (error)
                return error;
        }
    }
    return 0;
}

/* Calls that are fine or not according to their arguments. */
static int add_argument_rules(scmp_filter_ctx filter, uint64_t capabilities)
{
    static const unsigned PERSONALITIES[] = {0, ADDR_NO_RANDOMIZE, PER_LINUX32, UNAME26,
                                             UINT32_MAX};
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 0);
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 0);
    for (size_t i = 0; !error && i < sizeof(PERSONALITIES) / sizeof(PERSONALITIES[0]); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PERSONALITIES[i]));
    if (!error && has_capability(capabilities, CAP_SYS_ADMIN)) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 0);
        return error ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
    }
    /* The flags of clone3(2) are in memory, where a filter cannot look: without a rule it gives
     * ENOSYS, which makes libraries use clone(2), whose flags are an argument. */
    if (!error)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, REFUSED_FLAGS, 0));
    for (uint64_t flag = 1; !error && flag <= UINT32_MAX; flag <<= 1)
        if (flag & REFUSED_FLAGS)
            error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    return error;
}

/* libseccomp cannot express "all values but these", so this is put before its program. */
static const struct sock_filter PRELUDE[] = {
    LAB_SOCKETS,
    LAB_SOCKET_OPTIONS,
    LAB_CORE_LIMIT,
    LAB_TERMINALS_AND_LISTENERS,
};

/* PRELUDE and what libseccomp has written to FD, one behind the other: jumps are relative. */
static struct sock_filter *join_programs(int fd, unsigned short *length)
{
    struct stat status;

    if (fstat(fd, &status) == -1)
        return NULL;
    struct sock_filter *program = malloc(sizeof(PRELUDE) + (size_t)status.st_size);
    if (!program)
        return NULL;
    memcpy(program, PRELUDE, sizeof(PRELUDE));
    ssize_t length_read = pread(fd, (char *)program + sizeof(PRELUDE), (size_t)status.st_size, 0);
    if (length_read != status.st_size) {
        errno = length_read == -1 ? errno : EIO;
        free(program);
        return NULL;
    }
    *length = (unsigned short)((sizeof(PRELUDE) + (size_t)status.st_size) / sizeof(*program));
    return program;
}

struct sock_filter *make_filter(uint64_t capabilities, unsigned short *length)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    struct sock_filter *program = NULL;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int error = fd == -1 ? -errno : !filter ? -ENOMEM : 0;

    if (!error)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, no long list */
    if (!error)
        error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (!error)
        error = add_plain_rules(filter, capabilities);
    if (!error)
        error = add_argument_rules(filter, capabilities);
    if (!error) /* else libseccomp makes ECANCELED of each errno of the kernel */
        error = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    if (!error)
        error = seccomp_export_bpf(filter, fd);
    if (!error)
        program = join_programs(fd, length);
    else
        errno = -error;
    if (filter)
        seccomp_release(filter);
    if (fd != -1)
        close(fd);
    return program;
}
