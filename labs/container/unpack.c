#include "unpack.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ids.h"
#include "inside.h"
#include "mounts.h"
#include "privileges.h"
#include "process.h"
#include "report.h"

/* What the process has from the runtime. */
struct unpacking {
    struct specification rights; /* of a container without options */
    struct sock_fprog filter;
    const char *name;
    int archive, socket;
};

/* Only the archive, as 0, and the socket stay open: no lock of the runtime, no terminal. The
 * archive may be open for writing, and what libraries print must not get into it. */
static void close_others(const struct unpacking *unpacking)
{
    int nowhere[2];

    must(pipe2(nowhere, O_CLOEXEC), "pipe");
    report_socket = fcntl(unpacking->socket, F_DUPFD_CLOEXEC, 4);
    if (report_socket == -1 || dup2(unpacking->archive, 0) == -1 || dup2(nowhere[0], 1) == -1 ||
        dup2(nowhere[0], 2) == -1) /* the end for reading: write(2) fails */
        fail("keep the archive");
    report_socket = must(dup2(report_socket, 3), "keep the socket");
    must(close_range(4, ~0U, 0), "close_range");
}

/* What unpacks the archive is not in the container's group. Its head may ask for a dictionary of
 * gigabytes; the largest of xz and zstd, by their options -9 and --ultra -22, are of 128 MiB. */
static void limit_memory(void)
{
    enum { MORE = 512 << 20 };
    char pages[128];

    must(lab_read_file("/proc/self/statm", pages, sizeof(pages)), "read /proc/self/statm");
    const rlim_t most = strtoull(pages, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + MORE;
    if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) == -1)
        fail("limit the memory of the process that unpacks");
}

__attribute__((noreturn)) static void become_unpacker(const struct unpacking *unpacking)
{
    const bool own_users = unpacking->rights.own_users;
    struct account root = {0};

    close_others(unpacking);
    set_up_child(3, own_users);
    if (setsid() == -1) /* keys typed at the runtime's terminal are for the runtime */
        fail("setsid");
    load_libarchive(own_users);
    limit_memory();
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / MS_PRIVATE");
    int new_root = *receive_mounts(1);
    mounts_enter_root(new_root);
    mounts_leave_old_root();
    close(new_root);
    umask(022);
    limit_bounding_set(unpacking->rights.capabilities);
    drop_privileges(&unpacking->rights, &root, &unpacking->filter);
    if (extract_archive(STDIN_FILENO, unpacking->name, ARCHIVE_PLAIN) == 0)
        give_up("'%s' is not a root file system: it is empty", unpacking->name);
    image_apply(unpacking->name);
    _exit(EXIT_SUCCESS);
}

static pid_t clone_unpacker(const struct unpacking *unpacking, uid_t first_id, int ours, int *pidfd)
{
    const uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
                   users = unpacking->rights.own_users ? CLONE_NEWUSER : 0;
    pid_t pid = ids_clone(flags | users, pidfd, -1, first_id);

    if (pid == 0) {
        close(ours);
        become_unpacker(unpacking);
    }
    return pid;
}

/* Show BASE to the process with the container's users, as the container will have it. */
static void send_base(const struct container *container, int base, int users)
{
    const struct message message = {.kind = MESSAGE_MOUNTS};
    lab_fd shown = mounts_show_base(&container->spec, base, users);

    if (send_message(child_socket, &message, &shown, 1) == -1)
        fail("send the base to the process that unpacks it");
}

/* Start the process; child_socket is our end of its socket. */
static void start_unpacker(struct unpacking *unpacking, const struct container *container, int base,
                           int *pidfd)
{
    const uid_t first_id = container->first_id;
    int sockets[2];
    lab_fd users = -1;

    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), "socketpair");
    child_socket = sockets[0];
    unpacking->socket = sockets[1];
    pid_t pid = must(clone_unpacker(unpacking, first_id, sockets[0], pidfd),
                     "start a process that unpacks '%s'", unpacking->name);
    close(sockets[1]);
    if (unpacking->rights.own_users)
        users = ids_map(pid, first_id, sockets[0]);
    send_base(container, base, users);
}

void unpack_archive(const struct container *container, int archive, int base, int *pidfd,
                    void (*wait_for)(int fd, int milliseconds))
{
    const uint64_t capabilities = default_capabilities();
    struct unpacking unpacking = {
        .rights = {.own_users = container->spec.own_users, .capabilities = capabilities},
        .filter = filter_for(capabilities),
        .name = strcmp(container->spec.root, "-") == 0 ? "standard input" : container->spec.root,
        .archive = archive,
    };
    struct message message;
    siginfo_t end = {0};
    int result;

    start_unpacker(&unpacking, container, base, pidfd);
    do {
        wait_for(child_socket, -1);
        result = receive_message(child_socket, &message, NULL, NULL);
        if (result == 1 && message.kind == MESSAGE_FAILED)
            give_up_with(message.status, "%s", message.text);
    } while (result == 1);
    if (result == -1 || waitid(P_PIDFD, (id_t)*pidfd, &end, WEXITED) == -1)
        fail("wait for the process that unpacks '%s'", unpacking.name);
    lab_close_fd(pidfd);
    lab_close_fd(&child_socket);
    if (end.si_code == CLD_EXITED && end.si_status != 0)
        give_up("'%s' cannot be unpacked: the process that does it ended with status %d",
                unpacking.name, end.si_status);
    if (end.si_code != CLD_EXITED)
        give_up("'%s' cannot be unpacked: the process that does it was ended by %s", unpacking.name,
                lab_signal_name(end.si_status));
}
