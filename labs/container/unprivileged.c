#include "unprivileged.h"

#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ids.h"
#include "process.h"
#include "remove.h"
#include "report.h"
#include "rootless.h"
#include "signals.h"

static bool unprivileged;

bool is_unprivileged(void)
{
    return unprivileged;
}

void begin_service(void)
{
    unprivileged = geteuid() != 0;
    /* PATH and the rest are the words of another user. */
    if (getauxval(AT_SECURE) && (unprivileged || getuid() != 0))
        give_up("set-user-ID or set-group-ID it does nothing");
    check_state_directory(); /* of this user, and not of root inside */
}

/* The lines of a map may come in any order, but newuidmap writes them as it was told. */
static unsigned mapped_in(const char *path)
{
    char map[4096];
    unsigned first, count, end = 0;

    must(lab_read_file(path, map, sizeof(map)), "read %s", path);
    for (const char *line = map; line; line = lab_next_line(line))
        if (sscanf(line, "%u %*u %u", &first, &count) == 2 && first == end &&
            first < IDS_PER_CONTAINER)
            end += count < IDS_PER_CONTAINER - first ? count : IDS_PER_CONTAINER - first;
    return end;
}

unsigned mapped_ids(void)
{
    const unsigned users = mapped_in("/proc/self/uid_map");
    const unsigned groups = mapped_in("/proc/self/gid_map");

    return users < groups ? users : groups;
}

int set_groups(size_t count, const gid_t *groups)
{
    return setgroups(count, groups) == 0 || (unprivileged && errno == EPERM) ? 0 : -1;
}

void check_ids(uid_t user, gid_t group)
{
    if (!unprivileged || (user < mapped_ids() && group < mapped_ids()))
        return;
    if (mapped_ids() == 1)
        give_up("without root a container has user 0 and group 0 alone; more are "
                "given by /etc/subuid and /etc/subgid, where newuidmap is there");
    give_up("this container has the users and groups 0 to %u, as /etc/subuid and "
            "/etc/subgid give them",
            mapped_ids() - 1);
}

/*
 * The network: a program copies between a tap device inside and sockets of the caller outside.
 */

/* In the order of choice. By themselves both would connect the container to what listens at
 * 127.0.0.1 of the machine, and pasta would open ports. */
static const struct program {
    const char *name;
    bool publishes; /* it has --tcp-ports and --udp-ports */
    int ready;      /* the descriptor that it writes to when eth0 is there */
    const char *options[24];
    const char *before, *after; /* what stands beside the path of the network namespace */
} PROGRAMS[] = {
    {"pasta",
     true,
     STDOUT_FILENO,
     {"--foreground",       "--quiet",     "--pid",         "/dev/stdout", "--ipv4-only",
      "--config-net",       "--no-map-gw", "--ns-ifname",   "eth0",        "--address",
      USER_NETWORK_ADDRESS, "--netmask",   "255.255.255.0", "--gateway",   "10.0.2.2",
      "--no-netns-quit",    "--tcp-ns",    "none",          "--udp-ns",    "none"},
     "--netns",
     NULL},
    {"slirp4netns",
     false,
     STDERR_FILENO + 1,
     {"--configure", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp",
      "--ready-fd=3"},
     "--netns-type=path",
     "eth0"},
};

static struct {
    const struct program *program; /* NULL: none */
    pid_t process;                 /* process 1 of its PID namespace */
    int words;                     /* what it prints to stderr */
} network;

static void choose_user_network(struct specification *spec)
{
    for (int i = 0; i < LAB_COUNT(PROGRAMS) && !network.program; i++)
        if ((PROGRAMS[i].publishes || spec->port_count == 0) && lab_has_command(PROGRAMS[i].name))
            network.program = &PROGRAMS[i];
    if (!network.program && spec->port_count > 0)
        give_up("without root, --publish needs pasta: install the package passt");
    spec->network = network.program ? NETWORK_USER : NETWORK_NONE;
    if (!network.program)
        lab_warn("%s has no network: without root it needs pasta or slirp4netns; install the "
                 "package passt, or type --net none",
                 spec->name);
}

/* The ports as pasta has them: "8080:80,8081:81", or "none". */
static void list_ports(const struct specification *spec, bool udp, char *list, size_t size)
{
    snprintf(list, size, "none");
    for (int i = 0, length = 0; i < spec->port_count; i++)
        if (spec->ports[i].udp == udp)
            length += snprintf(list + length, size - (size_t)length, "%s%u:%u", length ? "," : "",
                               spec->ports[i].outside, spec->ports[i].inside);
}

/* Replace this process by the program, for the network namespace of process 1 of CONTAINER. */
__attribute__((noreturn)) static void execute(const struct container *container)
{
    const struct program *program = network.program;
    char tcp[MAXIMUM_ITEMS * 16], udp[MAXIMUM_ITEMS * 16], path[64];
    const char *argv[40] = {program->name};
    int count = 1;

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)container->pid);
    list_ports(&container->spec, false, tcp, sizeof(tcp));
    list_ports(&container->spec, true, udp, sizeof(udp));
    const char *const ports[] = {"--tcp-ports", tcp, "--udp-ports", udp};
    const char *const target[] = {program->before, path, program->after};
    for (const char *const *option = program->options; *option; option++)
        argv[count++] = *option;
    for (int i = 0; program->publishes && i < 4; i++)
        argv[count++] = ports[i];
    for (int i = 0; i < 3; i++)
        argv[count++] = target[i];
    lab_exec((char **)argv);
}

/* As process 1 of a PID namespace: when it is killed, the kernel kills the program, too, whatever
 * that has made of PR_SET_PDEATHSIG or of its own PID. */
__attribute__((noreturn)) static void keep_program(const struct container *container, int ready,
                                                   int words)
{
    const int to = network.program->ready;
    struct pollfd reader = {.fd = to};
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    let_signals_through();
    if (setsid() == -1 || nothing == -1 || dup2(words, STDERR_FILENO) == -1 ||
        dup2(nothing, STDIN_FILENO) == -1 || dup2(nothing, STDOUT_FILENO) == -1 ||
        dup2(ready, to) == -1 || fcntl(to, F_SETFD, 0) == -1 ||
        close_range((unsigned)(to > STDERR_FILENO ? to : STDERR_FILENO) + 1, ~0U, 0) == -1)
        lab_die("prepare %s", network.program->name);
    /* If the runtime has died before PR_SET_PDEATHSIG, nothing reads any more. */
    if (must(poll(&reader, 1, 0), "poll") == 1 && reader.revents & POLLERR)
        _exit(STATUS_RUNTIME);
    pid_t child = fork();
    if (child == -1)
        lab_die("fork for %s", network.program->name);
    if (child == 0)
        execute(container);
    close(to); /* so that its end is noticed */
    const int status = lab_wait(child);
    if (status == -1)
        lab_die("wait for %s", network.program->name);
    if (status > 128)
        dprintf(STDERR_FILENO, "it was ended by %s\n", lab_signal_name(status - 128));
    _exit(status);
}

/* The last line that the program has printed. */
static const char *last_words(void)
{
    static char text[1 << 16]; /* what a pipe holds */
    ssize_t length = read(network.words, text, sizeof(text) - 1);

    if (length == -1 && errno != EAGAIN) {
        snprintf(text, sizeof(text), "read what it prints: %s", lab_strerror(errno));
        return text;
    }
    while (length > 0 && text[length - 1] == '\n')
        length--;
    if (length <= 0)
        return "it prints no reason";
    text[length] = '\0';
    char *last = strrchr(text, '\n');
    last = last ? last + 1 : text;
    hide_controls(last);
    return last;
}

void connect_as_user(const struct container *container, void (*wait)(int fd, int milliseconds))
{
    enum { PATIENCE = 20 }; /* seconds */
    const int patience = PATIENCE * lab_slowness();
    int ready[2], words[2];
    char byte;

    if (pipe2(ready, O_CLOEXEC) == -1 || pipe2(words, O_CLOEXEC | O_NONBLOCK) == -1)
        fail("pipe");
    network.words = words[0];
    pid_t child = must(lab_clone(CLONE_NEWPID, 0), "clone3 of %s", network.program->name);
    if (child == 0)
        keep_program(container, ready[1], words[1]);
    network.process = child; /* never -1, which for kill(2) is every process */
    close(ready[1]), close(words[1]);
    wait(ready[0], 1000 * patience);
    const bool in_time = must(poll(&(struct pollfd){.fd = ready[0], .events = POLLIN}, 1, 0),
                              "look whether %s is ready", network.program->name) == 1;
    const ssize_t count = in_time ? read(ready[0], &byte, 1) : 0;
    if (count == -1)
        fail("read whether %s is ready", network.program->name);
    close(ready[0]);
    if (count == 1)
        return;
    /* It may have closed the descriptor and still run. If it has not, what ended it comes. */
    must(poll(&(struct pollfd){.fd = network.words}, 1, 1000), "wait for %s",
         network.program->name);
    if (kill(network.process, SIGKILL) == -1 || lab_wait(network.process) == -1)
        fail("end %s", network.program->name);
    network.process = 0;
    if (!in_time)
        give_up("%s has made no network within %d seconds: %s; --net none needs none",
                network.program->name, patience, last_words());
    give_up("%s makes no network: %s; --net none needs none", network.program->name, last_words());
}

void disconnect_user(void)
{
    if (network.process == 0)
        return;
    if (waitpid(network.process, NULL, WNOHANG) == network.process)
        lab_warn("%s has ended before its container: %s", network.program->name, last_words());
    else if (kill(network.process, SIGKILL) == -1 || lab_wait(network.process) == -1)
        lab_warn_errno("end %s", network.program->name);
    network.process = 0;
}

void adapt_to_user(struct specification *spec)
{
    struct stat status;

    if (!unprivileged)
        return;
    if (!spec->own_users)
        give_up("--userns host needs root: root inside would be root outside");
    if (spec->address || spec->subnet)
        give_up("--ip and --subnet need root, as the bridge does");
    if (spec->root && stat(spec->root, &status) == 0 && S_ISDIR(status.st_mode) &&
        status.st_uid != geteuid())
        lab_warn("'%s' belongs to user %u; in it, root inside can read, and change nothing",
                 spec->root, status.st_uid);
    if (spec->network == NETWORK_BRIDGE)
        choose_user_network(spec);
}

/* remove_contents() by a child that is root inside. Returns 0, or -1 with its errno, or the present
 * one where it could not become root, as it says. */
static int remove_as_root(int directory)
{
    const int present = errno;
    int *error =
        mmap(NULL, sizeof(*error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (error == MAP_FAILED)
        return -1;
    *error = present;
    pid_t child = lab_fork();
    if (child == 0) {
        lab_become_root();
        *error = remove_contents(directory) == -1 ? errno : 0;
        _exit(EXIT_SUCCESS);
    }
    int result = child == -1 ? -1 : lab_wait(child);
    if (result != -1) {
        errno = *error;
        result = *error == 0 ? 0 : -1;
    }
    munmap(error, sizeof(*error));
    return result;
}

int remove_container_directory(int parent, const char *name, int directory)
{
    if (remove_contents(directory) == -1 &&
        (!unprivileged || lab_rootless || remove_as_root(directory) == -1))
        return -1;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}
