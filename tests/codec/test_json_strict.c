/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What is JSON but must not stand where a message is read: members and keys that stand twice, U+0000
 * in a text. And that members which nobody knows and values which nobody looks into may have all of
 * it, and keep their spelling. One thread.
 */
#include "pw_test.h"

#include "model/registration.h"
#include "model/string_map.h"
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

#define ID_1 "11111111-1111-4111-8111-111111111111"
#define ID_2 "22222222-2222-4222-8222-222222222222"
#define MODULE "a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90"
#define INFO                                                                         \
    "{\"name\":\"n\",\"version\":\"v\",\"description\":\"d\",\"id\":\"" MODULE "\"," \
    "\"metadata\":{\"k\":\"v\"}}"

static const char beat[] =
    "{\"id\":\"" ID_1 "\",\"content\":{\"request_type\":\"heartbeat\",\"module_id\":\"" MODULE
    "\",\"token\":\"t\",\"status\":\"Healthy\",\"details\":{\"k\":\"v\"},\"generation\":\"1\","
    "\"module_info\":{},\"capabilities\":{}},\"metadata\":{\"id\":\"" ID_2 "\"}}";
static const char registering[] =
    "{\"content\":{\"request_type\":\"register\",\"module_info\":" INFO
    ",\"token\":\"t\"},\"metadata\":{\"id\":\"" ID_2 "\"}}";
static const char advertising[] =
    "{\"content\":{\"request_type\":\"capabilities\",\"module_id\":\"" MODULE
    "\",\"token\":\"t\",\"capabilities\":{\"endpoints\":[{\"path\":\"/\",\"methods\":[\"GET\"],"
    "\"auth\":\"s\",\"metadata\":{\"k\":\"v\"}}],\"message_types\":[\"m\"],"
    "\"additional_capabilities\":{\"k\":1}}}}";
static const char beat_reply[] =
    "{\"request_id\":\"" ID_2 "\",\"response_type\":\"heartbeat\",\"success\":false,"
    "\"error\":\"e\",\"error_code\":\"rejected\",\"status\":\"Healthy\","
    "\"context\":{\"k\":\"v\"},\"module\":{},\"content\":{}}";
static const char enveloped_reply[] =
    "{\"id\":\"" ID_1 "\",\"content\":{\"request_id\":\"" ID_2
    "\",\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\"},\"metadata\":{}}";
static const char registered[] =
    "{\"request_id\":\"" ID_2 "\",\"response_type\":\"register\",\"success\":true,"
    "\"module\":{\"info\":" INFO ",\"id\":\"" MODULE
    "\",\"token\":\"t\",\"orchestrator_host\":\"h\",\"orchestrator_port\":1,"
    "\"env\":{\"k\":\"v\"},\"additional_data\":{\"k\":1}}}";

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

static enum pywatt_status read_text(const char *json)
{
    reader.error.text[0] = '\0';
    return strstr(json, "response_type") != NULL ? pw_read_response_text(&reader, json)
                                                 : pw_read_request_text(&reader, json);
}

static void expect_read(const char *json)
{
    if (read_text(json) != PYWATT_OK) {
        fail_msg("%s: %s", json, reader.error.text);
    }
}

static void expect_wrong(const char *json, const char *place, const char *what)
{
    char error[256];
    snprintf(error, sizeof(error), "%s %s", place, what);
    const enum pywatt_status status = read_text(json);
    if (status != PYWATT_SERIALIZATION || strcmp(reader.error.text, error) != 0) {
        fail_msg("%s: %d, \"%s\"", json, (int)status, reader.error.text);
    }
    assert_false(pw_has_forbidden_word(reader.error.text));
    assert_null(reader.request.capabilities);
    assert_null(reader.request.info);
    assert_null(reader.request.details);
    assert_null(reader.response.registration);
    assert_null(reader.response.context);
}

/* `json` with `more` in the place of its bytes [from, to); good until the next call. */
static const char *splice(const char *json, const char *from, const char *to, const char *more)
{
    static char text[16384];
    const int len = snprintf(text, sizeof(text), "%.*s%s%s", (int)(from - json), json, more, to);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    return text;
}

static const char *find(const char *json, const char *what)
{
    const char *at = strstr(json, what);
    if (at == NULL) {
        fail_msg("%s does not stand in %s", what, json);
        return json;
    }
    return at;
}

/* ---- Members that stand twice ------------------------------------------------------------- */

/* The member `"key":value...` also stands in front of itself, as something else and as the same. */
static void expect_once(const char *json, const char *key, const char *value, const char *place)
{
    static const char *const others[] = {"null", "1", "\"x\"", "{}", "[{}]", "true"};
    char member[128];
    char more[256];
    snprintf(member, sizeof(member), "\"%s\":%s", key, value);
    const char *const at = find(json, member);
    expect_read(json);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        snprintf(more, sizeof(more), "\"%s\":%s,", key, others[i]);
        expect_wrong(splice(json, at, at, more), place, "stands twice");
        snprintf(more, sizeof(more), "\"\\u%04x%s\":%s,", (unsigned)key[0], key + 1, others[i]);
        expect_wrong(splice(json, at, at, more), place, "stands twice");
        snprintf(more, sizeof(more), "\"%s\":null,\"%s\":%s,", key, key, others[i]);
        expect_wrong(splice(json, at, at, more), place, "stands twice");
    }
    if (at[strlen(key) + 3] == '"') {
        snprintf(more, sizeof(more), "%.*s,", (int)strcspn(at, ",}"), at);
        expect_wrong(splice(json, at, at, more), place, "stands twice");
    }
}

static void refuses_a_member_of_the_envelope_that_stands_twice(void **state)
{
    (void)state;
    expect_once(beat, "id", "\"1", "id");
    assert_true(reader.recognised);
    expect_once(beat, "metadata", "{", "metadata");
    assert_true(reader.recognised);
    expect_once(beat, "id", "\"2", "metadata.id");
    assert_true(reader.recognised);
    assert_false(reader.request.has_request_id);
    expect_once(beat, "content", "{", "content");
    assert_false(reader.recognised);
    expect_once(enveloped_reply, "content", "{", "content");
}

static void refuses_a_member_of_the_content_that_stands_twice(void **state)
{
    (void)state;
    static const char *const keys[] = {"module_id",  "token",       "status",      "details",
                                       "generation", "module_info", "capabilities"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char place[64];
        snprintf(place, sizeof(place), "content.%s", keys[i]);
        expect_once(beat, keys[i], "", place);
        /* An error reply can be sent. */
        assert_true(reader.recognised);
        assert_int_equal(reader.request.operation, PW_OP_HEARTBEAT);
        assert_true(reader.request.has_request_id);
    }
    expect_once(beat, "request_type", "", "content.request_type");
    assert_false(reader.recognised);
    expect_once(registering, "token", "", "content.token");
    expect_once(registering, "module_info", "", "content.module_info");
    expect_once(advertising, "capabilities", "{", "content.capabilities");
}

static void refuses_a_member_of_an_object_that_stands_twice(void **state)
{
    (void)state;
    expect_once(registering, "name", "", "content.module_info.name");
    expect_once(registering, "version", "", "content.module_info.version");
    expect_once(registering, "description", "", "content.module_info.description");
    expect_once(registering, "id", "\"a", "content.module_info.id");
    expect_once(registering, "metadata", "{\"k", "content.module_info.metadata");
#define CAPABILITIES "content.capabilities."
    expect_once(advertising, "endpoints", "", CAPABILITIES "endpoints");
    expect_once(advertising, "message_types", "", CAPABILITIES "message_types");
    expect_once(advertising, "additional_capabilities", "", CAPABILITIES "additional_capabilities");
    expect_once(advertising, "path", "", CAPABILITIES "endpoints[0].path");
    expect_once(advertising, "methods", "", CAPABILITIES "endpoints[0].methods");
    expect_once(advertising, "auth", "", CAPABILITIES "endpoints[0].scheme");
    expect_once(advertising, "metadata", "{\"k", CAPABILITIES "endpoints[0].metadata");
}

static void refuses_a_member_of_a_reply_that_stands_twice(void **state)
{
    (void)state;
    static const char *const keys[] = {"request_id", "response_type", "success",
                                       "error",      "error_code",    "status",
                                       "context",    "module",        "content"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        expect_once(beat_reply, keys[i], "", keys[i]);
    }
    expect_once(enveloped_reply, "request_id", "", "content.request_id");
    expect_once(enveloped_reply, "response_type", "", "content.response_type");
    expect_once(enveloped_reply, "status", "", "content.status");
    expect_once(registered, "info", "", "module.info");
    expect_once(registered, "name", "", "module.info.name");
    expect_once(registered, "id", "\"" MODULE "\",\"token", "module.id");
    expect_once(registered, "token", "", "module.token");
    expect_once(registered, "orchestrator_host", "", "module.orchestrator_host");
    expect_once(registered, "orchestrator_port", "", "module.orchestrator_port");
    expect_once(registered, "env", "", "module.env");
    expect_once(registered, "additional_data", "", "module.additional_data");
}

/* ---- Keys that stand twice ---------------------------------------------------------------- */

/* In the map behind `anchor`, which has the key "k", as many keys as there may be. */
static void expect_unique_of_many(const char *json, const char *at, const char *value,
                                  const char *place)
{
    for (int twin = 0; twin < PYWATT_MAP_ITEMS_MAX; twin += 21) {
        char more[PYWATT_MAP_ITEMS_MAX * 16];
        size_t len = 0;
        for (int i = 1; i < PYWATT_MAP_ITEMS_MAX; i++) {
            char key[16] = "k";
            if (i != twin) {
                snprintf(key, sizeof(key), "key %d", i);
            }
            len += (size_t)snprintf(more + len, sizeof(more) - len, "\"%s\":%s,", key, value);
        }
        if (twin == 0) {
            expect_read(splice(json, at, at, more));
        } else {
            expect_wrong(splice(json, at, at, more), place, "has a key twice");
        }
    }
}

static void expect_unique(const char *json, const char *anchor, const char *place)
{
    static const char *const spellings[] = {"k", "\\u006b", "\\u006B"};
    const char *const at = find(json, anchor) + strlen(anchor);
    const char *const value = strncmp(at, "\"k\":1", 5) == 0 ? "1" : "\"v\"";
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        char more[128];
        snprintf(more, sizeof(more), "\"%s\":%s,", spellings[i], value);
        expect_wrong(splice(json, at, at, more), place, "has a key twice");
        snprintf(more, sizeof(more), "\"%s\":%s,\"K\":%s,\"\":%s,", spellings[i], value, value,
                 value);
        expect_wrong(splice(json, at, at, more), place, "has a key twice");
    }
    expect_unique_of_many(json, at, value, place);
}

static void refuses_a_key_of_a_map_that_stands_twice(void **state)
{
    (void)state;
    expect_unique(beat, "\"details\":{", "content.details");
    expect_unique(registering, "\"metadata\":{", "content.module_info.metadata");
    expect_unique(advertising, "\"metadata\":{", CAPABILITIES "endpoints[0].metadata");
    expect_unique(advertising, "\"additional_capabilities\":{",
                  CAPABILITIES "additional_capabilities");
    expect_unique(beat_reply, "\"context\":{", "context");
    expect_unique(registered, "\"metadata\":{", "module.info.metadata");
    expect_unique(registered, "\"env\":{", "module.env");
    expect_unique(registered, "\"additional_data\":{", "module.additional_data");
}

/* ---- U+0000 in texts ---------------------------------------------------------------------- */

/* The text that stands behind `anchor` gets U+0000 at each end, and is nothing else. */
static void expect_no_nul(const char *json, const char *anchor, const char *place)
{
    static const char what[] = "must not have U+0000 in it";
    const char *const from = find(json, anchor) + strlen(anchor);
    const char *const to = from + strcspn(from, "\"");
    char more[128];
    expect_read(json);
    expect_wrong(splice(json, from, from, "\\u0000"), place, what);
    expect_wrong(splice(json, to, to, "\\u0000"), place, what);
    expect_wrong(splice(json, from, to, "\\u0000"), place, what);
    snprintf(more, sizeof(more), "%.*s\\n\\u0000%.*s", (int)(to - from), from, (int)(to - from),
             from);
    expect_wrong(splice(json, from, to, more), place, what);
}

static void refuses_a_nul_in_a_text_of_a_request(void **state)
{
    (void)state;
    expect_no_nul(beat, "\"metadata\":{\"id\":\"", "metadata.id");
    expect_no_nul(beat, "\"request_type\":\"", "content.request_type");
    expect_no_nul(beat, "\"module_id\":\"", "content.module_id");
    expect_no_nul(beat, "\"token\":\"", "content.token");
    assert_true(reader.recognised);
    expect_no_nul(beat, "\"status\":\"", "content.status");
    expect_no_nul(beat, "\"generation\":\"", "content.generation");
    expect_no_nul(beat, "\"details\":{\"", "content.details[0]");
    expect_no_nul(beat, "\"details\":{\"k\":\"", "content.details[0]");
    expect_no_nul(registering, "\"token\":\"", "content.token");
    expect_no_nul(registering, "\"name\":\"", "content.module_info.name");
    expect_no_nul(registering, "\"version\":\"", "content.module_info.version");
    expect_no_nul(registering, "\"description\":\"", "content.module_info.description");
    expect_no_nul(registering, "\"id\":\"", "content.module_info.id");
    expect_no_nul(registering, "\"metadata\":{\"", "content.module_info.metadata[0]");
    expect_no_nul(registering, "\"metadata\":{\"k\":\"", "content.module_info.metadata[0]");
    expect_no_nul(advertising, "\"token\":\"", "content.token");
    expect_no_nul(advertising, "\"path\":\"", CAPABILITIES "endpoints[0].path");
    expect_no_nul(advertising, "\"methods\":[\"", CAPABILITIES "endpoints[0].methods[0]");
    expect_no_nul(advertising, "\"auth\":\"", CAPABILITIES "endpoints[0].scheme");
    expect_no_nul(advertising, "\"metadata\":{\"", CAPABILITIES "endpoints[0].metadata[0]");
    expect_no_nul(advertising, "\"metadata\":{\"k\":\"", CAPABILITIES "endpoints[0].metadata[0]");
    expect_no_nul(advertising, "\"message_types\":[\"", CAPABILITIES "message_types[0]");
    expect_no_nul(advertising, "\"additional_capabilities\":{\"",
                  CAPABILITIES "additional_capabilities[0]");
}

static void refuses_a_nul_in_a_text_of_a_reply(void **state)
{
    (void)state;
    expect_no_nul(beat_reply, "\"request_id\":\"", "request_id");
    expect_no_nul(beat_reply, "\"response_type\":\"", "response_type");
    expect_no_nul(beat_reply, "\"error\":\"", "error");
    expect_no_nul(beat_reply, "\"error_code\":\"", "error_code");
    expect_no_nul(beat_reply, "\"status\":\"", "status");
    expect_no_nul(beat_reply, "\"context\":{\"", "context[0]");
    expect_no_nul(beat_reply, "\"context\":{\"k\":\"", "context[0]");
    expect_no_nul(registered, "\"name\":\"", "module.info.name");
    expect_no_nul(registered, "\"token\":\"", "module.token");
    expect_no_nul(registered, "\"orchestrator_host\":\"", "module.orchestrator_host");
    expect_no_nul(registered, "\"env\":{\"", "module.env[0]");
    expect_no_nul(registered, "\"env\":{\"k\":\"", "module.env[0]");
    expect_no_nul(registered, "\"additional_data\":{\"", "module.additional_data[0]");
}

/* ---- What nobody looks into --------------------------------------------------------------- */

/* A key that goes on behind U+0000 is another key. */
#define STRANGE "\"x\":1,\"x\":[{\"a\":1,\"a\":2}],\"\\u0000\":\"\\u0000\",\"token\\u0000\":0,"

static void lets_members_that_it_does_not_know_be_any_json(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *anchor;
    } places[] = {
        {beat, "{"},
        {beat, "\"content\":{"},
        {beat, "\"module_info\":{"},
        {beat, "\"capabilities\":{"},
        {registering, "\"module_info\":{"},
        {advertising, "\"capabilities\":{"},
        {advertising, "\"endpoints\":[{"},
        {beat_reply, "{"},
        {beat_reply, "\"module\":{"},
        {beat_reply, "\"content\":{"},
        {enveloped_reply, "\"content\":{"},
        {registered, "\"module\":{"},
        {registered, "\"info\":{"},
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *const at = find(places[i].json, places[i].anchor) + strlen(places[i].anchor);
        char more[] = STRANGE;
        more[sizeof(more) - 2] = *at == '}' ? '\0' : ',';
        expect_read(splice(places[i].json, at, at, more));
    }
    const char *const at = find(beat, "\"id\":\"2");
    expect_read(splice(beat, at, at, STRANGE));
}

static const char *const opaque[] = {
    "{\"a\":1,\"a\":1,\"\\u0061\":[1.50,1e2],\"b\":{\"c\":null,\"c\":{}}}",
    "{\"foo\\u0000bar\":42,\"\\u0000\":[]}",
    "[\"\\u0000\",\"a\\u0000\\u0000b\",{\"\\u0000\":1,\"\\u0000\":2}]",
    "\"\\u0000\"",
};

#define OPAQUE_COUNT (sizeof(opaque) / sizeof(opaque[0]))

static struct pw_span written_request(const struct pw_codec_ops *codec,
                                      const struct pw_request *request, struct pw_buffer *out)
{
    pw_buffer_clear(out);
    assert_int_equal(pw_codec_encode_request(codec, request, out, NULL), PYWATT_OK);
    return pw_buffer_span(out);
}

static void expect_opaque(const struct pywatt_string_map *map)
{
    assert_int_equal(pywatt_string_map_count(map), OPAQUE_COUNT);
    for (size_t i = 0; i < OPAQUE_COUNT; i++) {
        const char *value = NULL;
        assert_true(pywatt_string_map_at(map, i, NULL, &value));
        assert_string_equal(value, opaque[i]);
    }
}

/* From one codec to the next, and by way of a copy as a store keeps it. */
static void keeps_the_spelling_of_a_capability_in_every_codec(void **state)
{
    (void)state;
    struct pw_buffer out;
    struct pw_request request;
    struct pywatt_capabilities *kept = NULL;
    pw_buffer_init(&out, 1 << 16);
    pw_request_init(&request);
    pw_sample_request("capabilities-empty", &request);
    for (size_t i = 0; i < OPAQUE_COUNT; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key %zu", i);
        assert_int_equal(pywatt_capabilities_set_capability(request.capabilities, key, opaque[i]),
                         PYWATT_OK);
    }
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        const struct pw_span bytes = written_request(*codec, &request, &out);
        assert_int_equal(pw_read_request(&reader, *codec, bytes), PYWATT_OK);
        expect_opaque(pywatt_capabilities_additional(reader.request.capabilities));
        assert_int_equal(pywatt_capabilities_copy(reader.request.capabilities, &kept), PYWATT_OK);
        expect_opaque(pywatt_capabilities_additional(kept));
        pywatt_capabilities_free(request.capabilities);
        request.capabilities = kept;
    }
    pw_request_clear(&request);
    pw_buffer_destroy(&out);
}

static void keeps_the_spelling_of_additional_data_in_every_codec(void **state)
{
    (void)state;
    struct pw_buffer out;
    struct pw_response response;
    pw_buffer_init(&out, 1 << 16);
    pw_response_init(&response);
    pw_sample_response("register", &response);
    struct pywatt_string_map **data = &response.registration->additional_data;
    pywatt_string_map_free(*data);
    *data = NULL;
    for (size_t i = 0; i < OPAQUE_COUNT; i++) {
        char key[16];
        const int len = snprintf(key, sizeof(key), "key %zu", i);
        assert_int_equal(
            pw_string_map_put_json(data, (struct pw_str){key, (size_t)len}, pw_str_from(opaque[i])),
            PYWATT_OK);
    }
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        pw_buffer_clear(&out);
        assert_int_equal(pw_codec_encode_response(*codec, &response, &out, NULL), PYWATT_OK);
        assert_int_equal(pw_read_response(&reader, *codec, pw_buffer_span(&out)), PYWATT_OK);
        expect_opaque(pywatt_registration_additional_data(reader.response.registration));
    }
    pw_response_clear(&response);
    pw_buffer_destroy(&out);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(refuses_a_member_of_the_envelope_that_stands_twice),
        cmocka_unit_test(refuses_a_member_of_the_content_that_stands_twice),
        cmocka_unit_test(refuses_a_member_of_an_object_that_stands_twice),
        cmocka_unit_test(refuses_a_member_of_a_reply_that_stands_twice),
        cmocka_unit_test(refuses_a_key_of_a_map_that_stands_twice),
        cmocka_unit_test(refuses_a_nul_in_a_text_of_a_request),
        cmocka_unit_test(refuses_a_nul_in_a_text_of_a_reply),
        cmocka_unit_test(lets_members_that_it_does_not_know_be_any_json),
        cmocka_unit_test(keeps_the_spelling_of_a_capability_in_every_codec),
        cmocka_unit_test(keeps_the_spelling_of_additional_data_in_every_codec),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
