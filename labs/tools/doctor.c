/*
 * doctor - what this machine can do for the labs, and what to do where it cannot.
 *
 *     sudo ./labs/doctor            a line for each thing that a lab needs, with root; then,
 * without
 *     ./labs/doctor                 the same without root
 *     sudo ./labs/doctor LINE...    these lines alone: "cgroup cpu"
 *     sudo ./labs/doctor --json     the same for programs
 *
 * Nothing is guessed from a version: each probe is a child process that really does the thing, in
 * private namespaces that vanish with it. It says what it saw, or fails as a lab would fail, with
 * the same words; docs/troubleshooting.md has a section for each line.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "json.h"
#include "probe.h"
#include "process.h"
#include "rootless.h"

#define EVERY_LAB "01 02 03 04 05 06 07 08 09"

struct probe {
    const char *name;
    const char *labs; /* that cannot run without it; "": it never keeps one from running */
    void (*body)(const void *argument); /* prints what it saw and returns, or exits with a remedy */
    const void *argument;
    bool anybody; /* it needs no rights; else an ordinary user gets them as in a lab, in a namespace
                   */
};

static const struct probe_call OF_ALL_LABS[] = {{"pidfd_open", "5.3", SYS_pidfd_open},
                                                {"openat2", "5.6", SYS_openat2},
                                                {"clone3", "5.3", SYS_clone3},
                                                {0}};
static const struct probe_call CHROOT[] = {{"chroot", "1.0", SYS_chroot}, {0}};
static const struct probe_call SETNS[] = {{"setns", "3.0", SYS_setns}, {0}};
static const struct probe_call CLOSE_RANGE[] = {{"close_range", "5.9", SYS_close_range}, {0}};
static const struct probe_call OF_LAB_09[] = {{"pidfd_send_signal", "5.1", SYS_pidfd_send_signal},
                                              {"mount_setattr", "5.12", SYS_mount_setattr},
                                              {"open_tree", "5.2", SYS_open_tree},
                                              {"move_mount", "5.2", SYS_move_mount},
                                              {"fsopen", "5.2", SYS_fsopen},
                                              {"fsconfig", "5.2", SYS_fsconfig},
                                              {"fsmount", "5.2", SYS_fsmount},
                                              {"memfd_create", "3.17", SYS_memfd_create},
                                              {"keyctl", "2.6.10", SYS_keyctl},
                                              {"seccomp", "3.17", SYS_seccomp},
                                              {0}};

static const struct probe probes[] = {
    {"kernel", EVERY_LAB, probe_kernel, NULL, true},
    {"surroundings", EVERY_LAB, probe_surroundings, NULL, true},
    {"root", EVERY_LAB, probe_root, NULL, true},
    {"CPUs", "", probe_cpus, NULL, true},
    {"system calls", EVERY_LAB, probe_calls, OF_ALL_LABS, true},
    {"chroot", "01 02 04", probe_calls, CHROOT, true},
    {"setns", "03 04 07 08 09", probe_calls, SETNS, true},
    {"close_range", "03 04 09", probe_calls, CLOSE_RANGE, true},
    {"64-bit machine", "09", probe_word_size, NULL, true},
    {"system calls of lab 09", "09", probe_calls, OF_LAB_09, false},
    {"mount namespace", EVERY_LAB, probe_mounts, NULL, false},
    {"UTS namespace", "03 04 09", probe_namespace, "uts", false},
    {"IPC namespace", "03 04 09", probe_namespace, "ipc", false},
    {"PID namespace", "03 04 09", probe_namespace, "pid", false},
    {"network namespace", "02 03 04 07 08 09", probe_namespace, "net", false},
    {"user namespace", "03 04 09", probe_namespace, "user", false},
    {"cgroup namespace", "03 04 09", probe_namespace, "cgroup", false},
    {"time namespace", "03 04", probe_namespace, "time", false},
    {"user 65534", "", probe_ids, NULL, false},
    {"users from 100000 on", "09", probe_ids, "many", false},
    {"unprivileged user namespaces", "", probe_unprivileged, NULL, true},
    {"/run", EVERY_LAB, probe_run, NULL, false},
    {"pivot_root", "01 09", probe_pivot_root, NULL, false},
    {"mount proc", "02 03 04 09", probe_proc, NULL, false},
    {"overlayfs", "02 09", probe_overlay, NULL, false},
    {"idmapped mounts", "", probe_idmapped, NULL, false},
    {"programs in /tmp", "", probe_tmp, NULL, true},
    {"cgroup", "05 06 09", probe_cgroup, NULL, true},
    {"cgroup cpu", "05 06 09", probe_controller, "cpu", false},
    {"cgroup memory", "09", probe_controller, "memory", false},
    {"cgroup pids", "09", probe_controller, "pids", false},
    {"loopback", "02 07 08 09", probe_loopback, NULL, false},
    {"bridge", "07 08 09", probe_link, "bridge", false},
    {"veth", "07 08 09", probe_link, "veth", false},
    {"NAT rule", "08 09", probe_nat, NULL, false},
    {"ip_forward", "08 09", probe_forwarding, NULL, false},
    {"FORWARD policy", "", probe_forward_policy, NULL, false},
    {"bridge-nf-call-iptables", "", probe_bridge_netfilter, NULL, false},
    {"busybox", "01 02 08 09", probe_busybox, NULL, true},
    {"static busybox", "01", probe_busybox, "static", true},
    {"ip", "03 07 08", probe_command, "ip -V", true},
    {"brctl", "07 08", probe_command, "brctl --version", true},
    {"iptables", "08 09", probe_command, "iptables -V", true},
    {"ping", "07 08", probe_command, "ping -V", true},
    {"ldd", "01", probe_command, "ldd --version", true},
    {"readelf", "01", probe_command, "readelf --version", true},
    {"chroot(1)", "02", probe_command, "chroot --version", true},
    {"unshare", "02 03 04", probe_command, "unshare --version", true},
    {"hostname", "03 04", probe_command, "hostname --version", true},
    {"ps", "03", probe_command, "ps --version", true},
    {"ipcmk", "03", probe_command, "ipcmk --version", true},
    {"mount", "03 04", probe_command, "mount --version", true},
    {"sysctl", "08", probe_command, "sysctl --version", true},
    {"bats", "", probe_command, "bats --version", true},
};

enum { PROBES = sizeof(probes) / sizeof(probes[0]) };

static const char *const VERDICTS[] = {"ok", "note", "no"};

struct finding {
    enum { WORKS, NOTED, FAILS, UNWANTED } verdict;
    char seen[512], remedy[512];
};

/* Root tries all lines once more as this user: the one that has typed sudo, or one whom no process
 * has, as any could trace ours. 0: does not. */
static uid_t ordinary_user;

static void become_ordinary_user(void)
{
    const char *group = getenv("SUDO_GID");

    if (setgroups(0, NULL) == -1 || setgid(group ? (gid_t)atoi(group) : ordinary_user) == -1 ||
        setuid(ordinary_user) == -1)
        lab_die("become user %u", ordinary_user);
    if (prctl(PR_SET_DUMPABLE, 1) == -1) /* it is to write its maps in /proc itself */
        lab_die("prctl PR_SET_DUMPABLE");
    if (unsetenv("XDG_RUNTIME_DIR") == -1)
        lab_die("unsetenv XDG_RUNTIME_DIR");
}

static int run_probe(void *probe)
{
    const struct probe *chosen = probe;

    lab_output_seconds *= 2; /* a command in it that hangs is ended with it */
    if (ordinary_user)
        become_ordinary_user();
    if (geteuid() != 0)
        lab_extend_path();
    if (!chosen->anybody)
        lab_become_root();
    chosen->body(chosen->argument);
    return EXIT_SUCCESS;
}

/* The last line that a probe prints is what it found. Behind the first "; " of a failure stands the
 * remedy, as in all complaints of the labs, and before it the program's name. */
static void read_finding(struct finding *finding, char *text)
{
    char prefix[64];
    int length = snprintf(prefix, sizeof(prefix), "%s: ", program_invocation_short_name);

    for (char *end = text + strlen(text); end > text && end[-1] == '\n';)
        *--end = '\0';
    char *line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
    if (strncmp(line, prefix, (size_t)length) == 0)
        line += length;
    char *remedy = finding->verdict == WORKS ? NULL : strstr(line, "; ");
    if (remedy)
        *remedy = '\0';
    if (finding->verdict != WORKS && strncmp(text, prefix, (size_t)length) == 0 &&
        line > text + length)
        line = text + length; /* the cause comes first, its consequence last */
    snprintf(finding->seen, sizeof(finding->seen), "%.*s", (int)strcspn(line, "\n"), line);
    snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy ? remedy + 2 : "");
}

static void try_probe(const struct probe *probe, struct finding *finding)
{
    LAB_OUTPUT output = {0};

    *finding = (struct finding){.verdict = FAILS};
    if (lab_listen(&output, run_probe, (void *)probe) == -1) {
        /* Not even that: every lab listens to its children through pidfds. */
        lab_fd pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        snprintf(finding->seen, sizeof(finding->seen), "%s: %s",
                 pidfd == -1 ? "pidfd_open, Linux 5.3" : "start a child", lab_strerror(errno));
        snprintf(finding->remedy, sizeof(finding->remedy), "%s", ELSEWHERE);
        return;
    }
    if (output.status == EXIT_SUCCESS || output.status == PROBE_NOTE)
        finding->verdict = output.status == PROBE_NOTE ? NOTED : WORKS;
    read_finding(finding, output.text);
    if (output.timed_out) {
        snprintf(finding->seen, sizeof(finding->seen), "it hung, and was ended");
        snprintf(finding->remedy, sizeof(finding->remedy), "see where: strace -f %s '%s'",
                 lab_typed("doctor"), probe->name);
    } else if (output.status > 128) {
        snprintf(finding->seen, sizeof(finding->seen), "it was ended by %s",
                 lab_signal_name(output.status - 128));
        snprintf(finding->remedy, sizeof(finding->remedy), "%s",
                 output.status == 128 + SIGSYS ? "a filter forbids it: " ELSEWHERE : "");
    }
}

/* The labs that cannot run without it. Without root, lab 09 leaves out its limits. */
static const char *labs_of(const struct probe *probe)
{
    const bool user = ordinary_user != 0 || geteuid() != 0;

    if (!user || (probe->body != probe_cgroup && probe->body != probe_controller))
        return probe->labs;
    return strcmp(probe->labs, "09") == 0 ? "" : "05 06";
}

static void print_line(const struct probe *probe, const struct finding *finding)
{
    printf("  %-7s %-29s %s\n", VERDICTS[finding->verdict], probe->name, finding->seen);
    if (finding->verdict == FAILS)
        printf("  %-7s %-29s concerns %s%s\n", "", "",
               *labs_of(probe) ? "labs " : "no lab, but the tests", labs_of(probe));
    if (*finding->remedy)
        printf("  %-7s %-29s %s\n", "", "", finding->remedy);
}

/* "03 04" as ["03", "04"]. */
static void print_labs(const char *labs)
{
    putchar('[');
    for (const char *lab = labs; *lab; lab += lab[2] ? 3 : 2)
        printf("%s\"%.2s\"", lab == labs ? "" : ", ", lab);
    putchar(']');
}

static void print_json(const struct finding findings[], const char *lost, const char *lost_to_user)
{
    bool first = true;

    printf("{\"cannot_run\": ");
    print_labs(lost);
    if (lost_to_user) {
        printf(", \"cannot_run_without_root\": ");
        print_labs(lost_to_user);
    }
    printf(", \"lines\": [");
    for (int i = 0; i < PROBES; i++) {
        if (findings[i].verdict == UNWANTED)
            continue;
        printf("%s\n  {\"name\": ", first ? "" : ",");
        lab_json_string(probes[i].name);
        printf(", \"labs\": ");
        print_labs(labs_of(&probes[i]));
        printf(", \"verdict\": \"%s\", \"seen\": ", VERDICTS[findings[i].verdict]);
        lab_json_string(findings[i].seen);
        printf(", \"remedy\": ");
        lab_json_string(findings[i].remedy);
        printf("}");
        first = false;
    }
    printf("\n]}\n");
}

/* The labs, "07 08", that something keeps from running. */
static void collect_lost(const struct finding findings[], char *lost, size_t size)
{
    char lab[] = "00";

    *lost = '\0';
    for (lab[1] = '1'; lab[1] <= '9'; lab[1]++) {
        bool keeps = false;
        for (int i = 0; i < PROBES; i++)
            keeps |= findings[i].verdict == FAILS && strstr(labs_of(&probes[i]), lab);
        size_t length = strlen(lost);
        if (keeps)
            snprintf(lost + length, size - length, "%s%s", length ? " " : "", lab);
    }
}

static const char HELP[] =
    "Usage: doctor [--json] [LINE]...\n"
    "Try each thing that the labs need and tell what works, or why not and what to do. With\n"
    "LINEs, such as 'cgroup cpu' and veth, try these alone.\n"
    "\n"
    "  --json             the same for programs\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Exit status: 0 when no line keeps a lab from running; 1 when one does; 2 for wrong usage.\n";

static bool wants_json(int argc, char *argv[])
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    bool json = false;
    int option;

    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'j')
            lab_common_option(option, HELP, LAB_EXIT_USAGE);
        json = true;
    }
    return json;
}

/* Mark the lines that the words of ARGV, if there are any, do not name. */
static void choose(char *argv[], struct finding findings[])
{
    for (int i = 0; i < PROBES; i++)
        findings[i].verdict = *argv ? UNWANTED : WORKS;
    for (; *argv; argv++) {
        int i = 0;
        while (i < PROBES && strcasecmp(*argv, probes[i].name) != 0)
            i++;
        if (i == PROBES) {
            lab_warn("there is no line '%s'; the lines are:", *argv);
            for (i = 0; i < PROBES; i++)
                fprintf(stderr, "%s%s", probes[i].name, i == PROBES - 1 ? "\n" : ", ");
            exit(LAB_EXIT_USAGE);
        }
        findings[i].verdict = WORKS;
    }
}

/* Try what is wanted of all lines, and print each as soon as it is known where PRINT is true. */
static void try_all(struct finding findings[], bool print)
{
    for (int i = 0; i < PROBES; i++) {
        if (findings[i].verdict == UNWANTED)
            continue;
        try_probe(&probes[i], &findings[i]);
        if (print)
            print_line(&probes[i], &findings[i]);
    }
}

/* The second answer of root: what an ordinary user can play here. Where a line says something else
 * then, it is printed. */
static void try_without_root(const struct finding with_root[], char *lost, size_t size, bool print)
{
    struct finding findings[PROBES] = {0};
    const char *typed_sudo = getenv("SUDO_UID");

    ordinary_user = typed_sudo ? (uid_t)atoi(typed_sudo) : 0;
    if (ordinary_user == 0)
        ordinary_user = 65533; /* daemons may run as nobody, which is 65534 */
    try_all(findings, false);
    collect_lost(findings, lost, size);
    if (!print)
        return;
    printf("Without root, as user %u, %s%s.\n", ordinary_user,
           *lost ? "labs that cannot run here: " : "every lab can run here", lost);
    for (int i = 0; i < PROBES; i++)
        if (findings[i].verdict == FAILS && with_root[i].verdict != FAILS)
            print_line(&probes[i], &findings[i]);
}

int main(int argc, char *argv[])
{
    struct finding findings[PROBES] = {0};
    char lost[64], lost_to_user[64];
    bool json = wants_json(argc, argv), all = optind == argc, root = geteuid() == 0;

    lab_hold_streams();
    choose(argv + optind, findings);
    setvbuf(stdout, NULL, _IOLBF, 0);
    try_all(findings, !json);
    collect_lost(findings, lost, sizeof(lost));
    if (!json && *lost)
        printf("Labs that cannot run here%s: %s. See docs/troubleshooting.md, by line.\n",
               root ? "" : " without root", lost);
    else if (!json && all)
        printf("Every lab can run here%s.\n", root ? "" : ", without root");
    if (all && root)
        try_without_root(findings, lost_to_user, sizeof(lost_to_user), !json);
    if (json)
        print_json(findings, lost, all && root ? lost_to_user : NULL);
    return *lost ? EXIT_FAILURE : EXIT_SUCCESS;
}
