/*
 * launch.c - a small program that is executed between the runtime and the command.
 *
 * If the runtime executed the command itself, the command could be a script whose interpreter is
 * /proc/self/exe: the runtime's own file, opened with the container's rights, to be written to
 * later (CVE-2019-5736). So the runtime executes this program first, from a sealed file in memory,
 * and this program executes the command. Then /proc/self/exe is only this program.
 *
 * It uses no library, so that it starts at once and needs little memory: with --init it stays, as
 * process 1. Its arguments: "init" or "run", the value of PATH, the command. Descriptor 3 is the
 * socket to the runtime; execve(2) closes it, and the runtime reads end of file. A process that is
 * killed closes it as well, so a message comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/wait.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "report.h"

enum { REPORT = 3, PATH_SIZE = 4096 };

static struct message message; /* in the program's own, zeroed memory */

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");

static long call(long number, long a, long b, long c, long d)
{
    register long fourth __asm__("r10") = d;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x0, sp\n and sp, x0, #-16\n bl begin\n");

static long call(long number, long a, long b, long c, long d)
{
    register long eighth __asm__("x8") = number;
    register long x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(eighth), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
__asm__(".globl _start\n_start: mv a0, sp\n andi sp, sp, -16\n call begin\n");

static long call(long number, long a, long b, long c, long d)
{
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
    return a0;
}
#else
#error "launch.c needs to know how this machine makes a system call"
#endif

__attribute__((noreturn)) static void leave(int status)
{
    for (;;)
        call(SYS_exit_group, status, 0, 0, 0);
}

/* Put DIRECTORY (LENGTH bytes), a slash and NAME into PATH. Returns whether they fit. */
static int join(char *path, const char *directory, size_t length, const char *name)
{
    size_t at = 0;

    for (size_t i = 0; i < length && at < PATH_SIZE; i++)
        path[at++] = directory[i];
    if (length > 0 && at < PATH_SIZE)
        path[at++] = '/';
    while (at < PATH_SIZE && (path[at] = *name) != '\0')
        at++, name++;
    return at < PATH_SIZE;
}

/* Try argv[0] in each of DIRECTORIES, "a:b". Returns the most specific errno. */
static long execute(const char *directories, char **argv, char **environment)
{
    static char path[PATH_SIZE];
    long worst = ENOENT;

    for (const char *at = argv[0]; *at; at++)
        if (*at == '/')
            directories = "";
    for (;;) {
        size_t length = 0;
        while (directories[length] && directories[length] != ':')
            length++;
        if (join(path, directories, length, argv[0])) {
            long error = -call(SYS_execve, (long)path, (long)argv, (long)environment, 0);
            if (error != ENOENT && error != ENOTDIR)
                worst = error;
        }
        if (!directories[length])
            return worst;
        directories += length + 1;
    }
}

__attribute__((noreturn)) static void tell_and_leave(enum message_kind kind, long error)
{
    message.kind = kind;
    message.status = (int)error;
    call(SYS_write, REPORT, (long)&message, sizeof(message), 0);
    leave(STATUS_RUNTIME);
}

/* For where no socket is there, or none any more. */
__attribute__((noreturn)) static void print_and_leave(const char *words, long length, int status)
{
    call(SYS_write, STDERR_FILENO, (long)words, length, 0);
    leave(status);
}

__attribute__((noreturn)) static void run(const char *directories, char **argv, char **environment)
{
    static const char WORDS[] = "a script cannot have the interpreter /proc/self/exe here\n";
    long error = -call(SYS_fcntl, REPORT, F_SETFD, FD_CLOEXEC, 0);

    if (error == EBADF) /* the command is that script, and has closed the socket */
        print_and_leave(WORDS, sizeof(WORDS) - 1, 126);
    if (error == 0) {
        message.kind = MESSAGE_STARTING;
        if (call(SYS_write, REPORT, (long)&message, sizeof(message), 0) != sizeof(message))
            leave(STATUS_RUNTIME);
        error = execute(directories, argv, environment);
    }
    tell_and_leave(MESSAGE_NOT_STARTED, error);
}

/* Process 1: reap orphans, and forward signals to CHILD, which the kernel does not deliver to a
 * process 1 without a handler. All are blocked. A signal of the terminal, such as Ctrl-C, reaches
 * CHILD by itself. Ends with the status of CHILD. */
__attribute__((noreturn)) static void be_init(long child)
{
    static const char LOST[] = "the status of the command is lost: ECHILD (No child processes)\n";
    unsigned long all = ~0UL;

    call(SYS_close, REPORT, 0, 0, 0);
    for (;;) {
        int status = 0;
        siginfo_t info;
        info.si_code = 0;
        long dead, signal = call(SYS_rt_sigtimedwait, (long)&all, (long)&info, 0, sizeof(all));
        if (signal > 0 && signal != SIGCHLD && (info.si_code != SI_KERNEL || signal == SIGHUP))
            call(SYS_kill, child, signal, 0, 0);
        while ((dead = call(SYS_wait4, -1, (long)&status, WNOHANG, 0)) > 0 || dead == -EINTR)
            if (dead == child)
                leave(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
        if (dead == -ECHILD) /* nothing more will come */
            print_and_leave(LOST, sizeof(LOST) - 1, STATUS_RUNTIME);
    }
}

__attribute__((noreturn, used)) void begin(long *stack);
__attribute__((noreturn, used)) void begin(long *stack)
{
    long count = stack[0];
    char **argv = (char **)(stack + 1), **environment = argv + count + 1;
    unsigned long none = 0;

    if (argv[0][0] == 'i') {
        long child = call(SYS_clone, SIGCHLD, 0, 0, 0);
        if (child > 0)
            be_init(child);
        if (child < 0)
            tell_and_leave(MESSAGE_NO_INIT, -child);
        call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof(none));
    }
    run(argv[1], argv + 2, environment);
}
