/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * When beats are due, told by the heartbeat thread's own functions with a time that the test makes
 * up: no thread runs, so that every due time and every skip can be counted.
 */
#include "registry/beat_frame.h"
#include "registry/client.h"
#include "registry/loop.h"
#include "registry/module.h"

#include "pw_test.h"

#include <pywatt/pywatt.h>

#include <stdlib.h>
#include <string.h>

#define MS PW_NS_PER_MS

struct bench {
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_heartbeat_loop *loop;
};

static uint64_t skipped(const struct bench *bench)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};
    assert_int_equal(pywatt_client_get_stats(bench->client, &stats), PYWATT_OK);
    return stats.beats_skipped;
}

static int make(void **state)
{
    static struct bench bench;
    struct pywatt_client_options options;
    struct pywatt_uuid id;
    pywatt_client_options_init(&options);
    options.endpoints = "memory:nobody";
    assert_int_equal(pywatt_client_open(&options, &bench.client, NULL), PYWATT_OK);
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_attach_module(bench.client, NULL, &id, "t", &bench.module, NULL),
                     PYWATT_OK);
    bench.loop = calloc(1, sizeof(*bench.loop));
    assert_non_null(bench.loop);
    atomic_init(&bench.loop->references, 1);
    bench.loop->module = pw_handle_acquire(bench.module);
    bench.loop->interval_ns = 10 * MS;
    bench.loop->post_count = 2;
    pw_list_init(&bench.loop->mail);
    pw_list_init(&bench.loop->waiting);
    pw_due_init(&bench.loop->next);
    *state = &bench;
    return 0;
}

static int unmake(void **state)
{
    struct bench *bench = *state;
    pw_list_remove(&bench->loop->waiting);
    if (pw_due_queued(&bench->loop->next)) {
        pw_due_heap_remove(&bench->client->heartbeat.loops, &bench->loop->next);
    }
    pw_loop_release(bench->loop);
    pywatt_module_free(bench->module);
    pywatt_client_free(bench->client);
    return 0;
}

/* The beat was sent: it does not wait any more. */
static void sent(struct bench *bench)
{
    pw_list_remove(&bench->loop->waiting);
}

static void put_first_at(struct bench *bench, uint64_t at_ns)
{
    pw_due_heap_insert(&bench->client->heartbeat.loops, &bench->loop->next, at_ns);
}

static void beats_are_due_at_absolute_times_however_late_they_are_found(void **state)
{
    struct bench *bench = *state;
    uint64_t lateness = 0;
    put_first_at(bench, 1000 * MS);
    for (uint64_t n = 0; n < 1000; n++) {
        /* Found between 0 and 9.9 ms late: never does that move the next one. */
        const uint64_t due = 1000 * MS + n * 10 * MS;
        lateness = (lateness * 31 + 7) % (10 * MS);
        pw_beats_collect(bench->client, due - 1);
        assert_false(pw_list_linked(&bench->loop->waiting));
        pw_beats_collect(bench->client, due + lateness);
        assert_true(pw_list_linked(&bench->loop->waiting));
        assert_int_equal(bench->loop->due_ns, due);
        assert_int_equal(bench->loop->next.at_ns, due + 10 * MS);
        sent(bench);
    }
    assert_int_equal(skipped(bench), 0);
}

static void due_times_that_were_slept_through_are_skipped_and_counted(void **state)
{
    struct bench *bench = *state;
    put_first_at(bench, 1000 * MS);
    pw_beats_collect(bench->client, 1047 * MS);
    /* 1000, 1010, 1020, 1030 are past; the one of 1040 is sent. */
    assert_int_equal(skipped(bench), 4);
    assert_int_equal(bench->loop->due_ns, 1040 * MS);
    assert_int_equal(bench->loop->next.at_ns, 1050 * MS);
}

static void a_beat_that_finds_no_room_is_skipped_when_the_next_one_is_due(void **state)
{
    struct bench *bench = *state;
    put_first_at(bench, 1000 * MS);
    pw_beats_collect(bench->client, 1000 * MS);
    bench->loop->prepared = true;
    pw_beats_collect(bench->client, 1009 * MS);
    assert_true(bench->loop->prepared);
    assert_int_equal(skipped(bench), 0);
    pw_beats_collect(bench->client, 1010 * MS);
    assert_int_equal(skipped(bench), 1);
    assert_true(pw_list_linked(&bench->loop->waiting));
    assert_false(bench->loop->prepared);
    assert_int_equal(bench->loop->due_ns, 1010 * MS);
}

static void a_beat_is_skipped_while_as_many_as_may_be_are_not_answered(void **state)
{
    struct bench *bench = *state;
    put_first_at(bench, 1000 * MS);
    pw_beats_collect(bench->client, 1000 * MS);
    sent(bench);
    atomic_store(&bench->loop->under_way, 2);
    pw_beats_collect(bench->client, 1010 * MS);
    assert_false(pw_list_linked(&bench->loop->waiting));
    assert_int_equal(skipped(bench), 1);
    atomic_store(&bench->loop->under_way, 1);
    pw_beats_collect(bench->client, 1020 * MS);
    assert_true(pw_list_linked(&bench->loop->waiting));
    assert_int_equal(skipped(bench), 1);
}

static void the_first_beat_leaves_within_one_interval(void **state)
{
    struct bench *bench = *state;
    const uint64_t intervals[] = {1 * MS, 10 * MS, 1000 * MS};
    struct pywatt_uuid *id = &bench->module->id;
    for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        bench->loop->interval_ns = intervals[i];
        for (int n = 0; n < 2000; n++) {
            const uint64_t now = 5000 * MS + 12345;
            pywatt_uuid_generate(id);
            const uint64_t first = pw_loop_first_ns(bench->loop, now);
            assert_true(first >= now && first <= now + intervals[i]);
            assert_int_equal(first % PW_BEAT_GRID_NS, 0);
            assert_int_equal(first, pw_loop_first_ns(bench->loop, now));
            least = first < least ? first : least;
            most = first > most ? first : most;
        }
        /* Spread over the interval, not in one heap. */
        assert_true(most - least > intervals[i] / 2);
    }
}

/* ---- Sharing a message ---- */

enum {
    SHARERS = 5
};

static struct pywatt_heartbeat_loop *new_sharer(const struct bench *bench, uint64_t due_ns)
{
    struct pywatt_heartbeat_loop *loop = calloc(1, sizeof(*loop));
    assert_non_null(loop);
    atomic_init(&loop->references, 1);
    loop->module = pw_handle_acquire(bench->module);
    loop->interval_ns = 10 * MS;
    loop->due_ns = due_ns;
    loop->prepared = true;
    loop->request.operation = PW_OP_HEARTBEAT;
    loop->request.token = PW_STR_LITERAL("t");
    pw_list_init(&loop->mail);
    pw_list_init(&loop->waiting);
    pw_due_init(&loop->next);
    return loop;
}

/* There is no connection, so it cannot go. */
static void a_message_that_cannot_go_gives_its_beats_back_in_their_order(void **state)
{
    struct bench *bench = *state;
    struct pw_heartbeat *heartbeat = &bench->client->heartbeat;
    struct pywatt_heartbeat_loop *loops[SHARERS];
    const uint64_t *due_ns;
    for (uint64_t i = 0; i < SHARERS; i++) {
        loops[i] = new_sharer(bench, i);
    }
    /* The last one did not fit. */
    pw_list_append(&heartbeat->due_loops, &loops[SHARERS - 1]->waiting);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SHARERS - 1; i++) {
            pw_list_remove(&loops[i]->waiting);
            assert_true(pw_beat_frame_add(bench->client, loops[i]));
        }
        assert_int_equal(pw_beat_frame_count(bench->client), SHARERS - 1);
        assert_int_equal(pw_beat_frame_post(bench->client, 1000 * MS, 2000 * MS, &due_ns, NULL),
                         PYWATT_CONNECTION);
        assert_int_equal(pw_beat_frame_count(bench->client), 0);
        const struct pw_list *at = &heartbeat->due_loops;
        for (int i = 0; i < SHARERS; i++) {
            at = at->next;
            assert_ptr_equal(at, &loops[i]->waiting);
            assert_int_equal(loops[i]->due_ns, i);
            assert_true(loops[i]->prepared);
            assert_false(atomic_load(&loops[i]->under_way));
            assert_int_equal(atomic_load(&loops[i]->references), 1);
        }
        assert_ptr_equal(at->next, &heartbeat->due_loops);
    }
    for (int i = 0; i < SHARERS; i++) {
        pw_list_remove(&loops[i]->waiting);
        pw_loop_release(loops[i]);
    }
}

/* How many of these a message takes; they are given back, and it is empty again. */
static uint32_t how_many_fit(const struct bench *bench, struct pywatt_heartbeat_loop *const *loops,
                             struct pw_str token)
{
    const uint64_t *due_ns;
    uint32_t count = 0;
    loops[0]->request.token = token;
    while (count <= PW_BEAT_FRAME_MAX && pw_beat_frame_add(bench->client, loops[count])) {
        count++;
        loops[count]->request.token = token;
    }
    if (count > 0) {
        (void)pw_beat_frame_post(bench->client, 0, 0, &due_ns, NULL);
    }
    for (uint32_t i = 0; i < count; i++) {
        pw_list_remove(&loops[i]->waiting);
    }
    return count;
}

static void a_message_takes_what_fits_and_no_more(void **state)
{
    struct bench *bench = *state;
    static struct pywatt_heartbeat_loop *loops[PW_BEAT_FRAME_MAX + 2];
    const uint32_t many = PW_BEAT_FRAME_MAX + 2;
    char text[PYWATT_TOKEN_MAX];
    memset(text, 'x', sizeof(text));
    const struct pw_str token = {text, sizeof(text)};
    for (uint32_t i = 0; i < many; i++) {
        loops[i] = new_sharer(bench, i);
    }
    assert_int_equal(how_many_fit(bench, loops, PW_STR_LITERAL("t")), PW_BEAT_FRAME_MAX);
    /* As long as every peer takes it that takes any. */
    assert_in_range(how_many_fit(bench, loops, token), PW_BATCH_BYTES / (sizeof(text) + 64),
                    PW_BATCH_BYTES / sizeof(text));
    /* Where even the reply to one may be too long, it goes alone. */
    bench->client->settings.max_frame_bytes = 128;
    assert_int_equal(how_many_fit(bench, loops, PW_STR_LITERAL("t")), 0);
    for (uint32_t i = 0; i < many; i++) {
        pw_loop_release(loops[i]);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(beats_are_due_at_absolute_times_however_late_they_are_found,
                                        make, unmake),
        cmocka_unit_test_setup_teardown(due_times_that_were_slept_through_are_skipped_and_counted,
                                        make, unmake),
        cmocka_unit_test_setup_teardown(
            a_beat_that_finds_no_room_is_skipped_when_the_next_one_is_due, make, unmake),
        cmocka_unit_test_setup_teardown(a_beat_is_skipped_while_as_many_as_may_be_are_not_answered,
                                        make, unmake),
        cmocka_unit_test_setup_teardown(the_first_beat_leaves_within_one_interval, make, unmake),
        cmocka_unit_test_setup_teardown(
            a_message_that_cannot_go_gives_its_beats_back_in_their_order, make, unmake),
        cmocka_unit_test_setup_teardown(a_message_takes_what_fits_and_no_more, make, unmake),
    };
    return PW_TEST_RUN(cases);
}
