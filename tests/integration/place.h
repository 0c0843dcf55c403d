/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * place.h - addresses at which a test's orchestrators listen, alone among all that run at the same
 * time, and to which they can come back. Main thread.
 */
#ifndef PW_TESTS_PLACE_H
#define PW_TESTS_PLACE_H

#include <stddef.h>

/* The transports that there are. */
extern const char *const place_schemes[];
extern const size_t place_scheme_count;

/*
 * A URL to listen at that nobody else has: "tcp" (port 0, at an address of the loopback network that
 * was drawn, so that nobody else is given the port while it is free), "unix" or "memory".
 */
void place_choose(const char *scheme, char *url, size_t size);

#endif
