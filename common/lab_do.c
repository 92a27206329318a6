#include "lab.h"

#include "page.h"

long lab_check_call(const char *call, long result, bool shown)
{
    if (result < -1) /* libseccomp returns the errno, negative, and does not set it */
        errno = (int)-result;
    if (result < 0)
        lab_die("%s", call);
    if (shown)
        printf("%s%s = %ld\n", lab_in_sandbox ? LAB_CALL : "    ", call, result);
    return result;
}
