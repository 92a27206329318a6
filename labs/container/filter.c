#include "filter.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* Where the lower 32 bits of an argument lie. */
#define LOWER_HALF(offset) ((offset) + (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0))

enum { NO_CAPABILITY = -1 };

#define ALL_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)

/* The calls that are refused with EPERM, and the capability that allows each. All other calls that
 * this libseccomp knows are allowed. Calls that it does not know are newer; they get ENOSYS, and
 * programs fall back to older ones. */
static const struct {
    const char *call;
    int capability;
} REFUSED[] = {
    /* Mounts: what the root file system is, was decided outside. */
    {"mount", CAP_SYS_ADMIN},
    {"umount", CAP_SYS_ADMIN},
    {"umount2", CAP_SYS_ADMIN},
    {"pivot_root", CAP_SYS_ADMIN},
    {"move_mount", CAP_SYS_ADMIN},
    {"open_tree", CAP_SYS_ADMIN},
    {"fsopen", CAP_SYS_ADMIN},
    {"fsconfig", CAP_SYS_ADMIN},
    {"fsmount", CAP_SYS_ADMIN},
    {"fspick", CAP_SYS_ADMIN},
    {"mount_setattr", CAP_SYS_ADMIN},
    /* Other namespaces: a new user namespace would give every capability in itself, and with them a
     * large part of the kernel to attack. clone(2) is looked at below. */
    {"setns", CAP_SYS_ADMIN},
    {"unshare", CAP_SYS_ADMIN},
    {"sethostname", CAP_SYS_ADMIN},
    {"setdomainname", CAP_SYS_ADMIN},
    /* Handles open any file of a file system, whatever the root directory is (CVE-2014-9357). */
    {"open_by_handle_at", CAP_DAC_READ_SEARCH},
    {"name_to_handle_at", CAP_DAC_READ_SEARCH},
    /* The machine itself: modules, another kernel, power, clocks, swap, ports, accounting. */
    {"init_module", CAP_SYS_MODULE},
    {"finit_module", CAP_SYS_MODULE},
    {"delete_module", CAP_SYS_MODULE},
    {"create_module", CAP_SYS_MODULE},
    {"query_module", CAP_SYS_MODULE},
    {"get_kernel_syms", CAP_SYS_MODULE},
    {"kexec_load", CAP_SYS_BOOT},
    {"kexec_file_load", CAP_SYS_BOOT},
    {"reboot", CAP_SYS_BOOT},
    {"settimeofday", CAP_SYS_TIME},
    {"clock_settime", CAP_SYS_TIME},
    {"clock_adjtime", CAP_SYS_TIME},
    {"adjtimex", CAP_SYS_TIME},
    {"stime", CAP_SYS_TIME},
    {"swapon", CAP_SYS_ADMIN},
    {"swapoff", CAP_SYS_ADMIN},
    {"iopl", CAP_SYS_RAWIO},
    {"ioperm", CAP_SYS_RAWIO},
    {"acct", CAP_SYS_PACCT},
    {"quotactl", CAP_SYS_ADMIN},
    {"quotactl_fd", CAP_SYS_ADMIN},
    {"vhangup", CAP_SYS_TTY_CONFIG},
    {"syslog", CAP_SYSLOG},
    {"lookup_dcookie", CAP_SYS_ADMIN},
    {"fanotify_init", CAP_SYS_ADMIN},
    /* Programs that run in the kernel, and counters that forward_until_end other processes. */
    {"bpf", CAP_BPF},
    {"perf_event_open", CAP_PERFMON},
    /* Access to other processes: those of the runtime are inside for a moment. */
    {"ptrace", CAP_SYS_PTRACE},
    {"process_vm_readv", CAP_SYS_PTRACE},
    {"process_vm_writev", CAP_SYS_PTRACE},
    {"process_madvise", CAP_SYS_PTRACE},
    {"pidfd_getfd", CAP_SYS_PTRACE},
    {"kcmp", CAP_SYS_PTRACE},
    /* Where memory lies is shared with the other containers. */
    {"mbind", CAP_SYS_NICE},
    {"set_mempolicy", CAP_SYS_NICE},
    {"set_mempolicy_home_node", CAP_SYS_NICE},
    {"migrate_pages", CAP_SYS_NICE},
    {"move_pages", CAP_SYS_NICE},
    /* Keys know no namespaces: the keyring of a user is the same in every container. */
    {"add_key", NO_CAPABILITY},
    {"keyctl", NO_CAPABILITY},
    {"request_key", NO_CAPABILITY},
    /* Large, young or unmaintained parts of the kernel, with a history of escapes. */
    {"userfaultfd", NO_CAPABILITY},
    {"io_uring_setup", NO_CAPABILITY},
    {"io_uring_enter", NO_CAPABILITY},
    {"io_uring_register", NO_CAPABILITY},
    {"uselib", NO_CAPABILITY},
    {"ustat", NO_CAPABILITY},
    {"sysfs", NO_CAPABILITY},
    {"_sysctl", NO_CAPABILITY},
    {"nfsservctl", NO_CAPABILITY},
    {"vm86", NO_CAPABILITY},
    {"vm86old", NO_CAPABILITY},
};

enum { REFUSED_COUNT = sizeof(REFUSED) / sizeof(REFUSED[0]) };

uint64_t filter_capabilities(void)
{
    uint64_t bits = 0;

    for (int i = 0; i < REFUSED_COUNT; i++)
        if (REFUSED[i].capability != NO_CAPABILITY)
            bits |= UINT64_C(1) << REFUSED[i].capability;
    return bits;
}

static int has_capability(uint64_t capabilities, int capability)
{
    return capability != NO_CAPABILITY && (capabilities >> capability & 1);
}

/* Whether the filter refuses the call that is named NAME, or has a rule of its own for it. */
static int has_own_rule(const char *name, uint64_t capabilities)
{
    static const char *const BY_ARGUMENT[] = {"clone", "clone3", "personality", "ioctl", "socket"};

    for (int i = 0; i < REFUSED_COUNT; i++)
        if (strcmp(name, REFUSED[i].call) == 0)
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
        int number = seccomp_syscall_resolve_name(REFUSED[i].call);
        if (number < 0 || has_capability(capabilities, REFUSED[i].capability))
            continue; /* another architecture's, or newer than this libseccomp */
        int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
        if (error)
            return error;
    }
    return 0;
}

/* Calls that are fine or not according to their arguments. */
static int add_argument_rules(scmp_filter_ctx filter, uint64_t capabilities)
{
    static const unsigned PERSONALITIES[] = {0, ADDR_NO_RANDOMIZE, PER_LINUX32, UNAME26,
                                             UINT32_MAX};
    int error = 0;

    error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 0);
    error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 0);
    for (size_t i = 0; i < sizeof(PERSONALITIES) / sizeof(PERSONALITIES[0]); i++)
        error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PERSONALITIES[i]));
    if (has_capability(capabilities, CAP_SYS_ADMIN)) {
        error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 0);
        error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
        return error;
    }
    /* The flags of clone3(2) are in memory, where a filter cannot look: without a rule it gives
     * ENOSYS, which makes libraries use clone(2), whose flags are an argument. */
    error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, ALL_NAMESPACES, 0));
    for (uint64_t flag = 1; flag <= UINT32_MAX; flag <<= 1)
        if (flag & ALL_NAMESPACES)
            error |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    return error;
}

/* libseccomp cannot express "all values but these", so this is put before its program: the requests
 * of ioctl(2) that type into a terminal, TIOCSTI and TIOCLINUX; and two families of sockets, of
 * which AF_ALG exposes much of the kernel and AF_VSOCK reaches the hypervisor past all namespaces.
 * Only the lower 32 bits are compared, as the kernel does (CVE-2019-10063). */
static const struct sock_filter PRELUDE[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOWER_HALF(offsetof(struct seccomp_data, args[1]))),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 5, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 4, 5),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOWER_HALF(offsetof(struct seccomp_data, args[0]))),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_ALG, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
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
    if (pread(fd, (char *)program + sizeof(PRELUDE), (size_t)status.st_size, 0) != status.st_size) {
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
    int error = !filter || fd == -1 ? -ENOMEM : 0;

    if (!error)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, no long list */
    if (!error)
        error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (!error)
        error = add_plain_rules(filter, capabilities);
    if (!error)
        error = add_argument_rules(filter, capabilities);
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
