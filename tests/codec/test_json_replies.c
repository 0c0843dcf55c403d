/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How JSON replies are read, from our own orchestrator and from others: bare and enveloped, both
 * spellings, with and without request id and error code; how the id is found without reading the
 * rest; how values of any type are spelled in the Python form. One thread.
 */
#include "pw_test.h"

#include "model/registration.h"
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

#define ID "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34"
#define OTHER_ID "11111111-1111-4111-8111-111111111111"
#define MODULE "a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90"
#define INFO "{\"name\":\"n\",\"version\":\"v\",\"description\":\"d\"}"
#define WHOLE_MODULE                                                                       \
    "\"info\":" INFO ",\"id\":\"" MODULE "\",\"token\":\"t\",\"orchestrator_host\":\"h\"," \
    "\"orchestrator_port\":1"
#define REGISTERED(module) \
    "{\"response_type\":\"register\",\"success\":true,\"module\":{" module "}}"

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
    if (pw_read_response_text(&reader, json) != PYWATT_OK) {
        fail_msg("%s: %s", json, reader.error.text);
    }
}

static void expect_wrong(const char *json, const char *place)
{
    const enum pywatt_status status = pw_read_response_text(&reader, json);
    if (status != PYWATT_SERIALIZATION || strncmp(reader.error.text, place, strlen(place)) != 0) {
        fail_msg("%s: %d, %s", json, (int)status, reader.error.text);
    }
    assert_false(pw_has_forbidden_word(reader.error.text));
    assert_null(reader.response.registration);
}

/* ---- Peers -------------------------------------------------------------------------------- */

static void reads_the_bare_replies_of_a_rust_peer(void **state)
{
    (void)state;
    expect("{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Degraded\"}");
    assert_int_equal(reader.response.operation, PW_OP_HEARTBEAT);
    assert_true(reader.response.success);
    assert_int_equal(reader.response.status, PYWATT_OK);
    assert_int_equal(reader.response.health, PYWATT_DEGRADED);
    assert_false(reader.response.has_request_id);
    expect("{\"response_type\":\"unregister\",\"success\":true}");
    assert_int_equal(reader.response.operation, PW_OP_UNREGISTER);
    expect(REGISTERED(WHOLE_MODULE));
    assert_string_equal(pywatt_registration_token(reader.response.registration), "t");
}

static void reads_the_enveloped_replies_of_a_python_peer(void **state)
{
    (void)state;
    expect("{\"id\": \"" OTHER_ID
           "\", \"content\": {\"response_type\": \"heartbeat\", \"success\": "
           "true, \"error\": null, \"status\": \"unhealthy\", \"context\": null}, \"metadata\": "
           "{\"id\": \"" OTHER_ID "\"}}");
    assert_int_equal(reader.response.health, PYWATT_UNHEALTHY);
    /* Ids of the envelope are the peer's own: they say nothing about our request. */
    assert_false(reader.response.has_request_id);
    expect(
        "{\"id\": \"x\", \"content\": {\"response_type\": \"unregistration\", \"success\": true},"
        " \"metadata\": {}}");
    assert_int_equal(reader.response.operation, PW_OP_UNREGISTER);
    expect("{\"content\": {\"response_type\": \"registration\", \"success\": false, \"error\": "
           "\"Module name 'x' is already taken\", \"module\": null}}");
    assert_int_equal(reader.response.operation, PW_OP_REGISTER);
    assert_int_equal(reader.response.status, PYWATT_NAME_TAKEN);
}

static void takes_a_reply_with_a_type_for_bare_whatever_else_it_has(void **state)
{
    (void)state;
    expect("{\"content\":{\"response_type\":\"heartbeat\"},\"response_type\":\"unregister\","
           "\"success\":true}");
    assert_int_equal(reader.response.operation, PW_OP_UNREGISTER);
}

static void finds_the_status_in_the_words_where_there_is_no_code(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        enum pywatt_status status;
    } cases[] = {
        {"\"Invalid token\"", PYWATT_INVALID_TOKEN},
        {"\"Module not found: " MODULE "\"", PYWATT_MODULE_NOT_FOUND},
        {"\"Authentication failed: no\"", PYWATT_AUTHENTICATION_FAILED},
        {"\"whatever\"", PYWATT_REJECTED},
        {"null", PYWATT_REJECTED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{\"response_type\":\"capabilities\",\"success\":false,\"error\":%s}",
                 cases[i].error);
        expect(json);
        assert_false(reader.response.success);
        assert_int_equal(reader.response.status, cases[i].status);
    }
}

static void believes_the_code_before_the_words(void **state)
{
    (void)state;
    expect("{\"response_type\":\"unregister\",\"success\":false,\"error\":\"Invalid token\","
           "\"error_code\":\"unavailable\"}");
    assert_int_equal(reader.response.status, PYWATT_UNAVAILABLE);
    assert_true(pw_str_equal(reader.response.error, PW_STR_LITERAL("Invalid token")));
    expect("{\"response_type\":\"unregister\",\"success\":false,\"error_code\":\"brand_new\"}");
    assert_int_equal(reader.response.status, PYWATT_REJECTED);
    expect("{\"response_type\":\"unregister\",\"success\":false,\"error_code\":\"ok\"}");
    assert_int_equal(reader.response.status, PYWATT_REJECTED);
}

static void ignores_errors_and_unknown_fields_of_a_success(void **state)
{
    (void)state;
    expect("{\"response_type\":\"unregister\",\"success\":true,\"error\":17,\"x\":{\"y\":[]},"
           "\"additional_data\":{\"lease_ms\":1}}");
    assert_int_equal(reader.response.status, PYWATT_OK);
    assert_int_equal(reader.response.error.len, 0);
}

static void forgives_a_failed_beat_without_a_status(void **state)
{
    (void)state;
    expect("{\"response_type\":\"heartbeat\",\"success\":false,\"error\":\"Invalid token\"}");
    assert_int_equal(reader.response.status, PYWATT_INVALID_TOKEN);
    expect_wrong("{\"response_type\":\"heartbeat\",\"success\":true}", "status is missing");
}

static void reads_numbers_of_the_additional_data(void **state)
{
    (void)state;
    expect(REGISTERED(WHOLE_MODULE ",\"env\":{\"A\":\"b\"},\"additional_data\":{\"lease_ms\":1500,"
                                   "\"generation\": \"7\", \"any\" : [ 1.50 , null ]}"));
    const struct pywatt_registration *registration = reader.response.registration;
    assert_int_equal(pywatt_registration_lease_ms(registration), 1500);
    assert_int_equal(pywatt_registration_generation(registration), 7);
    assert_string_equal(
        pywatt_string_map_get(pywatt_registration_additional_data(registration), "any"),
        "[1.50,null]");
    assert_string_equal(pywatt_string_map_get(pywatt_registration_env(registration), "A"), "b");
}

/* ---- Wrong fields ------------------------------------------------------------------------- */

static void names_the_field_that_is_wrong(void **state)
{
    (void)state;
    expect_wrong("{\"success\":true}", "response_type is missing");
    expect_wrong("{\"response_type\":\"unknown\",\"success\":false}", "response_type is none");
    expect_wrong("{\"response_type\":1,\"success\":false}", "response_type must be a string");
    expect_wrong("{\"response_type\":\"unregister\"}", "success is missing");
    expect_wrong("{\"response_type\":\"unregister\",\"success\":1}", "success must be true or");
    expect_wrong("{\"response_type\":\"unregister\",\"success\":\"true\"}", "success must be");
    expect_wrong("{\"response_type\":\"unregister\",\"success\":false,\"error\":{}}",
                 "error must be a string");
    expect_wrong("{\"response_type\":\"unregister\",\"success\":false,\"error_code\":1}",
                 "error_code must be a string");
    expect_wrong("{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"x\"}",
                 "status must be");
    expect_wrong("{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\","
                 "\"context\":{\"a\":1}}",
                 "context[0] must be a string");
    expect_wrong("{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\","
                 "\"request_id\":5}",
                 "request_id must be a string");
    expect_wrong("{\"content\":{\"response_type\":\"heartbeat\",\"success\":true}}",
                 "content.status is missing");
    expect_wrong("{\"content\":{}}", "content.response_type is missing");
    expect_wrong("[]", "the message is no JSON object");
}

static void names_the_field_of_the_module_that_is_wrong(void **state)
{
    (void)state;
    expect_wrong("{\"response_type\":\"register\",\"success\":true}", "module is missing");
    expect_wrong(REGISTERED(""), "module.info is missing");
    expect_wrong(REGISTERED("\"info\":{}"), "module.info.name is missing");
    expect_wrong(REGISTERED("\"info\":" INFO), "module.id is missing");
    expect_wrong(REGISTERED("\"info\":" INFO ",\"id\":\"x\""), "module.id is no UUID");
    expect_wrong(REGISTERED("\"info\":" INFO ",\"id\":\"" MODULE "\""), "module.token is missing");
    expect_wrong(REGISTERED("\"info\":" INFO ",\"id\":\"" MODULE "\",\"token\":\"\""),
                 "module.token must not be empty");
    expect_wrong(REGISTERED("\"info\":" INFO ",\"id\":\"" MODULE "\",\"token\":\"t\""),
                 "module.orchestrator_host is missing");
    expect_wrong(REGISTERED("\"info\":" INFO ",\"id\":\"" MODULE
                            "\",\"token\":\"t\",\"orchestrator_host\":\"h\""),
                 "module.orchestrator_port is missing");
    expect_wrong(REGISTERED(WHOLE_MODULE ",\"env\":{\"a\":null}"), "module.env[0] must be a");
    expect_wrong(REGISTERED(WHOLE_MODULE ",\"additional_data\":[]"),
                 "module.additional_data must be an object");
}

static void reads_ports_that_are_whole_and_within_range(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "1", "65535"};
    static const char *const bad[] = {"-1",  "65536",  "1.0",
                                      "1e2", "\"80\"", "99999999999999999999"};
    char json[512];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(json, sizeof(json),
                 REGISTERED("\"info\":" INFO ",\"id\":\"" MODULE "\",\"token\":\"t\","
                            "\"orchestrator_host\":\"h\",\"orchestrator_port\":%s"),
                 good[i]);
        expect(json);
        assert_int_equal(reader.response.registration->port, atoi(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(json, sizeof(json),
                 REGISTERED("\"info\":" INFO ",\"id\":\"" MODULE "\",\"token\":\"t\","
                            "\"orchestrator_host\":\"h\",\"orchestrator_port\":%s"),
                 bad[i]);
        expect_wrong(json, "module.orchestrator_port must be");
    }
}

/* ---- The request id alone ----------------------------------------------------------------- */

static bool peek(const char *json, bool *has_id)
{
    struct pywatt_uuid id = {{0}};
    struct pw_span bytes = pw_copy_bytes(json, strlen(json));
    *has_id = true;
    const enum pywatt_status status =
        pw_codec_peek_response_id(pw_codec_by_name("json"), bytes, has_id, &id);
    pw_free_bytes(bytes);
    if (*has_id) {
        char text[PYWATT_UUID_TEXT_SIZE];
        pywatt_uuid_format(&id, text);
        assert_string_equal(text, ID);
    }
    return status == PYWATT_OK;
}

static void finds_the_id_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const with_id[] = {
        "{\"request_id\":\"" ID "\",\"response_type\":\"heartbeat\"}",
        " { \"request_id\" : \"" ID "\" } ",
        "{\"success\":true,\"x\":{\"request_id\":\"no\"},\"request_id\":\"" ID "\"}",
        "{\"a\":[1,\"}\",{\"b\":\"\\\"\"}],\"request_id\":\"" ID "\",\"b\":null}",
        "{\"id\": \"" OTHER_ID "\", \"content\": {\"request_id\": \"" ID "\"}, \"metadata\": {}}",
        "{\"metadata\":{},\"content\":{\"success\":true,\"request_id\":\"" ID "\"}}",
    };
    static const char *const without[] = {
        "{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\"}",
        "{}",
        "{\"request_id\":null}",
        "{\"request_id\":7}",
        "{\"request_id\":\"7\"}",
        "{\"request_id\":\"not-a-uuid-but-as-long-as-one-is-ok!!\"}",
        "{\"id\":\"" ID
        "\",\"content\":{\"response_type\":\"heartbeat\"},\"metadata\":{\"id\":\"" ID "\"}}",
        "{\"response_type\":\"heartbeat\",\"content\":{\"request_id\":\"" ID "\"}}",
        "{\"x\":\"\\\",\\\"request_id\\\":\\\"" ID "\\\"\"}",
        "{\"content\":[{\"request_id\":\"" ID "\"}]}",
    };
    bool has_id = false;
    for (size_t i = 0; i < sizeof(with_id) / sizeof(with_id[0]); i++) {
        assert_true(peek(with_id[i], &has_id));
        assert_true(has_id);
    }
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        assert_true(peek(without[i], &has_id));
        assert_false(has_id);
    }
}

static void finds_no_id_in_what_cannot_be_a_reply(void **state)
{
    (void)state;
    static const char *const none[] = {
        " ",
        "null",
        "[]",
        "x",
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":{\"b\":1}",
        "{\"a\":\"\\",
        "{\"a\":\"\\\"",
        "{\"a\" 1}",
        "{1:2}",
        "{\"a\":}",
        "{,}",
        "{\"content\":{\"a\":1}",
        "{\"request_id\":\"abc",
    };
    bool has_id = false;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        if (peek(none[i], &has_id) || has_id) {
            fail_msg("%s could be a reply", none[i]);
        }
    }
}

/* What peeking finds is what reading finds. */
static void finds_the_same_id_as_reading_does(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_span bytes = pw_sample_response_bytes(*codec, at->name);
            struct pywatt_uuid id = {{0}};
            bool has_id = false;
            assert_int_equal(pw_read_response(&reader, *codec, bytes), PYWATT_OK);
            assert_int_equal(pw_codec_peek_response_id(*codec, bytes, &has_id, &id), PYWATT_OK);
            assert_int_equal(has_id, reader.response.has_request_id);
            assert_memory_equal(&id, &reader.response.request_id, sizeof(id));
            pw_free_bytes(bytes);
        }
    }
}

/* ---- The Python form ---------------------------------------------------------------------- */

static void spells_values_of_any_type_as_python_does(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *spelled;
    } cases[] = {
        {"{\"a\":[1,2.50,{}],\"b\":\"x,y:z\"}", "{\"a\": [1, 2.50, {}], \"b\": \"x,y:z\"}"},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"", "\"\\u00e9\\u20ac\\ud83d\\ude00\\u007f\""},
        {"\"\\\\\\\",:\\u0041\"", "\"\\\\\\\",:\\u0041\""},
        {"[\"\\\\\",1]", "[\"\\\\\", 1]"},
    };
    const struct pw_codec_ops *python =
        pw_codec_by_frame(0, (struct pw_span){(const uint8_t *)"{", 1});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_request request;
        struct pw_buffer out;
        char expected[256];
        pw_request_init(&request);
        pw_sample_request("capabilities-empty", &request);
        assert_int_equal(
            pywatt_capabilities_set_capability(request.capabilities, "v", cases[i].value),
            PYWATT_OK);
        pw_buffer_init(&out, 4096);
        assert_int_equal(pw_codec_encode_request(python, &request, &out, NULL), PYWATT_OK);
        snprintf(expected, sizeof(expected), "\"additional_capabilities\": {\"v\": %s}}",
                 cases[i].spelled);
        assert_non_null(
            memmem(pw_buffer_bytes(&out), pw_buffer_len(&out), expected, strlen(expected)));
        pw_buffer_destroy(&out);
        pw_request_clear(&request);
    }
}

/* Texts are looked at several bytes at a time: no byte may slip through with others. */
static void writes_printable_ascii_only_in_the_python_form(void **state)
{
    (void)state;
    const struct pw_codec_ops *python =
        pw_codec_by_frame(0, (struct pw_span){(const uint8_t *)"{", 1});
    for (size_t at = 0; at < 20; at++) {
        for (unsigned byte = 1; byte < 0x80; byte++) {
            char text[] = "aaaaaaaaaaaaaaaaaaaaaaaa";
            struct pw_response response;
            struct pw_buffer out;
            text[at] = (char)byte;
            pw_response_init(&response);
            pw_sample_response("unregister-failed", &response);
            response.error = pw_str_from(text);
            pw_buffer_init(&out, 4096);
            assert_int_equal(pw_codec_encode_response(python, &response, &out, NULL), PYWATT_OK);
            for (size_t i = 0; i < pw_buffer_len(&out); i++) {
                assert_in_range(pw_buffer_bytes(&out)[i], 0x20, 0x7E);
            }
            assert_int_equal(pw_read_response(&reader, python, pw_buffer_span(&out)), PYWATT_OK);
            assert_true(pw_same_response(&response, &reader.response));
            pw_buffer_destroy(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_the_bare_replies_of_a_rust_peer),
        cmocka_unit_test(reads_the_enveloped_replies_of_a_python_peer),
        cmocka_unit_test(takes_a_reply_with_a_type_for_bare_whatever_else_it_has),
        cmocka_unit_test(finds_the_status_in_the_words_where_there_is_no_code),
        cmocka_unit_test(believes_the_code_before_the_words),
        cmocka_unit_test(ignores_errors_and_unknown_fields_of_a_success),
        cmocka_unit_test(forgives_a_failed_beat_without_a_status),
        cmocka_unit_test(reads_numbers_of_the_additional_data),
        cmocka_unit_test(names_the_field_that_is_wrong),
        cmocka_unit_test(names_the_field_of_the_module_that_is_wrong),
        cmocka_unit_test(reads_ports_that_are_whole_and_within_range),
        cmocka_unit_test(finds_the_id_wherever_it_stands),
        cmocka_unit_test(finds_no_id_in_what_cannot_be_a_reply),
        cmocka_unit_test(finds_the_same_id_as_reading_does),
        cmocka_unit_test(spells_values_of_any_type_as_python_does),
        cmocka_unit_test(writes_printable_ascii_only_in_the_python_form),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
