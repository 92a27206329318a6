#include "rootfs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"

int lab_loader_of(const char *program, char *loader, size_t size)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    lab_fd fd = open(program, O_RDONLY | O_CLOEXEC);

    if (fd == -1)
        return -1;
    errno = ENOEXEC;
    if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(segment) ||
        header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
        return -1;
    loader[0] = '\0';
    for (int i = 0; i < header.e_phnum; i++) {
        off_t offset = (off_t)(header.e_phoff + (size_t)i * sizeof(segment));
        if (pread(fd, &segment, sizeof(segment), offset) != sizeof(segment))
            return -1;
        if (segment.p_type != PT_INTERP)
            continue;
        if (segment.p_filesz == 0 || segment.p_filesz > size ||
            pread(fd, loader, segment.p_filesz, (off_t)segment.p_offset) !=
                (ssize_t)segment.p_filesz)
            return -1;
        loader[segment.p_filesz - 1] = '\0';
    }
    return 0;
}

/* The path in a line of ldd(1), of the forms "NAME => PATH (ADDRESS)" and "PATH (ADDRESS)"; NULL
 * for the vdso, which is no file. LINE is changed. */
static char *path_in_line(char *line)
{
    char *path = strchr(line, '/');

    if (path)
        path[strcspn(path, " \t")] = '\0';
    return path;
}

int lab_libraries_of(const char *program, int (*each)(const char *path, void *argument),
                     void *argument)
{
    char loader[PATH_MAX];
    LAB_OUTPUT output = {0};
    char *rest;

    if (lab_loader_of(program, loader, sizeof(loader)) == -1)
        return errno == ENOEXEC ? 0 : -1; /* a script needs its interpreter, no library */
    if (!*loader)
        return 0;
    if (lab_listen_command(&output, (const char *const[]){"ldd", program, NULL}) == -1)
        return -1;
    if (output.status != 0) {
        lab_warn("ldd %s: status %d: %s", program, output.status, output.text);
        errno = EIO;
        return -1;
    }
    for (char *line = strtok_r(output.text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, "=> not found")) {
            lab_warn("%s needs a library that is not installed:%s", program, line);
            errno = ENOENT;
            return -1;
        }
        const char *path = path_in_line(line);
        int result = path ? each(path, argument) : 0;
        if (result != 0)
            return result;
    }
    return 0;
}

static int copy_to_same_path(const char *path, void *argument)
{
    struct stat status;

    if (stat(path, &status) == -1)
        return -1;
    return lab_copy_file_in(*(const int *)argument, path, path, status.st_mode & 0755);
}

int lab_copy_program(const char *root, const char *program)
{
    char found[PATH_MAX], absolute[PATH_MAX];
    lab_fd root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root_fd == -1 || !lab_find_command(program, found, sizeof(found)))
        return -1;
    /* "The same path" of bin/tool is where that is now; links in an absolute path stay as typed. */
    if (found[0] == '/')
        strcpy(absolute, found);
    else if (!realpath(found, absolute))
        return -1;
    if (copy_to_same_path(absolute, &root_fd) == -1)
        return -1;
    return lab_libraries_of(absolute, copy_to_same_path, &root_fd);
}

int lab_find_busybox(char *path, size_t size)
{
    const char *wanted = getenv("BUSYBOX");

    if (wanted && *wanted)
        return lab_find_command(wanted, path, size) ? 0 : -1;
    return lab_find_command("busybox.static", path, size) || lab_find_command("busybox", path, size)
               ? 0
               : -1;
}

static const char *const directories[] = {"dev",  "proc", "root", "run",     "sys",    "tmp",
                                          "var",  "home", "etc",  "usr/bin", "mnt",    "usr/sbin",
                                          "sbin", "bin",  "lib",  "var/log", "var/tmp"};

static const struct {
    const char *path, *text;
} files[] = {
    {"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                   "daemon:x:1:1:daemon:/:/bin/false\n"
                   "nobody:x:65534:65534:nobody:/:/bin/false\n"},
    {"etc/group", "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n"},
    {"etc/shells", "/bin/sh\n"},
    {"etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"},
    {"etc/hostname", "container\n"},
    {"etc/resolv.conf", "# Name servers go here, one line each: nameserver 192.0.2.53\n"},
    {"etc/profile", "export PATH=/bin:/sbin:/usr/bin:/usr/sbin\n"},
};

/* The applets by which the busybox inside can be called, as it lists them itself: paths with
 * --list-full where it was built with that, plain names for /bin where not. */
static int link_applets(int root, const char *busybox)
{
    LAB_OUTPUT list = {0};
    char target[PATH_MAX];
    char *rest;
    int count = 0;

    if (lab_listen_command(&list, (const char *const[]){busybox, "--list", NULL}) == -1)
        return -1;
    if (list.status != 0) {
        errno = ENOEXEC; /* not a busybox, or not for this machine */
        return -1;
    }
    for (char *name = strtok_r(list.text, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
        if (strchr(name, '/') || strcmp(name, "busybox") == 0)
            continue;
        snprintf(target, sizeof(target), "bin/%s", name);
        if (symlinkat("busybox", root, target) == -1)
            return -1;
        count++;
    }
    return count;
}

int lab_make_rootfs(const char *root, const char *busybox)
{
    lab_fd root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root_fd == -1)
        return -1;
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        lab_fd made = lab_make_directory_in(root_fd, directories[i]);
        if (made == -1)
            return -1;
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (lab_write_text_in(root_fd, files[i].path, files[i].text, 0644) == -1)
            return -1;
    if (fchmodat(root_fd, "tmp", 01777, 0) == -1 || fchmodat(root_fd, "var/tmp", 01777, 0) == -1 ||
        fchmodat(root_fd, "root", 0700, 0) == -1)
        return -1;
    if (lab_copy_file_in(root_fd, "bin/busybox", busybox, 0755) == -1 ||
        lab_libraries_of(busybox, copy_to_same_path, &root_fd) == -1)
        return -1;
    return link_applets(root_fd, busybox);
}
