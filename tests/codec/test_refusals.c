/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every codec of the table refuses to write and to read, and what it leaves behind then: buffers
 * as they were, messages empty, and of a request what an error reply needs. One thread.
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

static char *filled(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

/* ---- What cannot be written --------------------------------------------------------------- */

static void expect_not_written(const struct pw_request *request)
{
    for (EACH_CODEC(codec)) {
        struct pw_buffer out;
        struct pywatt_error error = {0};
        pw_buffer_init(&out, 4096);
        assert_int_equal(pw_buffer_append(&out, "before", 6), PYWATT_OK);
        assert_int_equal(pw_codec_encode_request(*codec, request, &out, &error),
                         PYWATT_INVALID_ARGUMENT);
        assert_int_equal(pw_buffer_len(&out), 6);
        assert_true(strlen(error.text) > 0);
        pw_buffer_destroy(&out);
    }
}

static void refuses_to_write_a_request_that_lacks_something(void **state)
{
    (void)state;
    struct pw_request request;
    pw_request_init(&request);
    pw_sample_request("heartbeat", &request);
    const struct pw_request whole = request;
    request.has_request_id = false;
    expect_not_written(&request);
    request = whole;
    request.token = (struct pw_str){NULL, 0};
    expect_not_written(&request);
    request.token = PW_STR_LITERAL("\xff");
    expect_not_written(&request);
    request = whole;
    request.health = (enum pywatt_health)3;
    expect_not_written(&request);
    request = whole;
    request.operation = (enum pw_operation)4;
    expect_not_written(&request);
    request = whole;
    request.operation = PW_OP_REGISTER;
    expect_not_written(&request);
    request.operation = PW_OP_CAPABILITIES;
    expect_not_written(&request);
    request.operation = PW_OP_UNREGISTER;
    request.token = (struct pw_str){NULL, 0};
    expect_not_written(&request);
}

static void expect_reply_not_written(const struct pw_response *response)
{
    for (EACH_CODEC(codec)) {
        struct pw_buffer out;
        struct pywatt_error error = {0};
        pw_buffer_init(&out, 4096);
        assert_int_equal(pw_codec_encode_response(*codec, response, &out, &error),
                         PYWATT_INVALID_ARGUMENT);
        assert_int_equal(pw_buffer_len(&out), 0);
        assert_true(strlen(error.text) > 0);
        pw_buffer_destroy(&out);
    }
}

static void refuses_to_write_a_reply_that_lacks_something(void **state)
{
    (void)state;
    struct pw_response response;
    pw_response_init(&response);
    response.success = true;
    response.operation = PW_OP_REGISTER;
    expect_reply_not_written(&response);
    response.registration = pw_registration_new();
    expect_reply_not_written(&response);
    assert_int_equal(pywatt_module_info_new("a", "b", "c", &response.registration->info),
                     PYWATT_OK);
    expect_reply_not_written(&response);
    pw_response_reset(&response);
    response.operation = PW_OP_UNREGISTER;
    expect_reply_not_written(&response); /* failed, but with no status */
    response.status = PYWATT_REJECTED;
    response.error = PW_STR_LITERAL("\xc3");
    expect_reply_not_written(&response);
    response.error = (struct pw_str){NULL, 0};
    response.operation = PW_OP_HEARTBEAT;
    response.health = (enum pywatt_health)7;
    expect_reply_not_written(&response);
    response.operation = (enum pw_operation)9;
    expect_reply_not_written(&response);
}

/* At every size of the buffer: all of it or nothing, and what was there stays. */
static void leaves_a_buffer_as_it_was_when_the_message_does_not_fit(void **state)
{
    (void)state;
    static const char *const names[] = {"heartbeat-full", "register-full", "capabilities-full"};
    for (EACH_CODEC(codec)) {
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
            struct pw_request request;
            struct pw_span whole = pw_sample_request_bytes(*codec, names[n]);
            pw_request_init(&request);
            pw_sample_request(names[n], &request);
            for (size_t room = 0; room <= whole.len; room += room + 20 < whole.len ? 7 : 1) {
                struct pw_buffer out;
                struct pywatt_error error = {0};
                pw_buffer_init(&out, room + 3);
                assert_int_equal(pw_buffer_append(&out, "abc", 3), PYWATT_OK);
                const enum pywatt_status status =
                    pw_codec_encode_request(*codec, &request, &out, &error);
                assert_int_equal(status, room == whole.len ? PYWATT_OK : PYWATT_LIMIT);
                assert_int_equal(pw_buffer_len(&out), room == whole.len ? room + 3 : 3);
                assert_memory_equal(pw_buffer_bytes(&out), "abc", 3);
                pw_buffer_destroy(&out);
            }
            pw_request_clear(&request);
            pw_free_bytes(whole);
        }
    }
}

static void writes_behind_what_the_buffer_holds(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_request request;
        struct pw_buffer out;
        struct pw_span one = pw_sample_request_bytes(*codec, "heartbeat");
        pw_request_init(&request);
        pw_sample_request("heartbeat", &request);
        pw_buffer_init(&out, 1 << 20);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(pw_codec_encode_request(*codec, &request, &out, NULL), PYWATT_OK);
        }
        assert_int_equal(pw_buffer_len(&out), 100 * one.len);
        for (size_t i = 0; i < 100; i++) {
            assert_memory_equal(pw_buffer_bytes(&out) + i * one.len, one.data, one.len);
        }
        pw_buffer_destroy(&out);
        pw_free_bytes(one);
    }
}

/* ---- What cannot be read ------------------------------------------------------------------ */

static void refuses_an_empty_message(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pywatt_uuid id;
        bool has_id = true;
        const struct pw_span nothing = {NULL, 0};
        pw_reader_init(&reader);
        assert_int_equal(pw_read_request(&reader, *codec, nothing), PYWATT_SERIALIZATION);
        assert_false(reader.recognised);
        assert_int_equal(pw_read_response(&reader, *codec, nothing), PYWATT_SERIALIZATION);
        assert_int_equal(pw_codec_peek_response_id(*codec, nothing, &has_id, &id),
                         PYWATT_SERIALIZATION);
        assert_false(has_id);
        pw_reader_destroy(&reader);
    }
}

static void holds_the_limits_it_is_given(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_span bytes = pw_sample_request_bytes(*codec, "capabilities-full");
        struct pw_request message;
        struct pw_arena arena;
        bool recognised = false;
        const struct pw_codec_limits enough = {bytes.len, 12, 100, 64};
        struct pw_codec_limits limits[5];
        for (size_t i = 0; i < 5; i++) {
            limits[i] = enough;
        }
        limits[1].max_bytes = bytes.len - 1;
        limits[2].max_depth = 3;
        limits[3].max_elements = 20;
        limits[4].max_string = 5;
        pw_request_init(&message);
        pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
        for (size_t i = 0; i < 5; i++) {
            struct pywatt_error error = {0};
            const enum pywatt_status status = pw_codec_decode_request(
                *codec, bytes, &limits[i], &arena, &message, &recognised, &error);
            assert_int_equal(status, i == 0 ? PYWATT_OK : PYWATT_LIMIT);
            pw_arena_reset(&arena);
        }
        pw_request_clear(&message);
        pw_arena_destroy(&arena);
        pw_free_bytes(bytes);
    }
}

static void says_so_when_the_arena_has_no_room(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_request request;
        struct pw_request message;
        struct pw_arena arena;
        struct pywatt_error error = {0};
        bool recognised = false;
        pw_request_init(&request);
        pw_sample_request("capabilities-full", &request);
        for (int i = 0; i < 200; i++) {
            const char *method = "GET";
            assert_int_equal(pywatt_capabilities_add_http_endpoint(request.capabilities,
                                                                   "/a/longer/path", &method, 1),
                             PYWATT_OK);
        }
        struct pw_span bytes = write_request(*codec, &request);
        pw_request_init(&message);
        pw_arena_init(&arena, 100);
        assert_int_equal(pw_codec_decode_request(*codec, bytes, &pw_codec_default_limits, &arena,
                                                 &message, &recognised, &error),
                         PYWATT_LIMIT);
        assert_non_null(strstr(error.text, "100 bytes"));
        pw_arena_destroy(&arena);
        pw_request_clear(&message);
        pw_request_clear(&request);
        pw_free_bytes(bytes);
    }
}

/* A request for which an error reply can be sent keeps what that needs, and nothing else. */
static void keeps_the_address_of_a_request_that_it_cannot_read(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pw_request request;
        char *value = filled(PYWATT_TOKEN_MAX);
        pw_reader_init(&reader);
        pw_request_init(&request);
        pw_sample_request("heartbeat-full", &request);
        request.token = pw_str_from(value);
        struct pw_span bytes = write_request(*codec, &request);
        struct pw_codec_limits limits = pw_codec_default_limits;
        struct pw_arena arena;
        pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
        uint8_t *writable = (uint8_t *)(uintptr_t)bytes.data;
        uint8_t *found = memmem(writable, bytes.len, value, PYWATT_TOKEN_MAX);
        assert_non_null(found);
        found[0] = 0xFF; /* not UTF-8 */
        assert_int_not_equal(pw_codec_decode_request(*codec, bytes, &limits, &arena,
                                                     &reader.request, &reader.recognised,
                                                     &reader.error),
                             PYWATT_OK);
        if (reader.recognised) {
            assert_int_equal(reader.request.operation, PW_OP_HEARTBEAT);
            assert_true(reader.request.has_request_id);
            assert_true(pywatt_uuid_equal(&reader.request.request_id, &request.request_id));
        }
        assert_int_equal(reader.recognised, (*codec)->format_code == 16);
        assert_int_equal(reader.request.token.len, 0);
        assert_null(reader.request.details);
        pw_arena_destroy(&arena);
        pw_free_bytes(bytes);
        pw_request_clear(&request);
        pw_reader_destroy(&reader);
        free(value);
    }
}

static void leaves_nothing_in_a_reply_that_it_cannot_read(void **state)
{
    (void)state;
    for (EACH_CODEC(codec)) {
        struct pw_reader reader;
        struct pw_span bytes = pw_sample_response_bytes(*codec, "heartbeat-failed");
        uint8_t *writable = (uint8_t *)(uintptr_t)bytes.data;
        pw_reader_init(&reader);
        /* The last thing in it becomes something else: the word or the number of the health. */
        if ((*codec)->format_code == 16) {
            writable[bytes.len - 1] = 0;
        } else {
            uint8_t *found = memmem(writable, bytes.len, "nhealthy\"", 9);
            assert_non_null(found);
            found[0] = 'x';
        }
        assert_int_equal(pw_read_response(&reader, *codec, bytes), PYWATT_SERIALIZATION);
        assert_false(reader.response.has_request_id);
        assert_int_equal(reader.response.operation, 0);
        assert_int_equal(reader.response.error.len, 0);
        assert_int_equal(reader.response.status, PYWATT_OK);
        pw_reader_destroy(&reader);
        pw_free_bytes(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(refuses_to_write_a_request_that_lacks_something),
        cmocka_unit_test(refuses_to_write_a_reply_that_lacks_something),
        cmocka_unit_test(leaves_a_buffer_as_it_was_when_the_message_does_not_fit),
        cmocka_unit_test(writes_behind_what_the_buffer_holds),
        cmocka_unit_test(refuses_an_empty_message),
        cmocka_unit_test(holds_the_limits_it_is_given),
        cmocka_unit_test(says_so_when_the_arena_has_no_room),
        cmocka_unit_test(leaves_nothing_in_a_reply_that_it_cannot_read),
        cmocka_unit_test(keeps_the_address_of_a_request_that_it_cannot_read),
    };
    return PW_TEST_RUN(cases);
}
