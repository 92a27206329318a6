#include "lab.h"

#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "error.h"
#include "page.h"
#include "process.h"
#include "rootless.h"
#include "run.h"

/*
 * What is printed: to stdout, line buffered, so that nothing is lost when the process is killed and
 * nothing is doubled by fork(2). Colour only helps; it is off when stdout is not a terminal or
 * NO_COLOR is set (https://no-color.org).
 */

static struct {
    const char *number;
    int steps, step;
    int held, failed;
    bool colour;
} narration;

static const char BOLD[] = "\033[1m", GREEN[] = "\033[32m", RED[] = "\033[1;31m", DIM[] = "\033[2m";

/* STYLE or the way back to normal, where there is colour at all. */
static const char *colour(const char *style)
{
    if (!narration.colour)
        return "";
    return style ? style : "\033[0m";
}

static bool terminal_has_colour(void)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && (!no_color || !*no_color) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

/* Print each line of TEXT behind PREFIX; a newline at the very end starts no further line. */
static void print_lines(const char *prefix, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        printf("%s%.*s\n", prefix, (int)length, text);
        text += length + (text[length] == '\n');
    }
}

void lab_say(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) == -1)
        lab_die("vasprintf");
    va_end(arguments);
    print_lines("    ", text);
    free(text);
}

void lab_type(const char *format, ...)
{
    va_list arguments;

    printf("    %s$ ", colour(BOLD));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("%s\n", colour(NULL));
}

void lab_quote(const char *text)
{
    fputs(colour(DIM), stdout);
    print_lines("    | ", *text ? text : "(nothing)");
    fputs(colour(NULL), stdout);
}

void lab_fact(const char *key, const char *format, ...)
{
    va_list arguments;

    printf("    %s = ", key);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* The one place where checks are counted. DETAIL is what a failed check adds to its claim. */
__attribute__((format(printf, 3, 0))) static bool count(bool held, const char *detail,
                                                        const char *claim, va_list arguments)
{
    if (held) {
        narration.held++;
        printf("  %sok%s    ", colour(GREEN), colour(NULL));
    } else {
        narration.failed++;
        printf("  %sFAIL%s  ", colour(RED), colour(NULL));
    }
    vprintf(claim, arguments);
    printf("%s\n", held ? "" : detail);
    return held;
}

bool lab_check(bool held, const char *claim, ...)
{
    va_list arguments;

    va_start(arguments, claim);
    count(held, "", claim, arguments);
    va_end(arguments);
    return held;
}

bool lab_check_number(long long seen, long long expected, const char *claim, ...)
{
    char detail[96];
    va_list arguments;

    snprintf(detail, sizeof(detail), ": expected %lld, saw %lld", expected, seen);
    va_start(arguments, claim);
    count(seen == expected, detail, claim, arguments);
    va_end(arguments);
    return seen == expected;
}

bool lab_check_text(const char *seen, const char *expected, const char *claim, ...)
{
    bool held = strcmp(seen, expected) == 0;
    char detail[512];
    va_list arguments;

    snprintf(detail, sizeof(detail), ": expected '%s', saw '%s'", expected, seen);
    va_start(arguments, claim);
    count(held, detail, claim, arguments);
    va_end(arguments);
    return held;
}

/*
 * Options and shells.
 */

static struct {
    bool step, shell;
    char *locale; /* LC_ALL of the caller, or NULL */
} frame;

bool lab_is_experiment_option(const char *word)
{
    return strcmp(word, "--step") == 0 || strcmp(word, "--shell") == 0;
}

static void read_options(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        if (!lab_is_experiment_option(argv[i])) {
            lab_warn("'%s' does not go together with '%s'", argv[i], argv[1]);
            lab_try_help(LAB_EXIT_USAGE);
        }
        frame.step |= strcmp(argv[i], "--step") == 0;
        frame.shell |= strcmp(argv[i], "--shell") == 0;
    }
}

static const char *usable_shell(void)
{
    const char *shell = getenv("SHELL");

    return shell && access(shell, X_OK) == 0 ? shell : "/bin/sh";
}

/* The pages read what programs print, which depends on the locale, and type options after names,
 * which POSIXLY_CORRECT forbids. A shell of the reader has the reader's locale. */
static void leave_locale(void)
{
    const char *locale = getenv("LC_ALL");

    if (locale && !(frame.locale = strdup(locale)))
        lab_die("strdup");
    if (setenv("LC_ALL", "C", 1) == -1 || unsetenv("POSIXLY_CORRECT") == -1)
        lab_die("set the environment");
}

static void restore_locale(void)
{
    if ((frame.locale ? setenv("LC_ALL", frame.locale, 1) : unsetenv("LC_ALL")) == -1)
        lab_die("restore LC_ALL");
}

/* In a child: begin the shell of --shell as the page says. */
static void enter_by_line(const char *line)
{
    if (setenv("SHELL", usable_shell(), 1) == -1)
        lab_die("setenv SHELL");
    lab_type("%s", line);
    lab_exec((char *[]){"sh", "-c", (char *)line, NULL});
}

/* LINE: of lab_close(), or NULL. */
static void open_shell(const char *line)
{
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        restore_locale();
        if (line)
            enter_by_line(line);
        lab_exec((char *const[]){(char *)usable_shell(), "-i", NULL});
    }
    lab_say("(exit leaves the shell)");
    lab_wait(child);
    lab_take_terminal();
}

/*
 * Steps.
 */

static void between_steps(void);

/* End the last step and print the line that sums up. Returns the number of checks that failed;
 * a narration that ends short of its last step counts as a failure, unless WHOLE is false. */
static int summary(bool whole)
{
    between_steps();
    putchar('\n');
    if (whole && narration.step != narration.steps)
        lab_check(false, "the experiment has %d steps, %d were played", narration.steps,
                  narration.step);
    const char *ended = whole ? "" : ", ended early";
    errno = 0;
    printf("%s[%s] %d checks held, %d failed%s%s\n", colour(narration.failed ? RED : GREEN),
           narration.number, narration.held, narration.failed, ended, colour(NULL));
    /* A file that has a part of this must not be taken for the whole. */
    if (fflush(stdout) == EOF || ferror(stdout)) {
        errno = errno ? errno : EIO;
        lab_die("write to stdout");
    }
    return narration.failed;
}

/* The next byte of an answer, 0 where the input has ended. */
static char answer_byte(void)
{
    char byte = 0;

    if (TEMP_FAILURE_RETRY(read(STDIN_FILENO, &byte, 1)) == -1)
        lab_die("read the answer");
    return byte;
}

/* --step: wait for a word from the reader; one that is not understood is asked for again. The input
 * is read byte by byte, because what follows the line may be meant for the shell. */
static void ask(void)
{
    for (;;) {
        bool more = false;

        printf("    -- Enter: go on, s: a shell here, q: end -- ");
        fflush(stdout);
        const char answer = answer_byte();
        for (char rest = answer; rest && rest != '\n'; more |= rest && rest != '\n')
            rest = answer_byte();
        if (!isatty(STDIN_FILENO))
            putchar('\n');
        if (answer == '\n')
            return;
        if ((answer == 'q' && !more) || !answer)
            break;
        if (answer == 's' && !more)
            open_shell(NULL);
    }
    frame.step = false;
    exit(summary(false) ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* A step has ended, and the next one has its title: a class can predict what it shows. What the
 * last one made is alive until the pause is over. */
static void between_steps(void)
{
    if (frame.step)
        ask();
    lab_free_step();
}

void lab_begin_step(const char *function, const char *format, ...)
{
    va_list arguments;

    narration.step++;
    printf("\n%s[%s] step %d of %d: ", colour(BOLD), narration.number, narration.step,
           narration.steps);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("%s  (%s)\n", colour(NULL), function);
    between_steps();
}

/*
 * The frame.
 */

static void narrate(const char *number, const char *title, int steps)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    narration.number = number;
    narration.steps = steps;
    narration.colour = terminal_has_colour();
    printf("%s[%s] %s%s\n", colour(BOLD), number, title, colour(NULL));
}

/* With few descriptors a command of an experiment fails half-way, and what waits for it waits on.
 */
static void need_descriptors(void)
{
    enum { NEEDED = 64 };
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        lab_die("read the limit of open files");
    if (files.rlim_cur >= NEEDED)
        return;
    files.rlim_cur = files.rlim_max < NEEDED ? files.rlim_max : NEEDED;
    if (files.rlim_cur < NEEDED || setrlimit(RLIMIT_NOFILE, &files) == -1)
        lab_cannot_run("a process may have too few open files", "type: ulimit -n 1024");
}

void lab_open(const char *number, const char *title, int steps, int (*tool)(int, char **), int argc,
              char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        exit(tool(argc, argv));
    lab_begin_as_usual();
    read_options(argc, argv);
    lab_output_seconds = 180;
    umask(022);
    leave_locale();
    need_descriptors();
    lab_begin_experiment(number);
    narrate(number, title, steps);
    if (lab_rootless)
        lab_say("%s", lab_rootless);
}

int lab_close(const char *shell_line)
{
    lab_draw_picture();
    int failed = summary(true);
    if (frame.shell)
        open_shell(shell_line);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
