/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where frames end. The bytes lie in blocks of exactly their length, so that a tool sees a read
 * beyond them. */
#include "transport/frame.h"

#include <pw_test.h>

#include <stdlib.h>
#include <string.h>

#define PAYLOAD "hello"
#define PAYLOAD_LEN (sizeof(PAYLOAD) - 1)

static uint8_t *make_frame(uint32_t announced, uint8_t code, size_t payload_len)
{
    uint8_t *const bytes = malloc(PW_FRAME_HEADER_SIZE + payload_len);
    assert_non_null(bytes);
    pw_frame_write_header(bytes, announced, code);
    memset(bytes + PW_FRAME_HEADER_SIZE, 'x', payload_len);
    return bytes;
}

static void writes_a_big_endian_length_and_the_code(void **state)
{
    (void)state;
    uint8_t header[PW_FRAME_HEADER_SIZE];
    const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x10};
    pw_frame_write_header(header, 0x01020304, 0x10);
    assert_memory_equal(header, expected, sizeof(expected));
}

static void asks_for_more_at_every_split(void **state)
{
    (void)state;
    uint8_t whole[PW_FRAME_HEADER_SIZE + PAYLOAD_LEN];
    pw_frame_write_header(whole, PAYLOAD_LEN, 1);
    memcpy(whole + PW_FRAME_HEADER_SIZE, PAYLOAD, PAYLOAD_LEN);
    for (size_t len = 0; len < sizeof(whole); len++) {
        uint8_t *const part = malloc(len + (len == 0));
        assert_non_null(part);
        memcpy(part, whole, len);
        struct pw_frame frame;
        size_t size = 0;
        assert_int_equal(pw_frame_parse((struct pw_span){part, len}, PAYLOAD_LEN, &frame, &size),
                         PW_FRAME_MORE);
        assert_int_equal(size, len < 4 ? PW_FRAME_HEADER_SIZE : sizeof(whole));
        free(part);
    }
}

static void finds_a_whole_frame_and_leaves_what_follows(void **state)
{
    (void)state;
    uint8_t bytes[2 * PW_FRAME_HEADER_SIZE + PAYLOAD_LEN];
    pw_frame_write_header(bytes, PAYLOAD_LEN, 16);
    memcpy(bytes + PW_FRAME_HEADER_SIZE, PAYLOAD, PAYLOAD_LEN);
    memset(bytes + PW_FRAME_HEADER_SIZE + PAYLOAD_LEN, 0xff, PW_FRAME_HEADER_SIZE);
    struct pw_frame frame;
    size_t size = 0;
    assert_int_equal(
        pw_frame_parse((struct pw_span){bytes, sizeof(bytes)}, PAYLOAD_LEN, &frame, &size),
        PW_FRAME_WHOLE);
    assert_int_equal(size, PW_FRAME_HEADER_SIZE + PAYLOAD_LEN);
    assert_int_equal(frame.format_code, 16);
    assert_int_equal(frame.payload.len, PAYLOAD_LEN);
    assert_ptr_equal(frame.payload.data, bytes + PW_FRAME_HEADER_SIZE);
}

static void accepts_a_frame_without_payload(void **state)
{
    (void)state;
    uint8_t *const bytes = make_frame(0, 3, 0);
    struct pw_frame frame;
    size_t size = 0;
    assert_int_equal(
        pw_frame_parse((struct pw_span){bytes, PW_FRAME_HEADER_SIZE}, 0, &frame, &size),
        PW_FRAME_WHOLE);
    assert_int_equal(size, PW_FRAME_HEADER_SIZE);
    assert_int_equal(frame.payload.len, 0);
    assert_int_equal(frame.format_code, 3);
    /* Without its code it is not whole. */
    assert_int_equal(pw_frame_parse((struct pw_span){bytes, 4}, 0, &frame, &size), PW_FRAME_MORE);
    free(bytes);
}

static void accepts_the_longest_payload_and_no_more(void **state)
{
    (void)state;
    const size_t limit = 1000;
    struct pw_frame frame;
    size_t size = 0;
    uint8_t *bytes = make_frame(1000, 1, limit);
    assert_int_equal(
        pw_frame_parse((struct pw_span){bytes, PW_FRAME_HEADER_SIZE + limit}, limit, &frame, &size),
        PW_FRAME_WHOLE);
    free(bytes);
    bytes = make_frame(1001, 1, limit);
    assert_int_equal(
        pw_frame_parse((struct pw_span){bytes, PW_FRAME_HEADER_SIZE + limit}, limit, &frame, &size),
        PW_FRAME_TOO_LONG);
    assert_int_equal(size, PW_FRAME_HEADER_SIZE + limit + 1);
    free(bytes);
}

static void refuses_a_length_prefix_over_the_limit_from_its_four_bytes(void **state)
{
    (void)state;
    const uint8_t all_ones[] = {0xff, 0xff, 0xff, 0xff};
    struct pw_frame frame;
    size_t size = 0;
    for (size_t len = 0; len < sizeof(all_ones); len++) {
        assert_int_equal(pw_frame_parse((struct pw_span){all_ones, len}, 1 << 20, &frame, &size),
                         PW_FRAME_MORE);
        assert_int_equal(size, PW_FRAME_HEADER_SIZE);
    }
    assert_int_equal(pw_frame_parse((struct pw_span){all_ones, 4}, 1 << 20, &frame, &size),
                     PW_FRAME_TOO_LONG);
    assert_int_equal(size, (uint64_t)UINT32_MAX + PW_FRAME_HEADER_SIZE);
}

static void asks_for_four_gibibytes_if_the_limit_allows_them(void **state)
{
    (void)state;
    const uint8_t all_ones[] = {0xff, 0xff, 0xff, 0xff, 1};
    struct pw_frame frame;
    size_t size = 0;
    assert_int_equal(pw_frame_parse((struct pw_span){all_ones, 5}, SIZE_MAX, &frame, &size),
                     PW_FRAME_MORE);
    assert_int_equal(size, (uint64_t)UINT32_MAX + PW_FRAME_HEADER_SIZE);
}

static void reads_nothing_of_an_empty_input(void **state)
{
    (void)state;
    struct pw_frame frame;
    size_t size = 0;
    assert_int_equal(pw_frame_parse((struct pw_span){NULL, 0}, 10, &frame, &size), PW_FRAME_MORE);
    assert_int_equal(size, PW_FRAME_HEADER_SIZE);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(writes_a_big_endian_length_and_the_code),
        cmocka_unit_test(asks_for_more_at_every_split),
        cmocka_unit_test(finds_a_whole_frame_and_leaves_what_follows),
        cmocka_unit_test(accepts_a_frame_without_payload),
        cmocka_unit_test(accepts_the_longest_payload_and_no_more),
        cmocka_unit_test(refuses_a_length_prefix_over_the_limit_from_its_four_bytes),
        cmocka_unit_test(asks_for_four_gibibytes_if_the_limit_allows_them),
        cmocka_unit_test(reads_nothing_of_an_empty_input),
    };
    return PW_TEST_RUN(cases);
}
