/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The timer wheel against a naive model: an array that is searched from end to end.
 */
#include "orchestrator/timer_wheel.h"

#include "pw_test.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIMERS = 200
};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

struct naive {
    struct pw_timer timer;
    bool set;
    uint64_t expiry;
};

static struct naive *naive_of(struct pw_list *link)
{
    return PW_CONTAINER_OF(PW_CONTAINER_OF(link, struct pw_timer, link), struct naive, timer);
}

static bool earliest(const struct naive *all, uint64_t *out)
{
    bool any = false;
    for (size_t i = 0; i < TIMERS; i++) {
        if (all[i].set && (!any || all[i].expiry < *out)) {
            *out = all[i].expiry;
            any = true;
        }
    }
    return any;
}

static void advance_both(struct pw_wheel *wheel, struct naive *all, uint64_t now)
{
    struct pw_list fired;
    pw_list_init(&fired);
    pw_wheel_advance(wheel, now, &fired);
    uint64_t last = 0;
    struct pw_list *link;
    while ((link = pw_list_pop(&fired)) != NULL) {
        struct naive *one = naive_of(link);
        assert_true(one->set);
        assert_true(one->expiry <= now);
        assert_true(one->expiry >= last);
        last = one->expiry;
        one->set = false;
    }
    for (size_t i = 0; i < TIMERS; i++) {
        assert_false(all[i].set && all[i].expiry <= now);
    }
}

/* Distances of all sizes, from a tick to hundreds of years. */
static uint64_t random_distance(void)
{
    return next_random() >> (16 + next_random() % 48);
}

static void step_at_random(struct pw_wheel *wheel, struct naive *all, uint64_t *now)
{
    struct naive *one = &all[next_random() % TIMERS];
    switch (next_random() % 4) {
    case 0:
    case 1: {
        const uint64_t expiry = *now + random_distance();
        pw_wheel_set(wheel, &one->timer, expiry);
        one->set = true;
        one->expiry = expiry > *now ? expiry : *now + 1;
        break;
    }
    case 2:
        pw_wheel_cancel(wheel, &one->timer);
        one->set = false;
        break;
    default:
        *now += random_distance() >> (next_random() % 32);
        advance_both(wheel, all, *now);
        break;
    }
}

static void does_what_a_naive_model_does(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        static struct naive all[TIMERS];
        static struct pw_wheel wheel;
        uint64_t now = next_random() >> (2 + next_random() % 60);
        pw_wheel_init(&wheel, now);
        for (size_t i = 0; i < TIMERS; i++) {
            all[i] = (struct naive){.set = false};
            pw_timer_init(&all[i].timer);
        }
        for (int i = 0; i < 2000; i++) {
            step_at_random(&wheel, all, &now);
            uint64_t first;
            uint64_t when;
            const bool any = earliest(all, &first);
            assert_int_equal(pw_wheel_next(&wheel, &when), any);
            if (any) {
                /* Never later than the timer, and always something to do. */
                assert_true(when <= first);
                assert_true(when > wheel.now);
            }
        }
    }
}

static void reaches_a_timer_in_a_few_steps(void **state)
{
    (void)state;
    static struct pw_wheel wheel;
    struct pw_timer timer;
    pw_timer_init(&timer);
    pw_wheel_init(&wheel, 12345);
    pw_wheel_set(&wheel, &timer, 12345 + 86400000);
    struct pw_list fired;
    pw_list_init(&fired);
    unsigned steps = 0;
    uint64_t when;
    while (pw_wheel_next(&wheel, &when)) {
        pw_wheel_advance(&wheel, when, &fired);
        steps++;
    }
    assert_false(pw_list_empty(&fired));
    assert_int_equal(wheel.now, 12345 + 86400000);
    assert_true(steps <= PW_WHEEL_LEVELS);
}

static void fires_at_the_very_tick(void **state)
{
    (void)state;
    static struct pw_wheel wheel;
    for (uint64_t distance = 1; distance < 5000; distance++) {
        struct pw_timer timer;
        struct pw_list fired;
        pw_timer_init(&timer);
        pw_list_init(&fired);
        pw_wheel_init(&wheel, 4000);
        pw_wheel_set(&wheel, &timer, 4000 + distance);
        pw_wheel_advance(&wheel, 4000 + distance - 1, &fired);
        assert_true(pw_list_empty(&fired));
        pw_wheel_advance(&wheel, 4000 + distance, &fired);
        assert_false(pw_list_empty(&fired));
    }
}

static void a_time_that_has_passed_is_the_very_next_tick(void **state)
{
    (void)state;
    static struct pw_wheel wheel;
    struct pw_timer timer;
    struct pw_list fired;
    pw_timer_init(&timer);
    pw_list_init(&fired);
    pw_wheel_init(&wheel, 1000);
    pw_wheel_set(&wheel, &timer, 3);
    pw_wheel_advance(&wheel, 1000, &fired);
    assert_true(pw_list_empty(&fired));
    pw_wheel_advance(&wheel, 1001, &fired);
    assert_false(pw_list_empty(&fired));
}

static void cancels_a_timer_that_has_fired_and_waits_in_a_list(void **state)
{
    (void)state;
    static struct pw_wheel wheel;
    struct pw_timer timers[2];
    struct pw_list fired;
    pw_list_init(&fired);
    pw_wheel_init(&wheel, 0);
    for (size_t i = 0; i < 2; i++) {
        pw_timer_init(&timers[i]);
        pw_wheel_set(&wheel, &timers[i], 7);
    }
    pw_wheel_advance(&wheel, 7, &fired);
    pw_wheel_cancel(&wheel, &timers[0]);
    assert_ptr_equal(pw_list_pop(&fired), &timers[1].link);
    assert_true(pw_list_empty(&fired));
    uint64_t when;
    assert_false(pw_wheel_next(&wheel, &when));
}

static void takes_times_up_to_the_end_of_the_number(void **state)
{
    (void)state;
    static struct pw_wheel wheel;
    struct pw_timer timer;
    struct pw_list fired;
    pw_timer_init(&timer);
    pw_list_init(&fired);
    pw_wheel_init(&wheel, 5);
    pw_wheel_set(&wheel, &timer, UINT64_MAX);
    pw_wheel_advance(&wheel, UINT64_MAX - 1, &fired);
    assert_true(pw_list_empty(&fired));
    pw_wheel_advance(&wheel, UINT64_MAX, &fired);
    assert_false(pw_list_empty(&fired));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(does_what_a_naive_model_does),
        cmocka_unit_test(reaches_a_timer_in_a_few_steps),
        cmocka_unit_test(fires_at_the_very_tick),
        cmocka_unit_test(a_time_that_has_passed_is_the_very_next_tick),
        cmocka_unit_test(cancels_a_timer_that_has_fired_and_waits_in_a_list),
        cmocka_unit_test(takes_times_up_to_the_end_of_the_number),
    };
    return PW_TEST_RUN(cases);
}
