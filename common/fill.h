/*
 * fill.h - fill an empty directory whole or not at all.
 */
#ifndef LAB_FILL_H
#define LAB_FILL_H

/* Make the directory PATH (0755 less the umask(2)), or take it as it is if it is empty, and call
 * FILL(PATH) in a child. Whatever ends the child before it returns from FILL - an error that exits,
 * a signal, Ctrl-C - all that is in the directory then is removed, and the directory is as it was:
 * not there, or empty and with its old mode. A lock keeps other calls off (flock(2)).
 * Returns 0 when FILL has returned, 128 + the signal that asked this process to end, 1 for every
 * other failure of FILL, which has told of it; or -1 with errno where nothing was begun: ENOTEMPTY,
 * ENOTDIR, EBUSY (another process fills it now), and those of mkdir(2) and open(2). */
int lab_fill_directory(const char *path, void (*fill)(const char *path));

#endif
