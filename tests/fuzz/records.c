/* Fuzz what reads the records of labs 07, 08 and 09: the notes of `up`, the bridge, forwarding.
 * Notes that are accepted are exactly those that would be written. */
#include "../../common/forwarding.c"

#include "../../labs/tools/notes.c"

#include "../../labs/container/bridge.h"
#include "../../labs/container/container.h"
#include "fuzz.h"

static void remove_directory(void)
{
    unlink(bridge_file());
    rmdir(state_directory());
}

static void read_notes(const char *text)
{
    static struct lab_notes notes;
    char *copy = string_of((const uint8_t *)text, strlen(text)), *written = NULL;

    notes = (struct lab_notes){.number = "07"};
    if (read_lines(&notes, copy) == 0) {
        written = lines_of(&notes);
        if (!written || strcmp(written, text) != 0)
            abort();
    }
    free(written);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    struct record record = {.lock = -1};
    struct bridge bridge;

    if (!made)
        make_state_directory(remove_directory);
    made = true;
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
