/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pages of the sqlite store that are damaged in a certain way: what is noticed, and what a recovery
 * finds nevertheless.
 */
#include "orchestrator/store_sqlite.h"

#include "pw_test.h"
#include "store_images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- What a recovery finds ---- */

/* The header of an SQLite database has application_id at 68, user_version at 60, big-endian. */
static void who_does_not_say_whose_it_is_can_be_recovered(void **state)
{
    (void)state;
    static const size_t lasts[] = {68 + 3, 60 + 3};
    for (size_t i = 0; i < 2; i++) {
        struct pw_store *store = NULL;
        struct pywatt_error error;
        struct pw_store_salvage salvage;
        struct store_bytes image = {malloc(store_images.database.len), store_images.database.len};
        assert_non_null(image.bytes);
        memcpy(image.bytes, store_images.database.bytes, store_images.database.len);
        image.bytes[lasts[i]] ^= 1;
        store_images_remove();
        store_image_write("", &image);
        free(image.bytes);
        assert_int_equal(pw_store_open(store_images.at.url, &store, &error), PYWATT_IO);
        assert_non_null(strstr(error.text, "--recover"));
        assert_int_equal(pw_store_recover(store_images.at.url, &salvage, &error), PYWATT_OK);
        assert_int_equal(salvage.kept, STORE_IMAGE_MODULES);
    }
}

/* All of them are there, whatever led to them. */
static void expect_all_recovered(const struct store_bytes *image, const struct store_bytes *log,
                                 size_t at_byte)
{
    struct pw_store_salvage salvage;
    struct pywatt_error error = {.text = ""};
    struct store_shown shown;
    store_images_remove();
    store_image_write("", image);
    if (log != NULL) {
        store_image_write("-wal", log);
    }
    if (pw_store_recover(store_images.at.url, &salvage, &error) != PYWATT_OK ||
        salvage.kept != STORE_IMAGE_MODULES) {
        fail_msg("byte %zu: %u of %u modules are kept: %s", at_byte, (unsigned)salvage.kept,
                 STORE_IMAGE_MODULES, error.text);
    }
    assert_true(store_image_open(0, &shown));
    assert_int_equal(shown.count, STORE_IMAGE_MODULES);
}

static void a_flipped_bit_of_the_first_page_costs_nothing(void **state)
{
    (void)state;
    static const size_t where[] = {3, 16, 18, 28, 103, 108};
    for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        struct store_shown shown;
        struct store_bytes image = store_image_copy(&store_images.database);
        image.bytes[where[i]] ^= 1;
        store_images_remove();
        store_image_write("", &image);
        if (store_image_open(0, &shown)) {
            fail_msg("byte %zu: opened", where[i]);
        }
        expect_all_recovered(&image, NULL, where[i]);
        free(image.bytes);
    }
}

/* The second page leads to all rows: the root of their table. */
static void pages_that_lead_to_the_rows_cost_nothing(void **state)
{
    (void)state;
    for (size_t page = 0; page < 2; page++) {
        struct store_bytes image = store_image_copy(&store_images.database);
        memset(image.bytes + page * 4096, 0, 4096);
        expect_all_recovered(&image, NULL, page * 4096);
        free(image.bytes);
    }
}

/* As a kill leaves it: nearly all rows are in the log alone, which has no damage. */
static void rows_in_the_log_are_found_behind_a_damaged_database(void **state)
{
    (void)state;
    struct store_bytes image = store_image_copy(&store_images.open_database);
    memset(image.bytes, 0, image.len);
    expect_all_recovered(&image, &store_images.open_log, 0);
    free(image.bytes);
}

static void who_finds_nothing_replaces_nothing(void **state)
{
    (void)state;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    struct store_bytes image = store_image_copy(&store_images.database);
    memset(image.bytes + 4096, 0, image.len - 4096);
    store_images_remove();
    store_image_write("", &image);
    assert_int_equal(pw_store_recover(store_images.at.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "no module is found"));
    assert_int_equal(salvage.kept, 0);
    store_image_expect_unchanged(0, "", &image);
    char path[600];
    snprintf(path, sizeof(path), "%s.damaged-1", store_place_path(&store_images.at));
    assert_int_not_equal(access(path, F_OK), 0);
    free(image.bytes);
}

/* One that takes several pages, and a second generation of it. */
static void long_rows_are_found_in_their_last_generation(void **state)
{
    (void)state;
    char longest[PYWATT_NAME_MAX + 1];
    struct pw_store_salvage salvage;
    store_images_remove();
    struct pw_store *store = store_place_open(&store_images.at);
    for (uint64_t generation = 1; generation <= 2; generation++) {
        struct pw_store_change change = {.kind = PW_STORE_PUT,
                                         .expected_generation = generation - 1,
                                         .record = store_record(7, "n7", generation)};
        struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
        for (unsigned i = 0; i < 100; i++) {
            snprintf(longest, sizeof(longest), "%0*u", PYWATT_NAME_MAX, i);
            assert_int_equal(pywatt_capabilities_add_message_type(capabilities, longest),
                             PYWATT_OK);
        }
        change.record.capabilities = pw_shared_capabilities_new(capabilities);
        assert_int_equal(store_submit(store, &change), PYWATT_OK);
        store_record_release(&change.record);
    }
    pw_store_close(store);
    struct store_bytes image = store_image_read("");
    assert_true(image.len > (size_t)100 * PYWATT_NAME_MAX);
    memset(image.bytes, 0, 4096);
    store_image_write("", &image);
    free(image.bytes);
    assert_int_equal(pw_store_recover(store_images.at.url, &salvage, NULL), PYWATT_OK);
    assert_int_equal(salvage.kept, 1);
    store = store_place_open(&store_images.at);
    assert_int_equal(store_put(store, 7, "n7", 2), PYWATT_OK);
    pw_store_close(store);
}

static void a_page_in_the_middle_costs_only_its_own_records(void **state)
{
    (void)state;
    struct store_shown shown;
    struct pw_store_salvage salvage;
    /* The page that the first row lies on: wherever the text of it is found. */
    const char needle[] = "\"name\":\"n0\"";
    const uint8_t *found =
        memmem(store_images.database.bytes, store_images.database.len, needle, sizeof(needle) - 1);
    assert_non_null(found);
    const size_t page = (size_t)(found - store_images.database.bytes) / 4096;
    struct store_bytes image = {malloc(store_images.database.len), store_images.database.len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, store_images.database.bytes, store_images.database.len);
    memset(image.bytes + page * 4096, 0xff, 4096);
    store_images_remove();
    store_image_write("", &image);
    free(image.bytes);
    assert_false(store_image_open(0, &shown));
    assert_int_equal(pw_store_recover(store_images.at.url, &salvage, NULL), PYWATT_OK);
    assert_true(salvage.kept > 0);
    assert_int_equal(salvage.kept + salvage.left_out, STORE_IMAGE_MODULES);
    assert_true(store_image_open(0, &shown));
    assert_int_equal(shown.count, salvage.kept);
}

/* Where the row of a module is: its number stands before eleven bytes and the id. */
static size_t number_at(const struct store_bytes *image, unsigned n)
{
    char id[16];
    snprintf(id, sizeof(id), "1100%02x00-", n);
    const uint8_t *found = memmem(image->bytes, image->len, id, strlen(id));
    assert_non_null(found);
    return (size_t)(found - image->bytes) - 12;
}

/* The last row before a page that cannot be read says that it is the 127th of all. */
static void a_damaged_number_does_not_hide_the_rows_behind_it(void **state)
{
    (void)state;
    struct store_shown shown;
    struct pw_store_salvage salvage;
    struct store_bytes image = {malloc(store_images.database.len), store_images.database.len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, store_images.database.bytes, store_images.database.len);
    unsigned n = 0;
    while (number_at(&image, n) / 4096 == number_at(&image, n + 1) / 4096) {
        n++;
    }
    memset(image.bytes + number_at(&image, n + 1) / 4096 * 4096, 0xff, 4096);
    assert_int_equal(image.bytes[number_at(&image, n)], n + 1);
    image.bytes[number_at(&image, n)] = 127;
    store_images_remove();
    store_image_write("", &image);
    free(image.bytes);
    assert_false(store_image_open(0, &shown));
    assert_int_equal(pw_store_recover(store_images.at.url, &salvage, NULL), PYWATT_OK);
    assert_int_equal(salvage.kept + salvage.left_out, STORE_IMAGE_MODULES);
    assert_true(salvage.kept > n + 1);
    assert_true(store_image_open(0, &shown));
    assert_int_equal(shown.count, salvage.kept);
}

/* ---- What is noticed ---- */

static void expect_noticed(const char *words)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    assert_int_equal(pw_store_open(store_images.at.url, &store, &error), PYWATT_IO);
    if (strstr(error.text, words) == NULL || strstr(error.text, "--recover") == NULL) {
        fail_msg("'%s' has no '%s'", error.text, words);
    }
}

/* The page of an index that has this name; NULL if there is none behind `from`. */
static uint8_t *name_in_index(struct store_bytes *image, const char *name)
{
    uint8_t *found = image->bytes;
    for (;;) {
        found = memmem(found, image->len - (size_t)(found - image->bytes), name, strlen(name));
        assert_non_null(found);
        if (image->bytes[(size_t)(found - image->bytes) / 4096 * 4096] == 0x0a) {
            return found;
        }
        found++;
    }
}

static void a_name_that_the_index_does_not_have_is_missed(void **state)
{
    (void)state;
    struct store_bytes image = store_image_copy(&store_images.database);
    /* n17 and n18 are neighbours: the order stays, or is lost. */
    static const char others[] = "x6";
    for (size_t i = 0; i < 2; i++) {
        uint8_t *const at = name_in_index(&image, "n17") + 2;
        *at = (uint8_t)others[i];
        store_images_remove();
        store_image_write("", &image);
        expect_noticed("the index of names");
        *at = '7';
    }
    *(name_in_index(&image, "n17") + 2) = 'x';
    expect_all_recovered(&image, NULL, 0);
    free(image.bytes);
}

/* Each row of it fits, and so does each page; only that it was written anew meanwhile is lost. */
static void a_page_of_an_earlier_time_is_noticed(void **state)
{
    (void)state;
    const char needle[] = "\"name\":\"n9\"";
    store_images_remove();
    store_image_write("", &store_images.database);
    struct pw_store *store = store_place_open(&store_images.at);
    assert_int_equal(store_put(store, 9, "n9", 1), PYWATT_OK);
    pw_store_close(store);
    struct store_bytes image = store_image_read("");
    assert_int_equal(image.len, store_images.database.len);
    const uint8_t *found = memmem(image.bytes, image.len, needle, sizeof(needle) - 1);
    assert_non_null(found);
    const size_t page = (size_t)(found - image.bytes) / 4096 * 4096;
    memcpy(image.bytes + page, store_images.database.bytes + page, 4096);
    store_image_write("", &image);
    free(image.bytes);
    expect_noticed("a record is not the one written last");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_does_not_say_whose_it_is_can_be_recovered),
        cmocka_unit_test(a_flipped_bit_of_the_first_page_costs_nothing),
        cmocka_unit_test(pages_that_lead_to_the_rows_cost_nothing),
        cmocka_unit_test(rows_in_the_log_are_found_behind_a_damaged_database),
        cmocka_unit_test(who_finds_nothing_replaces_nothing),
        cmocka_unit_test(long_rows_are_found_in_their_last_generation),
        cmocka_unit_test(a_page_in_the_middle_costs_only_its_own_records),
        cmocka_unit_test(a_damaged_number_does_not_hide_the_rows_behind_it),
        cmocka_unit_test(a_name_that_the_index_does_not_have_is_missed),
        cmocka_unit_test(a_page_of_an_earlier_time_is_noticed),
    };
    return PW_TEST_RUN_WITH(cases, store_images_make, store_images_free);
}
