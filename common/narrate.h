/*
 * narrate.h - what an experiment prints, and the checks it makes.
 *
 *     [01] step 3 of 8: copy bash into the new root          lab_step
 *         The file is there now. Its loader is not.          lab_say
 *         $ cp /bin/bash my_root/bin                         lab_shell
 *         | chroot: failed to run command ...                lab_quote
 *         chroot.exit_status = 127                           lab_fact
 *       ok    the file is there now, its loader is not       lab_check...
 *     [01] 9 checks held, 0 failed                           lab_summary
 *
 * Everything goes to stdout, which lab_narrate() makes line buffered: nothing is lost when the
 * process is killed and nothing is doubled by fork(2). Colour only helps; it is off when stdout is
 * no terminal or NO_COLOR is set (https://no-color.org).
 */
#ifndef LAB_NARRATE_H
#define LAB_NARRATE_H

#include <stdbool.h>

/* Begin the narration of the experiment NUMBER ("01") with its TITLE and its number of STEPS. */
void lab_narrate(const char *number, const char *title, int steps);

/* Call HOOK whenever a step has ended, before the next one begins (or NULL: none). */
void lab_after_each_step(void (*hook)(void));

/* Begin the next step. */
__attribute__((format(printf, 1, 2))) void lab_step(const char *format, ...);

/* Prose: why this step is worth looking at. Newlines in it start new lines. */
__attribute__((format(printf, 1, 2))) void lab_say(const char *format, ...);

/* What a person would type to do the same. */
__attribute__((format(printf, 1, 2))) void lab_shell(const char *format, ...);

/* The same for a command as a vector, with PREFIX (or "") before it; words are quoted as a shell
 * wants them. */
void lab_shell_command(const char *prefix, const char *const argv[]);

/* What a program said, each line marked; "(nothing)" for an empty TEXT. */
void lab_quote(const char *text);

/* A value that was read back from the kernel. */
__attribute__((format(printf, 2, 3))) void lab_fact(const char *key, const char *format, ...);

/* A check: prints ok or FAIL with the claim, counts it, and returns HELD. */
__attribute__((format(printf, 2, 3))) bool lab_check(bool held, const char *claim, ...);

/* Checks that say what they expected and saw when they fail. Both return whether they held. */
__attribute__((format(printf, 3, 4))) bool lab_check_number(long long seen, long long expected,
                                                            const char *claim, ...);
__attribute__((format(printf, 3, 4))) bool lab_check_text(const char *seen, const char *expected,
                                                          const char *claim, ...);

/* Check that an errno that was seen (0: the call succeeded) is the expected one. */
__attribute__((format(printf, 3, 4))) bool lab_check_errno(int seen, int expected,
                                                           const char *claim, ...);

/* End the last step and print the line that sums up. Returns the number of checks that failed;
 * a narration that ends short of its last step counts as a failure, unless WHOLE is false. */
int lab_summary(bool whole);

#endif
