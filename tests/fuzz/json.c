/* The JSON that images of lab 09 are described with: values are found or not, within the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), copy[16];

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    const char *member = lab_json_member(lab_json_element(text, 1), "a");
    lab_json_copy(lab_json_element(member, 0), copy, sizeof(copy));
    lab_json_copy(lab_json_member(text, "a"), copy, sizeof(copy));
    free(text);
    return 0;
}
