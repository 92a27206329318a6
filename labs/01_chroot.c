/*
 * 01_chroot - a process with another root directory.
 *
 *     sudo ./labs/01_chroot                     the experiment: build a jail, enter it, walk out
 *     sudo ./labs/01_chroot NEWROOT [COMMAND]   the tool: chroot(1)
 *
 * Shows chroot(2), why a program needs more than its own file, and why a runtime uses
 * pivot_root(2) instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "identity.h"
#include "narrate.h"
#include "process.h"
#include "rootfs.h"
#include "run.h"

static const char JAIL[] = "my_root";          /* the article's name for the new root */
static const char HOST_FILE[] = "/etc/passwd"; /* a file that every machine has */

/*
 * The mechanism.
 */

/* From here on, "/" of this process and of its children is DIRECTORY. The working directory stays
 * where it was, outside: without the chdir, "." would be a door left open. */
static void change_root(const char *directory, bool change_directory)
{
    if (chroot(directory) == -1)
        lab_die_remedy(errno == EPERM ? "only root may: try sudo" : NULL,
                       "cannot change root directory to '%s'", directory);
    if (change_directory && chdir("/") == -1)
        lab_die("cannot chdir to root directory");
}

/* What breaks out of chroot: keep a directory open, move the root below it, and climb. ".." stops
 * only at the root, and the root is now behind us. */
static void climb_out(void)
{
    int held = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (held == -1 || (mkdir("nested", 0755) == -1 && errno != EEXIST) || chroot("nested") == -1 ||
        fchdir(held) == -1)
        lab_die("hold a directory and move the root below it");
    for (int level = 0; level < 64; level++)
        if (chdir("..") == -1)
            lab_die("chdir ..");
    if (chroot(".") == -1)
        lab_die("chroot .");
}

/* What holds: in a mount namespace of its own, make DIRECTORY the root of the whole namespace and
 * take the old root off the tree. There is nothing left above it to climb to. */
static void pivot_into(const char *directory)
{
    if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
        mount(directory, directory, NULL, MS_BIND | MS_REC, NULL) == -1 || chdir(directory) == -1)
        lab_die("make '%s' a mount of its own", directory);
    /* The old root is stacked on the new one ("." on "."), so one umount takes it away. */
    if (syscall(SYS_pivot_root, ".", ".") == -1 || umount2(".", MNT_DETACH) == -1 ||
        chdir("/") == -1)
        lab_die("pivot_root");
}

/*
 * The tool.
 */

static const char HELP[] =
    "Usage: 01_chroot [OPTION]... NEWROOT [COMMAND [ARG]...]\n"
    "   or: 01_chroot [--step] [--shell]\n"
    "Run COMMAND ('\"$SHELL\" -i' if none) with root directory set to NEWROOT.\n"
    "Without NEWROOT, play the experiment.\n"
    "\n"
    "  --groups=G_LIST        supplementary groups as g1,g2,..,gN\n"
    "  --userspec=USER:GROUP  user and group (ID or name) to use\n"
    "  --skip-chdir           do not change working directory to '/'\n"
    "  --with=PROGRAM         first copy PROGRAM and its libraries into NEWROOT (repeatable)\n"
    "  --step                 experiment: wait for Enter after each step\n"
    "  --shell                experiment: end with a shell in the jail\n"
    "  --help, --version      print this, or the version, and exit\n"
    "\n"
    "Exit status: 125 if 01_chroot itself fails, 126 if COMMAND cannot be invoked,\n"
    "127 if it is not found, else that of COMMAND.\n";

static struct {
    const char *groups, *user_spec, **with;
    int with_count;
    bool skip_chdir;
} wanted;

static void read_options(int argc, char *argv[])
{
    static const struct option options[] = {
        {"groups", required_argument, NULL, 'g'},
        {"userspec", required_argument, NULL, 'u'},
        {"skip-chdir", no_argument, NULL, 's'},
        {"with", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    int option;

    wanted.with = calloc((size_t)argc, sizeof(*wanted.with));
    if (!wanted.with)
        lab_die("remember %d arguments", argc);
    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'g')
            wanted.groups = optarg;
        else if (option == 'u')
            wanted.user_spec = optarg;
        else if (option == 's')
            wanted.skip_chdir = true;
        else if (option == 'w')
            wanted.with[wanted.with_count++] = optarg;
        else if (option == 'h')
            lab_print_help(HELP);
        else if (option == 'v')
            lab_print_version();
        else
            lab_try_help(lab_exit_failure);
    }
}

/* A name that is unknown may well be known outside: say where it was looked up. */
__attribute__((noreturn)) static void refuse_identity(const char *trouble, const char *new_root)
{
    const char *file = strncmp(trouble, "invalid user: ", 14) == 0    ? "passwd"
                       : strncmp(trouble, "invalid group: ", 15) == 0 ? "group"
                                                                      : NULL;

    if (!file)
        lab_exit(lab_exit_failure, "%s", trouble);
    lab_exit(lab_exit_failure, "%s (looked up in %s/etc/%s; give a number)", trouble, new_root,
             file);
}

/* Without a command: $SHELL, whose path may be one of the old root only. */
__attribute__((noreturn)) static void start_shell(void)
{
    char *shell[] = {getenv("SHELL"), "-i", NULL};
    bool chosen = shell[0] != NULL;

    if (!chosen)
        shell[0] = "/bin/sh";
    execvp(shell[0], shell);
    lab_exit(errno == ENOENT ? LAB_EXIT_NOT_FOUND : LAB_EXIT_CANNOT_INVOKE,
             "failed to run command '%s': %s (%s)", shell[0], strerror(errno),
             chosen ? "$SHELL; name another command, such as /bin/sh" : "name another command");
}

static int chroot_tool(int argc, char *argv[])
{
    struct lab_identity identity = {0};
    char resolved[PATH_MAX];

    lab_exit_failure = 125;
    read_options(argc, argv);
    if (optind == argc) {
        lab_warn("missing operand");
        lab_try_help(lab_exit_failure);
    }
    const char *new_root = argv[optind++];
    bool is_present_root = realpath(new_root, resolved) && strcmp(resolved, "/") == 0;
    if (wanted.skip_chdir && !is_present_root) {
        lab_warn("option --skip-chdir only permitted if NEWROOT is old '/'");
        lab_try_help(lab_exit_failure);
    }
    for (int i = 0; i < wanted.with_count; i++)
        if (!lab_find_command(wanted.with[i], NULL, 0))
            lab_die("find the program '%s'", wanted.with[i]);
    for (int i = 0; i < wanted.with_count; i++)
        if (lab_copy_program(new_root, wanted.with[i]) == -1)
            lab_die("copy %s and its libraries into '%s'", wanted.with[i], new_root);
    /* Names count as the new root knows them. Groups that it does not know, the old one may. */
    if (!is_present_root)
        lab_identify(&identity, wanted.user_spec, wanted.groups);
    change_root(new_root, !wanted.skip_chdir);
    const char *trouble = lab_identify(&identity, wanted.user_spec, wanted.groups);
    if (trouble)
        refuse_identity(trouble, is_present_root ? "" : new_root);
    const char *failed_call = lab_become(&identity);
    if (failed_call)
        lab_die("%s", failed_call);
    if (optind == argc)
        start_shell();
    lab_exec(argv + optind);
}

/*
 * The experiment.
 */

static int in_jail(void *argv)
{
    change_root(JAIL, true);
    lab_exec(argv);
}

/* Run a command in the jail and show what it says. */
static void try_in_jail(struct lab_output *output, const char *argv[])
{
    lab_shell_command("chroot my_root", argv);
    if (lab_listen(output, in_jail, argv) == -1)
        lab_die("start a child");
    lab_quote(output->text);
    lab_fact("chroot.exit_status", "%d", output->status);
}

static void copy_in(const char *source, const char *path)
{
    lab_fd root = open(JAIL, O_PATH | O_DIRECTORY | O_CLOEXEC);

    lab_shell("cp %s %s%s", source, JAIL, path);
    if (root == -1 || lab_copy_file_in(root, path, source, 0755) == -1)
        lab_die("copy %s to %s%s", source, JAIL, path);
}

static void empty_root(void)
{
    LAB_OUTPUT output = {0};

    lab_step("an empty directory as root");
    lab_shell("mkdir %s", JAIL);
    if (mkdir(JAIL, 0755) == -1)
        lab_die("mkdir %s", JAIL);
    try_in_jail(&output, (const char *[]){"/bin/bash", NULL});
    lab_check_number(output.status, 127, "nothing can run in an empty root (exit status 127)");
    lab_check(strstr(output.text, "'/bin/bash': No such file or directory"),
              "execve(2) of /bin/bash says ENOENT");
}

static void static_program_runs(void)
{
    char busybox[PATH_MAX], loader[PATH_MAX];
    LAB_OUTPUT output = {0};

    lab_step("a static program needs nothing but itself");
    if (lab_find_busybox(busybox, sizeof(busybox)) == -1 ||
        lab_loader_of(busybox, loader, sizeof(loader)) == -1 || *loader)
        lab_cannot_run("no static busybox is installed",
                       "install the package busybox-static, or name one in BUSYBOX");
    copy_in(busybox, "/bin/busybox");
    try_in_jail(&output, (const char *[]){"/bin/busybox", "ls", "/", NULL});
    lab_check_text(output.text, "bin\n", "it runs, and all it sees in / is the jail's bin");
}

static void missing_loader(void)
{
    char loader[PATH_MAX], inside[PATH_MAX * 2];
    LAB_OUTPUT output = {0};

    lab_step("bash is in there now, and still \"not found\"");
    copy_in("/bin/bash", "/bin/bash");
    try_in_jail(&output, (const char *[]){"/bin/bash", NULL});
    lab_check_number(output.status, 127, "the file is there and the error is the same");
    lab_say("The kernel does not start bash itself but the loader that bash names in its segment\n"
            "PT_INTERP. That one is missing, and ENOENT does not say which file it means.");
    if (lab_loader_of("/bin/bash", loader, sizeof(loader)) == -1)
        lab_die("read the ELF header of /bin/bash");
    lab_fact("loader", "%s", loader);
    snprintf(inside, sizeof(inside), "%s%s", JAIL, loader);
    lab_check(access(loader, F_OK) == 0 && access(inside, F_OK) == -1,
              "%s exists outside and not in the jail", loader);
}

static int check_copy(const char *path, void *count)
{
    char inside[PATH_MAX];
    struct stat outer = {0}, inner = {0};

    snprintf(inside, sizeof(inside), "%s%s", JAIL, path);
    bool copied = stat(path, &outer) == 0 && stat(inside, &inner) == 0;
    lab_check(copied && outer.st_size == inner.st_size, "%s (%lld bytes)", inside,
              (long long)inner.st_size);
    ++*(int *)count;
    return 0;
}

static void copy_libraries(void)
{
    LAB_OUTPUT ldd = {0};
    int count = 0;

    lab_step("copy what ldd names, each to the same path");
    lab_need_command("ldd", "libc-bin");
    lab_shell("ldd /bin/bash");
    if (lab_listen_command(&ldd, (const char *const[]){"ldd", "/bin/bash", NULL}) == -1)
        lab_die("start ldd");
    lab_quote(ldd.text);
    if (lab_copy_program(JAIL, "/bin/bash") == -1)
        lab_die("copy the libraries of /bin/bash");
    lab_libraries_of("/bin/bash", check_copy, &count);
    lab_check(count >= 1, "%d files are in the jail that were missing", count);
}

static void inside_the_jail(void)
{
    LAB_OUTPUT output = {0};

    lab_step("bash runs in the jail");
    try_in_jail(&output, (const char *[]){"/bin/bash", "-c", "echo bash-$BASH_VERSION; pwd", NULL});
    lab_check(strncmp(output.text, "bash-", 5) == 0 && output.text[5] >= '1',
              "bash tells its version from inside");
    lab_check(strstr(output.text, "\n/\n"), "its working directory is /");
}

static void nothing_else_inside(void)
{
    LAB_OUTPUT output = {0};

    lab_step("and that is all there is");
    try_in_jail(&output, (const char *[]){"/bin/bash", "-c", "ls", NULL});
    lab_check(output.status == 127 && output.text && strstr(output.text, "ls: command not found"),
              "ls: command not found (exit status 127)");
}

static void enter_jail(void)
{
    change_root(JAIL, true);
}

enum { BY_CHROOT = 0, BY_PIVOT = 1, THEN_CLIMB = 2 };

/* Can the machine's file be opened from inside? Returns 0 or the errno of open(2). */
static int open_host_file(void *how)
{
    if (*(int *)how & BY_PIVOT)
        pivot_into(JAIL);
    else
        enter_jail();
    if (*(int *)how & THEN_CLIMB)
        climb_out();
    return open(HOST_FILE, O_RDONLY | O_CLOEXEC) == -1 ? errno : 0;
}

static int errno_of_host_file(int how)
{
    LAB_OUTPUT output = {0};

    if (lab_listen(&output, open_host_file, &how) == -1)
        lab_die("start a child");
    lab_fact("open.errno", "%s", output.status ? lab_strerror(output.status) : "0 (opened)");
    return output.status;
}

static void hidden_files(void)
{
    lab_step("the files of the machine are hidden");
    lab_shell("cat %s   # inside", HOST_FILE);
    lab_check(access(HOST_FILE, R_OK) == 0, "%s is there for everybody outside", HOST_FILE);
    lab_check_errno(errno_of_host_file(BY_CHROOT), ENOENT, "inside it is not");
}

static void walk_out(void)
{
    lab_step("beyond the article: hidden is not locked up");
    lab_say(
        "Root in the jail keeps a directory open, moves its root below that directory by a second\n"
        "chroot, and climbs: \"..\" stops only at the root, and the root is below now.");
    lab_shell("mkdir nested; chroot nested; cd ..; cd ..; ...; chroot .");
    lab_check_errno(errno_of_host_file(BY_CHROOT | THEN_CLIMB), 0,
                    "root has walked out of the jail");
    lab_say(
        "pivot_root(2) changes the root of a mount namespace and lets the old one be unmounted.\n"
        "Then nothing lies above the root any more. Container runtimes do this.");
    lab_check_errno(errno_of_host_file(BY_PIVOT | THEN_CLIMB), ENOENT,
                    "from a root entered by pivot_root the same climb leads nowhere");
    lab_shell_enters(enter_jail);
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return chroot_tool(argc, argv);
    lab_open("01", "a process with another root", 8, argc, argv);
    empty_root();
    static_program_runs();
    missing_loader();
    copy_libraries();
    inside_the_jail();
    nothing_else_inside();
    hidden_files();
    walk_out();
    return lab_close();
}
