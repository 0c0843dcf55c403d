/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The corpus of JSON texts, each as a capability that the application sets and as one in a request;
 * and what the scanner lets through beside another parser. One thread.
 */
#include "pw_test.h"

#include "json_cases.h"
#include "samples.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static struct pw_reader reader;

static int set_up(void **state)
{
    (void)state;
    pw_reader_init(&reader);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pw_reader_destroy(&reader);
    return 0;
}

static struct pw_span embedded(struct pw_span value)
{
    static const char before[] =
        "{\"content\":{\"request_type\":\"capabilities\","
        "\"module_id\":\"a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90\",\"token\":\"t\","
        "\"capabilities\":{\"endpoints\":[],\"additional_capabilities\":{\"v\":";
    static const char behind[] = "}}},\"metadata\":{}}";
    uint8_t *all = malloc(sizeof(before) + value.len + sizeof(behind));
    assert_non_null(all);
    memcpy(all, before, sizeof(before) - 1);
    memcpy(all + sizeof(before) - 1, value.data, value.len);
    memcpy(all + sizeof(before) - 1 + value.len, behind, sizeof(behind) - 1);
    struct pw_span whole = pw_copy_bytes(all, sizeof(before) + sizeof(behind) - 2 + value.len);
    free(all);
    return whole;
}

static char *terminated(struct pw_span text)
{
    char *copy = malloc(text.len + 1);
    assert_non_null(copy);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

static void must_be_kept(const char *name, struct pw_span text, void *user)
{
    (void)user;
    struct pw_span whole = embedded(text);
    const enum pywatt_status status = pw_read_request(&reader, pw_codec_by_name("json"), whole);
    if (strcmp(name, "array_depth_forty") == 0) {
        assert_int_equal(status, PYWATT_LIMIT);
    } else if (status != PYWATT_OK) {
        fail_msg("%s is refused: %s", name, reader.error.text);
    } else {
        /* What is kept is what the model makes of the value alone. */
        char *alone = terminated(text);
        struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
        assert_int_equal(pywatt_capabilities_set_capability(capabilities, "v", alone), PYWATT_OK);
        assert_true(pywatt_capabilities_equal(capabilities, reader.request.capabilities));
        pywatt_capabilities_free(capabilities);
        free(alone);
    }
    pw_free_bytes(whole);
}

static void must_not_be_taken(const char *name, struct pw_span text, void *user)
{
    (void)user;
    struct pw_span whole = embedded(text);
    if (pw_read_request(&reader, pw_codec_by_name("json"), whole) == PYWATT_OK) {
        fail_msg("%s is taken", name);
    }
    pw_free_bytes(whole);
}

/* `user` counts those that can be told as C strings. */
static void must_not_be_set(const char *name, struct pw_span text, void *user)
{
    if (memchr(text.data, 0, text.len) != NULL) {
        return;
    }
    char *alone = terminated(text);
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    const enum pywatt_status status = pywatt_capabilities_set_capability(capabilities, "v", alone);
    if (status != PYWATT_SERIALIZATION && status != PYWATT_LIMIT) {
        fail_msg("%s is set: %d", name, (int)status);
    }
    assert_null(pywatt_capabilities_additional(capabilities));
    pywatt_capabilities_free(capabilities);
    free(alone);
    ++*(size_t *)user;
}

static void keeps_every_value_that_is_json(void **state)
{
    (void)state;
    const size_t count = pw_json_cases("accept", must_be_kept, NULL);
    print_message("%zu values were set and read\n", count);
    assert_true(count >= 95);
}

static void takes_no_value_that_is_not_json(void **state)
{
    (void)state;
    size_t set = 0;
    const size_t count = pw_json_cases("reject", must_not_be_taken, NULL);
    pw_json_cases("reject", must_not_be_set, &set);
    print_message("%zu texts were no value of a request, %zu none of the model\n", count, set);
    assert_true(count >= 188);
    assert_true(set >= 188);
}

/* The scanner is never more lenient than cJSON: what it lets through, that parser can read. */
static void must_be_read_by_cjson(const char *name, struct pw_span text, void *user)
{
    (void)user;
    char *copy = terminated(text);
    cJSON *tree = cJSON_ParseWithLengthOpts(copy, text.len + 1, NULL, 1);
    if (tree == NULL) {
        fail_msg("cJSON does not read %s", name);
    }
    cJSON_Delete(tree);
    free(copy);
}

static void lets_nothing_through_that_another_parser_refuses(void **state)
{
    (void)state;
    pw_json_cases("accept", must_be_read_by_cjson, NULL);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(keeps_every_value_that_is_json),
        cmocka_unit_test(takes_no_value_that_is_not_json),
        cmocka_unit_test(lets_nothing_through_that_another_parser_refuses),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
