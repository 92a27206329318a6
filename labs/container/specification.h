/*
 * specification.h - what a container is to be, as the options of `run` describe it (options.h).
 */
#ifndef CONTAINER_SPECIFICATION_H
#define CONTAINER_SPECIFICATION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    MAXIMUM_ITEMS = 64,   /* of each option that can be repeated */
    MAXIMUM_VOLUMES = 32, /* of --volume */
    NAME_SIZE = 64,       /* of a container's name, as of a host name */
    CPU_PERIOD = 100000,  /* microseconds; --cpus 1.5 is a quota of 150000 in each */
    DEFAULT_PIDS = 256,   /* processes and threads */
    STOP_SECONDS = 10,    /* between the polite signal and SIGKILL */
};

#define DEFAULT_MEMORY (512LL << 20) /* bytes */
#define UNLIMITED (-1LL)

enum network {
    NETWORK_BRIDGE, /* without root NETWORK_USER or NETWORK_NONE takes its place */
    NETWORK_NONE,
    NETWORK_HOST,
    NETWORK_USER, /* by a program of the user, unprivileged.h */
};

/* The walls that --without takes away, one by one, to see what each is good for. */
enum wall {
    WALL_PID = 1 << 0,          /* the PID namespace */
    WALL_IPC = 1 << 1,          /* the IPC namespace */
    WALL_UTS = 1 << 2,          /* the UTS namespace */
    WALL_CGROUP = 1 << 3,       /* the cgroup namespace */
    WALL_PIVOT = 1 << 4,        /* pivot_root: chroot instead, the old root stays mounted */
    WALL_MASKS = 1 << 5,        /* the masked paths of /proc and /sys */
    WALL_READ_ONLY = 1 << 6,    /* the read-only paths of /proc, and /sys */
    WALL_NODEV = 1 << 7,        /* devices in the root file system do not work */
    WALL_PRIVILEGES = 1 << 8,   /* no_new_privs */
    WALL_SECCOMP = 1 << 9,      /* the filter */
    WALL_DESCRIPTORS = 1 << 10, /* descriptors are closed before the command starts */
    WALL_BINARY = 1 << 11,      /* the runtime's own file is out of reach */
};

struct volume {
    const char *source, *target;
    bool read_only;
};

struct port {
    uint16_t outside, inside;
    bool udp;
};

struct specification {
    char name[NAME_SIZE], hostname[NAME_SIZE];
    bool detach, interactive, terminal, remove, init, read_only, own_users;
    const char *environment[MAXIMUM_ITEMS];
    int environment_count;
    const char *directory; /* working directory inside; NULL: / */
    const char *user;      /* USER[:GROUP] as the root file system knows them; NULL: root */
    struct volume volumes[MAXIMUM_VOLUMES];
    int volume_count;
    const char *tmpfs[MAXIMUM_ITEMS];
    int tmpfs_count;
    long long cpu_quota;  /* microseconds in each CPU_PERIOD, or UNLIMITED */
    long long cpu_shares; /* as cgroup v1 counts them: 2..262144 */
    long long memory;     /* bytes, or UNLIMITED */
    long long pids;       /* processes and threads, or UNLIMITED */
    bool limits_asked;    /* by an option */
    enum network network;
    in_addr_t address; /* in network order; 0: any free one */
    in_addr_t subnet;  /* in network order; 0: not asked for */
    int prefix;        /* length of its mask */
    struct port ports[MAXIMUM_ITEMS];
    int port_count;
    uint64_t capabilities; /* a bit for each that root inside has */
    unsigned without;      /* walls that are taken away */
    const char *root;      /* a directory or a tar; NULL: make the busybox one */
    const char *layer;     /* the directory below which the layer is made; NULL: in memory */
    char **command;        /* ended by NULL */
};

/* Whether NAME is valid for a container: letters, digits, '-', '_' and '.', a letter or digit
 * first. */
bool is_container_name(const char *name);

/* The new namespaces of a container, as flags of clone3(2) and setns(2). Not among them: the cgroup
 * namespace, whose root is the group of its creator at that moment, so it is made inside. */
uint64_t namespaces_of(const struct specification *specification);

/* Whether ports of UDP are published. */
bool publishes_udp(const struct specification *specification);

/* The name of WALL, one bit, or NULL; and the bit of the wall NAME, or 0. */
const char *wall_name(unsigned wall);
unsigned wall_named(const char *name);

#endif
