#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "pidfd.h"
#include "specification.h"
#include "terminal.h"

enum {
    CHUNK = 4096,             /* a pipe that can be written to has room for this much */
    LOG_LIMIT = 1 << 20,      /* bytes in a log before it becomes the old one */
    SETTLED = 1000,           /* milliseconds after which a container is one that stays */
    TERMINAL_HOLDS = 1 << 16, /* bytes at most, in all its buffers */
    END_TIMES = 25,           /* how often Ctrl-D is typed for the end of input */
    END_PAUSE = 200,          /* milliseconds in between */
    CHANNELS = 3,
    POLLED = 2 * CHANNELS + 3,
};

/* Bytes on their way from one descriptor to another. */
struct channel {
    int from, to;
    bool logged;
    size_t length, sent;
    char bytes[CHUNK];
};

static struct {
    struct channel channels[CHANNELS]; /* input, output, error */
    int log;
    long long log_size;
    int asked;          /* the signal that asked for the end */
    long long deadline; /* milliseconds; 0: none */
    int ends;           /* how often Ctrl-D is to be typed yet */
} state;

static long long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int monitor_signals(void)
{
    static const int WANTED[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                 SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
    struct sigaction present;
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(WANTED) / sizeof(WANTED[0]); i++)
        if (sigaction(WANTED[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(&set, WANTED[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd == -1)
        lab_die("signalfd");
    return fd;
}

static const int ENDS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static bool asks_to_end(unsigned signal)
{
    for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++)
        if ((unsigned)ENDS[i] == signal)
            return true;
    return false;
}

int monitor_asked(void)
{
    const struct timespec at_once = {0};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++)
        sigaddset(&set, ENDS[i]);
    int signal = sigtimedwait(&set, NULL, &at_once);
    return signal > 0 ? signal : 0;
}

int monitor_until(int fd, int signals)
{
    struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo others;

    for (;;) {
        int ready = poll(polled, 2, -1);
        int asked = monitor_asked();
        if (asked)
            return asked;
        if (ready > 0 && polled[0].revents)
            return 0;
        if (ready > 0 && read(signals, &others, sizeof(others)) == -1)
            continue; /* nobody is there yet to hear them */
    }
}

bool process_hears(pid_t pid, int signal)
{
    char path[64], text[8192];
    unsigned long long caught = 0, blocked = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (lab_read_file(path, text, sizeof(text)) == -1)
        return false;
    const char *line = strstr(text, "\nSigBlk:"), *other = strstr(text, "\nSigCgt:");
    if (line)
        sscanf(line, "\nSigBlk: %llx", &blocked);
    if (other)
        sscanf(other, "\nSigCgt: %llx", &caught);
    return (caught | blocked) >> (signal - 1) & 1;
}

/*
 * The log: the newest LOG_LIMIT bytes at least, and never more than twice as many.
 */

static void open_log(const char *path)
{
    state.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    state.log_size = state.log == -1 ? 0 : lseek(state.log, 0, SEEK_END);
}

static void write_log(const char *path, const char *bytes, size_t length)
{
    char old[4096];

    if (state.log == -1)
        open_log(path);
    if (state.log_size + (long long)length > LOG_LIMIT) {
        snprintf(old, sizeof(old), "%s.old", path);
        rename(path, old);
        lab_close_fd(&state.log);
        open_log(path);
    }
    if (state.log != -1 && write(state.log, bytes, length) > 0)
        state.log_size += (long long)length;
}

/*
 * Carrying.
 */

/* The reader is gone, or nothing more will come. */
static void close_channel(struct channel *channel)
{
    lab_close_fd(&channel->from);
    channel->length = 0;
}

/* Returns how many bytes there were. */
static ssize_t take(struct channel *channel, const struct watched *watched)
{
    ssize_t count = read(channel->from, channel->bytes, sizeof(channel->bytes));

    if (count > 0) {
        channel->length = (size_t)count;
        channel->sent = 0;
        if (channel->logged && watched->log)
            write_log(watched->log, channel->bytes, channel->length);
        if (channel->to == -1)
            channel->length = 0;
        return count;
    }
    if (count == -1 && (errno == EAGAIN || errno == EINTR))
        return 0;
    close_channel(channel); /* the end, or EIO: the terminal's last user is gone */
    /* The container reads the end, too. */
    if (channel == &state.channels[0] && watched->master == -1)
        lab_close_fd(&channel->to);
    else if (channel == &state.channels[0])
        state.ends = END_TIMES;
    return 0;
}

static void give(struct channel *channel)
{
    ssize_t count =
        write(channel->to, channel->bytes + channel->sent, channel->length - channel->sent);

    if (count == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count == -1) {
        channel->length = 0;
        /* Nobody listens any more; what the container says goes on to the log. */
        if (channel == &state.channels[0])
            close_channel(channel);
        channel->to = -1;
        return;
    }
    channel->sent += (size_t)count;
    if (channel->sent == channel->length)
        channel->length = 0;
}

/* Wait until CHANNEL's reader reads. A signal says that nobody shall wait any longer: then the rest
 * goes to the log alone. */
static void give_in_time(struct channel *channel, const struct watched *watched)
{
    struct pollfd polled[] = {{.fd = channel->to, .events = POLLOUT},
                              {.fd = watched->signals, .events = POLLIN}};
    struct signalfd_siginfo info;

    if (poll(polled, 2, -1) == -1)
        return;
    if (polled[0].revents)
        give(channel);
    else if (read(watched->signals, &info, sizeof(info)) == sizeof(info) &&
             asks_to_end(info.ssi_signo))
        for (int i = 0; i < CHANNELS; i++)
            state.channels[i].to = -1, state.channels[i].length = 0;
}

/* What is on its way when the process has ended: no more than its pipe or terminal holds, as those
 * that it has left behind may talk for ever. */
static void carry_rest(struct channel *channel, const struct watched *watched)
{
    struct pollfd ready = {.fd = channel->from, .events = POLLIN};
    ssize_t left = fcntl(channel->from, F_GETPIPE_SZ);

    if (left == -1)
        left = TERMINAL_HOLDS;
    do {
        while (channel->length > 0)
            give_in_time(channel, watched);
        if (channel->from == -1 || left <= 0 || poll(&ready, 1, 0) < 1)
            break;
        left -= take(channel, watched);
    } while (channel->from != -1);
}

static void open_channels(const struct watched *watched)
{
    const bool has_terminal = watched->master != -1;
    const int input = has_terminal ? watched->master : watched->input;
    const int output = has_terminal ? watched->master : watched->output;

    memset(&state, 0, sizeof(state));
    state.log = -1;
    state.channels[0].from =
        input == -1 || (has_terminal && !watched->interactive) ? -1 : STDIN_FILENO;
    state.channels[0].to = input;
    state.channels[1].from = output;
    state.channels[1].to = watched->quiet ? -1 : STDOUT_FILENO;
    state.channels[2].from = watched->error;
    state.channels[2].to = watched->quiet ? -1 : STDERR_FILENO;
    state.channels[1].logged = state.channels[2].logged = true;
    /* Not to wait where there is less than it seemed. Our own ends alone: nobody else's. */
    for (int i = 0; i < CHANNELS; i++) {
        int ours = i == 0 ? state.channels[i].to : state.channels[i].from;
        if (ours != -1)
            fcntl(ours, F_SETFL, fcntl(ours, F_GETFL) | O_NONBLOCK);
    }
}

/*
 * Waiting.
 */

static void send_signal(const struct watched *watched, int signal)
{
    signal_process(watched->pidfd, signal);
}

/* A process 1 that would not hear the signal is ended as the signal would end any other. One that
 * does is asked to end by SIGTERM alone: then it has some seconds, and who asks twice means it. */
static void on_signal(const struct watched *watched)
{
    struct signalfd_siginfo info;

    if (read(watched->signals, &info, sizeof(info)) != sizeof(info))
        return;
    int signal = (int)info.ssi_signo;
    if (signal == SIGWINCH) {
        if (watched->master != -1)
            terminal_resize(watched->master);
        return;
    }
    bool heard = watched->pid == 0 || process_hears(watched->pid, signal);
    if (!heard || (signal == SIGTERM && state.deadline)) {
        state.asked = signal;
        send_signal(watched, SIGKILL);
        return;
    }
    send_signal(watched, signal);
    if (signal == SIGTERM)
        state.deadline = now() + STOP_SECONDS * 1000LL;
}

/* The process that goes on waiting needs hardly any of its pages: those that came from files can be
 * read again, even the one that it is just executing. */
static int give_back_pages(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        const uintptr_t in_page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
        const uintptr_t from = object->dlpi_addr + part->p_vaddr, to = from + part->p_memsz;
        /* Exactly its own pages: in the next ones may be what the loader has written. */
        if (part->p_type == PT_LOAD && !(part->p_flags & PF_W))
            /* NOLINTNEXTLINE(performance-no-int-to-ptr) an address of the loader is a number */
            madvise((void *)(from & ~in_page), ((to + in_page) & ~in_page) - (from & ~in_page),
                    MADV_DONTNEED);
    }
    return 0;
}

/* A terminal has no end of input, only a key for it; and a program that is just changing the
 * terminal's mode does not see it as one. So it is typed again and again for some time. */
static void type_end(const struct watched *watched)
{
    state.ends--;
    if (write(watched->master, "\4", 1) == -1)
        state.ends = 0;
}

static int wait_a_while(const struct watched *watched, struct pollfd polled[POLLED], bool *settled)
{
    const long long left = state.deadline - now();
    int timeout = state.deadline ? (int)(left < 0 ? 0 : left) : *settled ? -1 : SETTLED;

    for (size_t i = 0; i < CHANNELS; i++) {
        const struct channel *channel = &state.channels[i];
        bool full = channel->length > 0;
        polled[2 * i] = (struct pollfd){.fd = full ? -1 : channel->from, .events = POLLIN};
        polled[2 * i + 1] = (struct pollfd){.fd = full ? channel->to : -1, .events = POLLOUT};
    }
    polled[POLLED - 3] = (struct pollfd){.fd = watched->guard, .events = POLLIN};
    polled[POLLED - 2] = (struct pollfd){.fd = watched->signals, .events = POLLIN};
    polled[POLLED - 1] = (struct pollfd){.fd = watched->pidfd, .events = POLLIN};
    if (state.ends > 0 && (timeout == -1 || timeout > END_PAUSE))
        timeout = END_PAUSE;
    int ready = poll(polled, POLLED, timeout);
    if (ready == 0 && state.ends > 0)
        type_end(watched);
    else if (ready == 0 && !state.deadline) {
        *settled = true;
        dl_iterate_phdr(give_back_pages, NULL);
    }
    return ready;
}

static void watch(const struct watched *watched)
{
    struct pollfd polled[POLLED];
    bool settled = false;

    do {
        memset(polled, 0, sizeof(polled));
        if (wait_a_while(watched, polled, &settled) == -1)
            continue;
        for (size_t i = 0; i < CHANNELS; i++) {
            if (polled[2 * i].revents)
                take(&state.channels[i], watched);
            if (polled[2 * i + 1].revents)
                give(&state.channels[i]);
        }
        if (polled[POLLED - 2].revents)
            on_signal(watched);
        if (polled[POLLED - 3].revents || (state.deadline && now() >= state.deadline)) {
            send_signal(watched, SIGKILL);
            state.deadline = 0;
        }
    } while (!polled[POLLED - 1].revents);
}

int monitor(const struct watched *watched, int *asked)
{
    siginfo_t info = {0};

    open_channels(watched);
    watch(watched);
    for (int i = 1; i < CHANNELS; i++)
        carry_rest(&state.channels[i], watched);
    lab_close_fd(&state.log);
    *asked = state.asked;
    if (waitid(P_PIDFD, (id_t)watched->pidfd, &info, WEXITED) == -1)
        lab_die("waitid");
    return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status & 0x7f;
}
