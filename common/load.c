#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"

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
    char path[64], text[8192];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    const char *line =
        lab_read_file(path, text, sizeof(text)) == -1 ? NULL : strstr(text, "Threads:");
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
    enum { STEP = 2000, LIMIT = 2000000 }; /* microseconds */
    char path[PATH_MAX];
    pid_t ended = 0;

    const bool found = lab_find_beside("busy", path, sizeof(path));
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
    while (!runs(pid, threads) && (ended = waitpid(pid, NULL, WNOHANG)) == 0 && lab_now() < end)
        usleep(STEP);
    if (ended == pid)
        lab_exit(lab_exit_failure, "the load, busy -j %d, did not start; see above", threads);
    return pid;
}
