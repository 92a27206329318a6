#include "lab.h"

#include <fcntl.h>
#include <signal.h>

#include "error.h"
#include "file.h"
#include "page.h"
#include "process.h"

/* The mark of a halt in what a sandbox prints: "\001PID" or, from its sh, "\001STATUS". No program
 * of the labs prints such a line. */
static const char HALT = '\001';

/* What a page sees of a sandbox, and a pipe to the child, a pipe from it. */
struct sandbox {
    struct lab_sandbox seen;
    pid_t child;
    int hold;
    FILE *from;
};

enum { SANDBOXES = 8 };
static struct sandbox sandboxes[SANDBOXES];

bool lab_in_sandbox;
static int machine_proc;    /* /proc as it was before the sandbox made its calls */
static int parent_shown[2]; /* a pipe: what the parent of a fork has printed is in the other one */

/* In the child: its output goes to the pipe TO, and it waits at the pipe FROM. What else is open
 * here is not for it. */
__attribute__((noreturn)) static void become_sandbox(int from, int to, void (*body)(void))
{
    if (dup2(from, STDIN_FILENO) == -1 || dup2(to, STDOUT_FILENO) == -1 ||
        dup2(to, STDERR_FILENO) == -1 || close_range(STDERR_FILENO + 1, ~0U, 0) == -1)
        lab_die("hand pipes to a sandbox");
    clearerr(stdout); /* the parent tells its own */
    machine_proc = (int)lab_must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    lab_must(pipe2(parent_shown, O_CLOEXEC));
    lab_in_sandbox = true;
    body();
    lab_hold_still();
    exit(EXIT_SUCCESS);
}

/* Read what it prints until it holds still. Returns the number behind the mark; -1: it has ended.
 */
static int listen_to(struct sandbox *sandbox)
{
    char line[1024], *said = sandbox->seen.said;
    size_t length = 0;

    *said = '\0';
    while (fgets(line, sizeof(line), sandbox->from)) {
        if (*line == HALT)
            return atoi(line + 1);
        if (*line == *LAB_CALL)
            printf("    %s", line + 1);
        else if (length < sizeof(sandbox->seen.said))
            length +=
                (size_t)snprintf(said + length, sizeof(sandbox->seen.said) - length, "%s", line);
    }
    if (ferror(sandbox->from))
        lab_die("read what the sandbox prints");
    return -1;
}

__attribute__((noreturn)) static void has_ended(struct sandbox *sandbox)
{
    lab_quote(sandbox->seen.said);
    close(sandbox->hold);
    sandbox->seen.kept = false;
    int status = lab_wait(sandbox->child);
    sandbox->child = 0;
    lab_exit(lab_exit_failure, "the sandbox has ended (exit status %d); see its last words above",
             status);
}

struct lab_sandbox *lab_sandbox(void (*body)(void))
{
    struct sandbox *sandbox = sandboxes;
    int to_child[2], from_child[2];
    char number[16];

    while (sandbox < sandboxes + SANDBOXES - 1 && sandbox->child > 0)
        sandbox++;
    lab_must(pipe2(to_child, O_CLOEXEC));
    lab_must(pipe2(from_child, O_CLOEXEC));
    *sandbox = (struct sandbox){.hold = to_child[1], .from = fdopen(from_child[0], "r")};
    if (!sandbox->from)
        lab_die("fdopen");
    sandbox->child = (pid_t)lab_must(lab_fork());
    if (sandbox->child == 0)
        become_sandbox(to_child[0], from_child[1], body);
    close(to_child[0]);
    close(from_child[1]);
    sandbox->seen.pid = listen_to(sandbox);
    if (sandbox->seen.pid == -1)
        has_ended(sandbox);
    if (*sandbox->seen.said)
        lab_quote(sandbox->seen.said);
    snprintf(number, sizeof(number), "%d", (int)sandbox->seen.pid);
    lab_must(setenv("BOX", number, 1));
    return &sandbox->seen;
}

/* What lab_try_in_sandbox() hands to its sandbox. */
static void (*shell_calls)(void);
static const char *shell_script;

static void become_shell(void)
{
    char *script;

    shell_calls();
    lab_hold_still();
    if (!shell_script)
        lab_exec((char *[]){"sh", NULL});
    lab_must(asprintf(&script, "%s; printf '\\001\\n'; read -r rest", shell_script));
    lab_exec((char *[]){"sh", "-c", script, NULL});
}

struct lab_sandbox *lab_try_in_sandbox(void (*calls)(void), const char *command, const char *script)
{
    if (script)
        lab_type("%s sh -c '%s'", command, script);
    else
        lab_type("%s", command);
    shell_calls = calls;
    shell_script = script;
    struct lab_sandbox *sandbox = lab_sandbox(become_shell);
    if (script)
        lab_go_on(sandbox);
    return sandbox;
}

/* stdio does not keep the errno of a write. */
static void must_have_printed(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        lab_exit(lab_exit_failure, "what the sandbox prints is lost: a write to stdout failed");
}

void lab_hold_still(void)
{
    char self[32] = "";

    /* By the machine's /proc: a process in a PID namespace of its own cannot find the number that
     * it has outside, and another mount namespace can have another /proc. */
    if (readlinkat(machine_proc, "self", self, sizeof(self) - 1) == -1)
        lab_die("readlink /proc/self");
    must_have_printed(); /* after the mark it would not be read */
    printf("%c%s\n", HALT, self);
    must_have_printed();
    ssize_t count = read(STDIN_FILENO, self, 1);
    if (count == -1)
        lab_die("wait in the sandbox");
    if (count == 0)
        _exit(EXIT_FAILURE); /* the experiment has ended */
}

/* The line of a lab_do() that returns in both processes is printed by both. The child waits for its
 * parent's: nothing is read of a sandbox that holds still. */
void lab_continue_in_child(pid_t child)
{
    char shown;

    if (child == -1)
        lab_die("fork");
    if (child > 0) {
        if (lab_in_sandbox) {
            must_have_printed();
            lab_must(write(parent_shown[1], "\n", 1));
            close(parent_shown[1]);
        }
        exit(lab_must_wait(child));
    }
    if (!lab_in_sandbox)
        return;
    close(parent_shown[1]);
    if (lab_must(read(parent_shown[0], &shown, 1)) == 0)
        _exit(EXIT_FAILURE); /* the parent has ended, and told why */
    close(parent_shown[0]);
    lab_must(pipe2(parent_shown, O_CLOEXEC));
}

/* Without SIGPIPE: that the sandbox has ended is found out, and told, when it is listened to. */
static void write_to(const struct sandbox *sandbox, const char *text)
{
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);

    if (write(sandbox->hold, text, strlen(text)) != (ssize_t)strlen(text) && errno != EPIPE)
        lab_die("write to the sandbox");
    signal(SIGPIPE, before);
}

void lab_go_on(struct lab_sandbox *sandbox)
{
    struct sandbox *inner = (struct sandbox *)sandbox;

    write_to(inner, "\n");
    if (listen_to(inner) == -1)
        has_ended(inner);
    lab_quote(sandbox->said);
}

struct lab_answer lab_tell(struct lab_sandbox *sandbox, const char *format, ...)
{
    struct sandbox *inner = (struct sandbox *)sandbox;
    lab_string typed = NULL;
    LAB_FORMAT(line, format);

    printf("    box$ %s\n", line);
    /* The first newline ends a halt; to a shell it is an empty line. */
    lab_must(asprintf(&typed, "\n{ %s\n} </dev/null 2>&1; printf '\\001%%s\\n' $?\n", line));
    write_to(inner, typed);
    int status = listen_to(inner);
    if (status == -1)
        has_ended(inner);
    if (*sandbox->said)
        lab_quote(sandbox->said);
    return (struct lab_answer){.status = status, .text = lab_keep_answer(strdup(sandbox->said))};
}

void lab_end(struct lab_sandbox *sandbox)
{
    struct sandbox *inner = (struct sandbox *)sandbox;

    if (inner->child <= 0)
        return;
    close(inner->hold);
    fclose(inner->from);
    lab_wait(inner->child);
    inner->child = 0;
}

enum { ANSWERS = 128 };
static char *answers[ANSWERS];
static int answer_count;

const char *lab_keep_answer(char *text)
{
    if (!text)
        lab_die("keep an answer");
    if (answer_count == ANSWERS)
        lab_exit(lab_exit_failure, "a step types more than %d lines", ANSWERS);
    return answers[answer_count++] = text;
}

void lab_free_step(void)
{
    for (int i = 0; i < SANDBOXES; i++)
        if (!sandboxes[i].seen.kept)
            lab_end(&sandboxes[i].seen);
    while (answer_count > 0)
        free(answers[--answer_count]);
}
