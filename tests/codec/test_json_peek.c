/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peeking at a reply's request id and decoding the reply are two programs: this makes replies of a few
 * members in every order and number, also twice, null and escaped, and compares what the two find.
 * One thread.
 */
#include "pw_test.h"

#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

#define ID_1 "11111111-1111-4111-8111-111111111111"
#define ID_2 "22222222-2222-4222-8222-222222222222"
#define REST ",\"success\":true"

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

/* How a reply begins whose id is beyond doubt, whatever else stands twice. */
#define PLAIN_BEGINNING(id) "{\"request_id\":\"" id "\",\"response_type\":\""

/* Whether decoding could not tell which id it is. */
static bool is_ambiguous(const char *json, const char *error)
{
    const size_t len = sizeof(PLAIN_BEGINNING(ID_1)) - 1;
    const bool plain = strncmp(json, PLAIN_BEGINNING(ID_1), len) == 0 ||
                       strncmp(json, PLAIN_BEGINNING(ID_2), len) == 0;
    return strstr(error, "request_id stands twice") != NULL ||
           (!plain && (strstr(error, "response_type stands twice") != NULL ||
                       strstr(error, "content stands twice") != NULL));
}

/* What is found by one is found by the other, and what may be one of two by neither. */
static void compare(const char *json)
{
    struct pywatt_uuid id = {{0}};
    bool has_id = false;
    const struct pw_span bytes = pw_copy_bytes(json, strlen(json));
    const enum pywatt_status peeked =
        pw_codec_peek_response_id(pw_codec_by_name("json"), bytes, &has_id, &id);
    reader.error.text[0] = '\0';
    const enum pywatt_status read = pw_read_response(&reader, pw_codec_by_name("json"), bytes);
    const struct pw_response *found = &reader.response;
    if (read == PYWATT_OK) {
        if (peeked != PYWATT_OK || has_id != found->has_request_id ||
            (has_id && !pywatt_uuid_equal(&id, &found->request_id))) {
            fail_msg("%s: peeking finds something else than decoding", json);
        }
    } else if (is_ambiguous(json, reader.error.text) && (peeked == PYWATT_OK || has_id)) {
        fail_msg("%s: %s, but not when peeking", json, reader.error.text);
    }
    pw_free_bytes(bytes);
}

/* Members of a reply. */
static const char *const members[] = {
    "\"request_id\":\"" ID_1 "\"",
    "\"request_id\":\"" ID_2 "\"",
    "\"\\u0072equest_i\\u0064\":\"" ID_2 "\"",
    "\"request_id\":\"\\u0032"
    "2222222-2222-4222-8222-22222222222\\u0032\"",
    "\"request_id\":null",
    "\"request_id\":\"none\"",
    "\"request_id\\u0000\":\"" ID_2 "\"",
    "\"response_type\":\"unregister\"",
    "\"respons\\u0065_type\":null",
    "\"content\":{\"response_type\":\"unregister\",\"request_id\":\"" ID_2 "\"" REST "}",
    "\"content\":{\"request_id\":\"" ID_1
    "\",\"response_type\":\"unregister\",\"request_id\":null" REST "}",
    "\"content\":null",
    "\"error\":\"\\\"request_id\\\":\\\"" ID_2 "\\\"\"",
    "\"x\":{\"request_id\":\"" ID_2 "\",\"request_id\":1}",
};

#define COUNT (sizeof(members) / sizeof(members[0]))

/* All replies of `left` members more; "success" stands at their end. */
static void compare_all(char *json, size_t len, unsigned left)
{
    snprintf(json + len, 128, "\"success\":true}");
    compare(json);
    for (size_t i = 0; left > 0 && i < COUNT; i++) {
        const int put = snprintf(json + len, 256, "%s,", members[i]);
        assert_in_range(put, 1, 255);
        compare_all(json, len + (size_t)put, left - 1);
    }
}

static void finds_what_decoding_finds_in_any_order(void **state)
{
    (void)state;
    char json[2048] = "{";
    compare_all(json, 1, pw_test_slow_factor() > 1 ? 3 : 4);
}

static bool peek(const char *json, bool *has_id)
{
    struct pywatt_uuid id;
    struct pw_span bytes = pw_copy_bytes(json, strlen(json));
    const enum pywatt_status status =
        pw_codec_peek_response_id(pw_codec_by_name("json"), bytes, has_id, &id);
    pw_free_bytes(bytes);
    return status == PYWATT_OK;
}

/* The reply of our own orchestrator is not walked over: a second id in it must still be seen. */
static void finds_no_id_where_there_are_two(void **state)
{
    (void)state;
    static const char *const seconds[] = {
        "\"request_id\":\"" ID_2 "\"",       "\"request_id\":\"" ID_1 "\"", "\"request_id\" :null",
        "\"request\\u005fid\":\"" ID_2 "\"", "\"\\u0072equest_id\":[]",
    };
    bool has_id = false;
    char json[512];
#define OURS "{\"request_id\":\"" ID_1 "\",\"response_type\":\"unregister\",\"success\":true"
    assert_true(peek(OURS "}", &has_id));
    assert_true(has_id);
    assert_true(peek(OURS ",\"error\":\"the request_id is \\\"request_id\\\"\"}", &has_id));
    assert_true(has_id);
    assert_true(peek(OURS ",\"error_code\":\"a_request_id\",\"_\":0}", &has_id));
    assert_true(has_id);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        snprintf(json, sizeof(json), OURS ",%s}", seconds[i]);
        has_id = true;
        assert_false(peek(json, &has_id));
        assert_false(has_id);
        assert_int_equal(pw_read_response_text(&reader, json), PYWATT_SERIALIZATION);
        snprintf(json, sizeof(json), "{\"content\":" OURS ",%s},\"metadata\":{}}", seconds[i]);
        assert_false(peek(json, &has_id));
        assert_int_equal(pw_read_response_text(&reader, json), PYWATT_SERIALIZATION);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(finds_what_decoding_finds_in_any_order),
        cmocka_unit_test(finds_no_id_where_there_are_two),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
