#include "exercise.h"

#include <stdio.h>
#include <stdlib.h>

void lab_todo(const char *number)
{
    fflush(stdout);
    fprintf(stderr, "TODO %s is not written yet\n", number);
    exit(LAB_EXIT_TODO);
}
