/*
 * 02_rootfs - the shell of an operating system: a root file system out of one program.
 *
 *     sudo ./labs/02_rootfs      the experiment: build one, enter it, share it
 *     ./labs/02_rootfs DIR       the tool: leave a root file system in DIR
 *
 * Shows that the image of a system is files and nothing else, that one busybox fills it, and how
 * overlayfs lets many containers use the same one. What is put into it is listed in
 * common/rootfs.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "command.h"
#include "error.h"
#include "file.h"
#include "fill.h"
#include "narrate.h"
#include "process.h"
#include "rootfs.h"
#include "run.h"

static const char ROOTFS[] = "rootfs";             /* the experiment's root file system */
static const char PAGE[] = "a page of the rootfs"; /* what its web server has to offer */
static const long long ENOUGH_BYTES = 100000000LL; /* of /usr; the article's "100 MB" */

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/*
 * The mechanism.
 */

static void change_root(const char *directory)
{
    if (chroot(directory) == -1 || chdir("/") == -1)
        lab_die("change root directory to '%s'", directory);
}

/* Go on as the first process of a small container whose root is DIRECTORY. Programs like ps ask the
 * kernel through /proc, so the new PID namespace gets a /proc of its own. That mount, and
 * everything that is started in here, vanishes with this process. */
static void enter_container(const char *directory)
{
    pid_t first = lab_clone(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC, 0);

    if (first == -1)
        lab_die("clone into new namespaces");
    if (first > 0)
        _exit(lab_wait(first));
    change_root(directory);
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
        lab_die("mount proc on %s/proc", directory);
}

/* Give the container NAME its own view of the base: NAME/merged shows NAME/upper on top of BASE.
 * Everything written goes to upper; the lower directory is only ever read. */
static void mount_overlay(const char *base, const char *name)
{
    static const char *const parts[] = {"", "/upper", "/work", "/merged"};
    char path[64], options[256];

    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s%s", name, parts[i]);
        if (mkdir(path, 0755) == -1)
            lab_die("mkdir %s", path);
    }
    snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", base, name,
             name);
    lab_shell("mkdir -p %s/upper %s/work %s/merged", name, name, name);
    lab_shell("mount -t overlay -o %s overlay %s", options, path);
    if (mount("overlay", path, "overlay", 0, options) == 0)
        return;
    if (errno == ENODEV)
        lab_cannot_run("this kernel has no overlayfs", "try: modprobe overlay");
    lab_die("mount overlay on %s", path);
}

/*
 * The tool.
 */

static const char HELP[] =
    "Usage: 02_rootfs [OPTION]... DIR\n"
    "   or: 02_rootfs [--step] [--shell]\n"
    "Make a root file system out of a busybox in DIR, which is empty or not there yet.\n"
    "Without DIR, play the experiment.\n"
    "\n"
    "  --busybox=FILE     the busybox to use, with its libraries where it has any\n"
    "                     ($BUSYBOX, or else busybox.static or busybox in PATH)\n"
    "  --tar=FILE         also pack it into the tar archive FILE, everything owned by root\n"
    "  --step             experiment: wait for Enter after each step\n"
    "  --shell            experiment: end with a shell in the root file system\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0 if all is there, 1 if not (then nothing is left in DIR), 2 for bad usage.\n";

static struct {
    const char *directory, *busybox, *tar;
} tool;

static void read_options(int argc, char *argv[])
{
    static const struct option options[] = {
        {"busybox", required_argument, NULL, 'b'},
        {"tar", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    int option;

    argv[0] = program_invocation_short_name;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'b')
            tool.busybox = optarg;
        else if (option == 't')
            tool.tar = optarg;
        else if (option == 'h')
            lab_print_help(HELP);
        else if (option == 'v')
            lab_print_version();
        else
            lab_try_help(LAB_EXIT_USAGE);
    }
    tool.directory = argv[optind];
    if (optind + 1 == argc && *tool.directory)
        return;
    if (optind + 1 < argc)
        lab_warn("one DIR is filled at a time; '%s' is one too many", argv[optind + 1]);
    else
        lab_warn(tool.directory ? "the name of DIR is empty" : "missing operand: which DIR?");
    lab_try_help(LAB_EXIT_USAGE);
}

/* Pack DIR into the open archive. Whoever made the files, in the archive root owns them. */
static void pack(const char *directory, int archive)
{
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (dup2(archive, STDOUT_FILENO) == -1)
            lab_die("dup2");
        lab_exec((char *const *)WORDS("tar", "-C", directory, "--numeric-owner", "--owner=0",
                                      "--group=0", "--sort=name", "-cf", "-", "."));
    }
    int status = lab_wait(child);
    if (status != 0)
        lab_exit(EXIT_FAILURE, "pack '%s' into '%s': tar ended with status %d", directory, tool.tar,
                 status);
}

/* The archive must be no part of what goes into it. */
static void check_archive(int archive, const char *directory, const char *busybox)
{
    const char *slash = strrchr(tool.tar, '/');
    struct stat itself, other;
    char inside[PATH_MAX];

    if (fstat(archive, &itself) == -1)
        lab_die("stat the archive '%s'", tool.tar);
    snprintf(inside, sizeof(inside), "%s/%s", directory, slash ? slash + 1 : tool.tar);
    if (stat(inside, &other) == 0 && lab_same_file(&itself, &other))
        lab_exit(EXIT_FAILURE, "the archive '%s' would lie in '%s', which goes into it", tool.tar,
                 directory);
    if (stat(busybox, &other) == 0 && lab_same_file(&itself, &other))
        lab_exit(EXIT_FAILURE, "the archive '%s' is the busybox that goes into it", tool.tar);
}

/* What fills DIR. It may exit at any point: lab_fill_directory() then takes all of it back. */
static void build(const char *directory)
{
    char found[PATH_MAX];
    const char *busybox = tool.busybox ? tool.busybox : found;
    struct stat status;
    lab_fd archive = -1;

    if (tool.tar && (archive = open(tool.tar, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) == -1)
        lab_die("open the archive '%s'", tool.tar);
    if (!tool.busybox && lab_find_busybox(found, sizeof(found)) == -1)
        lab_die_remedy("install the package busybox-static, or name one by --busybox",
                       "find a busybox");
    if (access(busybox, R_OK | X_OK) == -1)
        lab_die("use the busybox '%s'", busybox);
    if (tool.tar)
        check_archive(archive, directory, busybox);
    if (lab_make_rootfs(directory, busybox) == -1)
        lab_die_remedy(errno == ENOEXEC  ? "it is no program that this machine can run"
                       : errno == EINVAL ? "it is no busybox: `busybox --list` names a sh"
                                         : "nothing was left behind",
                       "make a root file system in '%s' out of '%s'", directory, busybox);
    /* All users inside must be able to pass through "/"; mktemp -d makes it for one. */
    if (stat(directory, &status) == -1 ||
        ((status.st_mode & 0755) != 0755 && chmod(directory, status.st_mode | 0755) == -1))
        lab_die("chmod '%s'", directory);
    if (archive == -1)
        return;
    if (ftruncate(archive, 0) == -1 && errno != EINVAL) /* EINVAL: a pipe, a device */
        lab_die("empty the archive '%s'", tool.tar);
    pack(directory, archive);
}

static int rootfs_tool(int argc, char *argv[])
{
    read_options(argc, argv);
    lab_begin_as_usual();
    umask(022);
    bool makes_tar = tool.tar && faccessat(AT_FDCWD, tool.tar, F_OK, AT_SYMLINK_NOFOLLOW) == -1;
    int status = lab_fill_directory(tool.directory, build);
    if (status == -1)
        lab_die_remedy(errno == EBUSY ? "another run is filling it" : "nothing was changed",
                       "fill the directory '%s'", tool.directory);
    if (status != 0 && makes_tar)
        unlink(tool.tar);
    return status;
}

/*
 * The experiment.
 */

/* A command, and how it comes to its root directory. */
struct inside {
    void (*enter)(const char *directory);
    const char *directory;
    const char *const *argv;
};

static int run_inside(void *argument)
{
    const struct inside *inside = argument;

    inside->enter(inside->directory);
    /* The PATH of the machine may name other directories than those that are in there. */
    if (setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1) == -1)
        lab_die("setenv PATH");
    lab_exec((char *const *)inside->argv);
}

static void listen_inside(struct lab_output *output, struct inside inside)
{
    if (lab_listen(output, run_inside, &inside) == -1)
        lab_die("start a child");
}

/* The same, shown to the reader. */
static void try_inside(struct lab_output *output, struct inside inside)
{
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "chroot %s", inside.directory);
    lab_shell_command(prefix, inside.argv);
    listen_inside(output, inside);
    lab_quote(output->text);
}

/* The contents of a small file; the errno for one that cannot be read. */
static const char *contents(const char *path)
{
    static char text[4096];

    if (lab_read_file(path, text, sizeof(text)) == -1)
        snprintf(text, sizeof(text), "%s", lab_strerror(errno));
    return text;
}

/* Run a command outside that has no reason to fail. */
static void listen_outside(struct lab_output *output, const char *const argv[])
{
    if (lab_listen_command(output, argv) == -1)
        lab_die("start %s", argv[0]);
    if (output->status != 0)
        lab_exit(EXIT_FAILURE, "%s: status %d: %s", argv[0], output->status, output->text);
}

/* What a person would do by hand, 268 times. */
static const char CALL_EACH[] = "exec > /tmp/calls\n"
                                "for link in /bin/*; do\n"
                                "    [ \"$link\" = /bin/busybox ] && continue\n"
                                "    said=$(\"$link\" --help 2>&1)\n"
                                "    case \"$? $said\" in\n"
                                "    126* | 127* | *'applet not found'*) echo \"$link: $said\" ;;\n"
                                "    *) called=$((called + 1)) ;;\n"
                                "    esac\n"
                                "done\n"
                                "echo ${called:-0} links run\n";

/* Call every link with --help, in a container: even a reboot could end nothing else there. */
static void call_each_link(int applets)
{
    const unsigned patience = 60 * (unsigned)lab_slowness();
    char expected[64];
    pid_t child = lab_fork();

    if (child == -1)
        lab_die("fork");
    if (child == 0) {
        if (!freopen("/dev/null", "r", stdin) || unshare(CLONE_NEWNET) == -1)
            lab_die("open /dev/null, which is not inside, and leave the network");
        alarm(patience); /* half a second is enough where nobody else needs the CPU */
        run_inside(&(struct inside){enter_container, ROOTFS, WORDS("sh", "-c", CALL_EACH)});
    }
    lab_shell("for link in /bin/*; do $link --help; done   # inside");
    if (lab_wait(child) == 128 + SIGALRM)
        lab_say("(It was ended after %u seconds: one of them hangs, or the machine is very busy.)",
                patience);
    lab_quote(contents("rootfs/tmp/calls"));
    snprintf(expected, sizeof(expected), "%d links run", applets);
    lab_check_text(contents("rootfs/tmp/calls"), expected, "each of the links runs inside");
}

static void build_it(void)
{
    char busybox[PATH_MAX];
    LAB_OUTPUT listing = {0};

    lab_step("a root file system out of one program");
    if (lab_find_busybox(busybox, sizeof(busybox)) == -1)
        lab_cannot_run("no busybox is installed",
                       "install the package busybox-static, or name one in BUSYBOX");
    lab_shell("02_rootfs %s", ROOTFS);
    if (mkdir(ROOTFS, 0755) == -1)
        lab_die("mkdir %s", ROOTFS);
    int applets = lab_make_rootfs(ROOTFS, busybox);
    if (applets == -1)
        lab_die("make a root file system out of %s", busybox);
    try_inside(&listing, (struct inside){change_root, ROOTFS, WORDS("ls", "-C", "/")});
    lab_fact("busybox", "%s", busybox);
    lab_fact("applets", "%d", applets);
    lab_check(applets >= 100, "one program answers to some hundred names");
    call_each_link(applets);
}

static void compare_sizes(void)
{
    lab_step("how small it is");
    lab_shell("du -s %s /usr", ROOTFS);
    long long ours = lab_disk_usage(ROOTFS, 0), host = lab_disk_usage("/usr", ENOUGH_BYTES);
    if (ours == -1 || host == -1)
        lab_die("measure %s and /usr", ROOTFS);
    lab_fact("rootfs.bytes", "%lld", ours);
    lab_fact("usr.bytes", "%s%lld", host > ENOUGH_BYTES ? "counted until more than " : "",
             host > ENOUGH_BYTES ? ENOUGH_BYTES : host);
    lab_check(ours > 0 && host > 20 * ours,
              "the machine's own /usr is more than 20 times as large");
}

static void another_shell(void)
{
    const char *const *id = WORDS("stat", "-L", "-c", "%d:%i", "/bin/sh");
    LAB_OUTPUT outside = {0}, inside = {0}, copy = {0};

    lab_step("its /bin/sh is not the machine's");
    lab_say("A file is known by its device and inode number. The same path, looked up twice:");
    lab_shell_command("", id);
    listen_outside(&outside, id);
    lab_quote(outside.text);
    try_inside(&inside, (struct inside){change_root, ROOTFS, id});
    lab_check(inside.status == 0 && strcmp(inside.text, outside.text) != 0,
              "inside, /bin/sh is another file than outside");
    listen_outside(&copy, WORDS("stat", "-c", "%d:%i", "rootfs/bin/busybox"));
    inside.text[strcspn(inside.text, "\n")] = copy.text[strcspn(copy.text, "\n")] = '\0';
    lab_check_text(inside.text, copy.text, "it is the busybox that was copied");
}

/* Whether the output of ps is a heading and one row, that of ps itself as PID 1. */
static bool is_alone(const char *ps)
{
    const char *row = strchr(ps, '\n'), *end = row ? strchr(row + 1, '\n') : NULL;

    return end && end[1] == '\0' && strtol(row, NULL, 10) == 1 && strncmp(end - 3, " ps", 3) == 0;
}

static void ps_and_mount(void)
{
    LAB_OUTPUT without = {0}, ps = {0}, mounts = {0};

    lab_step("ps and mount, with and without /proc");
    try_inside(&without, (struct inside){change_root, ROOTFS, WORDS("mount")});
    lab_check(without.status != 0, "without /proc, mount cannot know");
    lab_say("Now in new PID and mount namespaces, which lab 03 is about:");
    lab_shell("unshare --pid --fork --mount sh; mount -t proc proc %s/proc", ROOTFS);
    try_inside(&ps, (struct inside){enter_container, ROOTFS, WORDS("ps")});
    lab_check(ps.status == 0 && is_alone(ps.text), "ps sees one process: itself, number 1");
    try_inside(&mounts, (struct inside){enter_container, ROOTFS, WORDS("mount")});
    lab_check(mounts.status == 0 && strncmp(mounts.text, "proc on /proc type proc", 23) == 0,
              "mount sees one mount: the new /proc");
}

/* Fetch URL by wget as soon as the server listens: "refused" is asked again, for some seconds. */
static void fetch(struct lab_output *output, const char *url)
{
    char busybox[PATH_MAX];

    if (lab_find_busybox(busybox, sizeof(busybox)) == -1 || unsetenv("http_proxy") == -1)
        lab_die("find busybox");
    lab_shell("busybox wget -q -O - %s   # outside, in another terminal", url);
    for (int attempt = 0; attempt < 500; attempt++) {
        lab_output_free(output);
        if (lab_listen_command(output, WORDS(busybox, "wget", "-q", "-O", "-", url)) == -1)
            lab_die("start wget");
        if (!strstr(output->text, "refused"))
            break;
        poll(NULL, 0, 10);
    }
    lab_quote(output->text);
}

static bool has_httpd;

static void web_server(void)
{
    const char *const httpd[] = {"httpd", "-f", "-p", "127.0.0.1:80", "-h", "/var/www", NULL};
    LAB_OUTPUT loopback = {0}, page = {0}, other = {0};
    lab_fd root = open(ROOTFS, O_PATH | O_DIRECTORY | O_CLOEXEC);

    lab_step("a web server is in there too");
    has_httpd = access("rootfs/bin/httpd", F_OK) == 0;
    if (!has_httpd) {
        lab_say("NOT SHOWN: this busybox was built without httpd.");
        return;
    }
    lab_say("In a network of our own, so that its port is nobody else's:");
    lab_shell("unshare --net sh; ip link set lo up");
    if (unshare(CLONE_NEWNET) == -1)
        lab_die("unshare CLONE_NEWNET");
    listen_outside(&loopback, WORDS("ip", "link", "set", "lo", "up"));
    lab_shell("mkdir %s/var/www; echo '%s' > %s/var/www/page", ROOTFS, PAGE, ROOTFS);
    if (root == -1 || lab_write_text_in(root, "var/www/page", PAGE, 0644) == -1)
        lab_die("write the page");
    lab_shell_command("chroot rootfs", httpd);
    pid_t server = lab_fork();
    if (server == -1)
        lab_die("fork");
    if (server == 0)
        run_inside(&(struct inside){enter_container, ROOTFS, httpd});
    fetch(&page, "http://127.0.0.1/page");
    lab_check_text(page.text, PAGE, "the page of the server inside is read outside");
    fetch(&other, "http://127.0.0.1/etc/hostname");
    lab_check(other.status != 0 && strstr(other.text, "404"),
              "what is not below its /var/www is not found (404)");
    kill(server, SIGKILL); /* and with it, PID 1 in there */
    lab_wait(server);
}

static void two_containers(void)
{
    LAB_OUTPUT before = {0}, after = {0}, a = {0}, b = {0}, upper = {0};
    struct stat whiteout = {0};

    lab_step("beyond the article: two containers on one base");
    listen_outside(&before, WORDS("ls", "-lRi", ROOTFS));
    mount_overlay(ROOTFS, "A");
    mount_overlay(ROOTFS, "B");
    try_inside(&a, (struct inside){change_root, "A/merged",
                                   WORDS("sh", "-c", "echo A > /etc/hostname; rm /etc/hosts")});
    try_inside(&b,
               (struct inside){change_root, "B/merged",
                               WORDS("sh", "-c", "echo B > /etc/hostname; echo hi > /etc/motd")});
    lab_check_text(contents("A/merged/etc/hostname"), "A", "A has its own /etc/hostname");
    lab_check_text(contents("B/merged/etc/hostname"), "B", "B has another one");
    lab_check_text(contents("rootfs/etc/hostname"), "container", "the base has the old one");
    lab_check(access("B/merged/etc/motd", F_OK) == 0 && access("A/merged/etc/motd", F_OK) == -1,
              "what B has added is not there for A");
    lab_check(access("A/merged/etc/hosts", F_OK) == -1 && access("B/merged/etc/hosts", F_OK) == 0,
              "what A has deleted is still there for B");
    listen_outside(&after, WORDS("ls", "-lRi", ROOTFS));
    lab_check(strcmp(before.text, after.text) == 0, "of the whole base, no file has changed");
    lab_say("All changes are in the upper directories. A character device 0, 0 is a whiteout: it\n"
            "says that the file of this name below it is deleted.");
    lab_shell("ls -l A/upper/etc B/upper/etc");
    listen_outside(&upper, WORDS("ls", "-l", "A/upper/etc", "B/upper/etc"));
    lab_quote(upper.text);
    lab_check(lstat("A/upper/etc/hosts", &whiteout) == 0 && S_ISCHR(whiteout.st_mode) &&
                  whiteout.st_rdev == makedev(0, 0),
              "A's upper directory has a whiteout for /etc/hosts");
}

static void enter_rootfs(void)
{
    enter_container(ROOTFS);
}

int main(int argc, char *argv[])
{
    if (argc > 1 && !lab_is_experiment_option(argv[1]))
        return rootfs_tool(argc, argv);
    lab_open("02", "the shell of an operating system", 6, argc, argv);
    lab_need_command("ip", "iproute2");
    lab_shell_enters(enter_rootfs);
    build_it();
    compare_sizes();
    another_shell();
    ps_and_mount();
    web_server();
    two_containers();
    int status = lab_close();
    if (status == EXIT_SUCCESS && !has_httpd)
        lab_cannot_run("step 5 was not shown: this busybox has no httpd",
                       "name one that has it in BUSYBOX");
    return status;
}
