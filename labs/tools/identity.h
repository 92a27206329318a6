/*
 * identity.h - users and groups, by name or number, as chroot(1) and docker-run(1) take them.
 */
#ifndef LAB_IDENTITY_H
#define LAB_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

/* Who a process is to become. Begin with {0}: nobody else. */
struct lab_identity {
    bool has_user, has_group, has_groups;
    uid_t user;
    gid_t group;
    char name[64];   /* of the user, where he has one */
    int group_count; /* of the supplementary groups */
    gid_t *groups;   /* of malloc(3); whoever becomes somebody else executes a command soon */
};

/* The number of the user or group that WORD names, or is. A name comes before a number, but not
 * before "+5". Returns whether there is one. getpwnam(3), getgrnam(3). */
bool lab_find_user(const char *word, uid_t *user);
bool lab_find_group(const char *word, gid_t *group);

/* Find out who USER_SPEC ("USER", "USER:", "USER:GROUP", ":GROUP"; NULL: not given) and GROUPS
 * ("G,G,..."; "" for none at all; NULL: not given) are, in the /etc/passwd and /etc/group of the
 * present root. A user without a group gets the user's own one, without GROUPS the user's
 * supplementary ones. As chroot(1) does it, this is called before chroot(2) and after it: the names
 * of USER_SPEC count as the second call finds them, groups that it cannot find keep the value that
 * they have in *IDENTITY. Returns NULL, or what is wrong in words (a static buffer). */
const char *lab_identify(struct lab_identity *identity, const char *user_spec, const char *groups);

/* Become IDENTITY: setgroups(2), setgid(2), setuid(2), in the only order that works.
 * Returns NULL, or the name of the call that failed, with errno. */
const char *lab_become(const struct lab_identity *identity);

#endif
