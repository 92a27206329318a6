#include <sys/stat.h>

#include "error.h"
#include "lab.h"
#include "narrate.h"
#include "page.h"
#include "process.h"
#include "rootless.h"
#include "run.h"

static struct {
    bool step, shell;
    const char *shell_line;
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

/*
 * Steps and shells.
 */

static const char *usable_shell(void)
{
    const char *shell = getenv("SHELL");

    return shell && access(shell, X_OK) == 0 ? shell : "/bin/sh";
}

/* The pages read what programs print, which depends on the locale. A shell of the reader has the
 * reader's. */
static void leave_locale(void)
{
    const char *locale = getenv("LC_ALL");

    if (locale && !(frame.locale = strdup(locale)))
        lab_die("strdup");
    if (setenv("LC_ALL", "C", 1) == -1)
        lab_die("setenv LC_ALL");
}

static void restore_locale(void)
{
    if ((frame.locale ? setenv("LC_ALL", frame.locale, 1) : unsetenv("LC_ALL")) == -1)
        lab_die("restore LC_ALL");
}

/* In a child: begin the shell of --shell as the page says. */
static void enter_by_line(void)
{
    if (setenv("SHELL", usable_shell(), 1) == -1)
        lab_die("setenv SHELL");
    lab_type("%s", frame.shell_line);
    lab_exec((char *[]){"sh", "-c", (char *)frame.shell_line, NULL});
}

static void open_shell(bool by_line)
{
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        restore_locale();
        if (by_line)
            enter_by_line();
        lab_exec((char *const[]){(char *)usable_shell(), "-i", NULL});
    }
    lab_say("(exit leaves the shell)");
    lab_wait(child);
    lab_take_terminal();
}

/* --step: wait for a word from the reader; one that is not understood is asked for again. The input
 * is read byte by byte, because what follows the line may be meant for the shell. */
static void ask(void)
{
    for (;;) {
        char answer = 'q'; /* also where the input has ended */
        bool more = false;

        printf("    -- Enter: go on, s: a shell here, q: end -- ");
        fflush(stdout);
        if (read(STDIN_FILENO, &answer, 1) == 1 && answer != '\n')
            for (char rest = ' '; rest != '\n' && read(STDIN_FILENO, &rest, 1) == 1;)
                more |= rest != '\n';
        if (!isatty(STDIN_FILENO))
            putchar('\n');
        if (answer == '\n')
            return;
        if (answer == 'q' && !more)
            break;
        if (answer == 's' && !more)
            open_shell(false);
    }
    frame.step = false;
    exit(lab_summary(false) ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* A step has ended, and the next one has its title: a class can predict what it shows. What the
 * last one made is alive until the pause is over. */
static void between_steps(void)
{
    if (frame.step)
        ask();
    lab_end_sandboxes();
    lab_free_answers();
}

void lab_open(const char *number, const char *title, int steps, int argc, char *argv[])
{
    lab_begin_as_usual();
    read_options(argc, argv);
    lab_output_seconds = 60;
    umask(022);
    leave_locale();
    lab_begin_experiment(number);
    lab_narrate(number, title, steps, between_steps);
    if (lab_is_rootless())
        lab_say("%s", lab_rootless_way());
}

void lab_shell_is(const char *line)
{
    frame.shell_line = line;
}

int lab_close(void)
{
    int failed = lab_summary(true);

    if (frame.shell)
        open_shell(frame.shell_line != NULL);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
