#include "notes.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "record.h"

static const char RECORD[] = "changes", COMPLETE[] = "complete", UNFINISHED[] = "unfinished";

const char *lab_notes_path(const char *number)
{
    static char path[64];

    snprintf(path, sizeof(path), LAB_NOTES "/%s", number);
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

/* Read a line, "12 link veth2". Returns whether it is one. */
static bool read_change(struct lab_notes *notes, const char *line)
{
    char number[32];
    unsigned long long made = strtoull(line, NULL, 10);
    size_t length = (size_t)snprintf(number, sizeof(number), "%llu ", made);

    /* As lab_notes_write() writes it, without "+" or "00". */
    return strncmp(line, number, length) == 0 && lab_notes_add(notes, line + length, made);
}

/* Read all lines of TEXT. Returns the number of the first one that cannot stand there, 0: none. */
static int read_lines(struct lab_notes *notes, char *text)
{
    bool ended = false;
    int number = 2; /* the first one is that of all records */

    for (char *line; (line = strsep(&text, "\n")) && text; number++) {
        notes->complete = strcmp(line, COMPLETE) == 0;
        if (ended ||
            (!notes->complete && strcmp(line, UNFINISHED) != 0 && !read_change(notes, line)))
            return number;
        ended = notes->complete || strcmp(line, UNFINISHED) == 0;
    }
    return ended ? 0 : number;
}

bool lab_notes_read(struct lab_notes *notes, const char *number)
{
    static char text[LAB_MAXIMUM_CHANGES * sizeof(struct lab_change)];
    const char *path = lab_notes_path(number);
    int line = 0;

    notes->number = number;
    notes->count = 0;
    if (lab_record_read(path, RECORD, text, sizeof(text)) == 0)
        line = read_lines(notes, text);
    else if (errno == ENOENT)
        return false;
    else if (errno != EBADMSG && errno != ELOOP && errno != EPERM)
        lab_die("read %s", path);
    else
        line = -1;
    if (line == 0)
        return true;
    char where[32] = "damaged, or of another version";
    if (line > 0)
        snprintf(where, sizeof(where), "line %d is damaged", line);
    else if (errno != EBADMSG)
        snprintf(where, sizeof(where), "%s", errno == ELOOP ? "a link" : "not written by you");
    lab_exit(EXIT_FAILURE,
             "%s: %s; nothing was taken down: undo by hand what it names, then type: rm %s", path,
             where, path);
}

/* Returns what read_lines() reads, for free(3); NULL with errno if malloc(3) fails. */
static char *lines_of(const struct lab_notes *notes)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        return NULL;
    for (int i = 0; i < notes->count; i++)
        fprintf(stream, "%llu %s %s\n", notes->list[i].made, notes->list[i].kind->name,
                notes->list[i].thing);
    fprintf(stream, "%s\n", notes->complete ? COMPLETE : UNFINISHED);
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

int lab_notes_write(const struct lab_notes *notes)
{
    lab_string text = lines_of(notes);

    return text ? lab_record_write(lab_notes_path(notes->number), RECORD, text) : -1;
}

int lab_notes_remove(const char *number)
{
    char path[80];

    /* NN.new is left by a process that was killed in lab_record_write(). */
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s%s", lab_notes_path(number), i == 0 ? "" : ".new");
        if (unlink(path) == -1 && errno != ENOENT)
            return lab_warn_errno("unlink %s", path);
    }
    if (rmdir(LAB_NOTES) == 0 || errno == ENOTEMPTY)
        return 0;
    return lab_warn_errno("rmdir " LAB_NOTES);
}
