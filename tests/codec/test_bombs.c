/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Messages that are made to take memory, time or stack: refused within the limits, with less than a
 * mebibyte of heap, on a thread with the stack that the library's threads have. The message itself
 * is made before the heap is looked at. One thread, and one more for the stack.
 */
#include "pw_test.h"

#include "codec/proto_wire.h"
#include "heap_peak.h"
#include "samples.h"

#include <pthread.h>
#include <stdlib.h>

#define MEBIBYTE ((size_t)1 << 20)
#define MODULE "a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90"
#define BEAT_START                                                                               \
    "{\"content\":{\"request_type\":\"heartbeat\",\"module_id\":\"" MODULE "\",\"token\":\"t\"," \
    "\"status\":\"Healthy\",\"details\":"
#define CAPABILITIES_START                                                          \
    "{\"content\":{\"request_type\":\"capabilities\",\"module_id\":\"" MODULE "\"," \
    "\"token\":\"t\",\"capabilities\":{\"endpoints\":["

/* Room for whatever comes, so that the elements and not the bytes are the limit that is hit. */
static struct pw_codec_limits wide(void)
{
    struct pw_codec_limits limits = pw_codec_default_limits;
    limits.max_bytes = 64 * MEBIBYTE;
    return limits;
}

struct attempt {
    const struct pw_codec_ops *codec;
    struct pw_span bytes;
    struct pw_codec_limits limits;
    enum pywatt_status as_request;
    enum pywatt_status as_response;
    size_t peak;
    bool forbidden;
};

/* A fresh arena and fresh messages: everything that the bomb takes counts. */
static void *read_both_ways(void *user)
{
    struct attempt *attempt = user;
    struct pw_reader reader;
    struct pywatt_error error = {0};
    pw_heap_peak_start();
    pw_reader_init(&reader);
    attempt->as_request =
        pw_codec_decode_request(attempt->codec, attempt->bytes, &attempt->limits, &reader.arena,
                                &reader.request, &reader.recognised, &error);
    attempt->forbidden = pw_has_forbidden_word(error.text);
    pw_arena_reset(&reader.arena);
    attempt->as_response = pw_codec_decode_response(
        attempt->codec, attempt->bytes, &attempt->limits, &reader.arena, &reader.response, &error);
    attempt->forbidden |= pw_has_forbidden_word(error.text);
    pw_reader_destroy(&reader);
    attempt->peak = pw_heap_peak_stop();
    return NULL;
}

static bool refused(enum pywatt_status status)
{
    return status == PYWATT_LIMIT || status == PYWATT_SERIALIZATION || status == PYWATT_UNSUPPORTED;
}

/* Consumes `bytes`. */
static void expect_refused(const struct pw_codec_ops *codec, struct pw_span bytes,
                           struct pw_codec_limits limits)
{
    struct attempt attempt = {.codec = codec, .bytes = bytes, .limits = limits};
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, MEBIBYTE / 2), 0);
    assert_int_equal(pthread_create(&thread, &attributes, read_both_ways, &attempt), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    if (!refused(attempt.as_request) || !refused(attempt.as_response)) {
        fail_msg("%s: %d as request, %d as reply", codec->name, (int)attempt.as_request,
                 (int)attempt.as_response);
    }
    assert_false(attempt.forbidden);
    if (attempt.peak >= MEBIBYTE) {
        fail_msg("%s: the heap grew by %zu bytes", codec->name, attempt.peak);
    }
    pw_free_bytes(bytes);
}

/* How many of something that is too much by far; fewer under a tool, but still too much. */
static size_t many(size_t times)
{
    return pw_test_slow_factor() > 4 && times >= 100000 ? times / 10 : times;
}

/* before, then unit n times, then behind. */
static struct pw_span repeated(const void *before, size_t before_len, const void *unit,
                               size_t unit_len, size_t times, const char *behind)
{
    const size_t len = before_len + unit_len * times + strlen(behind);
    uint8_t *all = malloc(len);
    uint8_t *at = all;
    assert_non_null(all);
    if (before_len > 0) {
        memcpy(at, before, before_len);
    }
    at += before_len;
    for (size_t i = 0; i < times; i++) {
        memcpy(at, unit, unit_len);
        at += unit_len;
    }
    memcpy(at, behind, strlen(behind));
    return (struct pw_span){all, len};
}

static struct pw_span repeated_text(const char *before, const char *unit, size_t times,
                                    const char *behind)
{
    return repeated(before, strlen(before), unit, strlen(unit), times, behind);
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void refuses_json_bombs(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *unit;
        size_t times;
        const char *behind;
    } bombs[] = {
        {"", "[", 100000, ""},
        {"{\"content\":", "[", 100000, ""},
        {"{\"content\":", "{\"a\":", 100000, "1"},
        {BEAT_START, "{\"a\":", 100000, "1"},
        {BEAT_START "{\"a\":\"b\"", ",\"\":\"\"", 1000000, "}}}"},
        {"{\"x\":[0", ",0", 1000000, "]}"},
        {"{\"x\":[[]", ",[]", 1000000, "]}"},
        {"{\"x\":[{}", ",{}", 1000000, "]}"},
        {"{\"x\":[\"\"", ",\"\"", 1000000, "]}"},
        {CAPABILITIES_START "{}", ",{}", 1000000, "]}}}"},
        {CAPABILITIES_START "{\"path\":\"/\",\"methods\":[\"\"", ",\"\"", 1000000, "]}]}}}"},
        {CAPABILITIES_START "],\"message_types\":[\"m\"", ",\"m\"", 1000000, "]}}}"},
        {CAPABILITIES_START "],\"additional_capabilities\":{\"a\":[1", ",1", 1000000, "]}}}}"},
        {"{\"x\":\"", "y", 10000000, "\"}"},
        {"{\"x\":\"", "\\u0041", 2000000, "\"}"},
        {"{\"", "k", 10000000, "\":1}"},
        {"{\"x\":", "1", 10000000, ",\"y\":}"},
        {"", " ", 10000000, ""},
        {BEAT_START "{\"a\":\"", "v", 60000, "\"}}}"},
        {"{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\",\"context\":{"
         "\"a\":\"b\"",
         ",\"c\":\"d\"", 1000000, "}}"},
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        for (int form = 0; form < 2; form++) {
            const struct pw_codec_ops *codec =
                pw_codec_by_frame((uint8_t)form, (struct pw_span){(const uint8_t *)"{", 1});
            expect_refused(codec,
                           repeated_text(bombs[i].before, bombs[i].unit, many(bombs[i].times),
                                         bombs[i].behind),
                           wide());
        }
    }
}

/* As many elements as the limits allow, all with an escape, so that all of them take arena. */
static void holds_the_budget_on_escaped_texts(void **state)
{
    (void)state;
    struct pw_span text =
        repeated_text(BEAT_START "{\"a\":\"b\"", ",\"\\u0061\":\"\\u0062\"", 4000, "}}}");
    expect_refused(pw_codec_by_name("json"), text, pw_codec_default_limits);
}

static void refuses_more_bytes_than_a_message_may_have(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct pw_span valid = pw_sample_request_bytes(*codec, "heartbeat");
        struct pw_span padded =
            repeated(valid.data, valid.len, (*codec)->format_code == 16 ? "\x78\x01" : "  ", 2,
                     MEBIBYTE, "");
        expect_refused(*codec, padded, pw_codec_default_limits);
        pw_free_bytes(valid);
    }
}

/* ---- Protobuf ----------------------------------------------------------------------------- */

/* Field `outer` of a request or reply with `times` units in it, behind `head`. */
static struct pw_span in_field(unsigned outer, const void *head, size_t head_len, const void *unit,
                               size_t unit_len, size_t times)
{
    uint8_t start[64];
    uint8_t *at = pw_wire_put_length(start, outer, head_len + unit_len * times);
    if (head_len > 0) {
        memcpy(at, head, head_len);
    }
    at += head_len;
    return repeated(start, (size_t)(at - start), unit, unit_len, times, "");
}

/* The module id and token that a beat and an advertisement begin with. */
static const uint8_t head[] = "\x0a\x10"
                              "0123456789abcdef"
                              "\x12\x01t";

static void refuses_a_million_empty_protobuf_elements(void **state)
{
    (void)state;
    static const struct {
        unsigned outer;
        const char *unit;
        size_t unit_len;
    } bombs[] = {
        {2, "\x2a\x00", 2}, /* heartbeat: details {} */
        {4, "\x12\x00", 2}, /* heartbeat reply: context {} */
        {5, "\x1a\x00", 2}, /* capabilities: endpoints {} */
        {5, "\x22\x00", 2}, /* message_types "" */
        {5, "\x2a\x00", 2}, /* additional {} */
        {5, "\x78\x00", 2}, /* no field of ours: number 15 */
        {5, "\x32\x00", 2}, /* register reply: env {} */
        {3, "\x78\x00", 2},
        {2, "\x7a\x00", 2},                             /* number 15, bytes */
        {2, "\x7d\x00\x00\x00\x00", 5},                 /* number 15, 4 bytes */
        {7, "\x79\x00\x00\x00\x00\x00\x00\x00\x00", 9}, /* number 15, 8 bytes */
        {15, "\x78\x00", 2}, /* all of it in an operation that there is none of */
    };
    const struct pw_codec_ops *codec = pw_codec_by_name("protobuf");
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        expect_refused(codec,
                       in_field(bombs[i].outer, head, sizeof(head) - 1, bombs[i].unit,
                                bombs[i].unit_len, many(1000000)),
                       wide());
        expect_refused(codec, repeated("", 0, bombs[i].unit, bombs[i].unit_len, many(1000000), ""),
                       wide());
    }
}

/* More of a list than the model takes: refused before protobuf-c is let at it. */
static void refuses_more_protobuf_items_than_the_model_takes(void **state)
{
    (void)state;
    static const char *const units[] = {"\x1a\x00", "\x22\x00", "\x2a\x00"};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        expect_refused(pw_codec_by_name("protobuf"),
                       in_field(5, head, sizeof(head) - 1, units[i], 2, 8000),
                       pw_codec_default_limits);
    }
}

/* `times` endpoints with `inner` units each: what passes the scan, at its elements' limit. */
static void expect_endpoints_refused(const char *unit, size_t unit_len, size_t inner, size_t times)
{
    uint8_t endpoint[1024];
    uint8_t *at = pw_wire_put_length(endpoint, 3, unit_len * inner);
    assert_true((size_t)(at - endpoint) + unit_len * inner <= sizeof(endpoint));
    for (size_t i = 0; i < inner; i++) {
        memcpy(at, unit, unit_len);
        at += unit_len;
    }
    expect_refused(pw_codec_by_name("protobuf"),
                   in_field(5, head, sizeof(head) - 1, endpoint, (size_t)(at - endpoint), times),
                   pw_codec_default_limits);
}

static void holds_the_budget_on_nested_protobuf_elements(void **state)
{
    (void)state;
    expect_endpoints_refused("\x22\x00", 2, PYWATT_MAP_ITEMS_MAX, 63);
    expect_endpoints_refused("\x12\x00", 2, 31, PYWATT_ENDPOINTS_MAX - 1);
    expect_endpoints_refused("\x78\x00", 2, 31, PYWATT_ENDPOINTS_MAX - 1);
    expect_endpoints_refused("\x22\x04\x0a\x00\x12\x00", 6, 10, PYWATT_ENDPOINTS_MAX - 1);
}

/* Messages in messages, as deep as their lengths can be told. */
static void refuses_deeply_nested_protobuf(void **state)
{
    (void)state;
    enum {
        DEPTH = 30000
    };
    uint8_t *bytes = malloc(DEPTH * 5);
    assert_non_null(bytes);
    for (unsigned field = 1; field < 16; field++) {
        /* From the inside outwards, each a tag and a length in three bytes. */
        size_t len = 0;
        uint8_t *at = bytes + (size_t)DEPTH * 5;
        for (int i = 0; i < DEPTH; i++) {
            at -= 4;
            at[0] = (uint8_t)(field << 3 | 2);
            at[1] = (uint8_t)(len | 0x80);
            at[2] = (uint8_t)(len >> 7 | 0x80);
            at[3] = (uint8_t)(len >> 14);
            len += 4;
        }
        if (field < 6 || field > 8) { /* in those, nothing is looked at */
            expect_refused(pw_codec_by_name("protobuf"), pw_copy_bytes(at, len), wide());
        }
    }
    free(bytes);
}

static void refuses_lengths_that_lie(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } lies[] = {
        {"\x0a\xff\xff\xff\xff\x0f", 6},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},
        {"\x12\x7f\x0a\x10", 4},
        {"\x12\x02\x0a\x10", 4},
        {"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13},
        {"\x13", 1},     /* the start of a group */
        {"\x13\x14", 2}, /* a whole one */
        {"\x16", 1},
        {"\x17", 1},
        {"\x02\x00", 2}, /* number 0 */
        {"\xff\xff\xff\xff\xff\x0f\x00", 7},
        {"\x0d\x01\x02", 3},
        {"\x09\x01\x02\x03\x04\x05\x06\x07", 8},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        expect_refused(pw_codec_by_name("protobuf"), pw_copy_bytes(lies[i].bytes, lies[i].len),
                       pw_codec_default_limits);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(refuses_json_bombs),
        cmocka_unit_test(holds_the_budget_on_escaped_texts),
        cmocka_unit_test(refuses_more_bytes_than_a_message_may_have),
        cmocka_unit_test(refuses_a_million_empty_protobuf_elements),
        cmocka_unit_test(refuses_more_protobuf_items_than_the_model_takes),
        cmocka_unit_test(holds_the_budget_on_nested_protobuf_elements),
        cmocka_unit_test(refuses_deeply_nested_protobuf),
        cmocka_unit_test(refuses_lengths_that_lie),
    };
    return PW_TEST_RUN(cases);
}
