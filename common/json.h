/* json.h - any text printed as a string of JSON. */
#ifndef LAB_JSON_H
#define LAB_JSON_H

/* Print TEXT to stdout as a string of JSON, in its quotes. What a program or a user has said may be
 * no UTF-8, or was cut in a character: such a byte is shown as the character of its number, so that
 * the result always is. RFC 8259, utf-8(7). */
void lab_json_string(const char *text);

#endif
