/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the simulation of an orchestrator's death claims, on a small scale: 20,000 modules of four
 * orchestrators, 100 attaches a second at each survivor, so that 5,000 orphans keep the three of
 * them busy for about 17 seconds.
 */
#include "simulation/simulation.h"
#include "pw_test.h"

#include <string.h>

static struct simulation_options small(void)
{
    struct simulation_options options;

    simulation_options_init(&options);
    options.modules = 20000;
    options.capacity = 100;
    options.queue = 200;
    return options;
}

static struct simulation_options paced(void)
{
    struct simulation_options options = small();

    options.jitter = true;
    options.spread = true;
    options.pacing = true;
    options.phase = true;
    return options;
}

static void a_seed_decides_everything(void **state)
{
    struct simulation_options options = paced();
    const struct simulation_outcome first = simulation_run(&options);
    const struct simulation_outcome second = simulation_run(&options);

    (void)state;
    assert_memory_equal(&first, &second, sizeof(first));
    options.seed = 2;
    const struct simulation_outcome other = simulation_run(&options);
    assert_memory_not_equal(&first, &other, sizeof(first));
}

static void with_pacing_nobody_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct simulation_options options = paced();
        options.seed = seed;
        const struct simulation_outcome outcome = simulation_run(&options);
        assert_int_equal(outcome.lost_orphans, 0);
        assert_int_equal(outcome.lost_others, 0);
    }
}

static void with_pacing_no_survivor_attaches_more_than_it_can(void **state)
{
    const struct simulation_options options = paced();
    const struct simulation_outcome outcome = simulation_run(&options);

    (void)state;
    /* A second's worth, and what it may do at once after a pause. */
    assert_true(outcome.peak_attached <= options.capacity * 1.05 + 1);
    assert_true(outcome.longest_wait_s < 1);
}

static void with_pacing_all_are_back_about_as_soon_as_can_be(void **state)
{
    const struct simulation_options options = paced();
    const struct simulation_outcome outcome = simulation_run(&options);
    const double least_s = options.modules / 4.0 / 3.0 / options.capacity;

    (void)state;
    assert_true(outcome.back_s > least_s * 0.9);
    assert_true(outcome.back_s < least_s * 1.25);
    assert_true(outcome.attempts <= 2 * options.modules / 4 * 11 / 10);
}

static void without_pacing_living_modules_are_lost(void **state)
{
    struct simulation_options options = small();

    (void)state;
    options.jitter = true;
    const struct simulation_outcome jittered = simulation_run(&options);
    assert_true(jittered.lost_orphans > 0);
    options.jitter = false;
    const struct simulation_outcome bare = simulation_run(&options);
    assert_true(bare.lost_orphans > jittered.lost_orphans);
    assert_true(bare.back_s > jittered.back_s);
}

static void a_spread_first_attempt_spares_the_survivors_the_crowd(void **state)
{
    struct simulation_options options = paced();
    const struct simulation_outcome spread = simulation_run(&options);

    (void)state;
    options.spread = false;
    const struct simulation_outcome crowd = simulation_run(&options);
    assert_true(crowd.peak_offered > 5 * spread.peak_offered);
    assert_int_equal(crowd.lost_orphans, 0);
}

static void phases_from_the_survivor_keep_beats_even(void **state)
{
    struct simulation_options options = paced();
    const struct simulation_outcome even = simulation_run(&options);

    (void)state;
    assert_true(even.peak_beats <= even.mean_beats * 1.03);
    options.phase = false;
    const struct simulation_outcome uneven = simulation_run(&options);
    assert_true(uneven.peak_beats > even.peak_beats);
}

static void one_first_choice_for_all_is_survived_but_slower(void **state)
{
    struct simulation_options options = paced();
    const struct simulation_outcome shared = simulation_run(&options);

    (void)state;
    options.same_order = true;
    const struct simulation_outcome crowded = simulation_run(&options);
    assert_int_equal(crowded.lost_orphans, 0);
    assert_true(crowded.back_s > 2.5 * shared.back_s);
    options.pacing = false;
    const struct simulation_outcome lost = simulation_run(&options);
    assert_true(lost.lost_orphans > 1000);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_seed_decides_everything),
        cmocka_unit_test(with_pacing_nobody_is_lost),
        cmocka_unit_test(with_pacing_no_survivor_attaches_more_than_it_can),
        cmocka_unit_test(with_pacing_all_are_back_about_as_soon_as_can_be),
        cmocka_unit_test(without_pacing_living_modules_are_lost),
        cmocka_unit_test(a_spread_first_attempt_spares_the_survivors_the_crowd),
        cmocka_unit_test(phases_from_the_survivor_keep_beats_even),
        cmocka_unit_test(one_first_choice_for_all_is_survived_but_slower),
    };

    return PW_TEST_RUN(cases);
}
