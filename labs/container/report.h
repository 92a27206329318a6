/*
 * report.h - messages between the runtime and the process that becomes the container.
 *
 * That process has a socket to the runtime, and no terminal or stderr of the machine. It sends its
 * failure over the socket, and the runtime prints it.
 */
#ifndef CONTAINER_REPORT_H
#define CONTAINER_REPORT_H

/* What most files of the service need. */
#include "error.h"
#include "file.h"

enum {
    STATUS_RUNTIME = 125, /* the runtime's own failures, as docker-run(1) has it */
    MAXIMUM_FDS = 64,     /* descriptors in one message; the kernel allows 253 */
};

enum message_kind {
    MESSAGE_FAILED,      /* child to runtime: status and words */
    MESSAGE_STARTING,    /* child to runtime: its next call is execve(2) */
    MESSAGE_NOT_STARTED, /* launcher to runtime: the errno of execve(2) is in status */
    MESSAGE_NO_INIT,     /* launcher to runtime: the errno of its fork is in status */
    MESSAGE_MOUNTS,      /* runtime to child: the mounts that were made for it; it may go on */
    MESSAGE_TERMINAL,    /* child to runtime: the terminal's master */
    MESSAGE_GO,          /* runtime to child: go on */
    MESSAGE_PROCESS,     /* joiner to runtime: the pidfd of the process that was started */
};

struct message {
    enum message_kind kind;
    int status;
    char text[512];
};

/* The socket by which this process reports; -1 in the runtime itself, where child_socket is the one
 * to its child, and child_process (NULL: none) the pidfd of that. */
extern int report_socket, child_socket;
extern const int *child_process;

/* Replace the control characters in TEXT, those of C1 in UTF-8 included, by question marks: words
 * of a container or a user must not control a terminal. */
void hide_controls(char *text);

/* Report "MESSAGE" or "MESSAGE: ENAME (text)", with a remedy where there is one, and exit with
 * STATUS_RUNTIME or STATUS. */
#define give_up(...) give_up_with(STATUS_RUNTIME, __VA_ARGS__)
__attribute__((noreturn, format(printf, 2, 3))) void give_up_with(int status, const char *format,
                                                                  ...);
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* The result of CALL, which is not -1: that would be the end, by fail() with the words after it. */
#define must(call, ...)                                                                            \
    (__extension__({                                                                               \
        const __typeof__(call) must_result = (call);                                               \
        if (must_result == -1)                                                                     \
            fail(__VA_ARGS__);                                                                     \
        must_result;                                                                               \
    }))

/* Let no process in a container trace this one. prctl(2), PR_SET_DUMPABLE */
void forbid_tracing(void);

/* In the child: be killed when the runtime ends, as nothing else would end or remove the container
 * then. If the runtime is dead already, the signal does not come, but its end of the socket is
 * closed (no child may keep that one): exit now. A change of user clears the setting.
 * PR_SET_PDEATHSIG(2const) */
void die_with_runtime(void);

/* Send MESSAGE with COUNT descriptors over SOCKET. Returns 0, or -1 with errno. unix(7). */
int send_message(int to, const struct message *message, const int *fds, int count);

/* End as the runtime does when COMMAND cannot be executed because of ERROR: 127 where it is not
 * found, 126 where it is. */
__attribute__((noreturn)) void give_up_command(const char *command, int error);

/* Receive one, with at most COUNT descriptors (close-on-exec), how many in *COUNT. Returns 1, 0
 * when the other side has closed its end, or -1 with errno. */
int receive_message(int from, struct message *message, int *fds, int *count);

#endif
