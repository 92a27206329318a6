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
#include "lab.h"
#include "process.h"

int lab_loader_of(const char *program, char *loader, size_t size)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    lab_fd fd = open(program, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait */

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
static const char *path_in_line(char *line)
{
    char *arrow = strstr(line, " => ");
    char *path = arrow ? arrow + strlen(" => ") : line;
    char *address = strstr(path, " (0x");

    if (address)
        *address = '\0';
    return *path == '/' ? path : NULL;
}

/* Whether PROGRAM has libraries that a loader finds for it: 1 or 0, -1 with errno. A script has
 * none, it needs its interpreter; in a program for another kind of processor ldd(1) looks. */
static int is_dynamic(const char *program)
{
    char loader[PATH_MAX], magic[SELFMAG];

    if (lab_loader_of(program, loader, sizeof(loader)) == 0)
        return *loader != '\0';
    lab_fd fd = errno == ENOEXEC ? open(program, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t count = fd == -1 ? -1 : read(fd, magic, SELFMAG);
    if (count == -1)
        return -1;
    return count == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* Call EACH with the path of every file that ldd(1) names for PROGRAM: its loader and libraries,
 * none for a static one. Returns 0, -1 with errno, or what EACH returned first that was not 0.
 * Exits, with what ldd has said, where it fails or a library is missing. */
static int each_library_of(const char *program, int (*each)(const char *path, void *argument),
                           void *argument)
{
    LAB_OUTPUT output = {0};
    char *rest;

    int dynamic = is_dynamic(program);
    if (dynamic != 1)
        return dynamic;
    if (lab_listen_command(&output, (const char *const[]){"ldd", program, NULL}, LAB_PROGRAM) == -1)
        return -1;
    if (output.status != 0)
        lab_exit(lab_exit_failure, "ldd %s: status %d: %.*s", program, output.status,
                 (int)strcspn(output.text, "\n"), output.text);
    for (char *line = strtok_r(output.text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t");
        const char *missing = strstr(line, " => not found");
        if (missing)
            lab_exit(lab_exit_failure, "%s needs the library %.*s, which is not installed", program,
                     (int)(missing - line), line);
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

int lab_copy_program(int root, const char *program)
{
    char found[PATH_MAX], absolute[PATH_MAX];

    if (!lab_find_command(program, found, sizeof(found)))
        return -1;
    /* "The same path" of bin/tool is where that is now; links in an absolute path stay as typed. */
    if (found[0] == '/')
        strcpy(absolute, found);
    else if (!realpath(found, absolute))
        return -1;
    if (copy_to_same_path(absolute, &root) == -1)
        return -1;
    return each_library_of(absolute, copy_to_same_path, &root);
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

const char *lab_need_busybox(bool is_static)
{
    static char path[PATH_MAX];
    char loader[PATH_MAX] = "", missing[64];
    const int error = lab_find_busybox(path, sizeof(path)) == 0 ? 0 : errno;
    const int result = !error && is_static ? lab_loader_of(path, loader, sizeof(loader)) : 0;

    if (result == -1 && errno != ENOEXEC)
        lab_die("read %s", path);
    if (!error && strpbrk(path, " \t\n'\"\\$`;&|<>()*?[#~"))
        lab_cannot_run("the path of busybox has characters that a shell does not take as they are",
                       "name a link to it in BUSYBOX");
    if (!error && result == 0 && !*loader)
        return path;
    snprintf(missing, sizeof(missing), "find a busybox: %s", lab_strerror(error));
    lab_cannot_run(error && error != ENOENT ? missing
                   : is_static              ? "no static busybox is installed"
                                            : "no busybox is installed",
                   "install the package busybox-static, or name one in BUSYBOX");
}

/* All commands are in /bin; the other directories of PATH are names for it, so that a script's
 * "#!/usr/bin/env sh" finds what it asks for. */
static const char *const directories[] = {"bin", "dev",  "etc",     "home",   "lib",
                                          "mnt", "proc", "root",    "run",    "sys",
                                          "tmp", "usr",  "var/log", "var/tmp"};

static const struct {
    const char *directory, *name, *target;
} links[] = {{".", "sbin", "bin"}, {"usr", "bin", "../bin"}, {"usr", "sbin", "../bin"}};

static const struct {
    const char *path;
    mode_t mode;
} modes[] = {{"tmp", 01777}, {"var/tmp", 01777}, {"root", 0700}};

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

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* busybox looks at the name it is called by; a copy may have any. */
static int list_applets(void *busybox)
{
    execv(busybox, (char *const[]){"busybox", "--list", NULL});
    printf("%d", errno);
    return LAB_EXIT_CANNOT_INVOKE;
}

/* Whether NAME is a line of LIST. */
static bool lists(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, name, length) == 0 && (line[length] == '\n' || !line[length]))
            return true;
    return false;
}

/* The applets by which BUSYBOX can be called, in *LIST as it lists them itself, a name per line. */
static int ask_for_applets(struct lab_output *list, const char *busybox)
{
    char loader[PATH_MAX];

    if (lab_loader_of(busybox, loader, sizeof(loader)) == -1 ||
        lab_listen(list, list_applets, (void *)busybox) == -1)
        return -1;
    /* A message begins with a digit, too: with the name of the lab. */
    const bool is_number = list->text[strspn(list->text, "0123456789")] == '\0';
    if (list->status == LAB_EXIT_CANNOT_INVOKE && (!is_number || atoi(list->text) == 0)) {
        fputs(list->text, stderr); /* it did not come to that */
        errno = ECHILD;
    } else if (list->status == LAB_EXIT_CANNOT_INVOKE)
        errno = atoi(list->text); /* ENOEXEC: for another machine, as the kernel found out */
    else if (list->status != 0 || list->truncated || !lists(list->text, "sh"))
        errno = EINVAL;
    else
        return 0;
    return -1;
}

static int link_applets(int bin, char *list)
{
    int count = 0;
    char *rest;

    for (char *name = strtok_r(list, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
        if (strchr(name, '/') || strcmp(name, "busybox") == 0)
            continue;
        if (symlinkat("busybox", bin, name) == -1)
            return -1;
        count++;
    }
    return count;
}

static int make_skeleton(int root)
{
    for (size_t i = 0; i < COUNT_OF(directories); i++) {
        lab_fd made = lab_make_directory_in(root, directories[i]);
        if (made == -1)
            return -1;
    }
    /* Another user may have put links there meanwhile, here and below. */
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        lab_fd directory =
            lab_openat2(root, links[i].directory, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
        if (directory == -1 || symlinkat(links[i].target, directory, links[i].name) == -1)
            return -1;
    }
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (lab_write_text_in(root, files[i].path, files[i].text, 0644) == -1)
            return -1;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        lab_fd made =
            lab_openat2(root, modes[i].path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
        if (made == -1 || fchmod(made, modes[i].mode) == -1)
            return -1;
    }
    return 0;
}

int lab_make_rootfs(const char *root, const char *busybox)
{
    LAB_OUTPUT list = {0};
    lab_fd root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root_fd == -1 || ask_for_applets(&list, busybox) == -1 || make_skeleton(root_fd) == -1 ||
        lab_copy_file_in(root_fd, "bin/busybox", busybox, 0755) == -1 ||
        each_library_of(busybox, copy_to_same_path, &root_fd) == -1)
        return -1;
    /* Here, too, another user may have put a link. */
    lab_fd bin = lab_openat2(root_fd, "bin", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    return bin == -1 ? -1 : link_applets(bin, list.text);
}
