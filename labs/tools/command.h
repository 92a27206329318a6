/*
 * command.h - commands that the tools run, in silence or shown as a person types them.
 *
 * A command is given as one line; its words are separated by single blanks and nothing in it is
 * special, because no shell reads it. At most 63 words.
 */
#ifndef LAB_COMMAND_H
#define LAB_COMMAND_H

#include "process.h"

/* Run a command in silence, by lab_listen_command() for a program. Returns its exit status as a
 * shell tells it, with *OUTPUT filled in (NULL: what it says is dropped). Exits where no child can
 * be started. */
__attribute__((format(printf, 2, 3))) int lab_command(struct lab_output *output, const char *format,
                                                      ...);

/* The same, and it must succeed: otherwise what it said is the error, and the process exits. */
__attribute__((format(printf, 2, 3))) void lab_must_command(struct lab_output *output,
                                                            const char *format, ...);

/* Show a command and run it. It must succeed: otherwise what it said is the error, and the process
 * exits. What it says when it succeeds is not shown. */
__attribute__((format(printf, 1, 2))) void lab_shell_run(const char *format, ...);

/* Replace this process by $SHELL, or /bin/sh where that is not set, as a login shell ("-sh" as its
 * name): what unshare(1) and nsenter(1) do without a command. SHELL is a path, not looked up in
 * PATH. Returns only by exiting, as lab_exec(). */
__attribute__((noreturn)) void lab_exec_shell(void);

#endif
