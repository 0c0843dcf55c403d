/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Files of the sqlite store with changed bytes, or cut short: what is opened nevertheless shows all that
 * was put, and a recovery keeps nothing that was not put. Where nobody knows what was answered last, and
 * the end of the write-ahead log is lost, what is shown had been put at some moment before.
 *
 * PYWATT_TEST_SEEDS says how many of each kind are tried. A seed that fails is named.
 */
#include "orchestrator/store_sqlite.h"

#include "faulty_vfs.h"
#include "pw_test.h"
#include "store_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MODULES = 48,
    SEEDS = 12,
    SEEDS_SLOW = 3
};

struct image {
    uint8_t *bytes;
    size_t len;
};

static struct store_place at;
static struct image database; /* closed */
static struct image open_database;
static struct image open_log; /* as a kill leaves them */
static struct image open_lock;
static struct image earlier_log; /* when the last change was not there yet */
static struct image earlier_lock;

/* ---- Images ---- */

static struct image read_image(const char *suffix)
{
    char path[600];
    struct image image = {NULL, 0};
    snprintf(path, sizeof(path), "%s%s", store_place_path(&at), suffix);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    image.len = (size_t)ftell(file);
    rewind(file);
    image.bytes = malloc(image.len);
    assert_non_null(image.bytes);
    assert_int_equal(fread(image.bytes, 1, image.len, file), image.len);
    fclose(file);
    return image;
}

static void remove_files(void)
{
    static const char *const suffixes[] = {"",     "-wal",       "-shm",       "-lock",
                                           "-new", "-recovered", ".damaged-1", ".damaged-1-wal"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[600];
        snprintf(path, sizeof(path), "%s%s", store_place_path(&at), suffixes[i]);
        unlink(path);
    }
}

static void write_image(const char *suffix, const struct image *image)
{
    char path[600];
    snprintf(path, sizeof(path), "%s%s", store_place_path(&at), suffix);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, image->len, file), image->len);
    fclose(file);
}

/* Module n is called "n" and its number, and some have capabilities. */
static int make_images(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    store_place_begin(&at, &pw_store_sqlite);
    struct pw_store *store = store_place_open(&at);
    for (unsigned n = 0; n < MODULES; n++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", n);
        struct pw_store_change change = {.kind = PW_STORE_PUT, .record = store_record(n, name, 1)};
        if (n % 3 == 0) {
            struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
            pywatt_capabilities_add_message_type(capabilities, name);
            change.record.capabilities = pw_shared_capabilities_new(capabilities);
        }
        if (n == MODULES - 1) {
            earlier_log = read_image("-wal");
            earlier_lock = read_image("-lock");
        }
        assert_int_equal(store_submit(store, &change), PYWATT_OK);
        store_record_release(&change.record);
    }
    open_database = read_image("");
    open_log = read_image("-wal");
    open_lock = read_image("-lock");
    pw_store_close(store);
    database = read_image("");
    return 0;
}

static int free_images(void **state)
{
    (void)state;
    free(database.bytes);
    free(open_database.bytes);
    free(open_log.bytes);
    free(open_lock.bytes);
    free(earlier_log.bytes);
    free(earlier_lock.bytes);
    store_place_end(&at);
    return 0;
}

/* ---- Damage ---- */

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static struct image damaged(const struct image *from, unsigned seed)
{
    uint64_t random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct image image = {malloc(from->len), from->len};
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

/* ---- What is shown ---- */

struct shown {
    unsigned seen[MODULES];
    unsigned count;
    bool wrong;
    bool in_order; /* 0, 1, 2, ... */
};

static bool look(void *user, const struct pw_store_record *record)
{
    struct shown *shown = user;
    const unsigned n = record->id.bytes[1] * 256u + record->id.bytes[2];
    char name[16];
    snprintf(name, sizeof(name), "n%u", n);
    struct pw_store_record expected = store_record(n < MODULES ? n : 0, name, 1);
    shown->wrong =
        shown->wrong || n >= MODULES || shown->seen[n % MODULES]++ > 0 ||
        !pywatt_uuid_equal(&record->id, &expected.id) ||
        !pywatt_module_info_equal(record->info->info, expected.info->info) ||
        memcmp(record->token_hash, expected.token_hash, sizeof(expected.token_hash)) != 0 ||
        record->generation != 1 || record->lease_ms != expected.lease_ms ||
        (record->capabilities != NULL) != (n % 3 == 0) ||
        (record->capabilities != NULL &&
         strcmp(pywatt_capabilities_message_type(record->capabilities->capabilities, 0), name) !=
             0);
    shown->in_order = shown->in_order && n == shown->count;
    shown->count++;
    store_record_release(&expected);
    return true;
}

/* False if it is refused, which must be with words. */
static bool open_and_look(unsigned seed, struct shown *shown)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    uint64_t revision;
    *shown = (struct shown){.in_order = true};
    enum pywatt_status status = pw_store_open(at.url, &store, &error);
    if (status == PYWATT_OK) {
        status = pw_store_list(store, look, shown, &revision, &error);
        pw_store_close(store);
    }
    if (status != PYWATT_OK && (status != PYWATT_IO || strstr(error.text, "store.db") == NULL)) {
        fail_msg("seed %u: %s: '%s'", seed, pywatt_status_name(status), error.text);
    }
    if (shown->wrong) {
        fail_msg("seed %u: a record is shown that nobody put", seed);
    }
    return status == PYWATT_OK;
}

static void recover_and_look(unsigned seed)
{
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    struct shown shown;
    const enum pywatt_status status = pw_store_recover(at.url, &salvage, &error);
    if (status != PYWATT_OK) {
        /* Its first page may say that it is newer; without tables or rows it may be anybody's. */
        if (status != PYWATT_IO || (strstr(error.text, "none of an orchestrator") == NULL &&
                                    strstr(error.text, "newer") == NULL &&
                                    strstr(error.text, "no module is found") == NULL)) {
            fail_msg("seed %u: not recovered: %s", seed, error.text);
        }
    } else if (!open_and_look(seed, &shown) || shown.count != salvage.kept) {
        fail_msg("seed %u: %u of %u modules that were kept are shown", seed, shown.count,
                 (unsigned)salvage.kept);
    }
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
        struct image image = damaged(&database, seed);
        struct shown shown;
        remove_files();
        write_image("", &image);
        free(image.bytes);
        if (!open_and_look(seed, &shown)) {
            refused++;
            recover_and_look(seed);
        } else if (shown.count != MODULES) {
            fail_msg("seed %u: %u of %u modules are shown", seed, shown.count, MODULES);
        }
    }
    print_message("%u of %u refused\n", refused, seeds());
    assert_true(refused > 0);
}

static void write_open_images(const struct image *log, const struct image *lock)
{
    remove_files();
    write_image("", &open_database);
    write_image("-wal", log);
    if (lock != NULL) {
        write_image("-lock", lock);
    }
}

static void expect_unchanged(unsigned seed, const char *suffix, const struct image *before)
{
    struct image now = read_image(suffix);
    if (now.len != before->len || memcmp(now.bytes, before->bytes, now.len) != 0) {
        fail_msg("seed %u: it was refused, and PATH%s was changed", seed, suffix);
    }
    free(now.bytes);
}

static void a_damaged_log_shows_all_that_was_answered_or_nothing(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned seed = 0; seed < seeds(); seed++) {
        struct image image = damaged(&open_log, seed);
        struct shown shown;
        write_open_images(&image, &open_lock);
        if (!open_and_look(seed, &shown)) {
            refused++;
            expect_unchanged(seed, "", &open_database);
            expect_unchanged(seed, "-wal", &image);
            recover_and_look(seed);
        } else if (shown.count != MODULES) {
            fail_msg("seed %u: %u of %u modules are shown", seed, shown.count, MODULES);
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
        struct image image = damaged(&open_log, seed);
        struct shown shown;
        write_open_images(&image, NULL);
        free(image.bytes);
        if (!open_and_look(seed, &shown)) {
            recover_and_look(seed);
        } else if (!shown.in_order) {
            fail_msg("seed %u: %u modules, with gaps", seed, shown.count);
        }
    }
}

/* Whatever there is of a change that nobody was told of: nothing else is missing. */
static void a_torn_end_that_was_not_answered_is_none(void **state)
{
    (void)state;
    assert_true(open_log.len > earlier_log.len);
    for (size_t len = earlier_log.len; len <= open_log.len; len += 512) {
        struct image image = {open_log.bytes, len};
        struct shown shown;
        write_open_images(&image, &earlier_lock);
        assert_true(open_and_look((unsigned)len, &shown));
        assert_int_equal(shown.count, len < open_log.len ? MODULES - 1 : MODULES);
    }
}

static void a_log_that_is_gone_is_missed(void **state)
{
    (void)state;
    struct pw_store *store = NULL;
    struct pywatt_error error;
    struct pw_store_salvage salvage;
    write_open_images(&open_log, &open_lock);
    char path[600];
    snprintf(path, sizeof(path), "%s-wal", store_place_path(&at));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pw_store_open(at.url, &store, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "its last 48 changes are missing"));
    assert_non_null(strstr(error.text, "--recover"));
    assert_int_equal(pw_store_recover(at.url, &salvage, &error), PYWATT_OK);
    store = store_place_open(&at);
    uint64_t revision;
    assert_int_equal(store_list(store, &revision).count, salvage.kept);
    assert_int_equal(revision, MODULES);
    pw_store_close(store);
}

static void who_begins_anew_misses_nothing(void **state)
{
    (void)state;
    remove_files();
    write_image("-lock", &open_lock);
    struct pw_store *store = store_place_open(&at);
    assert_int_equal(store_list(store, NULL).count, 0);
    pw_store_close(store);
}

/* What it says is not relied upon, whatever it is. */
static void a_damaged_lock_file_keeps_nobody_out(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < seeds(); seed++) {
        struct image image = damaged(&open_lock, seed);
        struct shown shown;
        write_open_images(&open_log, &image);
        free(image.bytes);
        if (!open_and_look(seed, &shown) || shown.count != MODULES) {
            fail_msg("seed %u: %u of %u modules are shown", seed, shown.count, MODULES);
        }
    }
}

static void an_undamaged_log_shows_everything(void **state)
{
    (void)state;
    struct shown shown;
    write_open_images(&open_log, &open_lock);
    assert_true(open_and_look(0, &shown));
    assert_int_equal(shown.count, MODULES);
}

/* The header of an SQLite database has application_id at 68, user_version at 60, big-endian. */
static void who_does_not_say_whose_it_is_can_be_recovered(void **state)
{
    (void)state;
    static const size_t lasts[] = {68 + 3, 60 + 3};
    for (size_t i = 0; i < 2; i++) {
        struct pw_store *store = NULL;
        struct pywatt_error error;
        struct pw_store_salvage salvage;
        struct image image = {malloc(database.len), database.len};
        assert_non_null(image.bytes);
        memcpy(image.bytes, database.bytes, database.len);
        image.bytes[lasts[i]] ^= 1;
        remove_files();
        write_image("", &image);
        free(image.bytes);
        assert_int_equal(pw_store_open(at.url, &store, &error), PYWATT_IO);
        assert_non_null(strstr(error.text, "--recover"));
        assert_int_equal(pw_store_recover(at.url, &salvage, &error), PYWATT_OK);
        assert_int_equal(salvage.kept, MODULES);
    }
}

static struct image copy_of(const struct image *from)
{
    struct image image = {malloc(from->len), from->len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, from->bytes, from->len);
    return image;
}

/* All of them are there, whatever led to them. */
static void expect_all_recovered(const struct image *image, const struct image *log, size_t at_byte)
{
    struct pw_store_salvage salvage;
    struct pywatt_error error = {.text = ""};
    struct shown shown;
    remove_files();
    write_image("", image);
    if (log != NULL) {
        write_image("-wal", log);
    }
    if (pw_store_recover(at.url, &salvage, &error) != PYWATT_OK || salvage.kept != MODULES) {
        fail_msg("byte %zu: %u of %u modules are kept: %s", at_byte, (unsigned)salvage.kept,
                 MODULES, error.text);
    }
    assert_true(open_and_look(0, &shown));
    assert_int_equal(shown.count, MODULES);
}

static void a_flipped_bit_of_the_first_page_costs_nothing(void **state)
{
    (void)state;
    static const size_t where[] = {3, 16, 18, 28, 103, 108};
    for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        struct shown shown;
        struct image image = copy_of(&database);
        image.bytes[where[i]] ^= 1;
        remove_files();
        write_image("", &image);
        if (open_and_look(0, &shown)) {
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
        struct image image = copy_of(&database);
        memset(image.bytes + page * 4096, 0, 4096);
        expect_all_recovered(&image, NULL, page * 4096);
        free(image.bytes);
    }
}

/* As a kill leaves it: nearly all rows are in the log alone, which has no damage. */
static void rows_in_the_log_are_found_behind_a_damaged_database(void **state)
{
    (void)state;
    struct image image = copy_of(&open_database);
    memset(image.bytes, 0, image.len);
    expect_all_recovered(&image, &open_log, 0);
    free(image.bytes);
}

static void who_finds_nothing_replaces_nothing(void **state)
{
    (void)state;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    struct image image = copy_of(&database);
    memset(image.bytes + 4096, 0, image.len - 4096);
    remove_files();
    write_image("", &image);
    assert_int_equal(pw_store_recover(at.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "no module is found"));
    assert_int_equal(salvage.kept, 0);
    expect_unchanged(0, "", &image);
    char path[600];
    snprintf(path, sizeof(path), "%s.damaged-1", store_place_path(&at));
    assert_int_not_equal(access(path, F_OK), 0);
    free(image.bytes);
}

/* One that takes several pages, and a second generation of it. */
static void long_rows_are_found_in_their_last_generation(void **state)
{
    (void)state;
    char longest[PYWATT_NAME_MAX + 1];
    struct pw_store_salvage salvage;
    remove_files();
    struct pw_store *store = store_place_open(&at);
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
    struct image image = read_image("");
    assert_true(image.len > (size_t)100 * PYWATT_NAME_MAX);
    memset(image.bytes, 0, 4096);
    write_image("", &image);
    free(image.bytes);
    assert_int_equal(pw_store_recover(at.url, &salvage, NULL), PYWATT_OK);
    assert_int_equal(salvage.kept, 1);
    store = store_place_open(&at);
    assert_int_equal(store_put(store, 7, "n7", 2), PYWATT_OK);
    pw_store_close(store);
}

static void a_page_in_the_middle_costs_only_its_own_records(void **state)
{
    (void)state;
    struct shown shown;
    struct pw_store_salvage salvage;
    /* The page that the first row lies on: wherever the text of it is found. */
    const char needle[] = "\"name\":\"n0\"";
    const uint8_t *found = memmem(database.bytes, database.len, needle, sizeof(needle) - 1);
    assert_non_null(found);
    const size_t page = (size_t)(found - database.bytes) / 4096;
    struct image image = {malloc(database.len), database.len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, database.bytes, database.len);
    memset(image.bytes + page * 4096, 0xff, 4096);
    remove_files();
    write_image("", &image);
    free(image.bytes);
    assert_false(open_and_look(0, &shown));
    assert_int_equal(pw_store_recover(at.url, &salvage, NULL), PYWATT_OK);
    assert_true(salvage.kept > 0);
    assert_int_equal(salvage.kept + salvage.left_out, MODULES);
    assert_true(open_and_look(0, &shown));
    assert_int_equal(shown.count, salvage.kept);
}

/* Where the row of a module is: its number stands before eleven bytes and the id. */
static size_t number_at(const struct image *image, unsigned n)
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
    struct shown shown;
    struct pw_store_salvage salvage;
    struct image image = {malloc(database.len), database.len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, database.bytes, database.len);
    unsigned n = 0;
    while (number_at(&image, n) / 4096 == number_at(&image, n + 1) / 4096) {
        n++;
    }
    memset(image.bytes + number_at(&image, n + 1) / 4096 * 4096, 0xff, 4096);
    assert_int_equal(image.bytes[number_at(&image, n)], n + 1);
    image.bytes[number_at(&image, n)] = 127;
    remove_files();
    write_image("", &image);
    free(image.bytes);
    assert_false(open_and_look(0, &shown));
    assert_int_equal(pw_store_recover(at.url, &salvage, NULL), PYWATT_OK);
    assert_int_equal(salvage.kept + salvage.left_out, MODULES);
    assert_true(salvage.kept > n + 1);
    assert_true(open_and_look(0, &shown));
    assert_int_equal(shown.count, salvage.kept);
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
        cmocka_unit_test(who_does_not_say_whose_it_is_can_be_recovered),
        cmocka_unit_test(a_flipped_bit_of_the_first_page_costs_nothing),
        cmocka_unit_test(pages_that_lead_to_the_rows_cost_nothing),
        cmocka_unit_test(rows_in_the_log_are_found_behind_a_damaged_database),
        cmocka_unit_test(who_finds_nothing_replaces_nothing),
        cmocka_unit_test(long_rows_are_found_in_their_last_generation),
        cmocka_unit_test(a_page_in_the_middle_costs_only_its_own_records),
        cmocka_unit_test(a_damaged_number_does_not_hide_the_rows_behind_it),
    };
    return PW_TEST_RUN_WITH(cases, make_images, free_images);
}
