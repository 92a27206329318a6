#include "json_reader.h"

#include <string.h>

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

const char *json_member(const char *object, const char *key)
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

const char *json_element(const char *array, int number)
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

bool json_copy(const char *value, char *text, size_t size)
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
