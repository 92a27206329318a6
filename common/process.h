/*
 * process.h - start processes (process.c), hear what they say (listen.c), learn how they ended;
 * the programs that they run (program.c).
 */
#ifndef LAB_PROCESS_H
#define LAB_PROCESS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lab.h"

/* What a process that was listened to has said and how it ended. Free with lab_output_free(), or
 * declare it with LAB_OUTPUT, which does it at the end of the block. */
struct lab_output {
    char *text;     /* its stdout and stderr, in order, ended by NUL; never NULL after success */
    size_t length;  /* bytes of text */
    int status;     /* as a shell tells it: the exit status, or 128 + the signal's number */
    size_t limit;   /* bytes that are kept */
    bool truncated; /* it said more; the rest was read and dropped */
    bool timed_out; /* it was killed because lab_output_seconds times lab_slowness() had passed */
};

enum {
    LAB_OUTPUT_LIMIT = 256 * 1024,
    LAB_PROGRAM_LIMIT = 16 << 20, /* a firewall may have ten thousands of rules */
};

/* How long a process is listened to: 10 s; in an experiment 180, because a line may have to wait
 * for its turn on a busy machine. */
extern int lab_output_seconds;

/* 0, or a child that has not been waited for, and without which the process listened to goes on for
 * ever: it then is killed a second after the child's end, as when its time has passed. */
extern pid_t lab_output_needs;

/* Free the text of *OUTPUT. */
void lab_output_free(struct lab_output *output);

#define LAB_OUTPUT __attribute__((cleanup(lab_output_free))) struct lab_output

/* How many times slower than usual things may be here: LAB_SLOW of the environment (1 to 100),
 * or 1. An emulated machine has it set (make vm). Every limit of time is to be stretched by it. */
int lab_slowness(void);

/* The present moment, in microseconds of CLOCK_MONOTONIC. */
long long lab_now(void);

/* /proc/PID/status (0: of this process) as a whole, with 65536 groups, too: in a static buffer, or
 * NULL with errno. proc_pid_status(5) */
const char *lab_process_status(pid_t pid);

/* Where a standard stream is closed, no file that is opened after this takes its number, so that
 * what is printed goes nowhere; a command that is executed finds it closed still. */
void lab_hold_streams(void);

/* Repair what a caller such as cron may have left. Where a standard stream is closed, its number is
 * taken, so that no file that is opened later gets it, here and in the programs that are started:
 * reading gives nothing, and writing fails with EBADF as before. SIGCHLD is not ignored, because
 * the kernel would keep no status to wait for. PATH, if unset, becomes the usual directories. */
void lab_begin_as_usual(void);

/* lab_fork() of lab.h in new namespaces: FLAGS are those of clone(2), CLONE_NEW.... With NUMBER (0:
 * any) the child's PID in the innermost PID namespace is chosen; EEXIST in errno where it is taken.
 * clone3(2), Linux 5.5. */
pid_t lab_clone(unsigned long long flags, pid_t number);

/* End by lab_exit(): WHAT, a program, has ended with WAIT_STATUS of wait(2) before it was in use,
 * or has told why it has not (0). */
__attribute__((noreturn)) void lab_did_not_start(const char *what, int wait_status);

/* lab_wait() of lab.h, or the end, with the errno: for a status that is passed on. */
int lab_must_wait(pid_t pid);

/* Kill every descendant of this process, a subreaper (PR_SET_CHILD_SUBREAPER), and wait for them.
 */
void lab_kill_descendants(void);

/* Turn a status of wait(2) into a shell's: the exit status, or 128 + the signal's number. */
int lab_shell_status(int wait_status);

/* The name of a signal, "SIGKILL"; "signal 99" for an unknown one. In a static buffer. */
const char *lab_signal_name(int signal);

/* The number of a signal given as "KILL", "SIGKILL" or "9"; -1 when there is no such signal. */
int lab_signal_number(const char *name);

/* Run BODY(ARGUMENT) in a child with an empty stdin and listen to it; what BODY returns is its exit
 * status. Returns 0 with *OUTPUT filled in, or -1 with errno when it could not be started. */
int lab_listen(struct lab_output *output, int (*body)(void *argument), void *argument);

/* The same for a command, which is looked up in PATH. Its status is 127 if it is not there.
 * LAB_READER: a person reads the output. LAB_PROGRAM: a program does, so the command runs with
 * LC_ALL=C, and *OUTPUT has its stdout; where its status is not 0, its stderr comes before that.
 * Never a part of it: with more than LAB_PROGRAM_LIMIT the result is -1, and errno EFBIG; of one
 * that had to be killed, as it did not end, ETIME. */
enum lab_listener { LAB_READER, LAB_PROGRAM };
int lab_listen_command(struct lab_output *output, const char *const argv[], enum lab_listener who);

/* Whether COMMAND can be executed, where a lab can do without: one that may not be is told, and
 * where it cannot be looked for, the program ends. */
bool lab_has_command(const char *command);

/* Whether COMMAND, a name or a path, can be executed; a name is looked up in PATH. Its path is
 * written to PATH (SIZE bytes) where PATH is not NULL. If not, errno is ENOENT, or says
 * why a file of that name cannot be executed: EACCES, ENAMETOOLONG. */
bool lab_find_command(const char *command, char *path, size_t size);

/* The directory, of those for the administrator's commands, that has COMMAND although PATH does not
 * lead there, as an ordinary user's does not; NULL where none has it. */
const char *lab_outside_path(const char *command);

/* Start "busy -j THREADS" from the directory of this program, in GROUP and on CPUS where they are
 * not NULL, and wait until all its threads are there and use CPU time. It dies with its parent.
 * Returns its PID. Without such a program it exits, and its message names what is missing. */
struct lab_cgroup;
pid_t lab_start_load(int threads, const struct lab_cgroup *group, const cpu_set_t *cpus);

#endif
