#include "narrate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

static struct {
    const char *number;
    int steps, step;
    int held, failed;
    bool colour;
    void (*before_step)(void);
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

void lab_narrate(const char *number, const char *title, int steps, void (*before_step)(void))
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    narration.number = number;
    narration.steps = steps;
    narration.before_step = before_step;
    narration.colour = terminal_has_colour();
    printf("%s[%s] %s%s\n", colour(BOLD), number, title, colour(NULL));
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
    if (narration.before_step)
        narration.before_step();
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

bool lab_check_errno(int seen, int expected, const char *claim, ...)
{
    char detail[256];
    va_list arguments;

    int length = snprintf(detail, sizeof(detail), ": expected %s, saw ",
                          expected ? lab_strerror(expected) : "success");
    snprintf(detail + length, sizeof(detail) - (size_t)length, "%s",
             seen ? lab_strerror(seen) : "success");
    va_start(arguments, claim);
    count(seen == expected, detail, claim, arguments);
    va_end(arguments);
    return seen == expected;
}

int lab_summary(bool whole)
{
    if (narration.before_step)
        narration.before_step();
    putchar('\n');
    if (whole && narration.step != narration.steps)
        lab_check(false, "the experiment has %d steps, %d were played", narration.steps,
                  narration.step);
    const char *ended = whole ? "" : ", ended early";
    errno = 0;
    printf("%s[%s] %d checks held, %d failed%s%s\n", colour(narration.failed ? RED : GREEN),
           narration.number, narration.held, narration.failed, ended, colour(NULL));
    /* Whoever asked for a file with all this must not take a part of it for the whole. */
    if (fflush(stdout) == EOF || ferror(stdout)) {
        errno = errno ? errno : EIO;
        lab_die("write to stdout");
    }
    return narration.failed;
}
