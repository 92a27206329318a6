#include "lab.h"

#include <fcntl.h>

#include "error.h"
#include "page.h"

/* The mark of a halt in what a sandbox prints: "\001PID" or, from its sh, "\001STATUS". No program
 * of the labs prints such a line. */
static const char HALT = '\001';

enum { SANDBOXES = 8 };
static struct lab_sandbox sandboxes[SANDBOXES];

bool lab_in_sandbox;

/* In the child: its output goes to the pipe TO, and it waits at the pipe FROM. What else is open
 * here is not for it. */
__attribute__((noreturn)) static void become_sandbox(int from, int to, int (*body)(void *),
                                                     void *argument)
{
    if (dup2(from, STDIN_FILENO) == -1 || dup2(to, STDOUT_FILENO) == -1 ||
        dup2(to, STDERR_FILENO) == -1 || close_range(STDERR_FILENO + 1, ~0U, 0) == -1)
        lab_die("hand pipes to a sandbox");
    lab_in_sandbox = true;
    int status = body(argument);
    if (status == 0)
        lab_hold_still();
    exit(status);
}

/* Read what it prints until it holds still. Returns the number behind the mark; -1: it has ended.
 */
static int listen_to(struct lab_sandbox *sandbox)
{
    char line[1024];
    size_t length = 0;

    sandbox->said[0] = '\0';
    while (fgets(line, sizeof(line), sandbox->from)) {
        if (*line == HALT)
            return atoi(line + 1);
        if (length < sizeof(sandbox->said))
            length += (size_t)snprintf(sandbox->said + length, sizeof(sandbox->said) - length, "%s",
                                       line);
    }
    return -1;
}

__attribute__((noreturn)) static void has_ended(struct lab_sandbox *sandbox)
{
    lab_quote(sandbox->said);
    sandbox->kept = false;
    int status = lab_wait(sandbox->child);
    sandbox->child = 0;
    lab_exit(lab_exit_failure, "the sandbox has ended (exit status %d); see its last words above",
             status);
}

struct lab_sandbox *lab_sandbox(int (*body)(void *argument), void *argument)
{
    struct lab_sandbox *sandbox = sandboxes;
    int to_child[2], from_child[2];

    while (sandbox < sandboxes + SANDBOXES - 1 && sandbox->child > 0)
        sandbox++;
    lab_must(pipe2(to_child, O_CLOEXEC));
    lab_must(pipe2(from_child, O_CLOEXEC));
    *sandbox = (struct lab_sandbox){.hold = to_child[1], .from = fdopen(from_child[0], "r")};
    sandbox->child = (pid_t)lab_must(lab_fork());
    if (sandbox->child == 0)
        become_sandbox(to_child[0], from_child[1], body, argument);
    close(to_child[0]);
    close(from_child[1]);
    sandbox->pid = listen_to(sandbox);
    if (sandbox->pid == -1)
        has_ended(sandbox);
    if (*sandbox->said)
        lab_quote(sandbox->said);
    return sandbox;
}

void lab_hold_still(void)
{
    char self[32] = "";

    /* By /proc: in a PID namespace of its own it would not know its number outside. */
    if (readlink("/proc/self", self, sizeof(self) - 1) == -1)
        lab_die("readlink /proc/self");
    printf("%c%s\n", HALT, self);
    fflush(stdout);
    if (read(STDIN_FILENO, self, 1) != 1)
        _exit(EXIT_FAILURE); /* the experiment has ended */
}

void lab_go_on(struct lab_sandbox *sandbox)
{
    if (write(sandbox->hold, "\n", 1) != 1 || listen_to(sandbox) == -1)
        has_ended(sandbox);
    lab_quote(sandbox->said);
}

struct lab_answer lab_tell(struct lab_sandbox *sandbox, const char *format, ...)
{
    LAB_FORMAT(line, format);

    printf("    box$ %s\n", line);
    /* The first newline ends a halt; to a shell it is an empty line. */
    if (dprintf(sandbox->hold, "\n{ %s\n} </dev/null 2>&1; printf '\\001%%s\\n' $?\n", line) < 0)
        has_ended(sandbox);
    int status = listen_to(sandbox);
    if (status == -1)
        has_ended(sandbox);
    if (*sandbox->said)
        lab_quote(sandbox->said);
    return (struct lab_answer){.status = status, .text = lab_keep_answer(strdup(sandbox->said))};
}

void lab_keep(struct lab_sandbox *sandbox)
{
    sandbox->kept = true;
}

void lab_end(struct lab_sandbox *sandbox)
{
    if (sandbox->child <= 0)
        return;
    close(sandbox->hold);
    fclose(sandbox->from);
    lab_wait(sandbox->child);
    sandbox->child = 0;
}

void lab_end_sandboxes(void)
{
    for (int i = 0; i < SANDBOXES; i++)
        if (!sandboxes[i].kept)
            lab_end(&sandboxes[i]);
}
