#include "number.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

bool lab_parse_number(const char *text, long long minimum, long long maximum, long long *number)
{
    const char *digits = text + (*text == '-' && minimum < 0);
    char *end;

    /* strtoll would take leading blanks and a plus sign. */
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || value < minimum || value > maximum)
        return false;
    *number = value;
    return true;
}

long long lab_number_option(const char *option, const char *text, long long minimum,
                            long long maximum)
{
    long long number;

    if (!lab_parse_number(text, minimum, maximum, &number))
        lab_exit(LAB_EXIT_USAGE, "%s '%s' is not a number from %lld to %lld", option, text, minimum,
                 maximum);
    return number;
}

bool lab_parse_decimal(const char *text, long long maximum, long long *millionths)
{
    enum { PLACES = 6 };
    char whole[24] = "0", fraction[PLACES + 1];
    size_t digits = strcspn(text, ".");
    const char *behind = text + digits + (text[digits] == '.');
    long long units, rest;

    if (digits >= sizeof(whole) || strlen(behind) > PLACES || strlen(text) == strspn(text, "."))
        return false;
    if (digits > 0)
        snprintf(whole, sizeof(whole), "%.*s", (int)digits, text);
    snprintf(fraction, sizeof(fraction), "%s%s", behind, &"000000"[strlen(behind)]);
    if (!lab_parse_number(whole, 0, maximum, &units) ||
        !lab_parse_number(fraction, 0, 999999, &rest) || units > INT64_MAX / 1000000 - 1)
        return false;
    *millionths = units * 1000000 + rest;
    return *millionths <= maximum * 1000000;
}
