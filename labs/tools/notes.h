/*
 * notes.h - the notes of what `up` has changed, /run/container-labs-net/NN, and the kinds of
 * changes that can stand in them.
 *
 *     container-labs changes 1
 *     12 link veth2              a change: what tells it from another of the same name, kind, thing
 *     unfinished                 or: complete
 *     end
 *
 * It is a record (record.h), and written anew before each change. One that is not exactly of this
 * form, or that another user may have written, is refused. Nothing in it is run: a kind knows the
 * form of its things, and how one of them is looked for and taken back.
 */
#ifndef LAB_NOTES_H
#define LAB_NOTES_H

#include <stdbool.h>

#define LAB_NOTES "/run/container-labs-net"

struct lab_kind {
    const char *name, *form; /* of its things: regex(7) */
    const char *command;     /* takes it back, with the thing behind it */
    bool has_identity;

    /* Returns 1 where it is there, with its identity in *IDENTITY if it has one; 0 where it is not;
     * -1 with errno where that cannot be told. NULL: `take_away` sees it. */
    int (*look)(const char *thing, unsigned long long *identity);

    /* Does what COMMAND does. Returns 1, 0 where others use the thing, so that it has to stay, -1
     * with errno. NULL: COMMAND is run. */
    int (*take_away)(const char *thing);
};

extern const struct lab_kind lab_kinds[]; /* ended by one without a name; kinds.c */

struct lab_change {
    const struct lab_kind *kind;
    unsigned long long made; /* the identity of what was made; 0: it has none, or it is not known */
    char thing[256];
};

enum { LAB_MAXIMUM_CHANGES = 4096 };

struct lab_notes {
    const char *number; /* of the lab: "07" */
    bool complete;      /* all changes were made */
    int count;
    struct lab_change list[LAB_MAXIMUM_CHANGES];
};

/* Add the change TEXT, "link veth2". Returns whether it is one that can be noted. */
bool lab_notes_add(struct lab_notes *notes, const char *text, unsigned long long made);

/* Read the notes of lab NUMBER. Returns whether there are any. Exits with 1 where that cannot be
 * told, and where they are refused. */
bool lab_notes_read(struct lab_notes *notes, const char *number);

/* Returns 0, or -1 with errno; then what was noted before is noted still. */
int lab_notes_write(const struct lab_notes *notes);

/* Remove the notes of lab NUMBER, if any, and their directory unless it has those of another lab.
 * Returns 0, or -1 when it has printed what could not be removed. */
int lab_notes_remove(const char *number);

/* The path of the notes of lab NUMBER. */
const char *lab_notes_path(const char *number);

#endif
