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

/* An errno as people look it up: "EPERM (Operation not permitted)". The text lives in a static
 * buffer until the next call. errno(3), strerrorname_np(3). */
const char *lab_strerror(int error);

/* Print "program: MESSAGE: ENAME (text)" for the present errno and exit(lab_exit_failure). */
__attribute__((noreturn, format(printf, 1, 2))) void lab_die(const char *format, ...);

/* The same with what can be done about it behind it: "...: ENAME (text); REMEDY"; NULL: nothing. */
__attribute__((noreturn, format(printf, 2, 3))) void lab_die_remedy(const char *remedy,
                                                                    const char *format, ...);

/* Print "program: MESSAGE" and exit(STATUS): for bad input, where no errno is to blame. */
__attribute__((noreturn, format(printf, 2, 3))) void lab_exit(int status, const char *format, ...);

/* Print "program: MESSAGE" and go on. */
__attribute__((format(printf, 1, 2))) void lab_warn(const char *format, ...);

/* The status of lab_cannot_run(): 77, unless a tool's model has only one for all failures. */
extern int lab_exit_cannot_run;

/* Print "program: MISSING; REMEDY" and exit with 77 because this machine cannot show the experiment
 * (with 1 where LAB_MUST_RUN is set in the environment: then nothing may be passed over). */
__attribute__((noreturn)) void lab_cannot_run(const char *missing, const char *remedy);

/* Bad options: print "Try 'program --help' for more information." and exit(STATUS). getopt_long(3)
 * has already named the option. */
__attribute__((noreturn)) void lab_try_help(int status);

/* How the reader would type the program NAME of these labs: in the directory that this program was
 * typed with ("./labs/02_rootfs"). A static buffer, until the next call. */
const char *lab_typed(const char *name);

/* Replace this process by ARGV[0], looked up in PATH (execvp(3)). Returns only by exiting: 127
 * where it is not found, 126 where it is and cannot be executed, with chroot(1)'s words. */
__attribute__((noreturn)) void lab_exec(char *const argv[]);

/* Replace this process by $SHELL, or /bin/sh where that is not set, as a login shell ("-sh" as its
 * name): what unshare(1) and nsenter(1) do without a command. SHELL is a path, not looked up in
 * PATH. Returns only by exiting, as lab_exec(). */
__attribute__((noreturn)) void lab_exec_shell(void);

#endif
