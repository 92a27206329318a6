/*
 * sockets.h - which sockets containers and sandboxes can make, and which options they can set:
 * instructions for seccomp(2).
 *
 * socket(2) makes the kernel load the module of whatever family and protocol it is asked for. Many
 * of them are large, little used, and have a history of escapes; some keep memory that no control
 * group counts (AF_CAN, SCTP, MPTCP on Linux 6.1), and AF_VSOCK reaches the hypervisor past all
 * namespaces. So what programs need can be made, and all else is refused as by a kernel that was
 * built without it. NETLINK_GENERIC is not made, either: asked for a family by its name, it loads
 * the module.
 */
#ifndef LAB_SOCKETS_H
#define LAB_SOCKETS_H

#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef TCP_AO_ADD_KEY
#define TCP_AO_ADD_KEY 38
#endif

#define LAB_LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define LAB_LOAD_CALL LAB_LOAD(offsetof(struct seccomp_data, nr))
/* The lower 32 bits alone, as the kernel looks at no others (CVE-2019-10063). */
#define LAB_LOAD_ARGUMENT(number)                                                                  \
    LAB_LOAD(offsetof(struct seccomp_data, args[number]) + (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0))
/* So many instructions are left out where VALUE is loaded, and so many where another is. */
#define LAB_IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define LAB_REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/* What is not refused goes on behind the last one. A raw socket needs a capability, and no module.
 * The type counts: SOCK_SEQPACKET, without a protocol, is SCTP; and for SOCK_STREAM with UDP the
 * kernel starts modprobe each time, outside of all limits. */
/* clang-format off */
#define LAB_SOCKETS                                                                                \
    LAB_LOAD_CALL,                                                                                 \
    LAB_IF(SYS_socket, 1, 0),                                                                      \
    LAB_IF(SYS_socketpair, 0, 33),                                                                 \
    LAB_LOAD_ARGUMENT(0),                                                                          \
    LAB_IF(AF_UNIX, 31, 0),                                                                        \
    LAB_IF(AF_PACKET, 30, 0),                                                                      \
    LAB_IF(AF_NETLINK, 9, 0),                                                                      \
    LAB_IF(AF_INET, 2, 0),                                                                         \
    LAB_IF(AF_INET6, 1, 0),                                                                        \
    LAB_REFUSE(EAFNOSUPPORT),                                                                      \
    LAB_LOAD_ARGUMENT(1),                                                                          \
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf), /* without SOCK_CLOEXEC and SOCK_NONBLOCK */         \
    LAB_IF(SOCK_RAW, 23, 0),                                                                       \
    LAB_IF(SOCK_STREAM, 9, 0),                                                                     \
    LAB_IF(SOCK_DGRAM, 11, 0),                                                                     \
    LAB_REFUSE(ESOCKTNOSUPPORT),                                                                   \
    LAB_LOAD_ARGUMENT(2),                                                                          \
    LAB_IF(NETLINK_ROUTE, 18, 0),                                                                  \
    LAB_IF(NETLINK_USERSOCK, 17, 0),                                                               \
    LAB_IF(NETLINK_SOCK_DIAG, 16, 0),                                                              \
    LAB_IF(NETLINK_AUDIT, 15, 0),                                                                  \
    LAB_IF(NETLINK_NETFILTER, 14, 0),                                                              \
    LAB_IF(NETLINK_KOBJECT_UEVENT, 13, 12),                                                        \
    LAB_LOAD_ARGUMENT(2), /* of SOCK_STREAM */                                                     \
    LAB_IF(0, 11, 0),                                                                              \
    LAB_IF(IPPROTO_TCP, 10, 9),                                                                    \
    LAB_LOAD_ARGUMENT(2), /* of SOCK_DGRAM */                                                      \
    LAB_IF(0, 8, 0),                                                                               \
    LAB_IF(IPPROTO_UDP, 7, 0),                                                                     \
    LAB_IF(IPPROTO_ICMP, 1, 0),                                                                    \
    LAB_IF(IPPROTO_ICMPV6, 2, 4),                                                                  \
    LAB_LOAD_ARGUMENT(0),                                                                          \
    LAB_IF(AF_INET, 3, 2),                                                                         \
    LAB_LOAD_ARGUMENT(0),                                                                          \
    LAB_IF(AF_INET6, 1, 0),                                                                        \
    LAB_REFUSE(EPROTONOSUPPORT)

/* Options by which a socket keeps memory that no control group counts: keys of TCP, and filters of
 * packets, which all share net.core.bpf_jit_limit. Goes on as LAB_SOCKETS. */
#define LAB_SOCKET_OPTIONS                                                                         \
    LAB_LOAD_CALL,                                                                                 \
    LAB_IF(SYS_setsockopt, 0, 11),                                                                 \
    LAB_LOAD_ARGUMENT(1),                                                                          \
    LAB_IF(SOL_SOCKET, 0, 3),                                                                      \
    LAB_LOAD_ARGUMENT(2),                                                                          \
    LAB_IF(SO_ATTACH_FILTER, 6, 0),                                                                \
    LAB_IF(SO_ATTACH_REUSEPORT_CBPF, 5, 6),                                                        \
    LAB_IF(IPPROTO_TCP, 0, 5),                                                                     \
    LAB_LOAD_ARGUMENT(2),                                                                          \
    LAB_IF(TCP_MD5SIG, 2, 0),                                                                      \
    LAB_IF(TCP_MD5SIG_EXT, 1, 0),                                                                  \
    LAB_IF(TCP_AO_ADD_KEY, 0, 1),                                                                  \
    LAB_REFUSE(EPERM)

/* Requests of ioctl(2) that type into a terminal, TIOCSTI and TIOCLINUX, and those that load the
 * module of a line discipline or of VLANs (those of bridges are left: brctl(8) needs them); and
 * filters of system calls with a listener, a descriptor that keeps their program: all containers
 * and their own filters share net.core.bpf_jit_limit, and without it none would start. Goes on as
 * LAB_SOCKETS. */
#define LAB_TERMINALS_AND_LISTENERS                                                                \
    LAB_LOAD_CALL,                                                                                 \
    LAB_IF(SYS_ioctl, 0, 6),                                                                       \
    LAB_LOAD_ARGUMENT(1),                                                                          \
    LAB_IF(TIOCSTI, 7, 0),                                                                         \
    LAB_IF(TIOCLINUX, 6, 0),                                                                       \
    LAB_IF(SIOCGIFVLAN, 5, 0),                                                                     \
    LAB_IF(SIOCSIFVLAN, 4, 0),                                                                     \
    LAB_IF(TIOCSETD, 3, 4),                                                                        \
    LAB_IF(SYS_seccomp, 0, 3),                                                                     \
    LAB_LOAD_ARGUMENT(1),                                                                          \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, 1),                  \
    LAB_REFUSE(EPERM)
/* clang-format on */

#endif
