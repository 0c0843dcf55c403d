/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Our client towards an orchestrator that means it harm: bombs, lengths that lie, garbage, replies to
 * what nobody asked. The call fails with a status and a text that say so, in bounded memory, and when
 * the orchestrator is honest again the next call works.
 */
#include "client.h"
#include "explosives.h"
#include "heap_peak.h"
#include "raw_server.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAME ((size_t)1 << 20)
#define MEBIBYTE ((size_t)1 << 20)

/* Stands in an attack for the id of the request that it answers. */
#define REQUEST_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34"

#define HONEST                      \
    "{\"request_id\":\"" REQUEST_ID \
    "\",\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\"}"

#define ONE_OF(status) (1u << PYWATT_##status)

/* `mutex` guards what the server's thread is to do. */
struct enemy {
    struct raw_server *server;
    pthread_mutex_t mutex;
    bool is_honest;
    const uint8_t *bytes; /* else: what it sends, if anything */
    size_t len;
    bool hangs_up;
    bool echoes_ids; /* while it is honest */
};

static void append(struct pw_buffer *out, const void *bytes, size_t len)
{
    if (pw_buffer_append(out, bytes, len) != PYWATT_OK) {
        abort();
    }
}

/* Puts the request's id in all places where one stands. */
static void fill_in_id(uint8_t *bytes, size_t len, const struct pw_frame *request)
{
    static const char key[] = "\"metadata\":{\"id\":\"";
    const char *id = memmem(request->payload.data, request->payload.len, key, sizeof(key) - 1);
    uint8_t *at = bytes;
    while (id != NULL && (at = memmem(at, len - (size_t)(at - bytes), REQUEST_ID,
                                      sizeof(REQUEST_ID) - 1)) != NULL) {
        memcpy(at, id + sizeof(key) - 1, sizeof(REQUEST_ID) - 1);
    }
}

static bool answer(void *user, unsigned connection, unsigned index, const struct pw_frame *request,
                   struct pw_buffer *out)
{
    static const char without_id[] =
        "{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\"}";
    struct enemy *enemy = user;
    (void)connection;
    (void)index;
    pthread_mutex_lock(&enemy->mutex);
    const bool goes_on = enemy->is_honest || !enemy->hangs_up;
    if (!enemy->is_honest) {
        append(out, enemy->bytes, enemy->len);
    } else if (enemy->echoes_ids) {
        raw_put_frame(out, 1, HONEST, sizeof(HONEST) - 1);
    } else {
        raw_put_frame(out, 1, without_id, sizeof(without_id) - 1);
    }
    pthread_mutex_unlock(&enemy->mutex);
    if (pw_buffer_len(out) > 0) {
        fill_in_id(out->data + out->start, pw_buffer_len(out), request);
    }
    return goes_on;
}

/* And no connection is left that it was about to end: a request on one would be lost. */
static void make_peace(struct enemy *enemy)
{
    pthread_mutex_lock(&enemy->mutex);
    enemy->is_honest = true;
    pthread_mutex_unlock(&enemy->mutex);
    raw_server_await_hang_ups(enemy->server);
}

static void make_war(struct enemy *enemy, const uint8_t *bytes, size_t len, bool hangs_up)
{
    pthread_mutex_lock(&enemy->mutex);
    enemy->is_honest = false;
    enemy->bytes = bytes;
    enemy->len = len;
    enemy->hangs_up = hangs_up;
    pthread_mutex_unlock(&enemy->mutex);
}

/* ---- A victim --------------------------------------------------------------------------------- */

struct victim {
    struct enemy enemy;
    struct pywatt_client *client;
    struct pywatt_module *module;
};

static void begin(struct victim *victim, bool echoes_ids)
{
    struct pywatt_uuid id;
    memset(victim, 0, sizeof(*victim));
    pthread_mutex_init(&victim->enemy.mutex, NULL);
    victim->enemy.echoes_ids = echoes_ids;
    victim->enemy.server = raw_server_start("memory", answer, &victim->enemy);
    victim->client = client_open(raw_server_url(victim->enemy.server), "json");
    pywatt_uuid_generate(&id);
    assert_int_equal(
        pywatt_attach_module(victim->client, NULL, &id, "token", &victim->module, NULL), PYWATT_OK);
}

static void end(struct victim *victim)
{
    pywatt_module_free(victim->module);
    pywatt_client_free(victim->client);
    raw_server_end(victim->enemy.server);
    pthread_mutex_destroy(&victim->enemy.mutex);
}

/* With a connection on which it is known whether the peer echoes ids. */
static void live_in_peace(struct victim *victim, const char *after)
{
    struct pywatt_error error = {.text = ""};
    make_peace(&victim->enemy);
    if (pywatt_heartbeat(victim->module, PYWATT_HEALTHY, NULL, NULL, &error) != PYWATT_OK) {
        fail_msg("after %s: %s", after, error.text);
    }
}

static void expect_clear_failure(const char *name, enum pywatt_status status, unsigned allowed,
                                 const struct pywatt_error *error)
{
    if ((1u << status & allowed) == 0) {
        fail_msg("%s: %s: %s", name, pywatt_status_name(status), error->text);
    }
    if (status != PYWATT_OK && (error->status != status || strlen(error->text) < 10)) {
        fail_msg("%s: %s, but the error says '%s'", name, pywatt_status_name(status), error->text);
    }
}

static void suffer(struct victim *victim, const char *name, const uint8_t *bytes, size_t len,
                   bool hangs_up, unsigned allowed)
{
    struct pywatt_error error = {.text = ""};
    make_war(&victim->enemy, bytes, len, hangs_up);
    pw_heap_peak_start();
    const enum pywatt_status status =
        pywatt_heartbeat(victim->module, PYWATT_HEALTHY, NULL, NULL, &error);
    const size_t peak = pw_heap_peak_stop();
    expect_clear_failure(name, status, allowed, &error);
    /* A reply that is within the limits has to be held, twice while its buffer grows. */
    if (peak >= MEBIBYTE + (len <= MAX_FRAME ? 2 * len : 0)) {
        fail_msg("%s: the heap grew by %zu bytes", name, peak);
    }
}

/* ---- Attacks ---------------------------------------------------------------------------------- */

static void bombs_do_not_go_off(void **state)
{
    (void)state;
    for (int echoes_ids = 0; echoes_ids < 2; echoes_ids++) {
        struct victim victim;
        begin(&victim, echoes_ids != 0);
        for (size_t i = 0; i < bomb_count(); i++) {
            struct bomb bomb = bomb_make(i, true);
            live_in_peace(&victim, bomb.name);
            suffer(&victim, bomb.name, bomb.bytes, bomb.len, i % 2 == 1,
                   ONE_OF(SERIALIZATION) | ONE_OF(LIMIT));
            make_peace(&victim.enemy);
            bomb_free(&bomb);
        }
        live_in_peace(&victim, "all bombs");
        end(&victim);
    }
}

struct attack {
    const char *name;
    int code; /* -1: the bytes are no frame */
    const char *text;
    unsigned times;
    bool hangs_up;
    unsigned allowed;
};

static const struct attack attacks[] = {
    {"nothing", -1, "", 1, true, ONE_OF(CHANNEL)},
    {"half a header", -1, "\x01\x01", 1, true, ONE_OF(CHANNEL) | ONE_OF(LIMIT)},
    {"HTTP", -1, "HTTP/1.1 400 Bad Request\r\n\r\n", 1, true, ONE_OF(LIMIT)},
    {"an empty payload", 1, "", 1, false, ONE_OF(SERIALIZATION)},
    {"an empty object", 1, "{}", 1, false, ONE_OF(SERIALIZATION)},
    {"no JSON", 1, "\x82\xa2id", 1, false, ONE_OF(SERIALIZATION)},
    {"a format that there is none of", 99, HONEST, 1, false, ONE_OF(SERIALIZATION)},
    {"JSON as protobuf", 16, HONEST, 1, false, ONE_OF(SERIALIZATION)},
    {"another operation's reply", 1,
     "{\"request_id\":\"" REQUEST_ID "\",\"response_type\":\"unregister\",\"success\":true}", 1,
     false, ONE_OF(SERIALIZATION)},
    {"half of a reply", 1, "{\"request_id\":\"" REQUEST_ID "\",\"response_type\":\"heartb", 1,
     false, ONE_OF(SERIALIZATION)},
    {"a reply without what it must have", 1, "{\"request_id\":\"" REQUEST_ID "\",\"success\":true}",
     1, false, ONE_OF(SERIALIZATION)},
    {"a number as success", 1,
     "{\"request_id\":\"" REQUEST_ID
     "\",\"response_type\":\"heartbeat\",\"success\":1,\"status\":\"Healthy\"}",
     1, false, ONE_OF(SERIALIZATION)},
    {"others' replies, many", 1,
     "{\"request_id\":\"" OTHER_ID
     "\",\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Degraded\"}",
     20000, true, ONE_OF(CHANNEL)},
    {"the right reply, many times", 1, HONEST, 20000, false, ONE_OF(OK)},
    {"a refusal without a word", 1,
     "{\"request_id\":\"" REQUEST_ID
     "\",\"response_type\":\"heartbeat\",\"success\":false,\"error_code\":\"ok\"}",
     1, false, ONE_OF(REJECTED)},
};

/* As a peer says it that echoes request ids, or as one that does not. */
static void make_bytes(const struct attack *attack, bool echoes_ids, struct pw_buffer *out)
{
    static const char echo[] = "\"request_id\":\"" REQUEST_ID "\",";
    char text[512];
    snprintf(text, sizeof(text), "%s", attack->text);
    char *at = strstr(text, echo);
    if (at != NULL && !echoes_ids) {
        memmove(at, at + sizeof(echo) - 1, strlen(at + sizeof(echo) - 1) + 1);
    }
    pw_buffer_init(out, (size_t)1 << 28);
    for (unsigned i = 0; i < attack->times; i++) {
        if (attack->code < 0) {
            append(out, text, strlen(text));
        } else {
            raw_put_frame(out, (uint8_t)attack->code, text, strlen(text));
        }
    }
}

static void attacks_fail_one_call_with_a_clear_status(void **state)
{
    (void)state;
    for (int echoes_ids = 0; echoes_ids < 2; echoes_ids++) {
        struct victim victim;
        begin(&victim, echoes_ids != 0);
        for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
            struct pw_buffer bytes;
            make_bytes(&attacks[i], echoes_ids != 0, &bytes);
            live_in_peace(&victim, attacks[i].name);
            suffer(&victim, attacks[i].name, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes),
                   attacks[i].hangs_up, attacks[i].allowed);
            make_peace(&victim.enemy);
            pw_buffer_destroy(&bytes);
        }
        live_in_peace(&victim, "all attacks");
        assert_int_equal(client_stats(victim.client).timeouts, 0);
        end(&victim);
    }
}

struct told {
    sem_t is_there;
    enum pywatt_status status;
    struct pywatt_error error;
};

static void tell(void *user, enum pywatt_status status, const struct pywatt_error *error,
                 enum pywatt_health verdict)
{
    struct told *told = user;
    (void)verdict;
    told->status = status;
    told->error = *error;
    sem_post(&told->is_there);
}

/* The heartbeat thread reads, as it does for loops. */
static void attacks_fail_one_asynchronous_call(void **state)
{
    (void)state;
    struct victim victim;
    struct told told;
    begin(&victim, true);
    sem_init(&told.is_there, 0, 0);
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        struct pw_buffer bytes;
        make_bytes(&attacks[i], true, &bytes);
        live_in_peace(&victim, attacks[i].name);
        make_war(&victim.enemy, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes),
                 attacks[i].hangs_up);
        assert_int_equal(
            pywatt_heartbeat_async(victim.module, PYWATT_HEALTHY, NULL, tell, &told, NULL),
            PYWATT_OK);
        sem_wait(&told.is_there);
        expect_clear_failure(attacks[i].name, told.status, attacks[i].allowed, &told.error);
        make_peace(&victim.enemy);
        pw_buffer_destroy(&bytes);
    }
    live_in_peace(&victim, "all attacks");
    sem_destroy(&told.is_there);
    end(&victim);
}

/* The first thing that this client ever hears. */
static void attacks_on_a_fresh_client_fail_one_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        struct victim victim;
        struct pw_buffer bytes;
        begin(&victim, true);
        make_bytes(&attacks[i], true, &bytes);
        suffer(&victim, attacks[i].name, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes),
               attacks[i].hangs_up, attacks[i].allowed);
        live_in_peace(&victim, attacks[i].name);
        end(&victim);
        pw_buffer_destroy(&bytes);
    }
}

static void garbage_fails_one_call(void **state)
{
    (void)state;
    struct victim victim;
    unsigned seed = 3;
    begin(&victim, true);
    for (unsigned i = 0; i < 200 / (1 + pw_test_slow_factor() / 4); i++) {
        uint8_t bytes[700];
        for (size_t at = 0; at < sizeof(bytes); at++) {
            bytes[at] = (uint8_t)rand_r(&seed);
        }
        if (i % 2 == 0) {
            pw_frame_write_header(bytes, sizeof(bytes) - PW_FRAME_HEADER_SIZE,
                                  (uint8_t)(i % 4 == 0 ? 16 : 0));
        }
        live_in_peace(&victim, "garbage");
        suffer(&victim, "garbage", bytes, sizeof(bytes), true,
               ONE_OF(SERIALIZATION) | ONE_OF(LIMIT) | ONE_OF(CHANNEL));
        make_peace(&victim.enemy);
    }
    live_in_peace(&victim, "garbage");
    end(&victim);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(bombs_do_not_go_off),
        cmocka_unit_test(attacks_fail_one_call_with_a_clear_status),
        cmocka_unit_test(attacks_fail_one_asynchronous_call),
        cmocka_unit_test(attacks_on_a_fresh_client_fail_one_call),
        cmocka_unit_test(garbage_fails_one_call),
    };
    return PW_TEST_RUN(cases);
}
