#include "json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

enum { DEEPEST = 64 };

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : NULL;
}

/* What follows the value that AT begins with, and space; NULL where it is not a value. */
static const char *skip_value(const char *at, int depth)
{
    at = skip_space(at);
    if (*at == '"')
        at = skip_string(at);
    else if ((*at == '{' || *at == '[') && depth < DEEPEST) {
        const char end = *at == '{' ? '}' : ']';
        at = skip_space(at + 1);
        while (at && *at != end) {
            at = skip_value(at, depth + 1);
            if (at && (*at == ',' || *at == ':'))
                at++;
            else if (at && *at != end)
                return NULL;
        }
        at = at ? at + 1 : NULL;
    } else {
        size_t length = strspn(at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        at = length > 0 ? at + length : NULL;
    }
    return at ? skip_space(at) : NULL;
}

const char *lab_json_member(const char *object, const char *key)
{
    const char *at = object ? skip_space(object) : "";

    if (*at != '{')
        return NULL;
    for (at = skip_space(at + 1); *at == '"'; at = skip_space(at + 1)) {
        const char *name = at + 1, *end = skip_value(at, 0);
        if (!end || *end != ':')
            return NULL;
        const char *value = skip_space(end + 1);
        if (strncmp(name, key, strlen(key)) == 0 && name[strlen(key)] == '"')
            return value;
        at = skip_value(value, 0);
        if (!at || *at != ',')
            return NULL;
    }
    return NULL;
}

const char *lab_json_element(const char *array, int number)
{
    const char *at = array ? skip_space(array) : "";

    if (*at != '[')
        return NULL;
    at = skip_space(at + 1);
    for (; *at && *at != ']'; at = skip_space(at + 1)) {
        if (number-- == 0)
            return at;
        at = skip_value(at, 0);
        if (!at || *at != ',')
            return NULL;
    }
    return NULL;
}

bool lab_json_copy(const char *value, char *text, size_t size)
{
    size_t length = 0;

    if (!value || *value != '"')
        return false;
    for (const char *at = value + 1; *at != '"'; at++) {
        const bool escaped = *at == '\\';
        at += escaped;
        if (!*at || (escaped && !strchr("\"\\/", *at)) || length + 1 >= size)
            return false;
        text[length++] = *at;
    }
    text[length] = '\0';
    return true;
}
