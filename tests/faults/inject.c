/*
 * inject.c - run a command and let exactly one system call of our programs fail, or end a process
 * at a call.
 *
 *     inject -o LOG [OPTION]... COMMAND [ARGUMENT]...
 *
 *     -x PROGRAM            one of ours; can be repeated
 *     -s SITE -n N -e ERRNO     let the N-th call at SITE fail; without -s and -i, list the calls
 *     -i INDEX -k self|first|group    SIGKILL at the INDEX-th call of all
 *     -a                    all calls count for "total", also those of other programs
 *     -d                    what COMMAND leaves running goes on without us
 *
 * A site is a system call and the functions of the program that lead to it, the innermost first:
 *
 *     openat read_file+1c<read_limit+40<main+95
 *
 * The functions are found on the stack: a word that follows a call instruction is a return address,
 * if that instruction calls the function found before. This needs no frame pointers, and a stale
 * word is passed over: also one of a call by a pointer, where the function has callers by name,
 * unless there is no other way to main. The program must not be stripped, and is best built without
 * inlining and without tail calls. Calls before main have no such word, so they do not count;
 * neither do those of programs that no -x names.
 *
 * LOG has a line "call SITE" for each call (only if neither -s nor -i is given), "failed SITE",
 * "killed INDEX", "crashed PROGRAM SIGNAL", "ended STATUS", and "total N", the number of calls of
 * all processes. The status is that of COMMAND, or 128 + its signal. For x86-64.
 *
 * ptrace(2), process_vm_readv(2)
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROGRAMS = 32,
    PROCESSES = 1024,
    FRAMES = 16,
    DEPTH = 32,
    STACK_WORDS = 32768,
    SITE = 1024,
    BROKEN = 125
};

struct function {
    uint64_t start, size;
    int called; /* by an instruction that names it */
    char name[56];
};

/* A program that -x names, with its functions in their order: read when it is executed. */
struct program {
    dev_t device;
    ino_t inode;
    const char *path, *name;
    struct function *functions;
    size_t count;
    int noted; /* which of them are called by name */
};

enum image { UNKNOWN, FOREIGN, OURS };

/* A traced process. Its code is the executable segment, copied at its first call. */
struct process {
    pid_t pid;
    enum image image;
    struct program *program;
    uint64_t base, low, high;
    unsigned char *code;
    int failing;
};

static struct program programs[PROGRAMS];
static size_t program_count;
static struct process processes[PROCESSES];
static size_t process_count;
static uint64_t stack[STACK_WORDS]; /* of the process that makes a call */
static FILE *log_file;
static const char *wanted_site, *kill_whom;
static long wanted_number = 1, wanted_index, site_number, call_index;
static int wanted_errno, detach, detaching, has_failed, everything;
static pid_t first;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    int saved = errno;
    va_list arguments;

    fputs("inject: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(saved));
    exit(BROKEN);
}

static int by_start(const void *one, const void *other)
{
    const struct function *a = one, *b = other;

    return a->start != b->start ? (a->start > b->start) - (a->start < b->start)
                                : strcmp(a->name, b->name);
}

/* Whether SYMBOL is of code that the file has. */
static int is_function(const Elf64_Sym *symbol, const Elf64_Ehdr *file, const Elf64_Shdr *sections)
{
    return symbol->st_shndx > SHN_UNDEF && symbol->st_shndx < file->e_shnum &&
           symbol->st_size > 0 && (sections[symbol->st_shndx].sh_flags & SHF_EXECINSTR) != 0;
}

/* Add the functions of the symbol table TABLE of the file at IMAGE. */
static void add_functions(struct program *program, const char *image, const Elf64_Shdr *table)
{
    const Elf64_Ehdr *file = (const void *)image;
    const Elf64_Shdr *sections = (const void *)(image + file->e_shoff);
    const Elf64_Sym *symbols = (const void *)(image + table->sh_offset);
    const char *names = image + sections[table->sh_link].sh_offset;
    size_t count = table->sh_size / sizeof *symbols;

    program->functions = calloc(count + 1, sizeof *program->functions);
    if (program->functions == NULL)
        die("memory");
    for (size_t i = 0; i < count; i++)
        if (is_function(&symbols[i], file, sections)) {
            struct function *function = &program->functions[program->count++];
            const char *name = names + symbols[i].st_name;

            function->start = symbols[i].st_value;
            function->size = symbols[i].st_size;
            snprintf(function->name, sizeof function->name, "%.*s", (int)strcspn(name, "."), name);
        }
}

/* Of functions at the same place the first by name. It is read for each run, so it must not take
 * the time of nm(1). */
static void read_functions(struct program *program)
{
    struct stat status;
    int fd = open(program->path, O_RDONLY | O_CLOEXEC);
    char *image = MAP_FAILED;
    size_t kept = 0;

    program->count = 0;
    if (fd == -1 || fstat(fd, &status) == -1 ||
        (image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        die("%s", program->path);
    close(fd);
    const Elf64_Ehdr *file = (const void *)image;
    const Elf64_Shdr *sections = (const void *)(image + file->e_shoff);

    for (size_t i = 0; memcmp(image, ELFMAG, SELFMAG) == 0 && i < file->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB && program->functions == NULL)
            add_functions(program, image, &sections[i]);
    munmap(image, (size_t)status.st_size);
    if (program->functions == NULL)
        return; /* it is stripped */
    qsort(program->functions, program->count, sizeof *program->functions, by_start);
    for (size_t i = 0; i < program->count; i++)
        if (kept == 0 || program->functions[kept - 1].start != program->functions[i].start)
            program->functions[kept++] = program->functions[i];
    program->count = kept;
}

static void add_program(const char *path)
{
    struct program *program = &programs[program_count];
    struct stat file;

    if (program_count == PROGRAMS || stat(path, &file) == -1)
        die("%s", path);
    program->device = file.st_dev;
    program->inode = file.st_ino;
    program->name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    program->path = path;
    program_count++;
}

static struct process *find_process(pid_t pid)
{
    for (size_t i = 0; i < process_count; i++)
        if (processes[i].pid == pid)
            return &processes[i];
    if (process_count == PROCESSES) {
        errno = EAGAIN;
        die("too many processes");
    }
    processes[process_count] = (struct process){.pid = pid};
    return &processes[process_count++];
}

static void forget_process(struct process *process)
{
    free(process->code);
    *process = processes[--process_count];
}

/* The program of a process. A program that exists in memory only is ours, too: lab 09 executes such
 * a launcher, and without root a copy of itself. */
static struct program *find_program(pid_t pid, ino_t *inode)
{
    const size_t prefix = strlen("/memfd:");
    char path[64], target[256];
    struct stat file;
    ssize_t length;

    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    if (stat(path, &file) == -1)
        return NULL;
    *inode = file.st_ino;
    for (size_t i = 0; i < program_count; i++)
        if (programs[i].device == file.st_dev && programs[i].inode == file.st_ino)
            return &programs[i];
    length = readlink(path, target, sizeof target - 1);
    if (length == -1)
        return NULL;
    target[length] = '\0';
    for (size_t i = 0; i < program_count; i++)
        if (strncmp(target, "/memfd:", prefix) == 0 &&
            strncmp(target + prefix, programs[i].name, strlen(programs[i].name)) == 0)
            return &programs[i];
    return NULL;
}

/* Memory of another process. */
static struct iovec at(uint64_t address, size_t size)
{
    struct iovec memory = {.iov_len = size};

    memcpy(&memory.iov_base, &address, sizeof memory.iov_base);
    return memory;
}

/* The function at ADDRESS of the process; NULL in the procedure linkage table, or without symbols.
 */
static struct function *function_at(const struct process *process, uint64_t address)
{
    const struct program *program = process->program;
    size_t low = 0, high = program->count;

    address -= process->base;
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (program->functions[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address - program->functions[low - 1].start >= program->functions[low - 1].size)
        return NULL;
    return &program->functions[low - 1];
}

/* Note which functions are called by name. */
static void note_called(const struct process *process)
{
    process->program->noted = 1;
    for (uint64_t address = process->low + 5; address < process->high; address++) {
        const unsigned char *code = process->code + (address - process->low);
        int32_t distance;

        if (code[-5] != 0xe8)
            continue;
        memcpy(&distance, code - 4, sizeof distance);
        uint64_t target = address + (uint64_t)(int64_t)distance;
        struct function *function = function_at(process, target);
        if (function != NULL && function->start + process->base == target)
            function->called = 1;
    }
}

/* Find where the program lies in memory and copy its code. */
static void identify(struct process *process)
{
    char path[64], line[1024], mode[8];
    uint64_t low, high, offset;
    ino_t inode = 0, mapped;
    FILE *maps;

    process->image = FOREIGN;
    free(process->code);
    process->code = NULL;
    if ((process->program = find_program(process->pid, &inode)) == NULL)
        return;
    if (process->program->functions == NULL)
        read_functions(process->program);
    snprintf(path, sizeof path, "/proc/%d/maps", process->pid);
    if ((maps = fopen(path, "re")) == NULL)
        return;
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s %lx %*s %lu", &low, &high, mode, &offset, &mapped) == 5 &&
            mapped == inode && strchr(mode, 'x') != NULL) {
            process->low = low;
            process->high = high;
            process->base =
                process->program->count > 0 && process->program->functions[0].start >= 0x400000
                    ? 0
                    : low - offset;
        }
    fclose(maps);
    if (process->low == process->high ||
        (process->code = malloc(process->high - process->low)) == NULL)
        return;
    struct iovec to = {process->code, process->high - process->low},
                 from = at(process->low, to.iov_len);

    if (process_vm_readv(process->pid, &to, 1, &from, 1, 0) != (ssize_t)to.iov_len)
        return;
    process->image = OURS;
    if (!process->program->noted)
        note_called(process);
}

/* Whether the instruction before ADDRESS calls INNER, or a function outside of the program if INNER
 * is NULL. */
static int calls(const struct process *process, uint64_t address, const struct function *inner,
                 int strictly)
{
    const unsigned char *code = process->code + (address - process->low);

    if (address <= process->low + 7 || address >= process->high)
        return 0;
    if (code[-5] == 0xe8) { /* call relative */
        int32_t distance;

        memcpy(&distance, code - 4, sizeof distance);
        const struct function *target = function_at(process, address + (uint64_t)(int64_t)distance);

        return inner == NULL ? target == NULL : target == inner;
    }
    if (code[-6] == 0xff && code[-5] == 0x15) /* call *table(%rip): of a library */
        return inner == NULL;
    if (strictly && (inner == NULL || inner->called))
        return 0;
    /* call *%rax, call *8(%rax), call *%r8, call *8(%r8) */
    return (code[-2] == 0xff && (code[-1] & 0x38) == 0x10) ||
           (code[-3] == 0xff && (code[-2] & 0x38) == 0x10);
}

/* The upper end of a stack: as much of it as can be read at once. */
static size_t read_stack(pid_t pid, uint64_t pointer)
{
    for (size_t size = sizeof stack; size >= 256; size /= 2) {
        struct iovec to = {stack, size}, from = at(pointer, size);
        ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);

        if (got > 0)
            return (size_t)got / sizeof *stack;
    }
    return 0;
}

/* The return addresses of a call, the innermost first. */
struct chain {
    uint64_t addresses[DEPTH];
    int length, tries, strictly;
};

/* Go on from the function INNER at word I of the stack, until main. */
static int reaches_main(const struct process *process, size_t i, size_t count,
                        const struct function *inner, int depth, struct chain *chain)
{
    for (; i < count && depth < DEPTH; i++) {
        const struct function *function;

        if (!calls(process, stack[i], inner, chain->strictly))
            continue;
        function = function_at(process, stack[i] - 1);
        chain->addresses[depth] = stack[i] - 1;
        chain->length = depth + 1;
        if (function == NULL || --chain->tries < 0)
            return 0;
        if (strcmp(function->name, "main") == 0 ||
            reaches_main(process, i + 1, count, function, depth + 1, chain))
            return 1;
    }
    return 0;
}

/* Where main has returned, or there is none, the first return address has to do. */
static void find_any(const struct process *process, size_t count, int depth, struct chain *chain)
{
    chain->length = depth;
    for (size_t i = 0; i < count && chain->length == depth; i++)
        if (calls(process, stack[i], NULL, 0))
            chain->addresses[chain->length++] = stack[i] - 1;
}

static size_t append(const struct process *process, char *site, size_t length, uint64_t address)
{
    const struct function *function = function_at(process, address);
    const char *name = function != NULL ? function->name : process->program->name;
    uint64_t start = function != NULL ? function->start + process->base : process->low;

    return length + (size_t)snprintf(site + length, SITE - length, "%s%s+%lx",
                                     site[length - 1] == ' ' ? "" : "<", name, address - start);
}

/* Write the site of a call to SITE. Returns the number of functions; 0 before main. */
static int find_site(const struct process *process, const struct __ptrace_syscall_info *info,
                     char *site)
{
    size_t count = read_stack(process->pid, info->stack_pointer);
    size_t length = (size_t)snprintf(site, SITE, "%lu ", (unsigned long)info->entry.nr);
    struct chain chain = {.tries = 1000, .strictly = 1};
    const struct function *inner = NULL;
    int own = 0;

    if (info->instruction_pointer >= process->low && info->instruction_pointer < process->high) {
        inner = function_at(process, info->instruction_pointer);
        chain.addresses[own++] = info->instruction_pointer;
    }
    while (!reaches_main(process, 0, count, inner, own, &chain)) {
        if (!chain.strictly) {
            find_any(process, count, own, &chain);
            break;
        }
        chain.strictly = 0;
        chain.tries = 1000;
    }
    for (int i = 0; i < chain.length && i < FRAMES; i++)
        length = append(process, site, length, chain.addresses[i]);
    return chain.length;
}

static void kill_process(pid_t pid)
{
    if (strcmp(kill_whom, "group") == 0)
        kill(-first, SIGKILL);
    else
        kill(strcmp(kill_whom, "first") == 0 ? first : pid, SIGKILL);
    fprintf(log_file, "killed %ld\n", call_index);
}

/* Whether stdio asks for the size of a block, and has a size of its own where that fails: fstat(3)
 * has no stack frame, so its caller is the last word on the stack. */
static int is_stdio(const struct process *process, const struct __ptrace_syscall_info *info)
{
    return info->entry.nr == SYS_newfstatat && (info->entry.args[3] & AT_EMPTY_PATH) != 0 &&
           read_stack(process->pid, info->stack_pointer) > 0 &&
           (stack[0] < process->low || stack[0] >= process->high);
}

static void enter_call(struct process *process, const struct __ptrace_syscall_info *info)
{
    char site[SITE];

    call_index++;
    if (kill_whom != NULL && call_index == wanted_index)
        kill_process(process->pid);
    if (kill_whom != NULL)
        return;
    if (process->image == UNKNOWN)
        identify(process);
    /* There is nowhere to tell that a message cannot be written. */
    if (process->image != OURS ||
        (info->entry.nr == SYS_write && info->entry.args[0] == STDERR_FILENO) ||
        (wanted_site != NULL && info->entry.nr != strtoul(wanted_site, NULL, 10)) ||
        is_stdio(process, info) || find_site(process, info, site) == 0)
        return;
    if (wanted_site == NULL)
        fprintf(log_file, "call %s\n", site);
    else if (strcmp(site, wanted_site) == 0 && ++site_number == wanted_number) {
        fprintf(log_file, "failed %s\n", site);
        fflush(log_file);
        process->failing = 1;
        ptrace(PTRACE_POKEUSER, process->pid, offsetof(struct user_regs_struct, orig_rax), -1L);
    }
}

static void at_call(struct process *process)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        process->failing = 0;
        enter_call(process, &info);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && process->failing) {
        process->failing = 0;
        has_failed = 1;
        ptrace(PTRACE_POKEUSER, process->pid, offsetof(struct user_regs_struct, rax),
               (long)-wanted_errno);
    }
}

/* A process has ended. Returns the status of the first, otherwise -1. */
static int at_end(struct process *process, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0, is_first = process->pid == first;
    int result = signal != 0 ? 128 + signal : WEXITSTATUS(status);

    if (process->image == OURS && (signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE ||
                                   signal == SIGILL || signal == SIGABRT))
        fprintf(log_file, "crashed %s %d\n", process->program->name, signal);
    forget_process(process);
    if (!is_first)
        return -1;
    fprintf(log_file, "ended %d\n", result);
    fflush(log_file);
    if (detach) {
        detaching = 1;
        for (size_t i = 0; i < process_count; i++)
            ptrace(PTRACE_INTERRUPT, processes[i].pid, 0, 0);
    }
    return result;
}

/* Whether the calls of the process are still of interest: not after the one that failed, nor in a
 * program of others while a site is looked for. It goes on until it executes, forks or ends. */
static int is_looked_at(const struct process *process)
{
    return wanted_site == NULL || (!has_failed && process->image != FOREIGN);
}

/* A process has executed a program. One of others that a program of ours has started goes on
 * without us, unless all calls count: it runs none of ours, and it would be slower. */
static int is_of_no_interest(struct process *process)
{
    const int looked_for =
        !everything && kill_whom == NULL && (process->image == OURS || has_failed);

    process->image = UNKNOWN;
    if (looked_for)
        identify(process);
    return process->image == FOREIGN;
}

/* A process has stopped: let it go on. */
static void at_stop(struct process *process, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16, deliver = 0;

    if (detaching || (event == PTRACE_EVENT_EXEC && is_of_no_interest(process))) {
        ptrace(PTRACE_DETACH, process->pid, 0,
               event != 0 || signal == (SIGTRAP | 0x80) ? 0 : signal);
        forget_process(process);
        return;
    }
    if (event == PTRACE_EVENT_STOP) {
        if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
            ptrace(PTRACE_LISTEN, process->pid, 0, 0);
            return;
        }
    } else if (signal == (SIGTRAP | 0x80))
        at_call(process);
    else if (event == 0)
        deliver = signal;
    ptrace(is_looked_at(process) ? PTRACE_SYSCALL : PTRACE_CONT, process->pid, 0, (long)deliver);
}

/* The child waits until it is traced. */
static void start(char **command)
{
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    int ready[2];
    char byte = 0;

    if (pipe2(ready, O_CLOEXEC) == -1 || (first = fork()) == -1)
        die("fork");
    if (first == 0) {
        setpgid(0, 0);
        if (read(ready[0], &byte, 1) == 1)
            execvp(command[0], command);
        _exit(BROKEN);
    }
    if (ptrace(PTRACE_SEIZE, first, 0, options) == -1 || write(ready[1], &byte, 1) != 1)
        die("ptrace");
    close(ready[0]);
    close(ready[1]);
    find_process(first);
}

static void read_options(int argc, char **argv)
{
    const char *path = NULL;
    int option;

    while ((option = getopt(argc, argv, "+o:x:s:n:e:i:k:da")) != -1)
        switch (option) {
        case 'o': path = optarg; break;
        case 'x': add_program(optarg); break;
        case 's': wanted_site = optarg; break;
        case 'n': wanted_number = atol(optarg); break;
        case 'e': wanted_errno = atoi(optarg); break;
        case 'i': wanted_index = atol(optarg); break;
        case 'k': kill_whom = optarg; break;
        case 'd': detach = 1; break;
        case 'a': everything = 1; break;
        default: exit(BROKEN);
        }
    if (path == NULL || optind == argc) {
        fputs("usage: inject -o LOG [-x PROGRAM]... [-ad] [-s SITE -n N -e ERRNO | -i INDEX -k "
              "WHOM] COMMAND...\n",
              stderr);
        exit(BROKEN);
    }
    if ((log_file = fopen(path, "we")) == NULL)
        die("%s", path);
}

int main(int argc, char **argv)
{
    int status, ended, result = BROKEN;
    pid_t pid;

    read_options(argc, argv);
    start(argv + optind);
    while ((pid = waitpid(-1, &status, __WALL)) != -1 || errno == EINTR) {
        if (pid == -1)
            continue;
        if (WIFSTOPPED(status))
            at_stop(find_process(pid), status);
        else if ((ended = at_end(find_process(pid), status)) != -1)
            result = ended;
    }
    fprintf(log_file, "total %ld\n", call_index);
    if (fclose(log_file) != 0)
        die("the log");
    return result;
}
