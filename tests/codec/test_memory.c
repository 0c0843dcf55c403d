/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory: none is allocated for beats once buffers and messages have their size, in any codec and
 * either direction; and every allocation that fails for a registration or an advertisement is
 * PYWATT_NO_MEMORY, without a leak. One thread.
 */
#include "pw_test.h"

#include "malloc_fail.h"
#include "model/registration.h"
#include "model/string_map.h"
#include "samples.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* cJSON is a shared library: what it allocates is only seen when it is told to allocate here. */
static void *counted_malloc(size_t size)
{
    return malloc(size);
}

static void counted_free(void *memory)
{
    free(memory);
}

static int hook_cjson(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = counted_malloc, .free_fn = counted_free};
    cJSON_InitHooks(&hooks);
    return 0;
}

static int unhook_cjson(void **state)
{
    (void)state;
    cJSON_InitHooks(NULL);
    return 0;
}

/* ---- Beats -------------------------------------------------------------------------------- */

static const char *const beat_requests[] = {"heartbeat", "heartbeat-details", "heartbeat-full",
                                            "unregister"};
static const char *const beat_replies[] = {
    "heartbeat",         "heartbeat-context", "heartbeat-failed",    "unregister",
    "unregister-failed", "capabilities",      "capabilities-failed", "register-failed"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void expect_nothing_allocated(const struct pw_codec_ops *codec, const char *name,
                                     const char *what)
{
    pw_malloc_fail_disarm();
    if (pw_malloc_fail_count() != 0) {
        fail_msg("%s, %s: %s allocates %lu times", codec->name, name, what, pw_malloc_fail_count());
    }
}

/* Everything is done once to warm up, and then again with the counter on. */
static void writes_and_reads_requests_without_memory(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct pw_reader reader;
        struct pw_buffer out;
        pw_reader_init(&reader);
        pw_buffer_init(&out, 1 << 20);
        for (size_t n = 0; n < COUNT_OF(beat_requests); n++) {
            struct pw_request request;
            pw_request_init(&request);
            pw_sample_request(beat_requests[n], &request);
            for (int round = 0; round < 3; round++) {
                pw_buffer_clear(&out);
                pw_malloc_fail_at(round == 0 ? 0 : (unsigned long)-1);
                assert_int_equal(pw_codec_encode_request(*codec, &request, &out, NULL), PYWATT_OK);
                if (round > 0) {
                    expect_nothing_allocated(*codec, beat_requests[n], "writing");
                }
                pw_malloc_fail_at(round == 0 ? 0 : (unsigned long)-1);
                assert_int_equal(pw_read_request(&reader, *codec, pw_buffer_span(&out)), PYWATT_OK);
                if (round > 0) {
                    expect_nothing_allocated(*codec, beat_requests[n], "reading");
                }
                assert_true(pw_same_request(&request, &reader.request));
            }
            pw_malloc_fail_disarm();
            pw_request_clear(&request);
        }
        pw_buffer_destroy(&out);
        pw_reader_destroy(&reader);
    }
}

static void writes_and_reads_replies_without_memory(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct pw_reader reader;
        struct pw_buffer out;
        pw_reader_init(&reader);
        pw_buffer_init(&out, 1 << 20);
        for (size_t n = 0; n < COUNT_OF(beat_replies); n++) {
            struct pw_response response;
            struct pywatt_uuid id;
            bool has_id = false;
            pw_response_init(&response);
            pw_sample_response(beat_replies[n], &response);
            for (int round = 0; round < 3; round++) {
                pw_buffer_clear(&out);
                pw_malloc_fail_at(round == 0 ? 0 : (unsigned long)-1);
                assert_int_equal(pw_codec_encode_response(*codec, &response, &out, NULL),
                                 PYWATT_OK);
                if (round > 0) {
                    expect_nothing_allocated(*codec, beat_replies[n], "writing");
                }
                pw_malloc_fail_at(round == 0 ? 0 : (unsigned long)-1);
                assert_int_equal(
                    pw_codec_peek_response_id(*codec, pw_buffer_span(&out), &has_id, &id),
                    PYWATT_OK);
                assert_int_equal(pw_read_response(&reader, *codec, pw_buffer_span(&out)),
                                 PYWATT_OK);
                if (round > 0) {
                    expect_nothing_allocated(*codec, beat_replies[n], "reading");
                }
                assert_true(pw_same_response(&response, &reader.response));
            }
            pw_malloc_fail_disarm();
            pw_response_clear(&response);
        }
        pw_buffer_destroy(&out);
        pw_reader_destroy(&reader);
    }
}

/* A buffer with just the room that a beat takes is enough. */
static void needs_no_more_room_than_the_message_has(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct pw_span bytes = pw_sample_request_bytes(*codec, "heartbeat-full");
        struct pw_request request;
        struct pw_buffer out;
        pw_request_init(&request);
        pw_sample_request("heartbeat-full", &request);
        pw_buffer_init(&out, bytes.len);
        assert_int_equal(pw_codec_encode_request(*codec, &request, &out, NULL), PYWATT_OK);
        pw_buffer_clear(&out);
        pw_malloc_fail_at((unsigned long)-1);
        assert_int_equal(pw_codec_encode_request(*codec, &request, &out, NULL), PYWATT_OK);
        expect_nothing_allocated(*codec, "heartbeat-full", "writing");
        pw_buffer_destroy(&out);
        pw_request_clear(&request);
        pw_free_bytes(bytes);
    }
}

/* ---- Failures ----------------------------------------------------------------------------- */

static enum pywatt_status request_there_and_back(const struct pw_codec_ops *codec,
                                                 const struct pw_request *request)
{
    struct pw_reader reader;
    struct pw_buffer out;
    pw_reader_init(&reader);
    pw_buffer_init(&out, 1 << 20);
    enum pywatt_status status = pw_codec_encode_request(codec, request, &out, &reader.error);
    if (status == PYWATT_OK) {
        status = pw_read_request(&reader, codec, pw_buffer_span(&out));
        assert_true(status != PYWATT_OK || pw_same_request(request, &reader.request));
    } else {
        assert_int_equal(pw_buffer_len(&out), 0);
    }
    assert_true(status == PYWATT_OK || reader.error.status == status);
    pw_buffer_destroy(&out);
    pw_reader_destroy(&reader);
    return status;
}

static enum pywatt_status response_there_and_back(const struct pw_codec_ops *codec,
                                                  const struct pw_response *response)
{
    struct pw_reader reader;
    struct pw_buffer out;
    pw_reader_init(&reader);
    pw_buffer_init(&out, 1 << 20);
    enum pywatt_status status = pw_codec_encode_response(codec, response, &out, &reader.error);
    if (status == PYWATT_OK) {
        status = pw_read_response(&reader, codec, pw_buffer_span(&out));
        assert_true(status != PYWATT_OK || pw_same_response(response, &reader.response));
    } else {
        assert_int_equal(pw_buffer_len(&out), 0);
    }
    assert_true(status == PYWATT_OK || reader.error.status == status);
    pw_buffer_destroy(&out);
    pw_reader_destroy(&reader);
    return status;
}

static void says_so_whichever_allocation_fails_for_a_request(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_request *at = pw_sample_requests;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_request request;
            pw_request_init(&request);
            at->fill(&request);
            for (unsigned long n = 1;; n++) {
                pw_malloc_fail_at(n);
                const enum pywatt_status status = request_there_and_back(*codec, &request);
                if (!pw_malloc_fail_disarm()) {
                    assert_int_equal(status, PYWATT_OK);
                    break;
                }
                if (status != PYWATT_NO_MEMORY) {
                    fail_msg("%s, %s: status %d when allocation %lu fails", (*codec)->name,
                             at->name, (int)status, n);
                }
            }
            pw_request_clear(&request);
        }
    }
}

static void says_so_whichever_allocation_fails_for_a_reply(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_response response;
            pw_response_init(&response);
            at->fill(&response);
            for (unsigned long n = 1;; n++) {
                pw_malloc_fail_at(n);
                const enum pywatt_status status = response_there_and_back(*codec, &response);
                if (!pw_malloc_fail_disarm()) {
                    assert_int_equal(status, PYWATT_OK);
                    break;
                }
                if (status != PYWATT_NO_MEMORY) {
                    fail_msg("%s, %s: status %d when allocation %lu fails", (*codec)->name,
                             at->name, (int)status, n);
                }
            }
            pw_response_clear(&response);
        }
    }
}

/* Large ones, which need a tape from the arena and blocks on the heap. */

static void there_and_back_for_all(const struct pw_request *request,
                                   const struct pw_response *response)
{
    /* All of them take a while where a tool looks on. */
    const unsigned long step = pw_test_slow_factor() > 4 ? 29 : 1;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (unsigned long n = 1;; n += step) {
            pw_malloc_fail_at(n);
            const enum pywatt_status status = request != NULL
                                                  ? request_there_and_back(*codec, request)
                                                  : response_there_and_back(*codec, response);
            if (!pw_malloc_fail_disarm()) {
                assert_int_equal(status, PYWATT_OK);
                break;
            }
            assert_int_equal(status, PYWATT_NO_MEMORY);
        }
    }
}

static const char *numbered(const char *what, int number)
{
    static char text[64];
    snprintf(text, sizeof(text), "%s \xc3\xa9 %d", what, number);
    return text;
}

static void says_so_whichever_allocation_fails_for_a_large_advertisement(void **state)
{
    (void)state;
    struct pw_request request;
    pw_request_init(&request);
    pw_sample_request("capabilities-empty", &request);
    struct pywatt_capabilities *capabilities = request.capabilities;
    for (int i = 0; i < 60; i++) {
        const char *methods[] = {"GET", "PUT"};
        assert_int_equal(
            pywatt_capabilities_add_http_endpoint(capabilities, numbered("/a", i), methods, 2),
            PYWATT_OK);
        assert_int_equal(pywatt_capabilities_add_message_type(capabilities, numbered("type", i)),
                         PYWATT_OK);
        assert_int_equal(
            pywatt_capabilities_set_capability(capabilities, numbered("key", i), "[1]"), PYWATT_OK);
    }
    there_and_back_for_all(&request, NULL);
    pw_request_clear(&request);
}

/* So many types that they alone take more than the storage on the stack. */
static void says_so_whichever_allocation_fails_for_many_message_types(void **state)
{
    (void)state;
    struct pw_request request;
    pw_request_init(&request);
    pw_sample_request("capabilities-empty", &request);
    for (int i = 0; i < PYWATT_MESSAGE_TYPES_MAX; i++) {
        assert_int_equal(pywatt_capabilities_add_message_type(request.capabilities, "t"),
                         PYWATT_OK);
    }
    for (int i = 0; i < PYWATT_ENDPOINTS_MAX; i++) {
        assert_int_equal(pywatt_capabilities_add_http_endpoint(request.capabilities, "/", NULL, 0),
                         PYWATT_OK);
    }
    there_and_back_for_all(&request, NULL);
    pw_request_clear(&request);
}

static void says_so_whichever_allocation_fails_for_a_large_registration(void **state)
{
    (void)state;
    struct pw_request request;
    struct pw_response response;
    pw_request_init(&request);
    pw_response_init(&response);
    pw_sample_request("register", &request);
    pw_sample_response("register", &response);
    for (int i = 0; i < PYWATT_MAP_ITEMS_MAX; i++) {
        const struct pw_str key = pw_str_from(numbered("key", i));
        assert_int_equal(pywatt_module_info_set_metadata(request.info, key.data, "value"),
                         PYWATT_OK);
        assert_int_equal(pw_string_map_put(&response.registration->env, key, key), PYWATT_OK);
    }
    there_and_back_for_all(&request, NULL);
    there_and_back_for_all(NULL, &response);
    pw_request_clear(&request);
    pw_response_clear(&response);
}

static void says_so_whichever_allocation_fails_for_a_text_of_capabilities(void **state)
{
    (void)state;
    static const char text[] =
        "{\"endpoints\":[{\"path\":\"/x\",\"methods\":[\"GET\"],\"metadata\":{\"\\u006b\":\"v\"}}],"
        "\"message_types\":[\"a\"],\"additional_capabilities\":{\"gpu\":[true]}}";
    unsigned long n = 1;
    for (;; n++) {
        struct pywatt_capabilities *made = NULL;
        struct pywatt_error error = {.status = PYWATT_OK};
        pw_malloc_fail_at(n);
        const enum pywatt_status status =
            pywatt_capabilities_parse(text, sizeof(text) - 1, &made, &error);
        const bool fired = pw_malloc_fail_disarm();
        pywatt_capabilities_free(made);
        if (!fired) {
            assert_int_equal(status, PYWATT_OK);
            break;
        }
        assert_int_equal(status, PYWATT_NO_MEMORY);
        assert_int_equal(error.status, PYWATT_NO_MEMORY);
        assert_null(made);
    }
    assert_in_range(n, 8, 100);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(writes_and_reads_requests_without_memory),
        cmocka_unit_test(writes_and_reads_replies_without_memory),
        cmocka_unit_test(needs_no_more_room_than_the_message_has),
        cmocka_unit_test(says_so_whichever_allocation_fails_for_a_request),
        cmocka_unit_test(says_so_whichever_allocation_fails_for_a_reply),
        cmocka_unit_test(says_so_whichever_allocation_fails_for_a_large_advertisement),
        cmocka_unit_test(says_so_whichever_allocation_fails_for_many_message_types),
        cmocka_unit_test(says_so_whichever_allocation_fails_for_a_large_registration),
        cmocka_unit_test(says_so_whichever_allocation_fails_for_a_text_of_capabilities),
    };
    return PW_TEST_RUN_WITH(cases, hook_cjson, unhook_cjson);
}
