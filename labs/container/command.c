#include "inside.h"

#include <signal.h>
#include <sys/syscall.h>

#include "privileges.h"
#include "report.h"
#include "terminal.h"
#include "unprivileged.h"

enum { MAXIMUM_ENVIRONMENT = MAXIMUM_ITEMS + 8 };

/* Put ENTRY, "KEY=VALUE", into ENVIRONMENT, in place of one with the same key. */
static void set_environment(const char *environment[], const char *entry)
{
    size_t key = strcspn(entry, "=") + 1;
    int i = 0;

    while (environment[i] && strncmp(environment[i], entry, key) != 0)
        i++;
    environment[i] = entry;
}

static void make_environment(const char *environment[], const struct specification *spec,
                             const struct account *account)
{
    static char home[300], hostname[NAME_SIZE + 16];

    snprintf(home, sizeof(home), "HOME=%s", account->home);
    snprintf(hostname, sizeof(hostname), "HOSTNAME=%s", spec->hostname);
    set_environment(environment,
                    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    set_environment(environment, hostname);
    set_environment(environment, home);
    if (spec->terminal)
        set_environment(environment, "TERM=xterm");
    for (int i = 0; i < spec->environment_count; i++)
        set_environment(environment, spec->environment[i]);
}

/* The working directory must be inside: a descriptor of the machine's that was left open could make
 * /proc/self/fd/N a way to it (CVE-2024-21626). So no such link is followed, and the kernel is
 * asked afterwards whether the place can be reached from the root. */
static void enter_directory(const char *path)
{
    char present[PATH_MAX];
    lab_fd root = must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open /");
    lab_fd directory =
        lab_openat2(root, path, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    if (directory == -1 && errno == ENOENT)
        directory = lab_make_directory_in(root, path);
    if (directory == -1 || fchdir(directory) == -1)
        fail("working directory '%s'", path);
    if (syscall(SYS_getcwd, present, sizeof(present)) == -1)
        fail("look where the working directory '%s' is", path);
    if (present[0] != '/')
        give_up("working directory '%s' is outside of the container", path);
}

static void take_streams(const struct command *command, const struct account *account)
{
    if (command->terminals != -1) {
        terminal_open(command->terminals, account->user, command->rows, command->columns);
        return;
    }
    must(setsid(), "setsid");
    for (int i = 0; i < 3; i++) {
        /* The command may open /dev/stdout, which is the pipe. */
        if (fchown(command->ends.streams[i], account->user, account->group) == -1 ||
            dup2(command->ends.streams[i], i) == -1)
            fail("standard stream %d", i);
    }
}

/* Two descriptors stay: the launcher, as 4, until it is executed, and the socket, as 3, until the
 * launcher has executed the command. */
static int close_others(int launcher, bool really)
{
    int socket = fcntl(report_socket, F_DUPFD_CLOEXEC, 5),
        file = fcntl(launcher, F_DUPFD_CLOEXEC, 5);

    if (socket == -1 || file == -1 || dup2(socket, 3) == -1 || dup3(file, 4, O_CLOEXEC) == -1)
        fail("keep the socket");
    report_socket = 3;
    if (really && close_range(5, ~0U, 0) == -1)
        fail("close_range");
    return 4;
}

/* By the launcher; or, to show what it is good for, by this program itself. */
__attribute__((noreturn)) static void execute(const struct specification *spec, int launcher,
                                              const char *environment[])
{
    static char directories[PATH_MAX];
    sigset_t all;
    int count = 0;

    if (spec->without & WALL_BINARY) {
        /* As the launcher does. */
        const struct message starting = {.kind = MESSAGE_STARTING};
        if (fcntl(report_socket, F_SETFD, FD_CLOEXEC) == -1 ||
            send_message(report_socket, &starting, NULL, 0) == -1)
            fail("start '%s'", spec->command[0]);
        execve(spec->command[0], spec->command, (char *const *)environment);
        give_up_command(spec->command[0], errno);
    }
    for (int i = 0; environment[i]; i++)
        if (strncmp(environment[i], "PATH=", 5) == 0)
            snprintf(directories, sizeof(directories), "%s", environment[i] + 5);
    while (spec->command[count])
        count++;
    char **words = calloc((size_t)count + 3, sizeof(char *));
    if (!words)
        fail("calloc");
    words[0] = spec->init ? "init" : "run";
    words[1] = directories;
    memcpy(words + 2, spec->command, (size_t)count * sizeof(char *));
    if (spec->init) {
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
    }
    execveat(launcher, "", words, (char *const *)environment, AT_EMPTY_PATH);
    fail("execute the launcher");
}

void become_command(const struct command *command)
{
    static const char *environment[MAXIMUM_ENVIRONMENT + 1];
    const struct specification *spec = command->spec;
    struct account account;

    find_account(&account, spec->user);
    check_ids(account.user, account.group);
    make_environment(environment, spec, &account);
    umask(022);
    enter_directory(spec->directory ? spec->directory : "/");
    take_streams(command, &account);
    int launcher = close_others(command->launcher, !(spec->without & WALL_DESCRIPTORS));
    drop_privileges(spec, &account, &command->filter);
    execute(spec, launcher, environment);
}
