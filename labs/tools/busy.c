/*
 * busy - keep CPUs busy: the load of the article.
 *
 *     ./labs/busy -j 20        20 threads, until Ctrl-C or SIGTERM
 *     ./labs/busy -j 4 -t 10   4 threads for 10 seconds
 *
 * A thread that never waits for anything wants a whole CPU. That is all labs 05 and 06 need to show
 * who gets how much of what is there.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "error.h"
#include "number.h"

enum { MAXIMUM_THREADS = 10000 };

static const char HELP[] =
    "Usage: busy [-j THREADS] [-t SECONDS]\n"
    "Keep THREADS threads busy (default: one for each CPU that may be used).\n"
    "\n"
    "  -j, --threads=THREADS  1 to 10000\n"
    "  -t, --time=SECONDS     end after SECONDS (default: at SIGTERM)\n"
    "  --help, --version      print this, or the version, and exit\n";

/* A compiler may remove a loop without effect, but not one whose condition is a constant. */
static void *spin(void *unused)
{
    for (;;)
        ;
    return unused;
}

static void start_threads(long long count)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN); /* memory is not what it shows */
    for (long long i = 0; i < count; i++) {
        errno = pthread_create(&thread, &attributes, spin, NULL);
        if (errno)
            lab_die_remedy("a limit is reached: pids.max of the cgroup, or ulimit -u",
                           "start thread %lld of %lld", i + 1, count);
    }
    pthread_attr_destroy(&attributes);
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"threads", required_argument, NULL, 'j'},
        {"time", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    long long threads = lab_cpu_count(), seconds = 0;
    int option;

    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "j:t:", options, NULL)) != -1) {
        if (option == 'j')
            threads = lab_number_option("--threads", optarg, 1, MAXIMUM_THREADS);
        else if (option == 't')
            seconds = lab_number_option("--time", optarg, 1, INT_MAX);
        else
            lab_common_option(option, HELP, LAB_EXIT_USAGE);
    }
    if (optind < argc)
        lab_exit(LAB_EXIT_USAGE, "unexpected operand '%s'", argv[optind]);
    start_threads(threads);
    if (seconds == 0)
        for (;;)
            pause();
    while (seconds > 0)
        seconds = sleep((unsigned)seconds);
    return 0; /* takes the threads along */
}
