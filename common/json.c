#include "json.h"

#include <stdio.h>

/* The bytes of the character that TEXT, which is not at its end, begins with; 0 where it is no
 * UTF-8: too long a form, a half of a pair of UTF-16, or beyond the last character. */
static int bytes_of_character(const unsigned char *text)
{
    const unsigned char first = text[0], second = text[1];
    int bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (first > 0xf4 || (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    for (int i = 1; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

void lab_json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        int bytes = bytes_of_character(at);
        if (bytes == 0 || *at < ' ' || *at == 0x7f)
            printf("\\u%04x", *at);
        else
            printf("%s%.*s", *at == '"' || *at == '\\' ? "\\" : "", bytes, (const char *)at);
        at += bytes ? bytes : 1;
    }
    putchar('"');
}
