#include "nat.h"

#include <arpa/inet.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>

#include "host.h"
#include "nft.h"
#include "process.h"
#include "report.h"
#include "signals.h"

#define CHAIN "CONTAINER-LABS"

/* %1$s is the network, %2$s the bridge. Packets to an address of this machine are looked up among
 * the published ports. Packets that leave the network get this machine's address, and so do those
 * that a container sends to its own published port, or this machine from 127.0.0.1: a container
 * would look for that address on its own lo. */
static const char NAT[] =
    "PREROUTING -m addrtype --dst-type LOCAL -j " CHAIN "\n"
    "OUTPUT -m addrtype --dst-type LOCAL -j " CHAIN "\n"
    "POSTROUTING -s %1$s ! -o %2$s -j MASQUERADE\n"
    "POSTROUTING -s %1$s -o %2$s -m conntrack --ctstate DNAT -j MASQUERADE\n"
    "POSTROUTING -s 127.0.0.0/8 -o %2$s -m conntrack --ctstate DNAT -j MASQUERADE\n";

/* The bridge accepts 127.0.0.1 (route_localnet), for the answers to this machine: a container must
 * not reach servers on the machine's lo by it. */
#define LOCAL_ONLY                                                                                 \
    "INPUT -i %1$s -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"

/* The machine's table of connections, of 65536 or 262144 on most, is for all programs: with an
 * eighth of it, or this many, a container begins no further one. connlimit does not count those of
 * TCP that have ended, which stay for two minutes: in that time there may be twice as many. A
 * kernel may be without both, and iptables -D does not find such a rule: so they have a chain of
 * their own.
 */
#define NEW CHAIN "-NEW"
#define FEW                                                                                        \
    "-A " NEW " -m connlimit --connlimit-above %1$d -j DROP\n"                                     \
    "-A " NEW " -p tcp -m hashlimit --hashlimit-mode srcip --hashlimit-name container-labs "       \
    "--hashlimit-above %2$d/min --hashlimit-burst %1$d --hashlimit-htable-expire 120000 -j DROP\n"
#define BEGINS "-i %1$s -m conntrack --ctstate NEW -j " NEW "\n"

/* Out, to each other, answers, and to published ports; nothing else comes in from outside. */
static const char FORWARD[] =
    "-A " CHAIN " -s %1$s -i %2$s -j ACCEPT\n"
    "-A " CHAIN " -o %2$s -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT\n"
    "-A " CHAIN " -o %2$s -j DROP\n";

/* Where forwarding was off, it is switched on for the bridge alone. Behind all other rules, like a
 * policy. */
#define GUARD "FORWARD ! -i %1$s ! -o %1$s -j DROP\n"

/* Where to find COMMAND: the PATH of root by su(1) without a minus sign has no /usr/sbin. */
static const char *find(const char *command)
{
    static char path[PATH_MAX];
    const char *outside = lab_find_command(command, NULL, 0) ? NULL : lab_outside_path(command);

    snprintf(path, sizeof(path), "%s%s%s", outside ? outside : "", outside ? "/" : "", command);
    return path;
}

__attribute__((noreturn)) static void give_up_restore(const char *what)
{
    lab_warn_errno("%s", what);
    _exit(LAB_EXIT_CANNOT_INVOKE);
}

/* For so long iptables-restore(8) may take, in seconds: others wait meanwhile. */
static unsigned patience(void)
{
    return 20 * (unsigned)lab_slowness();
}

/* Let iptables-restore(8) read TEXT, in a child. COMPLAINTS: the file for them, -1 is our stderr.
 * Returns the child, or -1 after a warning. */
static pid_t begin_restore(const char *text, int complaints)
{
    static char *argv[] = {"iptables-restore", "--wait=10", "--noflush", NULL};
    lab_fd input = memfd_create("rules", MFD_CLOEXEC);

    if (input == -1 || lab_write_once(input, text) == -1 || lseek(input, 0, SEEK_SET) == -1)
        return lab_warn_errno("write the rules to a file in memory");
    pid_t child = lab_fork();
    if (child == -1)
        lab_warn_errno("fork for iptables-restore");
    if (child != 0)
        return child;
    int ours = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (ours == -1 || dup2(input, STDIN_FILENO) == -1 ||
        (complaints != -1 && dup2(complaints, STDERR_FILENO) == -1))
        give_up_restore("dup2");
    let_signals_through();
    signal(SIGALRM, SIG_DFL);
    alarm(patience()); /* it outlives execve(2) */
    execvp(find(argv[0]), argv);
    if (errno == ENOENT)
        _exit(LAB_EXIT_NOT_FOUND);
    const int error = errno;
    dup2(ours, STDERR_FILENO);
    errno = error;
    give_up_restore("execute iptables-restore");
}

int nat_wait(pid_t child)
{
    const int status = child == -1 ? -1 : lab_wait(child);

    if (child != -1 && status == -1)
        lab_warn_errno("wait for the process that changes the rules");
    return status;
}

/* The status of iptables-restore(8), CHILD: none of its own is that of a signal. */
static int wait_for_restore(pid_t child)
{
    const int status = nat_wait(child);

    if (status == 128 + SIGALRM)
        lab_warn("iptables-restore has not ended within %u seconds: %s", patience(),
                 lab_strerror(ETIME));
    else if (status > 128)
        lab_warn("iptables-restore was ended by %s", lab_signal_name(status - 128));
    return status;
}

static int restore(const char *text, int complaints)
{
    return wait_for_restore(begin_restore(text, complaints));
}

/* Write each line of RULES, formatted with NETWORK and BRIDGE, behind VERB ("-A "). */
__attribute__((format(printf, 3, 0))) static void add_lines(FILE *to, const char *verb,
                                                            const char *rules, const char *network,
                                                            const char *bridge)
{
    char text[1024];

    snprintf(text, sizeof(text), rules, network, bridge);
    for (const char *line = text; *line;) {
        int length = (int)strcspn(line, "\n");
        fprintf(to, "%s%.*s\n", verb, length, line);
        line += length + 1;
    }
}

static int most_connections(void)
{
    enum { MOST = 8192 };
    char text[32];

    /* Before the kernel has a table it cannot be read. */
    if (lab_read_file("/proc/sys/net/netfilter/nf_conntrack_max", text, sizeof(text)) == -1)
        return MOST;
    const int eighth = atoi(text) / 8;
    return eighth > 0 && eighth < MOST ? eighth : MOST;
}

/* The filter comes first: where it is refused, nothing is changed. */
static void write_rules(char *text, size_t size, const char *bridge, const char *network,
                        bool guarded, bool few)
{
    FILE *to = fmemopen(text, size, "w");
    const int most = most_connections();

    if (!to)
        give_up_restore("write the rules");
    fprintf(to, "*filter\n:" CHAIN " - [0:0]\n:" NEW " - [0:0]\n-I FORWARD -j " CHAIN "\n");
    if (few)
        fprintf(to, FEW, most, most / 2);
    fprintf(to, "-A " CHAIN " " BEGINS "-I INPUT " BEGINS, bridge);
    add_lines(to, "", FORWARD, network, bridge);
    fprintf(to, "-I " LOCAL_ONLY, bridge);
    if (guarded)
        fprintf(to, "-A " GUARD, bridge);
    fprintf(to, "COMMIT\n*nat\n:" CHAIN " - [0:0]\n");
    add_lines(to, "-A ", NAT, network, bridge);
    fprintf(to, "COMMIT\n");
    fclose(to);
}

/* Where iptables-restore(8) can be executed, a refusal may be for connlimit or hashlimit. */
static int install(const char *bridge, const char *network, bool guarded)
{
    char text[4096];
    lab_fd complaints = memfd_create("complaints", MFD_CLOEXEC);

    if (complaints == -1)
        return lab_warn_errno("make a file in memory for what iptables-restore says");
    write_rules(text, sizeof(text), bridge, network, guarded, true);
    int status = restore(text, complaints);
    if (status <= 0 || status >= LAB_EXIT_CANNOT_INVOKE)
        return status;
    write_rules(text, sizeof(text), bridge, network, guarded, false);
    status = restore(text, -1);
    if (status == 0) {
        const ssize_t length = pread(complaints, text, sizeof(text) - 1, 0);
        text[length > 0 ? length : 0] = '\0';
        lab_warn(
            "iptables refuses connlimit or hashlimit (%.*s): containers may fill the machine's "
            "table of connections",
            (int)strcspn(text, "\n"), text);
    }
    return status;
}

pid_t nat_up(const char *bridge, const char *network, bool guarded)
{
    pid_t child = lab_fork();

    if (child == 0) {
        const int status = install(bridge, network, guarded);
        _exit(status == -1 ? LAB_EXIT_CANNOT_INVOKE : status);
    }
    if (child == -1)
        lab_warn_errno("fork for the rules of the bridge");
    return child;
}

void nat_write_port(FILE *rules, char verb, const struct port *port, struct in_addr address)
{
    fprintf(rules, "-%c " CHAIN " -p %s --dport %u -j DNAT --to-destination %s:%u\n", verb,
            port->udp ? "udp" : "tcp", port->outside, inet_ntoa(address), port->inside);
}

int nat_publish(const char *rules, bool all)
{
    lab_string text = NULL;

    if (asprintf(&text, "*nat\n%s%sCOMMIT\n", all ? ":" CHAIN " - [0:0]\n" : "", rules) == -1)
        return -1;
    return restore(text, -1);
}

/* Remove all rules at once; or, where a part of them is gone already, line by line. */
static void remove_rules(const char *bridge, const char *network, bool guarded)
{
    char text[4096] = "";
    FILE *to = fmemopen(text, sizeof(text), "w");
    lab_fd complaints =
        memfd_create("complaints", MFD_CLOEXEC); /* of rules that are gone already */

    if (!to)
        return;
    fprintf(to, "*nat\n");
    add_lines(to, "-D ", NAT, network, bridge);
    fprintf(to, "-F " CHAIN "\n-X " CHAIN "\nCOMMIT\n*filter\n-D FORWARD -j " CHAIN "\n"
                "-F " CHAIN "\n-X " CHAIN "\n");
    fprintf(to, "-D " LOCAL_ONLY "-D INPUT " BEGINS "-F " NEW "\n-X " NEW "\n", bridge);
    if (guarded)
        fprintf(to, "-D " GUARD, bridge);
    fprintf(to, "COMMIT\n");
    fclose(to);
    int status = restore(text, complaints);
    if (status <= 0 || status > 128) /* done, or the program was killed */
        return;
    const char *table = "";
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line;
         line = status > 128 ? NULL : strtok_r(NULL, "\n", &rest)) {
        char alone[512];
        if (*line == '*')
            table = line;
        snprintf(alone, sizeof(alone), "%s\n%s\nCOMMIT\n", table, line);
        if (*line == '-')
            status = restore(alone, complaints);
    }
}

/* lab_nft_delete_full(), by a child which ends, unwaited for, after this process has gone on. */
static int delete_tables(const struct lab_nft_part tables[], int count, uint32_t generation)
{
    int error, ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        if (dup2(ends[1], 0) == -1)
            _exit(1);
        close_range(1, ~0U, 0); /* locks too, and pipes whose readers wait for their end */
        error = lab_nft_delete_full(tables, count, generation) == -1 ? errno : 0;
        _exit(write(0, &error, sizeof(error)) == -1);
    }
    close(ends[1]);
    if (child == -1 || read(ends[0], &error, sizeof(error)) != sizeof(error))
        error = EIO;
    close(ends[0]);
    errno = error;
    return error ? -1 : 0;
}

/* Remove the tables as a whole, if nat_up() made them and no rule was changed since GENERATION. It
 * is ten times quicker than iptables-restore(8). Returns whether they are gone. */
static bool remove_tables(unsigned missing, uint32_t generation)
{
    struct lab_nft_part tables[LAB_NFT_PARTS];
    int count = 0;

    for (int i = 0; i < LAB_NFT_PARTS; i++) {
        if (!(missing & 1U << i))
            return false;
        if (!lab_nft_parts[i].chain)
            tables[count++] = lab_nft_parts[i];
    }
    return generation != 0 && delete_tables(tables, count, generation) == 0;
}

/* Whether either iptables, the one on nf_tables or the legacy one, has tables with rules that lead
 * through this machine, or that cannot be told. */
static bool has_tables(void)
{
    return lab_nft_exists("nat", NULL) || lab_nft_exists("filter", NULL) ||
           lab_host_has_legacy_tables() != 0;
}

typedef bool counts(const char *rule, const char *bridge);

static bool is_a_rule(const char *rule, const char *bridge)
{
    (void)bridge;
    return strncmp(rule, "-A ", 3) == 0;
}

/* Whether RULE is of write_rules() or nat_publish(), as iptables-save(8) prints it. Rules of others
 * may name the bridge. */
static bool is_ours(const char *rule, const char *bridge)
{
    const bool like_ours = strstr(rule, "-j MASQUERADE") || strstr(rule, "-d 127.0.0.0/8") ||
                           strstr(rule, "! -i"); /* of NAT, LOCAL_ONLY and GUARD */

    return is_a_rule(rule, bridge) && (strstr(rule, CHAIN) || (like_ours && strstr(rule, bridge)));
}

/* Neither of a published port nor of what keeps connections few. */
static bool is_of_the_bridge(const char *rule, const char *bridge)
{
    return is_ours(rule, bridge) && (strstr(rule, bridge) || strstr(rule, "-j " CHAIN));
}

/* Returns the number of rules that COUNT_IT counts of what SAVE, an iptables-save(8), prints, or -1
 * where it cannot be told: after a warning, or with ENOENT where that is not installed. */
static int count_rules(const char *save, counts *count_it, const char *bridge)
{
    const char *const argv[] = {find(save), NULL};
    int count = 0;
    LAB_OUTPUT output = {0};

    if (!has_tables())
        return 0;
    if (lab_listen_command(&output, argv, LAB_PROGRAM) == -1)
        return lab_warn_errno("run %s", save);
    errno = output.status == LAB_EXIT_NOT_FOUND ? ENOENT : 0;
    if (output.status != 0 && errno == 0)
        lab_warn("%s: %.*s", save, (int)strcspn(output.text, "\n"), output.text);
    if (output.status != 0)
        return -1;
    for (char *rest, *line = strtok_r(output.text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        count += count_it(line, bridge);
    return count;
}

int nat_is_up(const char *bridge, bool guarded)
{
    enum { NAME_THE_BRIDGE = 9, JUMPS = 3 };
    const int count = count_rules("iptables-save", is_of_the_bridge, bridge);

    return count == -1 ? -1 : count >= NAME_THE_BRIDGE + JUMPS + guarded; /* of write_rules() */
}

int nat_down(const char *bridge, const char *network, bool guarded, unsigned missing,
             uint32_t generation)
{
    if (remove_tables(missing, generation))
        return 0;
    remove_rules(bridge, network, guarded);
    lab_nft_delete_missing(missing);
    const int left = count_rules("iptables-save", is_ours, bridge);
    if (left == -1 && errno == ENOENT) /* it is not installed: no rules were made either */
        return lab_nft_exists("nat", CHAIN) || lab_nft_exists("filter", CHAIN) ? -1 : 0;
    return left == 0 ? 0 : -1;
}

static bool is_of_others(const char *rule, const char *bridge)
{
    (void)bridge;
    return lab_host_is_need_of_others(rule);
}

int nat_needs_of_others(void)
{
    const int legacy = lab_host_has_legacy_tables(), rules = lab_nft_needs_of_others();

    if (legacy == -1 || rules == -1)
        return lab_warn_errno("count the rules of other programs that need forwarding");
    const char *save = lab_host_legacy_save();
    const int more = legacy ? count_rules(save, is_of_others, NULL) : 0;
    if (more == -1)
        return errno == ENOENT ? lab_warn_errno("run %s", save) : -1;
    return rules + more;
}
