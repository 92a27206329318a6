#include "forwarding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "lock.h"
#include "namespace.h"
#include "nft.h"
#include "record.h"
#include "rootless.h"

static const char KIND[] = "forwarding", IP_FORWARD[] = "/proc/sys/net/ipv4/ip_forward";

struct record {
    char path[288];
    int lock;      /* of the directory; -1: there is none, and no record in it */
    bool is_there; /* the record of this network namespace */
    int was;       /* ip_forward before the first lab: 0 or 1 */
    unsigned missing;
    char users[64];   /* "08 09 " */
    char rest[65536]; /* lines of what is to be set again: of a thousand devices */
};

static const char *records(void)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s.forwarding", lab_runs());
    return path;
}

/* Release the lock, and remove the directory if it is empty. Returns 0; -1 where that fails, with
 * its errno; or RESULT if that is -1, and errno stays. */
static int close_record(struct record *record, int result)
{
    int error = errno;

    if (record->lock != -1 && rmdir(records()) == -1 && errno != ENOTEMPTY && result != -1)
        error = errno, result = -1;
    lab_close_fd(&record->lock);
    errno = error;
    return result;
}

static int read_record(struct record *record)
{
    char text[sizeof(record->users) + sizeof(record->rest) + 64];
    int length = 0;

    if (lab_record_read(record->path, KIND, text, sizeof(text)) == -1)
        return errno == ENOENT ? 0 : -1;
    if (sscanf(text, "users%63[0-9 ]\nwas %d missing %u%n", record->users, &record->was,
               &record->missing, &length) != 3 ||
        text[length] != '\n') {
        errno = EBADMSG;
        return -1;
    }
    memmove(record->users, record->users + 1, strlen(record->users)); /* the blank */
    snprintf(record->rest, sizeof(record->rest), "%s", text + length + 1);
    record->is_there = true;
    return 0;
}

/* Lock the directory, which is made if MAKE, and read the record of this network namespace. */
static int open_record(struct record *record, bool make)
{
    unsigned long long network;

    memset(record, 0, sizeof(*record));
    record->lock = -1;
    if (lab_network_cookie(&network) == -1)
        return -1;
    snprintf(record->path, sizeof(record->path), "%s/%llu", records(), network);
    record->lock = lab_lock_directory(records(), make ? 0700 : 0, LAB_LOCK_PATIENCE);
    if (record->lock == -1)
        return errno == ENOENT && !make ? 0 : -1;
    if (read_record(record) == 0)
        return 0;
    return close_record(record, -1);
}

static int write_record(const struct record *record)
{
    char text[sizeof(record->users) + sizeof(record->rest) + 64];

    snprintf(text, sizeof(text), "users %s\nwas %d missing %u\n%s", record->users, record->was,
             record->missing, record->rest);
    return lab_record_write(record->path, KIND, text);
}

int lab_forwarding_is_on(void)
{
    char text[32];

    return lab_read_file(IP_FORWARD, text, sizeof(text)) == -1 ? -1 : atoi(text) != 0;
}

const char *lab_forwarding_trouble(void)
{
    static char text[512];
    const int error = errno;

    if (error == EBADMSG)
        snprintf(text, sizeof(text),
                 "a record in %s is damaged: see what it says, set %s as it was, and remove it",
                 records(), IP_FORWARD);
    else
        snprintf(text, sizeof(text), "give back %s, whose record is in %s: %s", IP_FORWARD,
                 records(), lab_strerror(error));
    errno = error;
    return text;
}

/* Take USER out of the users. */
static void remove_user(struct record *record, const char *user)
{
    char *at = strstr(record->users, user);

    if (at)
        memmove(at, at + 3, strlen(at + 3) + 1); /* "08 " */
}

/* Add the line PATH=VALUE, PATH below /proc/sys, unless the value is that of ip_forward, which the
 * kernel gives it anyway: UNLESS. */
static int add_setting(struct record *record, const char *path, const char *unless)
{
    char full[160], value[32];
    size_t length = strlen(record->rest), size = sizeof(record->rest) - length;

    snprintf(full, sizeof(full), "/proc/sys/%s", path);
    if (lab_read_file(full, value, sizeof(value)) == -1)
        return errno == ENOENT ? 0 : -1;
    if (strcmp(value, unless) == 0 ||
        snprintf(record->rest + length, size, "%s=%s\n", path, value) < (int)size)
        return 0;
    errno = EFBIG;
    return -1;
}

static int add_forwarding(int directory, const char *name, void *record)
{
    char path[128];

    (void)directory;
    snprintf(path, sizeof(path), "net/ipv4/conf/%.64s/forwarding", name);
    return add_setting(record, path, "0");
}

/* Add what the kernel changes along with ip_forward: it turns accept_redirects of "all" against it,
 * and forwarding of every device with it. networking/ip-sysctl in the kernel's documentation. */
static int add_settings(struct record *record)
{
    int result = add_setting(record, "net/ipv4/conf/all/accept_redirects", "");

    return result == 0 ? lab_each_name("/proc/sys/net/ipv4/conf", add_forwarding, record) : result;
}

static int use(struct record *record, const char *user)
{
    if (!record->is_there) {
        record->was = lab_forwarding_is_on();
        if (record->was == -1 || lab_nft_missing(&record->missing) == -1 ||
            (record->was == 0 && add_settings(record) == -1))
            return -1;
    }
    remove_user(record, user);
    size_t length = strlen(record->users);
    snprintf(record->users + length, sizeof(record->users) - length, "%s ", user);
    return write_record(record) == -1 ? -1 : !record->was;
}

int lab_forwarding_use(const char *user)
{
    struct record record;

    if (open_record(&record, true) == -1)
        return -1;
    return close_record(&record, use(&record, user));
}

int lab_forwarding_goes_with(const char *user)
{
    struct record record;

    if (open_record(&record, false) == -1)
        return -1;
    remove_user(&record, user);
    return close_record(&record, record.is_there && !record.was && !*record.users);
}

/* Set everything again; a device may be gone. */
static int turn_off(struct record *record)
{
    char path[160];
    int on = lab_forwarding_is_on();

    if (on == -1 || (on == 1 && lab_write_file(IP_FORWARD, "0") == -1))
        return -1;
    for (char *rest = NULL, *line = strtok_r(record->rest, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strrchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        snprintf(path, sizeof(path), "/proc/sys/%s", line);
        if (lab_write_file(path, value) == -1 && errno != ENOENT)
            return -1;
    }
    return 0;
}

static int leave(struct record *record, const char *user, bool keep, unsigned *missing)
{
    remove_user(record, user);
    if (*record->users && !keep)
        return write_record(record) == -1 ? -1 : 1;
    /* The record of the last user is not written anew, which takes space. Where the rest fails, it
     * stays, and the next call tries again. */
    *missing = record->missing;
    if (!keep && !record->was && turn_off(record) == -1)
        return -1;
    return unlink(record->path) == -1 ? -1 : keep || record->was;
}

int lab_forwarding_leave(const char *user, bool keep, unsigned *missing)
{
    struct record record;
    int result = 1;

    *missing = 0;
    if (open_record(&record, false) == -1)
        return -1;
    if (record.is_there)
        result = leave(&record, user, keep, missing);
    return close_record(&record, result);
}
