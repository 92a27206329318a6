#include "number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
