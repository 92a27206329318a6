// clang-format off
/*
 * lab.h - the verbs of a page: all that labs/NN_name.c needs beside the system's own headers.
 *
 * Most verbs show what they do and do it. There are three marks:
 *
 *     $ echo 50000 > $CPU/A/cpu.max    a line that does the same, typed by root in an empty directory
 *     chroot("my_root") = 0            a system call as it stands on the page, with its result
 *     box$ hostname                    a line typed into the shell of a sandbox
 *
 * $NAME in a line is an environment variable (lab_set), $! the PID of the last lab_start. A verb that fails
 * ends the run with one line: the errno and, where there is one, the remedy. "..." are the values of a printf(3).
 */
#ifndef LAB_H
#define LAB_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#define LAB_PRINTF(format_at, values_at) __attribute__((format(printf, format_at, values_at)))
#define LAB_COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

/* The frame. lab_open supervises the experiment NUMBER ("05") with STEPS steps: private mounts, an
 * empty directory, nothing left behind. Arguments other than --step and --shell are for TOOL, with whose
 * status the process ends. lab_step begins a step; it ends the sandboxes of the step before, after the pause
 * of --step. lab_close sums up; main returns its status. */
void lab_open(const char *number, const char *title, int steps, int (*tool)(int, char **), int argc, char *argv[]);
#define lab_step(...) lab_begin_step(__func__, __VA_ARGS__)
LAB_PRINTF(2, 3) void lab_begin_step(const char *function, const char *title, ...);
int lab_close(const char *shell_line); /* how --shell begins its shell: "chroot my_root $SHELL", or NULL */

/* Prose; a value that was read back. */
LAB_PRINTF(1, 2) void lab_say(const char *text, ...);
LAB_PRINTF(2, 3) void lab_fact(const char *key, const char *value, ...);
/* A claim: prints ok or FAIL, with what was expected and seen; returns whether it held. lab_check_file
 * reads FILE of DIRECTORY, shows it as a fact and compares it. */
LAB_PRINTF(2, 3) bool lab_check(bool held, const char *claim, ...);
LAB_PRINTF(3, 4) bool lab_check_number(long long seen, long long expected, const char *claim, ...);
LAB_PRINTF(3, 4) bool lab_check_text(const char *seen, const char *expected, const char *claim, ...);
LAB_PRINTF(4, 5) bool lab_check_file(const char *directory, const char *file, const char *expected,
                                     const char *claim, ...);

/* The inode number of /proc/PID/ns/FILE (PID 0: this process); 0: this kernel has no such kind. The kinds that
 * A and B do not share, as in "pid mnt". A table: for each of its COLUMNS, a name and a PID. */
ino_t lab_namespace_inode(pid_t pid, const char *file);
const char *lab_namespaces_differing(pid_t a, pid_t b);
void lab_show_namespaces(int columns, ...);

/* What a run owns. lab_own_network: a network namespace with its own /sys and /run. lab_own_groups("cpu pids"): its
 * control group in the hierarchy of each controller; $CPU and $PIDS are its directories. (Unless it MUST, it
 * may say why it cannot without root, and return false.) lab_dialect: in v1 or v2. */
void lab_own_network(void);
bool lab_own_groups(const char *controllers, bool must);
int lab_dialect(const char *controller);

/* End with status 77 unless all commands of "ip:iproute2 busy:" are in PATH, each with its package. (None: a program of
 * the labs, whose directory is added to PATH.) The path of a busybox: $BUSYBOX, or the one in PATH. */
LAB_PRINTF(1, 2) void lab_need_commands(const char *commands, ...);
const char *lab_need_busybox(bool is_static);
/* Users and groups of this user namespace: FIRST, or 0 where it has no FIRST; as many of *COUNT from there as it has. */
unsigned lab_choose_ids(unsigned first, unsigned *count);
__attribute__((noreturn)) void lab_cannot_run(const char *missing, const char *remedy);
void lab_wait_for_link(const char *device); /* until it carries packets, a moment after it is set up */

/* The answer of a line that was typed; valid until the next step begins. */
struct lab_answer {
    int status;       /* the exit status, or 128 + the number of the signal */
    const char *text; /* what it printed, on stdout and stderr */
};

/* Type a line, which sh(1) reads. lab_run: it must succeed, and its output is not shown. lab_try:
 * its output is shown. lab_start: go on without waiting, once its program runs; its PID, $! from
 * now on. lab_type shows a line and no more: the page does it itself, by system calls. */
LAB_PRINTF(1, 2) void lab_run(const char *line, ...);
LAB_PRINTF(1, 2) struct lab_answer lab_try(const char *line, ...);
LAB_PRINTF(1, 2) pid_t lab_start(const char *line, ...);
LAB_PRINTF(1, 2) void lab_type(const char *line, ...);
/* LINE again and again until it succeeds, for 20 seconds at most: a server that was just started needs a moment. */
#define LAB_UNTIL(line) "timeout 20 sh -c 'until " line " 2>/dev/null; do sleep 0.1; done'"
/* What a process does to itself: BODY(ARGUMENT) runs in a child, and its result is the answer's status. */
struct lab_answer lab_try_in_child(int (*body)(void *argument), void *argument);

/* NAME=VALUE, or NAME=$(LINE); mkdir; echo TEXT > PATH, to an existing file, by one write(2). */
LAB_PRINTF(2, 3) void lab_set(const char *name, const char *value, ...);
LAB_PRINTF(1, 2) void lab_mkdir(const char *path, ...);
LAB_PRINTF(2, 3) void lab_echo(const char *text, const char *path, ...);

/* A system call, shown and checked; lab_must checks it in silence. Both return its result. */
#define lab_do(call) lab_check_call(#call, (call), true)
#define lab_must(call) lab_check_call(#call, (call), false)
long lab_check_call(const char *call, long result, bool shown);

/* The path with its variables replaced; whether that file exists; its text, without the last newline; the number
 * behind KEY in it (NULL: its only one). The last four strings of each are valid. How often WORD is in TEXT. */
LAB_PRINTF(1, 2) const char *lab_path(const char *path, ...);
LAB_PRINTF(1, 2) bool lab_exists(const char *path, ...);
LAB_PRINTF(1, 2) const char *lab_text(const char *path, ...);
LAB_PRINTF(2, 3) long long lab_number(const char *key, const char *path, ...);
int lab_count_in(const char *text, const char *word);

/* A child to look at while it holds still: where BODY() calls lab_hold_still(), and at its end; or it executes
 * sh. $BOX is its PID. lab_go_on lets it go on to its next halt and shows what it printed. lab_tell types a
 * line into its sh. It ends when the next step begins; a kept one by lab_end. */
struct lab_sandbox {
    pid_t pid;       /* of the process that holds still, as this process numbers it */
    bool kept;       /* set by the page: it lives on when the next step begins */
    char said[4096]; /* what it has printed since the last halt */
};
struct lab_sandbox *lab_sandbox(void (*body)(void));
void lab_hold_still(void);
void lab_go_on(struct lab_sandbox *sandbox);
LAB_PRINTF(2, 3) struct lab_answer lab_tell(struct lab_sandbox *sandbox, const char *line, ...);
void lab_end(struct lab_sandbox *sandbox);
/* The line COMMAND sh -c 'SCRIPT', in a sandbox: CALLS() makes the system calls of COMMAND, and then sh runs the
 * script. (NULL: the line is COMMAND alone, and lab_tell types into its sh.) */
struct lab_sandbox *lab_try_in_sandbox(void (*calls)(void), const char *command, const char *script);

/* CPU time. lab_start_busy types "busy -j THREADS &" and waits until all threads run. lab_use measures LOADS (a NULL
 * behind the last) side by side, up to a second if one has no turn; it returns how idle the CPUs were, in percent. */
struct lab_load {
    const char *name;
    pid_t pid;
    const struct lab_cgroup *group; /* of the tools: measured in the place of PID */
    double target;                  /* percent of a CPU, for the bar and the picture; 0: none */
    double percent;                 /* measured */
    long long used, passed;         /* microseconds: of CPU time, in this time */
    double weight; int threads;     /* for the page alone */
};
pid_t lab_start_busy(int threads);
double lab_use(struct lab_load *const loads[], int milliseconds);
int lab_cpu_count(void);           /* CPUs that this process may use */
double lab_cpu_ceiling(pid_t pid); /* what PID can have, in percent: of these, or of a quota above */
/* Take --plot FILE.svg out of the arguments: lab_close draws a picture; TARGET names the targets. A mark in it. */
void lab_plot_option(int *argc, char *argv[], const char *target);
LAB_PRINTF(1, 2) void lab_measure_event(const char *event, ...);

pid_t lab_fork(void);                    /* fork(2) of a child that dies with its parent */
int lab_wait(pid_t pid);                 /* the status of a child, as a shell tells it */
void lab_continue_in_child(pid_t child); /* after fork or clone: only the child returns; the parent waits, and exits as it does */
__attribute__((noreturn)) void lab_exec(char *const argv[]); /* execvp(3), or exit with 126 or 127 */
LAB_PRINTF(1, 2) __attribute__((noreturn)) void lab_die(const char *what, ...); /* the end, with the errno */
const char *lab_strerror(int error);     /* "EPERM (Operation not permitted)" */

// clang-format on
#endif
