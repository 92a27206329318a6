#include "change.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "lock.h"
#include "nft.h"
#include "process.h"

#define NOTES "/run/container-labs-net"

enum { MAXIMUM_LINES = 4096, MAXIMUM_BYTES = 256 * 1024 };

static const char COMPLETE[] = "# complete";

static struct {
    pid_t process;      /* whose changes these are; 0: none have begun */
    const char *number; /* of the lab */
    int lock, notes;    /* descriptors: of NOTES, locked, and of the lab's file in it */
    char last[512];     /* the line noted last */
    bool any;           /* whether a line was noted at all */
} changes = {.lock = -1, .notes = -1};

/* The lock on all notes. The commands that we run inherit it: so after kill -9 of `up`, `down`
 * waits until the command that was at work has ended, too. Returns its descriptor. */
static int lock_notes(void)
{
    int lock = lab_lock_directory(NOTES, 0755, LAB_LOCK_PATIENCE);

    if (lock == -1 || fcntl(lock, F_SETFD, 0) == -1)
        lab_lock_die(NOTES);
    return lock;
}

static const char *notes_of(const char *number)
{
    static char path[64];

    snprintf(path, sizeof(path), NOTES "/%s", number);
    return path;
}

/* Which network namespace is at PATH: its cookie, a number that no other one is given until the
 * machine starts again (SO_NETNS_COOKIE, Linux 5.14). Where that cannot be had, its inode, whose
 * number may be given away again. 0: there is none. */
static unsigned long long network_cookie(const char *path)
{
    struct stat status;
    uint64_t cookie;
    socklen_t size = sizeof(cookie);
    lab_fd there = open(path, O_RDONLY | O_CLOEXEC);
    lab_fd here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    if (there == -1 || fstat(there, &status) == -1)
        return 0;
    if (here == -1 || setns(there, CLONE_NEWNET) == -1)
        return status.st_ino;
    lab_fd inside = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (inside == -1 || getsockopt(inside, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == -1)
        cookie = status.st_ino;
    if (setns(here, CLONE_NEWNET) == -1)
        lab_die("setns back to our own network namespace");
    return cookie;
}

/* What tells the thing that a line takes back from another one of the same name: 0 for none. */
static unsigned long long identity_of(const char *line)
{
    char name[64], path[128];

    if (sscanf(line, "ip link del %63s", name) == 1)
        return if_nametoindex(name);
    if (sscanf(line, "ip netns del %63s", name) != 1)
        return 0;
    snprintf(path, sizeof(path), "/run/netns/%s", name);
    return network_cookie(path);
}

static void note(const char *line)
{
    if (dprintf(changes.notes, "%s\n", line) < 0)
        lab_die("write %s", notes_of(changes.number));
}

/* What the last line is about has been made by now: note which one it is. */
static void note_identity(void)
{
    char line[64];
    unsigned long long identity = identity_of(changes.last);

    if (identity) {
        snprintf(line, sizeof(line), "# made %llu", identity);
        note(line);
    }
    changes.last[0] = '\0';
}

/*
 * Signals are blocked while changes are made, so that no command is cut in two by Ctrl-C.
 */

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void block_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        sigaddset(&set, endings[i]);
    sigprocmask(how, &set, NULL);
    /* A reader of our output that goes away must not cut us short either. */
    signal(SIGPIPE, how == SIG_BLOCK ? SIG_IGN : SIG_DFL);
}

/* Has one of them come? Then exit, which takes back what was done. */
static void heed_signals(void)
{
    struct sigaction present;
    sigset_t pending;

    sigpending(&pending);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (sigismember(&pending, endings[i]) && sigaction(endings[i], NULL, &present) == 0 &&
            present.sa_handler != SIG_IGN) /* as nohup(1) has it */
            lab_exit(128 + endings[i], "interrupted by %s", lab_signal_name(endings[i]));
}

/*
 * Taking back.
 */

/* Is there nothing to do for LINE, because the thing is gone or was replaced (MADE is its identity,
 * 0: not known)? */
static bool is_gone(const char *line, unsigned long long made)
{
    char name[128] = "/", path[160];
    const char *deletes = strstr(line, " -D ");

    if (strncmp(line, "ip ", 3) == 0) {
        unsigned long long present = identity_of(line);
        if (present && made && present != made)
            lab_warn("left alone, because it is not the one that was made here: %s", line);
        return !present || (made && present != made);
    }
    if (sscanf(line, "rmdir --ignore-fail-on-non-empty %127s", name) == 1 ||
        sscanf(line, "rm /%126s", name + 1) == 1)
        return access(name, F_OK) == -1;
    if (sscanf(line, "sysctl -q -w %127[^=]", name) == 1) {
        snprintf(path, sizeof(path), "/proc/sys/%s", name);
        return access(path, F_OK) == -1;
    }
    /* iptables -C says by 1 that a rule is not there; others are troubles of its own. */
    if (deletes)
        return lab_command(NULL, "%.*s -C %s", (int)(deletes - line), line, deletes + 4) == 1;
    return false;
}

/* The directory of `ip netns`, which is a mount on itself: with a namespace of others in it, it is
 * busy, and stays. */
static void remove_netns_directory(void)
{
    if (umount2("/run/netns", UMOUNT_NOFOLLOW) == 0 || errno == EINVAL)
        rmdir("/run/netns");
}

/* Run one line. Returns whether nothing of it is left to do. */
static bool take_back(const char *line, unsigned long long made)
{
    char table[32], chain[32];
    LAB_OUTPUT output = {0};

    int names = sscanf(line, "nft delete %*s ip %31s %31s", table, chain);
    if (names >= 1) {
        const struct lab_nft_part part = {table, names == 2 ? chain : NULL};
        int failed = lab_nft_delete_empty(&part, 1);
        if (failed == 0)
            lab_type("%s", line);
        return failed == 0 || errno == ENOENT || errno == EBUSY;
    }
    if (strcmp(line, "rmdir /run/netns") == 0)
        return remove_netns_directory(), true;
    if (is_gone(line, made))
        return true;
    lab_type("%s", line);
    if (lab_command(&output, "%s", line) == 0)
        return true;
    output.text[strcspn(output.text, "\n")] = '\0';
    lab_warn("%s: %s (exit status %d)", line, output.text, output.status);
    return false;
}

/* The lines of the file into LINES, at most MAXIMUM. Returns how many. */
static int split_lines(char *text, char *lines[], int maximum)
{
    int count = 0;

    for (char *line = strtok(text, "\n"); line && count < maximum; line = strtok(NULL, "\n"))
        lines[count++] = line;
    return count;
}

/* With the lock held: run all lines of PATH and remove it, or leave in it what failed. */
static int take_back_all(const char *path)
{
    static char text[MAXIMUM_BYTES], left[MAXIMUM_BYTES], *lines[MAXIMUM_LINES];
    size_t length = 0;
    int failed = 0;

    if (lab_read_file(path, text, sizeof(text)) == -1)
        lab_die("read %s", path);
    int count = split_lines(text, lines, MAXIMUM_LINES);
    for (int i = count - 1; i >= 0; i--) {
        unsigned long long made = 0;
        if (i + 1 < count)
            sscanf(lines[i + 1], "# made %llu", &made);
        if (*lines[i] != '#' && !take_back(lines[i], made))
            failed++;
        else if (*lines[i] != '#')
            lines[i] = "#";
    }
    if (failed == 0)
        return unlink(path) == -1 ? 1 : 0;
    for (int i = 0; i < count; i++)
        if (strcmp(lines[i], "#") != 0)
            length += (size_t)snprintf(left + length, sizeof(left) - length, "%s\n", lines[i]);
    lab_fd notes = open(NOTES, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (notes == -1 || lab_write_text_in(notes, strrchr(path, '/') + 1, left, 0644) == -1)
        lab_warn("write %s: %s", path, lab_strerror(errno)); /* the old one is there yet */
    return failed;
}

int lab_changes_take_back(const char *number)
{
    struct stat status;

    if (!lab_changes_are_there(number))
        return -1;
    int lock = lock_notes();
    block_signals(SIG_BLOCK);
    int failed = stat(notes_of(number), &status) == 0 ? take_back_all(notes_of(number)) : -1;
    rmdir(NOTES); /* fails while another lab has its changes in it, as it should */
    close(lock);
    block_signals(SIG_UNBLOCK);
    return failed;
}

bool lab_changes_include(const char *number, const char *undo)
{
    char text[MAXIMUM_BYTES];
    const char *found = text;

    if (lab_read_file(notes_of(number), text, sizeof(text)) == -1)
        return false;
    while ((found = strstr(found, undo)) != NULL) {
        if ((found == text || found[-1] == '\n') && found[strlen(undo)] == '\n')
            return true;
        found++;
    }
    return false;
}

bool lab_changes_are_there(const char *number)
{
    return access(notes_of(number), F_OK) == 0;
}

/*
 * Making changes.
 */

/* By exit(3), unless all changes were made. A forked child inherits this and is not meant. */
static void roll_back(void)
{
    if (changes.process != getpid())
        return;
    changes.process = 0;
    int failed = take_back_all(notes_of(changes.number));
    rmdir(NOTES);
    if (failed)
        lab_warn("not everything could be taken back: see %s", notes_of(changes.number));
    else if (changes.any)
        lab_warn("what was done has been taken back");
    fflush(stdout);
    block_signals(SIG_UNBLOCK); /* one that has come ends the process here, as it should */
}

void lab_changes_begin(const char *number)
{
    char text[MAXIMUM_BYTES];
    const char *path = notes_of(number);

    changes.lock = lock_notes();
    if (lab_read_file(path, text, sizeof(text)) != -1)
        lab_exit(EXIT_FAILURE, "%s; take it down first: sudo %s down",
                 strstr(text, COMPLETE) ? "it is up already" : "an earlier `up` was cut short",
                 program_invocation_name);
    block_signals(SIG_BLOCK);
    changes.notes = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (changes.notes == -1)
        lab_die("create %s", path);
    changes.number = number;
    changes.process = getpid();
    if (atexit(roll_back) != 0)
        lab_die("atexit");
}

void lab_undo(const char *format, ...)
{
    va_list arguments;

    if (!changes.process)
        return;
    note_identity();
    heed_signals();
    va_start(arguments, format);
    vsnprintf(changes.last, sizeof(changes.last), format, arguments);
    va_end(arguments);
    note(changes.last);
    changes.any = true;
}

void lab_changes_end(void)
{
    note_identity();
    heed_signals();
    note(COMPLETE);
    changes.process = 0;
    block_signals(SIG_UNBLOCK);
}
