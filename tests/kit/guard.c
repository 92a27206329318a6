/*
 * guard - run a student's program, which does the work itself.
 *
 *     /run/exercise/NAME [ARG]...     runs /run/exercise/program/NAME [ARG]...
 *
 * In the sandbox $PROGRAM names a copy of this file. The program and its children are traced: they
 * execute the command at the end of their arguments, which comes after the options and as many
 * words as EXERCISE_WORDS says (default: 0), and the programs that EXERCISE_MAY_RUN lists by name,
 * and no others (not ip(8) or unshare(1), and no shell, which would run them). These programs are
 * traced as well, because with variables, options and files a program can be made to run others;
 * the command is traced no longer. The program has a mount namespace of its own, so that it does
 * not replace the tools with which a check looks at its work.
 *
 * Where the program is killed by an error, or ends itself because of one, a line begins with
 * "note:" and names the functions that it is in. The status is that of the program. ptrace(2)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "functions.h"
#include "process.h"

enum {
    WORDS = 256,   /* of a command */
    LENGTH = 4096, /* of a word; the rest is not looked at */
    NOT_ALLOWED = 126,
    TRACED = 512,
    GRACE = 30,       /* times 10 ms: what the program leaves behind has this time to end */
    EVENT_SHIFT = 16, /* of a status of wait(2) */
};

static const char UNTRACED[] = "it called clone with CLONE_UNTRACED";

static struct {
    pid_t program;
    pid_t traced[TRACED]; /* 0: a free place */
    int call[TRACED];     /* what each is in, until its child is told, where that is clone3(2) */
    bool started;
    volatile sig_atomic_t asked; /* where the program is: its time is over */
    char **arguments;
    int count;
} guard;

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("not allowed: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(NOT_ALLOWED); /* which kills all that is traced */
}

/*
 * What a stopped process is about to do.
 */

/* ptrace(2) itself, without the C library's pointers for what are numbers. */
static long trace(int request, pid_t pid, uint64_t address, uint64_t data)
{
    return syscall(SYS_ptrace, (long)request, (long)pid, address, data);
}

/* The word at ADDRESS; 0 where the process has none there. */
static uint64_t peek(pid_t pid, uint64_t address)
{
    uint64_t word = 0;

    syscall(SYS_ptrace, (long)PTRACE_PEEKDATA, (long)pid, address, &word);
    return word;
}

/* Read the string at ADDRESS into TEXT (LENGTH bytes). */
static void peek_string(pid_t pid, uint64_t address, char *text)
{
    size_t at = 0;

    for (; at + sizeof(long) < LENGTH; at += sizeof(long)) {
        uint64_t word = peek(pid, address + at);
        memcpy(text + at, &word, sizeof(word));
        if (memchr(&word, '\0', sizeof(word)))
            return;
    }
    text[at] = '\0';
}

static struct __ptrace_syscall_info information(pid_t pid)
{
    struct __ptrace_syscall_info info = {0};

    if (syscall(SYS_ptrace, (long)PTRACE_GET_SYSCALL_INFO, (long)pid, sizeof(info), &info) == -1 &&
        errno != ESRCH) /* it was killed at this moment */
        lab_die("look at a system call of the program");
    return info;
}

static bool same_contents(const char *one, const char *other)
{
    static char a[1 << 16], b[sizeof(a)];
    ssize_t count = -1;
    lab_fd first = open(one, O_RDONLY | O_CLOEXEC), second = open(other, O_RDONLY | O_CLOEXEC);

    while (first != -1 && second != -1 && (count = read(first, a, sizeof(a))) > 0)
        if (read(second, b, sizeof(b)) != count || memcmp(a, b, (size_t)count) != 0)
            return false;
    return count == 0 && read(second, b, 1) == 0;
}

/* Whether the program at PATH is the one that the check finds under NAME, or a copy of it. */
static bool is_program(const char *path, const char *name)
{
    char found[PATH_MAX];
    struct stat one, other;

    return lab_find_command(name, found, sizeof(found)) && stat(found, &one) == 0 &&
           stat(path, &other) == 0 && (lab_same_file(&one, &other) || same_contents(found, path));
}

static bool may_run(const char *path)
{
    const char *list = getenv("EXERCISE_MAY_RUN");
    char names[256];

    snprintf(names, sizeof(names), "%s", list ? list : "");
    for (char *name = strtok(names, " "); name; name = strtok(NULL, " "))
        if (is_program(path, name))
            return true;
    return false;
}

/* A variable with which the command would do something else than the check expects. */
static bool is_harmless(const char *variable)
{
    static const char *const names[] = {
        "LD_", "PATH=", "BASH", "SHELLOPTS=", "PS4=", "ENV=", "GCONV_PATH="};

    for (char **own = environ; *own; own++)
        if (strcmp(*own, variable) == 0)
            return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return false;
    return true;
}

/* The new program's stack begins with argc, argv[], NULL, envp[], NULL. */
static int read_words(pid_t pid, uint64_t stack, char words[WORDS][LENGTH])
{
    int count = (int)peek(pid, stack);

    if (count < 1 || count > WORDS)
        return 0;
    for (int i = 0; i < count; i++)
        peek_string(pid, peek(pid, stack + sizeof(long) * (size_t)(i + 1)), words[i]);
    stack += sizeof(long) * (size_t)(count + 2);
    for (uint64_t variable; (variable = peek(pid, stack)) != 0; stack += sizeof(long)) {
        char text[LENGTH];
        peek_string(pid, variable, text);
        if (!is_harmless(text))
            refuse("it set %.100s for the command", text);
    }
    return count;
}

/* Where in our arguments the command begins. */
static int command_at(void)
{
    const char *text = getenv("EXERCISE_WORDS");
    long words = text ? strtol(text, NULL, 10) : 0;
    int at = 1;

    for (; at < guard.count; at++)
        if (strncmp(guard.arguments[at], "--", 2) != 0 && words-- == 0)
            break;
    return at;
}

/* Whether PID has become the command at the end of our arguments. In a jail it is a copy, and
 * busybox has many names. */
static bool is_command(pid_t pid, const char *path)
{
    static char words[WORDS][LENGTH];
    int count = read_words(pid, information(pid).stack_pointer, words), at = command_at();

    if (count == 0 || count != guard.count - at)
        return false;
    for (int i = 0; i < count; i++)
        if (strncmp(words[i], guard.arguments[at + i], LENGTH - sizeof(long)) != 0)
            return false;
    return is_program(path, words[0]) || is_program(path, "busybox") ||
           is_program(path, "busybox.static");
}

/*
 * Where the program is when it ends.
 */

/* The program has just started. Its stack has, behind argv[] and envp[], numbers from the kernel.
 */
static void find_place(pid_t pid)
{
    uint64_t at = information(pid).stack_pointer, type;

    at += sizeof(long) * (peek(pid, at) + 2);
    while (peek(pid, at))
        at += sizeof(long);
    for (at += sizeof(long); (type = peek(pid, at)) != AT_NULL; at += 2 * sizeof(long))
        if (type == AT_ENTRY)
            functions_placed(peek(pid, at + sizeof(long)));
}

/* A word on the stack that is the return address of a call, or was one: other words are what
 * earlier calls have left. */
struct call {
    const char *caller, *called;
    bool leads_to_main;
};

static bool is_of_library(const char *function)
{
    return !function || strncmp(function, "lab_", strlen("lab_")) == 0;
}

/* A function of a library may have gone on to another one by a jump. */
static bool is_call_of(const struct call *call, const char *function)
{
    return call->called == ANY_FUNCTION ||
           (is_of_library(call->called) ? is_of_library(function)
                                        : function && strcmp(call->called, function) == 0);
}

/* The first of the COUNT calls at CALLS that may be the one of FUNCTION; NULL: none. */
static const struct call *call_of(const char *function, const struct call *calls, int count)
{
    for (int i = 0; i < count; i++)
        if (calls[i].leads_to_main && is_call_of(&calls[i], function))
            return &calls[i];
    return NULL;
}

/* Read the calls on the stack of PID, innermost first; returns how many. */
static int read_calls(pid_t pid, uint64_t stack, struct call *calls, int size)
{
    enum { DEPTH = 4096 };
    int count = 0;

    for (int i = 0; i < DEPTH && count < size; i++) {
        uint64_t address = peek(pid, stack + sizeof(long) * (uint64_t)i);
        /* A call that does not return may be the last instruction of its function. */
        const char *caller = function_at(address - 1), *called;
        uint64_t code = caller ? peek(pid, address - sizeof(code)) : 0;
        if (caller && function_called((unsigned char *)&code, address, &called))
            calls[count++] = (struct call){.caller = caller, .called = called};
    }
    for (int i = count - 1; i >= 0; i--)
        calls[i].leads_to_main = strcmp(calls[i].caller, "main") == 0 ||
                                 call_of(calls[i].caller, calls + i + 1, count - i - 1);
    return count;
}

/* Write to TEXT (SIZE bytes) the student's functions that PID is in, innermost first. Returns
 * whether lab_die() or the like is among the functions. */
static bool list_functions(pid_t pid, char *text, size_t size)
{
    static struct call calls[1024];
    const struct __ptrace_syscall_info info = information(pid);
    const char *function = function_at(info.instruction_pointer);
    const struct call *call = calls;
    int count = read_calls(pid, info.stack_pointer, calls, sizeof(calls) / sizeof(calls[0]));
    bool dies = false;

    text[0] = '\0';
    for (;;) {
        if (function && is_of_library(function))
            dies |= strstr(function, "die") || strstr(function, "exit") || strstr(function, "exec");
        else if (function && strlen(text) + strlen(function) + sizeof(", ") < size)
            strcat(strcat(text, *text ? ", " : ""), function);
        if ((function && strcmp(function, "main") == 0) ||
            !(call = call_of(function, call, count - (int)(call - calls))))
            break;
        function = call++->caller;
    }
    return dies;
}

/* Returns the signal that is to be delivered. The first process of a PID namespace is not killed by
 * a signal that is delivered so: it would meet the same error again, without end. */
static int note_signal(pid_t pid, int signal)
{
    static const int errors[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    static pid_t last;
    char functions[256];

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (signal == errors[i]) {
            if (pid == last) {
                kill(pid, SIGKILL);
                return 0;
            }
            last = pid;
            list_functions(pid, functions, sizeof(functions));
            fprintf(stderr, "note: %s in %s\n", lab_signal_name(signal), functions);
        }
    return signal;
}

static void note_time(pid_t pid)
{
    char functions[256];

    list_functions(pid, functions, sizeof(functions));
    if (*functions) /* else it is not the program, but one that it runs */
        fprintf(stderr, "note: still running in %s\n", functions);
}

static void note_exit(pid_t pid, int status)
{
    char functions[256];

    if (status != 0 && list_functions(pid, functions, sizeof(functions)))
        fprintf(stderr, "note: status %d in %s\n", status, functions);
}

/*
 * What is looked at.
 */

/* PID executes something. Returns whether it is traced on. */
static bool look_at_program(pid_t pid)
{
    char path[64], target[PATH_MAX] = "";

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    if (readlink(path, target, sizeof(target) - 1) == -1)
        snprintf(target, sizeof(target), "a program");
    if (!guard.started) {
        guard.started = true;
        find_place(pid);
        return true;
    }
    if (may_run(path))
        return true;
    if (is_command(pid, path))
        return false;
    refuse("it ran %.200s. The exercise does the work itself, and runs no program but the command "
           "that it is given",
           target);
}

/* The system call that PID is in. A clone3(2) is over when its child has been reported. */
static int *call_in(pid_t pid)
{
    static int nowhere;

    for (int i = 0; i < TRACED; i++)
        if (guard.traced[i] == pid)
            return &guard.call[i];
    return &nowhere;
}

/* A handler of binfmt_misc is for all of the user namespace: the tools with which a check looks at
 * the program would be what the program likes. */
static const char BINFMT_MISC[] =
    "it mounted binfmt_misc, by which it could replace other programs";

static bool is_binfmt_misc(pid_t pid, uint64_t address)
{
    const uint64_t word = peek(pid, address);

    return memcmp(&word, "binfmt_misc", sizeof(word)) == 0;
}

/* PID enters a system call. */
static void look_at_call(pid_t pid, const struct __ptrace_syscall_info *info)
{
    const uint32_t other = AUDIT_ARCH_I386;
    uint64_t flags = 0;

    if (info->arch == other)
        refuse("it made a 32-bit system call");
    if (info->entry.nr == SYS_clone)
        flags = info->entry.args[0];
    else if (info->entry.nr == SYS_clone3)
        flags = peek(pid, info->entry.args[0]);
    if (flags & CLONE_UNTRACED)
        refuse(UNTRACED);
    *call_in(pid) = (int)info->entry.nr;
    if (info->entry.nr == SYS_ptrace || info->entry.nr == SYS_process_vm_writev)
        refuse("it changed the memory of another process");
    if ((info->entry.nr == SYS_mount && is_binfmt_misc(pid, info->entry.args[2])) ||
        (info->entry.nr == SYS_fsopen && is_binfmt_misc(pid, info->entry.args[0])))
        refuse("%s", BINFMT_MISC);
    if (info->entry.nr == SYS_exit_group)
        note_exit(pid, (int)info->entry.args[0]);
}

/* Another thread may have changed the word meanwhile. FD: what fsmount(2) has returned. */
static bool has_binfmt_misc(pid_t pid, int call, int fd)
{
    char path[64], line[4096];
    struct statfs status;
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
    if (call == SYS_fsmount)
        return statfs(path, &status) == -1 || status.f_type == BINFMTFS_MAGIC;
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
    FILE *mounts = fopen(path, "re");
    if (!mounts && errno != ENOENT && errno != ESRCH) /* it was killed */
        lab_die("open %s", path);
    while (mounts && !found && fgets(line, sizeof(line), mounts))
        found = strstr(line, " - binfmt_misc ") && !strstr(line, " /proc/sys/fs/binfmt_misc ");
    if (mounts)
        fclose(mounts);
    return found;
}

/* PID returns RESULT from a system call. */
static void look_at_result(pid_t pid, int64_t result)
{
    const int call = *call_in(pid);

    if (call == SYS_clone3 && result > 0)
        refuse(UNTRACED); /* another thread has changed the flags after we had looked */
    if (((call == SYS_mount && result == 0) || (call == SYS_fsmount && result >= 0)) &&
        has_binfmt_misc(pid, call, (int)result))
        refuse("%s", BINFMT_MISC);
}

/*
 * The loop.
 */

/* Replace the process OLD among those that are traced: 0 is a free place. */
static void replace_traced(pid_t old, pid_t new)
{
    for (int i = 0; i < TRACED; i++)
        if (guard.traced[i] == new &&new)
            return;
    for (int i = 0; i < TRACED; i++)
        if (guard.traced[i] == old) {
            guard.traced[i] = new;
            guard.call[i] = 0;
            return;
        }
}

/* The time is over: stop all, to note where they are. */
static void stop_all(void)
{
    for (int i = 0; i < TRACED; i++)
        if (guard.traced[i])
            trace(PTRACE_INTERRUPT, guard.traced[i], 0, 0);
}

/* PID has stopped, with a status of wait(2). */
static void handle_stop(pid_t pid, int status)
{
    int event = status >> EVENT_SHIFT, signal = WSTOPSIG(status);
    bool stops = signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;

    if (signal == (SIGTRAP | 0x80)) {
        struct __ptrace_syscall_info info = information(pid);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
            look_at_call(pid, &info);
        else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
            look_at_result(pid, info.exit.rval);
        signal = 0;
    } else if (event == PTRACE_EVENT_STOP && stops) {
        trace(PTRACE_LISTEN, pid, 0, 0); /* stopped, until somebody sends SIGCONT */
        return;
    } else if (event) {
        signal = 0;
        if (event == PTRACE_EVENT_STOP && guard.asked)
            note_time(pid);
        if (event != PTRACE_EVENT_STOP)
            *call_in(pid) = 0;
    } else {
        signal = note_signal(pid, signal);
    }
    replace_traced(0, pid);
    if (event == PTRACE_EVENT_EXEC && !look_at_program(pid)) {
        replace_traced(pid, 0);
        trace(PTRACE_DETACH, pid, 0, 0);
    } else if (trace(PTRACE_SYSCALL, pid, 0, (uint64_t)signal) == -1 && errno != ESRCH) {
        lab_die("let the program go on");
    }
}

/* Until the program has ended and all that it has started. Returns its status. */
static int watch(void)
{
    int status, result = -1;

    for (int moments = 0; moments < GRACE;) {
        pid_t pid = waitpid(-1, &status, __WALL | (result == -1 ? 0 : WNOHANG));
        if (guard.asked == 1) {
            guard.asked = 2;
            stop_all();
        }
        if (pid == -1 && errno == EINTR)
            continue;
        if (pid == -1 && result == -1)
            lab_die("wait for the program");
        if (pid == -1)
            break;
        if (pid == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
            moments++;
        } else if (WIFSTOPPED(status)) {
            handle_stop(pid, status);
        } else {
            /* It waits for a child as vfork(2) does, and was ended meanwhile. */
            if (*call_in(pid) == SYS_clone3)
                refuse(UNTRACED);
            replace_traced(pid, 0);
            if (pid == guard.program)
                result = lab_shell_status(status);
        }
    }
    return result;
}

static void pass_on(int signal)
{
    kill(guard.program, signal);
}

static void ask(int signal)
{
    (void)signal;
    guard.asked = 1;
}

/* The program has not all capabilities of the check's shell, and so does not reach that by way of
 * /proc, its mounts and memory among them: of root it lacks CAP_SYS_PTRACE, of another user the one
 * that place.c gives. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    bool root = geteuid() == 0;

    if (syscall(SYS_capget, &header, data) == -1)
        lab_die("capget");
    if (!root)
        memset(data, 0, sizeof(data));
    data[0].effective &= ~(1U << CAP_SYS_PTRACE);
    data[0].permitted &= ~(1U << CAP_SYS_PTRACE);
    data[0].inheritable &= ~(1U << CAP_SYS_PTRACE);
    if ((root && prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) == -1) ||
        syscall(SYS_capset, &header, data) == -1)
        lab_die("drop capabilities");
}

/* In the child: the program, once it is traced. Where that cannot be, the parent says so. */
__attribute__((noreturn)) static void become_program(const char *path, int go, char *argv[])
{
    char byte;

    const ssize_t count = read(go, &byte, 1);
    if (count == -1)
        lab_die("read whether the program is traced");
    if (count == 0)
        _exit(EXIT_FAILURE);
    if (geteuid() == 0 &&
        (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1 ||
         mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) == -1))
        lab_die("a mount namespace");
    drop_capabilities();
    execv(path, argv);
    lab_die("%s", path);
}

/* A check may have put us into a jail, which the program leaves. An ordinary user is in none, nor
 * is what the first process of the sandbox has started, which is out of reach. */
static void leave_jail(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/root", (int)getppid());
    if (getppid() != 0 && chroot(path) == -1 && errno != EPERM && errno != EACCES)
        lab_die("chroot %s", path);
}

int main(int argc, char *argv[])
{
    const uint64_t options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |
                             PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    char self[PATH_MAX] = "", path[PATH_MAX + 16];
    int go[2], status;

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) == -1)
        lab_die("/proc/self/exe");
    const char *slash = strrchr(self, '/');
    snprintf(path, sizeof(path), "%.*s/program%s", (int)(slash - self), self, slash);
    functions_read(path);
    guard.arguments = argv;
    guard.count = argc;
    if (pipe2(go, O_CLOEXEC) == -1)
        lab_die("pipe");
    guard.program = fork();
    if (guard.program == -1)
        lab_die("fork");
    if (guard.program == 0) {
        close(go[1]);
        become_program(path, go[0], argv);
    }
    close(go[0]);
    leave_jail();
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        signal(ending[i], pass_on);
    /* It interrupts waitpid(2). */
    sigaction(SIGURG, &(struct sigaction){.sa_handler = ask}, NULL);
    if (trace(PTRACE_SEIZE, guard.program, 0, options) == -1 ||
        trace(PTRACE_INTERRUPT, guard.program, 0, 0) == -1 ||
        waitpid(guard.program, &status, 0) == -1)
        lab_die("trace the program");
    if (write(go[1], "", 1) != 1)
        lab_die("let the program begin");
    close(go[1]);
    handle_stop(guard.program, status);
    return watch();
}
