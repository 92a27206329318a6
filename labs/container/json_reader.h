/* json_reader.h - values found in JSON, the language of images. RFC 8259 */
#ifndef CONTAINER_JSON_READER_H
#define CONTAINER_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>

/* Find a value in JSON text, ended by NUL: the member KEY of the OBJECT that the text begins with,
 * or element NUMBER of the ARRAY. Returns where the value begins, or NULL where there is none, the
 * text is NULL or begins with something else, or is not JSON. KEY is compared as it is written. */
const char *json_member(const char *object, const char *key);
const char *json_element(const char *array, int number);

/* Copy the string that VALUE, or NULL, begins with to TEXT (SIZE bytes, ended by NUL). Returns
 * false where it is not a string, does not fit or has a character that is written as \u. */
bool json_copy(const char *value, char *text, size_t size);

#endif
