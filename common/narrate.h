/*
 * narrate.h - what an experiment prints, and the checks it makes: what is behind those verbs of
 * lab.h.
 *
 *     [01] step 3 of 8: copy bash into the new root          lab_step
 *         The file is there now. Its loader is not.          lab_say
 *         $ cp /bin/bash my_root/bin                         lab_type
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

#include "lab.h"

/* Begin the narration of the experiment NUMBER ("01") with its TITLE and its number of STEPS.
 * BEFORE_STEP is called at the beginning of each step, when its title is printed, and before the
 * sum. */
void lab_narrate(const char *number, const char *title, int steps, void (*before_step)(void));

/* Show the output of a program. */
void lab_quote(const char *text);

/* End the last step and print the line that sums up. Returns the number of checks that failed;
 * a narration that ends short of its last step counts as a failure, unless WHOLE is false. */
int lab_summary(bool whole);

#endif
