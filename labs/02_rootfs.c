/*
 * 02_rootfs - the shell of an operating system: a root file system made of one program.
 *
 *     sudo ./labs/02_rootfs      the experiment: build one, enter it, share it
 *     ./labs/02_rootfs DIR       leaves a root file system in DIR: labs/tools/02_rootfs.c
 *
 * Shows that the image of a system is files and nothing else, that one busybox fills it, and
 * (beyond the article that the labs follow) how overlayfs lets many containers use the same one.
 */
#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lab.h"

int rootfs_tool(int argc, char *argv[]);

/* A small container: the namespaces of lab 03, and rootfs as the root. build_it calls every
 * command, reboot too: in a PID namespace of its own it could end this container and no more. */
#define CONTAINER "unshare --mount --uts --ipc --pid --fork chroot rootfs"

/* The directories that a shell and a container runtime expect. All commands are in /bin. */
static void make_tree(void)
{
    lab_mkdir("rootfs");
    lab_run("(cd rootfs; mkdir bin dev etc home lib mnt proc root run sys tmp usr var)");
    lab_run("ln -s ../bin rootfs/usr/bin"); /* a script may begin with #!/usr/bin/env */
    lab_run("echo root:x:0:0:root:/root:/bin/sh > rootfs/etc/passwd");
    lab_run("echo 127.0.0.1 localhost > rootfs/etc/hosts");
    lab_run("echo container > rootfs/etc/hostname");
}

/* One program and its links: it is the command by whose name it was called. sh has ln built in. */
static void fill_with_busybox(const char *busybox)
{
    lab_run("cp %s rootfs/bin/busybox", busybox);
    /* As in lab 01: its loader and libraries. For a static program ldd names no file. */
    lab_run("for file in $(ldd rootfs/bin/busybox | grep -o '/[^ ]*'); do"
            " cp --parents $file rootfs; done");
    lab_run("rootfs/bin/busybox sh -c 'for name in $(rootfs/bin/busybox --list | grep -vx busybox);"
            " do ln -s busybox rootfs/bin/$name; done'");
}

static void build_it(void)
{
    lab_step("a root file system out of one program");
    const char *busybox = lab_need_busybox(false);
    make_tree();
    fill_with_busybox(busybox);
    lab_try("chroot rootfs ls -C /");
    int applets = atoi(lab_try("ls -l rootfs/bin | grep -c ' -> busybox'").text);
    lab_fact("applets", "%d", applets);
    lab_check(applets >= 100, "one program answers to some hundred names");
    /* Statuses 126 and 127: the command could not be started. */
    struct lab_answer calls = lab_try(
        CONTAINER " sh -c 'for link in $(find /bin -type l); do $link --help > /tmp/help 2>&1;"
                  " if [ $? -lt 126 ]; then n=$((n+1)); else cat /tmp/help; fi; done;"
                  " echo $n links run'");
    lab_check_text(calls.text, lab_path("%d links run\n", applets),
                   "each of the links runs inside");
}

static const long long ENOUGH_BYTES = 100000000; /* of /usr; the article's "100 MB" */
static long long bytes;

static int add_blocks(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path, (void)type, (void)walk;
    bytes += (long long)status->st_blocks * 512;
    return bytes > ENOUGH_BYTES; /* ends the walk */
}

/* What the files below PATH take on disk, as du(1) counts it, but not much more than is needed. */
static long long disk_usage(const char *path)
{
    bytes = 0;
    lab_must(nftw(path, add_blocks, 16, FTW_PHYS | FTW_MOUNT));
    return bytes;
}

static void compare_sizes(void)
{
    lab_step("how small it is");
    lab_say("The bytes that the files take on disk, counted by this program:");
    long long ours = disk_usage("rootfs"), host = disk_usage("/usr");
    lab_fact("rootfs.bytes", "%lld", ours);
    lab_fact("usr.bytes", host > ENOUGH_BYTES ? "counted until more than %lld" : "%lld",
             host > ENOUGH_BYTES ? ENOUGH_BYTES : host);
    lab_check(ours > 0 && host > 20 * ours,
              "the machine's own /usr is more than 20 times as large");
}

static void another_shell(void)
{
    lab_step("its /bin/sh is not the machine's");
    lab_say("A file is known by its device and inode number. The same path, looked up twice:");
    struct lab_answer outside = lab_try("stat -L -c %%d:%%i /bin/sh");
    struct lab_answer inside = lab_try("chroot rootfs stat -L -c %%d:%%i /bin/sh");
    lab_check(inside.status == 0 && strcmp(inside.text, outside.text) != 0,
              "inside, /bin/sh is another file than outside");
    struct lab_answer copy = lab_try("stat -c %%d:%%i rootfs/bin/busybox");
    lab_check_text(inside.text, copy.text, "it is the busybox that was copied");
}

static void ps_and_mount(void)
{
    lab_step("ps and mount, with and without /proc");
    lab_check(lab_try("chroot rootfs mount").status != 0,
              "without /proc, mount fails: it cannot read the list of mounts");
    lab_say(
        "Such programs read the files of /proc. In a container, /proc shows its own processes:");
    struct lab_answer ps =
        lab_try(CONTAINER " sh -c 'mount -t proc proc /proc; exec /bin/busybox ps'");
    const char *row = strchr(ps.text, '\n');
    lab_check(lab_count_in(ps.text, "\n") == 2 && strtol(row, NULL, 10) == 1 &&
                  strstr(row, " /bin/busybox ps\n"),
              "ps sees one process: itself, number 1");
    struct lab_answer mounts = lab_try(CONTAINER " sh -c 'mount -t proc proc /proc; mount'");
    lab_check(lab_count_in(mounts.text, "\n") == 1 &&
                  strstr(mounts.text, "proc on /proc type proc "),
              "mount sees one mount: the new /proc");
}

static bool web_server(void)
{
    lab_step("a web server is in there too");
    if (!lab_exists("rootfs/bin/httpd")) {
        lab_say("NOT SHOWN: this busybox was built without httpd.");
        return false;
    }
    lab_run("mkdir rootfs/var/www");
    lab_run("echo a page of the rootfs > rootfs/var/www/page");
    lab_start("chroot rootfs httpd -f -p 127.0.0.1:80 -h /var/www");
    lab_say(
        "Outside, the same busybox fetches the page as soon as the server listens (-Y off: not\n"
        "from a proxy):");
    struct lab_answer page =
        lab_try(LAB_UNTIL("rootfs/bin/busybox wget -q -Y off -O - http://127.0.0.1/page"));
    lab_check_text(page.text, "a page of the rootfs\n",
                   "the page of the server inside is read outside");
    struct lab_answer other =
        lab_try("rootfs/bin/busybox wget -q -Y off -O - http://127.0.0.1/etc/hostname");
    lab_check(other.status != 0 && strstr(other.text, "404"),
              "what is not below its /var/www is not found (404)");
    return true;
}

/* Gives the container NAME its own view of rootfs: NAME/merged shows NAME/upper over rootfs. What
 * is written goes to upper; rootfs, the lower directory, is only read. overlayfs prepares files in
 * work and moves them to upper by rename(2), so that nothing in upper is ever half copied. */
static void mount_overlay(const char *name)
{
    const char *merged = lab_path("%s/merged", name);
    const char *options = lab_path("lowerdir=rootfs,upperdir=%s/upper,workdir=%s/work", name, name);

    lab_run("mkdir -p %s/upper %s/work %s", name, name, merged);
    lab_type("mount -t overlay -o %s overlay %s", options, merged);
    if (mount("overlay", merged, "overlay", 0, options) == 0)
        return;
    if (errno == ENODEV)
        lab_cannot_run("this kernel has no overlayfs", "try: modprobe overlay");
    lab_die("mount overlay on %s", merged);
}

static void two_containers(void)
{
    lab_step("beyond the article: two containers on one base");
    const char *before = lab_try("ls -lRi rootfs | cksum").text;
    mount_overlay("A");
    mount_overlay("B");
    lab_run("chroot A/merged sh -c 'echo A > /etc/hostname; rm /etc/hosts'");
    lab_run("chroot B/merged sh -c 'echo B > /etc/hostname; echo hi > /etc/motd'");
    lab_check_text(lab_text("A/merged/etc/hostname"), "A", "A has its own /etc/hostname");
    lab_check_text(lab_text("B/merged/etc/hostname"), "B", "B has another one");
    lab_check_text(lab_text("rootfs/etc/hostname"), "container", "the base has the old one");
    lab_check(lab_exists("B/merged/etc/motd") && !lab_exists("A/merged/etc/motd"),
              "what B has added is not there for A");
    lab_check(!lab_exists("A/merged/etc/hosts") && lab_exists("B/merged/etc/hosts"),
              "what A has deleted is still there for B");
    lab_check_text(lab_try("ls -lRi rootfs | cksum").text, before,
                   "of the whole base, no file has changed");
}

static void upper_directories(void)
{
    struct stat whiteout = {0};

    lab_step("beyond the article: the changes are in the upper directories");
    lab_try("ls -l A/upper/etc B/upper/etc");
    lab_say("A character device 0, 0 is a whiteout: it hides the file of this name in the lower\n"
            "directory, so the file is deleted in the merged one.");
    lab_check(lstat("A/upper/etc/hosts", &whiteout) == 0 && S_ISCHR(whiteout.st_mode) &&
                  whiteout.st_rdev == makedev(0, 0),
              "A's upper directory has a whiteout for /etc/hosts");
}

int main(int argc, char *argv[])
{
    lab_open("02", "the shell of an operating system", 7, rootfs_tool, argc, argv);
    lab_need_commands("chroot:coreutils unshare:util-linux");
    lab_own_network(); /* so that the port of the web server is free */
    build_it();
    compare_sizes();
    another_shell();
    ps_and_mount();
    bool has_httpd = web_server();
    two_containers();
    upper_directories();
    int status = lab_close(CONTAINER " sh -c 'mount -t proc proc /proc; exec sh'");
    if (status == EXIT_SUCCESS && !has_httpd)
        lab_cannot_run("step 5 was not shown: this busybox has no httpd",
                       "name one that has it in BUSYBOX");
    return status;
}
