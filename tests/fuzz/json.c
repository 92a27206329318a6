/* The JSON that images of lab 09 are described with: values are found or not, within the text. */
#include "../../labs/container/image.c" /* the reader is static */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size), copy[16];

    const char *first = json_first(text), *second = first ? json_next(first) : NULL;
    json_copy(json_first(json_member(second, "a")), copy, sizeof(copy));
    json_copy(json_member(text, "a"), copy, sizeof(copy));
    free(text);
    return 0;
}
