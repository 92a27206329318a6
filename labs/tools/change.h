/*
 * change.h - changes that are meant to last, and to be taken back exactly: `up` and `down`.
 *
 *     lab_changes_begin("07");                nothing may be up; from here on failure takes back
 *     lab_undo("link br0");                   what comes next, for `down` ...
 *     lab_shell_run("brctl addbr br0");       ... and then the change itself
 *     lab_changes_end();                      all of it is there
 *
 * What is noted stands in /run/container-labs-net/NN: a change in each line, to be taken back from
 * the last to the first (notes.h). It is written before the change is made, so that even kill -9
 * leaves nothing that is not in it. Between begin and end, exit(3), a failed
 * lab_shell_run() and SIGINT, SIGTERM or SIGHUP all take back what was done so far.
 *
 * Nothing is done where the thing is gone already, or is another one than was made: of links the
 * index is noted, of network namespaces the cookie. Where that cannot be told, the change stays
 * noted, as one whose undoing fails, and `down` fails.
 */
#ifndef LAB_CHANGE_H
#define LAB_CHANGE_H

#include <stdbool.h>

/* Begin the changes of lab NUMBER. Holds the lock of all such changes until the process ends.
 * Exits with 1 where the changes of this lab are there already, whole or interrupted. */
void lab_changes_begin(const char *number);

/* Before a change: note its kind and its thing, "link br0" (kinds.c). Exits where that fails. */
__attribute__((format(printf, 1, 2))) void lab_undo(const char *format, ...);

/* All changes are made. */
void lab_changes_end(void);

/* Whether changes of lab NUMBER are there. Exits where that cannot be told, as all of these. */
bool lab_changes_are_there(const char *number);

/* The first change of lab NUMBER of this KIND, "link", to THING, "br0" (NULL: to anything): its
 * thing, until the next call; NULL where there is none. */
const char *lab_changes_thing(const char *number, const char *kind, const char *thing);

/* Take back the changes of lab NUMBER, last to first, showing each command. Returns how many could
 * not be taken back (they are named, and stay noted), or -1 where there were none. */
int lab_changes_take_back(const char *number);

#endif
