/*
 * newmount.h - the mount calls of Linux 5.2 and later, as they are used here: a mount is made first
 * and attached afterwards, or never.
 */
#ifndef CONTAINER_NEWMOUNT_H
#define CONTAINER_NEWMOUNT_H

#include <stdbool.h>

/* Make a file system of TYPE with OPTIONS, pairs of key and value (NULL: a flag) up to one without
 * a key, and a mount of it with ATTRIBUTES (MOUNT_ATTR_...). Returns its descriptor, or -1 with
 * errno. */
int new_mount(const char *type, const char *const options[][2], unsigned attributes);

/* A copy of the mount of NAME below DIRECTORY ("": of DIRECTORY itself), beginning there, without a
 * place, and a private one; with the mounts below it if RECURSIVE. Returns its descriptor, or -1
 * with errno. mount_namespaces(7) */
int clone_mount(int directory, const char *name, bool recursive);

/* Set ATTRIBUTES of MOUNT at NAME; USERS is the user namespace for MOUNT_ATTR_IDMAP. */
int set_mount(int mount, const char *name, unsigned attributes, int users, bool recursive);

/* Attach MOUNT on TARGET. Both are descriptors: no path is looked up. */
int attach(int mount, int target);

#endif
