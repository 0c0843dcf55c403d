/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The bucket of registrations and its line, at moments that the test chooses.
 */
#include "orchestrator/pace.h"

#include "base/clock.h"
#include "pw_test.h"

#include <pthread.h>

#define MS PW_NS_PER_MS
#define BEGIN (UINT64_C(1000000) * MS)

enum {
    RATE = 100,
    STEP_MS = 1000 / RATE,
    PLACES = 100000
};

static void begin(struct pw_pace *pace, uint32_t per_s, size_t places)
{
    assert_int_equal(pw_pace_init(pace, per_s, places), PYWATT_OK);
}

/* One of this machine. */
static uint32_t enter(struct pw_pace *pace, uint64_t who, uint64_t now_ns)
{
    const struct pw_pace_comer comer = {.who = who};
    return pw_pace_enter(pace, &comer, now_ns);
}

static uint32_t enter_from(struct pw_pace *pace, uint64_t who, uint64_t peer, uint64_t now_ns)
{
    const struct pw_pace_comer comer = {.who = who, .peer = peer};
    return pw_pace_enter(pace, &comer, now_ns);
}

static uint32_t enter_proven(struct pw_pace *pace, uint64_t who, uint64_t now_ns)
{
    const struct pw_pace_comer comer = {.who = who, .peer = 1, .proven = true};
    return pw_pace_enter(pace, &comer, now_ns);
}

/* How many newcomers get in at this moment, of as many as ever could, and one more. */
static unsigned let_in(struct pw_pace *pace, uint64_t *who, uint64_t now_ns)
{
    unsigned count = 0;
    while (enter(pace, (*who)++, now_ns) == 0) {
        count++;
        assert_true(count < 10 * RATE);
    }
    return count;
}

/* With as many in as ever could, and the first who waits. Who comes next. */
static uint64_t begin_with_a_line(struct pw_pace *pace)
{
    uint64_t who = 1;
    begin(pace, RATE, PLACES);
    let_in(pace, &who, BEGIN);
    return who;
}

static void a_second_of_registrations_may_come_at_once(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    for (uint64_t who = 1; who <= RATE; who++) {
        assert_int_equal(enter(&pace, who, BEGIN), 0);
    }
    assert_int_equal(enter(&pace, RATE + 1, BEGIN), STEP_MS);
    pw_pace_destroy(&pace);
}

static void the_line_keeps_its_order_one_step_apart(void **state)
{
    (void)state;
    struct pw_pace pace;
    uint64_t who = begin_with_a_line(&pace);
    for (uint32_t place = 2; place <= 50; place++) {
        assert_int_equal(enter(&pace, who++, BEGIN), place * STEP_MS);
    }
    /* Later ones count from their own moment. */
    assert_int_equal(enter(&pace, who++, BEGIN + 200 * MS), 51 * STEP_MS - 200);
    pw_pace_destroy(&pace);
}

static void who_asks_too_early_keeps_the_place(void **state)
{
    (void)state;
    struct pw_pace pace;
    uint64_t who = begin_with_a_line(&pace);
    const uint64_t first = who - 1;
    assert_int_equal(enter(&pace, who, BEGIN), 2 * STEP_MS);
    for (uint32_t ms = 0; ms < 8; ms++) {
        assert_int_equal(enter(&pace, first, BEGIN + ms * MS), STEP_MS - ms);
    }
    assert_int_equal(enter(&pace, first, BEGIN + STEP_MS * MS), 0);
    assert_int_equal(enter(&pace, who, BEGIN + 2 * STEP_MS * MS), 0);
    pw_pace_destroy(&pace);
}

static void a_place_that_was_promised_is_kept_against_newcomers(void **state)
{
    (void)state;
    struct pw_pace pace;
    uint64_t who = begin_with_a_line(&pace);
    const uint64_t promised = who;
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(enter(&pace, promised + i, BEGIN), (i + 2) * STEP_MS);
    }
    who = UINT64_C(1) << 40;
    for (uint64_t i = 0; i < 50; i++) {
        const uint64_t now_ns = BEGIN + (i + 2) * STEP_MS * MS;
        /* A crowd is always first. */
        for (int k = 0; k < 5; k++) {
            assert_true(enter(&pace, who++, now_ns) > 0);
        }
        assert_int_equal(enter(&pace, promised + i, now_ns), 0);
        assert_true(enter(&pace, promised + i, now_ns) > 0); /* once */
    }
    pw_pace_destroy(&pace);
}

static void those_who_come_at_their_time_come_at_the_rate(void **state)
{
    (void)state;
    enum {
        CROWD = 1000
    };
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    uint64_t at_ns[CROWD];
    uint64_t last_ns = BEGIN;
    unsigned refused = 0;
    for (uint64_t i = 0; i < CROWD; i++) {
        at_ns[i] = BEGIN + enter(&pace, i, BEGIN) * MS;
        refused += at_ns[i] > BEGIN;
        last_ns = at_ns[i] > last_ns ? at_ns[i] : last_ns;
    }
    assert_int_equal(refused, CROWD - RATE);
    assert_int_equal(last_ns, BEGIN + (CROWD - RATE) * STEP_MS * MS);
    for (uint64_t i = 0; i < CROWD; i++) {
        if (at_ns[i] > BEGIN) {
            assert_int_equal(enter(&pace, i, at_ns[i]), 0);
        }
    }
    pw_pace_destroy(&pace);
}

static void what_was_not_used_is_worth_one_second_at_most(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    uint64_t who = 1;
    assert_int_equal(let_in(&pace, &who, BEGIN), RATE);
    const uint64_t day_later_ns = BEGIN + UINT64_C(86400000) * MS;
    assert_int_equal(let_in(&pace, &who, day_later_ns), RATE);
    /* One place was promised above: half a second brings the rest of fifty. */
    assert_int_equal(let_in(&pace, &who, day_later_ns + 500 * MS), 49);
    pw_pace_destroy(&pace);
}

static void a_place_that_nobody_takes_is_given_up(void **state)
{
    (void)state;
    struct pw_pace pace;
    uint64_t who = begin_with_a_line(&pace);
    const uint64_t late = who - 1;
    for (int i = 0; i < 20; i++) {
        enter(&pace, who++, BEGIN);
    }
    assert_int_equal(pace.waiting, 21);
    /* A little late is in time, and costs nothing. */
    const uint64_t later_ns = BEGIN + (STEP_MS + PW_PACE_KEPT_MS - 1) * MS;
    assert_int_equal(enter(&pace, late, later_ns), 0);
    assert_int_equal(pace.waiting, 20);
    assert_int_equal(let_in(&pace, &who, later_ns), RATE);
    for (int i = 0; i < 20; i++) {
        enter(&pace, who++, later_ns + 5 * PW_PACE_KEPT_MS * MS);
    }
    assert_int_equal(pace.waiting, 0);
    pw_pace_destroy(&pace);
}

static void nobody_waits_for_longer_than_the_most(void **state)
{
    (void)state;
    struct pw_pace pace;
    uint64_t who = begin_with_a_line(&pace);
    for (uint32_t i = 2; i <= PW_PACE_WAIT_MAX_MS / STEP_MS; i++) {
        assert_int_equal(enter(&pace, who++, BEGIN), i * STEP_MS);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(enter(&pace, who++, BEGIN), PW_PACE_WAIT_MAX_MS);
    }
    /* They have taken nothing: the next drop after the line is free. */
    assert_int_equal(pace.waiting, PW_PACE_WAIT_MAX_MS / STEP_MS);
    assert_int_equal(enter(&pace, who++, BEGIN + STEP_MS * MS), PW_PACE_WAIT_MAX_MS);
    assert_int_equal(pace.waiting, PW_PACE_WAIT_MAX_MS / STEP_MS + 1);
    pw_pace_destroy(&pace);
}

static void a_line_that_is_full_promises_nothing_and_takes_nothing(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, 3);
    uint64_t who = 1;
    let_in(&pace, &who, BEGIN);
    assert_int_equal(enter(&pace, who++, BEGIN), 2 * STEP_MS);
    assert_int_equal(enter(&pace, who++, BEGIN), 3 * STEP_MS);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(enter(&pace, who++, BEGIN), 4 * STEP_MS);
    }
    assert_int_equal(enter(&pace, who++, BEGIN + 4 * STEP_MS * MS), 0);
    pw_pace_destroy(&pace);
}

/* ---- Those who make up names ---- */

enum {
    IN_LINE = PW_PACE_WAIT_MAX_MS / STEP_MS,
    OF_ONE = IN_LINE / PW_PACE_PEER_PART
};

static void an_address_has_a_part_of_the_line_and_no_more(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    uint64_t who = 1;
    for (int i = 0; i < RATE + 2 * OF_ONE; i++) {
        enter_from(&pace, who++, 7, BEGIN);
    }
    assert_int_equal(pace.waiting, OF_ONE);
    /* The next drop is anybody else's, */
    assert_int_equal(enter_from(&pace, who++, 8, BEGIN), (OF_ONE + 1) * STEP_MS);
    /* and the last place is as good as the first. */
    const uint64_t last_ns = BEGIN + OF_ONE * STEP_MS * MS;
    assert_int_equal(enter_from(&pace, RATE + OF_ONE, 7, last_ns), 0);
    pw_pace_destroy(&pace);
}

/* Of those beyond, as many get in as the rate says, and none waits for ever. */
static void a_crowd_of_one_address_gets_in_at_the_rate(void **state)
{
    (void)state;
    enum {
        CROWD = 3 * OF_ONE
    };
    static uint64_t at_ns[CROWD];
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    unsigned left = CROWD;
    uint64_t now_ns = BEGIN;
    for (; left > 0 && now_ns < BEGIN + 2 * (uint64_t)CROWD * STEP_MS * MS;
         now_ns += STEP_MS * MS) {
        for (uint64_t i = 0; i < CROWD; i++) {
            if (at_ns[i] <= now_ns) {
                const uint64_t wait_ms = enter_from(&pace, i, 7, now_ns);
                left -= wait_ms == 0;
                at_ns[i] = wait_ms == 0 ? UINT64_MAX : now_ns + wait_ms * MS;
            }
        }
    }
    assert_int_equal(left, 0);
    assert_in_range((now_ns - BEGIN) / MS, (CROWD - RATE) * STEP_MS,
                    (CROWD - RATE) * STEP_MS + 1000);
    pw_pace_destroy(&pace);
}

/* Fills the line from more addresses than needed. */
static void fill_with_strangers(struct pw_pace *pace, uint64_t now_ns)
{
    uint64_t who = UINT64_C(1) << 50;
    for (uint64_t peer = 1; peer <= PW_PACE_PEER_PART + 1; peer++) {
        for (int i = 0; i < RATE + OF_ONE; i++) {
            enter_from(pace, who++, peer, now_ns);
        }
    }
    assert_int_equal(enter_from(pace, who, 99, now_ns), PW_PACE_WAIT_MAX_MS);
}

static void those_who_are_known_pass_by_a_line_of_strangers(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, IN_LINE);
    fill_with_strangers(&pace, BEGIN);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(enter_proven(&pace, i, BEGIN), (i + 1) * STEP_MS);
        assert_int_equal(enter_proven(&pace, i, BEGIN), (i + 1) * STEP_MS);
    }
    assert_int_equal(enter_proven(&pace, 0, BEGIN + STEP_MS * MS), 0);
    assert_int_equal(enter_proven(&pace, 999, BEGIN + 10000 * MS), 0);
    pw_pace_destroy(&pace);
}

static void what_the_known_take_is_taken_from_the_others(void **state)
{
    (void)state;
    struct pw_pace pace;
    uint64_t who = begin_with_a_line(&pace);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(enter_proven(&pace, (UINT64_C(1) << 40) + i, BEGIN), (i + 1) * STEP_MS);
    }
    assert_int_equal(enter(&pace, who, BEGIN), 102 * STEP_MS);
    pw_pace_destroy(&pace);
}

static void places_end_though_nobody_comes(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    assert_int_equal(pw_pace_tick(&pace, BEGIN), 0);
    fill_with_strangers(&pace, BEGIN);
    enter_proven(&pace, 1, BEGIN);
    assert_int_equal(pace.waiting, IN_LINE + 1);
    const uint64_t first_ns = BEGIN + (STEP_MS + PW_PACE_KEPT_MS) * MS;
    assert_int_equal(pw_pace_tick(&pace, BEGIN), first_ns);
    assert_int_equal(pw_pace_tick(&pace, first_ns), first_ns + STEP_MS * MS);
    assert_int_equal(pace.waiting, IN_LINE - 1); /* one of each line */
    const uint64_t last_ns = BEGIN + (PW_PACE_WAIT_MAX_MS + PW_PACE_KEPT_MS) * MS;
    assert_int_equal(pw_pace_tick(&pace, last_ns - 1), last_ns);
    assert_int_equal(pace.waiting, 1);
    assert_int_equal(pw_pace_tick(&pace, last_ns), 0);
    assert_int_equal(pace.waiting, 0);
    assert_int_equal(pace.peers.count, 0);
    pw_pace_destroy(&pace);
}

static void those_who_cannot_wait_get_in_and_others_wait_for_them(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    for (int i = 0; i < RATE + 5; i++) {
        pw_pace_pass(&pace, BEGIN);
    }
    assert_int_equal(enter(&pace, 1, BEGIN), 6 * STEP_MS);
    assert_int_equal(enter(&pace, 1, BEGIN + 6 * STEP_MS * MS), 0);
    /* However many they are, for the longest time at most. */
    for (int i = 0; i < 20000; i++) {
        pw_pace_pass(&pace, BEGIN);
    }
    assert_int_equal(enter(&pace, 2, BEGIN), PW_PACE_WAIT_MAX_MS);
    assert_int_equal(enter(&pace, 2, BEGIN + (PW_PACE_WAIT_MAX_MS + STEP_MS) * MS), 0);
    pw_pace_destroy(&pace);
}

static void a_rate_of_0_is_no_limit(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, 0, PLACES);
    for (uint64_t i = 0; i < 1000000 / pw_test_slow_factor(); i++) {
        assert_int_equal(enter(&pace, i, BEGIN), 0);
        pw_pace_pass(&pace, BEGIN);
    }
    assert_int_equal(pace.waiting, 0);
    pw_pace_destroy(&pace);
}

static void any_rate_lets_as_many_in_as_it_says(void **state)
{
    (void)state;
    const uint32_t rates[] = {1, 2, 3, 7, 1000, 50000, 999999, 10000000};
    /* As many calls as the rate says: where a tool makes them slow, not the largest. */
    const size_t count = sizeof(rates) / sizeof(rates[0]) - (pw_test_slow_factor() > 4 ? 3 : 0);
    for (size_t i = 0; i < count; i++) {
        struct pw_pace pace;
        begin(&pace, rates[i], PLACES);
        uint64_t who = 0;
        while (enter(&pace, who, BEGIN) == 0) {
            who++;
        }
        assert_in_range(who, rates[i], rates[i] + rates[i] / 1000);
        pw_pace_destroy(&pace);
    }
}

/* ---- Many threads ---- */

enum {
    THREADS = 4,
    EACH = 500
};

struct crowd {
    struct pw_pace *pace;
    uint64_t first;
    unsigned in;
    uint64_t wait_ms[EACH];
};

static void *come(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < EACH; i++) {
        crowd->wait_ms[i] = enter(crowd->pace, crowd->first + i, BEGIN);
        crowd->in += crowd->wait_ms[i] == 0;
    }
    return NULL;
}

static void threads_get_as_many_places_as_there_are_each_its_own(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    bool given[THREADS * EACH + 1] = {false};
    unsigned in = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.pace = &pace, .first = UINT64_C(1000000) * (i + 1)};
        assert_int_equal(pthread_create(&threads[i], NULL, come, &crowds[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        in += crowds[i].in;
        for (unsigned k = 0; k < EACH; k++) {
            const uint64_t place = crowds[i].wait_ms[k] / STEP_MS;
            assert_true(place == 0 || !given[place]);
            given[place] = true;
        }
    }
    assert_int_equal(in, RATE);
    assert_true(given[THREADS * EACH - RATE]);
    assert_false(given[THREADS * EACH - RATE + 1]);
    pw_pace_destroy(&pace);
}

/* ---- Another rate ---- */

static void as_many_are_ahead_at_the_new_rate_as_were_at_the_old(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, RATE, PLACES);
    for (int i = 0; i < 2 * RATE; i++) {
        pw_pace_pass(&pace, BEGIN);
    }
    pw_pace_change(&pace, 10 * RATE, PLACES, BEGIN);
    /* Less than a second's worth is missing. */
    assert_true(pw_pace_is_open(&pace, BEGIN));
    pw_pace_change(&pace, RATE, PLACES, BEGIN);
    assert_false(pw_pace_is_open(&pace, BEGIN));
    assert_int_equal(enter(&pace, 1, BEGIN), 1000 + 2 * STEP_MS);
    pw_pace_destroy(&pace);
}

static void a_rate_of_0_lets_in_who_waits_and_forgets_what_was_missing(void **state)
{
    (void)state;
    struct pw_pace pace;
    const uint64_t who = begin_with_a_line(&pace);
    pw_pace_change(&pace, 0, PLACES, BEGIN);
    assert_true(pw_pace_is_open(&pace, BEGIN));
    assert_int_equal(enter(&pace, who + 1, BEGIN), 0);
    pw_pace_change(&pace, RATE, PLACES, BEGIN);
    assert_int_equal(enter(&pace, who + 2, BEGIN), 0);
    pw_pace_destroy(&pace);
}

static void a_slower_rate_makes_nobody_wait_for_longer_than_it_may(void **state)
{
    (void)state;
    struct pw_pace pace;
    begin(&pace, 10000000, PLACES);
    for (int i = 0; i < 1000; i++) {
        pw_pace_pass(&pace, BEGIN);
    }
    pw_pace_change(&pace, 1, PLACES, BEGIN);
    assert_int_equal(enter(&pace, 1, BEGIN), PW_PACE_WAIT_MAX_MS);
    assert_int_equal(enter(&pace, 1, BEGIN + 62 * PW_NS_PER_S), 0);
    pw_pace_destroy(&pace);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_second_of_registrations_may_come_at_once),
        cmocka_unit_test(the_line_keeps_its_order_one_step_apart),
        cmocka_unit_test(who_asks_too_early_keeps_the_place),
        cmocka_unit_test(a_place_that_was_promised_is_kept_against_newcomers),
        cmocka_unit_test(those_who_come_at_their_time_come_at_the_rate),
        cmocka_unit_test(what_was_not_used_is_worth_one_second_at_most),
        cmocka_unit_test(a_place_that_nobody_takes_is_given_up),
        cmocka_unit_test(nobody_waits_for_longer_than_the_most),
        cmocka_unit_test(a_line_that_is_full_promises_nothing_and_takes_nothing),
        cmocka_unit_test(an_address_has_a_part_of_the_line_and_no_more),
        cmocka_unit_test(a_crowd_of_one_address_gets_in_at_the_rate),
        cmocka_unit_test(those_who_are_known_pass_by_a_line_of_strangers),
        cmocka_unit_test(what_the_known_take_is_taken_from_the_others),
        cmocka_unit_test(places_end_though_nobody_comes),
        cmocka_unit_test(those_who_cannot_wait_get_in_and_others_wait_for_them),
        cmocka_unit_test(a_rate_of_0_is_no_limit),
        cmocka_unit_test(any_rate_lets_as_many_in_as_it_says),
        cmocka_unit_test(threads_get_as_many_places_as_there_are_each_its_own),
        cmocka_unit_test(as_many_are_ahead_at_the_new_rate_as_were_at_the_old),
        cmocka_unit_test(a_rate_of_0_lets_in_who_waits_and_forgets_what_was_missing),
        cmocka_unit_test(a_slower_rate_makes_nobody_wait_for_longer_than_it_may),
    };
    return PW_TEST_RUN(cases);
}
