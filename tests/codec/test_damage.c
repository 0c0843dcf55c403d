/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Damaged messages: every truncation and every change of a single byte of every sample, in every
 * codec. The bytes stand in a heap block of exactly their size, so that a tool sees a read behind
 * the end. What is read must be as if it had been read elsewhere, and as peeking and the bounds of
 * the model say. One thread.
 */
#include "pw_test.h"

#include "samples.h"

#include <stdlib.h>

/*
 * How many of the 255 other values a byte is given: all of them, or a choice where a tool makes that
 * slow, and for the second codec that has the same reader as the first.
 */
static unsigned values_per_byte(const struct pw_codec_ops *codec)
{
    if (pw_test_slow_factor() > 10) {
        return 2;
    }
    return pw_test_slow_factor() == 1 && codec->format_code != 0 ? 255 : 16;
}

static struct pw_reader reader;
static struct pw_reader other_reader;
static bool accepted; /* the last verdict */

static int set_up(void **state)
{
    (void)state;
    pw_reader_init(&reader);
    pw_reader_init(&other_reader);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pw_reader_destroy(&reader);
    pw_reader_destroy(&other_reader);
    return 0;
}

static void check_status(const struct pw_codec_ops *codec, enum pywatt_status status)
{
    if (status != PYWATT_OK && status != PYWATT_SERIALIZATION && status != PYWATT_LIMIT &&
        status != PYWATT_UNSUPPORTED) {
        fail_msg("%s: status %d", codec->name, (int)status);
    }
    accepted = status == PYWATT_OK;
}

/* Reads `bytes` in their exact block and again with other bytes behind them. */
static void read_as_request(const struct pw_codec_ops *codec, struct pw_span bytes,
                            struct pw_span with_more)
{
    const enum pywatt_status status = pw_read_request(&reader, codec, bytes);
    const enum pywatt_status again =
        pw_read_request(&other_reader, codec, (struct pw_span){with_more.data, bytes.len});
    check_status(codec, status);
    assert_int_equal(status, again);
    assert_int_equal(reader.recognised, other_reader.recognised);
    assert_true(pw_same_request(&reader.request, &other_reader.request));
    if (status != PYWATT_OK) {
        assert_string_equal(reader.error.text, other_reader.error.text);
        assert_false(pw_has_forbidden_word(reader.error.text));
    }
}

static void read_as_response(const struct pw_codec_ops *codec, struct pw_span bytes,
                             struct pw_span with_more)
{
    struct pywatt_uuid id = {{0}};
    bool has_id = false;
    const enum pywatt_status status = pw_read_response(&reader, codec, bytes);
    const enum pywatt_status again =
        pw_read_response(&other_reader, codec, (struct pw_span){with_more.data, bytes.len});
    check_status(codec, status);
    assert_int_equal(status, again);
    assert_true(pw_same_response(&reader.response, &other_reader.response));
    const enum pywatt_status peeked = pw_codec_peek_response_id(codec, bytes, &has_id, &id);
    assert_true(peeked == PYWATT_OK || !has_id);
    if (status == PYWATT_OK) {
        assert_int_equal(peeked, PYWATT_OK);
    } else {
        assert_string_equal(reader.error.text, other_reader.error.text);
        assert_false(pw_has_forbidden_word(reader.error.text));
    }
}

typedef void (*read_function)(const struct pw_codec_ops *codec, struct pw_span bytes,
                              struct pw_span with_more);

static void cut_everywhere(const struct pw_codec_ops *codec, struct pw_span whole,
                           read_function read)
{
    for (size_t len = 0; len < whole.len; len++) {
        struct pw_span cut = pw_copy_bytes(whole.data, len);
        read(codec, cut, whole);
        assert_false(accepted && codec->format_code < 16);
        pw_free_bytes(cut);
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    return *state >> 24;
}

static void change_everywhere(const struct pw_codec_ops *codec, struct pw_span whole,
                              read_function read)
{
    const unsigned values = values_per_byte(codec);
    struct pw_span exact = pw_copy_bytes(whole.data, whole.len);
    uint8_t *more = malloc(whole.len + 1);
    uint8_t *changed = (uint8_t *)(uintptr_t)exact.data;
    uint32_t random = 1;
    assert_non_null(more);
    memcpy(more, whole.data, whole.len);
    more[whole.len] = '"';
    for (size_t at = 0; at < whole.len; at++) {
        for (unsigned i = 1; i <= values; i++) {
            const uint8_t by = (uint8_t)(values == 255 ? i : next_random(&random));
            changed[at] = whole.data[at] ^ by;
            more[at] = changed[at];
            read(codec, exact, (struct pw_span){more, whole.len});
        }
        changed[at] = whole.data[at];
        more[at] = changed[at];
    }
    free(more);
    pw_free_bytes(exact);
}

static void comes_back_from_every_truncated_request(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_request *at = pw_sample_requests;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_span whole = pw_sample_request_bytes(*codec, at->name);
            cut_everywhere(*codec, whole, read_as_request);
            pw_free_bytes(whole);
        }
    }
}

static void comes_back_from_every_truncated_reply(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_span whole = pw_sample_response_bytes(*codec, at->name);
            cut_everywhere(*codec, whole, read_as_response);
            pw_free_bytes(whole);
        }
    }
}

static void comes_back_from_every_changed_byte_of_a_request(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_request *at = pw_sample_requests;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_span whole = pw_sample_request_bytes(*codec, at->name);
            change_everywhere(*codec, whole, read_as_request);
            pw_free_bytes(whole);
        }
    }
}

static void comes_back_from_every_changed_byte_of_a_reply(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(*codec, at->name); at++) {
            struct pw_span whole = pw_sample_response_bytes(*codec, at->name);
            change_everywhere(*codec, whole, read_as_response);
            pw_free_bytes(whole);
        }
    }
}

/* Bytes of one codec or direction handed to another. */
static void comes_back_from_messages_of_another_kind(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *from = pw_codec_all(); *from != NULL; from++) {
        for (const struct pw_codec_ops *const *to = pw_codec_all(); *to != NULL; to++) {
            for (const struct pw_sample_request *at = pw_sample_requests;
                 pw_sample_fits(*from, at->name); at++) {
                struct pw_span whole = pw_sample_request_bytes(*from, at->name);
                read_as_response(*to, whole, whole);
                read_as_request(*to, whole, whole);
                pw_free_bytes(whole);
            }
            for (const struct pw_sample_response *at = pw_sample_responses;
                 pw_sample_fits(*from, at->name); at++) {
                struct pw_span whole = pw_sample_response_bytes(*from, at->name);
                read_as_request(*to, whole, whole);
                read_as_response(*to, whole, whole);
                pw_free_bytes(whole);
            }
        }
    }
}

/* Random bytes, and random pieces of messages put together. */
static void comes_back_from_noise(void **state)
{
    (void)state;
    uint32_t random = 7;
    const unsigned rounds = 20000 / pw_test_slow_factor();
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct pw_span one = pw_sample_request_bytes(*codec, "capabilities-full");
        struct pw_span two = pw_sample_response_bytes(*codec, "register-full");
        for (unsigned i = 0; i < rounds; i++) {
            uint8_t noise[64];
            size_t len = 0;
            while (len < sizeof(noise) - 8) {
                const struct pw_span from = next_random(&random) % 2 ? one : two;
                const size_t at = (next_random(&random) << 8 | next_random(&random)) % from.len;
                const size_t piece = next_random(&random) % 8;
                for (size_t k = 0; k < piece && at + k < from.len; k++) {
                    noise[len++] = i % 4 == 0 ? (uint8_t)next_random(&random) : from.data[at + k];
                }
            }
            struct pw_span exact = pw_copy_bytes(noise, len);
            read_as_request(*codec, exact, exact);
            read_as_response(*codec, exact, exact);
            pw_free_bytes(exact);
        }
        pw_free_bytes(one);
        pw_free_bytes(two);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(comes_back_from_every_truncated_request),
        cmocka_unit_test(comes_back_from_every_truncated_reply),
        cmocka_unit_test(comes_back_from_every_changed_byte_of_a_request),
        cmocka_unit_test(comes_back_from_every_changed_byte_of_a_reply),
        cmocka_unit_test(comes_back_from_messages_of_another_kind),
        cmocka_unit_test(comes_back_from_noise),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
