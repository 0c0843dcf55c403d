/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Aliases as a client uses them, against a fake orchestrator that is strict: one beat by an alias that
 * was not given on its connection ends the test. And the rules of registry/alias.h by themselves.
 */
#include "batch_scene.h"

#include "registry/alias.h"

/* ---- The rules ---- */

static void a_number_stands_once_its_beat_went_well(void **state)
{
    (void)state;
    struct pw_alias_source source = {0};
    _Atomic uint64_t a = 0;
    _Atomic uint64_t b = 0;
    assert_int_equal(pw_alias_of(&a, 0), 0);
    assert_int_equal(pw_alias_assign(&source, &a, 1), 1);
    assert_int_equal(pw_alias_assign(&source, &a, 1), 1);
    assert_int_equal(pw_alias_assign(&source, &b, 1), 2);
    assert_int_equal(pw_alias_of(&a, 1), 0);
    pw_alias_went_well(&a, 1, 0); /* one that named none */
    pw_alias_went_well(&a, 1, 2); /* or another one */
    pw_alias_went_well(&a, 1, pw_alias_used(1));
    assert_int_equal(pw_alias_of(&a, 1), 0);
    pw_alias_went_well(&a, 1, 1);
    assert_int_equal(pw_alias_of(&a, 1), 1);
    assert_int_equal(pw_alias_of(&b, 1), 0);
    assert_int_equal(pw_alias_of(&a, 2), 0);
    assert_int_equal(pw_alias_assign(&source, &a, 1), 1);
}

static void a_number_is_of_one_connection(void **state)
{
    (void)state;
    struct pw_alias_source source = {0};
    _Atomic uint64_t a = 0;
    _Atomic uint64_t b = 0;
    assert_int_equal(pw_alias_assign(&source, &a, 1), 1);
    assert_int_equal(pw_alias_assign(&source, &b, 3), 1);
    pw_alias_went_well(&a, 3, 1); /* not what it was told */
    assert_int_equal(pw_alias_of(&a, 3), 0);
    assert_int_equal(pw_alias_assign(&source, &a, 3), 2);
    pw_alias_went_well(&a, 1, 2);
    assert_int_equal(pw_alias_of(&a, 3), 0);
    /* Who is late has no number, and does not take the newer one. */
    assert_int_equal(pw_alias_assign(&source, &a, 2), 0);
    assert_int_equal(pw_alias_assign(&source, &a, 3), 2);
}

static void another_registration_has_another_number(void **state)
{
    (void)state;
    struct pw_alias_source source = {0};
    _Atomic uint64_t a = 0;
    _Atomic uint64_t b = 0;
    assert_int_equal(pw_alias_assign(&source, &a, 1), 1);
    assert_int_equal(pw_alias_assign(&source, &b, 1), 2);
    pw_alias_revoke(&a);
    pw_alias_went_well(&a, 1, 1);
    assert_int_equal(pw_alias_assign(&source, &a, 1), 3);
    /* The beat that named 1 went well; what is said of 3 is not known. */
    pw_alias_went_well(&a, 1, 1);
    assert_int_equal(pw_alias_of(&a, 1), 0);
    pw_alias_went_well(&a, 1, 3);
    assert_int_equal(pw_alias_of(&a, 1), 3);
    /* That is nothing to another module. */
    pw_alias_went_well(&b, 1, 2);
    assert_int_equal(pw_alias_of(&b, 1), 2);
}

static void a_number_that_is_not_known_is_used_no_more(void **state)
{
    (void)state;
    struct pw_alias_source source = {0};
    _Atomic uint64_t a = 0;
    assert_int_equal(pw_alias_assign(&source, &a, 1), 1);
    pw_alias_went_well(&a, 1, 1);
    pw_alias_doubt(&a, 1, pw_alias_used(2));
    pw_alias_doubt(&a, 2, pw_alias_used(1));
    assert_int_equal(pw_alias_of(&a, 1), 1);
    pw_alias_doubt(&a, 1, pw_alias_used(1));
    assert_int_equal(pw_alias_of(&a, 1), 0);
    pw_alias_went_well(&a, 1, 1); /* an answer that was on its way */
    assert_int_equal(pw_alias_of(&a, 1), 0);
    assert_int_equal(pw_alias_assign(&source, &a, 1), 2);
}

static void a_connection_may_be_without_aliases(void **state)
{
    (void)state;
    struct pw_alias_source source = {0};
    _Atomic uint64_t a = 0;
    assert_int_equal(pw_alias_epoch(&source, 4), 4);
    pw_alias_refuse(&source, 4);
    pw_alias_refuse(&source, 3); /* an old one's answer */
    assert_int_equal(pw_alias_epoch(&source, 4), 0);
    assert_int_equal(pw_alias_epoch(&source, 5), 5);
    assert_int_equal(pw_alias_assign(&source, &a, 0), 0);
    assert_int_equal(pw_alias_of(&a, 0), 0);
    assert_int_equal(a, 0);
}

static void a_connection_has_65535_numbers(void **state)
{
    (void)state;
    struct pw_alias_source source = {0};
    _Atomic uint64_t word = 0;
    for (uint32_t i = 1; i <= PW_ALIAS_MAX; i++) {
        word = 0;
        if (pw_alias_assign(&source, &word, 1) != i) {
            fail_msg("number %u is another one", i);
        }
    }
    pw_alias_went_well(&word, 1, PW_ALIAS_MAX);
    assert_int_equal(pw_alias_of(&word, 1), PW_ALIAS_MAX);
    for (int i = 0; i < 3; i++) {
        word = 0;
        assert_int_equal(pw_alias_assign(&source, &word, 1), 0);
        pw_alias_went_well(&word, 1, 0);
        assert_int_equal(pw_alias_of(&word, 1), 0);
    }
    assert_int_equal(pw_alias_assign(&source, &word, 2), 1);
}

/* ---- The client ---- */

/* Sends one beat of each module, of which so many go by their aliases. */
static void expect_round(struct scene *scene, uint64_t by_aliases)
{
    const uint64_t before = pw_fake_short_beats(scene->fake);
    assert_int_equal(beat_all(scene, NULL), PYWATT_OK);
    expect_all(scene, PYWATT_OK);
    assert_int_equal(pw_fake_short_beats(scene->fake) - before, by_aliases);
}

static void a_module_names_itself_once_on_a_connection(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    expect_round(&scene, 0);
    expect_round(&scene, BEATS);
    expect_round(&scene, BEATS);
    for (int i = 0; i < BEATS; i++) {
        struct pw_fake_module known;
        assert_true(pw_fake_find(scene.fake, pywatt_module_id(scene.modules[i]), &known));
        assert_int_equal(known.beats, 3);
        assert_int_equal(known.health, scene.beats[i].health);
    }
    lose_the_connection(&scene);
    expect_round(&scene, 0); /* the first ones one by one: nobody has said yet what is possible */
    expect_round(&scene, 0);
    expect_round(&scene, BEATS);
    end(&scene);
}

static enum pw_fake_action refuse_the_fourth(void *user, const struct pw_request *request,
                                             struct pw_response *response)
{
    static const struct pw_beat_exception refused = {
        .index = 3, .status = PYWATT_UNAVAILABLE, .error = PW_STR_LITERAL("not now")};
    (void)user;
    (void)request;
    response->exceptions = &refused;
    response->exception_count = 1;
    return PW_FAKE_ANSWER;
}

static void a_beat_that_was_refused_gave_no_alias(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_the_fourth, NULL);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_UNAVAILABLE);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, NULL, NULL);
    const uint64_t before = messages(&scene);
    expect_round(&scene, BEATS - 1);
    assert_int_equal(messages(&scene) - before, 1);
    expect_round(&scene, BEATS);
    end(&scene);
}

static void a_module_that_registers_again_names_itself_again(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    expect_round(&scene, 0);
    expect_round(&scene, BEATS);
    for (int round = 0; round < 3; round++) {
        struct pywatt_module *again = NULL;
        struct pywatt_module_info *info = new_info("module 3");
        assert_int_equal(pywatt_module_info_set_id(info, pywatt_module_id(scene.modules[3])),
                         PYWATT_OK);
        assert_int_equal(pywatt_register_module(scene.client, info, &again, NULL), PYWATT_OK);
        expect_round(&scene, BEATS - 1);
        expect_round(&scene, BEATS);
        pywatt_module_free(again);
        pywatt_module_info_free(info);
    }
    /* One that is forgotten is registered again by its beat. */
    pw_fake_forget(scene.fake);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    expect_round(&scene, BEATS);
    end(&scene);
}

static void a_module_that_is_unregistered_has_no_alias(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    expect_round(&scene, 0);
    assert_int_equal(pywatt_unregister_module(scene.modules[5], NULL), PYWATT_OK);
    const uint64_t before = pw_fake_short_beats(scene.fake);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_CLOSED);
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(scene.beats[i].status, i == 5 ? PYWATT_CLOSED : PYWATT_OK);
    }
    assert_int_equal(pw_fake_short_beats(scene.fake) - before, BEATS - 1);
    end(&scene);
}

static bool beats_are_short(void *user)
{
    struct scene *scene = user;
    return pw_fake_short_beats(scene->fake) >= 10 * BEATS;
}

static void loops_beat_by_aliases(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    for (int i = 0; i < BEATS; i++) {
        start_loop(scene.modules[i], 1);
    }
    assert_true(pw_test_wait_until(beats_are_short, &scene, 10000));
    for (int i = 0; i < BEATS; i++) {
        assert_true(
            pw_fake_wait_health(scene.fake, pywatt_module_id(scene.modules[i]), PYWATT_HEALTHY));
        pywatt_module_set_health(scene.modules[i], PYWATT_UNHEALTHY);
        assert_true(
            pw_fake_wait_health(scene.fake, pywatt_module_id(scene.modules[i]), PYWATT_UNHEALTHY));
    }
    /* Connections come and go, registrations as well. */
    for (int round = 0; round < 5; round++) {
        if (round % 2 == 0) {
            pw_fake_disconnect(scene.fake);
        } else {
            pw_fake_forget(scene.fake);
            assert_true(
                WAIT_STAT(scene.client, reregistrations, (uint64_t)(round / 2 + 1) * BEATS));
        }
        const uint64_t before = pw_fake_short_beats(scene.fake);
        while (pw_fake_short_beats(scene.fake) < before + 5 * BEATS) {
            assert_true(
                WAIT_STAT(scene.client, beats_answered, STAT(scene.client, beats_answered) + 1));
        }
    }
    assert_int_equal(STAT(scene.client, reregistrations), 2 * BEATS);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_number_stands_once_its_beat_went_well),
        cmocka_unit_test(a_number_is_of_one_connection),
        cmocka_unit_test(another_registration_has_another_number),
        cmocka_unit_test(a_number_that_is_not_known_is_used_no_more),
        cmocka_unit_test(a_connection_may_be_without_aliases),
        cmocka_unit_test(a_connection_has_65535_numbers),
        cmocka_unit_test(a_module_names_itself_once_on_a_connection),
        cmocka_unit_test(a_beat_that_was_refused_gave_no_alias),
        cmocka_unit_test(a_module_that_registers_again_names_itself_again),
        cmocka_unit_test(a_module_that_is_unregistered_has_no_alias),
        cmocka_unit_test(loops_beat_by_aliases),
    };
    return PW_TEST_RUN(cases);
}
