#include "lab.h"

#include "page.h"

long lab_check_call(const char *call, long result)
{
    if (result >= 0)
        return result;
    if (result < -1) /* libseccomp returns the errno, negative, and does not set it */
        errno = (int)-result;
    lab_die("%s", call);
}

long lab_show_call(const char *call, long result)
{
    printf("%s%s = %ld\n", lab_in_sandbox ? LAB_CALL : "    ", call, result);
    return result;
}
