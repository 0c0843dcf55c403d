/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * UUIDs: making, reading, writing; compared with libuuid's. One thread.
 */
#include "pw_test.h"

#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

static const char *const sample = "01234567-89ab-cdef-fedc-ba9876543210";
static const struct pywatt_uuid sample_uuid = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                                0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}};

static void reads_a_uuid_in_either_case(void **state)
{
    (void)state;
    struct pywatt_uuid uuid;
    assert_int_equal(pywatt_uuid_parse(sample, &uuid), PYWATT_OK);
    assert_true(pywatt_uuid_equal(&uuid, &sample_uuid));
    assert_int_equal(pywatt_uuid_parse("01234567-89AB-CDEF-fEdC-BA9876543210", &uuid), PYWATT_OK);
    assert_true(pywatt_uuid_equal(&uuid, &sample_uuid));
}

static void writes_lower_case_and_a_nul(void **state)
{
    (void)state;
    char text[PYWATT_UUID_TEXT_SIZE + 1];
    memset(text, '#', sizeof(text));
    pywatt_uuid_format(&sample_uuid, text);
    assert_string_equal(text, sample);
    assert_int_equal(text[PYWATT_UUID_TEXT_SIZE], '#');
    memset(text, '#', sizeof(text));
    pw_uuid_write(&sample_uuid, text);
    assert_memory_equal(text, sample, 36);
    assert_int_equal(text[36], '#');
}

static void agrees_with_libuuid_on_every_byte(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        struct pywatt_uuid uuid;
        memset(uuid.bytes, (int)value, sizeof(uuid.bytes));
        uuid.bytes[value % 16] = (uint8_t)~value;
        char ours[PYWATT_UUID_TEXT_SIZE];
        char theirs[UUID_STR_LEN];
        pywatt_uuid_format(&uuid, ours);
        uuid_unparse_lower(uuid.bytes, theirs);
        assert_string_equal(ours, theirs);
        struct pywatt_uuid back;
        assert_int_equal(pywatt_uuid_parse(ours, &back), PYWATT_OK);
        assert_true(pywatt_uuid_equal(&back, &uuid));
        uuid_unparse_upper(uuid.bytes, theirs);
        assert_int_equal(pywatt_uuid_parse(theirs, &back), PYWATT_OK);
        assert_true(pywatt_uuid_equal(&back, &uuid));
    }
}

static void refuses_any_other_character_at_any_place(void **state)
{
    (void)state;
    for (size_t at = 0; at < 36; at++) {
        for (unsigned c = 0; c < 256; c++) {
            char text[37];
            strcpy(text, sample);
            text[at] = (char)c;
            const bool dash = at == 8 || at == 13 || at == 18 || at == 23;
            const bool expected =
                dash ? c == '-' : c != 0 && strchr("0123456789abcdefABCDEF", (int)c) != NULL;
            struct pywatt_uuid uuid;
            if (pw_uuid_parse_str((struct pw_str){text, 36}, &uuid) != expected) {
                fail_msg("character %u at %zu", c, at);
            }
        }
    }
}

static void refuses_any_other_length_and_leaves_the_result_alone(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         "01234567-89ab-cdef-fedc-ba987654321",
                         "01234567-89ab-cdef-fedc-ba98765432100",
                         "0123456789abcdeffedcba9876543210",
                         "{01234567-89ab-cdef-fedc-ba9876543210}",
                         "urn:uuid:01234567-89ab-cdef-fedc-ba9876543210"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pywatt_uuid uuid = sample_uuid;
        char *exact = strdup(bad[i]);
        assert_int_equal(pywatt_uuid_parse(exact, &uuid), PYWATT_INVALID_ARGUMENT);
        free(exact);
        assert_true(pywatt_uuid_equal(&uuid, &sample_uuid));
    }
    assert_false(pw_uuid_parse_str((struct pw_str){NULL, 0}, NULL));
}

static void refuses_null(void **state)
{
    (void)state;
    struct pywatt_uuid uuid;
    assert_int_equal(pywatt_uuid_parse(NULL, &uuid), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_uuid_parse(sample, NULL), PYWATT_INVALID_ARGUMENT);
}

static void generates_random_uuids_of_version_4(void **state)
{
    (void)state;
    struct pywatt_uuid before = {{0}};
    for (int i = 0; i < 100; i++) {
        struct pywatt_uuid uuid;
        pywatt_uuid_generate(&uuid);
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        assert_false(pywatt_uuid_equal(&uuid, &before));
        assert_false(pywatt_uuid_is_nil(&uuid));
        before = uuid;
    }
}

static void nil_is_all_zero(void **state)
{
    (void)state;
    struct pywatt_uuid uuid = {{0}};
    assert_true(pywatt_uuid_is_nil(&uuid));
    for (size_t i = 0; i < 16; i++) {
        uuid.bytes[i] = 1;
        assert_false(pywatt_uuid_is_nil(&uuid));
        uuid.bytes[i] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_a_uuid_in_either_case),
        cmocka_unit_test(writes_lower_case_and_a_nul),
        cmocka_unit_test(agrees_with_libuuid_on_every_byte),
        cmocka_unit_test(refuses_any_other_character_at_any_place),
        cmocka_unit_test(refuses_any_other_length_and_leaves_the_result_alone),
        cmocka_unit_test(refuses_null),
        cmocka_unit_test(generates_random_uuids_of_version_4),
        cmocka_unit_test(nil_is_all_zero),
    };
    return PW_TEST_RUN(cases);
}
