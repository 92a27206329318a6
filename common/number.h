/*
 * number.h - numbers from the command line: all of the text or nothing.
 */
#ifndef LAB_NUMBER_H
#define LAB_NUMBER_H

#include <stdbool.h>

/* Read a decimal number. TEXT must be digits from first to last (one leading '-' if MINIMUM is
 * negative) and within MINIMUM..MAXIMUM. Returns whether it was, with *NUMBER set. */
bool lab_parse_number(const char *text, long long minimum, long long maximum, long long *number);

/* The number that OPTION ("--threads") was given as TEXT. Where it is none within MINIMUM..MAXIMUM,
 * that is said on stderr and the program ends as after every usage error (status 2). */
long long lab_number_option(const char *option, const char *text, long long minimum,
                            long long maximum);

/* Read a decimal number that may have a fraction, "1.5" or ".25", of up to six digits behind the
 * point. *MILLIONTHS is set to it times a million. Returns whether it was, and at most MAXIMUM. */
bool lab_parse_decimal(const char *text, long long maximum, long long *millionths);

#endif
