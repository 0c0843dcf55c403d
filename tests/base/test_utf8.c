/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What counts as text. One thread.
 */
#include "pw_test.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* From a heap block of the exact size, so that a read past the end is seen by the tools. */
static bool valid(const void *bytes, size_t len)
{
    char *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, bytes, len);
    const bool result = pw_utf8_valid((struct pw_str){copy, len});
    free(copy);
    return result;
}

/* The same at each place in a longer text, so that it meets the fast path in every way. */
static void check_everywhere(const char *bytes, size_t len, bool expected)
{
    for (size_t before = 0; before < 18; before++) {
        for (size_t after = 0; after < 10; after++) {
            char text[64];
            memset(text, 'x', sizeof(text));
            memcpy(text + before, bytes, len);
            if (valid(text, before + len + after) != expected) {
                fail_msg("%zu bytes at %zu, %zu behind: not %d", len, before, after, expected);
            }
        }
    }
}

static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static void accepts_every_character_but_nul_and_surrogates(void **state)
{
    (void)state;
    char bytes[4];
    for (uint32_t c = 0; c < 0x120000; c++) {
        const size_t len = encode(c, bytes);
        const bool expected = c != 0 && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        if (pw_utf8_valid((struct pw_str){bytes, len}) != expected) {
            fail_msg("U+%04X", c);
        }
    }
}

static void accepts_the_corners_everywhere_in_a_text(void **state)
{
    (void)state;
    const uint32_t corners[] = {1,      0x7f,   0x80,   0x7ff,   0x800,
                                0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < sizeof(corners) / sizeof(corners[0]); i++) {
        char bytes[4];
        check_everywhere(bytes, encode(corners[i], bytes), true);
    }
    assert_true(valid("", 0));
    assert_true(pw_utf8_valid((struct pw_str){NULL, 0}));
}

static void refuses_what_is_not_well_formed_everywhere_in_a_text(void **state)
{
    (void)state;
    const char *bad[] = {
        "\x80",             /* continuation alone */
        "\xbf",             /* the same */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong */
        "\xc3",             /* cut */
        "\xc3\x28",         /* no continuation */
        "\xe0\x80\x80",     /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xed\xbf\xbf",     /* surrogate */
        "\xe2\x82",         /* cut */
        "\xe2\x28\xa1",     /* no continuation */
        "\xe2\x82\x28",     /* no continuation */
        "\xf0\x80\x80\x80", /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80", /* above U+10FFFF */
        "\xf0\x9f\x98",     /* cut */
        "\xf0\x28\x98\x80", /* no continuation */
        "\xf0\x9f\x28\x80", /* no continuation */
        "\xf0\x9f\x98\x28", /* no continuation */
        "\xff",             /* never */
        "\xfe",             /* never */
        "\xf8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_everywhere(bad[i], strlen(bad[i]), false);
    }
    check_everywhere("\0", 1, false);
}

static void refuses_a_character_that_ends_with_the_text(void **state)
{
    (void)state;
    const char *whole[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t len = 1; len < strlen(whole[i]); len++) {
            assert_false(valid(whole[i], len));
        }
        assert_true(valid(whole[i], strlen(whole[i])));
    }
}

static void cuts_between_characters(void **state)
{
    (void)state;
    const char *text = "ab\xc3\xa4"
                       "c\xf0\x9f\x98\x80"
                       "d";
    const size_t expected[] = {0, 1, 2, 2, 4, 5, 5, 5, 5, 9, 10};
    for (size_t len = 0; len <= 10; len++) {
        assert_int_equal(pw_utf8_cut(text, len), expected[len]);
    }
}

static void cuts_bytes_that_are_no_text_where_it_was_told(void **state)
{
    (void)state;
    assert_int_equal(pw_utf8_cut("\x80\x80\x80\x80\x80\x80", 5), 5);
    assert_int_equal(pw_utf8_cut("\x80\x80", 1), 1);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(accepts_every_character_but_nul_and_surrogates),
        cmocka_unit_test(accepts_the_corners_everywhere_in_a_text),
        cmocka_unit_test(refuses_what_is_not_well_formed_everywhere_in_a_text),
        cmocka_unit_test(refuses_a_character_that_ends_with_the_text),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(cuts_bytes_that_are_no_text_where_it_was_told),
    };
    return PW_TEST_RUN(cases);
}
