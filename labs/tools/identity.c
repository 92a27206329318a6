#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "number.h"

/* (uid_t)-1 means "leave it" to the system calls, so it is nobody. */
static const long long LARGEST_ID = (long long)(uid_t)-2;

enum { LONGEST_NAME = 256 }; /* with its NUL */

/* What is wrong, in words. */
__attribute__((format(printf, 1, 2))) static const char *wrong(const char *format, ...)
{
    static char problem[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    return problem;
}

/* A number as strtoul(3) takes it, but not below zero; after a plus it is no name. */
static bool read_id(const char *word, unsigned *id)
{
    const char *digits = word + strspn(word, " \t\n");
    long long number;

    if (!lab_parse_number(digits + (*digits == '+'), 0, LARGEST_ID, &number))
        return false;
    *id = (unsigned)number;
    return true;
}

bool lab_find_user(const char *word, uid_t *user)
{
    errno = 0;
    const struct passwd *entry = *word == '+' ? NULL : getpwnam(word);

    if (entry)
        *user = entry->pw_uid;
    else
        lab_must_have_read("/etc/passwd", word);
    return entry || read_id(word, user);
}

bool lab_find_group(const char *word, gid_t *group)
{
    errno = 0;
    const struct group *entry = *word == '+' ? NULL : getgrnam(word);

    if (entry)
        *group = entry->gr_gid;
    else
        lab_must_have_read("/etc/group", word);
    return entry || read_id(word, group);
}

/* Copy the part of TEXT before the first of ENDS. Returns whether it is short enough for a name. */
static bool first_word(char word[LONGEST_NAME], const char *text, const char *ends)
{
    size_t length = strcspn(text, ends);

    snprintf(word, LONGEST_NAME, "%.*s", (int)length, text);
    return length < LONGEST_NAME;
}

/* "USER", "USER:", "USER:GROUP", ":GROUP" or "". */
static const char *identify_spec(struct lab_identity *identity, const char *spec)
{
    uid_t user = identity->user;
    gid_t group = identity->group;
    char word[LONGEST_NAME];
    const char *colon = strchr(spec, ':');

    if (!first_word(word, spec, ":"))
        return wrong("invalid user: '%.200s'", spec);
    if (*word && !lab_find_user(word, &user))
        return wrong("invalid user: '%s'", spec);
    if (colon && colon[1] && !lab_find_group(colon + 1, &group))
        return wrong("invalid group: '%s'", spec);
    identity->user = user, identity->group = group;
    identity->has_user |= *word != '\0';
    identity->has_group |= colon && colon[1];
    return NULL;
}

/* GROUPS, COUNT of them, take the place of those that were found before. */
static void keep_groups(struct lab_identity *identity, gid_t *groups, int count)
{
    free(identity->groups);
    identity->groups = groups;
    identity->group_count = count;
    identity->has_groups = true;
}

static const char *identify_groups(struct lab_identity *identity, const char *list)
{
    gid_t *groups = calloc(strlen(list) + 1, sizeof(*groups));
    char word[LONGEST_NAME];
    int count = 0;

    if (!groups)
        return "out of memory";
    for (list += strspn(list, ","); *list; list += strspn(list, ",")) {
        if (!first_word(word, list, ",") || !lab_find_group(word, &groups[count++])) {
            free(groups);
            return wrong("invalid group: '%.*s'", (int)strcspn(list, ","), list);
        }
        list += strlen(word);
    }
    keep_groups(identity, groups, count);
    return NULL;
}

/* The supplementary groups that /etc/group gives to the user. */
static const char *identify_groups_of_user(struct lab_identity *identity)
{
    int count = 0;

    errno = 0;
    getgrouplist(identity->name, identity->group, NULL, &count);
    lab_must_have_read("/etc/group", identity->name);
    errno = 0;
    gid_t *groups = calloc((size_t)count, sizeof(*groups));
    const int result = groups ? getgrouplist(identity->name, identity->group, groups, &count) : -1;
    lab_must_have_read("/etc/group", identity->name);
    if (result == -1) {
        free(groups);
        return wrong("the groups of '%s' cannot be found", identity->name);
    }
    keep_groups(identity, groups, count);
    return NULL;
}

/* The name of the user, and the group if none was given: what /etc/passwd says. */
static const char *identify_user(struct lab_identity *identity)
{
    char number[16];

    errno = 0;
    const struct passwd *entry = getpwuid(identity->user);
    snprintf(number, sizeof(number), "%u", identity->user);
    if (!entry) {
        lab_must_have_read("/etc/passwd", number);
        return identity->has_group
                   ? NULL
                   : wrong("no group specified for unknown uid: %u", identity->user);
    }
    if (!identity->has_group)
        identity->group = entry->pw_gid;
    identity->has_group = true;
    snprintf(identity->name, sizeof(identity->name), "%s", entry->pw_name);
    return NULL;
}

const char *lab_identify(struct lab_identity *identity, const char *user_spec, const char *groups)
{
    const char *trouble = user_spec ? identify_spec(identity, user_spec) : NULL;

    if (!trouble && identity->has_user && (!groups || !identity->has_group))
        trouble = identify_user(identity);
    if (trouble)
        return trouble;
    if (groups && *groups && groups[strspn(groups, ",")] == '\0')
        trouble = wrong("invalid group list: '%s'", groups);
    else if (groups)
        trouble = identify_groups(identity, groups);
    else if (identity->has_group && *identity->name)
        trouble = identify_groups_of_user(identity);
    return identity->has_groups ? NULL : trouble;
}

const char *lab_become(const struct lab_identity *identity)
{
    /* Without the right to change groups there is no way back: the user comes last. A user without
     * supplementary groups of its own must not keep ours. */
    if ((identity->has_user || identity->has_groups) &&
        setgroups((size_t)identity->group_count, identity->groups) == -1)
        return "setgroups";
    if (identity->has_group && setgid(identity->group) == -1)
        return "setgid";
    if (identity->has_user && setuid(identity->user) == -1)
        return "setuid";
    return NULL;
}
