/*
 * probe NAME - try one way out of a container, or into the machine that it runs on.
 *
 * Exit status 0: the way is open; 1: it is blocked, and how is printed. Where success would do
 * harm, the call is made with arguments that the kernel refuses only after it has looked whether
 * the caller may: any other errno than that of a missing right means "open". What a probe needs to
 * know of the machine is in its environment. Linked statically, so that it runs in any root file
 * system.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_vlan.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A probe returns 0 where the way is open, or the errno that blocks it. */
#define OPEN_UNLESS(failed) ((failed) ? errno : 0)

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

/* Whether a call that was made with impossible arguments was let through to where these matter. */
static int let_through(long result)
{
    if (result != -1)
        return 0;
    return errno == EPERM || errno == EACCES || errno == ENOSYS ? errno : 0;
}

static int opens(const char *path, int flags)
{
    return OPEN_UNLESS(open(path, flags | O_CLOEXEC) == -1);
}

/* Whether PATH can be opened and has something in it. */
static int tells(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1)
        return errno;
    return read(fd, &byte, 1) == 1 ? 0 : ENODATA;
}

/* Mounts. */

static int mount_tmpfs(void)
{
    return OPEN_UNLESS(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int unmask(void)
{
    return OPEN_UNLESS(umount2("/proc/keys", MNT_DETACH));
}

static int remount(void)
{
    return OPEN_UNLESS(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int new_mount_calls(void)
{
    return let_through(syscall(SYS_fsopen, "tmpfs", 0));
}

static int mount_cgroup(void)
{
    if (mount("none", "/mnt", "cgroup", 0, "memory") == 0)
        return 0;
    return let_through(mount("none", "/mnt", "cgroup2", 0, NULL));
}

/* The climb of lab 01: a directory that is held open, a root below it, and "..". */
static int climb(void)
{
    int held = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    mkdir("/below", 0755);
    if (held == -1 || chroot("/below") == -1 || fchdir(held) == -1)
        return errno;
    for (int i = 0; i < 64; i++)
        if (chdir("..") == -1)
            return errno;
    return OPEN_UNLESS(access(variable("HOST_FILE") + 1, F_OK));
}

/* Devices. */

/* Any device would do; this one is harmless, and there. */
static int make_device(void)
{
    if (mknod("/tmp/zero", S_IFCHR | 0600, makedev(1, 5)) == -1)
        return errno;
    return tells("/tmp/zero");
}

static int use_device(void)
{
    return tells("/zero");
}

/* Names. */

static int set_host_name(void)
{
    return OPEN_UNLESS(sethostname("probe", 5));
}

static int set_domain_name(void)
{
    return OPEN_UNLESS(setdomainname("probe", 5));
}

static int host_name_of_host(void)
{
    char name[64] = "";

    gethostname(name, sizeof(name) - 1);
    return strcmp(name, variable("HOST_NAME")) == 0 ? 0 : ENOENT;
}

/* Processes. */

static int signal_outside(void)
{
    return OPEN_UNLESS(kill(atoi(variable("HOST_PID")), 0));
}

static int see_outside(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/cmdline", variable("HOST_PID"));
    return tells(path);
}

static int trace_outside(void)
{
    pid_t pid = atoi(variable("HOST_PID"));

    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1)
        return errno;
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return 0;
}

static int trace_child(void)
{
    pid_t child = fork();

    if (child == 0) {
        pause();
        _exit(0);
    }
    int result = OPEN_UNLESS(ptrace(PTRACE_SEIZE, child, NULL, NULL));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return result;
}

static int read_memory_of_another(void)
{
    char byte;
    struct iovec local = {&byte, 1}, remote = {&byte, 1};

    return let_through(syscall(SYS_process_vm_readv, getppid(), &local, 1, &remote, 1, 0));
}

static int compare_processes(void)
{
    return let_through(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0));
}

static int be_nice_to_nobody(void)
{
    return OPEN_UNLESS(setpriority(PRIO_PROCESS, 0, -10));
}

static int more_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) == -1)
        return errno;
    data[0].effective = data[0].permitted = data[0].permitted | 1U << CAP_SYS_ADMIN;
    return OPEN_UNLESS(syscall(SYS_capset, &head, data));
}

static int bounding_set(void)
{
    return prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1 ? 0 : EPERM;
}

/* Executed as an ordinary user: /suid is this program, set-user-ID root. */
static int set_user_id(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        execl("/suid", "suid", "am-i-root", (char *)NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    return status == 0 ? 0 : EPERM;
}

static int am_i_root(void)
{
    return geteuid() == 0 ? 0 : EPERM;
}

/* What is left of a mapping: root inside is root outside if the map says so. */
static int root_outside(void)
{
    unsigned inside = 1, outside = 1;
    FILE *file = fopen("/proc/self/uid_map", "re");

    if (!file || fscanf(file, "%u %u", &inside, &outside) != 2)
        return EPERM;
    fclose(file);
    return inside == 0 && outside == 0 ? 0 : EPERM;
}

static int left_descriptor(void)
{
    char byte;

    return OPEN_UNLESS(pread(9, &byte, 1, 0) != 1);
}

/* Inter-process communication. */

static int shared_memory(void)
{
    return OPEN_UNLESS(shmget((key_t)atoi(variable("SHM_KEY")), 0, 0) == -1);
}

static int message_queue(void)
{
    return OPEN_UNLESS(mq_open("/host_queue", O_RDONLY) == (mqd_t)-1);
}

/* Network. */

static int raw_socket(void)
{
    return OPEN_UNLESS(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) == -1);
}

static int packet_socket(void)
{
    return OPEN_UNLESS(socket(AF_PACKET, SOCK_RAW, 0) == -1);
}

static int promiscuous(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_PROMISC};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    return OPEN_UNLESS(fd == -1 || ioctl(fd, SIOCSIFFLAGS, &request) == -1);
}

static int host_link(void)
{
    return if_nametoindex(variable("HOST_LINK")) ? 0 : ENODEV;
}

/* An abstract socket has no file that a mount namespace could hide. */
static const struct sockaddr_un ABSTRACT = {.sun_family = AF_UNIX, .sun_path = "\0probe"};

static int abstract_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return OPEN_UNLESS(fd == -1 ||
                       connect(fd, (const struct sockaddr *)&ABSTRACT, sizeof(ABSTRACT)) == -1);
}

/* No probe: what abstract_socket() looks for, on the machine. */
static int listen_abstract(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd == -1 || bind(fd, (const struct sockaddr *)&ABSTRACT, sizeof(ABSTRACT)) == -1 ||
        listen(fd, 1) == -1)
        return errno;
    puts("listening");
    fflush(stdout);
    return pause();
}

/* Whether a socket can be made of a family that programs have no need of, first those that are
 * large or lead past all namespaces. All have to be refused in one way. */
static int socket_families(void)
{
    static const int FIRST[] = {AF_ALG, AF_VSOCK, AF_CAN};
    static const int TYPES[] = {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW};
    int pair[2];

    for (int i = -3; i < 64; i++) {
        const int family = i < 0 ? FIRST[i + 3] : i;
        if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK ||
            family == AF_PACKET)
            continue;
        for (int j = 0; j < 4; j++)
            if (socket(family, TYPES[j], 0) != -1)
                return 0;
            else if (errno != EAFNOSUPPORT || socketpair(family, TYPES[j], 0, pair) != -1 ||
                     errno != EAFNOSUPPORT)
                return errno;
    }
    return EAFNOSUPPORT;
}

/* The same for protocols, 115 being L2TP and 256 SMC, also with upper halves of
 * arguments, at which the kernel does not look. */
static int socket_protocols(void)
{
    static const int OTHERS[] = {IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_DCCP, 115, 256,
                                 IPPROTO_MPTCP};
    static const long UPPER = 1L << 32;

    for (int i = 0; i < 12; i++) {
        const int family = i % 2 ? AF_INET : AF_INET6, protocol = OTHERS[i / 2];
        if (syscall(SYS_socket, family | UPPER, SOCK_DGRAM | SOCK_CLOEXEC, protocol) != -1 ||
            syscall(SYS_socket, family, SOCK_STREAM, protocol | UPPER) != -1)
            return 0;
        if (errno != EPROTONOSUPPORT)
            return errno;
    }
    /* A pair for which the kernel asks modprobe each time. */
    if (socket(AF_INET, SOCK_STREAM, IPPROTO_UDP) != -1 || errno != EPROTONOSUPPORT ||
        socket(AF_INET6, SOCK_DGRAM, IPPROTO_TCP) != -1 || errno != EPROTONOSUPPORT ||
        socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6) != -1 || errno != EPROTONOSUPPORT ||
        socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMP) != -1 || errno != EPROTONOSUPPORT)
        return EEXIST;
    if (socket(AF_NETLINK, SOCK_RAW, NETLINK_ISCSI) != -1 ||
        socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) != -1)
        return 0;
    if (errno != EPROTONOSUPPORT)
        return errno;
    /* What programs need. */
    if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) == -1 ||
        socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP) == -1 ||
        socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) == -1 ||
        socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6) == -1 ||
        socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) == -1 ||
        socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) == -1 || socket(AF_UNIX, SOCK_STREAM, 0) == -1)
        return errno;
    return socket(AF_INET, SOCK_SEQPACKET, 0) == -1 && errno == ESOCKTNOSUPPORT ? EPROTONOSUPPORT
                                                                                : errno;
}

/* Options by which sockets keep memory; the kernel looks at the lower halves of both arguments. */
static int socket_options(void)
{
    static const int OPTIONS[][2] = {
        {SOL_SOCKET, SO_ATTACH_FILTER},
        {SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF},
        {IPPROTO_TCP, TCP_MD5SIG},
        {IPPROTO_TCP, TCP_MD5SIG_EXT},
        {IPPROTO_TCP, 38 /* TCP_AO_ADD_KEY */},
    };
    struct sock_filter whole = {.code = BPF_RET | BPF_K, .k = UINT32_MAX};
    const struct sock_fprog program = {.len = 1, .filter = &whole};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    const long upper = 1L << 32;

    for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++)
        if (syscall(SYS_setsockopt, fd, OPTIONS[i][0] | upper, OPTIONS[i][1] | upper, &program,
                    sizeof(program)) == 0 ||
            errno != EPERM)
            return 0;
    /* What programs need. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == -1 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) == -1)
        return errno;
    return EPERM;
}

/* 300 connections that wait for accept(2). */
static int accept_queue(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int server = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(server, (void *)&address, length) == -1 || listen(server, 300) == -1 ||
        getsockname(server, (void *)&address, &length) == -1)
        return errno;
    for (int i = 0; i < 300; i++) {
        struct pollfd client = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), POLLOUT, 0};
        if (connect(client.fd, (void *)&address, length) == -1 && errno != EINPROGRESS)
            return errno;
        if (poll(&client, 1, 5000) == 0)
            return ETIMEDOUT;
    }
    return 0;
}

/* A line discipline, the one that a terminal has, as each other one may be a module to load. */
static int line_discipline(void)
{
    const int usual = N_TTY;

    return OPEN_UNLESS(
        syscall(SYS_ioctl, posix_openpt(O_RDWR | O_NOCTTY), TIOCSETD | 1L << 32, &usual) == -1);
}

/* With a limit of 0 the machine's program for core dumps is started, with 1 it is not, core(5). */
static int core_limit(void)
{
    const struct rlimit none = {0, 0};
    const union {
        uintptr_t number;
        void *pointer;
    } address = {UINT64_C(1) << 32};
    struct rlimit found;
    struct rlimit *low = mmap(address.pointer, 4096, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (low == MAP_FAILED)
        return errno;
    /* The lower half of its address is 0. */
    *low = none;
    if (setrlimit(RLIMIT_CORE, &none) == -1 || syscall(SYS_setrlimit, RLIMIT_CORE, &none) == -1 ||
        syscall(SYS_prlimit64, 0, RLIMIT_CORE | 1L << 32, low, NULL) == -1 ||
        setrlimit(RLIMIT_DATA, low) == -1 || getrlimit(RLIMIT_DATA, &found) == -1)
        return 0;
    return found.rlim_cur != 0 || getrlimit(RLIMIT_CORE, &found) == -1 || found.rlim_cur != 1
               ? 0
               : EPERM;
}

/* A filter of system calls that lives as long as its listener. */
static int filter_listener(void)
{
    struct sock_filter instruction = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    const struct sock_fprog program = {.len = 1, .filter = &instruction};

    return OPEN_UNLESS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                               SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) == -1);
}

/* The smallest ACL that is one, of a file in memory. */
static int access_list(void)
{
    static const struct {
        unsigned version;
        struct {
            unsigned short tag, rights;
            unsigned id;
        } entries[5];
    } list = {2, {{0x01, 6, -1}, {0x02, 6, 0}, {0x04, 6, -1}, {0x10, 6, -1}, {0x20, 0, -1}}};
    int fd = memfd_create("probe", 0);

    return OPEN_UNLESS(fd == -1 ||
                       fsetxattr(fd, "system.posix_acl_access", &list, sizeof(list), 0) == -1);
}

/* /proc and /sys. */

static int core_pattern(void)
{
    return opens("/proc/sys/kernel/core_pattern", O_WRONLY);
}

static int drop_caches(void)
{
    return opens("/proc/sys/vm/drop_caches", O_WRONLY);
}

static int proc_irq(void)
{
    return opens("/proc/irq/default_smp_affinity", O_WRONLY);
}

static int kernel_symbols(void)
{
    return tells("/proc/kallsyms");
}

static int timer_list(void)
{
    return tells("/proc/timer_list");
}

static int interrupt_counts(void)
{
    return tells("/proc/interrupts");
}

static int pressure_trigger(void)
{
    return opens("/proc/pressure/cpu", O_WRONLY);
}

static int key_list(void)
{
    return OPEN_UNLESS(access("/proc/keys", F_OK)) ? errno : tells("/proc/slabinfo");
}

static int kernel_pages(void)
{
    return tells("/proc/pagetypeinfo");
}

static int sys_write(void)
{
    static const char *const FILES[] = {"/sys/kernel/profiling", "/sys/kernel/mm/ksm/run",
                                        "/sys/kernel/uevent_helper", "/sys/kernel/rcu_expedited"};
    int error = ENOENT;

    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]) && error == ENOENT; i++)
        error = opens(FILES[i], O_WRONLY);
    return error;
}

/* The kernel as a whole. */

static int load_module(void)
{
    return let_through(syscall(SYS_init_module, "", 0, ""));
}

static int other_kernel(void)
{
    return let_through(syscall(SYS_kexec_load, 0, 1000, NULL, 0xffff));
}

static int restart(void)
{
    return let_through(syscall(SYS_reboot, 0, 0, 0, NULL));
}

static int clock_step(void)
{
    struct timex change = {.modes = ADJ_TICK, .tick = -1};

    return let_through(adjtimex(&change));
}

static int kernel_log(void)
{
    return OPEN_UNLESS(syscall(SYS_syslog, 10, NULL, 0) == -1);
}

static int swap(void)
{
    return let_through(syscall(SYS_swapon, "/nowhere", 0));
}

static int accounting(void)
{
    return let_through(syscall(SYS_acct, "/nowhere"));
}

static int quota(void)
{
    return let_through(syscall(SYS_quotactl, 0x80000700 /* Q_GETFMT */, "/nowhere", 0, NULL));
}

static int bpf_map(void)
{
    union bpf_attr map = {
        .map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1};

    return OPEN_UNLESS(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)) == -1);
}

static int performance_events(void)
{
    struct perf_event_attr event = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_CPU_CLOCK};

    return OPEN_UNLESS(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0) == -1);
}

static int user_faults(void)
{
    return OPEN_UNLESS(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) == -1);
}

static int keyring(void)
{
    return OPEN_UNLESS(syscall(SYS_keyctl, 0, -4 /* KEY_SPEC_USER_KEYRING */, 1) == -1);
}

static int add_key(void)
{
    return OPEN_UNLESS(syscall(SYS_add_key, "user", "probe", "x", 1, -2) == -1);
}

static int io_uring(void)
{
    char parameters[120] = {0};

    return let_through(syscall(SYS_io_uring_setup, 1, parameters));
}

static int asynchronous_io(void)
{
    unsigned long context = 0;

    return let_through(syscall(SYS_io_setup, 1, &context));
}

static int new_user_namespace(void)
{
    return OPEN_UNLESS(unshare(CLONE_NEWUSER));
}

static int clone_user_namespace(void)
{
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

    if (child == 0)
        _exit(0);
    return OPEN_UNLESS(child == -1);
}

/* A brother. Process 1 can have none. */
static int clone_parent(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        child = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
        _exit(child == -1 ? errno : 0);
    }
    return child == -1 || waitpid(child, &status, 0) == -1 ? errno : WEXITSTATUS(status);
}

static int clone3_user_namespace(void)
{
    struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));

    if (child == 0)
        _exit(0);
    return OPEN_UNLESS(child == -1);
}

static int join_namespace(void)
{
    int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

    return fd == -1 ? errno : OPEN_UNLESS(setns(fd, CLONE_NEWUTS));
}

static int file_handle(void)
{
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head = {.handle_bytes = 128}};
    int mount, directory = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (directory == -1 || name_to_handle_at(AT_FDCWD, "/dev/shm", &handle.head, &mount, 0) == -1)
        return errno;
    return OPEN_UNLESS(open_by_handle_at(directory, &handle.head, O_RDONLY) == -1);
}

/* Type into the terminal that we were started from. The upper half of the command is nonsense that
 * the kernel does not look at, and a filter must not (CVE-2019-10063). */
static int type_into_terminal(void)
{
    return OPEN_UNLESS(syscall(SYS_ioctl, 0, TIOCSTI, "\n") == -1);
}

static int type_into_terminal_64(void)
{
    return OPEN_UNLESS(syscall(SYS_ioctl, 0, TIOCSTI | 1UL << 40, "\n") == -1);
}

static int memory_policy(void)
{
    return let_through(syscall(SYS_migrate_pages, getpid(), 0, NULL, NULL));
}

/* No probes, but two ends of a conversation by UDP: "answer" at port 53, and the question to it at
 * UDP_PORT of UDP_HOST, for two seconds. */

static int udp_answer(void)
{
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons(53)}, from;
    socklen_t length = sizeof(from);
    char question[64];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd == -1 || bind(fd, (struct sockaddr *)&self, sizeof(self)) == -1)
        return errno;
    for (;;) {
        if (recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &length) == -1 ||
            sendto(fd, "answer", 6, 0, (struct sockaddr *)&from, length) == -1)
            return errno;
    }
}

static int udp_ask(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(variable("UDP_PORT")))};
    const char *source = getenv("UDP_SOURCE");
    const struct sockaddr_in self = {.sin_family = AF_INET,
                                     .sin_port = htons(source ? (uint16_t)atoi(source) : 0)};
    const struct timeval wait = {.tv_sec = 2};
    char answer[64];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    inet_pton(AF_INET, variable("UDP_HOST"), &to.sin_addr);
    if (fd == -1 || bind(fd, (const struct sockaddr *)&self, sizeof(self)) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == -1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 || send(fd, "?", 1, 0) == -1 ||
        recv(fd, answer, sizeof(answer), 0) != 6)
        return errno;
    return memcmp(answer, "answer", 6) == 0 ? 0 : EPROTO;
}

static unsigned checksum(const unsigned char *bytes, int count)
{
    unsigned sum = 0;

    for (int i = 0; i < count; i += 2)
        sum += (unsigned)bytes[i] << 8 | bytes[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
}

/* Packets of UDP to port 9999, in frames to each group that is for the next bridge alone. */
static int group_frames(void)
{
    static const char *const from[] = {"0.0.0.0", "10.209.0.9"};
    static const char *const to[] = {"255.255.255.255", "224.0.0.1", "10.209.0.1"};
    unsigned char frame[60] = {1, 0x80, 0xc2, 0, 0, 0,  2, 0x42, 10, 209, 0, 9,
                               8, 0,    0x45, 0, 0, 29, 0, 1,    0,  0,   9, 17};
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0")};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    memcpy(frame + 34, (unsigned char[]){4, 210, 39, 15, 0, 9, 0, 0, 'x'}, 9); /* 1234 to 9999 */
    for (int group = 0; group < 16; group++)
        for (int i = 0; i < 6; i++) {
            frame[5] = (unsigned char)group;
            inet_pton(AF_INET, from[i / 3], frame + 26);
            inet_pton(AF_INET, to[i % 3], frame + 30);
            frame[24] = frame[25] = 0;
            const unsigned sum = checksum(frame + 14, 20);
            frame[24] = (unsigned char)(sum >> 8), frame[25] = (unsigned char)sum;
            if (sendto(fd, frame, sizeof(frame), 0, (void *)&link, sizeof(link)) == -1)
                return errno;
        }
    return 0;
}

/* It makes the kernel load the module of VLANs. */
static int vlan_module(void)
{
    struct vlan_ioctl_args request = {.cmd = GET_VLAN_REALDEV_NAME_CMD, .device1 = "lo"};
    const int result = ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFVLAN, &request);

    return result == -1 && errno == EPERM ? EPERM : 0; /* the rest is what the kernel says */
}

/* 12000 packets of UDP, to as many ports. */
static int udp_connections(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    inet_pton(AF_INET, variable("UDP_HOST"), &to.sin_addr);
    for (int port = 1; port <= 12000; port++) {
        to.sin_port = htons((uint16_t)port);
        sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)); /* a refusal may come back */
    }
    return 0;
}

/* As many connections of TCP, each from a port of its own, to our own server behind the published
 * port 8080. They are closed at once. */
static int tcp_connections(void)
{
    const struct timeval patience = {.tv_usec = 900000}; /* a second later it would be sent again */
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in from = own, to = own;
    int server = socket(AF_INET, SOCK_STREAM, 0), result = 0;

    if (bind(server, (struct sockaddr *)&own, sizeof(own)) == -1 || listen(server, 1) == -1)
        return errno;
    inet_pton(AF_INET, variable("UDP_HOST"), &to.sin_addr);
    to.sin_port = htons(8080);
    for (int port = 1; result == 0 && port <= 12000; port++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        from.sin_port = htons((uint16_t)(20000 + port));
        setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (bind(client, (struct sockaddr *)&from, sizeof(from)) == -1 ||
            connect(client, (struct sockaddr *)&to, sizeof(to)) == -1)
            result = errno;
        else
            close(accept(server, NULL, NULL));
        close(client);
    }
    return result;
}

/* Limits. */

static int memory_hog(void)
{
    const size_t size = (size_t)600 << 20;
    char *memory = malloc(size);
    int status;
    pid_t child = fork();

    if (child == 0) {
        for (size_t i = 0; memory && i < size; i += 4096)
            ((volatile char *)memory)[i] = 1;
        _exit(memory ? 0 : 1);
    }
    waitpid(child, &status, 0);
    free(memory);
    return status == 0 ? 0 : ENOMEM;
}

static int forks(void)
{
    int made = 0, error = 0;

    for (; made < 300; made++) {
        pid_t child = fork();
        if (child == 0) {
            pause();
            _exit(0);
        }
        if (child == -1) {
            error = errno;
            break;
        }
    }
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (wait(NULL) > 0)
        continue;
    return made == 300 ? 0 : error;
}

#define PROBE(function)                                                                            \
    {                                                                                              \
#function, function                                                                        \
    }

static const struct {
    const char *name;
    int (*try)(void);
} PROBES[] = {
    PROBE(mount_tmpfs),
    PROBE(unmask),
    PROBE(remount),
    PROBE(new_mount_calls),
    PROBE(mount_cgroup),
    PROBE(climb),
    PROBE(make_device),
    PROBE(use_device),
    PROBE(set_host_name),
    PROBE(set_domain_name),
    PROBE(host_name_of_host),
    PROBE(signal_outside),
    PROBE(see_outside),
    PROBE(trace_outside),
    PROBE(trace_child),
    PROBE(read_memory_of_another),
    PROBE(compare_processes),
    PROBE(be_nice_to_nobody),
    PROBE(more_capabilities),
    PROBE(bounding_set),
    PROBE(set_user_id),
    PROBE(root_outside),
    PROBE(left_descriptor),
    PROBE(shared_memory),
    PROBE(message_queue),
    PROBE(raw_socket),
    PROBE(packet_socket),
    PROBE(promiscuous),
    PROBE(host_link),
    PROBE(abstract_socket),
    PROBE(socket_families),
    PROBE(socket_protocols),
    PROBE(socket_options),
    PROBE(accept_queue),
    PROBE(line_discipline),
    PROBE(core_limit),
    PROBE(filter_listener),
    PROBE(access_list),
    PROBE(core_pattern),
    PROBE(drop_caches),
    PROBE(proc_irq),
    PROBE(kernel_symbols),
    PROBE(timer_list),
    PROBE(interrupt_counts),
    PROBE(pressure_trigger),
    PROBE(key_list),
    PROBE(kernel_pages),
    PROBE(sys_write),
    PROBE(load_module),
    PROBE(other_kernel),
    PROBE(restart),
    PROBE(clock_step),
    PROBE(kernel_log),
    PROBE(swap),
    PROBE(accounting),
    PROBE(quota),
    PROBE(bpf_map),
    PROBE(performance_events),
    PROBE(user_faults),
    PROBE(keyring),
    PROBE(add_key),
    PROBE(io_uring),
    PROBE(asynchronous_io),
    PROBE(new_user_namespace),
    PROBE(clone_user_namespace),
    PROBE(clone_parent),
    PROBE(clone3_user_namespace),
    PROBE(join_namespace),
    PROBE(file_handle),
    PROBE(type_into_terminal),
    PROBE(type_into_terminal_64),
    PROBE(memory_policy),
    PROBE(memory_hog),
    PROBE(forks),
    PROBE(group_frames),
    PROBE(udp_answer),
    PROBE(udp_ask),
    PROBE(udp_connections),
    PROBE(vlan_module),
    PROBE(tcp_connections),
    {"am-i-root", am_i_root},
    {"listen", listen_abstract},
};

int main(int argc, char *argv[])
{
    for (size_t i = 0; argc == 2 && i < sizeof(PROBES) / sizeof(PROBES[0]); i++) {
        if (strcmp(argv[1], PROBES[i].name) != 0)
            continue;
        int error = PROBES[i].try();
        printf("%s: %s%s\n", argv[1], error ? "blocked by " : "open",
               error ? strerrorname_np(error) : "");
        return error != 0;
    }
    fprintf(stderr, "probe: there is no probe '%s'\n", argc == 2 ? argv[1] : "");
    return 2;
}
