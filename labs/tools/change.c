#include "change.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "lab.h"
#include "lock.h"
#include "notes.h"
#include "process.h"

static pid_t changing; /* the process whose changes are made now; 0: none have begun */
static struct lab_notes notes;

/* The lock on all notes. The commands that we run inherit it: so after kill -9 of `up`, `down`
 * waits until the command that was at work has ended, too. Returns its descriptor. */
static int lock_notes(void)
{
    int lock = lab_lock_directory(LAB_NOTES, 0700, LAB_LOCK_PATIENCE);

    if (lock == -1 || fcntl(lock, F_SETFD, 0) == -1)
        lab_lock_die(LAB_NOTES);
    return lock;
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
    /* A reader of our output that goes away must not cut us short either, nor the caller's limit
     * for files (ulimit -f), which is an error of write(2) then. */
    signal(SIGPIPE, how == SIG_BLOCK ? SIG_IGN : SIG_DFL);
    signal(SIGXFSZ, SIG_IGN);
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

/* Do what takes CHANGE back. Returns 1, 0 where others use it, or -1 when it has printed why not.
 */
static int run(const struct lab_change *change)
{
    const struct lab_kind *kind = change->kind;
    const char *blank = *kind->command ? " " : "";
    LAB_OUTPUT output = {0};
    unsigned long long present;

    int taken = kind->take_away ? kind->take_away(change->thing) : 1;
    if (taken == -1)
        lab_warn_errno("%s %s", kind->command, change->thing);
    if (taken == 1)
        lab_type("%s%s%s", kind->command, blank, change->thing);
    if (kind->take_away)
        return taken;
    if (lab_command(&output, "%s%s%s", kind->command, blank, change->thing) == 0)
        return 1;
    /* A link goes with a network namespace that was removed just now, a little later. */
    if (kind->look && kind->look(change->thing, &present) == 0)
        return 1;
    output.text[strcspn(output.text, "\n")] = '\0';
    lab_warn("%s%s%s: %s (exit status %d)", kind->command, blank, change->thing, output.text,
             output.status);
    return -1;
}

/* The same, unless it is gone already, or was replaced: that is 1, too. */
static int take_back(const struct lab_change *change)
{
    const struct lab_kind *kind = change->kind;
    unsigned long long present = 0;

    int there = kind->look ? kind->look(change->thing, &present) : 1;
    if (there == -1)
        lab_warn_errno("not taken back, because it cannot be told whether it is there: %s %s",
                       kind->name, change->thing);
    if (there != 1)
        return there == 0 ? 1 : -1;
    if (!present || !change->made || present == change->made)
        return run(change);
    lab_warn("left alone, because it is not the one that was made here: %s %s", kind->name,
             change->thing);
    return 1;
}

/* With the lock held: take back all that is noted and remove the notes, or leave in them what
 * failed. Returns how many failed. */
static int take_back_all(void)
{
    int failed = 0, count = notes.count;

    for (int i = count - 1; i >= 0; i--) {
        int taken = take_back(&notes.list[i]);
        failed += taken == -1;
        /* What uses it may be what has failed. */
        if (taken == 1 || (taken == 0 && failed == 0))
            notes.list[i].kind = NULL;
    }
    if (failed == 0)
        return lab_notes_remove(notes.number) == -1 ? 1 : 0;
    notes.count = 0;
    for (int i = 0; i < count; i++)
        if (notes.list[i].kind)
            notes.list[notes.count++] = notes.list[i];
    if (lab_notes_write(&notes) == -1) /* the old ones are there yet */
        lab_warn_errno("write %s", lab_notes_path(notes.number));
    return failed;
}

int lab_changes_take_back(const char *number)
{
    int lock = lock_notes(), failed = -1;

    block_signals(SIG_BLOCK);
    if (lab_notes_read(&notes, number))
        failed = take_back_all();
    else if (lab_notes_remove(number) == -1)
        failed = 1;
    close(lock);
    block_signals(SIG_UNBLOCK);
    return failed;
}

static struct lab_notes present; /* of any lab */

const char *lab_changes_thing(const char *number, const char *kind, const char *thing)
{
    if (!lab_notes_read(&present, number))
        return NULL;
    for (int i = 0; i < present.count; i++) {
        const struct lab_change *change = &present.list[i];
        if (strcmp(change->kind->name, kind) == 0 && (!thing || strcmp(change->thing, thing) == 0))
            return change->thing;
    }
    return NULL;
}

bool lab_changes_are_there(const char *number)
{
    return lab_notes_read(&present, number);
}

/*
 * Making changes.
 */

/* By exit(3), unless all changes were made. A forked child inherits this and is not meant. */
static void roll_back(void)
{
    if (changing != getpid())
        return;
    changing = 0;
    bool any = notes.count > 0;
    if (take_back_all() > 0)
        lab_warn("not everything could be taken back: see %s", lab_notes_path(notes.number));
    else if (any)
        lab_warn("what was done has been taken back");
    fflush(stdout);
    block_signals(SIG_UNBLOCK); /* one that has come ends the process here, as it should */
}

void lab_changes_begin(const char *number)
{
    lock_notes();
    if (lab_notes_read(&notes, number))
        lab_exit(EXIT_FAILURE, "%s; take it down first: sudo %s down",
                 notes.complete ? "it is up already" : "an earlier `up` was cut short",
                 program_invocation_name);
    block_signals(SIG_BLOCK);
    changing = getpid();
    if (atexit(roll_back) != 0)
        lab_die("atexit");
}

/* The last change has been made by now: note which thing it has made. */
static void note_identity(void)
{
    if (notes.count == 0)
        return;
    struct lab_change *last = &notes.list[notes.count - 1];
    if (last->kind->has_identity && last->kind->look(last->thing, &last->made) == -1)
        lab_die("look at the %s %s", last->kind->name, last->thing);
}

void lab_undo(const char *format, ...)
{
    va_list arguments;
    char text[512];

    if (!changing)
        return;
    note_identity();
    heed_signals();
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!lab_notes_add(&notes, text, 0))
        lab_exit(EXIT_FAILURE, "what `down` would not know cannot be made: %s", text);
    if (lab_notes_write(&notes) == -1)
        lab_die("write %s", lab_notes_path(notes.number));
}

void lab_changes_end(void)
{
    note_identity();
    heed_signals();
    notes.complete = true;
    if (lab_notes_write(&notes) == -1)
        lab_die("write %s", lab_notes_path(notes.number));
    changing = 0;
    block_signals(SIG_UNBLOCK);
}
