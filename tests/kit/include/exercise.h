/*
 * exercise.h - what an exercise may call besides the C library and the libraries that it names.
 *
 * The functions end the program with one clear line where they fail, unless their comment says
 * otherwise. An exercise is linked with what this header declares for its number, and with nothing
 * else of the labs: EXERCISE is that number, set by make.
 */
#ifndef EXERCISE_H
#define EXERCISE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef EXERCISE
#define FOR(number) (EXERCISE == (number))
#else
#define FOR(number) 1
#endif

enum {
    EXIT_USAGE = 2, /* bad arguments */
    EXIT_TODO = 90, /* lab_todo() */
};

/* Print "TODO NUMBER is not written yet" on stderr and exit(EXIT_TODO). NUMBER is as in "5.1".
 * Replace the call by what the comment above it asks for. */
__attribute__((noreturn)) void lab_todo(const char *number);

/* Print "program: MESSAGE: ENAME (text)" for the present errno and exit(EXIT_FAILURE). */
__attribute__((noreturn, format(printf, 1, 2))) void lab_die(const char *format, ...);

/* Print "program: MESSAGE" and exit(STATUS): for bad input, where errno has no meaning. */
__attribute__((noreturn, format(printf, 2, 3))) void lab_exit(int status, const char *format, ...);

/* An errno by its name: "EPERM (Operation not permitted)". In a static buffer. */
const char *lab_strerror(int error);

/* Replace this process by ARGV[0], looked up in PATH. execvp(3). Returns only by exiting. */
__attribute__((noreturn)) void lab_exec(char *const argv[]);

/* Declare a descriptor that is closed at the end of its block; -1 is none. */
void lab_close_fd(int *fd);
#define lab_fd __attribute__((cleanup(lab_close_fd))) int

/* Declare a string of malloc(3) that is freed at the end of its block. */
void lab_free_string(char **string);
#define lab_string __attribute__((cleanup(lab_free_string))) char *

/* Read a decimal number within MINIMUM..MAXIMUM. Returns whether TEXT is one, with *NUMBER set. */
bool lab_parse_number(const char *text, long long minimum, long long maximum, long long *number);

/* fork(2); the child is killed when its parent dies. Returns as fork(2) does. */
pid_t lab_fork(void);

/* The same in new namespaces, FLAGS being those of clone(2); NUMBER is 0. */
pid_t lab_clone(unsigned long long flags, pid_t number);

/* Wait until PID has ended. Returns its exit status, or 128 + the signal's number; -1 with errno.
 */
int lab_wait(pid_t pid);

/* The same number for a status of wait(2). */
int lab_shell_status(int wait_status);

/* Write TEXT to the file PATH, which exists, by one write(2). Returns 0, or -1 with errno. */
int lab_write_file(const char *path, const char *text);

#if FOR(1)
/* Copy the file SOURCE to PATH below the directory ROOT (a descriptor) with MODE; parents are made.
 * Returns 0, or -1 with errno. */
int lab_copy_file_in(int root, const char *path, const char *source, mode_t mode);
#endif

#if FOR(4)
/* The inode number that identifies the namespace behind /proc/PID/ns/FILE (PID 0: our own).
 * Two processes are in the same namespace when the numbers are equal. 0 with errno on failure. */
ino_t lab_namespace_inode(pid_t pid, const char *file);
#endif

#if FOR(5)
/* Block the signals that ask a process to end; the mask before goes to *BEFORE. Returns a
 * descriptor of signalfd(2) for them, or -1 with errno. */
int lab_ending_signals(sigset_t *before);

/* Wait until the process behind PIDFD has ended, and pass the SIGNALS of lab_ending_signals() on to
 * COMMAND. Returns 0, or -1 with errno. */
int lab_wait_passing_on(int pidfd, int signals, pid_t command);
#endif

#if FOR(5) || FOR(6) || FOR(9)
/* A control group. On cgroup v2 it is one directory; on v1 there is one for each controller, which
 * is given by its name: "cpu", "cpuacct", "memory", "pids". */
struct lab_group;

/* The version of cgroups that CONTROLLER of GROUP uses: 1 or 2. */
int lab_group_version(const struct lab_group *group, const char *controller);

/* The path of FILE of GROUP; "" is the directory itself. In a static buffer of which there are
 * four. */
const char *lab_group_file(const struct lab_group *group, const char *controller, const char *file);

/* Write TEXT to FILE of GROUP. */
void lab_group_write(const struct lab_group *group, const char *controller, const char *file,
                     const char *text);

/* The number behind KEY in FILE, whose lines are "key number"; the only number of FILE where KEY is
 * NULL. */
long long lab_group_number(const struct lab_group *group, const char *controller, const char *file,
                           const char *key);
#endif

#if FOR(5)
/* Make the group NAME, for the controllers cpu and cpuacct, at the top of their hierarchies. It
 * stays until it is removed. */
struct lab_group *lab_group_make(const char *name);

/* The processes of GROUP: up to COUNT of them in PIDS. Returns how many there are. */
int lab_group_processes(const struct lab_group *group, pid_t *pids, int count);
#endif

#if FOR(6) || FOR(9)
/* Make the group of this program, for CONTROLLERS ("cpu cpuacct"). It and the groups in it are
 * removed with all their processes when the program ends. */
struct lab_group *lab_group_of_program(const char *controllers);

/* Move this process into GROUP. */
void lab_group_enter(const struct lab_group *group);
#endif

#if FOR(6)
/* Make the group NAME in PARENT. */
struct lab_group *lab_group_make_in(const struct lab_group *parent, const char *name);
#endif

#undef FOR
#endif
