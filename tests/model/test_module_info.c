/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Module info: texts, bounds, id, metadata, copies and equality. One thread.
 */
#include "model/module_info.h"
#include "model_samples.h"

static void holds_its_three_texts(void **state)
{
    (void)state;
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("n\xc3\xa4me", "1.0", "what it does", &info),
                     PYWATT_OK);
    assert_string_equal(pywatt_module_info_name(info), "n\xc3\xa4me");
    assert_string_equal(pywatt_module_info_version(info), "1.0");
    assert_string_equal(pywatt_module_info_description(info), "what it does");
    assert_null(pywatt_module_info_id(info));
    assert_null(pywatt_module_info_metadata(info));
    pywatt_module_info_free(info);
}

static void may_have_no_version_and_no_description_but_needs_a_name(void **state)
{
    (void)state;
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("", "1", "d", &info), PYWATT_INVALID_ARGUMENT);
    assert_null(info);
    assert_int_equal(pywatt_module_info_new("n", "", "", &info), PYWATT_OK);
    assert_string_equal(pywatt_module_info_version(info), "");
    assert_string_equal(pywatt_module_info_description(info), "");
    pywatt_module_info_free(info);
}

static void accepts_each_bound_and_refuses_a_byte_more(void **state)
{
    (void)state;
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(text_of(PYWATT_NAME_MAX), text_of(PYWATT_VERSION_MAX),
                                            text_of(PYWATT_DESCRIPTION_MAX), &info),
                     PYWATT_OK);
    assert_string_equal(pywatt_module_info_name(info), text_of(PYWATT_NAME_MAX));
    assert_string_equal(pywatt_module_info_version(info), text_of(PYWATT_VERSION_MAX));
    assert_string_equal(pywatt_module_info_description(info), text_of(PYWATT_DESCRIPTION_MAX));
    pywatt_module_info_free(info);
    info = NULL;
    assert_int_equal(pywatt_module_info_new(text_of(PYWATT_NAME_MAX + 1), "", "", &info),
                     PYWATT_LIMIT);
    assert_int_equal(pywatt_module_info_new("n", text_of(PYWATT_VERSION_MAX + 1), "", &info),
                     PYWATT_LIMIT);
    assert_int_equal(pywatt_module_info_new("n", "", text_of(PYWATT_DESCRIPTION_MAX + 1), &info),
                     PYWATT_LIMIT);
    assert_null(info);
}

static void refuses_what_is_no_text(void **state)
{
    (void)state;
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(NULL, "", "", &info), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_new("n", NULL, "", &info), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_new("n", "", NULL, &info), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_new("n", "", "", NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_new(BAD_UTF8, "", "", &info), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_new("n", BAD_UTF8, "", &info), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_new("n", "", BAD_UTF8, &info), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(
        pw_module_info_new(PW_STR_LITERAL("a\0b"), PW_STR_LITERAL(""), PW_STR_LITERAL(""), &info),
        PYWATT_INVALID_ARGUMENT);
    assert_null(info);
}

static void takes_an_id_that_is_not_nil(void **state)
{
    (void)state;
    struct pywatt_module_info *info = NULL;
    const struct pywatt_uuid id = {{9, 8, 7}};
    const struct pywatt_uuid nil = {{0}};
    assert_int_equal(pywatt_module_info_new("n", "", "", &info), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_id(info, &nil), PYWATT_INVALID_ARGUMENT);
    assert_null(pywatt_module_info_id(info));
    assert_int_equal(pywatt_module_info_set_id(info, &id), PYWATT_OK);
    assert_true(pywatt_uuid_equal(pywatt_module_info_id(info), &id));
    assert_int_equal(pywatt_module_info_set_id(info, &nil), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_set_id(info, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_set_id(NULL, &id), PYWATT_INVALID_ARGUMENT);
    assert_true(pywatt_uuid_equal(pywatt_module_info_id(info), &id));
    pw_module_info_clear_id(info);
    assert_null(pywatt_module_info_id(info));
    pywatt_module_info_free(info);
}

static void keeps_metadata_and_gives_null_when_there_is_none(void **state)
{
    (void)state;
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("n", "", "", &info), PYWATT_OK);
    pw_module_info_remove_metadata(info, "k");
    assert_int_equal(pywatt_module_info_set_metadata(info, "k", BAD_UTF8), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_set_metadata(info, "k", text_of(PYWATT_VALUE_MAX + 1)),
                     PYWATT_LIMIT);
    assert_null(pywatt_module_info_metadata(info));
    assert_int_equal(pywatt_module_info_set_metadata(info, "k", "v"), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "k", "w"), PYWATT_OK);
    assert_string_equal(pywatt_string_map_get(pywatt_module_info_metadata(info), "k"), "w");
    assert_int_equal(pywatt_module_info_set_metadata(NULL, "k", "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_set_metadata(info, NULL, "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_module_info_set_metadata(info, "k", NULL), PYWATT_INVALID_ARGUMENT);
    pw_module_info_remove_metadata(info, "k");
    assert_null(pywatt_module_info_metadata(info));
    pywatt_module_info_free(info);
}

static void a_copy_is_equal_and_independent(void **state)
{
    (void)state;
    struct pywatt_module_info *info = sample_info();
    struct pywatt_module_info *copy = NULL;
    assert_int_equal(pywatt_module_info_copy(info, &copy), PYWATT_OK);
    assert_true(pywatt_module_info_equal(info, copy));
    assert_int_equal(pywatt_module_info_set_metadata(copy, "team", "blue"), PYWATT_OK);
    assert_false(pywatt_module_info_equal(info, copy));
    assert_string_equal(pywatt_string_map_get(pywatt_module_info_metadata(info), "team"), "red");
    pywatt_module_info_free(info);
    assert_string_equal(pywatt_module_info_description(copy), "reads things");
    pywatt_module_info_free(copy);
    assert_int_equal(pywatt_module_info_copy(NULL, &copy), PYWATT_INVALID_ARGUMENT);
    info = sample_info();
    assert_int_equal(pywatt_module_info_copy(info, NULL), PYWATT_INVALID_ARGUMENT);
    pywatt_module_info_free(info);
}

static void equality_looks_at_every_part(void **state)
{
    (void)state;
    static const char *const texts[][3] = {{"sensos", "1.2.3", "reads things"},
                                           {"sensor", "1.2.4", "reads things"},
                                           {"sensor", "1.2.3", "reads thingz"},
                                           {"sensor", "1.2.3", "reads things"}};
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("sensor", "1.2.3", "reads things", &info), PYWATT_OK);
    for (size_t i = 0; i < 4; i++) {
        struct pywatt_module_info *other = NULL;
        assert_int_equal(pywatt_module_info_new(texts[i][0], texts[i][1], texts[i][2], &other),
                         PYWATT_OK);
        assert_int_equal(pywatt_module_info_equal(info, other), i == 3);
        pywatt_module_info_free(other);
    }
    struct pywatt_module_info *other = sample_info();
    pw_module_info_remove_metadata(other, "team");
    assert_false(pywatt_module_info_equal(info, other));
    pw_module_info_remove_metadata(other, "site");
    assert_false(pywatt_module_info_equal(info, other));
    pw_module_info_clear_id(other);
    assert_true(pywatt_module_info_equal(info, other));
    const struct pywatt_uuid ids[2] = {{{1}}, {{2}}};
    assert_int_equal(pywatt_module_info_set_id(info, &ids[0]), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_id(other, &ids[1]), PYWATT_OK);
    assert_false(pywatt_module_info_equal(info, other));
    assert_false(pywatt_module_info_equal(info, NULL));
    assert_false(pywatt_module_info_equal(NULL, info));
    assert_true(pywatt_module_info_equal(NULL, NULL));
    pywatt_module_info_free(info);
    pywatt_module_info_free(other);
}

static void getters_take_null(void **state)
{
    (void)state;
    pywatt_module_info_free(NULL);
    assert_null(pywatt_module_info_name(NULL));
    assert_null(pywatt_module_info_version(NULL));
    assert_null(pywatt_module_info_description(NULL));
    assert_null(pywatt_module_info_id(NULL));
    assert_null(pywatt_module_info_metadata(NULL));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(holds_its_three_texts),
        cmocka_unit_test(may_have_no_version_and_no_description_but_needs_a_name),
        cmocka_unit_test(accepts_each_bound_and_refuses_a_byte_more),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(takes_an_id_that_is_not_nil),
        cmocka_unit_test(keeps_metadata_and_gives_null_when_there_is_none),
        cmocka_unit_test(a_copy_is_equal_and_independent),
        cmocka_unit_test(equality_looks_at_every_part),
        cmocka_unit_test(getters_take_null),
    };
    return PW_TEST_RUN(cases);
}
