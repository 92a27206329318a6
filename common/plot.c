#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "narrate.h"
#include "process.h"
#include "run.h"

/* Absolute, because an experiment has a working directory of its own. */
static char picture[PATH_MAX];

static void take_file(const char *file)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    int length = slash ? (int)(slash - file) + 1 : 0;

    snprintf(picture, sizeof(picture), "%.*s", length, length ? file : "");
    if (!realpath(length ? picture : ".", directory) || access(directory, W_OK) == -1 || !*name)
        lab_exit(LAB_EXIT_USAGE, "--plot '%s': %s", file,
                 *name ? lab_strerror(errno) : "no name of a file");
    if (!lab_find_command("gnuplot", NULL, 0))
        lab_cannot_run("--plot needs gnuplot, which is not installed",
                       "install the package gnuplot-nox, or leave the option out");
    if (snprintf(picture, sizeof(picture), "%s/%s", directory, name) >= (int)sizeof(picture))
        lab_exit(LAB_EXIT_USAGE, "--plot '%s': the path is too long", file);
    lab_fd present = open(picture, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (present == -1 && errno != ENOENT)
        lab_exit(LAB_EXIT_USAGE, "--plot '%s': %s", file, lab_strerror(errno));
}

void lab_plot_option(int *argc, char *argv[])
{
    for (int i = 1; i < *argc; i++) {
        if (lab_is_experiment_option(argv[i]))
            continue;
        bool joined = strncmp(argv[i], "--plot=", 7) == 0;
        if (!joined && strcmp(argv[i], "--plot") != 0) {
            if (!*picture)
                return;
            lab_warn("--plot draws the experiment, and '%s' asks for the tool", argv[i]);
            lab_try_help(LAB_EXIT_USAGE);
        }
        if (!joined && i + 1 == *argc) {
            lab_warn("option '--plot' requires an argument");
            lab_try_help(LAB_EXIT_USAGE);
        }
        take_file(joined ? argv[i] + 7 : argv[i + 1]);
        int words = joined ? 1 : 2;
        memmove(argv + i, argv + i + words, (size_t)(*argc - i - words + 1) * sizeof(*argv));
        *argc -= words;
        i--;
    }
}

void lab_plot(void (*write)(FILE *script))
{
    if (!*picture)
        return;
    lab_fd input = memfd_create("script", MFD_CLOEXEC);
    FILE *script = input == -1 ? NULL : fdopen(dup(input), "w");
    if (!script)
        lab_die("make a script for gnuplot");
    fputs("set terminal svg size 720,360 font 'sans-serif,13' background '#ffffff'\n"
          "set border 3\nset tics nomirror out\nset grid y linecolor '#dddddd'\n",
          script);
    write(script);
    if (fclose(script) == EOF || lseek(input, 0, SEEK_SET) == -1)
        lab_die("write a script for gnuplot");
    lab_fd output = open(picture, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (output == -1)
        lab_die("open %s", picture);
    pid_t child = lab_fork();
    if (child == 0 && dup2(input, STDIN_FILENO) != -1 && dup2(output, STDOUT_FILENO) != -1)
        lab_exec((char *[]){"gnuplot", NULL});
    int status = child > 0 ? lab_wait(child) : -1;
    if (status != 0)
        lab_exit(EXIT_FAILURE, "gnuplot ended with status %d, see its words above", status);
    printf("\nThe picture is in %s\n", picture);
}
