/* remove.h - take away a directory that a container has filled. */
#ifndef CONTAINER_REMOVE_H
#define CONTAINER_REMOVE_H

/* Open the directory NAME in PARENT. Returns a descriptor, or -1 with errno: ELOOP where it is a
 * link, EXDEV where something is mounted on it, which is not ours. openat2(2) */
int open_own_directory(int parent, const char *name);

/* Remove NAME, whatever it is, below the directory PARENT, with all that is in it. No link is
 * followed, no mount is entered, and no nesting is too deep. Returns 0, or -1 with errno; a NAME
 * that is not there is fine. */
int remove_tree(int parent, const char *name);

/* Remove all that is in the directory TOP, which stays open. Returns 0, or -1 with errno. */
int remove_contents(int top);

/* Called before each removal, if it is not NULL: a large tree takes its time. */
extern void (*remove_pause)(void);

#endif
