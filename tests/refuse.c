/*
 * refuse - run a command that the kernel refuses system calls, as a container's filter does.
 *
 *     refuse CALL:ERRNO[:ARGUMENT=VALUE]... -- COMMAND [ARG]...
 *
 * CALL fails with ERRNO ("EPERM"); with OK as ERRNO it does nothing and says that it has, with
 * SIGSYS it is the end of the process. With ARGUMENT (0 to 5), only where the lower half of that
 * argument is VALUE, a number. seccomp(2).
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"bind", SYS_bind},
    {"chroot", SYS_chroot},
    {"clone", SYS_clone},
    {"clone3", SYS_clone3},
    {"close_range", SYS_close_range},
    {"fchmod", SYS_fchmod},
    {"fsconfig", SYS_fsconfig},
    {"fsmount", SYS_fsmount},
    {"fsopen", SYS_fsopen},
    {"keyctl", SYS_keyctl},
    {"memfd_create", SYS_memfd_create},
    {"mount", SYS_mount},
    {"mount_setattr", SYS_mount_setattr},
    {"move_mount", SYS_move_mount},
    {"open_tree", SYS_open_tree},
    {"openat2", SYS_openat2},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"pivot_root", SYS_pivot_root},
    {"prctl", SYS_prctl},
    {"read", SYS_read},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sethostname", SYS_sethostname},
    {"seccomp", SYS_seccomp},
    {"setsockopt", SYS_setsockopt},
    {"setns", SYS_setns},
    {"socket", SYS_socket},
    {"umount2", SYS_umount2},
    {"unshare", SYS_unshare},
    {"write", SYS_write},
};

static struct sock_filter program[256];
static unsigned short length;

static void add(unsigned short code, unsigned char if_true, unsigned char if_false, unsigned value)
{
    program[length++] =
        (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = value};
}

static int usage(const char *word)
{
    fprintf(stderr, "refuse: '%s': CALL:ERRNO[:ARGUMENT=VALUE]... -- COMMAND\n", word);
    return 2;
}

/* What the kernel is to do instead, 0 where NAME is none of its words. */
static unsigned action_named(const char *name)
{
    if (strcmp(name, "SIGSYS") == 0)
        return SECCOMP_RET_KILL_PROCESS;
    if (strcmp(name, "OK") == 0)
        return SECCOMP_RET_ERRNO;
    for (int number = 1; number < 200; number++)
        if (strerrorname_np(number) && strcmp(strerrorname_np(number), name) == 0)
            return SECCOMP_RET_ERRNO | (unsigned)number;
    return 0;
}

/* Add "if it is this call, with this argument, fail". Returns whether WORD was understood. */
static int add_refusal(const char *word)
{
    char call[32], name[32];
    unsigned argument = 0, value = 0, number = UINT_MAX;
    int fields =
        sscanf(word, "%31[a-z0-9_]:%31[A-Z0-9]:%u=%i", call, name, &argument, (int *)&value);

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (strcmp(calls[i].name, call) == 0)
            number = calls[i].number;
    if ((fields != 2 && fields != 4) || number == UINT_MAX || !action_named(name) || argument > 5)
        return 0;
    add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, fields == 4 ? 3 : 1, number);
    if (fields == 4) {
        add(BPF_LD | BPF_W | BPF_ABS, 0, 0,
            (unsigned)offsetof(struct seccomp_data, args) + argument * 8);
        add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    }
    add(BPF_RET | BPF_K, 0, 0, action_named(name));
    return 1;
}

int main(int argc, char *argv[])
{
    int i = 1;

    for (; i < argc && i < 32 && strcmp(argv[i], "--") != 0; i++)
        if (!add_refusal(argv[i]))
            return usage(argv[i]);
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0)
        return usage("");
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = length, .filter = program};
    /* What the command may gain by exec does not matter here; without this, root alone may filter.
     */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == -1) {
        perror("refuse: seccomp");
        return 125;
    }
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 127;
}
