#include "probe.h"

#include <errno.h>
#include <sched.h>

#include "error.h"
#include "file.h"
#include "namespace.h"
#include "process.h"
#include "rootless.h"

const char *probe_unshare_remedy(int error, const char *name)
{
    static char remedy[256];

    if (error == ENOSPC)
        snprintf(remedy, sizeof(remedy),
                 "a limit forbids it: sysctl -w user.max_%s_namespaces=10000 (it counts for every "
                 "user namespace above this one, too)",
                 name);
    else if (error == EINVAL)
        snprintf(remedy, sizeof(remedy), "the kernel is built without it: %s", ELSEWHERE);
    else
        snprintf(remedy, sizeof(remedy), "a container or a filter forbids it: %s", ELSEWHERE);
    return remedy;
}

/* The kind of namespaces with this NAME ("mnt"), NULL where there is none. */
static const struct lab_namespace *namespace_named(const char *name)
{
    for (int i = 0; i < LAB_NAMESPACES; i++)
        if (strcmp(lab_namespaces[i].name, name) == 0)
            return &lab_namespaces[i];
    return NULL;
}

void probe_unshare(const char *name)
{
    const struct lab_namespace *kind = namespace_named(name);

    if (unshare(kind->flag) == -1)
        lab_die_remedy(probe_unshare_remedy(errno, name), "unshare %s", kind->flag_name);
}

/* Map root to root in the user namespace that was just made. user_namespaces(7). */
static void map_root(void)
{
    static const char map[] = "0 0 1";

    if (lab_write_file("/proc/self/uid_map", map) == -1)
        lab_die_remedy(ELSEWHERE, "write '%s' to /proc/self/uid_map", map);
}

/* A child of ours is in the namespace, if anybody is: for pid and time the caller itself is not. */
void probe_namespace(const void *name)
{
    enum { NOT_INSIDE = 2 };
    const ino_t before = lab_namespace_inode(0, name);
    int status, error = errno;

    probe_unshare(name);
    errno = error;
    if (before == 0)
        lab_die("look at the %s namespace", (const char *)name);
    if (strcmp(name, "user") == 0)
        map_root();
    pid_t child = fork();
    if (child == -1)
        lab_die_remedy(ELSEWHERE, "fork into it");
    if (child == 0) {
        const ino_t inside = lab_namespace_inode(0, name);
        if (inside == 0)
            lab_die("look at the %s namespace of a child", (const char *)name);
        _exit(inside == before || (strcmp(name, "pid") == 0 && getpid() != 1) ? NOT_INSIDE : 0);
    }
    status = lab_must_wait(child);
    if (status != 0 && status != NOT_INSIDE)
        exit(status);
    if (status != 0)
        probe_refuse(ELSEWHERE, "a child is not in the new namespace");
    printf("made and entered\n");
}

/* AppArmor lets the namespace be made and then gives no rights in it, so something is done that
 * needs one: a host name in a UTS namespace. */
void probe_unprivileged(const void *unused)
{
    enum { NOBODY = 65534 };

    (void)unused;
    if (geteuid() == 0 && (setgid(NOBODY) == -1 || setuid(NOBODY) == -1))
        probe_note(
            "there is no such user in this user namespace: try it as an ordinary user, or outside",
            "untried: become uid %d: %s", NOBODY, lab_strerror(errno));
    if (unshare(CLONE_NEWUSER) == -1)
        probe_note(lab_rootless_remedy(), "unshare CLONE_NEWUSER as uid %d: %s", (int)getuid(),
                   lab_strerror(errno));
    if (unshare(CLONE_NEWUTS) == -1 || sethostname("doctor", 6) == -1)
        probe_note(lab_rootless_remedy(), "no rights in its user namespace, as uid %d: %s",
                   (int)getuid(), lab_strerror(errno));
    printf("uid %d has made one, and has rights in it\n", (int)getuid());
}

/* The labs ask the same, with the same function. */
void probe_ids(const void *many)
{
    unsigned count = 65536;

    if (!many && !lab_choose_ids(65534, NULL))
        probe_note("lab 03 shows root's own ID in its place", "no user or group 65534");
    if (many && !lab_choose_ids(100000, NULL) && lab_is_root_of_machine())
        probe_refuse("leave this user namespace, or make one with more users and groups",
                     "user 0 is the machine's root, and there is no user or group 100000");
    if (many && !lab_choose_ids(100000, &count))
        probe_note(
            "install newuidmap (package uidmap), and get a range: sudo usermod --add-subuids "
            "200000-265535 --add-subgids 200000-265535 $USER; lab 09 plays with one ID, too",
            "no user or group 100000");
    if (many && count < 65536)
        probe_note("the container of lab 09 has these", "%u from 100000 on", count);
    printf("%s\n", many ? "65536 users and groups" : "a user and a group");
}
