/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * places.c - see the header.
 */
#include "places.h"

#include <certificates.h>
#include <pywatt/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct place places[] = {
    {"tcp", "tcp://127.0.0.1:0", "127.0.0.1:", "127.0.0.1:", false, false},
    {"tcp", "tcp://[::1]:0", "[::1]:", "[::1]:", true, false},
    {"unix", "unix:", "unix:/", "unix:pid ", false, false},
    {"unix", "unix:@", "unix:@", "unix:pid ", false, false},
    {"memory", "memory:behaviour", "memory:behaviour", "memory:behaviour", false, false},
    {"tls", "tls://127.0.0.1:0", "127.0.0.1:", "127.0.0.1:", false, true},
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

struct pw_listener *place_listen_alone(void **state)
{
    const struct place *const place = *state;
    if (place->shakes_hands) {
        skip();
    }
    return place_listen(state);
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

/* Certificates for the places that need some. */
static void prepare_tls(const char *folder, struct pywatt_tls **server, struct pywatt_tls **client)
{
    struct pw_test_ca ca;
    struct pw_test_certificate own;
    struct pywatt_tls_options options;
    pw_test_ca_make(&ca, folder, "ca");
    pw_test_certificate_make(&ca, folder, "server", "IP:127.0.0.1", -1, 1, &own);
    pywatt_tls_options_init(&options);
    options.handshake_timeout_ms = NET_PATIENCE_MS;
    options.handshakes_per_s = 0;
    options.ca_file = ca.file;
    if (pywatt_tls_client_new(&options, client, NULL) != PYWATT_OK) {
        abort();
    }
    options.ca_file = NULL;
    options.cert_file = own.cert_file;
    options.key_file = own.key_file;
    if (pywatt_tls_server_new(&options, server, NULL) != PYWATT_OK) {
        abort();
    }
    pw_test_ca_free(&ca);
    net_use_tls(*server, *client);
}

/* The places that depend on the process. */
static void complete_places(const char *folder)
{
    snprintf(places[2].url, sizeof(places[2].url), "unix:%s/s", folder);
    snprintf(places[3].url, sizeof(places[3].url), "unix:@pywatt-behaviour-%d", (int)getpid());
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
    char *const folder = pw_test_temp_dir();
    struct pywatt_tls *server = NULL;
    struct pywatt_tls *client = NULL;
    complete_places(folder);
    prepare_tls(folder, &server, &client);
    free(folder);
    for (size_t p = 0; p < N_PLACES; p++) {
        for (size_t c = 0; c < n_cases; c++, n++) {
            fill_in(&all[n], names[n], sizeof(names[n]), &cases[c], &places[p]);
        }
    }
    all[n++] = (struct CMUnitTest)cmocka_unit_test(every_transport_has_a_place_here);
    const int result = pw_test_run(group, all, n, NULL, NULL);
    pywatt_tls_free(server);
    pywatt_tls_free(client);
    free(names);
    free(all);
    return result;
}
