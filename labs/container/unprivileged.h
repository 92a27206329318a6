/*
 * unprivileged.h - the service without root: what an ordinary user's containers are made of.
 *
 * `run` enters a user namespace before it makes anything (rootless.h). Its root has the rights that
 * the rest of the service needs, over what this namespace owns and nothing else. The container's
 * own user namespace is a child of it, and has the same users: the caller as root, and those of
 * /etc/subuid and /etc/subgid. The other commands stay outside: the caller owns all of these
 * namespaces, and may send signals to what runs in them, and enter them.
 *
 * A user's containers are in a private directory: no other user can see them.
 */
#ifndef CONTAINER_UNPRIVILEGED_H
#define CONTAINER_UNPRIVILEGED_H

#include <stdbool.h>
#include <sys/types.h>

#include "container.h"

/* Called first by each command: whether it was started without root is asked once, because root of
 * a user namespace is user 0, too. Exits with one line where the directory of the caller's
 * containers is not a private one. */
void begin_service(void);
bool is_unprivileged(void);

/* How many users and groups, from 0 on, our user namespace has: 65536 at most. */
unsigned mapped_ids(void);

/* Without root: refuse in one line what only root can do, and choose what takes its place. */
void adapt_to_user(struct specification *spec);

/* The network without root: connect process 1 of CONTAINER by pasta(1) or slirp4netns(1), which
 * adapt_to_user() has found; where neither is installed it has made NETWORK_NONE of it, after a
 * warning. WAIT waits until the descriptor can be read, or for so long. The program ends with this
 * process, or by disconnect_user(), which warns where it had ended before. Errors end by give_up()
 * or fail(). */
#define USER_NETWORK_ADDRESS "10.0.2.100"
void connect_as_user(const struct container *container, void (*wait)(int fd, int milliseconds));
void disconnect_user(void);

/* Refuse a USER or GROUP of a container that our user namespace does not have. */
void check_ids(uid_t user, gid_t group);

/* setgroups(2) with CAP_SETGID. In a user namespace that has the caller's group alone it is not
 * allowed, and the caller's groups stay. */
int set_groups(size_t count, const gid_t *groups);

/* Remove DIRECTORY, which has this NAME in PARENT, and what a container has made in it: where the
 * caller may not remove that, a child does it that has the container's users. Returns 0, or -1 with
 * errno. */
int remove_container_directory(int parent, const char *name, int directory);

#endif
