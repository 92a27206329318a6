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

static void read_notes(char *text)
{
    static struct lab_notes notes;
    lab_string copy = strdup(text);
    lab_string written = NULL;
    size_t size;

    notes = (struct lab_notes){.number = "07"};
    if (!copy || read_lines(&notes, text) != 0)
        return;
    FILE *stream = open_memstream(&written, &size);
    for (int i = 0; i < notes.count; i++)
        fprintf(stream, "%llu %s %s\n", notes.list[i].made, notes.list[i].kind->name,
                notes.list[i].thing);
    fprintf(stream, "%s\n", notes.complete ? COMPLETE : UNFINISHED);
    fclose(stream);
    if (strcmp(written, copy) != 0)
        abort();
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
