/* functions.h - which function of a program file an address belongs to. elf(5) */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Read the table of symbols of the program file PATH. */
void functions_read(const char *path);

/* The program runs, and the kernel has named ENTRY as its first instruction (AT_ENTRY of
 * getauxval(3)): a position-independent program is not where its file says. */
void functions_placed(uint64_t entry);

/* The name of the function that has ADDRESS: one of the student's file, which is called as the
 * program with .c at its end, or one that it calls. NULL where none of them has. */
const char *function_at(uint64_t address);

/* Whether CODE, the eight bytes before the return address, ends with a call. CALLED is then the
 * function: NULL for one that is not in the program file, ANY_FUNCTION where a register says which.
 */
extern const char ANY_FUNCTION[];
bool function_called(const unsigned char code[8], uint64_t return_address, const char **called);

#endif
