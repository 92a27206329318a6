#include "process.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "error.h"
#include "page.h"

/* The path of this program: read as it begins, because in another mount namespace /proc/self/exe is
 * a path below the mount that has the file. */
static char own_path[PATH_MAX];
static int own_path_error;

__attribute__((constructor)) static void read_own_path(void)
{
    own_path_error = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) == -1 ? errno : 0;
}

/* The path of COMMAND in the directory of this program, as those of the labs are. Returns whether
 * it is there and can be executed; errno if not. */
static bool find_beside(const char *command, char path[PATH_MAX])
{
    const int length = own_path_error ? 0 : (int)(strrchr(own_path, '/') - own_path);

    errno = own_path_error ? own_path_error : ENAMETOOLONG;
    return !own_path_error &&
           snprintf(path, PATH_MAX, "%.*s/%s", length, own_path, command) < PATH_MAX &&
           lab_find_command(path, NULL, 0);
}

/* End unless COMMAND is in PATH. With PACKAGE "" it is a program of the labs, and the directory of
 * this one is added to PATH for it. */
static void need(const char *command, const char *package)
{
    char missing[128], remedy[128], beside[PATH_MAX];

    const int error = lab_find_command(command, NULL, 0) ? 0 : errno;
    if (error == 0)
        return;
    if (error != ENOENT && error != EACCES) {
        errno = error;
        lab_die("find %s", command);
    }
    if (!*package && find_beside(command, beside)) {
        *strrchr(beside, '/') = '\0';
        if (strpbrk(beside, ":$"))
            lab_cannot_run("PATH cannot have a directory with : or $ in its name, as the one of "
                           "this program has",
                           "move the labs to another one");
        lab_set("PATH", "$PATH:%s", beside);
        return;
    }
    if (!*package && errno != ENOENT)
        lab_die("find %s beside this program", command);
    const char *outside = strchr(command, '/') ? NULL : lab_outside_path(command);
    if (outside) {
        snprintf(missing, sizeof(missing), "%s/%s is there, and PATH has no %s", outside, command,
                 outside);
        lab_cannot_run(missing, "use sudo, or su with a minus sign: then PATH has it");
    }
    if (error == ENOENT)
        snprintf(missing, sizeof(missing), "no %s is installed", command);
    else
        snprintf(missing, sizeof(missing), "find %s: %s", command, lab_strerror(error));
    snprintf(remedy, sizeof(remedy), *package ? "install the package %s" : "type: make %s",
             *package ? package : command);
    lab_cannot_run(missing, remedy);
}

void lab_need_commands(const char *format, ...)
{
    char words[PATH_MAX + 512], *rest;
    LAB_FORMAT(text, format);

    snprintf(words, sizeof(words), "%s", text);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *colon = strrchr(word, ':');
        if (colon)
            *colon = '\0';
        need(word, colon ? colon + 1 : word);
    }
}

/*
 * The load.
 */

__attribute__((noreturn)) static void become_busy(char *path, int threads,
                                                  const struct lab_cgroup *group,
                                                  const cpu_set_t *cpus)
{
    char count[16];
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (nothing == -1 || dup2(nothing, STDIN_FILENO) == -1)
        lab_die("read from /dev/null");
    /* A load that is preferred to all others would stop the machine, and what measures it. */
    if (sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}) == -1)
        lab_die("sched_setscheduler SCHED_OTHER");
    if (group && lab_cgroup_enter(group, 0) == -1)
        lab_cgroup_die();
    if (cpus && sched_setaffinity(0, sizeof(*cpus), cpus) == -1)
        lab_die("sched_setaffinity");
    snprintf(count, sizeof(count), "%d", threads);
    lab_exec((char *[]){path, "-j", count, NULL});
}

static int threads_of(pid_t pid)
{
    const char *status = lab_process_status(pid);
    const char *line = status ? strstr(status, "Threads:") : NULL;

    return line ? atoi(line + strlen("Threads:")) : 0;
}

/* Whether all threads of busy, and the one that waits for them, are there and have got a CPU. */
static bool runs(pid_t pid, int threads)
{
    enum { ENOUGH = 5000 }; /* microseconds */
    struct lab_cpu_sample used;

    return threads_of(pid) > threads && lab_cpu_sample(NULL, pid, &used) == 0 &&
           used.usage >= ENOUGH;
}

pid_t lab_start_load(int threads, const struct lab_cgroup *group, const cpu_set_t *cpus)
{
    enum { STEP = 2000, LIMIT = 20000000 }; /* microseconds */
    char path[PATH_MAX];
    pid_t ended = 0;
    int status;

    const bool found = find_beside("busy", path);
    if (!found && errno != ENOENT)
        lab_die("find the program busy beside this one");
    if (!found)
        lab_cannot_run("the program busy is not beside this one", "type: make busy");
    pid_t pid = lab_fork();
    if (pid == -1)
        lab_die("fork");
    if (pid == 0)
        become_busy(path, threads, group, cpus);
    /* On a very busy machine it has to wait for its turn. */
    long long end = lab_now() + 1LL * LIMIT * lab_slowness();
    while (!runs(pid, threads) &&
           (ended = TEMP_FAILURE_RETRY(waitpid(pid, &status, WNOHANG))) == 0 && lab_now() < end)
        usleep(STEP);
    if (ended == -1)
        lab_die("wait for the load, busy -j %d", threads);
    if (ended == pid) {
        snprintf(path, sizeof(path), "the load, busy -j %d,", threads);
        lab_did_not_start(path, status);
    }
    return pid;
}
