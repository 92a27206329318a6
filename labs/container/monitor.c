#include "monitor.h"

#include <link.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "pidfd.h"
#include "process.h"
#include "report.h"
#include "signals.h"
#include "specification.h"
#include "terminal.h"

enum {
    CHUNK = 4096,                /* a pipe that can be written to has room for this much */
    SETTLED = 1000,              /* milliseconds after which a container is one that stays */
    TERMINAL_HOLDS = 1 << 16,    /* bytes at most, in all its buffers */
    END_OF_INPUT_TRIES = 25,     /* how often Ctrl-D is typed for the end of input */
    END_OF_INPUT_INTERVAL = 200, /* milliseconds in between */
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
    int asked;                         /* the signal that asked for the end */
    long long deadline;                /* milliseconds; 0: none */
    int ends;                          /* how often Ctrl-D is to be typed yet */
    bool killed;                       /* process 1, by us, and what else is in its group */
    bool lost; /* an error of our stdout or stderr; a reader that is gone is none */
} state;

/* Milliseconds. */
static long long now(void)
{
    return lab_now() / 1000;
}

/*
 * Input and output.
 */

/* The reader is gone, or nothing more will come. */
static void close_channel(struct channel *channel)
{
    lab_close_fd(&channel->from);
    channel->length = 0;
}

/* ACTION on CHANNEL has failed with errno. */
static void lose(const char *action, const struct channel *channel)
{
    state.lost = true;
    lab_warn_errno("%s the %s of the command", action,
                   channel == &state.channels[0] ? "input" : "output");
}

/* Returns how many bytes there were. */
static ssize_t take(struct channel *channel, const struct monitored *monitored)
{
    ssize_t count = read(channel->from, channel->bytes, sizeof(channel->bytes));

    if (count > 0) {
        channel->length = (size_t)count;
        channel->sent = 0;
        if (channel->logged && monitored->log)
            log_write(monitored->log, channel->bytes, channel->length);
        if (channel->to == -1)
            channel->length = 0;
        return count;
    }
    if (count == -1 && (errno == EAGAIN || errno == EINTR))
        return 0;
    /* A caller may have closed the input. EIO: the terminal's last user is gone. */
    if (count == -1 && errno != EBADF && (errno != EIO || monitored->master == -1))
        lose("read", channel);
    close_channel(channel);
    /* The container reads the end, too. */
    if (channel == &state.channels[0] && monitored->master == -1)
        lab_close_fd(&channel->to);
    else if (channel == &state.channels[0])
        state.ends = END_OF_INPUT_TRIES;
    return 0;
}

static void give(struct channel *channel)
{
    ssize_t count =
        write(channel->to, channel->bytes + channel->sent, channel->length - channel->sent);

    if (count == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count == -1) {
        if (errno != EPIPE)
            lose("write", channel);
        channel->length = 0;
        /* The command gets EPIPE from its own pipe then. The buffer of a terminal is read on. */
        if (channel == &state.channels[0] || channel->from != state.channels[0].to)
            close_channel(channel);
        /* Of input that goes no further the command reads the end. */
        if (channel == &state.channels[0] && channel->to != state.channels[1].from)
            lab_close_fd(&channel->to);
        channel->to = -1;
        return;
    }
    channel->sent += (size_t)count;
    if (channel->sent == channel->length)
        channel->length = 0;
}

/* Wait until CHANNEL can be written to: where a signal has asked for the end, for a second. If it
 * cannot then, or if a signal asks for the end now, the rest of the output goes to the log alone.
 */
static void write_channel_or_signal(struct channel *channel, const struct monitored *monitored)
{
    struct pollfd polled[] = {{.fd = channel->to, .events = POLLOUT},
                              {.fd = monitored->signals, .events = POLLIN}};
    struct signalfd_siginfo info;

    const int ready = poll(polled, 2, state.asked ? 1000 : -1);
    if (ready == -1 && may_poll_again())
        return;
    if (ready == -1)
        lose("wait to write", channel);
    if (ready > 0 && polled[0].revents)
        give(channel);
    else if (ready <= 0 || (read(monitored->signals, &info, sizeof(info)) == sizeof(info) &&
                            is_end_signal(info.ssi_signo)))
        for (int i = 0; i < CHANNELS; i++)
            state.channels[i].to = -1, state.channels[i].length = 0;
}

/* Transfer what was written before the process ended: at most what its pipe or terminal holds, as
 * processes that it has left may write for ever. */
static void drain_channel(struct channel *channel, const struct monitored *monitored)
{
    struct pollfd ready = {.fd = channel->from, .events = POLLIN};
    ssize_t left = fcntl(channel->from, F_GETPIPE_SZ);

    if (left == -1)
        left = TERMINAL_HOLDS;
    for (int is_ready = 1; is_ready > 0;) {
        while (channel->length > 0)
            write_channel_or_signal(channel, monitored);
        is_ready =
            channel->from == -1 || left <= 0 ? 0 : (int)TEMP_FAILURE_RETRY(poll(&ready, 1, 0));
        if (is_ready == -1)
            lose("wait for", channel);
        else if (is_ready > 0)
            left -= take(channel, monitored);
    }
}

static void open_channels(const struct monitored *monitored)
{
    const bool has_terminal = monitored->master != -1;
    const int input = has_terminal ? monitored->master : monitored->input;
    const int output = has_terminal ? monitored->master : monitored->output;

    memset(&state, 0, sizeof(state));
    state.channels[0].from =
        input == -1 || (has_terminal && !monitored->interactive) ? -1 : STDIN_FILENO;
    state.channels[0].to = input;
    state.channels[1].from = output;
    state.channels[1].to = monitored->quiet ? -1 : STDOUT_FILENO;
    state.channels[2].from = monitored->error;
    state.channels[2].to = monitored->quiet ? -1 : STDERR_FILENO;
    state.channels[1].logged = state.channels[2].logged = true;
    /* Reads and writes must not block. Only our own ends of pipes: the mode belongs to the open
     * file, which others may share. */
    for (int i = 0; i < CHANNELS; i++) {
        int ours = i == 0 ? state.channels[i].to : state.channels[i].from;
        if (ours != -1)
            fcntl(ours, F_SETFL, fcntl(ours, F_GETFL) | O_NONBLOCK);
    }
}

/*
 * Waiting.
 */

/* Returns 0, or -1 after a warning. */
static int kill_process(const struct monitored *monitored)
{
    const int result = signal_or_warn(monitored->pidfd, SIGKILL);

    if (result == 0 && monitored->killed && !state.killed)
        monitored->killed();
    state.killed = result == 0;
    return result;
}

/* A process 1 without a handler is killed, as the signal would kill any other process. With a
 * handler for SIGTERM it has STOP_SECONDS to end; a second SIGTERM kills it. */
static void on_signal(const struct monitored *monitored)
{
    struct signalfd_siginfo info;

    if (read(monitored->signals, &info, sizeof(info)) != sizeof(info))
        return;
    int signal = (int)info.ssi_signo;
    if (signal == SIGWINCH) {
        if (monitored->master != -1)
            terminal_resize(monitored->master);
        return;
    }
    /* Where it cannot be read, it is sent and waited for. */
    bool heard = monitored->pid == 0 || process_handles_signal(monitored->pid, signal) != 0;
    if (!heard || (signal == SIGTERM && state.deadline)) {
        if (kill_process(monitored) == 0)
            state.asked = signal;
        return;
    }
    if (signal_or_warn(monitored->pidfd, signal) == 0 && signal == SIGTERM)
        state.deadline = now() + STOP_SECONDS * 1000LL;
}

/* While it waits, the runtime needs hardly any of its pages. Pages of files can be read again, even
 * the one that is being executed. */
static int release_pages(struct dl_phdr_info *object, size_t size, void *unused)
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

/* A terminal has no end of input, only a key for it, and a program that is just changing the mode
 * of the terminal may miss the key. So it is sent repeatedly for some time. */
static void send_end_of_input(const struct monitored *monitored)
{
    state.ends--;
    if (write(monitored->master, "\4", 1) == -1)
        state.ends = 0;
}

static int wait_for_events(const struct monitored *monitored, struct pollfd polled[POLLED],
                           bool *settled)
{
    const long long left = state.deadline - now();
    int timeout = state.deadline ? (int)(left < 0 ? 0 : left) : *settled ? -1 : SETTLED;

    for (size_t i = 0; i < CHANNELS; i++) {
        const struct channel *channel = &state.channels[i];
        bool full = channel->length > 0;
        polled[2 * i] = (struct pollfd){.fd = full ? -1 : channel->from, .events = POLLIN};
        polled[2 * i + 1] = (struct pollfd){.fd = full ? channel->to : -1, .events = POLLOUT};
    }
    polled[POLLED - 3] = (struct pollfd){.fd = monitored->guard, .events = POLLIN};
    polled[POLLED - 2] = (struct pollfd){.fd = monitored->signals, .events = POLLIN};
    polled[POLLED - 1] = (struct pollfd){.fd = monitored->pidfd, .events = POLLIN};
    if (state.ends > 0 && (timeout == -1 || timeout > END_OF_INPUT_INTERVAL))
        timeout = END_OF_INPUT_INTERVAL;
    int ready = poll(polled, POLLED, timeout);
    if (ready == 0 && state.ends > 0)
        send_end_of_input(monitored);
    else if (ready == 0 && !state.deadline) {
        *settled = true;
        dl_iterate_phdr(release_pages, NULL);
    }
    return ready;
}

static void forward_until_end(const struct monitored *monitored)
{
    struct pollfd polled[POLLED];
    bool settled = false;

    do {
        memset(polled, 0, sizeof(polled));
        const int ready = wait_for_events(monitored, polled, &settled);
        if (ready == -1 && may_poll_again())
            continue;
        if (ready == -1) {
            state.lost = true;
            lab_warn_errno("wait for the container, which is ended now");
            kill_process(monitored);
            return;
        }
        for (size_t i = 0; i < CHANNELS; i++) {
            if (polled[2 * i].revents)
                take(&state.channels[i], monitored);
            if (polled[2 * i + 1].revents)
                give(&state.channels[i]);
        }
        if (polled[POLLED - 2].revents)
            on_signal(monitored);
        if (polled[POLLED - 3].revents || (state.deadline && now() >= state.deadline)) {
            kill_process(monitored);
            state.deadline = 0;
        }
    } while (!polled[POLLED - 1].revents);
}

int monitor(const struct monitored *monitored, int *asked)
{
    siginfo_t info = {0};

    if (monitored->master != -1 && monitored->interactive)
        terminal_make_raw();
    /* Where the command closes its terminal and opens it again, reading must not end meanwhile. */
    lab_fd slave = terminal_open_slave(monitored->master);
    if (slave == -1 && monitored->master != -1)
        lab_warn_errno("open the other end of the terminal");
    open_channels(monitored);
    forward_until_end(monitored);
    /* Before its output is read: the container cannot end until exec has waited for its process. */
    if (waitid(P_PIDFD, (id_t)monitored->pidfd, &info, WEXITED) == -1)
        lab_die("waitid");
    for (int i = 1; i < CHANNELS; i++)
        drain_channel(&state.channels[i], monitored);
    log_close();
    terminal_restore();
    *asked = state.asked;
    if (state.lost && info.si_code == CLD_EXITED && info.si_status == 0)
        return STATUS_RUNTIME << 8;
    return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status & 0x7f;
}
