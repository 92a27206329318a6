/*
 * change.h - changes that are meant to last, and to be taken back exactly: `up` and `down`.
 *
 *     lab_changes_begin("07");                nothing may be up; from here on failure takes back
 *     lab_undo("ip link del br0");            how to take back what comes next ...
 *     lab_shell_run("brctl addbr br0");       ... and then the change itself
 *     lab_changes_end();                      all of it is there
 *
 * What is noted stands in /run/container-labs-net/NN, a file that a person can read: a command in
 * each line, to be run from the last to the first. It is written before the change is made, so that
 * even kill -9 leaves nothing that is not in it. Between begin and end, exit(3), a failed
 * lab_shell_run() and SIGINT, SIGTERM or SIGHUP all take back what was done so far.
 *
 * A line is not run when what it names is gone already, or is another one than was made: of links
 * the index is noted, of network namespaces the inode. Lines beginning with `nft delete` are not
 * given to nft(8) but done by nft.h, which deletes only what is empty; `rmdir /run/netns` takes
 * away the mount that `ip netns add` has put on it as well, unless others have namespaces there by
 * now.
 */
#ifndef LAB_CHANGE_H
#define LAB_CHANGE_H

#include <stdbool.h>

/* Begin the changes of lab NUMBER. Holds the lock of all such changes until the process ends.
 * Exits with 1 where the changes of this lab are there already, whole or interrupted. */
void lab_changes_begin(const char *number);

/* Before a change: note the command that takes it back. Nothing happens unless changes have begun,
 * so an experiment, in its private namespaces, may share the code. */
__attribute__((format(printf, 1, 2))) void lab_undo(const char *format, ...);

/* All changes are made. */
void lab_changes_end(void);

/* Whether changes of lab NUMBER are there. */
bool lab_changes_are_there(const char *number);

/* Whether the changes of lab NUMBER have noted UNDO: so it is they that made what it takes back. */
bool lab_changes_include(const char *number, const char *undo);

/* Take back the changes of lab NUMBER, last to first, showing each command. Returns how many could
 * not be taken back (they are named, and stay noted), or -1 where there were none. */
int lab_changes_take_back(const char *number);

#endif
