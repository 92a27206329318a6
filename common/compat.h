/*
 * compat.h - what the headers of glibc before 2.36, of Linux before 5.12 and of musl lack. The
 * Makefile includes it into every file; with newer headers it adds next to nothing.
 *
 * It declares and does not emulate: a kernel without the system call answers ENOSYS, and the caller
 * reports that.
 */
#ifndef LAB_COMPAT_H
#define LAB_COMPAT_H

#include <features.h>
#include <linux/version.h>
#include <sys/syscall.h>

#ifdef __GLIBC__
#define LAB_GLIBC(major, minor) __GLIBC_PREREQ(major, minor)
#else
#define LAB_GLIBC(major, minor) 0
#endif

/* The numbers of newer system calls are the same on every architecture that the labs know. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/* openat2(2) */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
#include <linux/openat2.h>
#else
#include <stdint.h>
struct open_how {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_XDEV 0x01
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10
#endif

/* clone3(2): Linux 5.3 began without what these fields are for. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 7, 0)
#include <linux/sched.h>
#include <stdint.h>
struct lab_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup;
};
#define clone_args lab_clone_args
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* The mount calls of Linux 5.2 and later, and P_PIDFD of waitid(2). */
#if !LAB_GLIBC(2, 36)
#include <fcntl.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x00000001
#define MOUNT_ATTR_NOSUID 0x00000002
#define MOUNT_ATTR_NODEV 0x00000004
#define MOUNT_ATTR_NOEXEC 0x00000008
#define MOUNT_ATTR_IDMAP 0x00100000
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define FSCONFIG_SET_FLAG 0
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_CMD_CREATE 6
#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#define MOVE_MOUNT_T_EMPTY_PATH 0x00000040

struct mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

#define fsopen(...) syscall(SYS_fsopen, __VA_ARGS__)
#define fsconfig(...) syscall(SYS_fsconfig, __VA_ARGS__)
#define fsmount(...) syscall(SYS_fsmount, __VA_ARGS__)
#define open_tree(...) syscall(SYS_open_tree, __VA_ARGS__)
#define move_mount(...) syscall(SYS_move_mount, __VA_ARGS__)
#define mount_setattr(...) syscall(SYS_mount_setattr, __VA_ARGS__)
#endif
#endif

/* Namespaces have cookies since Linux 5.14. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 14, 0) || !defined(__GLIBC__)
#include <sys/socket.h>
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#endif

#if !LAB_GLIBC(2, 34)
#include <unistd.h>
#define close_range(...) syscall(SYS_close_range, __VA_ARGS__)
#define execveat(...) syscall(SYS_execveat, __VA_ARGS__)
#endif

#if !LAB_GLIBC(2, 32)
#include <signal.h>
#include <string.h>
#define strerrorname_np lab_errno_name
#define sigabbrev_np lab_signal_abbreviation
const char *strerrorname_np(int error);
const char *sigabbrev_np(int signal);
#endif

#ifndef __GLIBC__
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
/* The GNU basename(3) changes nothing; POSIX's may. */
#define basename lab_basename
char *basename(const char *path);
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define renameat2(...) syscall(SYS_renameat2, __VA_ARGS__)
#endif
/* The value of a call that is made again after each signal. */
#define TEMP_FAILURE_RETRY(call)                                                                   \
    (__extension__({                                                                               \
        __typeof__(call) lab_retried;                                                              \
        do                                                                                         \
            lab_retried = (call);                                                                  \
        while (lab_retried == -1 && errno == EINTR);                                               \
        lab_retried;                                                                               \
    }))
/* musl's only answers ENOSYS, because Linux sets a thread's policy and POSIX a process's. */
#define sched_setscheduler(...) syscall(SYS_sched_setscheduler, __VA_ARGS__)
#endif

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2) /* Linux 5.11; linux/close_range.h */
#endif

#endif
