#include "remedy.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define OUTSIDE "in a container, run it on the machine itself"
#define NO_MORE_NAMESPACES                                                                         \
    "one of the limits in /proc/sys/user/max_*_namespaces is reached: end other containers, or "   \
    "raise it by sysctl(8)"
#define NO_SUCH_USER                                                                               \
    "a container has the users and groups 0 to 65535; with --userns host there are all"

/* The first that matches counts. */
static const struct {
    int error;
    const char *what; /* how the words begin; "": whatever was tried */
    const char *remedy;
} REMEDIES[] = {
    {ENOSPC, "clone3", NO_MORE_NAMESPACES},
    {ENOSPC, "unshare", NO_MORE_NAMESPACES},
    {EUSERS, "clone3", NO_MORE_NAMESPACES},
    {EPERM, "clone3",
     "new namespaces need CAP_SYS_ADMIN, and no filter that refuses them: " OUTSIDE},
    {EPERM, "unshare",
     "new namespaces need CAP_SYS_ADMIN, and no filter that refuses them: " OUTSIDE},
    {EAGAIN, "clone3",
     "there are too many processes: look at pids.max of the groups above, ulimit -u and "
     "kernel.pid_max"},
    {ENOSYS, "clone3", "it came with Linux 5.3; where a filter hides it, as " OUTSIDE},
    {EPERM, "mount proc",
     "parts of /proc are covered here, and no user namespace may uncover them: " OUTSIDE
     ", or try --userns host"},
    {EPERM, "mount sysfs",
     "parts of /sys are covered here, and no user namespace may uncover them: " OUTSIDE
     ", or try --userns host"},
    {EPERM, "write '0 ", "this process may not give away these user IDs: try --userns host"},
    {EPERM, "make the bridge", "that needs CAP_NET_ADMIN: " OUTSIDE ", or use --net none"},
    {EOPNOTSUPP, "make the bridge", "this kernel has no bridge; load it: modprobe bridge"},
    {EOPNOTSUPP, "connect the container", "this kernel has no veth; load it: modprobe veth"},
    {EINVAL, "become user", NO_SUCH_USER},
    {EINVAL, "standard stream", NO_SUCH_USER},
    {E2BIG, "write ", "the words of the command and --env are more than 1 MiB"},
    {EINVAL, "load the system call filter", "the kernel needs CONFIG_SECCOMP_FILTER for it"},
    {ENODEV, "mount mqueue", "the kernel needs CONFIG_POSIX_MQUEUE for it"},
    {EAGAIN, "claim user IDs", "all ranges are taken: end other containers, or use --userns host"},
    {EMFILE, "", "too many files are open: raise ulimit -n"},
    {ENFILE, "", "too many files are open on this machine: raise fs.file-max by sysctl(8)"},
    {ENOSYS, "", "this lab needs Linux 5.12; where a filter hides its system calls, as " OUTSIDE},
};

const char *remedy_for(int error, const char *what)
{
    for (size_t i = 0; i < sizeof(REMEDIES) / sizeof(REMEDIES[0]); i++)
        if (REMEDIES[i].error == error &&
            strncmp(what, REMEDIES[i].what, strlen(REMEDIES[i].what)) == 0)
            return REMEDIES[i].remedy;
    return NULL;
}
