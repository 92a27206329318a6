/*
 * page.h - what the verbs of lab.h share with each other. Not for pages.
 */
#ifndef LAB_PAGE_H
#define LAB_PAGE_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/types.h>

/* FORMAT with its values, in one of four static buffers. */
const char *lab_format(const char *format, va_list values);

/* Declare the string TEXT: the format LAST with the values behind it. */
#define LAB_FORMAT(text, last)                                                                     \
    va_list values_of_##text;                                                                      \
    va_start(values_of_##text, last);                                                              \
    const char *const text = lab_format(last, values_of_##text);                                   \
    va_end(values_of_##text)

/* End with "WHAT PATH: ENAME (text)" for the present errno, and with the remedy where PATH is on a
 * cgroup file system. FORMAT is WHAT. */
__attribute__((noreturn)) void lab_die_path(const char *path, const char *format, ...);

/* Whether WORD is an option of an experiment: "--step", "--shell". */
bool lab_is_experiment_option(const char *word);

/* Draw the picture of lab_plot_option(), if one was asked for. */
void lab_draw_picture(void);

/* Show the output of a program, behind "| ". */
void lab_quote(const char *text);

/* Keep TEXT, of malloc(3), until the next step begins. Returns it; NULL ends the run. */
const char *lab_keep_answer(char *text);

/* Whether this process is a sandbox. What it prints is quoted, but for the lines that begin with
 * LAB_CALL: these show calls. */
extern bool lab_in_sandbox;
#define LAB_CALL "\002"

/* At the end of a step: end the sandboxes that are not kept, free the answers. */
void lab_free_step(void);

#endif
