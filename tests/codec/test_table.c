/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The table of codecs: by name, by what a frame looks like, and that every entry is whole. One
 * thread.
 */
#include "pw_test.h"

#include "codec/codec.h"

static const struct pw_codec_ops *by_frame(uint8_t code, const char *payload)
{
    return pw_codec_by_frame(code, (struct pw_span){(const uint8_t *)payload, strlen(payload)});
}

static const char *name_of(const struct pw_codec_ops *codec)
{
    return codec == NULL ? "none" : codec->name;
}

static void finds_the_codecs_that_an_application_may_choose(void **state)
{
    (void)state;
    assert_string_equal(name_of(pw_codec_by_name("json")), "json");
    assert_string_equal(name_of(pw_codec_by_name("protobuf")), "protobuf");
    assert_null(pw_codec_by_name("json-python"));
    assert_null(pw_codec_by_name("JSON"));
    assert_null(pw_codec_by_name(""));
    assert_null(pw_codec_by_name(NULL));
}

static void names_exactly_those(void **state)
{
    (void)state;
    const char *const *names = pw_codec_names();
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        assert_string_equal(name_of(pw_codec_by_name(names[count])), names[count]);
    }
    assert_int_equal(count, 2);
}

static void finds_the_codec_of_a_frame(void **state)
{
    (void)state;
    assert_string_equal(name_of(by_frame(0, "{}")), "json-python");
    assert_string_equal(name_of(by_frame(1, "{}")), "json");
    assert_string_equal(name_of(by_frame(1, " \r\n\t{}")), "json");
    assert_string_equal(name_of(by_frame(2, "{}")), "json");
    assert_string_equal(name_of(by_frame(3, "\n{}")), "json");
    assert_string_equal(name_of(by_frame(16, "\x0a")), "protobuf");
}

static void finds_none_for_what_is_not_ours(void **state)
{
    (void)state;
    assert_null(by_frame(1, "\x81\xa2id\x01")); /* msgpack */
    assert_null(by_frame(1, "\xde"));
    assert_null(by_frame(1, ""));
    assert_null(by_frame(1, "  "));
    assert_null(by_frame(2, "e30="));
    assert_null(by_frame(3, "[]"));
    for (int code = 4; code < 256; code++) {
        if (code != 16) {
            assert_null(by_frame((uint8_t)code, "{}"));
        }
    }
}

/* A reply leaves in the codec in which the request came, under a code that its peers read. */
static void answers_every_kind_of_json_peer_in_its_own_form(void **state)
{
    (void)state;
    assert_int_equal(by_frame(0, "{}")->format_code, 0);
    assert_int_equal(by_frame(1, "{}")->format_code, 1);
    assert_int_equal(by_frame(2, "{}")->format_code, 1);
    assert_int_equal(by_frame(3, "{}")->format_code, 1);
    assert_int_equal(by_frame(16, "")->format_code, 16);
}

static void lists_whole_entries_only(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct pw_codec_ops *const *at = pw_codec_all(); *at != NULL; at++, count++) {
        assert_non_null((*at)->name);
        assert_non_null((*at)->encode_request);
        assert_non_null((*at)->encode_response);
        assert_non_null((*at)->decode_request);
        assert_non_null((*at)->decode_response);
        assert_non_null((*at)->peek_response_id);
        /* Only protobuf is spoken by our own peers alone, which look at the id. */
        assert_int_equal((*at)->replies_in_order, (*at)->format_code < 16);
    }
    assert_int_equal(count, 3);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(finds_the_codecs_that_an_application_may_choose),
        cmocka_unit_test(names_exactly_those),
        cmocka_unit_test(finds_the_codec_of_a_frame),
        cmocka_unit_test(finds_none_for_what_is_not_ours),
        cmocka_unit_test(answers_every_kind_of_json_peer_in_its_own_form),
        cmocka_unit_test(lists_whole_entries_only),
    };
    return PW_TEST_RUN(cases);
}
