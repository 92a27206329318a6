#include "privileges.h"

#include <linux/seccomp.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "filter.h"
#include "report.h"
#include "unprivileged.h"

/* Empty in a program that was compiled for another machine: make_filter cannot run there, so the
 * filter is made at each start. */
static const struct sock_filter DEFAULT_FILTER[] = {
#include "default_filter.h"
};

#define BIT(capability) (UINT64_C(1) << (capability))

/* What programs that run as root expect, such as a package manager, and what has no effect outside
 * of the container's namespaces. Left out: SYS_ADMIN; MKNOD, as devices are provided; NET_RAW, as
 * ping does not need it (ping_group_range), and with it a container could read and forge the
 * traffic of the bridge. */
uint64_t default_capabilities(void)
{
    return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
           BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_SETFCAP) |
           BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT);
}

/* Those that this kernel has. libcap finds the last one by trying, and takes an error for its end:
 * so those that every kernel has which this lab runs on are among them in any case. */
static uint64_t all_capabilities(void)
{
    const cap_value_t found = cap_max_bits(), least = CAP_LAST_CAP + 1;

    return BIT(found > least ? found : least) - 1;
}

uint64_t capability_bits(const char *name)
{
    char full[64];
    cap_value_t value;

    if (strcasecmp(name, "ALL") == 0)
        return all_capabilities();
    snprintf(full, sizeof(full), "%s%s", strncasecmp(name, "cap_", 4) == 0 ? "" : "cap_", name);
    return cap_from_name(full, &value) == 0 ? BIT(value) : 0;
}

void capability_names(uint64_t bits, char *text, size_t size)
{
    text[0] = '\0';
    for (cap_value_t value = 0; value < 64; value++) {
        char *name = bits >> value & 1 ? cap_to_name(value) : NULL;
        size_t length = strlen(text);
        if (name)
            snprintf(text + length, size - length, "%s%s", length ? "," : "", name + 4);
        for (char *letter = text + length; *letter; letter++)
            if (*letter >= 'a' && *letter <= 'z')
                *letter -= 'a' - 'A';
        cap_free(name);
    }
}

struct sock_fprog filter_for(uint64_t capabilities)
{
    struct sock_fprog filter = {
        .len = LAB_COUNT(DEFAULT_FILTER),
        .filter = (struct sock_filter *)DEFAULT_FILTER,
    };

    if (filter.len == 0 || capabilities & filter_capabilities()) {
        filter.filter = make_filter(capabilities, &filter.len);
        if (!filter.filter)
            fail("make the system call filter");
    }
    return filter;
}

void leave_exemptions(void)
{
    enum { WHO_PROCESS = 1, CLASS_RT = 1, CLASS_SHIFT = 13 }; /* linux/ioprio.h, Linux 5.15 */
    static const char ADJUSTMENT[] = "/proc/self/oom_score_adj";
    const int found = sched_getscheduler(0), policy = found & ~SCHED_RESET_ON_FORK;
    char text[16];

    if (found == -1)
        fail("look at the scheduling policy");
    if ((policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE) &&
        sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}) == -1)
        fail("leave the realtime priority of the caller");
    /* A core dump may be written by a program of the machine, as its root. With a limit of 1 the
     * kernel starts none, core(5); with 0 it does. */
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1}) == -1 && errno != EPERM)
        fail("limit the size of core dumps");
    errno = 0;
    const int nice = getpriority(PRIO_PROCESS, 0);
    if (errno != 0 || (nice < 0 && setpriority(PRIO_PROCESS, 0, 0) == -1))
        fail("leave the nice value of the caller");
    const long disk = syscall(SYS_ioprio_get, WHO_PROCESS, 0);
    if (disk == -1
            ? errno != ENOSYS
            : disk >> CLASS_SHIFT == CLASS_RT && syscall(SYS_ioprio_set, WHO_PROCESS, 0, 0) == -1)
        fail("leave the I/O priority of the caller");
    if (lab_read_file(ADJUSTMENT, text, sizeof(text)) == -1 ||
        (text[0] == '-' && lab_write_file(ADJUSTMENT, "0") == -1))
        fail("set %s", ADJUSTMENT);
}

static void load_filter(const struct sock_fprog *filter)
{
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter), "load the system call filter");
}

void limit_bounding_set(uint64_t capabilities)
{
    for (cap_value_t value = 0; value < 64; value++) {
        if (capabilities >> value & 1 || cap_drop_bound(value) == 0)
            continue;
        if (errno == EINVAL && value > CAP_LAST_CAP)
            break; /* this kernel has no further ones */
        fail("take %s out of the bounding set", cap_to_name(value));
    }
}

static void set_capabilities(uint64_t capabilities)
{
    cap_t wanted = cap_init();
    bool good = wanted != NULL;

    for (cap_value_t value = 0; good && value < cap_max_bits(); value++)
        if (capabilities >> value & 1)
            good = cap_set_flag(wanted, CAP_PERMITTED, 1, &value, CAP_SET) == 0 &&
                   cap_set_flag(wanted, CAP_EFFECTIVE, 1, &value, CAP_SET) == 0;
    if (!good || cap_set_proc(wanted) == -1)
        fail("set the capabilities");
    cap_free(wanted);
}

/* Lower a limit of setrlimit(2), called NAME, to VALUE. Only root outside could raise it again. */
static void lower_limit(int limit, const char *name, rlim_t value)
{
    struct rlimit present;

    must(getrlimit(limit, &present), "read the limit of the %s", name);
    present.rlim_max = MIN(present.rlim_max, value);
    present.rlim_cur = MIN(present.rlim_cur, value);
    must(setrlimit(limit, &present), "limit the %s", name);
}

void lower_counted_limits(void)
{
    /* A POSIX timer takes one of these, and --cpus does not count its interrupts. */
    lower_limit(RLIMIT_SIGPENDING, "number of pending signals", 1024);
    lower_limit(RLIMIT_MSGQUEUE, "bytes in message queues", 800 << 10);
    lower_limit(RLIMIT_MEMLOCK, "locked memory", 8 << 20);
}

static void lower_limits(void)
{
    lower_counted_limits();
    /* Each open file may be a socket, whose buffers --memory does not count. */
    lower_limit(RLIMIT_NOFILE, "number of open files", 1024);
    /* With these the caller may raise his priority without a capability. */
    lower_limit(RLIMIT_RTPRIO, "realtime priority", 0);
    lower_limit(RLIMIT_NICE, "nice value", 0);
}

void drop_privileges(const struct specification *spec, const struct account *account,
                     const struct sock_fprog *filter)
{
    const bool filtered = !(spec->without & WALL_SECCOMP);
    const bool may_gain = spec->without & WALL_PRIVILEGES;

    lower_limits();
    if (!may_gain && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        fail("prctl PR_SET_NO_NEW_PRIVS");
    /* Without no_new_privs, loading the filter needs CAP_SYS_ADMIN, which is dropped next. */
    if (filtered && may_gain)
        load_filter(filter);
    if (set_groups((size_t)account->group_count, account->groups) == -1 ||
        setresgid(account->group, account->group, account->group) == -1 ||
        setresuid(account->user, account->user, account->user) == -1)
        fail("become user %u, group %u", account->user, account->group);
    /* A change from root to another user has taken all capabilities already. */
    set_capabilities(account->user == 0 ? spec->capabilities : 0);
    /* A change of user clears PR_SET_PDEATHSIG. */
    die_with_runtime();
    if (filtered && !may_gain)
        load_filter(filter);
}
