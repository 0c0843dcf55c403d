/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The behaviour that every codec of the table has: what is written is read again, whatever it is, up
 * to the bounds of the model, and messages and buffers can be used again. One thread.
 */
#include "pw_test.h"

#include "model/registration.h"
#include "samples.h"

#include <stdlib.h>

#define EACH_CODEC(codec)                                     \
    const struct pw_codec_ops *const *codec = pw_codec_all(); \
    *codec != NULL;                                           \
    codec++

static struct pw_span write_request(const struct pw_codec_ops *codec,
                                    const struct pw_request *request)
{
    struct pw_buffer out;
    struct pywatt_error error = {0};
    pw_buffer_init(&out, (size_t)4 << 20);
    if (pw_codec_encode_request(codec, request, &out, &error) != PYWATT_OK) {
        fail_msg("%s: %s", codec->name, error.text);
    }
    const struct pw_span bytes = pw_copy_bytes(pw_buffer_bytes(&out), pw_buffer_len(&out));
    pw_buffer_destroy(&out);
    return bytes;
}

static struct pw_span write_response(const struct pw_codec_ops *codec,
                                     const struct pw_response *response)
{
    struct pw_buffer out;
    struct pywatt_error error = {0};
    pw_buffer_init(&out, (size_t)4 << 20);
    if (pw_codec_encode_response(codec, response, &out, &error) != PYWATT_OK) {
        fail_msg("%s: %s", codec->name, error.text);
    }
    const struct pw_span bytes = pw_copy_bytes(pw_buffer_bytes(&out), pw_buffer_len(&out));
    pw_buffer_destroy(&out);
    return bytes;
}

static void expect_same_request(const struct pw_codec_ops *codec, struct pw_reader *reader,
                                const struct pw_request *request)
{
    struct pw_span bytes = write_request(codec, request);
    if (pw_read_request(reader, codec, bytes) != PYWATT_OK) {
        fail_msg("%s: %s", codec->name, reader->error.text);
    }
    assert_true(reader->recognised);
    assert_true(pw_same_request(&reader->request, request));
    pw_free_bytes(bytes);
}

static void expect_same_response(const struct pw_codec_ops *codec, struct pw_reader *reader,
                                 const struct pw_response *response)
{
    struct pw_span bytes = write_response(codec, response);
    if (pw_read_response(reader, codec, bytes) != PYWATT_OK) {
        fail_msg("%s: %s", codec->name, reader->error.text);
    }
    assert_true(pw_same_response(&reader->response, response));
    pw_free_bytes(bytes);
}

/* One reader for all of them: nothing of one message may show in the next. */
static void reads_every_request_that_was_written(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        pw_reader_init(&reader);
        for (int round = 0; round < 2; round++) {
            for (const struct pw_sample_request *at = pw_sample_requests;
                 pw_sample_fits(*codec, at->name); at++) {
                struct pw_request request;
                pw_request_init(&request);
                at->fill(&request);
                expect_same_request(*codec, &reader, &request);
                pw_request_clear(&request);
            }
        }
        pw_reader_destroy(&reader);
    }
}

static void reads_every_reply_that_was_written(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        pw_reader_init(&reader);
        for (int round = 0; round < 2; round++) {
            for (const struct pw_sample_response *at = pw_sample_responses;
                 pw_sample_fits(*codec, at->name); at++) {
                struct pw_response response;
                pw_response_init(&response);
                at->fill(&response);
                expect_same_response(*codec, &reader, &response);
                pw_response_clear(&response);
            }
        }
        pw_reader_destroy(&reader);
    }
}

static void carries_every_status_in_every_reply(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        pw_reader_init(&reader);
        for (int status = PYWATT_OK + 1; status <= PYWATT_UNAVAILABLE; status++) {
            for (int operation = 0; operation < PW_OPERATION_COUNT; operation++) {
                struct pw_response response;
                pw_response_init(&response);
                response.operation = (enum pw_operation)operation;
                response.status = (enum pywatt_status)status;
                response.health = operation == PW_OP_HEARTBEAT ? PYWATT_DEGRADED : PYWATT_HEALTHY;
                response.error = pw_str_from(status % 2 ? "" : "what it was");
                expect_same_response(*codec, &reader, &response);
            }
        }
        pw_reader_destroy(&reader);
    }
}

static void carries_every_health_and_generation(void **state)
{
    (void)state;
    static const uint64_t generations[] = {
        0, 1, 127, 128, 16384, UINT32_MAX, (UINT64_C(1) << 53) + 1, UINT64_MAX};
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        pw_reader_init(&reader);
        for (int health = PYWATT_HEALTHY; health <= PYWATT_UNHEALTHY; health++) {
            for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
                struct pw_request request;
                struct pw_response response;
                pw_request_init(&request);
                pw_sample_request("heartbeat", &request);
                request.health = (enum pywatt_health)health;
                request.generation = generations[i];
                expect_same_request(*codec, &reader, &request);
                pw_response_init(&response);
                pw_sample_response("heartbeat", &response);
                response.health = (enum pywatt_health)health;
                expect_same_response(*codec, &reader, &response);
            }
        }
        pw_reader_destroy(&reader);
    }
}

/* Every character of one to four bytes that text may have, in steps. */
static void carries_any_text(void **state)
{
    (void)state;
    char text[1200];
    size_t len = 0;
    for (uint32_t c = 1; c < 0x80; c++) {
        text[len++] = (char)c;
    }
    for (uint32_t c = 0x80; c < 0x800; c += 37) {
        text[len++] = (char)(0xC0 | c >> 6);
        text[len++] = (char)(0x80 | (c & 0x3F));
    }
    for (uint32_t c = 0x800; c < 0x10000; c += 997) {
        if (c < 0xD800 || c > 0xDFFF) {
            text[len++] = (char)(0xE0 | c >> 12);
            text[len++] = (char)(0x80 | (c >> 6 & 0x3F));
            text[len++] = (char)(0x80 | (c & 0x3F));
        }
    }
    for (uint32_t c = 0x10000; c < 0x110000; c += 9973) {
        text[len++] = (char)(0xF0 | c >> 18);
        text[len++] = (char)(0x80 | (c >> 12 & 0x3F));
        text[len++] = (char)(0x80 | (c >> 6 & 0x3F));
        text[len++] = (char)(0x80 | (c & 0x3F));
    }
    text[len] = '\0';
    assert_true(len < sizeof(text));
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pw_request request;
        struct pw_response response;
        pw_reader_init(&reader);
        pw_request_init(&request);
        pw_sample_request("heartbeat", &request);
        assert_int_equal(pywatt_string_map_set(pw_request_details(&request), "all", text),
                         PYWATT_OK);
        expect_same_request(*codec, &reader, &request);
        pw_request_clear(&request);
        pw_request_init(&request);
        pw_sample_request("register", &request);
        assert_int_equal(pywatt_module_info_set_metadata(request.info, "all", text), PYWATT_OK);
        expect_same_request(*codec, &reader, &request);
        pw_request_clear(&request);
        pw_response_init(&response);
        pw_sample_response("unregister-failed", &response);
        response.error = (struct pw_str){text, len};
        expect_same_response(*codec, &reader, &response);
        pw_reader_destroy(&reader);
    }
}

/* ---- Bounds ------------------------------------------------------------------------------- */

static char *filled(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

static void fill_map(struct pywatt_string_map *map)
{
    char *key = filled(PYWATT_KEY_MAX);
    char *value = filled(PYWATT_VALUE_MAX);
    for (int i = 0; i < PYWATT_MAP_ITEMS_MAX; i++) {
        key[0] = (char)('A' + i / 26);
        key[1] = (char)('A' + i % 26);
        assert_int_equal(pywatt_string_map_set(map, key, value), PYWATT_OK);
    }
    free(key);
    free(value);
}

static void carries_a_beat_at_all_bounds(void **state)
{
    (void)state;
    char *token = filled(PYWATT_TOKEN_MAX);
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pw_request request;
        struct pw_response response;
        pw_reader_init(&reader);
        pw_request_init(&request);
        pw_sample_request("heartbeat", &request);
        request.token = pw_str_from(token);
        fill_map(pw_request_details(&request));
        expect_same_request(*codec, &reader, &request);
        pw_request_clear(&request);
        pw_response_init(&response);
        pw_sample_response("heartbeat", &response);
        fill_map(pw_response_context(&response));
        expect_same_response(*codec, &reader, &response);
        pw_response_clear(&response);
        pw_reader_destroy(&reader);
    }
    free(token);
}

static void carries_a_registration_at_all_bounds(void **state)
{
    (void)state;
    char *name = filled(PYWATT_NAME_MAX);
    char *description = filled(PYWATT_DESCRIPTION_MAX);
    char *token = filled(PYWATT_TOKEN_MAX);
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pw_request request;
        struct pw_response response;
        pw_reader_init(&reader);
        pw_request_init(&request);
        pw_sample_request("register", &request);
        pywatt_module_info_free(request.info);
        request.info = NULL;
        request.token = pw_str_from(token);
        assert_int_equal(pywatt_module_info_new(name, name, description, &request.info), PYWATT_OK);
        expect_same_request(*codec, &reader, &request);
        pw_response_init(&response);
        pw_sample_response("register", &response);
        struct pywatt_registration *registration = response.registration;
        assert_int_equal(pw_registration_set_token(registration, pw_str_from(token)), PYWATT_OK);
        assert_int_equal(pw_registration_set_host(registration, pw_str_from(name)), PYWATT_OK);
        registration->env = pywatt_string_map_new();
        fill_map(registration->env);
        expect_same_response(*codec, &reader, &response);
        pw_response_clear(&response);
        pw_request_clear(&request);
        pw_reader_destroy(&reader);
    }
    free(name);
    free(description);
    free(token);
}

/* As deep as a value may be, and as long. */
static void carries_capabilities_at_the_bounds_of_their_values(void **state)
{
    (void)state;
    char deep[2 * PYWATT_JSON_DEPTH_MAX + 1];
    memset(deep, '[', PYWATT_JSON_DEPTH_MAX);
    memset(deep + PYWATT_JSON_DEPTH_MAX, ']', PYWATT_JSON_DEPTH_MAX);
    deep[2 * PYWATT_JSON_DEPTH_MAX] = '\0';
    char *text = filled(PYWATT_JSON_VALUE_MAX);
    text[0] = '"';
    text[PYWATT_JSON_VALUE_MAX - 1] = '"';
    char *path = filled(PYWATT_PATH_MAX);
    char *method = filled(PYWATT_METHOD_MAX);
    const char *methods[PYWATT_METHODS_MAX];
    for (size_t i = 0; i < PYWATT_METHODS_MAX; i++) {
        methods[i] = method;
    }
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pw_request request;
        pw_reader_init(&reader);
        pw_request_init(&request);
        pw_sample_request("capabilities-empty", &request);
        struct pywatt_capabilities *capabilities = request.capabilities;
        for (int i = 0; i < 100; i++) {
            assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, path, methods,
                                                                   PYWATT_METHODS_MAX),
                             PYWATT_OK);
        }
        for (int i = 0; i < PYWATT_MESSAGE_TYPES_MAX; i++) {
            assert_int_equal(pywatt_capabilities_add_message_type(capabilities, method), PYWATT_OK);
        }
        assert_int_equal(pywatt_capabilities_set_capability(capabilities, "deep", deep), PYWATT_OK);
        assert_int_equal(pywatt_capabilities_set_capability(capabilities, "long", text), PYWATT_OK);
        expect_same_request(*codec, &reader, &request);
        pw_request_clear(&request);
        pw_reader_destroy(&reader);
    }
    free(text);
    free(path);
    free(method);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_every_request_that_was_written),
        cmocka_unit_test(reads_every_reply_that_was_written),
        cmocka_unit_test(carries_every_status_in_every_reply),
        cmocka_unit_test(carries_every_health_and_generation),
        cmocka_unit_test(carries_any_text),
        cmocka_unit_test(carries_a_beat_at_all_bounds),
        cmocka_unit_test(carries_a_registration_at_all_bounds),
        cmocka_unit_test(carries_capabilities_at_the_bounds_of_their_values),
    };
    return PW_TEST_RUN(cases);
}
