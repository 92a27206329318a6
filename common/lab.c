#include "lab.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "error.h"
#include "file.h"
#include "page.h"
#include "process.h"
#include "rootless.h"
#include "run.h"

enum { LINE = 4096, BUFFERS = 4 };

static pid_t started; /* $! */

/*
 * Lines and their variables.
 */

const char *lab_format(const char *format, va_list values)
{
    static char buffers[BUFFERS][LINE];
    static unsigned next;
    char *buffer = buffers[next++ % BUFFERS];

    if (vsnprintf(buffer, LINE, format, values) >= LINE)
        lab_exit(lab_exit_failure, "a line is longer than %d bytes: %.60s...", LINE - 1, buffer);
    return buffer;
}

/* The value of the variable at the beginning of TEXT, "$NAME" or "$!", and its LENGTH; NULL: there
 * is not a variable here, or the shell replaces it. */
static const char *variable_at(const char *text, bool pid_alone, size_t *length)
{
    static char number[16];
    char name[64];

    if (text[0] != '$')
        return NULL;
    *length = 2;
    if (text[1] == '!') {
        snprintf(number, sizeof(number), "%d", (int)started);
        return number;
    }
    if (pid_alone || !(isalpha((unsigned char)text[1]) || text[1] == '_'))
        return NULL;
    while (isalnum((unsigned char)text[*length]) || text[*length] == '_')
        ++*length;
    snprintf(name, sizeof(name), "%.*s", (int)*length - 1, text + 1);
    const char *value = getenv(name);
    return value ? value : "";
}

/* Put the value of the environment's variable in the place of each $NAME, and the PID of the last
 * lab_start() in the place of each $!, as a shell does; "" where there is none. With PID_ALONE the
 * shell that is given the text knows the rest. In one of four static buffers. */
static const char *expand(const char *text, bool pid_alone)
{
    static char buffers[BUFFERS][LINE];
    static unsigned next;
    char *buffer = buffers[next++ % BUFFERS];
    size_t used = 0, length;

    while (*text && used < LINE - 1) {
        const char *value = variable_at(text, pid_alone, &length);
        if (value)
            used += (size_t)snprintf(buffer + used, LINE - used, "%s", value);
        else
            buffer[used++] = *text;
        text += value ? length : 1;
    }
    if (used >= LINE - 1)
        lab_exit(lab_exit_failure, "a line is longer than %d bytes", LINE - 1);
    buffer[used] = '\0';
    return buffer;
}

/*
 * Lines that are typed.
 */

static struct lab_answer run_line(const char *line)
{
    struct lab_output output = {0};
    const char *const argv[] = {"sh", "-c", expand(line, true), NULL};

    if (lab_listen_command(&output, argv, LAB_READER) == -1)
        lab_die("start sh");
    if (output.timed_out)
        lab_exit(lab_exit_failure,
                 lab_output_needs ? "%s: what it waits for has ended; see above"
                                  : "%s: goes on for too long, and was ended",
                 line);
    return (struct lab_answer){.status = output.status, .text = lab_keep_answer(output.text)};
}

void lab_run(const char *format, ...)
{
    LAB_FORMAT(line, format);

    lab_type("%s", line);
    struct lab_answer answer = run_line(line);
    if (answer.status != 0)
        lab_exit(lab_exit_failure, "%s: %.*s (exit status %d)", line,
                 (int)strcspn(answer.text, "\n"), answer.text, answer.status);
}

struct lab_answer lab_try(const char *format, ...)
{
    LAB_FORMAT(line, format);

    lab_type("%s", line);
    struct lab_answer answer = run_line(line);
    lab_quote(answer.text);
    return answer;
}

struct lab_answer lab_try_in_child(int (*body)(void *argument), void *argument)
{
    struct lab_output output = {0};

    if (lab_listen(&output, body, argument) == -1)
        lab_die("start a child");
    lab_quote(output.text);
    return (struct lab_answer){.status = output.status, .text = lab_keep_answer(output.text)};
}

/* Wait until PID has replaced the shell, which read LINE, by the program in it: until then it runs
 * this program or sh. */
static void wait_for_program(pid_t pid, const char *line)
{
    char path[64], program[PATH_MAX], found[PATH_MAX], shell[PATH_MAX] = "", self[PATH_MAX] = "";
    long long end = lab_now() + 20000000LL * lab_slowness();
    pid_t ended;
    int status = 0;

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    if (!lab_find_command("sh", found, sizeof(found)) || !realpath(found, shell))
        lab_die("find sh");
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) == -1)
        lab_die("readlink /proc/self/exe");
    do {
        ssize_t length = readlink(path, program, sizeof(program) - 1);
        program[length > 0 ? length : 0] = '\0';
        if (length > 0 && strcmp(program, shell) != 0 && strcmp(program, self) != 0)
            return;
        usleep(1000);
        ended = TEMP_FAILURE_RETRY(waitpid(pid, &status, WNOHANG));
        if (ended == -1)
            lab_die("wait for process %d", (int)pid);
    } while (ended == 0 && lab_now() < end);
    lab_did_not_start(line, status);
}

pid_t lab_start(const char *format, ...)
{
    char command[LINE + 8];
    LAB_FORMAT(line, format);

    lab_type("%s &", line);
    snprintf(command, sizeof(command), "exec %s", expand(line, true));
    pid_t pid = (pid_t)lab_must(lab_fork());
    if (pid == 0) {
        int nothing = (int)lab_must(open("/dev/null", O_RDONLY | O_CLOEXEC));
        lab_must(dup2(nothing, STDIN_FILENO));
        /* A load with a realtime priority, inherited from the caller, would stop the machine. */
        lab_must(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}));
        lab_exec((char *[]){"sh", "-c", command, NULL});
    }
    wait_for_program(pid, line);
    return started = pid;
}

pid_t lab_start_busy(int threads)
{
    lab_type("busy -j %d &", threads);
    return started = lab_start_load(threads, NULL, NULL);
}

/*
 * Small things that are typed.
 */

/* The first line that LINE prints; VALUE is $(LINE), a single command. The shell becomes that: it
 * may wait for ever, and dies with this process, which a child of a shell does not. */
static const char *substitute(const char *value)
{
    struct lab_answer answer;
    char line[LINE + 32];

    snprintf(line, sizeof(line), "exec %.*s", (int)strlen(value) - 3, value + 2);
    lab_output_needs = started;
    answer = run_line(line);
    lab_output_needs = 0;
    if (answer.status != 0)
        lab_exit(lab_exit_failure, "%s: %s (exit status %d)", value, answer.text, answer.status);
    return lab_keep_answer(strndup(answer.text, strcspn(answer.text, "\n")));
}

void lab_set(const char *name, const char *format, ...)
{
    LAB_FORMAT(value, format);

    lab_type("%s=%s", name, value);
    lab_must(
        setenv(name, strncmp(value, "$(", 2) == 0 ? substitute(value) : expand(value, false), 1));
}

void lab_mkdir(const char *format, ...)
{
    LAB_FORMAT(path, format);

    lab_type("mkdir %s", path);
    const char *directory = expand(path, false);
    if (mkdir(directory, 0755) == -1)
        lab_die_path(directory, "mkdir");
}

/*
 * Looking.
 */

const char *lab_path(const char *format, ...)
{
    LAB_FORMAT(path, format);

    return expand(path, false);
}

bool lab_exists(const char *format, ...)
{
    LAB_FORMAT(line, format);
    const char *path = expand(line, false);
    int there = lab_is_there(path);

    if (there == -1)
        lab_die("look at %s", path); /* that is not an answer */
    return there;
}

const char *lab_text(const char *format, ...)
{
    static char texts[BUFFERS][16384];
    static unsigned next;
    char *text = texts[next++ % BUFFERS];
    LAB_FORMAT(line, format);
    const char *path = expand(line, false);

    if (lab_read_file(path, text, sizeof(texts[0])) == -1)
        lab_die("read %s", path);
    return text;
}

long long lab_number(const char *key, const char *format, ...)
{
    long long number;
    LAB_FORMAT(path, format);

    if (!lab_cgroup_parse_number(lab_text("%s", path), key, &number))
        lab_exit(lab_exit_failure, "no number %s in %s", key ? key : "", expand(path, false));
    return number;
}

int lab_count_in(const char *text, const char *word)
{
    int count = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        count++;
    return count;
}

bool lab_check_file(const char *directory, const char *file, const char *expected,
                    const char *format, ...)
{
    const char *seen = lab_text("%s/%s", directory, file);
    LAB_FORMAT(claim, format);

    lab_fact(file, "%s", seen);
    return lab_check_text(seen, expand(expected, false), "%s", claim);
}

/*
 * Control groups.
 */

static struct lab_cgroup groups;

static enum lab_controller controller_named(const char *name)
{
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (strcmp(lab_controllers[i], name) == 0)
            return i;
    lab_exit(lab_exit_failure, "the labs use no controller %s", name);
}

int lab_dialect(const char *controller)
{
    return groups.where->of[controller_named(controller)].version;
}

/* Show the lines that make the group of CONTROLLER, which is there by now, and set its variable. On
 * v2 a group has only the controllers that each group above hands on. */
static void show_group(enum lab_controller controller)
{
    const char *name = lab_controllers[controller];
    const char *directory = lab_cgroup_file(&groups, controller, "");
    char variable[16] = "";

    for (int i = 0; name[i]; i++)
        variable[i] = (char)toupper((unsigned char)name[i]);
    if (groups.where->of[controller].version == 2)
        lab_type("echo +%s > %s/cgroup.subtree_control", name, groups.where->of[controller].base);
    lab_set(variable, "%s", directory);
    lab_type("mkdir -p $%s", variable);
    if (groups.where->of[controller].version == 2)
        lab_type("echo +%s > $%s/../cgroup.subtree_control", name, variable);
}

/* The set of bits for a list such as "cpu pids". */
static unsigned controllers_named(const char *controllers)
{
    char words[64], *rest;
    unsigned set = 0;

    snprintf(words, sizeof(words), "%s", controllers);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        set |= LAB_BIT(controller_named(word));
    return set;
}

bool lab_own_groups(const char *controllers, bool must)
{
    const unsigned set = controllers_named(controllers);
    char directory[LAB_CGROUP_PATH];
    struct lab_hierarchies where;

    lab_hierarchies_need(&where, NULL);
    if (!must && lab_rootless && lab_cgroup_delegated(&where, set, directory) == -1) {
        lab_say(
            "NOT SHOWN: control groups. Without root they need a group of v2 that belongs to you:\n"
            "systemd-run --user --scope -p Delegate=yes COMMAND runs COMMAND in one.");
        return false;
    }
    lab_run_cgroup(&groups, set, 0);
    for (enum lab_controller i = 0; i < LAB_CONTROLLERS; i++)
        if (set & LAB_BIT(i))
            show_group(i);
    return true;
}
