/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * places.h - one place of each kind at which a transport can listen, and a way to run cases over all of
 * them. A new transport adds its line to the list in places.c. Main thread.
 */
#ifndef PLACES_H
#define PLACES_H

#include "net.h"

struct place {
    const char *scheme;
    char url[PW_ENDPOINT_URL_MAX];
    const char *client_sees; /* how the client's name of its peer begins */
    const char *server_sees;
    bool needs_v6;
    bool shakes_hands; /* connecting takes the other side, too */
};

/* A listener at the place that is the case's state. */
struct pw_listener *place_listen(void **state);

/* The same, for a case that connects while nobody accepts: not for places with a handshake. */
struct pw_listener *place_listen_alone(void **state);

/*
 * Runs each case over each place, which is its state, and sees that it leaves no descriptor open; and
 * that no transport is without a place. Returns what main returns.
 */
int places_run(const char *group, const struct CMUnitTest *cases, size_t n_cases);

#endif
