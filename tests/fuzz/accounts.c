/* Fuzz what reads /etc/passwd and /etc/group of a root file system, /etc/subuid of the machine, and
 * lines of ldd(1). */
#include "../../common/rootless.c"

#include "../../common/rootfs.c"

#include <sys/mman.h>

#include "../../labs/container/report.h"
#include "fuzz.h"

static int contents; /* of every file */

static int open_contents(int root)
{
    char path[64];

    (void)root;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", contents);
    return open(path, O_RDONLY | O_CLOEXEC);
}

#define lab_openat2(root, ...) open_contents(root)
#undef give_up
#define give_up(...) REFUSE(__VA_ARGS__)
#include "../../labs/container/account.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct account account;
    char *volatile text = string_of(data, size), *volatile word = strdup(text), path[64];

    contents = memfd_create("contents", MFD_CLOEXEC);
    if (contents == -1 || write(contents, data, size) != (ssize_t)size || !word)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", contents);
    find_range(path, 1000);
    const char *library = path_in_line(text);
    if (library && (*library != '/' || strstr(library, " (0x")))
        abort();
    /* The first line is the user that is looked for. */
    word[strcspn(word, "\n")] = '\0';
    memset(&account, 0, sizeof(account));
    if (setjmp(refused) == 0)
        find_account(&account, word);
    free(account.groups);
    free(word);
    free(text);
    close(contents);
    return 0;
}

/* The stream of a file that is refused half-way stays open: the runtime ends then. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
