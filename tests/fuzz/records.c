/* Fuzz what reads the records of labs 07, 08 and 09: the notes of `up`, the bridge, forwarding.
 * Notes that are accepted are exactly those that would be written. */
#include "../../common/forwarding.c"

#include "../../labs/tools/notes.c"

#include "../../labs/container/bridge.h"
#include "fuzz.h"

static char directory[] = "/tmp/fuzz-records.XXXXXX";

static void remove_directory(void)
{
    unlink(bridge_file());
    rmdir(directory);
}

/* NOTES as lab_notes_write() has them, of malloc(3). */
static char *text_of(const struct lab_notes *notes)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        abort();
    for (int i = 0; i < notes->count; i++)
        fprintf(stream, "%llu %s %s\n", notes->list[i].made, notes->list[i].kind->name,
                notes->list[i].thing);
    fprintf(stream, "%s\n", notes->complete ? COMPLETE : UNFINISHED);
    fclose(stream);
    return text;
}

static void read_notes(const char *text)
{
    static struct lab_notes notes;
    char *copy = string_of((const uint8_t *)text, strlen(text)), *written = NULL;

    notes = (struct lab_notes){.number = "07"};
    if (read_lines(&notes, copy) == 0) {
        written = text_of(&notes);
        if (strcmp(written, text) != 0)
            abort();
    }
    free(written);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record = {.lock = -1};
    struct bridge bridge;

    if (strchr(directory, 'X') &&
        (!mkdtemp(directory) || setenv("CONTAINER_LABS_STATE", directory, 1) == -1 ||
         atexit(remove_directory) != 0))
        abort();
    write_data(bridge_file(), data, size);
    if (bridge_read(&bridge) == 1 && (bridge.prefix < 0 || bridge.prefix > 31))
        abort();
    write_data(bridge_file(), data, size); /* that of another boot was removed */
    snprintf(record.path, sizeof(record.path), "%s", bridge_file());
    if (read_record(&record) == 0 && record.is_there &&
        strspn(record.users, "0123456789 ") != strlen(record.users))
        abort();
    char *text = string_of(data, size);
    /* What a record has are whole lines. */
    if (size > 0 && strlen(text) == size && text[size - 1] == '\n')
        read_notes(text);
    free(text);
    return 0;
}
