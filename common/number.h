/*
 * number.h - numbers from the command line: all of the text or nothing.
 */
#ifndef LAB_NUMBER_H
#define LAB_NUMBER_H

#include <stdbool.h>

/* Read a decimal number. TEXT must be digits from first to last (one leading '-' if MINIMUM is
 * negative) and within MINIMUM..MAXIMUM. Returns whether it was, with *NUMBER set. */
bool lab_parse_number(const char *text, long long minimum, long long maximum, long long *number);

#endif
