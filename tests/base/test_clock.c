/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Deadlines at the edges of their range. One thread.
 */
#include "pw_test.h"

#include "base/clock.h"

#include <limits.h>

static void monotonic_time_does_not_go_back(void **state)
{
    (void)state;
    uint64_t before = pw_clock_now_ns(&pw_clock_monotonic);
    assert_true(before > 0);
    for (int i = 0; i < 1000; i++) {
        const uint64_t now = pw_clock_now_ns(&pw_clock_monotonic);
        assert_true(now >= before);
        before = now;
    }
    const int64_t reference = pw_test_now_ns();
    const int64_t apart = (int64_t)pw_clock_now_ns(&pw_clock_monotonic) - reference;
    assert_true(apart >= 0 && apart < INT64_C(10000000000));
}

static void deadline_is_never_when_it_would_overflow(void **state)
{
    (void)state;
    assert_int_equal(pw_deadline_after_ms(5, 3), 3000005);
    assert_int_equal(pw_deadline_after_ms(5, 0), 5);
    assert_true(pw_deadline_after_ms(5, UINT64_MAX) == PW_DEADLINE_NEVER);
    const uint64_t last_ms = (UINT64_MAX - 5) / PW_NS_PER_MS;
    assert_true(pw_deadline_after_ms(5, last_ms) == 5 + last_ms * PW_NS_PER_MS);
    assert_true(pw_deadline_after_ms(5, last_ms + 1) == PW_DEADLINE_NEVER);
    assert_true(pw_deadline_after_ms(UINT64_MAX, 0) == PW_DEADLINE_NEVER);
}

static void poll_time_is_rounded_up_so_that_poll_does_not_return_early(void **state)
{
    (void)state;
    assert_int_equal(pw_deadline_poll_ms(100, 100), 0);
    assert_int_equal(pw_deadline_poll_ms(100, 99), 0);
    assert_int_equal(pw_deadline_poll_ms(100, 0), 0);
    assert_int_equal(pw_deadline_poll_ms(100, 101), 1);
    assert_int_equal(pw_deadline_poll_ms(100, 100 + PW_NS_PER_MS), 1);
    assert_int_equal(pw_deadline_poll_ms(100, 101 + PW_NS_PER_MS), 2);
}

static void poll_time_has_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(pw_deadline_poll_ms(0, PW_DEADLINE_NEVER), -1);
    assert_int_equal(pw_deadline_poll_ms(0, PW_DEADLINE_NEVER - 1), INT_MAX);
    assert_int_equal(pw_deadline_poll_ms(0, (uint64_t)INT_MAX * PW_NS_PER_MS), INT_MAX);
    assert_int_equal(pw_deadline_poll_ms(0, (uint64_t)INT_MAX * PW_NS_PER_MS - PW_NS_PER_MS),
                     INT_MAX - 1);
}

static void timespecs_hold_seconds_and_the_rest(void **state)
{
    (void)state;
    struct timespec t = pw_deadline_timespec(3 * PW_NS_PER_S + 7);
    assert_int_equal(t.tv_sec, 3);
    assert_int_equal(t.tv_nsec, 7);
    t = pw_deadline_timespec(PW_DEADLINE_NEVER - 1);
    assert_true(t.tv_sec == (time_t)((UINT64_MAX - 1) / PW_NS_PER_S));
    assert_in_range(t.tv_nsec, 0, 999999999);
    t = pw_deadline_left(PW_NS_PER_S, 2 * PW_NS_PER_S + PW_NS_PER_S / 2);
    assert_int_equal(t.tv_sec, 1);
    assert_int_equal(t.tv_nsec, 500000000);
    t = pw_deadline_left(10, 9);
    assert_int_equal(t.tv_sec, 0);
    assert_int_equal(t.tv_nsec, 0);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test(deadline_is_never_when_it_would_overflow),
        cmocka_unit_test(poll_time_is_rounded_up_so_that_poll_does_not_return_early),
        cmocka_unit_test(poll_time_has_its_bounds),
        cmocka_unit_test(timespecs_hold_seconds_and_the_rest),
    };
    return PW_TEST_RUN(cases);
}
