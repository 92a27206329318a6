/* json.h - JSON: any text printed as a string, and values found. */
#ifndef LAB_JSON_H
#define LAB_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Print TEXT to stdout as a string of JSON, in its quotes. What a program or a user has said may be
 * no UTF-8, or was cut in a character: such a byte is shown as the character of its number, so that
 * the result always is. RFC 8259, utf-8(7). */
void lab_json_string(const char *text);

/* Find a value in JSON text, ended by NUL: the member KEY of the OBJECT that the text begins with,
 * or element NUMBER of the ARRAY. Returns where the value begins, or NULL where there is none, the
 * text is NULL or begins with something else, or is not JSON. KEY is compared as it is written. */
const char *lab_json_member(const char *object, const char *key);
const char *lab_json_element(const char *array, int number);

/* Copy the string that VALUE, or NULL, begins with to TEXT (SIZE bytes, ended by NUL). Returns
 * false where it is not a string, does not fit or has a character that is written as \u. */
bool lab_json_copy(const char *value, char *text, size_t size);

#endif
