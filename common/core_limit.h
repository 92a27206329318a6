/*
 * core_limit.h - the limit of core files stays as it is: instructions for seccomp(2).
 *
 * The program that a machine may have for core dumps (kernel.core_pattern) runs as its root. With a
 * limit of 1 the kernel does not start it, with 0 it does, core(5), and everybody may lower his
 * limit. So setting it has no effect, but no error either: programs that keep secrets set it to 0,
 * and end where they cannot.
 */
#ifndef LAB_CORE_LIMIT_H
#define LAB_CORE_LIMIT_H

#include <sys/resource.h>

#include "sockets.h"

/* What is about something else goes on behind the last one. To ask for the old limit in the same
 * call is refused: a filter cannot write it. The new limit is at a pointer of 64 bits. */
/* clang-format off */
#define LAB_CORE_LIMIT                                                                             \
    LAB_LOAD_CALL,                                                                                 \
    LAB_IF(SYS_prlimit64, 3, 0),                                                                   \
    LAB_IF(SYS_setrlimit, 0, 12),                                                                  \
    LAB_LOAD_ARGUMENT(0),                                                                          \
    LAB_IF(RLIMIT_CORE, 8, 10),                                                                    \
    LAB_LOAD_ARGUMENT(1),                                                                          \
    LAB_IF(RLIMIT_CORE, 0, 8),                                                                     \
    LAB_LOAD(offsetof(struct seccomp_data, args[2])),                                              \
    LAB_IF(0, 0, 2),                                                                               \
    LAB_LOAD(offsetof(struct seccomp_data, args[2]) + 4),                                          \
    LAB_IF(0, 4, 0),                                                                               \
    LAB_LOAD_ARGUMENT(3),                                                                          \
    LAB_IF(0, 0, 1),                                                                               \
    LAB_REFUSE(0),                                                                                 \
    LAB_REFUSE(EPERM)
/* clang-format on */

#endif
