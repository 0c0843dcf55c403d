/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Leases on a clock that the test holds: expiry, revival, retention, stalls of our own, and passes
 * of the workers. No thread runs; pw_lease_step is called by hand.
 */
#include "orchestrator/lease.h"

#include "orchestrator/module_table.h"
#include "orchestrator/presence.h"
#include "pw_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS PW_NS_PER_MS

struct fake_clock {
    struct pw_clock base; /* first, so that a pointer to it is one to the whole */
    uint64_t now_ns;
};

static uint64_t fake_now(const struct pw_clock *clock)
{
    return ((const struct fake_clock *)(const void *)clock)->now_ns;
}

struct rig {
    struct fake_clock clock;
    struct pw_lease lease;
    struct pw_events events;
    struct pw_module_table table;
    unsigned workers;      /* what begin_pass answers */
    unsigned passes;       /* how many were begun */
    unsigned forgets;      /* how many modules were to be forgotten */
    uint64_t next_ns;      /* what the last step answered */
    struct pw_token token; /* of every module */
};

static unsigned begin_pass(void *user)
{
    struct rig *rig = user;
    rig->passes++;
    return rig->workers;
}

static void forget(void *user, const struct pywatt_uuid *id)
{
    struct rig *rig = user;
    pw_mutex_lock(&rig->table.names_mutex);
    struct pw_module *module = pw_table_find_id_locked(&rig->table, id);
    assert_non_null(module);
    pw_table_remove_locked(&rig->table, module, PYWATT_EVENT_FORGOTTEN);
    pw_mutex_unlock(&rig->table.names_mutex);
    pw_module_free(module);
    rig->forgets++;
}

static void nobody(void *user, const struct pywatt_event *event)
{
    (void)user;
    (void)event;
}

static struct rig *new_rig(uint64_t retain_ms)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->clock = (struct fake_clock){.base = {.now_ns = fake_now}, .now_ns = 1000 * MS};
    assert_int_equal(pw_events_init(&rig->events, nobody, NULL), PYWATT_OK);
    assert_int_equal(pw_lease_init(&rig->lease, &rig->clock.base, &rig->table, retain_ms),
                     PYWATT_OK);
    assert_int_equal(pw_table_init(&rig->table, &rig->lease, &rig->events), PYWATT_OK);
    rig->lease.hooks =
        (struct pw_lease_hooks){.begin_pass = begin_pass, .forget = forget, .user = rig};
    assert_int_equal(pw_token_generate(&rig->token), PYWATT_OK);
    rig->next_ns = pw_lease_step(&rig->lease);
    assert_true(rig->next_ns == PW_DEADLINE_NEVER);
    return rig;
}

static void free_rig(struct rig *rig)
{
    pw_table_destroy(&rig->table);
    pw_lease_destroy(&rig->lease);
    pw_events_destroy(&rig->events);
    free(rig);
}

static struct pywatt_uuid add(struct rig *rig, unsigned n, uint32_t lease_ms)
{
    char name[16];
    const uint8_t hash[PW_TOKEN_HASH_SIZE] = {0};
    const struct pywatt_uuid id = {.bytes = {0x77, (uint8_t)(n >> 8), (uint8_t)n}};
    struct pywatt_module_info *info = NULL;
    snprintf(name, sizeof(name), "m%u", n);
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    struct pw_shared_info *shared = pw_shared_info_new(info);
    struct pw_module *module = pw_module_new(&rig->table.modules, &id, shared, NULL);
    pw_shared_info_release(shared);
    assert_non_null(module);
    pw_module_set_token(module, &rig->token, hash);
    module->generation = 1;
    module->lease_ms = lease_ms;
    module->last_beat_ns = pw_lease_now_ns(&rig->lease);
    pw_mutex_lock(&rig->table.names_mutex);
    pw_table_insert_locked(&rig->table, module);
    pw_mutex_unlock(&rig->table.names_mutex);
    return id;
}

static struct pw_binding binding;

static void beat(struct rig *rig, const struct pywatt_uuid *id)
{
    enum pywatt_health answer;
    uint64_t generation;
    const struct pw_beat one = {.module_id = id,
                                .token = {rig->token.text, sizeof(rig->token.text)},
                                .binding = &binding,
                                .now_ns = pw_lease_now_ns(&rig->lease)};
    assert_int_equal(pw_presence_beat(&rig->table, &one, &answer, &generation), PYWATT_OK);
}

/* -1 if it is not there. */
static int liveness(struct rig *rig, const struct pywatt_uuid *id)
{
    struct pw_shard *shard;
    const struct pw_module *module = pw_table_lock_module(&rig->table, id, &shard);
    if (module == NULL) {
        return -1;
    }
    const int value = module->liveness;
    pw_mutex_unlock(&shard->mutex);
    return value;
}

/* Lets the time pass as the thread sees it: it wakes exactly when it wanted to. */
static void pass_time(struct rig *rig, uint64_t until_ms)
{
    rig->next_ns = pw_lease_step(&rig->lease);
    while (rig->next_ns <= until_ms * MS) {
        rig->clock.now_ns = rig->next_ns;
        rig->next_ns = pw_lease_step(&rig->lease);
    }
    rig->clock.now_ns = until_ms * MS;
}

/* ---- Without stalls ---- */

static void a_silent_module_is_lost_when_its_lease_is_over(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    const struct pywatt_uuid id = add(rig, 1, 500);
    pass_time(rig, 1499);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 1501);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    assert_int_equal(atomic_load(&rig->lease.lost_count), 1);
    free_rig(rig);
}

static void a_beat_is_worth_a_whole_lease(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    pw_binding_init(&binding);
    const struct pywatt_uuid id = add(rig, 1, 500);
    for (uint64_t ms = 1400; ms <= 5000; ms += 400) {
        pass_time(rig, ms);
        assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
        beat(rig, &id);
    }
    /* The last beat was at 5000. */
    pass_time(rig, 5499);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 5501);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    free_rig(rig);
}

static void a_lost_module_that_beats_is_alive_again_and_watched_again(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    pw_binding_init(&binding);
    const struct pywatt_uuid id = add(rig, 1, 500);
    pass_time(rig, 3000);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    beat(rig, &id);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 3499);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 3501);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    assert_int_equal(atomic_load(&rig->lease.lost_count), 2);
    free_rig(rig);
}

static void a_lost_module_is_forgotten_after_its_time(void **state)
{
    (void)state;
    struct rig *rig = new_rig(2000);
    const struct pywatt_uuid id = add(rig, 1, 500);
    pass_time(rig, 3498);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    pass_time(rig, 3510);
    assert_int_equal(liveness(rig, &id), -1);
    assert_int_equal(rig->forgets, 1);
    /* Nothing is left to wait for. */
    assert_true(pw_lease_step(&rig->lease) == PW_DEADLINE_NEVER);
    free_rig(rig);
}

static void many_modules_end_each_at_its_time(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    struct pywatt_uuid ids[1000];
    for (unsigned i = 0; i < 1000; i++) {
        ids[i] = add(rig, i, 100 + 7 * i);
    }
    for (uint64_t ms = 1050; ms < 8500; ms += 50) {
        pass_time(rig, ms);
        for (unsigned i = 0; i < 1000; i++) {
            const uint64_t deadline_ms = 1000 + 100 + 7 * i;
            if (ms + 1 < deadline_ms) {
                assert_int_equal(liveness(rig, &ids[i]), PYWATT_ALIVE);
            } else if (ms > deadline_ms + 1) {
                assert_int_equal(liveness(rig, &ids[i]), PYWATT_LOST);
            }
        }
    }
    free_rig(rig);
}

static void a_module_is_visited_about_once_a_lease(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    pw_binding_init(&binding);
    const struct pywatt_uuid id = add(rig, 1, 1000);
    unsigned visits = 0;
    uint64_t last = 0;
    for (uint64_t ms = 1001; ms < 11000; ms++) {
        pass_time(rig, ms);
        beat(rig, &id);
        struct pw_shard *shard;
        const struct pw_module *module = pw_table_lock_module(&rig->table, &id, &shard);
        visits += module->timer.expiry != last;
        last = module->timer.expiry;
        pw_mutex_unlock(&shard->mutex);
    }
    assert_true(visits >= 9 && visits <= 12);
    free_rig(rig);
}

/* ---- Stalls of our own ---- */

static void a_stall_moves_every_deadline_by_as_much(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    const struct pywatt_uuid early = add(rig, 1, 500);
    const struct pywatt_uuid late = add(rig, 2, 2000);
    pass_time(rig, 1200);
    /* Nothing of ours runs for less than a second. */
    rig->clock.now_ns = 2100 * MS;
    rig->next_ns = pw_lease_step(&rig->lease);
    const uint64_t stall_ms = atomic_load(&rig->lease.stall_ns) / MS;
    assert_in_range(stall_ms, 849, 900);
    assert_int_equal(liveness(rig, &early), PYWATT_ALIVE);
    pass_time(rig, 1500 + stall_ms - 1);
    assert_int_equal(liveness(rig, &early), PYWATT_ALIVE);
    pass_time(rig, 1500 + stall_ms + 1);
    assert_int_equal(liveness(rig, &early), PYWATT_LOST);
    pass_time(rig, 3000 + stall_ms - 1);
    assert_int_equal(liveness(rig, &late), PYWATT_ALIVE);
    pass_time(rig, 3000 + stall_ms + 1);
    assert_int_equal(liveness(rig, &late), PYWATT_LOST);
    free_rig(rig);
}

/* The thread wakes so much later than it wanted to, each time. */
static void stutter(struct rig *rig, uint64_t until_ms, uint64_t late_ms)
{
    while (rig->next_ns + late_ms * MS <= until_ms * MS) {
        rig->clock.now_ns = rig->next_ns + late_ms * MS;
        rig->next_ns = pw_lease_step(&rig->lease);
    }
}

static void a_machine_that_stutters_puts_the_end_off_by_little(void **state)
{
    (void)state;
    for (uint64_t late_ms = 6; late_ms < 150; late_ms += 11) {
        struct rig *rig = new_rig(60000);
        const struct pywatt_uuid id = add(rig, 1, 5000);
        rig->next_ns = pw_lease_step(&rig->lease);
        stutter(rig, 5999, late_ms);
        assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
        /* 150 ms at once, the fiftieth part of the time, and what it sleeps and is late. */
        stutter(rig, 6000 + 150 + 5300 / 50 + 2 * (50 + late_ms), late_ms);
        assert_int_equal(liveness(rig, &id), PYWATT_LOST);
        free_rig(rig);
    }
}

static void a_short_stall_counts_where_it_is_the_exception(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    const struct pywatt_uuid id = add(rig, 1, 100);
    pass_time(rig, 1040);
    for (uint64_t now_ms = 1040; now_ms < 90000; now_ms += 8000) {
        pw_binding_init(&binding);
        rig->clock.now_ns = now_ms * MS;
        rig->next_ns = pw_lease_step(&rig->lease);
        beat(rig, &id);
        rig->next_ns = pw_lease_step(&rig->lease);
        rig->clock.now_ns = rig->next_ns + 149 * MS;
        rig->next_ns = pw_lease_step(&rig->lease);
        assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
        pass_time(rig, now_ms + 8000);
        assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    }
    free_rig(rig);
}

static void after_a_pause_everybody_has_a_whole_lease(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    const struct pywatt_uuid early = add(rig, 1, 500);
    const struct pywatt_uuid late = add(rig, 2, 2000);
    pass_time(rig, 1450);
    /* Nothing of ours runs for thirty seconds: on the clock of the leases that is at 1500 or before. */
    rig->clock.now_ns = 31450 * MS;
    rig->next_ns = pw_lease_step(&rig->lease);
    const uint64_t resumed_ms = 31450;
    assert_int_equal(liveness(rig, &early), PYWATT_ALIVE);
    pass_time(rig, resumed_ms + 499);
    assert_int_equal(liveness(rig, &early), PYWATT_ALIVE);
    pass_time(rig, resumed_ms + 502);
    assert_int_equal(liveness(rig, &early), PYWATT_LOST);
    pass_time(rig, resumed_ms + 1999);
    assert_int_equal(liveness(rig, &late), PYWATT_ALIVE);
    pass_time(rig, resumed_ms + 2002);
    assert_int_equal(liveness(rig, &late), PYWATT_LOST);
    /* One lease, and no more: who comes later has what he asked for. */
    const struct pywatt_uuid next = add(rig, 3, 500);
    pass_time(rig, resumed_ms + 2002 + 502);
    assert_int_equal(liveness(rig, &next), PYWATT_LOST);
    free_rig(rig);
}

static void the_time_of_a_beat_does_not_run_over_a_stall(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    pw_binding_init(&binding);
    const struct pywatt_uuid id = add(rig, 1, 500);
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t now_ms = rig->clock.now_ns / MS;
        pass_time(rig, now_ms + 300);
        beat(rig, &id);
        rig->clock.now_ns += 5000 * MS;
        rig->next_ns = pw_lease_step(&rig->lease);
        assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    }
    free_rig(rig);
}

static void a_stall_that_is_noticed_during_a_pass_counts(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    rig->workers = 1;
    const struct pywatt_uuid id = add(rig, 1, 500);
    pass_time(rig, 1510);
    assert_int_equal(rig->passes, 1);
    /* The thread meant to wake half a second ago, when it was asked to. */
    rig->lease.planned_ns = 1010 * MS;
    rig->workers = 0;
    pw_lease_pass_done(&rig->lease);
    pw_lease_step(&rig->lease);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 1999);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 2003);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    free_rig(rig);
}

static void being_woken_late_is_a_stall(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    /* It slept for ever; the module's coming kicks it, and it wakes three seconds later. */
    const struct pywatt_uuid id = add(rig, 1, 500);
    assert_true(rig->lease.kicked);
    assert_int_equal(rig->lease.kicked_ns, 1000 * MS);
    rig->lease.planned_ns = rig->lease.kicked_ns;
    rig->clock.now_ns = 4000 * MS;
    pw_lease_step(&rig->lease);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    assert_int_equal(atomic_load(&rig->lease.stall_ns), 3000 * MS);
    free_rig(rig);
}

/* ---- Passes of the workers ---- */

static void nobody_is_lost_before_every_worker_has_made_a_pass(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    rig->workers = 2;
    const struct pywatt_uuid id = add(rig, 1, 500);
    pass_time(rig, 2000);
    assert_int_equal(rig->passes, 1);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 2100);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 2101);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    assert_int_equal(rig->passes, 1);
    free_rig(rig);
}

static void a_beat_that_a_pass_finds_counts(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    pw_binding_init(&binding);
    rig->workers = 1;
    const struct pywatt_uuid id = add(rig, 1, 500);
    const struct pywatt_uuid silent = add(rig, 2, 500);
    pass_time(rig, 1600);
    assert_int_equal(rig->passes, 1);
    beat(rig, &id);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 1610);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    assert_int_equal(liveness(rig, &silent), PYWATT_LOST);
    rig->workers = 0;
    pass_time(rig, 2099);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    pass_time(rig, 2102);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    free_rig(rig);
}

static void a_pass_that_takes_longer_than_a_lease_is_made_anew(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    pw_binding_init(&binding);
    rig->workers = 1;
    const struct pywatt_uuid id = add(rig, 1, 500);
    pass_time(rig, 1510);
    beat(rig, &id);
    /* The worker needs two seconds more; the beat is older than a lease by then. */
    pass_time(rig, 3500);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 3510);
    assert_int_equal(liveness(rig, &id), PYWATT_ALIVE);
    assert_int_equal(rig->passes, 2);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 3511);
    assert_int_equal(liveness(rig, &id), PYWATT_LOST);
    free_rig(rig);
}

static void modules_that_come_due_during_a_pass_wait_for_the_next(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    rig->workers = 1;
    const struct pywatt_uuid first = add(rig, 1, 500);
    const struct pywatt_uuid second = add(rig, 2, 600);
    pass_time(rig, 1700);
    assert_int_equal(rig->passes, 1);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 1701);
    assert_int_equal(liveness(rig, &first), PYWATT_LOST);
    assert_int_equal(liveness(rig, &second), PYWATT_ALIVE);
    assert_int_equal(rig->passes, 2);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 1702);
    assert_int_equal(liveness(rig, &second), PYWATT_LOST);
    free_rig(rig);
}

static void a_module_may_go_while_it_waits_for_a_pass(void **state)
{
    (void)state;
    struct rig *rig = new_rig(60000);
    rig->workers = 1;
    const struct pywatt_uuid first = add(rig, 1, 500);
    const struct pywatt_uuid second = add(rig, 2, 600);
    pass_time(rig, 1700);
    forget(rig, &first);
    forget(rig, &second);
    pw_lease_pass_done(&rig->lease);
    pass_time(rig, 1701);
    assert_int_equal(atomic_load(&rig->lease.lost_count), 0);
    free_rig(rig);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_silent_module_is_lost_when_its_lease_is_over),
        cmocka_unit_test(a_beat_is_worth_a_whole_lease),
        cmocka_unit_test(a_lost_module_that_beats_is_alive_again_and_watched_again),
        cmocka_unit_test(a_lost_module_is_forgotten_after_its_time),
        cmocka_unit_test(many_modules_end_each_at_its_time),
        cmocka_unit_test(a_module_is_visited_about_once_a_lease),
        cmocka_unit_test(a_stall_moves_every_deadline_by_as_much),
        cmocka_unit_test(a_machine_that_stutters_puts_the_end_off_by_little),
        cmocka_unit_test(a_short_stall_counts_where_it_is_the_exception),
        cmocka_unit_test(after_a_pause_everybody_has_a_whole_lease),
        cmocka_unit_test(the_time_of_a_beat_does_not_run_over_a_stall),
        cmocka_unit_test(a_stall_that_is_noticed_during_a_pass_counts),
        cmocka_unit_test(being_woken_late_is_a_stall),
        cmocka_unit_test(nobody_is_lost_before_every_worker_has_made_a_pass),
        cmocka_unit_test(a_beat_that_a_pass_finds_counts),
        cmocka_unit_test(a_pass_that_takes_longer_than_a_lease_is_made_anew),
        cmocka_unit_test(modules_that_come_due_during_a_pass_wait_for_the_next),
        cmocka_unit_test(a_module_may_go_while_it_waits_for_a_pass),
    };
    return PW_TEST_RUN(cases);
}
