/*
 * forwarding.h - net.ipv4.ip_forward, which more than one lab turns on: the last one turns it off.
 *
 *     /run/container-labs.forwarding/    locked while a record is read or written
 *         COOKIE                         of a network namespace, a record (record.h):
 *             users 08 09
 *             was 0 missing 63                         ip_forward, and lab_nft_missing() of nft.h
 *             net/ipv4/conf/all/accept_redirects=1     what is to be set again, and more of those
 *
 * There is a record as long as a lab uses forwarding. The functions return -1 with errno, and
 * nothing has changed that the next call would not find.
 */
#ifndef LAB_FORWARDING_H
#define LAB_FORWARDING_H

#include <stdbool.h>

/* Whether ip_forward is 1 now: 1 or 0. */
int lab_forwarding_is_on(void);

/* USER ("08") is about to write 1 to ip_forward, and to make rules. Returns 1, or 0 where it is 1
 * already and not because of these labs: then it stays. */
int lab_forwarding_use(const char *user);

/* After lab_forwarding_leave() has failed with errno: what it says, with a remedy where there is
 * one, in a static buffer. errno stays. */
const char *lab_forwarding_trouble(void);

/* Whether lab_forwarding_leave() would turn it off, as no other lab uses it and it was off before:
 * 1 or 0. */
int lab_forwarding_goes_with(const char *user);

/* USER does not need it any more; it may never have used it. Where no other lab does, write 0 to
 * ip_forward and set again what the kernel has changed along with it; KEEP: leave it on for good,
 * because programs outside of these labs rely on it. Returns 0 where it was turned off, 1 where it
 * is left as it is. *MISSING is what lab_nft_missing() was before the first lab, or 0 where another
 * lab still has its rules. */
int lab_forwarding_leave(const char *user, bool keep, unsigned *missing);

#endif
