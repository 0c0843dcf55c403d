/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Whose reply is whose: 16 blocking threads and a loop of 50 modules on one client, towards an
 * orchestrator like the Rust SDK's, which says of no reply which request it answers, and towards one
 * that does. Each beat carries a marker and each reply carries it back, in its context and in its
 * error text: a reply that reached another caller would be seen. Some come too late.
 */
#include "client.h"
#include "raw_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    THREADS = 16,
    LOOPS = 50,
    LOOP_INTERVAL_MS = 20,
    SHORT_TIMEOUT_MS = 15
};

static unsigned calls_per_thread(void)
{
    return pw_test_slow_factor() == 1 ? 200 : 40;
}

/* ---- The orchestrator ------------------------------------------------------------------------- */

struct orchestrator {
    bool echoes_ids;
    atomic_bool dawdles; /* some replies come late, and those behind them */
    unsigned seed;
};

/* The text of a JSON string that stands behind `key`, or "". */
static void find_text(const struct pw_frame *request, const char *key, char *out, size_t size)
{
    const char *at = memmem(request->payload.data, request->payload.len, key, strlen(key));
    const char *end = (const char *)request->payload.data + request->payload.len;
    size_t len = 0;
    for (at = at == NULL ? end : at + strlen(key); at < end && *at != '"' && len + 1 < size; at++) {
        out[len++] = *at;
    }
    out[len] = '\0';
}

static void dawdle(struct orchestrator *orchestrator)
{
    const unsigned drawn = (unsigned)rand_r(&orchestrator->seed) % 400;
    const long ms = drawn < 390 ? 0 : (long)(drawn - 385) * 2 * (long)pw_test_slow_factor();
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0 && atomic_load(&orchestrator->dawdles)) {
        nanosleep(&pause, NULL);
    }
}

/* Beats with a marker are refused with it as their text; those of loops, which have none, are not. */
static bool answer(void *user, unsigned connection, unsigned index, const struct pw_frame *request,
                   struct pw_buffer *out)
{
    struct orchestrator *orchestrator = user;
    char marker[64];
    char status[16];
    char id[PYWATT_UUID_TEXT_SIZE];
    char id_member[80] = "";
    char reply[512];
    (void)connection;
    (void)index;
    find_text(request, "\"marker\":\"", marker, sizeof(marker));
    find_text(request, "\"status\":\"", status, sizeof(status));
    find_text(request, "\"metadata\":{\"id\":\"", id, sizeof(id));
    if (orchestrator->echoes_ids) {
        snprintf(id_member, sizeof(id_member), "\"request_id\":\"%s\",", id);
    }
    dawdle(orchestrator);
    const int len =
        marker[0] == '\0'
            ? snprintf(reply, sizeof(reply),
                       "{%s\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"%s\"}",
                       id_member, status)
            : snprintf(reply, sizeof(reply),
                       "{%s\"response_type\":\"heartbeat\",\"success\":false,\"status\":\"%s\","
                       "\"error\":\"%s\",\"context\":{\"marker\":\"%s\"}}",
                       id_member, status, marker, marker);
    raw_put_frame(out, 1, reply, (size_t)len);
    return true;
}

/* ---- Callers ---------------------------------------------------------------------------------- */

struct caller {
    struct pywatt_module *module;
    unsigned number;
    pthread_t thread;
    unsigned own;     /* replies to it */
    unsigned late;    /* calls that timed out */
    unsigned cut_off; /* whose connection was given up after another's timeout */
    char fault[400];
};

static void judge(struct caller *caller, const char *marker, enum pywatt_status status,
                  const struct pywatt_error *error)
{
    switch (status) {
    case PYWATT_REJECTED:
        caller->own++;
        if (strcmp(error->text, marker) != 0) {
            snprintf(caller->fault, sizeof(caller->fault), "%s got the reply to %s", marker,
                     error->text);
        }
        break;
    case PYWATT_TIMEOUT: caller->late++; break;
    case PYWATT_CHANNEL:
    case PYWATT_CONNECTION: caller->cut_off++; break;
    default:
        snprintf(caller->fault, sizeof(caller->fault), "%s: %s: %s", marker,
                 pywatt_status_name(status), error->text);
        break;
    }
}

static void *call(void *arg)
{
    struct caller *caller = arg;
    struct pywatt_string_map *details = pywatt_string_map_new();
    for (unsigned i = 0; i < calls_per_thread() && caller->fault[0] == '\0'; i++) {
        char marker[64];
        struct pywatt_error error = {.text = ""};
        snprintf(marker, sizeof(marker), "call %u of thread %u", i, caller->number);
        pywatt_string_map_set(details, "marker", marker);
        judge(caller, marker,
              pywatt_heartbeat(caller->module, (enum pywatt_health)(i % 3), details, NULL, &error),
              &error);
    }
    pywatt_string_map_free(details);
    return NULL;
}

/* ---- Loops ------------------------------------------------------------------------------------ */

struct looper {
    struct pywatt_module *module;
    enum pywatt_health health;
    atomic_bool strange; /* another's verdict, or another's refusal */
};

static void watch(void *user, struct pywatt_module *module,
                  const struct pywatt_heartbeat_event *event)
{
    struct looper *looper = user;
    (void)module;
    if (event->status == PYWATT_OK
            ? event->verdict != looper->health
            : event->status != PYWATT_TIMEOUT && event->status != PYWATT_CHANNEL &&
                  event->status != PYWATT_CONNECTION) {
        atomic_store(&looper->strange, true);
    }
}

/* ---- The scene -------------------------------------------------------------------------------- */

struct scene {
    struct orchestrator orchestrator;
    struct raw_server *server;
    struct pywatt_client *client;
    struct caller callers[THREADS];
    struct looper loopers[LOOPS];
};

static struct pywatt_module *attach(struct pywatt_client *client)
{
    struct pywatt_uuid id;
    struct pywatt_module *module = NULL;
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_attach_module(client, NULL, &id, "token", &module, NULL), PYWATT_OK);
    return module;
}

static struct scene *begin(bool echoes_ids, bool dawdles)
{
    struct pywatt_client_options options;
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    scene->orchestrator.echoes_ids = echoes_ids;
    scene->orchestrator.seed = 11;
    atomic_store(&scene->orchestrator.dawdles, dawdles);
    scene->server = raw_server_start("unix", answer, &scene->orchestrator);
    client_options(&options, raw_server_url(scene->server), "json");
    if (dawdles) {
        options.timeout_ms = SHORT_TIMEOUT_MS * pw_test_slow_factor();
    }
    scene->client = client_open_with(&options);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct looper *looper = &scene->loopers[i];
        looper->module = attach(scene->client);
        looper->health = (enum pywatt_health)(i % 3);
        pywatt_module_set_health(looper->module, looper->health);
        pywatt_module_set_watcher(looper->module, watch, looper);
        assert_int_equal(pywatt_start_heartbeat_loop(looper->module,
                                                     LOOP_INTERVAL_MS * pw_test_slow_factor(), NULL,
                                                     NULL, NULL, NULL),
                         PYWATT_OK);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        scene->callers[i] = (struct caller){.module = attach(scene->client), .number = i};
    }
    return scene;
}

static void run(struct scene *scene)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_create(&scene->callers[i].thread, NULL, call, &scene->callers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(scene->callers[i].thread, NULL);
    }
    /* Beats that come in faster than they are answered would never be answered in time. */
    atomic_store(&scene->orchestrator.dawdles, false);
    client_await_beats(scene->client, LOOPS);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_string_equal(scene->callers[i].fault, "");
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_false(atomic_load(&scene->loopers[i].strange));
    }
}

static void end(struct scene *scene)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pywatt_module_free(scene->callers[i].module);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pywatt_module_free(scene->loopers[i].module);
    }
    pywatt_client_free(scene->client);
    raw_server_end(scene->server);
    free(scene);
}

static void no_reply_goes_to_another(bool echoes_ids)
{
    struct scene *scene = begin(echoes_ids, false);
    run(scene);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(scene->callers[i].own, calls_per_thread());
    }
    const struct pywatt_client_stats stats = client_stats(scene->client);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(stats.replies_dropped, 0);
    assert_int_equal(stats.beats_failed, 0);
    end(scene);
}

static void no_reply_goes_to_another_by_order(void **state)
{
    (void)state;
    no_reply_goes_to_another(false);
}

static void no_reply_goes_to_another_by_id(void **state)
{
    (void)state;
    no_reply_goes_to_another(true);
}

static void no_late_reply_goes_to_another(bool echoes_ids)
{
    struct scene *scene = begin(echoes_ids, true);
    unsigned own = 0;
    unsigned late = 0;
    run(scene);
    for (unsigned i = 0; i < THREADS; i++) {
        own += scene->callers[i].own;
        late += scene->callers[i].late;
    }
    /* Else nothing was tried. */
    assert_in_range(own, THREADS, THREADS * calls_per_thread());
    assert_in_range(late, THREADS, THREADS * calls_per_thread());
    const struct pywatt_client_stats stats = client_stats(scene->client);
    if (echoes_ids) {
        /* One long silence does not cost the connection; two in a row, which may be, do. */
        assert_in_range(stats.replies_dropped, 1, stats.requests_sent);
        assert_in_range(stats.connects, 1, late);
    } else {
        assert_in_range(stats.connects, 2, stats.requests_sent);
    }
    end(scene);
}

static void no_late_reply_goes_to_another_by_order(void **state)
{
    (void)state;
    no_late_reply_goes_to_another(false);
}

static void no_late_reply_goes_to_another_by_id(void **state)
{
    (void)state;
    no_late_reply_goes_to_another(true);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(no_reply_goes_to_another_by_order),
        cmocka_unit_test(no_reply_goes_to_another_by_id),
        cmocka_unit_test(no_late_reply_goes_to_another_by_order),
        cmocka_unit_test(no_late_reply_goes_to_another_by_id),
    };
    return PW_TEST_RUN(cases);
}
