/*
 * start ROUNDS -- NAME COMMAND [ARG]... -- NAME COMMAND [ARG]... - how long commands take, side by
 * side.
 *
 * In each of ROUNDS every command is run once, in turn, so that what else happens on the machine
 * happens to all of them. A file that is open as descriptor 3 is at its beginning for each. Printed
 * are the median, the quickest and the 90th percentile from start to exit in milliseconds, and the
 * median as a multiple of the first command's. Status 1 if one of them fails.
 */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAXIMUM_COMMANDS = 16, MAXIMUM_ROUNDS = 10000 };

static struct {
    const char *name;
    char **words;
    int64_t *took; /* nanoseconds, of each round */
} commands[MAXIMUM_COMMANDS];
static int count;

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Run command I once. */
static int64_t run(int i)
{
    int status;
    pid_t child;
    const int64_t began = now();

    lseek(3, 0, SEEK_SET);
    errno = posix_spawnp(&child, commands[i].words[0], NULL, NULL, commands[i].words, environ);
    if (errno != 0 || waitpid(child, &status, 0) == -1) {
        perror("start");
        exit(EXIT_FAILURE);
    }
    if (status != 0) {
        fprintf(stderr, "start: %s failed (status 0x%x)\n", commands[i].name, status);
        exit(EXIT_FAILURE);
    }
    return now() - began;
}

static int by_size(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

static void read_commands(int argc, char *argv[], int rounds)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        argv[i] = NULL;
        if (i + 2 >= argc || count == MAXIMUM_COMMANDS)
            exit(2);
        commands[count].name = argv[i + 1];
        commands[count].words = argv + i + 2;
        commands[count].took = calloc((size_t)rounds, sizeof(int64_t));
        if (!commands[count++].took)
            exit(EXIT_FAILURE);
    }
}

int main(int argc, char *argv[])
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 0, middle = rounds / 2, late = rounds * 9 / 10;

    if (rounds < 1 || rounds > MAXIMUM_ROUNDS)
        return 2;
    read_commands(argc, argv, rounds);
    for (int i = 0; i < count; i++)
        run(i); /* what is read from a disk is read before */
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            commands[i].took[round] = run(i);
    printf("%-42s %9s %9s %9s %9s\n", "start to exit of /bin/true, ms", "median", "quickest", "90%",
           "multiple");
    for (int i = 0; i < count; i++) {
        qsort(commands[i].took, (size_t)rounds, sizeof(int64_t), by_size);
        const int64_t *took = commands[i].took;
        const double median = (double)took[middle], first = (double)commands[0].took[middle];
        printf("%-42s %9.2f %9.2f %9.2f %9.2f\n", commands[i].name, median / 1e6,
               (double)took[0] / 1e6, (double)took[late] / 1e6, median / first);
    }
    return EXIT_SUCCESS;
}
