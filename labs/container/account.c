/* Users and groups as the root file system knows them, for privileges.h. */
#include <grp.h>
#include <limits.h>
#include <pwd.h>

#include "number.h"
#include "privileges.h"
#include "report.h"

enum { LARGEST = 1 << 20 }; /* bytes: fgetpwent(3) reads a long line again and again */

/* What the root file system says is a file may be a link to anywhere, a pipe that never ends or a
 * device; and it may grow while it is read. Returns a copy in memory, which the next call
 * overwrites, or NULL where it is not a plain file, as if it were not there. */
static FILE *open_plain(const char *path)
{
    static char text[LARGEST + 1];
    struct stat status;
    lab_fd root = must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /");
    lab_fd fd = lab_openat2(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
                            RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    /* EAGAIN: a process inside has a lease of it, for which an open file would wait 45 s and more.
     * What is in the file is for root inside to decide in any case. */
    if (fd == -1 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EAGAIN))
        return NULL;
    if (fd == -1 || fstat(fd, &status) == -1)
        fail("open /%s in the root file system", path);
    if (!S_ISREG(status.st_mode))
        return NULL;
    FILE *file = fdopen(fd, "r");
    if (!file)
        fail("open /%s in the root file system", path);
    lab_take_fd(&fd);
    const size_t length = fread(text, 1, sizeof(text), file);
    if (ferror(file))
        fail("read /%s in the root file system", path);
    fclose(file);
    if (length > LARGEST)
        give_up("/%s in the root file system is larger than %d MiB", path, LARGEST >> 20);
    file = fmemopen(text, length, "r");
    if (!file)
        fail("open /%s in memory", path);
    return file;
}

/* Reading has ended at ENTRY, or where FILE has no further one, or cannot be read: errno tells, and
 * ferror(3) not always. */
static void close_read(FILE *file, const char *path, const void *entry)
{
    if (file && !entry && errno != 0 && errno != ENOENT)
        fail("read /%s in the root file system", path);
    if (file)
        fclose(file);
}

/* The line of /etc/passwd for WORD, a name or a number. */
static bool find_user(struct account *account, const char *word)
{
    FILE *file = open_plain("etc/passwd");
    long long number = -1;
    const struct passwd *entry = NULL;
    bool is_number = lab_parse_number(word, 0, (uid_t)-2, &number);

    while (file && (errno = 0, entry = fgetpwent(file)) != NULL)
        if (strcmp(entry->pw_name, word) == 0 || (is_number && entry->pw_uid == (uid_t)number))
            break;
    close_read(file, "etc/passwd", entry);
    if (entry) {
        account->user = entry->pw_uid;
        account->group = entry->pw_gid;
        snprintf(account->name, sizeof(account->name), "%s", entry->pw_name);
        snprintf(account->home, sizeof(account->home), "%s", entry->pw_dir);
    } else if (is_number) {
        account->user = (uid_t)number;
    }
    return entry || is_number;
}

static bool is_member(const struct group *entry, const char *name)
{
    for (char *const *member = entry->gr_mem; *member; member++)
        if (strcmp(*member, name) == 0)
            return true;
    return false;
}

static void add_group(struct account *account, gid_t group)
{
    gid_t *more = reallocarray(account->groups, (size_t)account->group_count + 1, sizeof(*more));

    if (!more)
        fail("remember the groups of %s", account->name);
    if (account->group_count == NGROUPS_MAX)
        give_up("%s is in more than %d groups, which the kernel does not allow", account->name,
                NGROUPS_MAX);
    account->groups = more;
    account->groups[account->group_count++] = group;
}

/* The group WORD (NULL: none asked for), and the supplementary ones of the account's user. */
static bool find_groups(struct account *account, const char *word)
{
    FILE *file = open_plain("etc/group");
    long long number = -1;
    const struct group *entry;
    bool found = !word, is_number = word && lab_parse_number(word, 0, (gid_t)-2, &number);

    while (file && (errno = 0, entry = fgetgrent(file)) != NULL) {
        if (word && !found && strcmp(entry->gr_name, word) == 0) {
            account->group = entry->gr_gid;
            found = true;
        }
        if (!word && *account->name && is_member(entry, account->name))
            add_group(account, entry->gr_gid);
    }
    close_read(file, "etc/group", NULL);
    if (!found && is_number)
        account->group = (gid_t)number;
    return found || is_number;
}

void find_account(struct account *account, const char *user)
{
    char word[256];

    *account = (struct account){0};
    strcpy(account->home, user ? "/" : "/root"); /* where /etc/passwd has none */
    if (!user)
        user = "0";
    if (snprintf(word, sizeof(word), "%s", user) >= (int)sizeof(word))
        give_up("the user's name is too long");
    char *group = strchr(word, ':');
    if (group)
        *group++ = '\0';
    if (!find_user(account, word))
        give_up("the root file system has no user '%s'", word);
    if (!find_groups(account, group && *group ? group : NULL))
        give_up("the root file system has no group '%s'", group);
}
