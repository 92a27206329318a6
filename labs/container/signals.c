#include "signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "process.h"
#include "report.h"

/* Ignored, they are EPIPE and EFBIG. The latter is where the caller has a limit (ulimit -f). */
static const int OF_WRITING[] = {SIGPIPE, SIGXFSZ};

int open_signals(void)
{
    static const int WANTED[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                 SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
    struct sigaction present;
    sigset_t set;

    for (int i = 0; i < LAB_COUNT(OF_WRITING); i++)
        signal(OF_WRITING[i], SIG_IGN);
    sigemptyset(&set);
    for (int i = 0; i < LAB_COUNT(WANTED); i++)
        if (sigaction(WANTED[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(&set, WANTED[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd == -1)
        lab_die("signalfd");
    return fd;
}

void let_signals_through(void)
{
    sigset_t none;

    for (int i = 0; i < LAB_COUNT(OF_WRITING); i++)
        signal(OF_WRITING[i], SIG_DFL);
    sigemptyset(&none);
    must(sigprocmask(SIG_SETMASK, &none, NULL), "let signals through");
}

const int end_signals[END_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

bool is_end_signal(unsigned signal)
{
    for (int i = 0; i < END_SIGNALS; i++)
        if ((unsigned)end_signals[i] == signal)
            return true;
    return false;
}

int pending_end_signal(void)
{
    const struct timespec at_once = {0};
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i < END_SIGNALS; i++)
        sigaddset(&set, end_signals[i]);
    int signal = sigtimedwait(&set, NULL, &at_once);
    return signal > 0 ? signal : 0;
}

bool may_poll_again(void)
{
    enum { LACK_OF_MEMORY = 10000 /* microseconds, and perhaps there is some again */ };
    const int error = errno;

    if (error == ENOMEM)
        usleep(LACK_OF_MEMORY);
    errno = error;
    return error == EINTR || error == EAGAIN || error == ENOMEM;
}

int wait_readable(int fd, int process, int signals, int milliseconds)
{
    struct pollfd polled[] = {{.fd = fd, .events = POLLIN},
                              {.fd = process, .events = POLLIN},
                              {.fd = signals, .events = POLLIN}};
    const long long end = lab_now() / 1000 + milliseconds;
    struct signalfd_siginfo others;

    for (;;) {
        const long long left = end - lab_now() / 1000;
        int ready = poll(polled, 3, milliseconds == -1 ? -1 : left > 0 ? (int)left : 0);
        if (ready == -1 && !may_poll_again())
            fail("wait for the container");
        int asked = pending_end_signal();
        if (asked)
            return asked;
        if (ready == 0 || (ready > 0 && (polled[0].revents || polled[1].revents)))
            return ready == 0 || polled[0].revents ? 0 : -1;
        if (ready > 0 && read(signals, &others, sizeof(others)) == -1)
            continue; /* there is no process yet to send it to */
    }
}
