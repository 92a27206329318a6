/*
 * 02_rootfs - layers: many containers on one base, and what each of them has changed.
 *
 *     02_rootfs run BASE LAYER COMMAND [ARG]...   run COMMAND in BASE; changes go to LAYER
 *     02_rootfs diff BASE LAYER                   what was added (A), changed (C), deleted (D)
 *
 * BASE is a root file system that any number of containers share. LAYER is a directory for one
 * container: overlayfs keeps what it writes in LAYER/upper, needs LAYER/work for itself, and shows
 * both together as LAYER/root. Images of containers are such layers, packed; docker diff prints
 * such lists.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "exercise.h"

static char base[PATH_MAX], layer[PATH_MAX]; /* absolute: the working directory will change */

/* PATH below the directory DIRECTORY of the layer ("upper"), in one of two static buffers. */
static const char *in_layer(const char *directory, const char *path)
{
    static char paths[2][4 * PATH_MAX];
    static int next;

    next = !next;
    snprintf(paths[next], sizeof(paths[next]), "%s/%s%s", layer, directory, path);
    return paths[next];
}

/*
 * run
 */

static void make_directory(const char *path)
{
    if (mkdir(path, 0755) == -1 && errno != EEXIST)
        lab_die("mkdir %s", path);
}

/* Show the base with the layer on it as LAYER/root. */
static void mount_layers(void)
{
    // BEGIN SOLUTION 2.1 mount the overlay: the base below, what is written above
    lab_string options = NULL;

    if (asprintf(&options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", base, layer, layer) ==
            -1 ||
        mount("overlay", in_layer("root", ""), "overlay", 0, options) == -1)
        lab_die("mount overlay on %s with %s", in_layer("root", ""), options);
    // END SOLUTION
}

/* From here on ROOT is the root of our mount namespace, and nothing else is in it. */
static void enter(const char *root)
{
    // BEGIN SOLUTION 2.2 make the overlay the root, and let go of the old one
    if (chdir(root) == -1 || syscall(SYS_pivot_root, ".", ".") == -1)
        lab_die("pivot_root %s", root);
    /* The old root is on top of the new one now. */
    if (umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
        lab_die("unmount the old root");
    // END SOLUTION
}

static void run(char *command[])
{
    /* What we mount is for us alone, and vanishes with us. */
    if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_die("a mount namespace of our own");
    make_directory(layer);
    make_directory(in_layer("upper", ""));
    make_directory(in_layer("work", ""));
    make_directory(in_layer("root", ""));
    mount_layers();
    if (mount("proc", in_layer("root", "/proc"), "proc", 0, NULL) == -1)
        lab_die("mount proc on %s", in_layer("root", "/proc"));
    enter(in_layer("root", ""));
    lab_exec(command);
}

/*
 * diff
 */

/* Is this, in the upper directory, the mark that a file of the base was deleted? */
static bool is_whiteout(const struct stat *status)
{
    bool whiteout = false;

    // BEGIN SOLUTION 2.3 tell a whiteout from a file: a character device 0, 0
    whiteout = S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
    // END SOLUTION
    return whiteout;
}

/* Does this directory of the upper directory hide the one of the base, instead of adding to it? */
static bool is_opaque(const char *path)
{
    bool opaque = false;

    // BEGIN SOLUTION 2.4 tell a directory that was made anew: trusted.overlay.opaque
    char value;

    opaque = lgetxattr(path, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
    // END SOLUTION
    return opaque;
}

static bool is_in_base(const char *path)
{
    char whole[2 * PATH_MAX];
    struct stat status;

    snprintf(whole, sizeof(whole), "%s%s", base, path);
    return lstat(whole, &status) == 0;
}

/* What the base has in the directory PATH is gone, but for what the layer has put there since. */
static void print_hidden(const char *path)
{
    char whole[2 * PATH_MAX], inside[2 * PATH_MAX];
    const struct dirent *entry;
    struct stat status;

    snprintf(whole, sizeof(whole), "%s%s", base, path);
    DIR *directory = opendir(whole);
    while (directory && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
        if (lstat(in_layer("upper", inside), &status) == -1)
            printf("D %s\n", inside);
    }
    if (directory)
        closedir(directory);
}

static int print_change(const char *found, const struct stat *status, int type, struct FTW *walk)
{
    const char *path = found + strlen(in_layer("upper", ""));

    (void)type, (void)walk;
    if (!*path)
        return 0;
    if (is_whiteout(status))
        printf("D %s\n", path);
    else
        printf("%c %s\n", is_in_base(path) ? 'C' : 'A', path);
    if (S_ISDIR(status->st_mode) && is_opaque(found))
        print_hidden(path);
    return 0;
}

static void diff(void)
{
    if (nftw(in_layer("upper", ""), print_change, 16, FTW_PHYS) == -1)
        lab_die("%s", in_layer("upper", ""));
}

int main(int argc, char *argv[])
{
    bool runs = argc > 4 && strcmp(argv[1], "run") == 0;

    if (!runs && (argc != 4 || strcmp(argv[1], "diff") != 0))
        lab_exit(EXIT_USAGE, "usage: run BASE LAYER COMMAND [ARG]... | diff BASE LAYER");
    /* LAYER need not be there yet; then realpath has made a path of it all the same. */
    if (!realpath(argv[2], base) || (!realpath(argv[3], layer) && errno != ENOENT))
        lab_die("%s", argv[2]);
    if (runs)
        run(argv + 4);
    diff();
    return EXIT_SUCCESS;
}
