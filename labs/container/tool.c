/*
 * The tool 09_full_container: a small container service for one machine. This file is its table of
 * contents:
 *
 *     options, option_values, specification    the options of `run` and `exec`, read and checked
 *     start, runtime, end       the runtime: a process in new namespaces, and removing all of it
 *     monitor, streams, terminal, log    input and output, signals, waiting
 *     inside, command, launch   the container's side, from clone3(2) to execve(2)
 *     storage, unpack, archive, image    the root file system that a container's layer lies over
 *     mounts, mounts_inside     root, /proc, /sys, /dev, volumes; pivot_root(2)
 *     network, link, bridge, nat, netlink    bridge, veth pair, addresses, rules
 *     relay, connections        published ports: at ::1, and for clients of UDP that are known
 *     limits                    the control group
 *     privileges, account, filter    user, capabilities, no_new_privs, system calls
 *     state, state_file, container, ids, sweep    the containers, and what they have
 *     commands, join, inspect   exec, ps, logs, stop, kill, inspect, prune
 *     binary                    the runtime's own file, out of reach, and the launcher
 *     report, pidfd, remove     errors and remedies; processes; removing trees
 */

#include "commands.h"
#include "process.h"
#include "report.h"

int container_tool(int argc, char *argv[]);

static const char HELP[] =
    "Usage: 09_full_container run [OPTION]... [ROOTFS [COMMAND [ARG]...]]\n"
    "   or: 09_full_container exec [-it] [-e KEY=VALUE] [-w DIR] [-u USER] NAME COMMAND [ARG]...\n"
    "   or: 09_full_container ps | prune\n"
    "   or: 09_full_container logs NAME | inspect NAME\n"
    "   or: 09_full_container stop [-t SECONDS] NAME | kill [-s SIGNAL] NAME\n"
    "   or: 09_full_container [--step] [--shell]\n"
    "A small container service. Without a command, play the experiment.\n"
    "\n"
    "  run             make a container and run COMMAND in it (run --help lists the options)\n"
    "  exec            run a further command in a container\n"
    "  ps              list the containers\n"
    "  logs            print the output of a container (status 1 where a full disk has cut it)\n"
    "  stop            ask a container to end (SIGTERM), and end it after SECONDS (10)\n"
    "  kill            send SIGNAL (KILL) to a container's process 1\n"
    "  inspect         print all that is known of a container, as JSON\n"
    "  prune           remove ended containers (--rm=false) and what crashed ones have left\n"
    "  --step          experiment: wait for Enter before each step\n"
    "  --shell         experiment: end with a shell in the container\n"
    "  --help, --version  print this, or the version, and exit\n"
    "\n"
    "Containers are kept in /run/container-labs.service, or in $CONTAINER_LABS_STATE. Without "
    "root\n"
    "they are the caller's alone, in a private directory; pasta or slirp4netns connects them, and\n"
    "limits need a control group of v2 that belongs to the caller.\n";

static const struct {
    const char *word;
    int (*command)(int argc, char *argv[]);
} COMMANDS[] = {
    {"ps", list_containers},        {"logs", show_log},
    {"stop", stop_container},       {"kill", kill_container},
    {"inspect", inspect_container}, {"prune", prune_containers},
};

int container_tool(int argc, char *argv[])
{
    const char *word = argv[1];

    lab_begin_as_usual();
    if (strcmp(word, "run") == 0 || strcmp(word, "exec") == 0) {
        lab_exit_failure = lab_exit_cannot_run = STATUS_RUNTIME;
        return *word == 'r' ? run_container(argc - 1, argv + 1)
                            : join_container(argc - 1, argv + 1, argv);
    }
    if (strcmp(word, "--help") == 0 || (argc == 3 && strcmp(argv[2], "--help") == 0))
        lab_common_option('h', HELP, LAB_EXIT_USAGE);
    for (int i = 0; i < LAB_COUNT(COMMANDS); i++)
        if (strcmp(word, COMMANDS[i].word) == 0)
            return COMMANDS[i].command(argc - 1, argv + 1);
    if (strcmp(word, "--version") == 0)
        lab_common_option('V', HELP, LAB_EXIT_USAGE);
    lab_warn("there is no command '%s'", word);
    lab_try_help(LAB_EXIT_USAGE);
}
