#include "unshare_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "error.h"
#include "identity.h"
#include "number.h"
#include "process.h"
#include "run.h"

static const char HELP[] =
    "Usage: 03_unshare OPTION... [COMMAND [ARG]...]\n"
    "   or: 03_unshare [--step] [--shell]\n"
    "Run COMMAND ($SHELL if none) in new namespaces. Without any argument, play the experiment.\n"
    "\n"
    "  -m, --mount[=FILE]      new mount namespace, kept alive by a mount on FILE\n"
    "  -u, --uts[=FILE]        the same for host and domain name\n"
    "  -i, --ipc[=FILE]        the same for System V IPC and POSIX queues\n"
    "  -n, --net[=FILE]        the same for the network\n"
    "  -p, --pid[=FILE]        the same for process IDs; wants --fork\n"
    "  -U, --user[=FILE]       the same for user and group IDs\n"
    "  -C, --cgroup[=FILE]     the same for the cgroup root\n"
    "  -T, --time[=FILE]       the same for the boot-time clocks\n"
    "  -f, --fork              run COMMAND in a child\n"
    "      --kill-child[=SIG]  send it SIG (default: SIGKILL) if we die; implies --fork\n"
    "      --mount-proc[=DIR]  mount /proc (or DIR) anew; implies --mount\n"
    "      --propagation=WORD  private (default), slave, shared or unchanged mounts\n"
    "  -r, --map-root-user     be root inside; the --map options imply --user\n"
    "  -c, --map-current-user  be inside who we are outside\n"
    "      --map-user=USER     be USER inside, a name or number\n"
    "      --map-group=GROUP   be GROUP inside, a name or number\n"
    "      --setgroups=WORD    allow or deny setgroups(2) in the user namespace\n"
    "  -R, --root=DIR          change the root directory\n"
    "  -w, --wd=DIR            change the working directory\n"
    "  -S, --setuid=UID        become UID inside\n"
    "  -G, --setgid=GID        become GID inside, without other groups\n"
    "      --step              experiment: wait for Enter after each step\n"
    "      --shell             experiment: end with a shell in a sandbox\n"
    "  -h, --help; -V, --version\n"
    "\n"
    "Exit status: 1 if 03_unshare itself fails, 126 if COMMAND cannot be invoked,\n"
    "127 if it is not found, else that of COMMAND.\n";

/* Long options without a letter, and those of unshare(1) that this program does not have. */
enum { KILL_CHILD = 256, MOUNT_PROC, PROPAGATION, MAP_USER, MAP_GROUP, SETGROUPS, NOT_HERE };

static const struct option OPTIONS[] = {
    {"mount", optional_argument, NULL, 'm'},
    {"uts", optional_argument, NULL, 'u'},
    {"ipc", optional_argument, NULL, 'i'},
    {"net", optional_argument, NULL, 'n'},
    {"pid", optional_argument, NULL, 'p'},
    {"user", optional_argument, NULL, 'U'},
    {"cgroup", optional_argument, NULL, 'C'},
    {"time", optional_argument, NULL, 'T'},
    {"fork", no_argument, NULL, 'f'},
    {"kill-child", optional_argument, NULL, KILL_CHILD},
    {"mount-proc", optional_argument, NULL, MOUNT_PROC},
    {"propagation", required_argument, NULL, PROPAGATION},
    {"map-root-user", no_argument, NULL, 'r'},
    {"map-current-user", no_argument, NULL, 'c'},
    {"map-user", required_argument, NULL, MAP_USER},
    {"map-group", required_argument, NULL, MAP_GROUP},
    {"setgroups", required_argument, NULL, SETGROUPS},
    {"root", required_argument, NULL, 'R'},
    {"wd", required_argument, NULL, 'w'},
    {"setuid", required_argument, NULL, 'S'},
    {"setgid", required_argument, NULL, 'G'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"map-auto", no_argument, NULL, NOT_HERE},
    {"map-users", required_argument, NULL, NOT_HERE},
    {"map-groups", required_argument, NULL, NOT_HERE},
    {"keep-caps", no_argument, NULL, NOT_HERE},
    {"monotonic", required_argument, NULL, NOT_HERE},
    {"boottime", required_argument, NULL, NOT_HERE},
    {0},
};

__attribute__((noreturn)) static void refuse(const char *what)
{
    lab_exit(lab_exit_failure, "invalid %s: '%s'", what, optarg);
}

static long long id_from(const char *text)
{
    long long number;

    if (!lab_parse_number(text, 0, (uid_t)-2, &number))
        refuse("ID");
    return number;
}

/* The options of user namespaces: -1 leaves a map as it is. */
static void want_map(struct lab_unshare_options *wanted, long long user, long long group)
{
    wanted->flags |= CLONE_NEWUSER;
    wanted->map_user = user != -1 ? user : wanted->map_user;
    wanted->map_group = group != -1 ? group : wanted->map_group;
}

static void take_named_map(struct lab_unshare_options *wanted, int option)
{
    uid_t user;
    gid_t group;

    if (option == MAP_USER && lab_find_user(optarg, &user))
        want_map(wanted, user, -1);
    else if (option == MAP_GROUP && lab_find_group(optarg, &group))
        want_map(wanted, -1, group);
    else
        refuse(option == MAP_USER ? "user" : "group");
}

static void take_setgroups(struct lab_unshare_options *wanted, const char *word)
{
    if (strcmp(word, "allow") != 0 && strcmp(word, "deny") != 0)
        refuse("word for --setgroups");
    wanted->setgroups = word;
}

static void take_propagation(struct lab_unshare_options *wanted, const char *word)
{
    if (strcmp(word, "private") == 0)
        wanted->propagation = MS_REC | MS_PRIVATE;
    else if (strcmp(word, "slave") == 0)
        wanted->propagation = MS_REC | MS_SLAVE;
    else if (strcmp(word, "shared") == 0)
        wanted->propagation = MS_REC | MS_SHARED;
    else if (strcmp(word, "unchanged") == 0)
        wanted->propagation = 0;
    else
        refuse("propagation");
}

static void take_kill_child(struct lab_unshare_options *wanted, const char *name)
{
    wanted->fork = true;
    wanted->kill_child = !name                           ? SIGKILL
                         : isdigit((unsigned char)*name) ? -1
                                                         : lab_signal_number(name);
    if (wanted->kill_child == -1)
        refuse("signal name");
}

static void take_namespace(struct lab_unshare_options *wanted, int letter)
{
    for (int i = 0; i < LAB_NAMESPACES; i++)
        if (lab_namespaces[i].letter == letter) {
            wanted->flags |= lab_namespaces[i].flag;
            wanted->files[i] = optarg ? optarg : wanted->files[i];
            return;
        }
    lab_try_help(lab_exit_failure);
}

void lab_read_unshare_options(struct lab_unshare_options *wanted, int argc, char *argv[])
{
    int option, index;

    *wanted = (struct lab_unshare_options){
        .map_user = -1,
        .map_group = -1,
        .user = -1,
        .group = -1,
        .propagation = MS_REC | MS_PRIVATE,
    };
    optind = 0;                              /* begin anew, whatever has been read before */
    argv[0] = program_invocation_short_name; /* getopt begins its complaints with it */
    while ((option = getopt_long(argc, argv, "+muinpUCTfrcR:w:S:G:hV", OPTIONS, &index)) != -1) {
        switch (option) {
        case 'f': wanted->fork = true; break;
        case 'r': want_map(wanted, 0, 0); break;
        case 'c': want_map(wanted, geteuid(), getegid()); break;
        case 'R': wanted->root = optarg; break;
        case 'w': wanted->directory = optarg; break;
        case 'S': wanted->user = id_from(optarg); break;
        case 'G': wanted->group = id_from(optarg); break;
        case MAP_USER:
        case MAP_GROUP: take_named_map(wanted, option); break;
        case SETGROUPS: take_setgroups(wanted, optarg ? optarg : ""); break;
        case PROPAGATION: take_propagation(wanted, optarg ? optarg : ""); break;
        case KILL_CHILD: take_kill_child(wanted, optarg); break;
        case MOUNT_PROC:
            wanted->flags |= CLONE_NEWNS;
            wanted->proc = optarg ? optarg : "/proc";
            break;
        case 'h': lab_print_help(HELP);
        case 'V': lab_print_version();
        case NOT_HERE:
            lab_exit(lab_exit_failure, "this program has no --%s; use unshare(1)",
                     OPTIONS[index].name);
        default: take_namespace(wanted, option);
        }
    }
    if (wanted->map_group != -1 && wanted->setgroups && strcmp(wanted->setgroups, "allow") == 0)
        lab_exit(lab_exit_failure, "--setgroups=allow and a mapped group exclude each other");
}
