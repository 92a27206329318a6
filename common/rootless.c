#include "rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "lab.h"
#include "process.h"

static struct {
    unsigned long further; /* IDs beside the caller's own */
    char runs[160];
} rootless;

/* A range of users or groups that the administrator has given to the caller. */
struct range {
    unsigned long first, count;
};

const char *lab_rootless;

/* Whether PATH is a directory of USER's in which he can make others. One that cannot be looked at
 * for another reason than its rights may be that: elsewhere his containers would not be found. */
static bool is_directory_of(const char *path, uid_t user)
{
    struct stat status;

    if (stat(path, &status) == 0) {
        if (!S_ISDIR(status.st_mode) || status.st_uid != user)
            return false;
        if (access(path, W_OK | X_OK) == 0)
            return true;
    }
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES && errno != EROFS)
        lab_die("look at XDG_RUNTIME_DIR '%s'", path);
    return false;
}

static void choose_runs(uid_t user)
{
    const char *directory = getenv("XDG_RUNTIME_DIR");

    if (directory && *directory == '/' && strlen(directory) < sizeof(rootless.runs) / 2 &&
        is_directory_of(directory, user))
        snprintf(rootless.runs, sizeof(rootless.runs), "%s/container-labs", directory);
    else
        snprintf(rootless.runs, sizeof(rootless.runs), "/tmp/container-labs-%u", user);
}

const char *lab_runs(void)
{
    if (!*rootless.runs && geteuid() == 0)
        strcpy(rootless.runs, "/run/container-labs");
    else if (!*rootless.runs)
        choose_runs(geteuid());
    return rootless.runs;
}

static int number_in(const char *path)
{
    char text[32];

    return lab_read_file(path, text, sizeof(text)) == -1 ? -1 : atoi(text);
}

const char *lab_rootless_remedy(void)
{
    if (number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
        return "AppArmor forbids it (Ubuntu since 24.04): "
               "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    if (number_in("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return "a sysctl forbids it (Debian): sysctl -w kernel.unprivileged_userns_clone=1";
    if (number_in("/proc/sys/user/max_user_namespaces") == 0)
        return "a limit forbids it: sysctl -w user.max_user_namespaces=10000";
    return "a container or a filter forbids it: run the labs on the machine itself, or in a "
           "virtual one (make vm)";
}

__attribute__((noreturn)) static void cannot_enter(const char *call)
{
    char missing[256], remedy[512];

    snprintf(missing, sizeof(missing), "without root, %s: %s", call, lab_strerror(errno));
    snprintf(remedy, sizeof(remedy), "%s; or type: sudo %s", lab_rootless_remedy(),
             program_invocation_name);
    lab_cannot_run(missing, remedy);
}

/* The first range that FILE has for USER, by name or by number: "alice:100000:65536". A file that
 * is not there gives none, one that cannot be read, nor the passwd database, is not taken for it.
 */
static struct range find_range(const char *file, uid_t user)
{
    struct range range = {0};
    char number[16], owner[256], line[512];

    snprintf(number, sizeof(number), "%u", user);
    errno = 0;
    const struct passwd *entry = getpwuid(user);
    if (!entry)
        lab_must_have_read("/etc/passwd", number);
    FILE *ranges = fopen(file, "re");
    if (!ranges && errno != ENOENT)
        lab_die("read %s", file);
    while (ranges && !range.count && fgets(line, sizeof(line), ranges)) {
        struct range found;
        if (sscanf(line, "%255[^:]:%lu:%lu", owner, &found.first, &found.count) == 3 &&
            (strcmp(owner, number) == 0 || (entry && strcmp(owner, entry->pw_name) == 0)))
            range = found;
    }
    if (ranges && ferror(ranges))
        lab_die("read %s", file);
    if (ranges)
        fclose(ranges);
    return range;
}

/* Map the IDs of process PID by PROGRAM, newuidmap or newgidmap: OWN to 0, and RANGE to the numbers
 * that the pages name, 1 to 65535 and from 100000 on. */
static void map_range(const char *program, pid_t pid, unsigned own, struct range range)
{
    enum { LOW = 65535, HIGH = 100000 };
    const unsigned long low = range.count < LOW ? range.count : LOW;
    const unsigned long numbers[] = {
        (unsigned long)pid, 0, own, 1, 1, range.first, low, HIGH, range.first + low,
        range.count - low};
    const char *argv[LAB_COUNT(numbers) + 2] = {program};
    char words[LAB_COUNT(numbers)][24];
    LAB_OUTPUT output = {0};

    for (int i = 0; i < LAB_COUNT(numbers) - (range.count > low ? 0 : 3); i++) {
        snprintf(words[i], sizeof(words[i]), "%lu", numbers[i]);
        argv[i + 1] = words[i];
    }
    if (lab_listen_command(&output, argv, LAB_PROGRAM) == -1)
        lab_die("run %s", program);
    if (output.status != 0 && *output.text) /* it begins with its name */
        lab_warn("%.*s", (int)strcspn(output.text, "\n"), output.text);
    else if (output.status != 0)
        lab_warn("%s ended with status %d", program, output.status);
}

/* In a child, which stays outside: newuidmap maps the IDs of another process, its parent, as soon
 * as that is in the namespace and writes to START, an eventfd(2). */
static pid_t start_mapper(int *start)
{
    const struct range users = find_range("/etc/subuid", geteuid());
    const struct range groups = find_range("/etc/subgid", geteuid());
    const pid_t target = getpid();
    eventfd_t started;

    if (users.count == 0 || groups.count == 0 || !lab_has_command("newuidmap") ||
        !lab_has_command("newgidmap"))
        return 0;
    *start = eventfd(0, EFD_CLOEXEC);
    if (*start == -1)
        lab_die("eventfd");
    pid_t child = lab_fork();
    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (eventfd_read(*start, &started) == -1)
            lab_die("wait for the user namespace of process %d", (int)target);
        map_range("newuidmap", target, geteuid(), users);
        map_range("newgidmap", target, getegid(), groups);
        _exit(EXIT_SUCCESS);
    }
    rootless.further = users.count;
    return child;
}

/* Map OWN to 0 in the file MAP where nothing is mapped yet: a user may map the own ID alone. */
static void map_own(const char *map, unsigned own)
{
    char text[4096];

    const ssize_t length = lab_read_file(map, text, sizeof(text));
    if (length == -1)
        lab_die("read %s", map);
    if (length > 0)
        return;
    rootless.further = 0;
    snprintf(text, sizeof(text), "0 %u 1", own);
    /* Else a user could leave a group by which a file denies access. */
    if (strstr(map, "gid") && lab_write_file("/proc/self/setgroups", "deny") == -1)
        cannot_enter("write /proc/self/setgroups");
    if (lab_write_file(map, text) == -1)
        cannot_enter(map);
}

void lab_extend_path(void)
{
    char path[8192];

    if (snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", getenv("PATH")) >= (int)sizeof(path) ||
        setenv("PATH", path, 1) == -1)
        lab_die("extend PATH");
}

static void describe_way(uid_t user)
{
    static char way[160];
    char ids[32] = "no other ID";

    if (rootless.further)
        snprintf(ids, sizeof(ids), "%lu more IDs", rootless.further);
    snprintf(way, sizeof(way),
             "(without root: user %u is root of a user namespace with %s; root would add %scontrol "
             "groups)",
             user, ids, rootless.further ? "" : "IDs and ");
    lab_rootless = way;
}

void lab_become_root(void)
{
    const uid_t user = geteuid();
    const gid_t group = getegid();
    int start = -1;

    if (user == 0)
        return;
    lab_runs(); /* that of this user, not of root inside */
    lab_extend_path();
    pid_t mapper = start_mapper(&start);
    if (unshare(CLONE_NEWUSER) == -1)
        cannot_enter("unshare CLONE_NEWUSER");
    if (mapper > 0) {
        if (eventfd_write(start, 1) == -1)
            lab_die("start newuidmap");
        close(start);
        const int status = lab_must_wait(mapper);
        if (status != 0) /* it has told why, unless by a signal */
            lab_exit(lab_exit_failure, "the process that maps the IDs ended with status %d",
                     status);
    }
    map_own("/proc/self/uid_map", user);
    map_own("/proc/self/gid_map", group);
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) == -1)
        cannot_enter("unshare CLONE_NEWNS");
    describe_way(user);
}
