/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How JSON requests are read: both spellings, null for absent, unknown fields, ids, wrong types, and
 * that errors name the field. One thread.
 */
#include "pw_test.h"

#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

#define ID_1 "11111111-1111-4111-8111-111111111111"
#define ID_2 "22222222-2222-4222-8222-222222222222"
#define MODULE "a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90"

#define ENVELOPE(content) \
    "{\"id\":\"" ID_1 "\",\"content\":{" content "},\"metadata\":{\"id\":\"" ID_2 "\"}}"
#define BEAT "\"request_type\":\"heartbeat\",\"module_id\":\"" MODULE "\",\"token\":\"t\""
#define CAPABILITIES \
    "\"request_type\":\"capabilities\",\"module_id\":\"" MODULE "\",\"token\":\"t\""
#define INFO "\"name\":\"n\",\"version\":\"v\",\"description\":\"d\""

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

static void expect(const char *json)
{
    if (pw_read_request_text(&reader, json) != PYWATT_OK) {
        fail_msg("%s: %s", json, reader.error.text);
    }
    assert_true(reader.recognised);
}

static void expect_refused(const char *json, enum pywatt_status status, bool recognised,
                           const char *place)
{
    reader.error.text[0] = '\0';
    const enum pywatt_status got = pw_read_request_text(&reader, json);
    if (got != status || reader.error.status != status) {
        fail_msg("%s: status %d, not %d: %s", json, (int)got, (int)status, reader.error.text);
    }
    if (strncmp(reader.error.text, place, strlen(place)) != 0) {
        fail_msg("%s: \"%s\" does not begin with %s", json, reader.error.text, place);
    }
    assert_int_equal(reader.recognised, recognised);
    assert_false(pw_has_forbidden_word(reader.error.text));
    assert_null(reader.request.info);
    assert_null(reader.request.capabilities);
    assert_null(reader.request.details);
}

static void expect_wrong(const char *json, const char *place)
{
    expect_refused(json, PYWATT_SERIALIZATION, true, place);
}

/* ---- Spellings ---------------------------------------------------------------------------- */

static void reads_both_names_of_each_operation(void **state)
{
    (void)state;
    expect(ENVELOPE("\"request_type\":\"register\",\"module_info\":{" INFO "}"));
    assert_int_equal(reader.request.operation, PW_OP_REGISTER);
    expect(ENVELOPE("\"request_type\":\"registration\",\"module_info\":{" INFO "}"));
    assert_int_equal(reader.request.operation, PW_OP_REGISTER);
    expect(
        ENVELOPE("\"request_type\":\"unregister\",\"module_id\":\"" MODULE "\",\"token\":\"t\""));
    assert_int_equal(reader.request.operation, PW_OP_UNREGISTER);
    expect(ENVELOPE("\"request_type\":\"unregistration\",\"module_id\":\"" MODULE
                    "\",\"token\":\"t\""));
    assert_int_equal(reader.request.operation, PW_OP_UNREGISTER);
}

static void reads_a_status_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum pywatt_health health;
    } words[] = {
        {"Healthy", PYWATT_HEALTHY},     {"healthy", PYWATT_HEALTHY},
        {"DEGRADED", PYWATT_DEGRADED},   {"degraded", PYWATT_DEGRADED},
        {"Unhealthy", PYWATT_UNHEALTHY}, {"uNHEALTHy", PYWATT_UNHEALTHY},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char json[512];
        snprintf(json, sizeof(json), ENVELOPE(BEAT ",\"status\":\"%s\""), words[i].word);
        expect(json);
        assert_int_equal(reader.request.health, words[i].health);
    }
    expect_wrong(ENVELOPE(BEAT ",\"status\":\"fine\""), "content.status");
    expect_wrong(ENVELOPE(BEAT ",\"status\":\"\""), "content.status");
    expect_wrong(ENVELOPE(BEAT ",\"status\":\"Healthy \""), "content.status");
}

static void takes_null_for_absent_everywhere(void **state)
{
    (void)state;
    expect("{\"id\":\"" ID_1 "\",\"content\":{\"request_type\":\"registration\",\"token\":null,"
           "\"module_info\":{" INFO ",\"id\":null,\"metadata\":null},\"status\":null},"
           "\"metadata\":{\"id\":null,\"timestamp\":null}}");
    assert_null(pywatt_module_info_id(reader.request.info));
    assert_null(pywatt_module_info_metadata(reader.request.info));
    assert_int_equal(reader.request.token.len, 0);
    expect("{\"id\":\"" ID_1 "\",\"content\":{" BEAT ",\"status\":\"healthy\",\"details\":null,"
           "\"generation\":null},\"metadata\":null}");
    assert_null(reader.request.details);
    assert_int_equal(reader.request.generation, 0);
    expect(ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":[{\"path\":\"/\",\"methods\":[],"
                                 "\"auth\":null,\"metadata\":null}],\"message_types\":null,"
                                 "\"additional_capabilities\":null}"));
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":null"),
                 "content.capabilities is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"heartbeat\",\"module_id\":null,\"token\":\"t\""),
                 "content.module_id is missing");
}

static void ignores_fields_that_it_does_not_know(void **state)
{
    (void)state;
    expect("{\"x\":[{\"id\":1}],\"id\":\"" ID_1 "\",\"content\":{\"y\":{\"token\":7}," BEAT
           ",\"Token\":1,\"status\":\"Healthy\",\"z\":[]},\"metadata\":{\"id\":\"" ID_2
           "\",\"properties\":{\"a\":[1]},\"timestamp\":17}}");
    assert_true(pw_str_equal(reader.request.token, PW_STR_LITERAL("t")));
}

static void reads_escaped_keys_and_values(void **state)
{
    (void)state;
    expect("{\"\\u0069d\":\"" ID_1
           "\",\"c\\u006fntent\":{\"request\\u005Ftype\":\"heart\\u0062eat\","
           "\"module_id\":\"\\u00613b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90\",\"token\":\"a\\\"b\\n\","
           "\"status\":\"\\u0048ealthy\",\"details\":{\"k\\u00e9\":\"v\\ud83d\\ude00\"}}}");
    assert_true(pw_str_equal(reader.request.token, PW_STR_LITERAL("a\"b\n")));
    assert_string_equal(pywatt_string_map_get(reader.request.details, "k\xc3\xa9"),
                        "v\xf0\x9f\x98\x80");
    char text[PYWATT_UUID_TEXT_SIZE];
    pywatt_uuid_format(&reader.request.module_id, text);
    assert_string_equal(text, MODULE);
    /* A long key that is no name of ours is not unescaped at all. */
    expect(
        "{\"content\":{\"\\u0061_very_long_key_that_is_nothing_of_ours_but_goes_on_and_on_and_on_"
        "and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on\":0," BEAT
        ",\"status\":\"Healthy\"}}");
}

static void reads_fields_in_any_order(void **state)
{
    (void)state;
    expect("{\"metadata\":{\"id\":\"" ID_2
           "\"},\"content\":{\"status\":\"Degraded\",\"token\":\"t\","
           "\"details\":{\"a\":\"b\"},\"module_id\":\"" MODULE
           "\",\"request_type\":\"heartbeat\"},\"id\":\"" ID_1 "\"}");
    assert_int_equal(reader.request.health, PYWATT_DEGRADED);
}

/* ---- Ids ---------------------------------------------------------------------------------- */

static void expect_id(const char *json, const char *id)
{
    expect(json);
    assert_int_equal(reader.request.has_request_id, id != NULL);
    if (id != NULL) {
        char text[PYWATT_UUID_TEXT_SIZE];
        pywatt_uuid_format(&reader.request.request_id, text);
        assert_string_equal(text, id);
    }
}

#define BEAT_CONTENT "\"content\":{" BEAT ",\"status\":\"Healthy\"}"

static void takes_the_id_of_the_metadata_before_the_outer_one(void **state)
{
    (void)state;
    expect_id(ENVELOPE(BEAT ",\"status\":\"Healthy\""), ID_2);
    expect_id("{\"id\":\"" ID_1 "\"," BEAT_CONTENT ",\"metadata\":{\"id\":null}}", ID_1);
    expect_id("{\"id\":\"" ID_1 "\"," BEAT_CONTENT ",\"metadata\":{}}", ID_1);
    expect_id("{\"id\":\"" ID_1 "\"," BEAT_CONTENT "}", ID_1);
    expect_id("{" BEAT_CONTENT "}", NULL);
}

static void takes_an_id_that_is_no_uuid_for_none(void **state)
{
    (void)state;
    expect_id("{\"id\":\"17\"," BEAT_CONTENT "}", NULL);
    expect_id("{\"id\":\"\"," BEAT_CONTENT "}", NULL);
    expect_id("{\"id\":\"" ID_1 "\"," BEAT_CONTENT ",\"metadata\":{\"id\":\"req-1\"}}", NULL);
}

static void refuses_an_id_or_metadata_of_another_type(void **state)
{
    (void)state;
    expect_wrong("{\"id\":17," BEAT_CONTENT "}", "id must be a string");
    expect_wrong("{\"id\":\"" ID_1 "\"," BEAT_CONTENT ",\"metadata\":[]}",
                 "metadata must be an object");
    expect_wrong("{" BEAT_CONTENT ",\"metadata\":{\"id\":{}}}", "metadata.id must be a string");
}

/* ---- What is no request of ours ------------------------------------------------------------ */

static void does_not_recognise_what_is_no_request(void **state)
{
    (void)state;
    expect_refused("{}", PYWATT_UNSUPPORTED, false, "the message has no content");
    expect_refused("{\"content\":null}", PYWATT_UNSUPPORTED, false, "the message has no content");
    expect_refused("{\"content\":\"x\"}", PYWATT_UNSUPPORTED, false, "the message has no content");
    expect_refused("{\"id\":\"" ID_1 "\",\"content\":{\"identify\":\"module\"},\"metadata\":{}}",
                   PYWATT_UNSUPPORTED, false, "content.request_type is missing");
    expect_refused("{\"content\":{\"request_type\":null}}", PYWATT_UNSUPPORTED, false,
                   "content.request_type is missing");
    expect_refused("{\"content\":{\"request_type\":\"reboot\"}}", PYWATT_UNSUPPORTED, false,
                   "content.request_type");
    expect_refused("{\"content\":{\"request_type\":\"Heartbeat\"}}", PYWATT_UNSUPPORTED, false,
                   "content.request_type");
    expect_refused("{\"content\":{\"request_type\":7}}", PYWATT_SERIALIZATION, false,
                   "content.request_type must be a string");
    expect_refused("[]", PYWATT_SERIALIZATION, false, "the message is no JSON object");
    expect_refused("null", PYWATT_SERIALIZATION, false, "the message is no JSON object");
    expect_refused("{\"content\":{" BEAT ",\"status\":\"Healthy\"}", PYWATT_SERIALIZATION, false,
                   "JSON, byte");
}

static void keeps_operation_and_id_for_the_error_reply(void **state)
{
    (void)state;
    expect_wrong(ENVELOPE(BEAT), "content.status is missing");
    assert_int_equal(reader.request.operation, PW_OP_HEARTBEAT);
    assert_true(reader.request.has_request_id);
    expect_wrong(ENVELOPE("\"request_type\":\"capabilities\",\"module_id\":\"" MODULE
                          "\",\"token\":\"t\",\"capabilities\":{\"endpoints\":[{}]}"),
                 "content.capabilities.endpoints[0].path is missing");
    assert_int_equal(reader.request.operation, PW_OP_CAPABILITIES);
    assert_true(reader.request.has_request_id);
    assert_int_equal(reader.request.token.len, 0);
}

/* ---- Wrong fields ------------------------------------------------------------------------- */

static void names_a_field_that_is_missing(void **state)
{
    (void)state;
    expect_wrong(ENVELOPE("\"request_type\":\"heartbeat\",\"token\":\"t\",\"status\":\"Healthy\""),
                 "content.module_id is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"heartbeat\",\"module_id\":\"" MODULE "\""),
                 "content.token is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"unregister\",\"module_id\":\"" MODULE "\""),
                 "content.token is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"register\""), "content.module_info is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{}"),
                 "content.module_info.name is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{\"name\":\"n\"}"),
                 "content.module_info.version is missing");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{\"name\":\"n\","
                          "\"version\":\"\"}"),
                 "content.module_info.description is missing");
    expect_wrong(ENVELOPE(CAPABILITIES), "content.capabilities is missing");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":{}"),
                 "content.capabilities.endpoints is missing");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":[{\"path\":\"/\"}]}"),
                 "content.capabilities.endpoints[0].methods is missing");
}

static void names_a_field_of_the_wrong_type(void **state)
{
    (void)state;
    expect_wrong(ENVELOPE("\"request_type\":\"heartbeat\",\"module_id\":5"),
                 "content.module_id must be a string");
    expect_wrong(ENVELOPE("\"request_type\":\"heartbeat\",\"module_id\":\"5\""),
                 "content.module_id is no UUID");
    expect_wrong(
        ENVELOPE("\"request_type\":\"heartbeat\",\"module_id\":\"" MODULE "\",\"token\":[\"t\"]"),
        "content.token must be a string");
    expect_wrong(ENVELOPE(BEAT ",\"status\":1"), "content.status must be a string");
    expect_wrong(ENVELOPE(BEAT ",\"status\":\"Healthy\",\"details\":[]"),
                 "content.details must be an object");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":\"n\""),
                 "content.module_info must be an object");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{\"name\":1}"),
                 "content.module_info.name must be a string");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{" INFO ",\"id\":\"x\"}"),
                 "content.module_info.id is no UUID");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{" INFO ",\"id\":"
                          "\"00000000-0000-0000-0000-000000000000\"}"),
                 "content.module_info.id must not be nil");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"token\":1,\"module_info\":{" INFO "}"),
                 "content.token must be a string");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":[]"),
                 "content.capabilities must be an object");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":{}}"),
                 "content.capabilities.endpoints must be an array");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":[1]}"),
                 "content.capabilities.endpoints[0] must be an object");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":[],"
                                       "\"message_types\":[\"a\",null]}"),
                 "content.capabilities.message_types[1] must be a string");
    expect_wrong(ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":[],"
                                       "\"additional_capabilities\":[]}"),
                 "content.capabilities.additional_capabilities must be an object");
}

static void names_the_item_that_is_wrong(void **state)
{
    (void)state;
    expect_wrong(ENVELOPE(BEAT ",\"status\":\"Healthy\",\"details\":{\"a\":\"b\",\"author\":1}"),
                 "content.details[1] must be a string");
    expect_wrong(ENVELOPE(BEAT ",\"status\":\"Healthy\",\"details\":{\"rejected\":null}"),
                 "content.details[0] must be a string");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{" INFO
                          ",\"metadata\":{\"a\":\"b\",\"c\":\"d\",\"e\":true}}"),
                 "content.module_info.metadata[2] must be a string");
#define ENDPOINTS(more)                                                                 \
    ENVELOPE(CAPABILITIES                                                               \
             ",\"capabilities\":{\"endpoints\":[{\"path\":\"/\",\"methods\":[\"GET\"]}" \
             ",{\"path\":\"/\",\"methods\":[" more "]}")
    expect_wrong(ENDPOINTS("\"GET\",7]}"),
                 "content.capabilities.endpoints[1].methods[1] must be a string");
    expect_wrong(ENDPOINTS("\"\"]}"),
                 "content.capabilities.endpoints[1].methods[0] must not be empty");
    expect_wrong(ENDPOINTS("],\"auth\":{}}"),
                 "content.capabilities.endpoints[1].scheme must be a string");
    expect_wrong(ENDPOINTS("],\"metadata\":{\"k\":[]}}"),
                 "content.capabilities.endpoints[1].metadata[0] must be a string");
    expect_wrong(
        ENVELOPE(CAPABILITIES ",\"capabilities\":{\"endpoints\":[{\"path\":\"\",\"methods\":[]}]}"),
        "content.capabilities.endpoints[0].path must not be empty");
}

static void refuses_empty_texts_where_there_must_be_one(void **state)
{
    (void)state;
    expect_wrong(
        ENVELOPE("\"request_type\":\"unregister\",\"module_id\":\"" MODULE "\",\"token\":\"\""),
        "content.token must not be empty");
    expect_wrong(ENVELOPE("\"request_type\":\"register\",\"module_info\":{\"name\":\"\","
                          "\"version\":\"\",\"description\":\"\"}"),
                 "content.module_info.name must not be empty");
}

static void expect_over_limit(const char *before, const char *unit, size_t times,
                              const char *behind, const char *place)
{
    const size_t len = strlen(unit);
    char *json = malloc(strlen(before) + len * times + strlen(behind) + 1);
    assert_non_null(json);
    strcpy(json, before);
    char *at = json + strlen(before);
    for (size_t i = 0; i < times; i++) {
        memcpy(at, unit, len);
        at += len;
    }
    strcpy(at, behind);
    expect_refused(json, PYWATT_LIMIT, true, place);
    free(json);
}

static void names_the_bound_that_is_exceeded(void **state)
{
    (void)state;
#define OPEN "{\"content\":{"
    expect_over_limit(OPEN "\"request_type\":\"unregister\",\"module_id\":\"" MODULE
                           "\",\"token\":\"",
                      "t", PYWATT_TOKEN_MAX + 1, "\"}}", "content.token");
    expect_over_limit(OPEN "\"request_type\":\"register\",\"token\":\"", "t", PYWATT_TOKEN_MAX + 1,
                      "\",\"module_info\":{" INFO "}}}", "content.token");
    expect_over_limit(OPEN "\"request_type\":\"register\",\"module_info\":{\"version\":\"\","
                           "\"description\":\"\",\"name\":\"",
                      "n", PYWATT_NAME_MAX + 1, "\"}}}", "content.module_info.name");
    expect_over_limit(OPEN "\"request_type\":\"register\",\"module_info\":{\"name\":\"n\","
                           "\"description\":\"\",\"version\":\"",
                      "n", PYWATT_VERSION_MAX + 1, "\"}}}", "content.module_info.version");
    expect_over_limit(OPEN "\"request_type\":\"register\",\"module_info\":{\"name\":\"n\","
                           "\"version\":\"\",\"description\":\"",
                      "n", PYWATT_DESCRIPTION_MAX + 1, "\"}}}", "content.module_info.description");
    expect_over_limit(OPEN BEAT ",\"status\":\"Healthy\",\"details\":{\"k\":\"", "v",
                      PYWATT_VALUE_MAX + 1, "\"}}}", "content.details[0]");
    expect_over_limit(OPEN BEAT ",\"status\":\"Healthy\",\"details\":{\"", "k", PYWATT_KEY_MAX + 1,
                      "\":\"v\"}}}", "content.details[0]");
    expect_over_limit(OPEN CAPABILITIES ",\"capabilities\":{\"endpoints\":[{\"path\":\"", "/",
                      PYWATT_PATH_MAX + 1, "\",\"methods\":[]}]}}}",
                      "content.capabilities.endpoints[0].path");
    expect_over_limit(OPEN CAPABILITIES ",\"capabilities\":{\"endpoints\":[{\"path\":\"/\","
                                        "\"methods\":[\"M\"",
                      ",\"M\"", PYWATT_METHODS_MAX, "]}]}}}",
                      "content.capabilities.endpoints[0].methods[32]");
    expect_over_limit(OPEN CAPABILITIES ",\"capabilities\":{\"endpoints\":["
                                        "{\"path\":\"/\",\"methods\":[]}",
                      ",{\"path\":\"/\",\"methods\":[]}", PYWATT_ENDPOINTS_MAX, "]}}}",
                      "content.capabilities.endpoints[256]");
    expect_over_limit(
        OPEN CAPABILITIES ",\"capabilities\":{\"endpoints\":[],\"message_types\":[\"m\"", ",\"m\"",
        PYWATT_MESSAGE_TYPES_MAX, "]}}}", "content.capabilities.message_types[256]");
    expect_over_limit(OPEN CAPABILITIES ",\"capabilities\":{\"endpoints\":[],"
                                        "\"additional_capabilities\":{\"v\":\"",
                      "s", PYWATT_JSON_VALUE_MAX, "\"}}}}",
                      "content.capabilities.additional_capabilities[0]");
    expect_over_limit(OPEN CAPABILITIES ",\"capabilities\":{\"endpoints\":[],"
                                        "\"additional_capabilities\":{\"a\":1,\"v\":",
                      "[", PYWATT_JSON_DEPTH_MAX + 1, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}}}",
                      "content.capabilities.additional_capabilities[1]");
}

static void refuses_more_entries_than_a_map_takes(void **state)
{
    (void)state;
    char json[8192] = OPEN BEAT ",\"status\":\"Healthy\",\"details\":{";
    for (int i = 0; i <= PYWATT_MAP_ITEMS_MAX; i++) {
        char entry[32];
        snprintf(entry, sizeof(entry), "%s\"k%d\":\"v\"", i ? "," : "", i);
        strcat(json, entry);
    }
    strcat(json, "}}}");
    expect_refused(json, PYWATT_LIMIT, true, "content.details[128]");
}

static void reads_generations_as_numbers_and_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"18446744073709551615", UINT64_MAX},
        {"\"9007199254740993\"", UINT64_C(9007199254740993)},
        {"\"18446744073709551615\"", UINT64_MAX},
        {"\"007\"", 7},
    };
    static const char *const bad[] = {"-1",
                                      "1.0",
                                      "1e3",
                                      "18446744073709551616",
                                      "true",
                                      "[]",
                                      "\"\"",
                                      "\"-1\"",
                                      "\"1.5\"",
                                      "\" 1\"",
                                      "\"0x1\"",
                                      "-0",
                                      "\"18446744073709551616\"",
                                      "99999999999999999999999"};
    char json[512];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(json, sizeof(json), ENVELOPE(BEAT ",\"status\":\"Healthy\",\"generation\":%s"),
                 good[i].text);
        expect(json);
        assert_true(reader.request.generation == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(json, sizeof(json), ENVELOPE(BEAT ",\"status\":\"Healthy\",\"generation\":%s"),
                 bad[i]);
        expect_wrong(json, "content.generation must be");
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_both_names_of_each_operation),
        cmocka_unit_test(reads_a_status_in_any_case),
        cmocka_unit_test(takes_null_for_absent_everywhere),
        cmocka_unit_test(ignores_fields_that_it_does_not_know),
        cmocka_unit_test(reads_escaped_keys_and_values),
        cmocka_unit_test(reads_fields_in_any_order),
        cmocka_unit_test(takes_the_id_of_the_metadata_before_the_outer_one),
        cmocka_unit_test(takes_an_id_that_is_no_uuid_for_none),
        cmocka_unit_test(refuses_an_id_or_metadata_of_another_type),
        cmocka_unit_test(does_not_recognise_what_is_no_request),
        cmocka_unit_test(keeps_operation_and_id_for_the_error_reply),
        cmocka_unit_test(names_a_field_that_is_missing),
        cmocka_unit_test(names_a_field_of_the_wrong_type),
        cmocka_unit_test(names_the_item_that_is_wrong),
        cmocka_unit_test(refuses_empty_texts_where_there_must_be_one),
        cmocka_unit_test(names_the_bound_that_is_exceeded),
        cmocka_unit_test(refuses_more_entries_than_a_map_takes),
        cmocka_unit_test(reads_generations_as_numbers_and_as_text),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
