#include "ending.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

int lab_ending_signals(sigset_t *before)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        sigaddset(&set, ending[i]);
    return sigprocmask(SIG_BLOCK, &set, before) == -1 ? -1 : signalfd(-1, &set, SFD_CLOEXEC);
}

int lab_wait_passing_on(int pidfd, int signals, pid_t command)
{
    struct pollfd wait_for[] = {{.fd = pidfd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo signal;

    for (;;) {
        if (poll(wait_for, 2, -1) == -1 && errno != EINTR)
            return -1;
        if (wait_for[0].revents)
            return 0;
        if (!wait_for[1].revents)
            continue;
        if (read(signals, &signal, sizeof(signal)) != sizeof(signal))
            return -1;
        if (command == 0)
            return 0;
        if (signal.ssi_code != SI_KERNEL)
            kill(command, (int)signal.ssi_signo);
    }
}
