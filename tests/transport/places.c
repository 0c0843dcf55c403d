/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * places.c - see the header.
 */
#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct place places[] = {
    {"tcp", "tcp://127.0.0.1:0", "127.0.0.1:", "127.0.0.1:", false},
    {"tcp", "tcp://[::1]:0", "[::1]:", "[::1]:", true},
    {"unix", "unix:", "unix:/", "unix:pid ", false},
    {"unix", "unix:@", "unix:@", "unix:pid ", false},
    {"memory", "memory:behaviour", "memory:behaviour", "memory:behaviour", false},
};
#define N_PLACES (sizeof(places) / sizeof(places[0]))

struct pw_listener *place_listen(void **state)
{
    const struct place *const place = *state;
    if (place->needs_v6 && !net_has_v6()) {
        skip(); /* this machine has no IPv6 */
    }
    return net_listen(place->url);
}

static void every_transport_has_a_place_here(void **state)
{
    (void)state;
    for (const struct pw_transport_ops *const *ops = pw_transport_all(); *ops != NULL; ops++) {
        bool found = false;
        for (size_t i = 0; i < N_PLACES; i++) {
            found = found || strcmp(places[i].scheme, (*ops)->scheme) == 0;
        }
        if (!found) {
            fail_msg("no case runs over %s: add it to the list of places", (*ops)->scheme);
        }
    }
}

/* The places that depend on the process. */
static void complete_places(void)
{
    char *const folder = pw_test_temp_dir();
    snprintf(places[2].url, sizeof(places[2].url), "unix:%s/s", folder);
    snprintf(places[3].url, sizeof(places[3].url), "unix:@pywatt-behaviour-%d", (int)getpid());
    free(folder);
}

/* A case and its name, for one place. */
static void fill_in(struct CMUnitTest *out, char *name, size_t size, const struct CMUnitTest *test,
                    struct place *place)
{
    snprintf(name, size, "%.40s %s", place->url, test->name);
    *out = *test;
    out->name = name;
    out->setup_func = net_count_fds;
    out->teardown_func = net_compare_fds;
    out->initial_state = place;
}

int places_run(const char *group, const struct CMUnitTest *cases, size_t n_cases)
{
    enum {
        NAME_MAX_BYTES = 128
    };
    struct CMUnitTest *all = calloc(N_PLACES * n_cases + 1, sizeof(*all));
    char(*names)[NAME_MAX_BYTES] = calloc(N_PLACES * n_cases, sizeof(*names));
    if (all == NULL || names == NULL) {
        abort();
    }
    size_t n = 0;
    complete_places();
    for (size_t p = 0; p < N_PLACES; p++) {
        for (size_t c = 0; c < n_cases; c++, n++) {
            fill_in(&all[n], names[n], sizeof(names[n]), &cases[c], &places[p]);
        }
    }
    all[n++] = (struct CMUnitTest)cmocka_unit_test(every_transport_has_a_place_here);
    const int result = pw_test_run(group, all, n, NULL, NULL);
    free(names);
    free(all);
    return result;
}
