/*
 * coverage.c - linked into the programs of `make coverage`, so that they write what was executed at
 * each of their ends, and say nothing where they cannot.
 *
 * By itself gcov writes at exit(3) and before an exec(3), and complains on stderr where it cannot:
 * in another root file system, or as another user. Tests read stderr. And a child of fork(2) ends
 * by _exit(2). What is killed does not write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef COUNTERS /* the directory with all of them */
#define COUNTERS "build/coverage"
#endif

void __gcov_dump(void);
void __gcov_reset(void);

/* The real functions, as the linker names them (--wrap), and ours. */
__attribute__((noreturn)) void __real__exit(int status);
__attribute__((noreturn)) void __wrap__exit(int status);
int __wrap___gcov_execv(const char *path, char *const argv[]);
int __wrap___gcov_execvp(const char *file, char *const argv[]);
int __wrap___gcov_execve(const char *path, char *const argv[], char *const environment[]);

/* Once: later calls write nothing. In another root file system gcov would make the directories that
 * it misses. */
static void write_counters(void)
{
    static char words[4096];
    FILE *aside = stderr, *nowhere = fmemopen(words, sizeof(words), "w");

    if (nowhere)
        stderr = nowhere;
    if (access(COUNTERS, F_OK) == 0)
        __gcov_dump();
    stderr = aside;
    if (nowhere)
        fclose(nowhere);
}

void __wrap__exit(int status)
{
    write_counters();
    __real__exit(status);
}

/* The last of what is called at exit(3), but for gcov's own. */
static void end(int status, void *nothing)
{
    (void)nothing;
    fflush(NULL);
    __wrap__exit(status);
}

__attribute__((constructor)) static void begin(void)
{
    on_exit(end, NULL);
}

int __wrap___gcov_execv(const char *path, char *const argv[])
{
    write_counters();
    execv(path, argv);
    __gcov_reset();
    return -1;
}

int __wrap___gcov_execvp(const char *file, char *const argv[])
{
    write_counters();
    execvp(file, argv);
    __gcov_reset();
    return -1;
}

int __wrap___gcov_execve(const char *path, char *const argv[], char *const environment[])
{
    write_counters();
    execve(path, argv, environment);
    __gcov_reset();
    return -1;
}
