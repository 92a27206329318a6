#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

/* Where FD is closed, open it with FLAGS. By O_PATH, reading and writing fail as before. */
static void hold(int fd, int flags)
{
    if (fcntl(fd, F_GETFD) == -1 && (errno != EBADF || open("/dev/null", flags) == -1))
        lab_die("hold file descriptor %d", fd);
}

void lab_hold_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        hold(fd, O_PATH | O_CLOEXEC);
}

void lab_begin_as_usual(void)
{
    hold(STDIN_FILENO, O_RDONLY);
    hold(STDOUT_FILENO, O_PATH);
    hold(STDERR_FILENO, O_PATH);
    signal(SIGCHLD, SIG_DFL);
    if (setenv("PATH", search_path(), 0) == -1)
        lab_die("setenv PATH");
}

/* In a new child: be killed when the parent dies. */
static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) {
        lab_warn_errno("prctl PR_SET_PDEATHSIG");
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

void lab_did_not_start(const char *what, int wait_status)
{
    if (WIFSIGNALED(wait_status))
        lab_exit(lab_exit_failure, "%s was ended by %s before it had started", what,
                 lab_signal_name(WTERMSIG(wait_status)));
    lab_exit(lab_exit_failure, "%s did not start; see above", what);
}

int lab_must_wait(pid_t pid)
{
    int status = lab_wait(pid);

    if (status == -1)
        lab_die("wait for process %d", (int)pid);
    return status;
}

/* Kill the child NAME, a directory of /proc, if it is ours. Returns 0, or -1 with errno. */
static int kill_child(int processes, const char *name, void *unused)
{
    char path[300], line[512];
    int pid = atoi(name), parent = 0;

    (void)processes, (void)unused;
    snprintf(path, sizeof(path), "/proc/%s/stat", name);
    if (pid <= 0)
        return 0;
    if (lab_read_file(path, line, sizeof(line)) == -1)
        return errno == ENOENT || errno == ESRCH ? 0 : -1;
    /* The name, in parentheses, may hold anything; the parent is the 2nd word after it. */
    const char *after_name = strrchr(line, ')');
    if (after_name && sscanf(after_name + 1, " %*c %d", &parent) == 1 && parent == getpid())
        return kill(pid, SIGKILL);
    return 0;
}

/* What a dead child leaves behind becomes ours, so after some rounds no process is left. A failed
 * look at /proc is repeated, but not for ever. */
void lab_kill_descendants(void)
{
    enum { ATTEMPTS = 10 };

    for (int failed = 0; waitpid(-1, NULL, WNOHANG) != -1;) {
        if (lab_each_name("/proc", kill_child, NULL) == 0)
            waitpid(-1, NULL, 0);
        else if (++failed == ATTEMPTS) {
            lab_warn_errno("processes of this run are left: look at /proc");
            return;
        }
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

int lab_slowness(void)
{
    const char *text = getenv("LAB_SLOW");
    long long factor;

    return text && lab_parse_number(text, 1, 100, &factor) ? (int)factor : 1;
}

long long lab_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
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

bool lab_has_command(const char *command)
{
    if (lab_find_command(command, NULL, 0))
        return true;
    if (errno != ENOENT && errno != EACCES)
        lab_die("find %s", command);
    if (errno == EACCES)
        lab_warn_errno("execute %s", command);
    return false;
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

const char *lab_process_status(pid_t pid)
{
    static char text[1 << 20];
    char path[64] = "/proc/self/status";

    if (pid != 0)
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    return lab_read_file(path, text, sizeof(text)) == -1 ? NULL : text;
}
