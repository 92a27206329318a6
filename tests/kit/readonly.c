#include "readonly.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core_limit.h"
#include "error.h"
#include "file.h"
#include "process.h"
#include "rootfs.h"
#include "sockets.h"

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "seccomp(2) needs the AUDIT_ARCH_ number of this architecture"
#endif

static const int allowed[] = {
    /* start and end */
    SYS_execve,
    SYS_exit,
    SYS_exit_group,
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_prlimit64,
    SYS_futex,
    SYS_getrandom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    /* which process, which time */
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_sysinfo,
    SYS_tgkill,
    SYS_clock_gettime,
    SYS_gettimeofday,
    /* files */
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_write,
    SYS_writev,
    SYS_lseek,
    SYS_dup,
    SYS_fcntl,
    SYS_getdents64,
    SYS_statx,
    SYS_fstat,
    SYS_newfstatat,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_getcwd,
    SYS_chdir,
    SYS_fchdir,
    SYS_statfs,
    SYS_fstatfs,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_fgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_flistxattr,
#ifdef __x86_64__
    SYS_arch_prctl,
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_dup2,
    SYS_time,
#endif
};

enum { ALLOWED = sizeof(allowed) / sizeof(allowed[0]) };

static void load(const struct sock_filter *code, unsigned short length)
{
    const struct sock_fprog program = {.len = length, .filter = (struct sock_filter *)code};

    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
        lab_die("prctl PR_SET_SECCOMP");
}

static void filter_system_calls(void)
{
    struct sock_filter code[2 * ALLOWED + 10];
    unsigned short at = 0;

    code[at++] = (struct sock_filter)LAB_LOAD(offsetof(struct seccomp_data, arch));
    code[at++] = (struct sock_filter)LAB_IF(ARCHITECTURE, 1, 0);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[at++] = (struct sock_filter)LAB_LOAD_CALL;
    /* With CAP_SYS_ADMIN, MADV_HWPOISON and what comes after it take pages from the machine. */
    code[at++] = (struct sock_filter)LAB_IF(SYS_madvise, 0, 4);
    code[at++] = (struct sock_filter)LAB_LOAD_ARGUMENT(2);
    code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, MADV_HWPOISON, 0, 1);
    code[at++] = (struct sock_filter)LAB_REFUSE(EPERM);
    code[at++] = (struct sock_filter)LAB_LOAD_CALL;
    for (int i = 0; i < ALLOWED; i++) {
        code[at++] = (struct sock_filter)LAB_IF((uint32_t)allowed[i], 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    code[at++] = (struct sock_filter)LAB_REFUSE(EPERM);
    load(code, at);
}

void refuse_sockets_and_cores(void)
{
    static const struct sock_filter CODE[] = {
        LAB_LOAD(offsetof(struct seccomp_data, arch)),
        LAB_IF(ARCHITECTURE, 1, 0),
        LAB_REFUSE(ENOSYS),
        LAB_LOAD_CALL,
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 has numbers of its own */
        LAB_REFUSE(ENOSYS),
        LAB_IF(SYS_keyctl, 4, 0), /* who has the number of an account has the keys of that user */
        LAB_IF(SYS_add_key, 3, 0),
        LAB_IF(SYS_request_key, 2, 0),
        LAB_IF(SYS_io_uring_setup, 1, 0), /* it makes sockets, too */
        LAB_IF(SYS_io_setup, 0, 1),       /* fs.aio-max-nr is one number for the whole machine */
        LAB_REFUSE(ENOSYS),
        LAB_SOCKETS,
        LAB_SOCKET_OPTIONS,
        LAB_LOAD_CALL,
        LAB_IF(SYS_setsockopt, 0, 3),
        LAB_LOAD_ARGUMENT(1),
        LAB_IF(SOL_PACKET, 0, 1), /* a ring of packets is memory, too */
        LAB_REFUSE(EPERM),
        LAB_CORE_LIMIT,
        LAB_TERMINALS_AND_LISTENERS,
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    load(CODE, sizeof(CODE) / sizeof(CODE[0]));
}

#if __has_include(<linux/landlock.h>) && defined(SYS_landlock_create_ruleset)
#include <linux/landlock.h>

static void let_execute(int rules, const char *path)
{
    lab_fd file = open(path, O_PATH | O_CLOEXEC);
    const struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE,
                                                    .parent_fd = file};

    if (file == -1 ||
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == -1)
        lab_die("let %s be executed", path);
}

void execute_only(const char *command)
{
    const struct landlock_ruleset_attr all = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};
    char program[PATH_MAX], loader[PATH_MAX] = "";
    lab_fd rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

    if (rules == -1 && (errno == ENOSYS || errno == EOPNOTSUPP))
        return;
    if (rules == -1)
        lab_die("landlock_create_ruleset");
    /* Our own loader: that which a program asks for may be any. */
    if (lab_loader_of("/proc/self/exe", loader, sizeof(loader)) == -1)
        lab_die("look for the loader of programs");
    if (!lab_find_command(command, program, sizeof(program)))
        lab_die("find %s", command);
    let_execute(rules, program);
    if (*loader)
        let_execute(rules, loader);
    if (syscall(SYS_landlock_restrict_self, rules, 0) == -1)
        lab_die("landlock_restrict_self");
}
#else
void execute_only(const char *command)
{
    (void)command;
}
#endif

static void keep_one_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const unsigned set = 1U << CAP_SYS_ADMIN;
    struct __user_cap_data_struct data[2] = {
        {.effective = set, .permitted = set, .inheritable = set}};

    if (syscall(SYS_capset, &header, data) == -1 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) == -1)
        lab_die("keep CAP_SYS_ADMIN");
}

void allow_reading_only(unsigned user)
{
    for (int i = 0; i < 64; i++)
        if (i != CAP_SYS_ADMIN && prctl(PR_CAPBSET_DROP, i) == -1 &&
            (errno != EINVAL || i <= CAP_LAST_CAP))
            lab_die("drop capability %d", i);
    if (prctl(PR_SET_KEEPCAPS, 1) == -1 || setgroups(0, NULL) == -1 ||
        setresgid(user, user, user) == -1 || setresuid(user, user, user) == -1)
        lab_die("become user %u", user);
    keep_one_capability();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        lab_die("prctl PR_SET_NO_NEW_PRIVS");
    filter_system_calls();
}
