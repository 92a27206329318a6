/*
 * 01_chroot - a process with another root directory.
 *
 *     sudo ./labs/01_chroot                     the experiment: build a jail, enter it, walk out
 *     sudo ./labs/01_chroot NEWROOT [COMMAND]   chroot(1): labs/tools/01_chroot.c
 *
 * Shows chroot(2), why a program needs more than its own file, and why a container runtime uses
 * pivot_root(2) instead. The last two steps go beyond the article that the labs follow.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <wordexp.h>

#include "lab.h"

int chroot_tool(int argc, char *argv[]);

/* The mechanism. */

/* Makes my_root the "/" of this process and of its children. chroot(2) does not change the working
 * directory: without chdir(2), "." would still be outside, and ".." would lead further up. */
static void enter_jail(void)
{
    lab_must(chroot("my_root"));
    lab_must(chdir("/"));
}

/* Whether the working directory is the top of the mount tree: ".." of the top is the top. */
static bool is_at_the_top(void)
{
    struct stat here, above;

    lab_must(stat(".", &here));
    lab_must(stat("..", &above));
    return here.st_dev == above.st_dev && here.st_ino == above.st_ino;
}

/* The way out of a chroot, for root: the kernel stops ".." at the root of the process and at the
 * top of the mount tree. So move the root below a directory, return there, and climb: ".." never
 * meets the root. (chroot(2) alone leaves "." above the root. The held directory leads back also
 * where "." was moved as well, as chroot(1) does it by chdir.) */
static void climb_out(void)
{
    int held = (int)lab_do(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

    lab_do(chroot("bin"));
    lab_do(chdir("/"));
    lab_do(fchdir(held));
    do
        lab_do(chdir(".."));
    while (!is_at_the_top());
    lab_do(chroot("."));
}

/* Makes my_root the root of a whole mount namespace and unmounts the old root. Nothing is left
 * above the new one, so the climb cannot leave it. pivot_root(2) needs a new root that is a mount,
 * hence the bind mount, and mounts that do not propagate to other namespaces, hence MS_PRIVATE. */
static void pivot_into_jail(void)
{
    lab_do(unshare(CLONE_NEWNS));
    lab_do(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    lab_do(mount("my_root", "my_root", NULL, MS_BIND | MS_REC, NULL));
    lab_do(chdir("my_root"));
    /* This mounts the old root over the new one: both are "/" now. "." is looked up as the mount on
     * top, the old root; umount2(2) removes it and uncovers the new one. */
    lab_do(syscall(SYS_pivot_root, ".", "."));
    lab_do(umount2(".", MNT_DETACH));
}

/* The experiment. A process does not get its old root back, so each try is a child. */

static int execute_in_jail(void *line)
{
    wordexp_t words; /* split as a shell splits them: there is no shell in the jail */

    if (wordexp(line, &words, WRDE_NOCMD) != 0)
        lab_die("split %s", (char *)line);
    enter_jail();
    lab_exec(words.we_wordv);
}

static struct lab_answer try_in_jail(const char *line)
{
    lab_type("chroot my_root %s", line);
    struct lab_answer answer = lab_try_in_child(execute_in_jail, (void *)line);
    lab_fact("chroot.exit_status", "%d", answer.status);
    return answer;
}

static void empty_root(void)
{
    lab_step("an empty directory as root");
    lab_mkdir("my_root");
    struct lab_answer bash = try_in_jail("/bin/bash");
    lab_check_number(bash.status, 127, "nothing can run in an empty root (exit status 127)");
    lab_check(strstr(bash.text, "'/bin/bash': No such file or directory"),
              "execve(2) of /bin/bash says ENOENT");
}

static void static_program_runs(void)
{
    lab_step("a static program needs nothing but itself");
    const char *busybox = lab_need_busybox(true);
    lab_mkdir("my_root/bin");
    lab_run("cp %s my_root/bin/busybox", busybox);
    struct lab_answer list = try_in_jail("/bin/busybox ls /");
    lab_check_text(list.text, "bin\n", "it runs, and all it sees in / is the jail's bin");
}

static void missing_loader(void)
{
    lab_step("bash is in there now, and still \"not found\"");
    lab_run("cp /bin/bash my_root/bin/bash");
    struct lab_answer bash = try_in_jail("/bin/bash");
    lab_check_number(bash.status, 127, "the file is there and the error is the same");
    lab_say("The kernel does not start bash itself, but the loader that bash names in its segment\n"
            "PT_INTERP. The loader is missing, and ENOENT does not tell which file it means.");
    struct lab_answer answer = lab_try("readelf -l /bin/bash | grep -o '/lib[^]]*'");
    const char *loader = lab_path("%.*s", (int)strcspn(answer.text, "\n"), answer.text);
    lab_fact("loader", "%s", loader);
    lab_check(lab_exists("%s", loader) && !lab_exists("my_root%s", loader),
              "%s exists outside and not in the jail", loader);
}

static void check_copy(const char *path)
{
    struct stat outside = {0}, inside = {0};
    bool copied = stat(path, &outside) == 0 && stat(lab_path("my_root%s", path), &inside) == 0;

    lab_check(copied && inside.st_size == outside.st_size, "my_root%s (%lld bytes)", path,
              (long long)inside.st_size);
}

static void copy_libraries(void)
{
    int count = 0;

    lab_step("copy what ldd names, each to the same path");
    struct lab_answer ldd = lab_try("ldd /bin/bash");
    lab_run("cp --parents $(ldd /bin/bash | grep -o '/[^ ]*') my_root");
    for (const char *path = ldd.text; (path = strchr(path, '/')); count++) {
        int length = (int)strcspn(path, " ");
        check_copy(lab_path("%.*s", length, path));
        path += length;
    }
    lab_check(count >= 1, "%d files are in the jail that were missing", count);
}

static void inside_the_jail(void)
{
    lab_step("bash runs in the jail");
    struct lab_answer bash = try_in_jail("/bin/bash -c 'echo bash-$BASH_VERSION; pwd'");
    lab_check(strncmp(bash.text, "bash-", 5) == 0 && bash.text[5] >= '1',
              "bash tells its version from inside");
    lab_check(strstr(bash.text, "\n/\n"), "its working directory is /");
}

static void nothing_else_inside(void)
{
    lab_step("and that is all there is");
    struct lab_answer list = try_in_jail("/bin/bash -c ls");
    lab_check(list.status == 127 && strstr(list.text, "ls: command not found"),
              "ls: command not found (exit status 127)");
}

/* How the open(2) of a file that every machine has ends in a child, after ENTER() and CLIMB(): the
 * name of the errno, or "0". */
static const char *open_host_file(void (*enter)(void), void (*climb)(void))
{
    pid_t child = (pid_t)lab_must(lab_fork());

    if (child == 0) {
        enter();
        if (climb)
            climb();
        exit(open("/etc/passwd", O_RDONLY | O_CLOEXEC) == -1 ? errno : 0);
    }
    int error = lab_wait(child);
    lab_fact("open.errno", "%s", error ? lab_strerror(error) : "0 (opened)");
    const char *name = strerrorname_np(error); /* NULL: a signal has ended the child */
    return name ? name : "no errno";
}

static void hidden_files(void)
{
    lab_step("the files of the machine are hidden");
    lab_check(lab_exists("/etc/passwd"), "/etc/passwd is there outside");
    struct lab_answer cat = try_in_jail("/bin/busybox cat /etc/passwd");
    lab_check_number(cat.status, 1, "busybox does not find it inside");
    lab_check_text(open_host_file(enter_jail, NULL), "ENOENT",
                   "inside it is not there: open(2) says ENOENT");
}

static void walk_out(void)
{
    lab_step("beyond the article: hidden is not locked up");
    lab_say(
        "Root in the jail holds its directory open, moves its root below that directory by a\n"
        "second chroot, returns, and climbs: \"..\" does not meet the root, which is below now.");
    lab_check_text(open_host_file(enter_jail, climb_out), "0", "root has walked out of the jail");
}

static void locked_up(void)
{
    lab_step("beyond the article: a root with nothing above it");
    lab_say(
        "pivot_root(2) changes the root of a mount namespace, and the old root can be unmounted.\n"
        "Then nothing is above the root any more. Container runtimes do this.");
    lab_check_text(open_host_file(pivot_into_jail, climb_out), "ENOENT",
                   "from a root entered by pivot_root the same climb leads nowhere");
    lab_check(lab_exists("/etc/passwd"), "outside, /etc/passwd is still there");
}

int main(int argc, char *argv[])
{
    lab_open("01", "a process with another root", 9, chroot_tool, argc, argv);
    lab_need_commands("ldd:libc-bin readelf:binutils");
    empty_root();
    static_program_runs();
    missing_loader();
    copy_libraries();
    inside_the_jail();
    nothing_else_inside();
    hidden_files();
    walk_out();
    locked_up();
    return lab_close("chroot my_root /bin/bash");
}
