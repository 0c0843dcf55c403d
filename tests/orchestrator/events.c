/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The queue of events: order, coalescing while the application is slow, the limit, the end.
 */
#include "orchestrator/events.h"

#include "pw_test.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct told {
    sem_t gate; /* the first call waits for it */
    sem_t entered;
    bool waits;
    size_t count;
    size_t capacity;
    struct pywatt_event *events;
    char last_name[64];
};

static void on_event(void *user, const struct pywatt_event *event)
{
    struct told *told = user;
    if (told->count == 0 && told->waits) {
        sem_post(&told->entered);
        while (sem_wait(&told->gate) != 0) {
        }
    }
    if (told->count < told->capacity) {
        told->events[told->count] = *event;
    }
    told->count++;
    snprintf(told->last_name, sizeof(told->last_name), "%s", event->module_name);
}

static void begin(struct pw_events *events, struct told *told, bool waits, size_t capacity)
{
    *told = (struct told){.waits = waits, .capacity = capacity};
    told->events = calloc(capacity, sizeof(*told->events));
    assert_non_null(told->events);
    sem_init(&told->gate, 0, 0);
    sem_init(&told->entered, 0, 0);
    assert_int_equal(pw_events_init(events, on_event, told), PYWATT_OK);
    assert_int_equal(pw_events_start(events), PYWATT_OK);
}

static void end(struct pw_events *events, struct told *told)
{
    pw_events_destroy(events);
    free(told->events);
    sem_destroy(&told->gate);
    sem_destroy(&told->entered);
}

static void push(struct pw_events *events, unsigned n, enum pywatt_event_kind kind,
                 enum pywatt_health health, uint64_t generation)
{
    const struct pywatt_event event = {
        .kind = kind,
        .module_id = {.bytes = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 1}},
        .module_name = "a name",
        .health = health,
        .generation = generation};
    pw_events_push(events, &event);
}

static void tells_everything_in_order_before_it_stops(void **state)
{
    (void)state;
    struct pw_events events;
    struct told told;
    begin(&events, &told, false, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        push(&events, i % 7, (enum pywatt_event_kind)(i % 7), PYWATT_HEALTHY, i);
    }
    pw_events_stop(&events);
    assert_int_equal(told.count, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(told.events[i].generation, i);
        assert_int_equal(told.events[i].kind, i % 7);
    }
    assert_string_equal(told.last_name, "a name");
    end(&events, &told);
}

static void nothing_is_kept_if_nobody_listens(void **state)
{
    (void)state;
    struct pw_events events;
    assert_int_equal(pw_events_init(&events, NULL, NULL), PYWATT_OK);
    assert_int_equal(pw_events_start(&events), PYWATT_OK);
    assert_false(events.running);
    push(&events, 1, PYWATT_EVENT_REGISTERED, PYWATT_HEALTHY, 1);
    assert_int_equal(events.count, 0);
    pw_events_stop(&events);
    pw_events_destroy(&events);
}

static void a_slow_application_sees_the_last_state_of_each_module(void **state)
{
    (void)state;
    struct pw_events events;
    struct told told;
    enum {
        MODULES = 3000,
        ROUNDS = 30
    };
    begin(&events, &told, true, MODULES * ROUNDS);
    push(&events, 999999, PYWATT_EVENT_REGISTERED, PYWATT_HEALTHY, 0);
    sem_wait(&told.entered);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned i = 0; i < MODULES; i++) {
            push(&events, i, PYWATT_EVENT_HEALTH, (enum pywatt_health)(round % 3), round);
            if (i == 0) {
                push(&events, i, PYWATT_EVENT_ADVERTISED, PYWATT_HEALTHY, round);
            }
        }
    }
    /* Health of all once or a few times, and each advertisement. */
    assert_true(events.count <= MODULES + PW_EVENTS_COALESCE_OVER + ROUNDS + 1);
    sem_post(&told.gate);
    pw_events_stop(&events);
    static uint64_t last[MODULES];
    unsigned advertised = 0;
    for (size_t i = 1; i < told.count; i++) {
        const struct pywatt_event *event = &told.events[i];
        const unsigned n = (unsigned)(event->module_id.bytes[1] << 8 | event->module_id.bytes[2]);
        assert_true(event->generation >= last[n]);
        last[n] = event->generation;
        advertised += event->kind == PYWATT_EVENT_ADVERTISED;
    }
    for (unsigned i = 0; i < MODULES; i++) {
        assert_int_equal(last[i], ROUNDS);
    }
    assert_int_equal(advertised, ROUNDS);
    end(&events, &told);
}

static void the_queue_has_an_end(void **state)
{
    (void)state;
    struct pw_events events;
    struct told told;
    begin(&events, &told, true, 1);
    push(&events, 0, PYWATT_EVENT_REGISTERED, PYWATT_HEALTHY, 0);
    sem_wait(&told.entered);
    for (unsigned i = 0; i < PW_EVENTS_MAX + 1000; i++) {
        push(&events, i, PYWATT_EVENT_REGISTERED, PYWATT_HEALTHY, i);
    }
    /* One that would take an older one's place finds no room either if there is no older one. */
    push(&events, 5, PYWATT_EVENT_HEALTH, PYWATT_DEGRADED, 1);
    assert_int_equal(events.count, PW_EVENTS_MAX);
    assert_int_equal(events.dropped, 1001);
    sem_post(&told.gate);
    pw_events_stop(&events);
    assert_int_equal(told.count, PW_EVENTS_MAX + 1);
    end(&events, &told);
}

static void what_was_not_told_is_given_back(void **state)
{
    (void)state;
    struct pw_events events;
    struct told told;
    begin(&events, &told, false, 10);
    pw_events_stop(&events);
    push(&events, 1, PYWATT_EVENT_HEALTH, PYWATT_HEALTHY, 1);
    push(&events, 1, PYWATT_EVENT_HEALTH, PYWATT_DEGRADED, 2);
    assert_int_equal(told.count, 0);
    end(&events, &told);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(tells_everything_in_order_before_it_stops),
        cmocka_unit_test(nothing_is_kept_if_nobody_listens),
        cmocka_unit_test(a_slow_application_sees_the_last_state_of_each_module),
        cmocka_unit_test(the_queue_has_an_end),
        cmocka_unit_test(what_was_not_told_is_given_back),
    };
    return PW_TEST_RUN(cases);
}
