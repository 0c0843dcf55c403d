/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Files of the sqlite store with changed bytes, or cut short: what is opened nevertheless shows all that
 * was put, and a recovery keeps nothing that was not put. Where nobody knows what was answered last, and
 * the end of the write-ahead log is lost, what is shown had been put at some moment before.
 *
 * PYWATT_TEST_SEEDS says how many of each kind are tried. A seed that fails is named.
 */
#include "orchestrator/store_sqlite.h"

#include "pw_test.h"
#include "store_images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SEEDS = 12,
    SEEDS_SLOW = 3
};

/* ---- Damage ---- */

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static struct store_bytes damaged(const struct store_bytes *from, unsigned seed)
{
    uint64_t random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct store_bytes image = {malloc(from->len), from->len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, from->bytes, from->len);
    const unsigned kind = (unsigned)(next(&random) % 4);
    if (kind == 0) { /* cut */
        image.len = next(&random) % from->len;
    } else if (kind == 1) { /* a piece that was never written */
        const size_t start = next(&random) % from->len;
        const size_t len = next(&random) % 4096 + 1;
        memset(image.bytes + start, 0, len < from->len - start ? len : from->len - start);
    } else {
        for (uint64_t n = next(&random) % 6 + 1; n > 0; n--) {
            image.bytes[next(&random) % from->len] ^= (uint8_t)(1u << next(&random) % 8);
        }
    }
    return image;
}

static unsigned seeds(void)
{
    const char *text = getenv("PYWATT_TEST_SEEDS");
    return text != NULL                ? (unsigned)strtoul(text, NULL, 10)
           : pw_test_slow_factor() > 1 ? SEEDS_SLOW
                                       : SEEDS;
}

/* ---- Cases ---- */

static void a_damaged_database_shows_what_was_put_or_nothing(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned seed = 0; seed < seeds(); seed++) {
        struct store_bytes image = damaged(&store_images.database, seed);
        struct store_shown shown;
        store_images_remove();
        store_image_write("", &image);
        free(image.bytes);
        if (!store_image_open(seed, &shown)) {
            refused++;
            store_image_recover(seed);
        } else if (shown.count != STORE_IMAGE_MODULES) {
            fail_msg("seed %u: %u of %u modules are shown", seed, shown.count, STORE_IMAGE_MODULES);
        }
    }
    print_message("%u of %u refused\n", refused, seeds());
    assert_true(refused > 0);
}

static void a_damaged_log_shows_all_that_was_answered_or_nothing(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned seed = 0; seed < seeds(); seed++) {
        struct store_bytes image = damaged(&store_images.open_log, seed);
        struct store_shown shown;
        store_images_write_open(&image, &store_images.open_lock);
        if (!store_image_open(seed, &shown)) {
            refused++;
            store_image_expect_unchanged(seed, "", &store_images.open_database);
            store_image_expect_unchanged(seed, "-wal", &image);
            store_image_recover(seed);
        } else if (shown.count != STORE_IMAGE_MODULES) {
            fail_msg("seed %u: %u of %u modules are shown", seed, shown.count, STORE_IMAGE_MODULES);
        }
        free(image.bytes);
    }
    print_message("%u of %u refused\n", refused, seeds());
    assert_true(refused > 0);
}

static void a_damaged_log_alone_shows_what_was_put_until_some_moment(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < seeds(); seed++) {
        struct store_bytes image = damaged(&store_images.open_log, seed);
        struct store_shown shown;
        store_images_write_open(&image, NULL);
        free(image.bytes);
        if (!store_image_open(seed, &shown)) {
            store_image_recover(seed);
        } else if (!shown.in_order) {
            fail_msg("seed %u: %u modules, with gaps", seed, shown.count);
        }
    }
}

/* Whatever there is of a change that nobody was told of: nothing else is missing. */
static void a_torn_end_that_was_not_answered_is_none(void **state)
{
    (void)state;
    assert_true(store_images.open_log.len > store_images.earlier_log.len);
    for (size_t len = store_images.earlier_log.len; len <= store_images.open_log.len; len += 512) {
        struct store_bytes image = {store_images.open_log.bytes, len};
        struct store_shown shown;
        store_images_write_open(&image, &store_images.earlier_lock);
        assert_true(store_image_open((unsigned)len, &shown));
        assert_int_equal(shown.count, len < store_images.open_log.len ? STORE_IMAGE_MODULES - 1
                                                                      : STORE_IMAGE_MODULES);
    }
}

static void a_log_that_is_gone_is_missed(void **state)
{
    (void)state;
    struct pw_store *store = NULL;
    struct pywatt_error error;
    struct pw_store_salvage salvage;
    store_images_write_open(&store_images.open_log, &store_images.open_lock);
    char path[600];
    snprintf(path, sizeof(path), "%s-wal", store_place_path(&store_images.at));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pw_store_open(store_images.at.url, &store, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "its last 48 changes are missing"));
    assert_non_null(strstr(error.text, "--recover"));
    assert_int_equal(pw_store_recover(store_images.at.url, &salvage, &error), PYWATT_OK);
    store = store_place_open(&store_images.at);
    uint64_t revision;
    assert_int_equal(store_list(store, &revision).count, salvage.kept);
    assert_int_equal(revision, STORE_IMAGE_MODULES);
    pw_store_close(store);
}

static void who_begins_anew_misses_nothing(void **state)
{
    (void)state;
    store_images_remove();
    store_image_write("-lock", &store_images.open_lock);
    struct pw_store *store = store_place_open(&store_images.at);
    assert_int_equal(store_list(store, NULL).count, 0);
    pw_store_close(store);
}

/* What it says is not relied upon, whatever it is. */
static void a_damaged_lock_file_keeps_nobody_out(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < seeds(); seed++) {
        struct store_bytes image = damaged(&store_images.open_lock, seed);
        struct store_shown shown;
        store_images_write_open(&store_images.open_log, &image);
        free(image.bytes);
        if (!store_image_open(seed, &shown) || shown.count != STORE_IMAGE_MODULES) {
            fail_msg("seed %u: %u of %u modules are shown", seed, shown.count, STORE_IMAGE_MODULES);
        }
    }
}

static void an_undamaged_log_shows_everything(void **state)
{
    (void)state;
    struct store_shown shown;
    store_images_write_open(&store_images.open_log, &store_images.open_lock);
    assert_true(store_image_open(0, &shown));
    assert_int_equal(shown.count, STORE_IMAGE_MODULES);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_damaged_database_shows_what_was_put_or_nothing),
        cmocka_unit_test(a_damaged_log_shows_all_that_was_answered_or_nothing),
        cmocka_unit_test(a_damaged_log_alone_shows_what_was_put_until_some_moment),
        cmocka_unit_test(a_torn_end_that_was_not_answered_is_none),
        cmocka_unit_test(a_log_that_is_gone_is_missed),
        cmocka_unit_test(who_begins_anew_misses_nothing),
        cmocka_unit_test(a_damaged_lock_file_keeps_nobody_out),
        cmocka_unit_test(an_undamaged_log_shows_everything),
    };
    return PW_TEST_RUN_WITH(cases, store_images_make, store_images_free);
}
