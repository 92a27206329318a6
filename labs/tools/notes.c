#include "notes.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"

static const char HEADER[] = "container-labs changes 1";
static const char COMPLETE[] = "end complete", UNFINISHED[] = "end unfinished";

const char *lab_notes_path(const char *number)
{
    static char path[64];

    snprintf(path, sizeof(path), LAB_NOTES "/%s", number);
    return path;
}

/* Where lab_notes_write() writes. A process that is killed there leaves it. */
static const char *new_path(const char *number)
{
    static char path[64];

    snprintf(path, sizeof(path), LAB_NOTES "/.%s.new", number);
    return path;
}

/* Whether all of TEXT has the form FORM. */
static bool has_form(const char *text, const char *form)
{
    regex_t regex;
    regmatch_t match;

    if (regcomp(&regex, form, REG_EXTENDED) != 0)
        lab_exit(EXIT_FAILURE, "regcomp %s", form);
    bool found = regexec(&regex, text, 1, &match, 0) == 0;
    regfree(&regex);
    return found && match.rm_so == 0 && text[match.rm_eo] == '\0';
}

bool lab_notes_add(struct lab_notes *notes, const char *text, unsigned long long made)
{
    struct lab_change *change = &notes->list[notes->count];
    size_t length = strcspn(text, " ");

    if (text[length] == '\0' || notes->count == LAB_MAXIMUM_CHANGES ||
        strlen(text + length + 1) >= sizeof(change->thing))
        return false;
    *change = (struct lab_change){.made = made};
    strcpy(change->thing, text + length + 1);
    for (const struct lab_kind *kind = lab_kinds; kind->name; kind++)
        if (strlen(kind->name) == length && strncmp(text, kind->name, length) == 0)
            change->kind = kind;
    if (!change->kind || !has_form(change->thing, change->kind->form))
        return false;
    notes->count++;
    return true;
}

/* Read the LINE with the number NUMBER into NOTES. Returns whether it can stand there. */
static bool read_line(struct lab_notes *notes, const char *line, int number, bool *ended)
{
    char *blank;

    if (number == 1)
        return strcmp(line, HEADER) == 0;
    if (*ended)
        return false;
    notes->complete = strcmp(line, COMPLETE) == 0;
    *ended = notes->complete || strcmp(line, UNFINISHED) == 0;
    if (*ended)
        return true;
    unsigned long long made = strtoull(line, &blank, 10);
    return blank > line && *blank == ' ' && lab_notes_add(notes, blank + 1, made);
}

/* Read all lines of FILE. Returns the number of the first one that cannot stand there, 0: none. */
static int read_lines(struct lab_notes *notes, FILE *file)
{
    char line[512];
    bool ended = false;

    for (int number = 1; fgets(line, sizeof(line), file); number++) {
        char *newline = strchr(line, '\n');
        if (!newline)
            return number;
        *newline = '\0';
        if (!read_line(notes, line, number, &ended))
            return number;
    }
    return ended ? 0 : -1;
}

__attribute__((noreturn)) static void refuse(const char *path, const char *reason, int line)
{
    char where[32] = "";

    if (line > 0)
        snprintf(where, sizeof(where), ", line %d", line);
    lab_exit(EXIT_FAILURE,
             "%s%s: %s; nothing was taken down: undo by hand what it names, then type: rm %s", path,
             where, reason, path);
}

bool lab_notes_read(struct lab_notes *notes, const char *number)
{
    const char *path = lab_notes_path(number);
    struct stat status;
    lab_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    notes->number = number;
    notes->count = 0;
    if (fd == -1 && errno == ENOENT)
        return false;
    if (fd == -1 && errno == ELOOP)
        refuse(path, "it is a symbolic link", 0);
    if (fd == -1 || fstat(fd, &status) == -1)
        lab_die("open %s", path);
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022))
        refuse(path, "it is not a file that only you can write", 0);
    FILE *file = fdopen(fd, "r");
    if (!file)
        lab_die("read %s", path);
    lab_take_fd(&fd); /* fclose() closes it */
    int damaged = read_lines(notes, file);
    if (ferror(file))
        lab_die("read %s", path);
    fclose(file);
    if (damaged)
        refuse(path, damaged == -1 ? "its end is missing" : "damaged, or of another version",
               damaged);
    return true;
}

int lab_notes_write(const struct lab_notes *notes)
{
    const char *path = new_path(notes->number);
    FILE *file = fopen(path, "we");

    if (!file)
        return -1;
    fprintf(file, "%s\n", HEADER);
    for (int i = 0; i < notes->count; i++)
        fprintf(file, "%llu %s %s\n", notes->list[i].made, notes->list[i].kind->name,
                notes->list[i].thing);
    fprintf(file, "%s\n", notes->complete ? COMPLETE : UNFINISHED);
    /* fchmod(): whatever the umask says */
    bool whole = fchmod(fileno(file), 0644) == 0 && fflush(file) == 0 && !ferror(file);
    if (fclose(file) == -1 || !whole)
        return -1;
    return rename(path, lab_notes_path(notes->number));
}

int lab_notes_remove(const char *number)
{
    const char *const files[] = {lab_notes_path(number), new_path(number)};

    for (int i = 0; i < 2; i++)
        if (unlink(files[i]) == -1 && errno != ENOENT) {
            lab_warn("unlink %s: %s", files[i], lab_strerror(errno));
            return -1;
        }
    if (rmdir(LAB_NOTES) == 0 || errno == ENOTEMPTY)
        return 0;
    lab_warn("rmdir " LAB_NOTES ": %s", lab_strerror(errno));
    return -1;
}
