/*
 * The tool 01_chroot: chroot(1), and --with, which copies programs into the new root.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "identity.h"
#include "process.h"
#include "rootfs.h"

int chroot_tool(int argc, char *argv[]);

/* From here on, "/" of this process and of its children is ROOT, an open directory: what is put in
 * the place of its path DIRECTORY meanwhile does not count. STAY: it is "/" already, and the
 * working directory stays. */
static void change_root(int root, const char *directory, bool stay)
{
    if ((!stay && fchdir(root) == -1) || chroot(stay ? directory : ".") == -1)
        lab_die_remedy(errno == EPERM ? "only root may: try sudo" : NULL,
                       "cannot change root directory to '%s'", directory);
}

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
    "  --step                 experiment: wait for Enter before each step\n"
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
        else
            lab_common_option(option, HELP, lab_exit_failure);
    }
}

/* A module of nsswitch.conf(5) is loaded when a lookup comes to it: after chroot(2) that is what
 * the new root has by its name, with the rights of root. So all are loaded before: no file has this
 * name, and the lookup comes to the last of them. */
static void load_modules(void)
{
    getpwnam("\n");
    getgrnam("\n");
}

/* A name that is unknown may well be known outside: say where it was looked up. */
__attribute__((noreturn)) static void refuse_identity(const char *trouble, const char *new_root)
{
    const char *file = strncmp(trouble, "invalid user: ", 14) == 0    ? "passwd"
                       : strncmp(trouble, "invalid group: ", 15) == 0 ? "group"
                                                                      : NULL;

    if (!file)
        lab_exit(lab_exit_failure, "%s", trouble);
    lab_exit(lab_exit_failure, "%s (looked up in %s/etc/%s; give a number: +1000)", trouble,
             new_root, file);
}

/* The owner of the new root may put a FIFO in the place of a list, for which the lookup would wait,
 * or a file without end. */
static void check_lists(const char *new_root)
{
    static const char *const lists[] = {"/etc/passwd", "/etc/group"};
    enum { LARGEST = 16 }; /* MiB */
    struct stat status;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const bool there = stat(lists[i], &status) == 0;
        if (!there && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            lab_die("look at %s%s", new_root, lists[i]);
        if (there && !S_ISREG(status.st_mode))
            lab_exit(lab_exit_failure, "%s%s is not a regular file", new_root, lists[i]);
        if (there && status.st_size > LARGEST << 20)
            lab_exit(lab_exit_failure, "%s%s is larger than %d MiB", new_root, lists[i], LARGEST);
    }
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

/* Open the new root, and copy the programs of --with into it. */
static int open_with_programs(const char *new_root)
{
    for (int i = 0; i < wanted.with_count; i++)
        if (!lab_find_command(wanted.with[i], NULL, 0))
            lab_die("find the program '%s'", wanted.with[i]);
    /* What is written by a link of proc(5) may be in a mount namespace that another user has made.
     */
    int root = lab_openat2(AT_FDCWD, new_root, O_PATH | O_DIRECTORY, 0,
                           wanted.with_count > 0 ? RESOLVE_NO_MAGICLINKS : 0);
    if (root == -1)
        lab_die("cannot change root directory to '%s'", new_root);
    for (int i = 0; i < wanted.with_count; i++)
        if (lab_copy_program(root, wanted.with[i]) == -1)
            lab_die("copy %s and its libraries into '%s'", wanted.with[i], new_root);
    return root;
}

int chroot_tool(int argc, char *argv[])
{
    struct lab_identity identity = {0};
    char resolved[PATH_MAX];

    lab_exit_failure = 125;
    lab_hold_streams();
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
    lab_fd root = open_with_programs(new_root);
    /* Names count as the new root knows them. Groups that it does not know, the old one may. */
    if (!is_present_root) {
        if (wanted.user_spec || wanted.groups)
            load_modules();
        lab_identify(&identity, wanted.user_spec, wanted.groups);
    }
    change_root(root, new_root, wanted.skip_chdir);
    if (wanted.user_spec || wanted.groups)
        check_lists(is_present_root ? "" : new_root);
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
