#include "terminal.h"

#include <linux/magic.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>

#include "mounts.h"
#include "process.h"
#include "report.h"

static struct {
    struct termios before;
    bool changed;
} terminal;

/* The terminal's own number is its name in devpts. */
static void show_as_console(int terminals, int master)
{
    unsigned number;
    char name[16];
    struct stat status;
    lab_fd console = open("/dev/console", O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (console == -1 && errno == ENOENT)
        return;
    if (console == -1 || fstat(console, &status) == -1)
        fail("look at /dev/console");
    if (!S_ISREG(status.st_mode))
        return;
    must(ioctl(master, TIOCGPTN, &number), "ask for the terminal's number");
    snprintf(name, sizeof(name), "%u", number);
    lab_fd mount = clone_mount(terminals, name, false);
    if (mount == -1 || attach(mount, console) == -1)
        fail("show the terminal as /dev/console");
}

int terminal_open_slave(int master)
{
    return master == -1 ? -1 : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

void terminal_open(int terminals, uid_t owner, unsigned short rows, unsigned short columns)
{
    struct message message = {.kind = MESSAGE_TERMINAL};
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    struct statfs system;
    int unlocked = 0;

    must(fstatfs(terminals, &system), "look at /dev/pts in the container");
    if (system.f_type != DEVPTS_SUPER_MAGIC)
        give_up("/dev/pts in the container is not a devpts");
    lab_fd master = openat(terminals, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master == -1 || ioctl(master, TIOCSPTLCK, &unlocked) == -1)
        fail("open a terminal");
    lab_fd slave = terminal_open_slave(master);
    if (slave == -1 || fchown(slave, owner, (gid_t)-1) == -1 ||
        ioctl(slave, TIOCSWINSZ, &size) == -1)
        fail("open the terminal's other end");
    show_as_console(terminals, master);
    if (setsid() == -1 || ioctl(slave, TIOCSCTTY, 0) == -1)
        fail("make the terminal the controlling one");
    for (int i = 0; i < 3; i++)
        must(dup2(slave, i), "standard stream %d", i);
    must(send_message(report_socket, &message, &master, 1), "hand over the terminal");
}

void terminal_size(unsigned short *rows, unsigned short *columns)
{
    struct winsize size;

    *rows = 24, *columns = 80;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        *rows = size.ws_row, *columns = size.ws_col;
}

void terminal_resize(int master)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(master, TIOCSWINSZ, &size);
}

/* Whether standard input is a terminal: what cannot be told is not taken for something else. */
static bool is_terminal(void)
{
    if (isatty(STDIN_FILENO))
        return true;
    if (errno != ENOTTY && errno != EINVAL && errno != EBADF)
        fail("look whether standard input is a terminal");
    return false;
}

void terminal_make_raw(void)
{
    struct termios raw;

    if (!is_terminal())
        return;
    if (tcgetattr(STDIN_FILENO, &raw) == -1)
        fail("read the settings of the terminal");
    if (!terminal.changed)
        terminal.before = raw;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == -1)
        fail("change the settings of the terminal");
    terminal.changed = true;
}

/* From the background, where we may be when our parent was killed, setting a terminal stops the
 * process that tries, unless SIGTTOU is blocked. */
void terminal_restore(void)
{
    sigset_t background, before;

    if (!terminal.changed)
        return;
    sigemptyset(&background);
    sigaddset(&background, SIGTTOU);
    sigprocmask(SIG_BLOCK, &background, &before);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before) == -1)
        lab_warn_errno("restore the terminal, as `stty sane` does");
    sigprocmask(SIG_SETMASK, &before, NULL);
    terminal.changed = false;
}

static pid_t guarded;

static void forward_signal(int number)
{
    kill(guarded, number);
}

int terminal_guard(void)
{
    int ends[2], wait_status;

    if (!is_terminal())
        return -1;
    if (tcgetattr(STDIN_FILENO, &terminal.before) == -1 || pipe2(ends, O_CLOEXEC) == -1)
        lab_die("mind the terminal");
    fflush(stdout);
    guarded = fork();
    if (guarded == -1)
        lab_die("fork");
    if (guarded == 0) {
        close(ends[1]);
        return ends[0];
    }
    /* Ctrl-C and Ctrl-\ reach the child as well, which handles them. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, forward_signal);
    signal(SIGHUP, forward_signal);
    while (waitpid(guarded, &wait_status, 0) == -1)
        if (errno != EINTR)
            lab_die("wait for the runtime");
    terminal.changed = true;
    terminal_restore();
    exit(lab_shell_status(wait_status));
}
