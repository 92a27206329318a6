#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpumeter.h"
#include "error.h"
#include "process.h"

/* The path of busy, beside the running program, in PATH (PATH_MAX bytes). */
static void find_busy(char *path)
{
    static const char NAME[] = "busy";
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(NAME));

    if (length == -1)
        lab_die("readlink /proc/self/exe");
    path[length] = '\0';
    memcpy(strrchr(path, '/') + 1, NAME, sizeof(NAME));
    if (access(path, X_OK) == -1)
        lab_cannot_run("the program busy is not beside this one", "type: make busy");
}

__attribute__((noreturn)) static void become_busy(char *path, int threads,
                                                  const struct lab_cgroup *group,
                                                  const cpu_set_t *cpus)
{
    char count[16];
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (nothing != -1)
        dup2(nothing, STDIN_FILENO);
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

pid_t lab_start_busy(int threads, const struct lab_cgroup *group, const cpu_set_t *cpus)
{
    enum { ENOUGH = 5000, STEP = 2000, LIMIT = 2000000 }; /* microseconds */
    char path[PATH_MAX];
    struct lab_cpu_sample used;

    find_busy(path);
    pid_t pid = lab_fork();
    if (pid == -1)
        lab_die("fork");
    if (pid == 0)
        become_busy(path, threads, group, cpus);
    long long end = lab_now() + LIMIT; /* on a very busy machine it has to wait for its turn */
    while (lab_now() < end && lab_cpu_sample_process(pid, &used) == 0 && used.usage < ENOUGH)
        lab_sleep_until(lab_now() + STEP);
    if (waitpid(pid, NULL, WNOHANG) == pid)
        lab_exit(lab_exit_failure, "the load, busy -j %d, did not start; see above", threads);
    return pid;
}

void lab_stop_busy(pid_t pid)
{
    kill(pid, SIGTERM);
    if (lab_wait(pid) == -1)
        lab_die("wait for busy (%d)", (int)pid);
}
