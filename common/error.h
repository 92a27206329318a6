/*
 * error.h - one clear line on stderr, then the end.
 *
 * Leaf helpers of common/ return -1 (or NULL) with errno set and print nothing; the labs decide
 * with these functions what a failure means. Every line begins with the program's name, as the
 * lines of coreutils and util-linux do. stdout is flushed first, so that a reader of both streams
 * sees them in order.
 */
#ifndef LAB_ERROR_H
#define LAB_ERROR_H

#include "lab.h"

#define LAB_VERSION "container-labs 1.0"

/* The status with which lab_die() ends the process: 1, until a tool whose model says otherwise
 * changes it (chroot(1) uses 125 for its own failures). */
extern int lab_exit_failure;

/* The statuses that the field's tools share; see the EXIT STATUS sections of chroot(1), env(1). */
enum {
    LAB_EXIT_USAGE = 2,           /* an experiment's own usage error */
    LAB_EXIT_CANNOT_RUN = 77,     /* this machine lacks something; automake's number for "skip" */
    LAB_EXIT_CANNOT_INVOKE = 126, /* the command was found and cannot be executed */
    LAB_EXIT_NOT_FOUND = 127,     /* the command was not found */
};

/* lab_die(), of lab.h, prints "program: MESSAGE: ENAME (text)" for the present errno and calls
 * exit(lab_exit_failure). The same with what can be done about it behind it: "...: ENAME (text);
 * REMEDY"; NULL: nothing. */
__attribute__((noreturn, format(printf, 2, 3))) void lab_die_remedy(const char *remedy,
                                                                    const char *format, ...);

/* Print "program: MESSAGE" and exit(STATUS): for bad input, where no errno is to blame. */
__attribute__((noreturn, format(printf, 2, 3))) void lab_exit(int status, const char *format, ...);

/* Print "program: MESSAGE" and go on. */
__attribute__((format(printf, 1, 2))) void lab_warn(const char *format, ...);

/* Print "program: MESSAGE: ENAME (text)" for the present errno, which stays, and go on. Returns -1.
 */
__attribute__((format(printf, 1, 2))) int lab_warn_errno(const char *format, ...);

/* The status of lab_cannot_run(), which prints "program: MISSING; REMEDY": 77, unless a tool's
 * model has only one for all failures, and 1 where LAB_MUST_RUN is set in the environment: then
 * nothing may be passed over. */
extern int lab_exit_cannot_run;

/* Bad options: print "Try 'program --help' for more information." and exit(STATUS). getopt_long(3)
 * has already named the option. */
__attribute__((noreturn)) void lab_try_help(int status);

/* What getopt_long(3) has returned, OPTION, when it is not one of the tool's own: print HELP for
 * 'h', the version for 'v' and 'V', and exit with 0 (1 if stdout cannot be written); else end by
 * lab_try_help(STATUS). */
__attribute__((noreturn)) void lab_common_option(int option, const char *help, int status);

/* How the reader would type the program NAME of these labs: in the directory that this program was
 * typed with ("./labs/02_rootfs"). A static buffer, until the next call. */
const char *lab_typed(const char *name);

#endif
