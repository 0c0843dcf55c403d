/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The JSON scanner: the corpus of cases, the tape, the limits, and the readers of a tape. One thread.
 */
#include "pw_test.h"

#include "base/json_scan.h"
#include "json_cases.h"
#include "malloc_fail.h"

#include <stdio.h>
#include <stdlib.h>

#define TOKENS 8192

static const struct pw_json_limits limits = {.max_depth = 40,
                                             .max_tokens = TOKENS,
                                             .max_string_len = 65536};

static struct pw_json_token tape[TOKENS];

static struct pw_span span_of(const char *text)
{
    return (struct pw_span){(const uint8_t *)text, strlen(text)};
}

static enum pywatt_status scan(const char *text, uint32_t *count)
{
    return pw_json_scan(span_of(text), &limits, tape, TOKENS, count, NULL);
}

static enum pywatt_status scan_within(struct pw_span text, const struct pw_json_limits *within,
                                      uint32_t capacity)
{
    uint32_t count = 0;
    struct pw_json_token *tokens = calloc(capacity, sizeof(*tokens));
    assert_non_null(tokens);
    const enum pywatt_status status = pw_json_scan(text, within, tokens, capacity, &count, NULL);
    free(tokens);
    return status;
}

/* ---- The corpus --------------------------------------------------------------------------- */

static void must_be_accepted(const char *name, struct pw_span text, void *user)
{
    (void)user;
    struct pywatt_error error = {0};
    uint32_t count = 0;
    const enum pywatt_status status = pw_json_scan(text, &limits, tape, TOKENS, &count, &error);
    if (status != PYWATT_OK) {
        fail_msg("%s is refused: %s", name, error.text);
    }
    assert_true(count > 0);
    assert_int_equal(tape[0].next, count);
}

static void must_be_refused(const char *name, struct pw_span text, void *user)
{
    (void)user;
    struct pywatt_error error = {0};
    uint32_t count = 1;
    const enum pywatt_status status = pw_json_scan(text, &limits, tape, TOKENS, &count, &error);
    if (status != PYWATT_SERIALIZATION && status != PYWATT_LIMIT) {
        fail_msg("%s is not refused: %d", name, (int)status);
    }
    assert_int_equal(error.status, status);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(count, 0);
}

static void may_be_either(const char *name, struct pw_span text, void *user)
{
    (void)name;
    (void)user;
    uint32_t count = 0;
    const enum pywatt_status status = pw_json_scan(text, &limits, tape, TOKENS, &count, NULL);
    assert_true(status == PYWATT_OK || status == PYWATT_LIMIT);
}

static void accepts_what_every_parser_must(void **state)
{
    (void)state;
    const size_t count = pw_json_cases("accept", must_be_accepted, NULL);
    print_message("%zu texts that are JSON were accepted\n", count);
    assert_true(count >= 95);
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    const size_t count = pw_json_cases("reject", must_be_refused, NULL);
    print_message("%zu texts that are not JSON were refused\n", count);
    assert_true(count >= 188);
}

static void comes_back_from_what_the_grammar_leaves_open(void **state)
{
    (void)state;
    assert_true(pw_json_cases("either", may_be_either, NULL) >= 10);
}

/* Any prefix of a text is refused, if the text is a container; never read beyond. */
static void must_be_refused_when_cut(const char *name, struct pw_span text, void *user)
{
    (void)user;
    size_t end = text.len;
    while (end > 0 && strchr(" \t\r\n", text.data[end - 1]) != NULL) {
        end--;
    }
    if (text.data[end - 1] != ']' && text.data[end - 1] != '}') {
        return;
    }
    for (size_t len = 0; len < end; len += len < 300 ? 1 : 97) {
        uint8_t *exact = malloc(len == 0 ? 1 : len);
        uint32_t count = 0;
        memcpy(exact, text.data, len);
        if (pw_json_scan((struct pw_span){exact, len}, &limits, tape, TOKENS, &count, NULL) ==
            PYWATT_OK) {
            fail_msg("%s is accepted when cut to %zu bytes", name, len);
        }
        free(exact);
    }
}

static void refuses_every_prefix_of_a_container(void **state)
{
    (void)state;
    pw_json_cases("accept", must_be_refused_when_cut, NULL);
}

/* Strings are looked at several bytes at a time: no byte may hide behind others. */
static void judges_every_byte_at_every_place_of_a_string(void **state)
{
    (void)state;
    for (size_t at = 1; at <= 20; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[28] = "\"aaaaaaaaaaaaaaaaaaaaaaaa\"";
            const bool fine = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            uint32_t count = 0;
            text[at] = (char)byte;
            assert_int_equal(pw_json_scan((struct pw_span){(const uint8_t *)text, 26}, &limits,
                                          tape, TOKENS, &count, NULL),
                             fine ? PYWATT_OK : PYWATT_SERIALIZATION);
        }
    }
}

/* ---- The tape ----------------------------------------------------------------------------- */

static void lays_out_tokens_in_the_order_of_the_text(void **state)
{
    (void)state;
    const char *text = " {\"a\" : [1, null ,\"x\\n\"],\"b\":{} } ";
    static const struct {
        enum pw_json_kind kind;
        uint32_t offset;
        uint32_t len;
        uint32_t next;
        uint16_t children;
        bool escaped;
    } expected[] = {
        {PW_JSON_OBJECT, 1, 32, 8, 2, false}, {PW_JSON_STRING, 2, 3, 2, 0, false},
        {PW_JSON_ARRAY, 8, 16, 6, 3, false},  {PW_JSON_NUMBER, 9, 1, 4, 0, false},
        {PW_JSON_NULL, 12, 4, 5, 0, false},   {PW_JSON_STRING, 18, 5, 6, 0, true},
        {PW_JSON_STRING, 25, 3, 7, 0, false}, {PW_JSON_OBJECT, 29, 2, 8, 0, false},
    };
    uint32_t count = 0;
    assert_int_equal(scan(text, &count), PYWATT_OK);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tape[i].kind, expected[i].kind);
        assert_int_equal(tape[i].offset, expected[i].offset);
        assert_int_equal(tape[i].len, expected[i].len);
        assert_int_equal(tape[i].next, expected[i].next);
        assert_int_equal(tape[i].children, expected[i].children);
        assert_int_equal(tape[i].escaped, expected[i].escaped);
    }
}

static void tells_members_with_the_same_key_apart(void **state)
{
    (void)state;
    uint32_t count = 0;
    assert_int_equal(scan("{\"a\":1,\"b\":{\"a\":2,\"\\u0061\":3},\"a\":[]}", &count), PYWATT_OK);
    assert_int_equal(count, 11);
    assert_int_equal(tape[0].children, 3);
    assert_int_equal(tape[4].children, 2);
    assert_int_equal(tape[4].next, 9);
    assert_int_equal(tape[10].kind, PW_JSON_ARRAY);
}

/* ---- Limits ------------------------------------------------------------------------------- */

static void accepts_at_each_limit_and_refuses_beyond(void **state)
{
    (void)state;
    const struct pw_json_limits tight = {.max_depth = 2, .max_tokens = 5, .max_string_len = 3};
    assert_int_equal(scan_within(span_of("[[]]"), &tight, 5), PYWATT_OK);
    assert_int_equal(scan_within(span_of("[[[]]]"), &tight, 5), PYWATT_LIMIT);
    assert_int_equal(scan_within(span_of("[{\"a\":{}}]"), &tight, 5), PYWATT_LIMIT);
    assert_int_equal(scan_within(span_of("[1,2,3,4]"), &tight, 5), PYWATT_OK);
    assert_int_equal(scan_within(span_of("[1,2,3,4,5]"), &tight, 6), PYWATT_LIMIT);
    assert_int_equal(scan_within(span_of("[1,2,3,4]"), &tight, 4), PYWATT_LIMIT);
    assert_int_equal(scan_within(span_of("{\"a\":1,\"b\":2}"), &tight, 5), PYWATT_OK);
    assert_int_equal(scan_within(span_of("{\"a\":1,\"b\":2,\"c\":3}"), &tight, 9), PYWATT_LIMIT);
    assert_int_equal(scan_within(span_of("\"abc\""), &tight, 5), PYWATT_OK);
    assert_int_equal(scan_within(span_of("\"abcd\""), &tight, 5), PYWATT_LIMIT);
    assert_int_equal(scan_within(span_of("{\"abcd\":1}"), &tight, 5), PYWATT_LIMIT);
}

static void takes_no_depth_for_a_plain_value(void **state)
{
    (void)state;
    const struct pw_json_limits none = {.max_depth = 0, .max_tokens = 1, .max_string_len = 10};
    assert_int_equal(scan_within(span_of("17"), &none, 1), PYWATT_OK);
    assert_int_equal(scan_within(span_of("[]"), &none, 1), PYWATT_LIMIT);
}

static struct pw_span repeated(const char *unit, size_t times, const char *behind)
{
    const size_t len = strlen(unit);
    uint8_t *text = malloc(len * times + strlen(behind) + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++) {
        memcpy(text + i * len, unit, len);
    }
    memcpy(text + len * times, behind, strlen(behind));
    return (struct pw_span){text, len * times + strlen(behind)};
}

static void free_span(struct pw_span text)
{
    free((void *)(uintptr_t)text.data);
}

static void scans_any_depth_that_is_allowed_without_stack(void **state)
{
    (void)state;
    const size_t depth = 100000;
    const struct pw_json_limits deep = {
        .max_depth = 100000, .max_tokens = 200000, .max_string_len = 10};
    struct pw_span open = repeated("[", depth, "");
    struct pw_span close = repeated("]", depth, "");
    uint8_t *text = malloc(2 * depth);
    memcpy(text, open.data, depth);
    memcpy(text + depth, close.data, depth);
    assert_int_equal(scan_within((struct pw_span){text, 2 * depth}, &deep, 200000), PYWATT_OK);
    assert_int_equal(scan_within((struct pw_span){text, 2 * depth - 1}, &deep, 200000),
                     PYWATT_SERIALIZATION);
    free(text);
    free_span(open);
    free_span(close);
}

static void takes_no_memory_whatever_comes(void **state)
{
    (void)state;
    static const char *const units[] = {"[", "{\"\":", "[],", "\"\",", "0,", "{},", "\"a\":1,"};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct pw_span bomb = repeated(units[i], 1000000 / strlen(units[i]), "");
        pw_malloc_fail_at((unsigned long)-1);
        assert_int_not_equal(pw_json_scan(bomb, &limits, tape, TOKENS, &count, NULL), PYWATT_OK);
        pw_malloc_fail_disarm();
        assert_int_equal(pw_malloc_fail_count(), 0);
        free_span(bomb);
    }
}

static void refuses_more_bytes_than_offsets_can_tell(void **state)
{
    (void)state;
    uint32_t count = 0;
    const struct pw_span huge = {(const uint8_t *)"[]", (size_t)UINT32_MAX};
    assert_int_equal(pw_json_scan(huge, &limits, tape, TOKENS, &count, NULL), PYWATT_LIMIT);
}

static void counts_children_up_to_what_the_field_holds(void **state)
{
    (void)state;
    const struct pw_json_limits many = {.max_depth = 1, .max_tokens = 70002, .max_string_len = 10};
    struct pw_span inner = repeated("0,", 70000, "0]");
    uint8_t *text = malloc(inner.len + 1);
    struct pw_json_token *tokens = calloc(70002, sizeof(*tokens));
    uint32_t count = 0;
    text[0] = '[';
    memcpy(text + 1, inner.data, inner.len);
    assert_int_equal(
        pw_json_scan((struct pw_span){text, inner.len + 1}, &many, tokens, 70002, &count, NULL),
        PYWATT_OK);
    assert_int_equal(count, 70002);
    assert_int_equal(tokens[0].children, UINT16_MAX);
    free(tokens);
    free(text);
    free_span(inner);
}

static void says_at_which_byte_and_quotes_nothing(void **state)
{
    (void)state;
    struct pywatt_error error = {0};
    uint32_t count = 0;
    assert_int_equal(
        pw_json_scan(span_of("{\"secret\":1,\"secret\"}"), &limits, tape, TOKENS, &count, &error),
        PYWATT_SERIALIZATION);
    assert_non_null(strstr(error.text, "byte 20"));
    assert_null(strstr(error.text, "secret"));
    assert_int_equal(pw_json_scan(span_of("[1,2,x]"), &limits, tape, TOKENS, &count, &error),
                     PYWATT_SERIALIZATION);
    assert_non_null(strstr(error.text, "byte 5"));
}

/* ---- Readers ------------------------------------------------------------------------------ */

static void gives_the_value_of_a_string(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *value;
    } cases[] = {
        {"\"plain\"", "plain"},
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff\"",
         "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\"a\xc3\xa9\\n\xe2\x82\xac\"", "a\xc3\xa9\n\xe2\x82\xac"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_arena arena;
        struct pw_str value = {NULL, 0};
        uint32_t count = 0;
        pw_arena_init(&arena, 1000);
        assert_int_equal(scan(cases[i].json, &count), PYWATT_OK);
        assert_true(pw_json_string(span_of(cases[i].json), &tape[0], &arena, &value));
        assert_int_equal(value.len, strlen(cases[i].value));
        assert_memory_equal(value.data, cases[i].value, value.len);
        const struct pw_str raw = pw_json_raw(span_of(cases[i].json), &tape[0]);
        assert_int_equal(raw.len, strlen(cases[i].json) - 2);
        pw_arena_destroy(&arena);
    }
}

static void gives_a_nul_that_is_escaped_as_one(void **state)
{
    (void)state;
    static const char value[] = "a\0b\0";
    struct pw_arena arena;
    struct pw_str got = {NULL, 0};
    uint32_t count = 0;
    pw_arena_init(&arena, 100);
    assert_int_equal(scan("\"a\\u0000b\\u0000\"", &count), PYWATT_OK);
    assert_true(pw_json_string(span_of("\"a\\u0000b\\u0000\""), &tape[0], &arena, &got));
    assert_int_equal(got.len, sizeof(value) - 1);
    assert_memory_equal(got.data, value, got.len);
    pw_arena_destroy(&arena);
}

/* In a block of exactly its size, so that a tool sees a read behind its end. */
static void expect_plain(const char *raw, const int *expected, size_t count)
{
    const size_t len = strlen(raw);
    uint8_t *exact = malloc(len);
    assert_non_null(exact);
    memcpy(exact, raw, len);
    const uint8_t *at = exact;
    for (size_t i = 0; i < count; i++) {
        assert_true(at < exact + len);
        assert_int_equal(pw_json_plain_char(&at, exact + len), expected[i]);
        if (expected[i] < 0) {
            break;
        }
    }
    assert_true(expected[count - 1] < 0 || at == exact + len);
    free(exact);
}

#define PLAIN(raw, ...) \
    expect_plain(raw, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void reads_plain_characters_of_strings_that_nobody_scanned(void **state)
{
    (void)state;
    PLAIN("ab", 'a', 'b');
    PLAIN("\\u0061b\\u005f\\u005F", 'a', 'b', '_', '_');
    PLAIN("\\u0000", 0);
    PLAIN("\\u007f", 0x7f);
    PLAIN("\\u0080", -1);
    PLAIN("\\u0161", -1);
    PLAIN("\\n", -1);
    PLAIN("\\", -1);
    PLAIN("\\u", -1);
    PLAIN("\\u006", -1);
    PLAIN("\\u00x1", -1);
    PLAIN("\\U0061", -1);
    PLAIN("\xc3\xa9", 0xc3, 0xa9);
}

static void needs_room_only_for_an_escaped_string(void **state)
{
    (void)state;
    struct pw_arena arena;
    struct pw_str value = {NULL, 0};
    uint32_t count = 0;
    pw_arena_init(&arena, 0);
    assert_int_equal(scan("\"plain\"", &count), PYWATT_OK);
    assert_true(pw_json_string(span_of("\"plain\""), &tape[0], &arena, &value));
    assert_int_equal(scan("\"\\n\"", &count), PYWATT_OK);
    assert_false(pw_json_string(span_of("\"\\n\""), &tape[0], &arena, &value));
    assert_true(arena.exhausted);
    pw_arena_destroy(&arena);
}

static void writes_a_value_without_white_space(void **state)
{
    (void)state;
    const char *text = " { \"a b\" : [ 1 ,\t2.50 , \"x \\\" , y\" ] ,\r\n \"c\\\\\" : { } } ";
    char out[100];
    uint32_t count = 0;
    assert_int_equal(scan(text, &count), PYWATT_OK);
    size_t len = pw_json_compact(span_of(text), tape, 0, out);
    out[len] = '\0';
    assert_string_equal(out, "{\"a b\":[1,2.50,\"x \\\" , y\"],\"c\\\\\":{}}");
    len = pw_json_compact(span_of(text), tape, 2, out);
    out[len] = '\0';
    assert_string_equal(out, "[1,2.50,\"x \\\" , y\"]");
    assert_true(len <= tape[2].len);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(accepts_what_every_parser_must),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(comes_back_from_what_the_grammar_leaves_open),
        cmocka_unit_test(refuses_every_prefix_of_a_container),
        cmocka_unit_test(judges_every_byte_at_every_place_of_a_string),
        cmocka_unit_test(lays_out_tokens_in_the_order_of_the_text),
        cmocka_unit_test(tells_members_with_the_same_key_apart),
        cmocka_unit_test(accepts_at_each_limit_and_refuses_beyond),
        cmocka_unit_test(takes_no_depth_for_a_plain_value),
        cmocka_unit_test(scans_any_depth_that_is_allowed_without_stack),
        cmocka_unit_test(takes_no_memory_whatever_comes),
        cmocka_unit_test(refuses_more_bytes_than_offsets_can_tell),
        cmocka_unit_test(counts_children_up_to_what_the_field_holds),
        cmocka_unit_test(says_at_which_byte_and_quotes_nothing),
        cmocka_unit_test(gives_the_value_of_a_string),
        cmocka_unit_test(gives_a_nul_that_is_escaped_as_one),
        cmocka_unit_test(reads_plain_characters_of_strings_that_nobody_scanned),
        cmocka_unit_test(needs_room_only_for_an_escaped_string),
        cmocka_unit_test(writes_a_value_without_white_space),
    };
    return PW_TEST_RUN(cases);
}
