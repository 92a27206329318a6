#include "unpack.h"

#include <dlfcn.h>
#include <locale.h>
#include <stdarg.h>

#include "remove.h"
#include "report.h"
#include "unprivileged.h"

/* What archive.h and archive_entry.h of libarchive declare: it is not needed to build the lab. The
 * number in the library's name stands for this interface. */
#define LIBRARY "libarchive.so.13"

struct archive;
struct archive_entry;

#define FUNCTIONS(F)                                                                               \
    F(struct archive *, archive_read_new, (void))                                                  \
    F(int, archive_read_support_filter_bzip2, (struct archive *))                                  \
    F(int, archive_read_support_filter_gzip, (struct archive *))                                   \
    F(int, archive_read_support_filter_xz, (struct archive *))                                     \
    F(int, archive_read_support_filter_zstd, (struct archive *))                                   \
    F(int, archive_read_support_format_tar, (struct archive *))                                    \
    F(int, archive_read_open_fd, (struct archive *, int fd, size_t block))                         \
    F(int, archive_read_next_header, (struct archive *, struct archive_entry **))                  \
    F(int, archive_read_extract2, (struct archive *, struct archive_entry *, struct archive * to)) \
    F(int, archive_read_free, (struct archive *))                                                  \
    F(struct archive *, archive_write_disk_new, (void))                                            \
    F(int, archive_write_disk_set_options, (struct archive *, int flags))                          \
    F(int, archive_write_close, (struct archive *))                                                \
    F(int, archive_write_free, (struct archive *))                                                 \
    F(int, archive_errno, (struct archive *))                                                      \
    F(const char *, archive_error_string, (struct archive *))                                      \
    F(const char *, archive_entry_pathname, (struct archive_entry *))                              \
    F(const char *, archive_entry_hardlink, (struct archive_entry *))                              \
    F(void, archive_entry_copy_pathname, (struct archive_entry *, const char *))                   \
    F(mode_t, archive_entry_filetype, (struct archive_entry *))                                    \
    F(int64_t, archive_entry_uid, (struct archive_entry *))                                        \
    F(int64_t, archive_entry_gid, (struct archive_entry *))

/* NOLINTNEXTLINE(bugprone-macro-parentheses) a name that is declared has none */
#define DECLARE(type, name, arguments) static type(*name) arguments;

FUNCTIONS(DECLARE)

enum result { RESULT_END = 1, RESULT_OK = 0, RESULT_WARNING = -20 };

/* Of ARCHIVE_EXTRACT_...: neither attributes nor access control lists. */
enum { EXTRACT_OWNER = 1, EXTRACT_MODE = 2, EXTRACT_TIME = 4 };

static const char WHITEOUT[] = ".wh.", NO_FILE[] = ".wh..wh.", OPAQUE[] = ".wh..wh..opq";

/* What is being read. */
static struct {
    const char *name;
    struct archive *from, *to;
    enum archive_kind kind;
    unsigned ids; /* how many users and groups the container has, from 0 on */
    bool owners;  /* the members keep theirs; with one user, all are root's */
} work;

static void load_function(void *handle, const char *name, void **function)
{
    *function = dlsym(handle, name);
    if (!*function)
        give_up("%s has no function %s", LIBRARY, name);
}

void load_libarchive(bool own_users)
{
    work.ids = own_users ? mapped_ids() : UINT_MAX;
    work.owners = work.ids > 1;
    /* Names in UTF-8 then need no conversion, for which libraries of the new root would be loaded.
     */
    setlocale(LC_CTYPE, "C.UTF-8");
    errno = 0;
    void *handle = dlopen(LIBRARY, RTLD_NOW);
    if (!handle)
        give_up("an archive needs %s: %s; install the package libarchive13, or unpack the archive "
                "into a directory (%s)",
                LIBRARY, errno ? lab_strerror(errno) : "it cannot be loaded", dlerror());
#define LOAD(type, name, arguments) load_function(handle, #name, (void **)&(name));
    FUNCTIONS(LOAD)
}

/* Whether it was a system call that failed: the library has numbers of its own for a format that is
 * not right, and for what it does not accept. */
static bool is_error_of_system(struct archive *archive)
{
    const int error = archive_errno(archive);

    return error > 0 && error != EILSEQ && error != EINVAL;
}

/* End with the error of the library's object ARCHIVE. */
__attribute__((noreturn, format(printf, 2, 3))) static void fail_with(struct archive *archive,
                                                                      const char *format, ...)
{
    char what[PATH_MAX + 64];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    errno = archive_errno(archive);
    if (is_error_of_system(archive))
        fail("%s", what);
    const char *why = archive_error_string(archive);
    /* As the library says of a header of more than 1 MiB. */
    give_up("%s: %s%s", what, why,
            strstr(why, "too large")
                ? "; tar(1) has no such limit: unpack it into a directory, and give that"
                : "");
}

/* From the first bytes on it cannot be read. */
__attribute__((noreturn)) static void refuse_archive(void)
{
    if (work.kind == ARCHIVE_LAYER)
        fail_with(work.from, "read a layer of '%s'", work.name);
    if (is_error_of_system(work.from))
        fail_with(work.from, "read '%s'", work.name);
    fail_with(work.from, "'%s' is not a root file system, neither a directory nor a tar",
              work.name);
}

static void open_archive(int fd, const char *name)
{
    work.name = name;
    work.from = archive_read_new();
    if (!work.from)
        fail("read '%s'", name);
    /* What this libarchive cannot do itself is an error of the archive that needs it. */
    archive_read_support_filter_bzip2(work.from);
    archive_read_support_filter_gzip(work.from);
    archive_read_support_filter_xz(work.from);
    archive_read_support_filter_zstd(work.from);
    archive_read_support_format_tar(work.from);
    if (archive_read_open_fd(work.from, fd, 10240) != RESULT_OK)
        refuse_archive();
}

/* The next member, or NULL at the end. COUNT members came before it. */
static struct archive_entry *next_member(int count)
{
    struct archive_entry *entry = NULL;
    int result = archive_read_next_header(work.from, &entry);

    if (result == RESULT_END)
        return NULL;
    if (result < RESULT_WARNING && count == 0)
        refuse_archive();
    if (result < RESULT_WARNING)
        fail_with(work.from, "read '%s'", work.name);
    return entry;
}

static bool has_dotdot(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/'), part += part != NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    return false;
}

static const char *name_in_directory(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Open the directory that PATH is in. Returns -1 where there is none. */
static int open_parent(const char *path)
{
    char parent[PATH_MAX];

    snprintf(parent, sizeof(parent), "/%.*s", (int)(name_in_directory(path) - path), path);
    int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        fail("open '%s'", parent);
    return fd;
}

static void remove_path(const char *path)
{
    lab_fd parent = open_parent(path);

    if (parent != -1 && remove_tree(parent, name_in_directory(path)) == -1)
        fail("replace '%s'", path);
}

void empty_directory(const char *path)
{
    lab_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd == -1 && errno != ENOENT && errno != ENOTDIR)
        fail("read '%s'", path);
    if (fd != -1 && remove_contents(fd) == -1)
        fail("empty '%s'", path);
}

/* A later member replaces an earlier one of the same name, whatever they are. */
static void make_way(const char *path, bool is_directory)
{
    struct stat present, target;

    if (lstat(path, &present) == -1)
        return; /* the library reports errors */
    if (is_directory && S_ISDIR(present.st_mode))
        return;
    if (is_directory && S_ISLNK(present.st_mode) && work.kind == ARCHIVE_PLAIN &&
        stat(path, &target) == 0 && S_ISDIR(target.st_mode))
        return;
    remove_path(path);
}

/* tar(1) writes a file that it is given twice as a link to itself. */
static bool is_linked(const char *path, const char *hardlink)
{
    struct stat present, target;

    return hardlink && lstat(path, &present) == 0 && lstat(hardlink, &target) == 0 &&
           lab_same_file(&present, &target);
}

/* Whether a user or group has a number in the container. */
static bool is_mapped(int64_t id)
{
    return id >= 0 && (!work.owners || id < work.ids);
}

static void check_member(struct archive_entry *entry, const char *path, const char *hardlink)
{
    const int64_t user = archive_entry_uid(entry), group = archive_entry_gid(entry);

    if (has_dotdot(path) || (hardlink && has_dotdot(hardlink)))
        give_up("the tar '%s' leads out of its own root: '%s'", work.name,
                has_dotdot(path) ? path : hardlink);
    if (!is_mapped(user) || !is_mapped(group))
        give_up("'%s' in the tar '%s' belongs to user %lld and group %lld; a container has the "
                "users and groups 0 to %u%s",
                path, work.name, (long long)user, (long long)group, work.ids - 1,
                work.ids == UINT_MAX ? "" : ", with --userns host all");
}

static void extract_member(struct archive_entry *entry, const char *path)
{
    const char *hardlink = archive_entry_hardlink(entry);
    const mode_t type = archive_entry_filetype(entry) & S_IFMT;

    check_member(entry, path, hardlink);
    if (S_ISCHR(type) || S_ISBLK(type) || is_linked(path, hardlink))
        return;
    make_way(path, S_ISDIR(type));
    archive_entry_copy_pathname(entry, path);
    if (archive_read_extract2(work.from, entry, work.to) != RESULT_OK)
        fail_with(work.from, "unpack '%s' in '%s'", path, work.name);
}

/* The name of ENTRY below the root, in PATH (PATH_MAX bytes); "" for the root itself. */
static void member_path(struct archive_entry *entry, char *path)
{
    const char *name = archive_entry_pathname(entry);

    if (!name)
        fail_with(work.from, "read a name in '%s'", work.name);
    while (*name == '/' || strncmp(name, "./", 2) == 0)
        name += *name == '/' ? 1 : 2;
    if (strlen(name) >= PATH_MAX)
        give_up("the tar '%s' has a name that is too long", work.name);
    strcpy(path, strcmp(name, ".") == 0 ? "" : name);
    for (size_t length = strlen(path); length > 0 && path[length - 1] == '/';)
        path[--length] = '\0';
}

static bool is_whiteout(const char *path)
{
    return strncmp(name_in_directory(path), WHITEOUT, strlen(WHITEOUT)) == 0;
}

int extract_archive(int fd, const char *name, enum archive_kind kind)
{
    char path[PATH_MAX];
    struct archive_entry *entry;
    int count = 0;

    work.kind = kind;
    open_archive(fd, name);
    work.to = archive_write_disk_new();
    if (!work.to)
        fail("unpack '%s'", name);
    archive_write_disk_set_options(work.to,
                                   (work.owners ? EXTRACT_OWNER : 0) | EXTRACT_MODE | EXTRACT_TIME);
    for (; (entry = next_member(count)) != NULL; count++) {
        member_path(entry, path);
        if (*path && (kind == ARCHIVE_PLAIN || !is_whiteout(path)))
            extract_member(entry, path);
    }
    /* Only now directories get their modes and times. */
    if (archive_write_close(work.to) != RESULT_OK)
        fail_with(work.to, "unpack '%s'", name);
    archive_write_free(work.to);
    archive_read_free(work.from);
    return count;
}

static void apply_whiteout(const char *path)
{
    const char *name = name_in_directory(path), *of = name + strlen(WHITEOUT);
    char hidden[PATH_MAX];

    if (strcmp(name, OPAQUE) == 0) {
        snprintf(hidden, sizeof(hidden), "/%.*s", (int)(name - path), path);
        empty_directory(hidden);
    } else if (strncmp(name, NO_FILE, strlen(NO_FILE)) != 0 && *of && strcmp(of, ".") != 0 &&
               strcmp(of, "..") != 0) {
        snprintf(hidden, sizeof(hidden), "%.*s%s", (int)(name - path), path, of);
        remove_path(hidden);
    }
}

void apply_whiteouts(int fd, const char *name)
{
    char path[PATH_MAX];
    struct archive_entry *entry;

    work.kind = ARCHIVE_LAYER;
    open_archive(fd, name);
    while ((entry = next_member(0)) != NULL) {
        member_path(entry, path);
        if (has_dotdot(path))
            continue;
        if (is_whiteout(path))
            apply_whiteout(path);
        else if (*path && S_ISDIR(archive_entry_filetype(entry)))
            make_way(path, true); /* else a whiteout in it would follow an older link */
    }
    archive_read_free(work.from);
}
