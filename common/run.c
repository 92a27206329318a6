#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "narrate.h"
#include "process.h"

/* Below /run, which only root can write to: nobody can have put a link there. */
#define RUNS "/run/container-labs"

static struct {
    bool step, shell;
    void (*enter)(void);
    char directory[64]; /* RUNS/NN-PID */
    int lock;           /* held by the supervisor alone */
    sigset_t ends_run;  /* the signals that a supervisor waits for */
    sigset_t signals_before;
} run = {.lock = -1};

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
        run.step |= strcmp(argv[i], "--step") == 0;
        run.shell |= strcmp(argv[i], "--shell") == 0;
    }
}

static void need_root(const char *program)
{
    char remedy[256];

    if (geteuid() == 0)
        return;
    snprintf(remedy, sizeof(remedy), "type: sudo %s", program);
    lab_cannot_run("the experiment needs root", remedy);
}

/*
 * The directory of all runs. It is there only while runs are: made by the first, removed by the
 * last. Its own lock is held while names in it come and go.
 */

/* Open and lock RUNS. It may be removed between the two by a run that ends; then it is made anew.
 * Returns the descriptor, or -1 with errno. */
static int lock_runs(void)
{
    for (;;) {
        struct stat opened, present;
        if (mkdir(RUNS, 0755) == -1 && errno != EEXIST)
            return -1;
        lab_fd fd = open(RUNS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd == -1 && errno != ENOENT)
            return -1;
        if (fd == -1 || flock(fd, LOCK_EX) == -1 || fstat(fd, &opened) == -1 ||
            stat(RUNS, &present) == -1 || opened.st_ino != present.st_ino)
            continue;
        return lab_take_fd(&fd);
    }
}

/* Remove the names of runs that live no more: those whose lock can be had. */
static void sweep(int runs)
{
    lab_fd listed = openat(runs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = listed == -1 ? NULL : fdopendir(listed);
    const struct dirent *entry;

    if (!directory)
        return;
    lab_take_fd(&listed); /* closedir() closes it */
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        lab_fd fd = openat(runs, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(runs, entry->d_name, AT_REMOVEDIR);
    }
    closedir(directory);
}

static void claim_directory(const char *number)
{
    lab_fd runs = lock_runs();

    if (runs == -1)
        lab_die("make and lock %s", RUNS);
    sweep(runs);
    snprintf(run.directory, sizeof(run.directory), RUNS "/%s-%d", number, (int)getpid());
    if (mkdir(run.directory, 0755) == -1)
        lab_die("mkdir %s", run.directory);
    run.lock = open(run.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run.lock == -1 || flock(run.lock, LOCK_EX) == -1)
        lab_die("lock %s", run.directory);
}

static void release_directory(void)
{
    lab_fd runs = lock_runs();

    if (runs == -1 || rmdir(run.directory) == -1)
        lab_warn("rmdir %s: %s", run.directory, lab_strerror(errno));
    rmdir(RUNS); /* fails where another run has its directory in it, as it should */
}

/*
 * The supervisor.
 */

/* Kill every descendant. What a dead child leaves behind becomes ours (PR_SET_CHILD_SUBREAPER), so
 * after some rounds nobody is left. */
static void kill_descendants(void)
{
    while (waitpid(-1, NULL, WNOHANG) != -1) {
        DIR *processes = opendir("/proc");
        const struct dirent *entry;
        while (processes && (entry = readdir(processes)) != NULL) {
            char path[300], line[512];
            int pid = atoi(entry->d_name), parent = 0;
            snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
            if (pid <= 0 || lab_read_file(path, line, sizeof(line)) == -1)
                continue;
            /* The name, in parentheses, may hold anything; the parent is the 2nd word after it. */
            const char *after_name = strrchr(line, ')');
            if (after_name && sscanf(after_name + 1, " %*c %d", &parent) == 1 && parent == getpid())
                kill(pid, SIGKILL);
        }
        if (processes)
            closedir(processes);
        waitpid(-1, NULL, 0);
    }
}

/* Wait until the experiment has ended, or kill it when a signal asks this run to end.
 * Returns its status of wait(2), and that signal or 0 in *ASKED. */
static int wait_for_experiment(pid_t experiment, int *asked)
{
    int wait_status;

    *asked = 0;
    for (;;) {
        int signal = sigwaitinfo(&run.ends_run, NULL);
        if (signal > 0 && signal != SIGCHLD) {
            *asked = signal;
            kill(experiment, SIGKILL);
        }
        if (waitpid(experiment, &wait_status, WNOHANG) == experiment)
            return wait_status;
    }
}

/* An interactive shell makes its own process group the terminal's foreground and does not give it
 * back when it is killed. From the background that is allowed only with SIGTTOU ignored. */
static void take_terminal(void)
{
    if (!isatty(STDIN_FILENO))
        return;
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpgrp());
    signal(SIGTTOU, SIG_DFL);
}

/* Pass on how the experiment ended: by its exit status, or by dying of the same signal. */
__attribute__((noreturn)) static void end_like(int wait_status, int asked)
{
    if (asked) {
        signal(asked, SIG_DFL);
        sigprocmask(SIG_SETMASK, &run.signals_before, NULL);
        raise(asked);
    }
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGPIPE)
        lab_warn("the experiment was ended by %s; nothing of it is left",
                 lab_signal_name(WTERMSIG(wait_status)));
    exit(lab_shell_status(wait_status));
}

/* What is to end the run is waited for instead of being handled. A signal that is ignored, such as
 * nohup(1)'s, goes on being ignored. */
static void block_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction present;

    sigemptyset(&run.ends_run);
    sigaddset(&run.ends_run, SIGCHLD);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        if (sigaction(ending[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(&run.ends_run, ending[i]);
    sigprocmask(SIG_BLOCK, &run.ends_run, &run.signals_before);
}

/* Fork. The child returns and is the experiment; the parent never does. */
static void supervise(void)
{
    struct termios settings;
    bool terminal = tcgetattr(STDIN_FILENO, &settings) == 0;
    int asked;

    signal(SIGCHLD, SIG_DFL); /* ignored, it would keep the statuses from us */
    block_signals();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
        lab_die("prctl PR_SET_CHILD_SUBREAPER");
    pid_t experiment = lab_fork();
    if (experiment == -1)
        lab_die("fork");
    if (experiment == 0) {
        close(run.lock); /* the lock is to go with the supervisor */
        sigprocmask(SIG_SETMASK, &run.signals_before, NULL);
        return;
    }
    int wait_status = wait_for_experiment(experiment, &asked);
    kill_descendants();
    take_terminal();
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
    release_directory();
    end_like(wait_status, asked);
}

static void own_namespaces(void)
{
    /* A file system that is shared, as systemd makes it, would hand our mounts to everybody. */
    if (unshare(CLONE_NEWNS) == -1)
        lab_cannot_run("unshare CLONE_NEWNS is refused, as in a container without CAP_SYS_ADMIN",
                       "run it on the machine itself or in a virtual machine");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_die("make / MS_PRIVATE");
    if (mount("tmpfs", run.directory, "tmpfs", 0, "mode=0755") == -1)
        lab_die("mount tmpfs on %s", run.directory);
    if (chdir(run.directory) == -1)
        lab_die("chdir %s", run.directory);
}

/*
 * Steps and shells.
 */

static void open_shell(void (*enter)(void))
{
    const char *shell = getenv("SHELL");
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (enter)
            enter();
        if (!shell || access(shell, X_OK) == -1)
            shell = "/bin/sh";
        lab_exec((char *const[]){(char *)shell, "-i", NULL});
    }
    lab_say("(exit leaves the shell)");
    lab_wait(child);
    take_terminal();
}

/* --step: wait for a word from the reader. The input is read byte by byte, because what follows the
 * line may be meant for the shell. */
static void ask(void)
{
    for (;;) {
        char answer = 'q';

        printf("    -- Enter: go on, s: a shell here, q: end -- ");
        fflush(stdout);
        if (read(STDIN_FILENO, &answer, 1) == 1 && answer != '\n')
            for (char rest = ' '; rest != '\n' && read(STDIN_FILENO, &rest, 1) == 1;)
                continue;
        if (!isatty(STDIN_FILENO))
            putchar('\n');
        if (answer == 'q')
            break;
        if (answer != 's')
            return;
        open_shell(NULL);
    }
    lab_after_each_step(NULL);
    exit(lab_summary(false) ? EXIT_FAILURE : EXIT_SUCCESS);
}

void lab_shell_enters(void (*enter)(void))
{
    run.enter = enter;
}

void lab_open(const char *number, const char *title, int steps, int argc, char *argv[])
{
    read_options(argc, argv);
    need_root(argv[0]);
    umask(022);
    claim_directory(number);
    supervise();
    own_namespaces();
    lab_narrate(number, title, steps);
    if (run.step)
        lab_after_each_step(ask);
}

int lab_close(void)
{
    int failed = lab_summary(true);

    if (run.shell)
        open_shell(run.enter);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

__attribute__((noreturn)) static void finish_printing(void)
{
    if (fflush(stdout) == EOF)
        lab_die("write to stdout");
    exit(EXIT_SUCCESS);
}

void lab_print_help(const char *text)
{
    fputs(text, stdout);
    finish_printing();
}

void lab_print_version(void)
{
    printf("%s (%s)\n", program_invocation_short_name, LAB_VERSION);
    finish_printing();
}
