/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Each allocation of each operation of the model fails in turn: PYWATT_NO_MEMORY, nothing leaks, and
 * the object is what it was. One thread.
 */
#include "malloc_fail.h"
#include "model/capabilities.h"
#include "model/module_info.h"
#include "model/registration.h"
#include "model/string_map.h"
#include "model/text.h"
#include "model_samples.h"

/* What a scenario works on; made afresh for each failing allocation, with none made to fail. */
struct objects {
    struct pywatt_string_map *map;
    struct pywatt_module_info *info;
    struct pywatt_endpoint *endpoint;
    struct pywatt_capabilities *capabilities;
    struct pywatt_registration *registration;
    struct pywatt_string_map *full; /* no room left in its blocks */
};

static void make(struct objects *o)
{
    memset(o, 0, sizeof(*o));
    o->map = pywatt_string_map_new();
    o->info = sample_info();
    o->endpoint = sample_endpoint();
    o->capabilities = sample_capabilities();
    o->registration = pw_registration_new();
    assert_int_equal(pw_registration_set_token(o->registration, PW_STR_LITERAL("t")), PYWATT_OK);
    assert_int_equal(pw_registration_set_host(o->registration, PW_STR_LITERAL("h")), PYWATT_OK);
    assert_int_equal(pywatt_string_map_set(o->map, "a", "1"), PYWATT_OK);
    assert_int_equal(pywatt_string_map_set(o->map, "b", "2"), PYWATT_OK);
    assert_int_equal(pw_string_map_copy(o->map, &o->full), PYWATT_OK);
}

static void unmake(struct objects *o)
{
    pywatt_string_map_free(o->map);
    pywatt_string_map_free(o->full);
    pywatt_module_info_free(o->info);
    pywatt_endpoint_free(o->endpoint);
    pywatt_capabilities_free(o->capabilities);
    pywatt_registration_release(o->registration);
}

/* Compares with untouched objects. */
static void assert_unchanged(const struct objects *o)
{
    struct objects fresh;
    make(&fresh);
    assert_true(pywatt_string_map_equal(o->map, fresh.map));
    assert_true(pywatt_string_map_equal(o->full, fresh.full));
    assert_true(pywatt_module_info_equal(o->info, fresh.info));
    assert_true(pywatt_endpoint_equal(o->endpoint, fresh.endpoint));
    assert_true(pywatt_capabilities_equal(o->capabilities, fresh.capabilities));
    assert_string_equal(pywatt_registration_token(o->registration), "t");
    assert_string_equal(pywatt_registration_orchestrator_host(o->registration), "h");
    assert_null(pywatt_registration_additional_data(o->registration));
    unmake(&fresh);
}

static enum pywatt_status set_new_key(struct objects *o)
{
    return pywatt_string_map_set(o->full, "new", text_of(100));
}

static enum pywatt_status set_longer_value(struct objects *o)
{
    return pywatt_string_map_set(o->full, "a", text_of(100));
}

static enum pywatt_status fill_a_map(struct objects *o)
{
    (void)o;
    struct pywatt_string_map *map = pywatt_string_map_new();
    enum pywatt_status status = map == NULL ? PYWATT_NO_MEMORY : PYWATT_OK;
    for (unsigned i = 0; status == PYWATT_OK && i < 20; i++) {
        status = pywatt_string_map_set(map, numbered("k", i), text_of(i));
    }
    pywatt_string_map_free(map);
    return status;
}

static enum pywatt_status assign_larger(struct objects *o)
{
    struct pywatt_string_map *larger = NULL;
    pw_malloc_fail_pause();
    larger = pywatt_string_map_new();
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(pywatt_string_map_set(larger, numbered("k", i), text_of(i)), PYWATT_OK);
    }
    pw_malloc_fail_resume();
    const enum pywatt_status status = pw_string_map_assign(o->map, larger);
    pywatt_string_map_free(larger);
    return status;
}

static enum pywatt_status copy_map(struct objects *o)
{
    struct pywatt_string_map *copy = NULL;
    const enum pywatt_status status = pw_string_map_copy(o->map, &copy);
    pywatt_string_map_free(copy);
    return status;
}

static enum pywatt_status set_small_json(struct objects *o)
{
    return pywatt_capabilities_set_capability(o->capabilities, "new", "[1, 2]");
}

static enum pywatt_status set_large_json(struct objects *o)
{
    static char text[1001];
    memset(text, ' ', sizeof(text) - 1);
    memcpy(text, "[[[[]]]]", 8);
    return pywatt_capabilities_set_capability(o->capabilities, "gpu", text);
}

static enum pywatt_status make_info(struct objects *o)
{
    (void)o;
    struct pywatt_module_info *info = NULL;
    enum pywatt_status status = pywatt_module_info_new("n", "v", "d", &info);
    if (status == PYWATT_OK) {
        status = pywatt_module_info_set_metadata(info, "k", "v");
        assert_int_equal(status == PYWATT_OK, pywatt_module_info_metadata(info) != NULL);
    } else {
        assert_null(info);
    }
    pywatt_module_info_free(info);
    return status;
}

static enum pywatt_status copy_info(struct objects *o)
{
    struct pywatt_module_info *copy = NULL;
    const enum pywatt_status status = pywatt_module_info_copy(o->info, &copy);
    pywatt_module_info_free(copy);
    return status;
}

static enum pywatt_status make_endpoint(struct objects *o)
{
    (void)o;
    struct pywatt_endpoint *endpoint = NULL;
    const char *methods[] = {"GET", "A METHOD OF THIRTY-TWO LETTERS..", "X", "Y", "Z"};
    const enum pywatt_status status = pywatt_endpoint_new("/p", methods, 5, &endpoint);
    assert_int_equal(status == PYWATT_OK, endpoint != NULL);
    pywatt_endpoint_free(endpoint);
    return status;
}

static enum pywatt_status copy_endpoint(struct objects *o)
{
    struct pywatt_endpoint *copy = NULL;
    const enum pywatt_status status = pywatt_endpoint_copy(o->endpoint, &copy);
    pywatt_endpoint_free(copy);
    return status;
}

static enum pywatt_status set_auth(struct objects *o)
{
    return pywatt_endpoint_set_auth(o->endpoint, "Basic");
}

static enum pywatt_status add_many_endpoints(struct objects *o)
{
    struct pywatt_capabilities *copy = NULL;
    enum pywatt_status status = pywatt_capabilities_copy(o->capabilities, &copy);
    for (int i = 0; status == PYWATT_OK && i < 6; i++) {
        const size_t count = pywatt_capabilities_endpoint_count(copy);
        status = pywatt_capabilities_add_endpoint(copy, o->endpoint);
        if (status == PYWATT_OK) {
            status = pywatt_capabilities_add_http_endpoint(copy, "/p", NULL, 0);
        }
        if (status == PYWATT_OK) {
            assert_int_equal(pywatt_capabilities_endpoint_count(copy), count + 2);
        }
    }
    pywatt_capabilities_free(copy);
    return status;
}

static enum pywatt_status add_one_endpoint(struct objects *o)
{
    struct pywatt_capabilities *empty = pywatt_capabilities_new();
    if (empty == NULL) {
        return PYWATT_NO_MEMORY;
    }
    const enum pywatt_status status = pywatt_capabilities_add_endpoint(empty, o->endpoint);
    assert_int_equal(pywatt_capabilities_endpoint_count(empty), status == PYWATT_OK);
    pywatt_capabilities_free(empty);
    return status;
}

static enum pywatt_status add_long_message_type(struct objects *o)
{
    return pywatt_capabilities_add_message_type(o->capabilities, text_of(200));
}

static enum pywatt_status set_token(struct objects *o)
{
    return pw_registration_set_token(o->registration, PW_STR_LITERAL("another"));
}

static enum pywatt_status set_host(struct objects *o)
{
    return pw_registration_set_host(o->registration, PW_STR_LITERAL("another"));
}

static enum pywatt_status set_number(struct objects *o)
{
    return pw_registration_set_number(o->registration, "n", 7);
}

static enum pywatt_status make_registration(struct objects *o)
{
    (void)o;
    struct pywatt_registration *registration = pw_registration_new();
    pywatt_registration_release(registration);
    return registration == NULL ? PYWATT_NO_MEMORY : PYWATT_OK;
}

static void every_failed_allocation_leaves_the_objects_as_they_were(void **state)
{
    (void)state;
    static enum pywatt_status (*const scenarios[])(struct objects *) = {
        set_new_key,
        set_longer_value,
        fill_a_map,
        assign_larger,
        copy_map,
        set_small_json,
        set_large_json,
        make_info,
        copy_info,
        make_endpoint,
        copy_endpoint,
        set_auth,
        add_many_endpoints,
        add_one_endpoint,
        set_token,
        set_host,
        set_number,
        make_registration,
        add_long_message_type,
    };
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        bool failed = true;
        for (unsigned long n = 1; failed; n++) {
            struct objects objects;
            make(&objects);
            pw_malloc_fail_at(n);
            const enum pywatt_status status = scenarios[i](&objects);
            failed = pw_malloc_fail_disarm();
            if (status != (failed ? PYWATT_NO_MEMORY : PYWATT_OK)) {
                fail_msg("scenario %zu, allocation %lu: %s", i, n, pywatt_status_name(status));
            }
            if (failed) {
                assert_unchanged(&objects);
            }
            assert_true(failed || n > 1);
            unmake(&objects);
        }
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_failed_allocation_leaves_the_objects_as_they_were),
    };
    return PW_TEST_RUN(cases);
}
