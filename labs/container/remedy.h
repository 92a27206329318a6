/* remedy.h - what can be done about an error, where that is certain. */
#ifndef CONTAINER_REMEDY_H
#define CONTAINER_REMEDY_H

/* The remedy for ERROR, an errno that was met at WHAT, the words of fail(); NULL where there is
 * none that is certain. */
const char *remedy_for(int error, const char *what);

#endif
