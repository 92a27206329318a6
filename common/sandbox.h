/*
 * sandbox.h - a process in other namespaces that says something and then holds still, so that the
 * outside can look at it while it lives.
 */
#ifndef LAB_SANDBOX_H
#define LAB_SANDBOX_H

#include "lab.h"

/* What a shell's script ends with to hold still. It names itself by /proc/self, which must still be
 * that of the outside. */
#define LAB_SANDBOX_HOLD "; read -r pid rest </proc/self/stat; echo \"pid $pid\"; read -r rest"

/* Start a child, or more of them by BODY(ARGUMENT), and read what they say until one of them holds
 * still: by LAB_SANDBOX_HOLD at the end of its script, or because BODY has returned in it.
 * Returns 0, or -1 with errno; ECHILD where they have ended, with their last words in SAID. */
int lab_open_sandbox(struct lab_sandbox *sandbox, int (*body)(void *argument), void *argument);

/* Let it go and wait for its end. LAB_SANDBOX declares one for which this is done at the end of its
 * block. */
void lab_close_sandbox(struct lab_sandbox *sandbox);

#define LAB_SANDBOX __attribute__((cleanup(lab_close_sandbox))) struct lab_sandbox

#endif
