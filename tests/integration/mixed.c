/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Everybody on one port: modules as the Rust SDK writes them, as the Python SDK does, our client over
 * JSON and over protobuf, all beating at once, while one peer sends garbage, one is silent, and one
 * stops in the middle of a frame. Nobody else notices.
 */
#include "client.h"
#include "host.h"
#include "peer.h"
#include "place.h"
#include "wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODULES_PER_KIND = 3,
    LOOPS_PER_CLIENT = 10
};

static unsigned beats_per_module(void)
{
    const unsigned factor = pw_test_slow_factor();
    return factor == 1 ? 300 : factor <= 10 ? 60 : 20;
}

/* ---- Modules of other SDKs -------------------------------------------------------------------- */

struct stranger {
    const char *url;
    const char *codec;
    unsigned number;
    pthread_t thread;
    char fault[300];
};

static bool note(struct stranger *stranger, enum pywatt_status status, const struct peer *peer,
                 const char *what)
{
    if (status != PYWATT_OK) {
        snprintf(stranger->fault, sizeof(stranger->fault), "%s module %u: %s: %s: %.150s",
                 stranger->codec, stranger->number, what, pywatt_status_name(status), peer->error);
    }
    return status == PYWATT_OK;
}

static bool beat(struct stranger *stranger, struct peer *peer, const struct identity *who,
                 unsigned i)
{
    const enum pywatt_health health = (enum pywatt_health)((stranger->number + i) % 3);
    if (!note(stranger, peer_beat(peer, who, health), peer, "beat")) {
        return false;
    }
    if (peer->response.health != health) {
        snprintf(stranger->fault, sizeof(stranger->fault), "%s module %u: another's health",
                 stranger->codec, stranger->number);
        return false;
    }
    return true;
}

static void *live(void *arg)
{
    struct stranger *stranger = arg;
    struct peer peer;
    struct identity who;
    char name[64];
    snprintf(name, sizeof(name), "%s %u", stranger->codec, stranger->number);
    bool good =
        note(stranger,
             peer_open(&peer, stranger->url, stranger->codec) ? PYWATT_OK : PYWATT_CONNECTION,
             &peer, "connect") &&
        note(stranger, peer_register(&peer, name, &who), &peer, "register") &&
        note(stranger, peer_advertise(&peer, &who, "/x"), &peer, "advertise");
    for (unsigned i = 0; good && i < beats_per_module(); i++) {
        good = beat(stranger, &peer, &who, i);
    }
    if (good) {
        note(stranger, peer_unregister(&peer, &who), &peer, "unregister");
    }
    peer_close(&peer);
    return NULL;
}

/* ---- Our own ---------------------------------------------------------------------------------- */

struct caller {
    struct pywatt_module *module;
    unsigned number;
    pthread_t thread;
    char fault[300];
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    struct pywatt_error error = {.text = ""};
    for (unsigned i = 0; i < beats_per_module(); i++) {
        const enum pywatt_health health = (enum pywatt_health)((caller->number + i) % 3);
        enum pywatt_health verdict = PYWATT_HEALTHY;
        const enum pywatt_status status =
            pywatt_heartbeat(caller->module, health, NULL, &verdict, &error);
        if (status != PYWATT_OK || verdict != health) {
            snprintf(caller->fault, sizeof(caller->fault), "beat %u: %s: %s", i,
                     pywatt_status_name(status), error.text);
            break;
        }
    }
    return NULL;
}

struct ours {
    struct pywatt_client *client;
    struct pywatt_module *loops[LOOPS_PER_CLIENT];
    struct caller callers[MODULES_PER_KIND];
};

static void start_ours(struct ours *ours, const char *url, const char *codec)
{
    char name[64];
    ours->client = client_open(url, codec);
    for (unsigned i = 0; i < LOOPS_PER_CLIENT; i++) {
        snprintf(name, sizeof(name), "our %s, loop %u", codec, i);
        ours->loops[i] = client_register_advertised(ours->client, name);
        assert_int_equal(pywatt_start_heartbeat_loop(ours->loops[i], 5 * pw_test_slow_factor(),
                                                     NULL, NULL, NULL, NULL),
                         PYWATT_OK);
    }
    for (unsigned i = 0; i < MODULES_PER_KIND; i++) {
        snprintf(name, sizeof(name), "our %s %u", codec, i);
        ours->callers[i] =
            (struct caller){.module = client_register(ours->client, name), .number = i};
        pthread_create(&ours->callers[i].thread, NULL, call, &ours->callers[i]);
    }
}

static void end_ours(struct ours *ours)
{
    for (unsigned i = 0; i < MODULES_PER_KIND; i++) {
        pthread_join(ours->callers[i].thread, NULL);
        assert_string_equal(ours->callers[i].fault, "");
        assert_int_equal(pywatt_unregister_module(ours->callers[i].module, NULL), PYWATT_OK);
        pywatt_module_free(ours->callers[i].module);
    }
    client_await_beats(ours->client, 3 * LOOPS_PER_CLIENT);
    for (unsigned i = 0; i < LOOPS_PER_CLIENT; i++) {
        pywatt_module_free(ours->loops[i]);
    }
    const struct pywatt_client_stats stats = client_stats(ours->client);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(stats.timeouts, 0);
    assert_int_equal(stats.beats_failed, 0);
    assert_int_equal(stats.replies_dropped, 0);
    assert_int_equal(stats.reregistrations, 0);
    pywatt_client_free(ours->client);
}

/* ---- Those who mean no good ------------------------------------------------------------------- */

struct vandal {
    const char *url;
    atomic_bool enough;
    unsigned connections; /* the thread's, until it is joined */
    pthread_t thread;
};

/* Bytes of any kind; every other time with a header that announces a frame of that length. */
static void *vandalise(void *arg)
{
    struct vandal *vandal = arg;
    unsigned seed = 1;
    while (!atomic_load(&vandal->enough)) {
        uint8_t bytes[512];
        struct wire wire;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)rand_r(&seed);
        }
        if (seed % 2 == 0) {
            pw_frame_write_header(bytes, sizeof(bytes) - PW_FRAME_HEADER_SIZE,
                                  (uint8_t)(seed % 4 == 0 ? 16 : 1));
        }
        if (wire_open(&wire, vandal->url)) {
            vandal->connections++;
            wire_send(&wire, bytes, sizeof(bytes));
            wire_end_output(&wire);
            wire_is_ended(&wire);
        }
        wire_close(&wire);
    }
    return NULL;
}

static void all_peers_share_a_port_and_bad_ones_disturb_nobody(void **state)
{
    struct host host;
    struct wire silent;
    struct wire half;
    host_begin(&host, *state);
    assert_true(wire_open(&silent, host.url));
    assert_true(wire_open(&half, host.url));
    assert_true(wire_send(&half, "\x00\x00\x00\x40\x01{\"id\":", 11));
    struct vandal vandal = {.url = host.url};
    pthread_create(&vandal.thread, NULL, vandalise, &vandal);

    struct ours ours[2];
    struct stranger strangers[2][MODULES_PER_KIND];
    static const char *const sdks[] = {"json", "json-python"};
    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned i = 0; i < MODULES_PER_KIND; i++) {
            strangers[kind][i] =
                (struct stranger){.url = host.url, .codec = sdks[kind], .number = i};
            pthread_create(&strangers[kind][i].thread, NULL, live, &strangers[kind][i]);
        }
        start_ours(&ours[kind], host.url, client_codecs[kind]);
    }
    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned i = 0; i < MODULES_PER_KIND; i++) {
            pthread_join(strangers[kind][i].thread, NULL);
            assert_string_equal(strangers[kind][i].fault, "");
        }
        end_ours(&ours[kind]);
    }
    atomic_store(&vandal.enough, true);
    pthread_join(vandal.thread, NULL);
    assert_in_range(vandal.connections, 3, UINT32_MAX);
    const struct pywatt_orchestrator_stats stats = host_stats(&host);
    assert_in_range(stats.bad_frames, vandal.connections / 2, vandal.connections);
    assert_int_equal(stats.requests_refused, 0);
    assert_int_equal(stats.modules, 2 * LOOPS_PER_CLIENT);
    wire_close(&silent);
    wire_close(&half);
    host_destroy(&host);
}

int main(void)
{
    struct CMUnitTest cases[3];
    for (size_t i = 0; i < place_scheme_count; i++) {
        cases[i] = (struct CMUnitTest){
            .name = place_schemes[i],
            .test_func = all_peers_share_a_port_and_bad_ones_disturb_nobody,
            .initial_state = (void *)(uintptr_t)place_schemes[i],
        };
    }
    return PW_TEST_RUN(cases);
}
