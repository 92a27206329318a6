/*
 * take - inside a container: open the memory of each process that comes, for writing, as a debugger
 * would.
 *
 *     take SECONDS    prints "took PROGRAM" for each process but its own that could have been
 * changed, while it still was the launcher, or a process that had not executed anything yet
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    const time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
    char path[64], program[256];
    int next = getpid() + 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("waiting");
    while (time(NULL) < end)
        for (int pid = next; pid < next + 8; pid++) {
            snprintf(path, sizeof(path), "/proc/%d/exe", pid);
            ssize_t length = readlink(path, program, sizeof(program) - 1);
            program[length > 0 ? length : 0] = '\0';
            snprintf(path, sizeof(path), "/proc/%d/mem", pid);
            int memory = open(path, O_RDWR);
            if (memory == -1)
                continue;
            close(memory);
            if (strstr(program, "launch") || strstr(program, "09_full"))
                printf("took %s\n", program);
            next = pid;
        }
    return 0;
}
