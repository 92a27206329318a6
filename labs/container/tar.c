#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "process.h"
#include "report.h"

enum { BLOCK = 512 };

/* A header as POSIX has it, pax(1), "ustar Interchange Format". */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type, target[100], magic[6], version[2], uname[32], gname[32];
    char major[8], minor[8], prefix[155], rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

/* Devices, which would not work in a container, and the label of the archive. */
static const char PASSED_OVER[] = "34V";

/* A member, put together from its header and the extended ones before it. */
struct member {
    char path[PATH_MAX], target[PATH_MAX];
    char type;
    mode_t mode;
    uid_t user;
    gid_t group;
    long long size, time;
    bool has_path, has_target, has_size, has_user, has_group; /* by an extended header */
};

static struct {
    int archive, into;
    const char *name;
    void (*wait_for)(int fd);
    bool is_tar; /* a header was found */
} unpacking;

__attribute__((noreturn)) static void refuse_root(void)
{
    give_up(STATUS_RUNTIME, "'%s' is no root file system: neither a directory nor a tar",
            unpacking.name);
}

__attribute__((noreturn)) static void ends_early(void)
{
    if (!unpacking.is_tar)
        refuse_root();
    give_up(STATUS_RUNTIME, "the tar '%s' ends too early", unpacking.name);
}

/* The next SIZE bytes of the archive. Returns false at its end. */
static bool read_all(void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        unpacking.wait_for(unpacking.archive);
        ssize_t count = read(unpacking.archive, (char *)to + done, size - done);
        if (count == -1 && errno == EINTR)
            continue;
        if (count == -1)
            fail("read '%s'", unpacking.name);
        if (count == 0 && done == 0)
            return false;
        if (count == 0)
            ends_early();
        done += (size_t)count;
    }
    return true;
}

/* An octal number, or, where that is too small, a binary one with the first bit set. */
static long long number(const char *field, size_t size)
{
    long long value = 0;

    if (*field & 0x80) {
        for (size_t i = 1; i < size; i++)
            value = (value & (INT64_MAX >> 8)) << 8 | (unsigned char)field[i];
        return value;
    }
    for (size_t i = 0; i < size && field[i]; i++)
        if (field[i] >= '0' && field[i] <= '7')
            value = (value & (INT64_MAX >> 3)) << 3 | (field[i] - '0');
    return value;
}

static bool is_header(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    const size_t from = offsetof(struct header, checksum), to = from + sizeof(header->checksum);
    long long sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return sum == number(header->checksum, sizeof(header->checksum));
}

/* What lies behind a member up to the next block. */
static void skip(long long size)
{
    char block[BLOCK];

    for (long long left = (size + BLOCK - 1) / BLOCK; left > 0; left--)
        if (!read_all(block, BLOCK))
            ends_early();
}

/* Text that an extended header holds: up to a path and a link of full length. */
static void read_text(char *text, size_t size, long long length)
{
    if (length < 0 || (size_t)length >= size - BLOCK)
        give_up(STATUS_RUNTIME, "the tar '%s' has a name that is too long", unpacking.name);
    if (length > 0 && !read_all(text, (size_t)(length + BLOCK - 1) / BLOCK * BLOCK))
        ends_early();
    text[length] = '\0';
}

static bool copy_path(char to[PATH_MAX], const char *text)
{
    if (strlen(text) >= PATH_MAX)
        give_up(STATUS_RUNTIME, "the tar '%s' has a name that is too long", unpacking.name);
    strcpy(to, text);
    return true;
}

/* Records "LENGTH KEY=VALUE\n" of a pax header; those that a root file system needs. */
static void read_pax(struct member *member, long long size)
{
    static char text[4 * PATH_MAX];

    read_text(text, sizeof(text), size);
    for (char *record = text; *record;) {
        char *key, *end = record + strtol(record, &key, 10);
        char *value = strchr(record, '=');
        if (end <= record || end > text + size || !value || value >= end || *key != ' ')
            return;
        end[-1] = '\0';
        *value++ = '\0';
        key++;
        if (strcmp(key, "path") == 0)
            member->has_path = copy_path(member->path, value);
        else if (strcmp(key, "linkpath") == 0)
            member->has_target = copy_path(member->target, value);
        else if (strncmp(key, "GNU.sparse.", 11) == 0)
            member->type = 'S'; /* stays so */
        else if (strcmp(key, "size") == 0)
            member->has_size = true, member->size = atoll(value);
        else if (strcmp(key, "uid") == 0)
            member->has_user = true, member->user = (uid_t)atoll(value);
        else if (strcmp(key, "gid") == 0)
            member->has_group = true, member->group = (gid_t)atoll(value);
        record = end;
    }
}

static void fill(struct member *member, const struct header *header)
{
    const bool posix = memcmp(header->magic, "ustar", 6) == 0;

    if (!member->has_path)
        snprintf(member->path, PATH_MAX, "%.*s%s%.*s", posix ? (int)sizeof(header->prefix) : 0,
                 header->prefix, posix && *header->prefix ? "/" : "", (int)sizeof(header->name),
                 header->name);
    if (!member->has_target)
        snprintf(member->target, PATH_MAX, "%.*s", (int)sizeof(header->target), header->target);
    if (!member->has_size)
        member->size = number(header->size, sizeof(header->size));
    if (!member->has_user)
        member->user = (uid_t)number(header->uid, sizeof(header->uid));
    if (!member->has_group)
        member->group = (gid_t)number(header->gid, sizeof(header->gid));
    member->mode = (mode_t)number(header->mode, sizeof(header->mode)) & 07777;
    member->time = number(header->mtime, sizeof(header->mtime));
    if (!member->type)
        member->type = header->type;
    if (!member->type)
        member->type = '0';
    if (member->size < 0)
        give_up(STATUS_RUNTIME, "the tar '%s' has a member of a negative size", unpacking.name);
}

/* Read headers up to the next member. Returns false at the end. */
static bool next_member(struct member *member)
{
    struct header header;

    memset(member, 0, sizeof(*member));
    while (read_all(&header, sizeof(header)) && header.name[0]) {
        if (!is_header(&header))
            refuse_root();
        unpacking.is_tar = true;
        long long size = number(header.size, sizeof(header.size));
        static char text[PATH_MAX + 2 * BLOCK];
        if (header.type == 'x') {
            read_pax(member, size);
        } else if (header.type == 'L') {
            read_text(text, sizeof(text), size);
            member->has_path = copy_path(member->path, text);
        } else if (header.type == 'K') {
            read_text(text, sizeof(text), size);
            member->has_target = copy_path(member->target, text);
        } else if (header.type == 'g') {
            skip(size);
        } else {
            fill(member, &header);
            return true;
        }
    }
    return false;
}

/*
 * Writing. No path of the archive is used but through these: nothing on the way may be a link, and
 * ".." is nothing that a member's name has.
 */

__attribute__((noreturn)) static void refuse(const char *path)
{
    give_up(STATUS_RUNTIME, "the tar '%s' leads out of its own root: '%s'", unpacking.name, path);
}

static bool has_dotdot(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/'), part += part != NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    return false;
}

/* Open the directory that PATH is in, made where it is missing; *LAST is the name in it. */
static int open_parent(char *path, char **last)
{
    const unsigned long long resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    char *slash = strrchr(path, '/');
    *last = slash ? slash + 1 : path;
    if (!slash)
        return openat(unpacking.into, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    *slash = '\0';
    int parent = lab_openat2(unpacking.into, path, O_PATH | O_DIRECTORY, 0, resolve);
    if (parent == -1 && errno == ENOENT) {
        int made = lab_make_directory_in(unpacking.into, path);
        lab_close_fd(&made);
        parent = lab_openat2(unpacking.into, path, O_PATH | O_DIRECTORY, 0, resolve);
    }
    if (parent == -1 && (errno == ELOOP || errno == EXDEV || errno == ENOTDIR))
        refuse(path);
    *slash = '/';
    return parent;
}

static void write_contents(int fd, long long size, const char *path)
{
    static char buffer[64 * 1024];

    for (long long left = size; left > 0;) {
        size_t wanted = left < (long long)sizeof(buffer) ? (size_t)left : sizeof(buffer);
        size_t whole = (wanted + BLOCK - 1) / BLOCK * BLOCK;
        if (!read_all(buffer, whole))
            ends_early();
        if (write(fd, buffer, wanted) != (ssize_t)wanted)
            fail("unpack '%s'", path);
        left -= (long long)wanted;
    }
}

static int make_file(const struct member *member, int parent, const char *name)
{
    unlinkat(parent, name, 0); /* a later member of the same name counts */
    lab_fd fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return -1;
    write_contents(fd, member->size, member->path);
    const struct timespec times[2] = {{.tv_sec = member->time}, {.tv_sec = member->time}};
    if (fchown(fd, member->user, member->group) == -1 || fchmod(fd, member->mode) == -1)
        return -1;
    return futimens(fd, times);
}

static int make_fifo(const struct member *member, int parent, const char *name)
{
    unlinkat(parent, name, 0);
    if (mknodat(parent, name, S_IFIFO | 0600, 0) == -1 ||
        fchownat(parent, name, member->user, member->group, AT_SYMLINK_NOFOLLOW) == -1)
        return -1;
    return fchmodat(parent, name, member->mode, 0);
}

static int make_directory(const struct member *member, int parent, const char *name)
{
    struct stat status;

    if (mkdirat(parent, name, 0700) == -1 && errno != EEXIST)
        return -1;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return -1;
    if (!S_ISDIR(status.st_mode))
        refuse(member->path);
    if (fchownat(parent, name, member->user, member->group, AT_SYMLINK_NOFOLLOW) == -1)
        return -1;
    return fchmodat(parent, name, member->mode, 0);
}

static int make_link(struct member *member, int parent, const char *name)
{
    char *last;
    const char *relative = member->target + strspn(member->target, "/");

    unlinkat(parent, name, 0);
    if (member->type == '2') {
        if (symlinkat(member->target, parent, name) == -1)
            return -1;
        return fchownat(parent, name, member->user, member->group, AT_SYMLINK_NOFOLLOW);
    }
    if (has_dotdot(member->target) || *member->target == '/')
        refuse(member->target);
    lab_fd directory = open_parent((char *)relative, &last);
    return directory == -1 ? -1 : linkat(directory, last, parent, name, 0);
}

static void unpack_member(struct member *member)
{
    char *path = member->path, *name;

    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    for (size_t length = strlen(path); length > 0 && path[length - 1] == '/';)
        path[--length] = '\0';
    if (*path == '/' || has_dotdot(path))
        refuse(path);
    const bool is_file = member->type == '0' || member->type == '7';
    int result = 0;
    if (*path && strcmp(path, ".") != 0) {
        lab_fd parent = open_parent(path, &name);
        if (parent == -1)
            fail("unpack '%s'", path);
        if (is_file)
            result = make_file(member, parent, name);
        else if (member->type == '5')
            result = make_directory(member, parent, name);
        else if (member->type == '1' || member->type == '2')
            result = make_link(member, parent, name);
        else if (member->type == '6')
            result = make_fifo(member, parent, name);
        else if (member->type == 'S')
            give_up(STATUS_RUNTIME, "the tar '%s' has sparse files; make it without --sparse: '%s'",
                    unpacking.name, path);
        else if (!strchr(PASSED_OVER, member->type))
            give_up(STATUS_RUNTIME, "the tar '%s' has a member of the unknown type '%c': '%s'",
                    unpacking.name, member->type, path);
    }
    if (result == -1)
        fail("unpack '%s'", path);
    if (!is_file || !*path)
        skip(member->size);
}

/*
 * Packed archives are unpacked by their own programs.
 */

static const char *packer(const unsigned char start[6])
{
    if (memcmp(start, "\x1f\x8b", 2) == 0)
        return "gzip";
    if (memcmp(start,
               "\xfd"
               "7zXZ",
               5) == 0)
        return "xz";
    if (memcmp(start, "BZh", 3) == 0)
        return "bzip2";
    return memcmp(start, "\x28\xb5\x2f\xfd", 4) == 0 ? "zstd" : NULL;
}

static int unpack_by(const char *program, int archive, pid_t *child)
{
    int ends[2];

    if (!lab_find_command(program, NULL, 0))
        give_up(STATUS_RUNTIME, "'%s' is packed by %s, which is not installed", unpacking.name,
                program);
    if (pipe2(ends, O_CLOEXEC) == -1)
        fail("pipe");
    *child = lab_fork();
    if (*child == -1)
        fail("fork");
    if (*child == 0) {
        signal(SIGPIPE, SIG_DFL);
        dup2(archive, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        execlp(program, program, "-dc", (char *)NULL);
        _exit(LAB_EXIT_NOT_FOUND);
    }
    close(ends[1]);
    return ends[0];
}

void tar_unpack(int archive, const char *name, int into, void (*wait_for)(int fd))
{
    unsigned char start[6] = {0};
    struct member *member = malloc(sizeof(*member));
    pid_t child = -1;
    int members = 0;

    unpacking.archive = archive, unpacking.into = into, unpacking.name = name;
    unpacking.wait_for = wait_for;
    if (!member || pread(archive, start, sizeof(start), 0) == -1)
        fail("read '%s'", name);
    if (packer(start))
        unpacking.archive = unpack_by(packer(start), archive, &child);
    for (; next_member(member); members++)
        unpack_member(member);
    free(member);
    if (child != -1) {
        close(unpacking.archive);
        int status = lab_wait(child);
        if (status != 0 && status != 128 + SIGPIPE)
            give_up(STATUS_RUNTIME, "%s cannot read '%s' (status %d)", packer(start), name, status);
    }
    if (members == 0)
        refuse_root();
}
