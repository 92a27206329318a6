#include "identity.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "number.h"

/* (uid_t)-1 means "leave it" to the system calls, so it is nobody. */
static const long long LARGEST_ID = (long long)(uid_t)-2;

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

bool lab_find_user(const char *word, uid_t *user)
{
    const struct passwd *entry = getpwnam(word);
    long long number;

    if (entry)
        *user = entry->pw_uid;
    else if (lab_parse_number(word, 0, LARGEST_ID, &number))
        *user = (uid_t)number;
    else
        return false;
    return true;
}

bool lab_find_group(const char *word, gid_t *group)
{
    const struct group *entry = getgrnam(word);
    long long number;

    if (entry)
        *group = entry->gr_gid;
    else if (lab_parse_number(word, 0, LARGEST_ID, &number))
        *group = (gid_t)number;
    else
        return false;
    return true;
}

/* "USER", "USER:", "USER:GROUP", ":GROUP" or "". */
static const char *identify_spec(struct lab_identity *identity, const char *spec)
{
    struct lab_identity found = *identity;
    char word[256];
    const char *colon = strchr(spec, ':');

    if (strlen(spec) >= sizeof(word))
        return wrong("invalid user: '%.200s'", spec);
    strcpy(word, spec);
    word[strcspn(word, ":")] = '\0';
    if (*word) {
        if (!lab_find_user(word, &found.user))
            return wrong("invalid user: '%s'", spec);
        found.has_user = true;
    }
    if (colon && colon[1]) {
        if (!lab_find_group(colon + 1, &found.group))
            return wrong("invalid group: '%s'", spec);
        found.has_group = true;
    }
    *identity = found;
    return NULL;
}

static const char *identify_groups(struct lab_identity *identity, const char *list)
{
    struct lab_identity found = {.has_groups = true};
    char words[1024], *rest;

    if (strlen(list) >= sizeof(words))
        return wrong("invalid group list: '%.200s...'", list);
    strcpy(words, list);
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (found.group_count == LAB_MAX_GROUPS)
            return wrong("too many groups: '%.200s'", list);
        if (!lab_find_group(word, &found.groups[found.group_count++]))
            return wrong("invalid group: '%s'", word);
    }
    if (*list && found.group_count == 0)
        return wrong("invalid group list: '%s'", list);
    identity->has_groups = true;
    identity->group_count = found.group_count;
    memcpy(identity->groups, found.groups, sizeof(found.groups));
    return NULL;
}

/* The group and the supplementary groups that /etc/passwd and /etc/group give to the user. */
static const char *identify_defaults(struct lab_identity *identity, bool groups_given)
{
    const struct passwd *entry = getpwuid(identity->user);

    if (!entry && !identity->has_group)
        return wrong("no group specified for unknown uid: %u", identity->user);
    if (!entry)
        return NULL;
    if (!identity->has_group)
        identity->group = entry->pw_gid;
    identity->has_group = true;
    if (groups_given)
        return NULL;
    int count = LAB_MAX_GROUPS;
    if (getgrouplist(entry->pw_name, identity->group, identity->groups, &count) == -1)
        return wrong("'%s' is in too many groups", entry->pw_name);
    identity->has_groups = true;
    identity->group_count = count;
    return NULL;
}

const char *lab_identify(struct lab_identity *identity, const char *user_spec, const char *groups)
{
    const char *trouble = NULL;

    if (user_spec)
        trouble = identify_spec(identity, user_spec);
    if (!trouble && identity->has_user)
        trouble = identify_defaults(identity, groups != NULL);
    if (trouble)
        return trouble;
    trouble = groups ? identify_groups(identity, groups) : NULL;
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
