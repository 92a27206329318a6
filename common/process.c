#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "number.h"

/* Where commands are looked up: PATH, or the usual directories where there is none. environ(7) */
static const char *search_path(void)
{
    const char *directories = getenv("PATH");

    return directories ? directories
                       : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

void lab_begin_as_usual(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd != -1 && fd <= STDERR_FILENO);
    if (fd == -1)
        lab_die("open /dev/null");
    close(fd);
    signal(SIGCHLD, SIG_DFL);
    if (setenv("PATH", search_path(), 0) == -1)
        lab_die("setenv PATH");
}

/* In a new child: be killed when the parent dies. */
static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) {
        lab_warn("prctl PR_SET_PDEATHSIG: %s", lab_strerror(errno));
        _exit(EXIT_FAILURE);
    }
    /* The parent may have died before prctl; then nobody would kill us any more. In a new PID
     * namespace the parent is not visible and getppid() is 0. */
    pid_t now = getppid();
    if (now != parent && now != 0)
        _exit(EXIT_FAILURE);
}

pid_t lab_fork(void)
{
    pid_t parent = getpid();

    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        die_with(parent);
    return child;
}

pid_t lab_clone(unsigned long long flags, pid_t number)
{
    pid_t parent = getpid();
    struct clone_args how = {
        .flags = flags,
        .exit_signal = SIGCHLD,
        .set_tid = number ? (uintptr_t)&number : 0,
        .set_tid_size = number ? 1 : 0,
    };

    fflush(stdout);
    pid_t child = (pid_t)syscall(SYS_clone3, &how, sizeof(how));
    if (child == 0)
        die_with(parent);
    return child;
}

int lab_wait(pid_t pid)
{
    int wait_status;

    while (waitpid(pid, &wait_status, 0) == -1)
        if (errno != EINTR)
            return -1;
    return lab_shell_status(wait_status);
}

int lab_ending_signals(sigset_t *before)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        sigaddset(&set, ending[i]);
    return sigprocmask(SIG_BLOCK, &set, before) == -1 ? -1 : signalfd(-1, &set, SFD_CLOEXEC);
}

int lab_wait_passing_on(int pidfd, int signals, pid_t command)
{
    struct pollfd wait_for[] = {{.fd = pidfd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo signal;

    for (;;) {
        if (poll(wait_for, 2, -1) == -1 && errno != EINTR)
            return -1;
        if (wait_for[0].revents)
            return 0;
        if (!wait_for[1].revents)
            continue;
        if (read(signals, &signal, sizeof(signal)) != sizeof(signal))
            return -1;
        if (command == 0)
            return 0;
        if (signal.ssi_code != SI_KERNEL)
            kill(command, (int)signal.ssi_signo);
    }
}

int lab_shell_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

const char *lab_signal_name(int signal)
{
    static char text[32];
    const char *name = sigabbrev_np(signal);

    if (name)
        snprintf(text, sizeof(text), "SIG%s", name);
    else
        snprintf(text, sizeof(text), "signal %d", signal);
    return text;
}

static const struct {
    const char *name;
    int number;
} OTHER_NAMES[] = {{"CLD", SIGCHLD}, {"IO", SIGIO}, {"IOT", SIGIOT}};

/* The signal so far from BASE as DISTANCE says, SIGN and a number: "+1". -1 where there is none. (A
 * bare RTMIN is none for unshare(1) either.) signal(7) */
static int realtime_signal(int base, const char *distance, char sign)
{
    long long number = 0;

    if (*distance != sign || !lab_parse_number(distance + 1, 0, SIGRTMAX - SIGRTMIN, &number))
        return -1;
    return sign == '+' ? base + (int)number : base - (int)number;
}

int lab_signal_number(const char *name)
{
    if (*name >= '0' && *name <= '9') {
        char *end;
        long number = strtol(name, &end, 10);
        return *end == '\0' && number > 0 && number < NSIG ? (int)number : -1;
    }
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (size_t i = 0; i < sizeof(OTHER_NAMES) / sizeof(OTHER_NAMES[0]); i++)
        if (strcasecmp(name, OTHER_NAMES[i].name) == 0)
            return OTHER_NAMES[i].number;
    if (strncasecmp(name, "RTMIN", 5) == 0)
        return realtime_signal(SIGRTMIN, name + 5, '+');
    if (strncasecmp(name, "RTMAX", 5) == 0)
        return realtime_signal(SIGRTMAX, name + 5, '-');
    for (int signal = 1; signal < NSIG; signal++) {
        const char *abbreviation = sigabbrev_np(signal);
        if (abbreviation && strcasecmp(name, abbreviation) == 0)
            return signal;
    }
    return -1;
}

int lab_output_seconds = 10;

int lab_slowness(void)
{
    const char *text = getenv("LAB_SLOW");
    long long factor;

    return text && lab_parse_number(text, 1, 100, &factor) ? (int)factor : 1;
}

void lab_output_free(struct lab_output *output)
{
    free(output->text);
    output->text = NULL;
}

long long lab_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

void lab_sleep_until(long long moment)
{
    struct timespec until = {.tv_sec = moment / 1000000, .tv_nsec = moment % 1000000 * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* Read what is there now. Returns 1, 0 at end of file, or -1 with errno. */
static int read_some(struct lab_output *output, int from)
{
    char buffer[4096];
    ssize_t count;

    while ((count = read(from, buffer, sizeof(buffer))) > 0) {
        size_t room = LAB_OUTPUT_LIMIT - output->length;
        size_t kept = (size_t)count < room ? (size_t)count : room;
        memcpy(output->text + output->length, buffer, kept);
        output->length += kept;
        output->truncated |= kept < (size_t)count;
    }
    return count == 0 ? 0 : errno == EAGAIN || errno == EINTR ? 1 : -1;
}

/* Read until CHILD has ended. Waiting for the end of file alone would hang when a grandchild goes
 * on with our pipe in its hands. Returns 0, or -1 with errno. */
static int listen_until_end(struct lab_output *output, int from, int pidfd)
{
    long long deadline = lab_now() + 1000000LL * lab_output_seconds * lab_slowness();
    struct pollfd wanted[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = from, .events = POLLIN}};
    int more = 1;

    while (!(wanted[0].revents & POLLIN)) {
        long long left = (deadline - lab_now()) / 1000;
        if (left <= 0) {
            output->timed_out = true;
            return 0;
        }
        if (poll(wanted, 2, (int)left) == -1) {
            if (errno != EINTR)
                return -1;
            continue;
        }
        if (wanted[1].revents && (more = read_some(output, from)) == -1)
            return -1;
        if (more == 0)
            wanted[1].fd = -1;
    }
    return more == 1 && read_some(output, from) == -1 ? -1 : 0;
}

__attribute__((noreturn)) static void speak(int to, int (*body)(void *), void *argument)
{
    int nothing[2]; /* the end of a file is all that can be read: /dev/null may not be there */

    /* A group of its own, so that a command which hangs is killed with its children. */
    if (pipe2(nothing, O_CLOEXEC) == -1 || close(nothing[1]) == -1 ||
        dup2(nothing[0], STDIN_FILENO) == -1 || dup2(to, STDOUT_FILENO) == -1 ||
        dup2(to, STDERR_FILENO) == -1 || setpgid(0, 0) == -1) {
        lab_warn("prepare a child: %s", lab_strerror(errno));
        _exit(LAB_EXIT_CANNOT_INVOKE);
    }
    clearerr(stdout); /* the parent tells its own */
    int status = body(argument);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        lab_warn("what a child prints is lost: %s", lab_strerror(errno));
        _exit(LAB_EXIT_CANNOT_INVOKE);
    }
    exit(status);
}

int lab_listen(struct lab_output *output, int (*body)(void *argument), void *argument)
{
    int ends[2];

    *output = (struct lab_output){.text = calloc(1, LAB_OUTPUT_LIMIT + 1)};
    if (!output->text || pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    lab_fd from = ends[0], to = ends[1];
    if (fcntl(from, F_SETFL, O_NONBLOCK) == -1)
        return -1;
    pid_t child = lab_fork();
    if (child == -1)
        return -1;
    if (child == 0)
        speak(to, body, argument);
    lab_close_fd(&to);
    lab_fd pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    int result = pidfd == -1 ? -1 : listen_until_end(output, from, pidfd), error = errno;
    if (result == -1 || output->timed_out) {
        kill(child, SIGKILL);
        kill(-child, SIGKILL);
    }
    output->status = lab_wait(child);
    if (result == -1)
        errno = error;
    return result == -1 || output->status == -1 ? -1 : 0;
}

static int exec_command(void *argument)
{
    lab_exec(argument);
}

int lab_listen_command(struct lab_output *output, const char *const argv[])
{
    /* exec does not write to its arguments; its prototype is older than const. */
    return lab_listen(output, exec_command, (void *)argv);
}

struct question {
    const char *const *argv;
    int errors;
};

static int exec_question(void *argument)
{
    const struct question *question = argument;

    /* The status is not one of the program's own answers. */
    if (dup2(question->errors, STDERR_FILENO) == -1 || setenv("LC_ALL", "C", 1) == -1)
        lab_exit(LAB_EXIT_CANNOT_INVOKE, "prepare %s: %s", question->argv[0], lab_strerror(errno));
    lab_exec((char *const *)question->argv);
}

int lab_ask_command(struct lab_output *output, const char *const argv[])
{
    lab_fd errors = memfd_create("stderr", MFD_CLOEXEC);
    struct question question = {.argv = argv, .errors = errors};

    if (errors == -1 || lab_listen(output, exec_question, &question) == -1)
        return -1;
    if (output->status == 0)
        return 0;
    ssize_t count =
        pread(errors, output->text + output->length, LAB_OUTPUT_LIMIT - output->length, 0);
    if (count == -1)
        return -1;
    output->length += (size_t)count;
    return 0;
}

/* False with errno. */
static bool is_executable(const char *path)
{
    struct stat status;

    if (stat(path, &status) == -1)
        return false;
    errno = EACCES;
    return S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

bool lab_find_command(const char *command, char *path, size_t size)
{
    char candidate[PATH_MAX];
    const char *directories = search_path();
    int error = ENOENT; /* of a file that is there, if there is one, as execvp(3) has it */

    if (strchr(command, '/'))
        directories = "";
    for (const char *next = *command ? directories : NULL, *colon; next;
         next = colon ? colon + 1 : NULL) {
        int length = (int)strcspn(next, ":");
        colon = strchr(next, ':');
        int needed = snprintf(candidate, sizeof(candidate), "%.*s%s%s", length, next,
                              length ? "/" : "", command);
        if (needed >= (int)sizeof(candidate))
            continue;
        if (!is_executable(candidate)) {
            error = errno == ENOENT || errno == ENOTDIR ? error : errno;
            continue;
        }
        if (path && snprintf(path, size, "%s", candidate) >= (int)size) {
            errno = ENAMETOOLONG;
            return false;
        }
        return true;
    }
    errno = error;
    return false;
}

bool lab_find_beside(const char *command, char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);

    if (length == -1)
        return false;
    path[length] = '\0';
    char *name = strrchr(path, '/') + 1;
    if (snprintf(name, size - (size_t)(name - path), "%s", command) >= (int)(path + size - name)) {
        errno = ENAMETOOLONG;
        return false;
    }
    return is_executable(path);
}

const char *lab_outside_path(const char *command)
{
    static const char *const directories[] = {"/usr/sbin", "/sbin"};

    for (int i = 0; i < 2; i++) {
        lab_fd directory = open(directories[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory != -1 && faccessat(directory, command, X_OK, 0) == 0)
            return directories[i];
    }
    return NULL;
}
