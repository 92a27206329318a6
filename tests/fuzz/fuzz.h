/*
 * fuzz.h - what the fuzzers share. A parser that is static is reached by including its .c file;
 * everything else comes from the archives.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In the place of a function that ends the program with a message where its input is wrong. */
static jmp_buf refused;
static char reason[256];
#define REFUSE(...) (snprintf(reason, sizeof(reason), __VA_ARGS__), longjmp(refused, 1))

/* DATA as a string, of malloc(3). */
static inline char *string_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Make DATA the contents of the file PATH. */
static inline void write_data(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd == -1 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

/* Let the service keep its files in a new directory, which CLEAN empties and removes at the end. */
static inline void make_state_directory(void (*clean)(void))
{
    char path[] = "/tmp/fuzz-state.XXXXXX";

    if (!mkdtemp(path) || setenv("CONTAINER_LABS_STATE", path, 1) == -1 || atexit(clean) != 0)
        abort();
}

#endif
