/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Registrations: how they are made, what is read out of them, and their references from several
 * threads, whose work the main thread checks after joining them.
 */
#include "base/sync.h"
#include "model/registration.h"
#include "model/string_map.h"
#include "model_samples.h"

#include <stdlib.h>

/* Sees what is freed, by the linker's --wrap: whether the watched text was wiped before. */
void __real_free(void *memory);
void __wrap_free(void *memory);

static const char *watched;
static size_t watched_len;
static bool watched_was_wiped;

void __wrap_free(void *memory)
{
    if (memory != NULL && memory == watched) {
        watched_was_wiped = true;
        for (size_t i = 0; i < watched_len; i++) {
            watched_was_wiped = watched_was_wiped && watched[i] == '\0';
        }
        watched = NULL;
    }
    __real_free(memory);
}

static void watch(const char *text)
{
    watched = text;
    watched_len = strlen(text);
    watched_was_wiped = false;
}

static void a_new_one_is_empty(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    pw_registration_seal(registration);
    assert_true(pywatt_uuid_is_nil(pywatt_registration_id(registration)));
    assert_string_equal(pywatt_registration_token(registration), "");
    assert_null(pywatt_registration_info(registration));
    assert_string_equal(pywatt_registration_orchestrator_host(registration), "");
    assert_int_equal(pywatt_registration_orchestrator_port(registration), 0);
    assert_null(pywatt_registration_env(registration));
    assert_null(pywatt_registration_additional_data(registration));
    assert_int_equal(pywatt_registration_generation(registration), 0);
    assert_int_equal(pywatt_registration_lease_ms(registration), 0);
    assert_int_equal(pywatt_registration_heartbeat_interval_ms(registration), 0);
    pywatt_registration_release(registration);
}

static void gives_what_it_was_made_of(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    const struct pywatt_uuid id = {{4, 5, 6}};
    registration->id = id;
    registration->port = 65535;
    registration->info = sample_info();
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("first")), PYWATT_OK);
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("second")), PYWATT_OK);
    assert_int_equal(pw_registration_set_host(registration, PW_STR_LITERAL("::1")), PYWATT_OK);
    assert_int_equal(pw_registration_set_host(registration, PW_STR_LITERAL("127.0.0.1")),
                     PYWATT_OK);
    assert_int_equal(
        pw_string_map_put(&registration->env, PW_STR_LITERAL("MODE"), PW_STR_LITERAL("fast")),
        PYWATT_OK);
    assert_true(pywatt_uuid_equal(pywatt_registration_id(registration), &id));
    assert_string_equal(pywatt_registration_token(registration), "second");
    assert_string_equal(pywatt_module_info_name(pywatt_registration_info(registration)), "sensor");
    assert_string_equal(pywatt_registration_orchestrator_host(registration), "127.0.0.1");
    assert_int_equal(pywatt_registration_orchestrator_port(registration), 65535);
    assert_string_equal(pywatt_string_map_get(pywatt_registration_env(registration), "MODE"),
                        "fast");
    pywatt_registration_release(registration);
}

static void empty_maps_read_as_none(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    registration->env = pywatt_string_map_new();
    registration->additional_data = pywatt_string_map_new();
    assert_null(pywatt_registration_env(registration));
    assert_null(pywatt_registration_additional_data(registration));
    pywatt_registration_release(registration);
}

static void accepts_its_bounds_and_nothing_over_them(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    const struct pw_str token = {text_of(PYWATT_TOKEN_MAX + 1), PYWATT_TOKEN_MAX};
    const struct pw_str long_token = {token.data, PYWATT_TOKEN_MAX + 1};
    const struct pw_str host = {text_of(PYWATT_HOST_MAX + 1), PYWATT_HOST_MAX};
    const struct pw_str long_host = {host.data, PYWATT_HOST_MAX + 1};
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("")), PYWATT_OK);
    assert_int_equal(pw_registration_set_token(registration, token), PYWATT_OK);
    assert_int_equal(pw_registration_set_token(registration, long_token), PYWATT_LIMIT);
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("\xff")),
                     PYWATT_INVALID_ARGUMENT);
    assert_string_equal(pywatt_registration_token(registration), text_of(PYWATT_TOKEN_MAX));
    assert_int_equal(pw_registration_set_host(registration, PW_STR_LITERAL("")), PYWATT_OK);
    assert_int_equal(pw_registration_set_host(registration, host), PYWATT_OK);
    assert_int_equal(pw_registration_set_host(registration, long_host), PYWATT_LIMIT);
    assert_int_equal(pw_registration_set_host(registration, PW_STR_LITERAL("a\0b")),
                     PYWATT_INVALID_ARGUMENT);
    assert_string_equal(pywatt_registration_orchestrator_host(registration),
                        text_of(PYWATT_HOST_MAX));
    pywatt_registration_release(registration);
}

static void reads_its_numbers_when_sealed(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    assert_int_equal(pw_registration_set_number(registration, PW_DATA_GENERATION, UINT64_MAX),
                     PYWATT_OK);
    assert_int_equal(pw_registration_set_number(registration, PW_DATA_LEASE_MS, 15000), PYWATT_OK);
    assert_int_equal(pw_registration_set_number(registration, PW_DATA_HEARTBEAT_INTERVAL_MS, 5000),
                     PYWATT_OK);
    assert_int_equal(pywatt_registration_generation(registration), 0);
    pw_registration_seal(registration);
    assert_true(pywatt_registration_generation(registration) == UINT64_MAX);
    assert_int_equal(pywatt_registration_lease_ms(registration), 15000);
    assert_int_equal(pywatt_registration_heartbeat_interval_ms(registration), 5000);
    const struct pywatt_string_map *data = pywatt_registration_additional_data(registration);
    assert_string_equal(pywatt_string_map_get(data, "generation"), "18446744073709551615");
    pywatt_registration_release(registration);
}

static void ignores_what_is_no_whole_number_of_the_range(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t expected;
    } values[] = {
        {"7", 7},
        {"\"7\"", 7},
        {"\"18446744073709551615\"", UINT64_MAX},
        {"18446744073709551616", 0},
        {"18446744073709551620", 0},
        {"99999999999999999999999", 0},
        {"-7", 0},
        {"7.5", 0},
        {"7e2", 0},
        {"null", 0},
        {"true", 0},
        {"\"\"", 0},
        {"\"x\"", 0},
        {"\" 7\"", 0},
        {"[7]", 0},
        {"{\"7\":7}", 0},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct pywatt_registration *registration = pw_registration_new();
        assert_int_equal(pw_string_map_put_json(&registration->additional_data,
                                                PW_STR_LITERAL(PW_DATA_LEASE_MS),
                                                pw_str_from(values[i].json)),
                         PYWATT_OK);
        pw_registration_seal(registration);
        assert_true(pywatt_registration_lease_ms(registration) == values[i].expected);
        pywatt_registration_release(registration);
    }
}

static void a_token_is_wiped_before_its_memory_is_given_back(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("secret one")),
                     PYWATT_OK);
    watch(pywatt_registration_token(registration));
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("secret two")),
                     PYWATT_OK);
    assert_true(watched_was_wiped);
    watch(pywatt_registration_token(registration));
    pywatt_registration_release(registration);
    assert_true(watched_was_wiped);
}

static void getters_take_null(void **state)
{
    (void)state;
    assert_null(pywatt_registration_acquire(NULL));
    pywatt_registration_release(NULL);
    assert_null(pywatt_registration_id(NULL));
    assert_null(pywatt_registration_token(NULL));
    assert_null(pywatt_registration_info(NULL));
    assert_null(pywatt_registration_orchestrator_host(NULL));
    assert_int_equal(pywatt_registration_orchestrator_port(NULL), 0);
    assert_null(pywatt_registration_env(NULL));
    assert_null(pywatt_registration_additional_data(NULL));
    assert_int_equal(pywatt_registration_generation(NULL), 0);
    assert_int_equal(pywatt_registration_lease_ms(NULL), 0);
    assert_int_equal(pywatt_registration_heartbeat_interval_ms(NULL), 0);
}

static void lives_until_the_last_reference_is_given_back(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("tok")), PYWATT_OK);
    assert_ptr_equal(pywatt_registration_acquire(registration), registration);
    pywatt_registration_release(registration);
    assert_string_equal(pywatt_registration_token(registration), "tok");
    pywatt_registration_release(registration);
}

/* Each thread owns one reference, takes and gives back more, reads, and gives back its own. */
static void *use_and_release(void *arg)
{
    struct pywatt_registration *registration = arg;
    uintptr_t wrong = 0;
    for (int i = 0; i < 500; i++) {
        struct pywatt_registration *again = pywatt_registration_acquire(registration);
        wrong += strcmp(pywatt_registration_token(again), "tok") != 0;
        pywatt_registration_release(again);
    }
    pywatt_registration_release(registration);
    return (void *)wrong;
}

static void many_threads_hold_it_and_the_last_one_frees_it(void **state)
{
    (void)state;
    struct pywatt_registration *registration = pw_registration_new();
    assert_int_equal(pw_registration_set_token(registration, PW_STR_LITERAL("tok")), PYWATT_OK);
    registration->info = sample_info();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pw_thread_start(&threads[i], "hold", use_and_release,
                                         pywatt_registration_acquire(registration)),
                         PYWATT_OK);
    }
    pywatt_registration_release(registration);
    for (int i = 0; i < 4; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_new_one_is_empty),
        cmocka_unit_test(gives_what_it_was_made_of),
        cmocka_unit_test(empty_maps_read_as_none),
        cmocka_unit_test(accepts_its_bounds_and_nothing_over_them),
        cmocka_unit_test(reads_its_numbers_when_sealed),
        cmocka_unit_test(ignores_what_is_no_whole_number_of_the_range),
        cmocka_unit_test(a_token_is_wiped_before_its_memory_is_given_back),
        cmocka_unit_test(getters_take_null),
        cmocka_unit_test(lives_until_the_last_reference_is_given_back),
        cmocka_unit_test(many_threads_hold_it_and_the_last_one_frees_it),
    };
    return PW_TEST_RUN(cases);
}
