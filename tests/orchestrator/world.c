/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * world.c - an orchestrator under test. `mutex` guards the record of events.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 20000
};

static void on_event(void *user, const struct pywatt_event *event)
{
    struct world *world = user;
    pthread_mutex_lock(&world->mutex);
    if (world->event_count < WORLD_EVENTS_MAX) {
        struct seen_event *seen = &world->events[world->event_count++];
        *seen = (struct seen_event){.kind = event->kind,
                                    .id = event->module_id,
                                    .health = event->health,
                                    .liveness = event->liveness,
                                    .generation = event->generation};
        snprintf(seen->name, sizeof(seen->name), "%.63s", event->module_name);
    }
    pthread_cond_broadcast(&world->cond);
    pthread_mutex_unlock(&world->mutex);
}

void world_prepare(struct world *world)
{
    memset(world, 0, sizeof(*world));
    pywatt_orchestrator_options_init(&world->options);
    world->options.workers = 2;
    world->options.min_lease_ms = 1;
    world->options.on_event = on_event;
    world->options.event_user = world;
    /* Nobody is too slow, unless a test says so. */
    world->options.frame_timeout_ms = 600000;
    world->options.first_frame_timeout_ms = 600000;
    world->options.unproven_idle_timeout_ms = 0;
    world->hooks = pw_config_default_hooks;
    world->hooks.reply_timeout_ms = 600000;
    world->options.write_timeout_ms = 600000;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&world->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&world->mutex, NULL);
    world->events = calloc(WORLD_EVENTS_MAX, sizeof(*world->events));
    assert_non_null(world->events);
}

void world_start(struct world *world)
{
    static unsigned count;
    struct pywatt_error error = {.text = ""};
    char memory_url[64];
    snprintf(memory_url, sizeof(memory_url), "memory:world-%u", ++count);
    if (pw_orchestrator_new(&world->options, &world->hooks, world->store, &world->orchestrator,
                            &error) != PYWATT_OK ||
        pywatt_orchestrator_listen(world->orchestrator, "tcp://127.0.0.1:0", world->url,
                                   sizeof(world->url), &error) != PYWATT_OK ||
        pywatt_orchestrator_listen(world->orchestrator, memory_url, world->memory_url,
                                   sizeof(world->memory_url), &error) != PYWATT_OK ||
        pywatt_orchestrator_start(world->orchestrator, &error) != PYWATT_OK) {
        fail_msg("the orchestrator does not start: %s", error.text);
    }
}

void world_begin(struct world *world)
{
    world_prepare(world);
    world_start(world);
}

void world_stop(struct world *world)
{
    pywatt_orchestrator_free(world->orchestrator);
    world->orchestrator = NULL;
    free(world->events);
    pthread_cond_destroy(&world->cond);
    pthread_mutex_destroy(&world->mutex);
}

void world_peer(struct world *world, struct peer *peer, const char *codec)
{
    if (!peer_open(peer, world->url, codec)) {
        fail_msg("cannot connect to %s", world->url);
    }
}

/* ---- Events ---- */

struct wanted {
    enum pywatt_event_kind kind;
    const struct pywatt_uuid *id;
    int liveness; /* -1: any */
};

static bool matches(const struct seen_event *seen, const struct wanted *wanted)
{
    return seen->kind == wanted->kind &&
           (wanted->id == NULL || pywatt_uuid_equal(&seen->id, wanted->id)) &&
           (wanted->liveness < 0 || (int)seen->liveness == wanted->liveness);
}

static size_t await(struct world *world, size_t from, const struct wanted *wanted)
{
    const int64_t deadline_ns = pw_test_deadline_ns(PATIENCE_MS);
    const struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                                      .tv_nsec = deadline_ns % 1000000000};
    size_t found = SIZE_MAX;
    pthread_mutex_lock(&world->mutex);
    for (size_t i = from; found == SIZE_MAX;) {
        if (i < world->event_count) {
            found = matches(&world->events[i], wanted) ? i : SIZE_MAX;
            i++;
        } else if (pthread_cond_timedwait(&world->cond, &world->mutex, &deadline) != 0) {
            break;
        }
    }
    pthread_mutex_unlock(&world->mutex);
    if (found == SIZE_MAX) {
        fail_msg("no event \"%s\" came", pywatt_event_name(wanted->kind));
    }
    return found;
}

size_t world_await(struct world *world, size_t from, enum pywatt_event_kind kind,
                   const struct pywatt_uuid *id)
{
    const struct wanted wanted = {.kind = kind, .id = id, .liveness = -1};
    return await(world, from, &wanted);
}

size_t world_await_liveness(struct world *world, size_t from, const struct pywatt_uuid *id,
                            enum pywatt_liveness liveness)
{
    const struct wanted wanted = {
        .kind = PYWATT_EVENT_LIVENESS, .id = id, .liveness = (int)liveness};
    return await(world, from, &wanted);
}

size_t world_event_count(struct world *world)
{
    pthread_mutex_lock(&world->mutex);
    const size_t count = world->event_count;
    pthread_mutex_unlock(&world->mutex);
    return count;
}

struct seen_event world_event(struct world *world, size_t index)
{
    pthread_mutex_lock(&world->mutex);
    const struct seen_event seen = world->events[index];
    pthread_mutex_unlock(&world->mutex);
    return seen;
}

size_t world_count_events(struct world *world, enum pywatt_event_kind kind,
                          const struct pywatt_uuid *id)
{
    const struct wanted wanted = {.kind = kind, .id = id, .liveness = -1};
    size_t count = 0;
    pthread_mutex_lock(&world->mutex);
    for (size_t i = 0; i < world->event_count; i++) {
        count += matches(&world->events[i], &wanted);
    }
    pthread_mutex_unlock(&world->mutex);
    return count;
}

/* ---- Looking ---- */

struct pywatt_module_view *world_view(struct world *world, const struct pywatt_uuid *id)
{
    struct pywatt_module_view *view = NULL;
    assert_int_equal(pywatt_orchestrator_find(world->orchestrator, id, &view), PYWATT_OK);
    return view;
}

enum pywatt_liveness world_liveness(struct world *world, const struct pywatt_uuid *id)
{
    struct pywatt_module_view *view = world_view(world, id);
    const enum pywatt_liveness liveness = pywatt_module_view_liveness(view);
    pywatt_module_view_free(view);
    return liveness;
}

struct pywatt_orchestrator_stats world_stats(struct world *world)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
    assert_int_equal(pywatt_orchestrator_get_stats(world->orchestrator, &stats), PYWATT_OK);
    return stats;
}

struct connections {
    struct world *world;
    uint64_t count;
};

static bool has_connections(void *user)
{
    const struct connections *wanted = user;
    return world_stats(wanted->world).connections == wanted->count;
}

void world_await_connections(struct world *world, uint64_t count)
{
    struct connections wanted = {.world = world, .count = count};
    if (!pw_test_wait_until(has_connections, &wanted, PATIENCE_MS)) {
        fail_msg("there are %llu connections, not %llu",
                 (unsigned long long)world_stats(world).connections, (unsigned long long)count);
    }
}
