/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The file of the sqlite store after somebody changed it by hand, and how a damaged one is recovered.
 */
#include "orchestrator/store_sqlite.h"

#include "pw_test.h"
#include "store_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* ---- By hand ---- */

static void a_record_may_be_deleted_by_hand_but_not_changed(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    store_file_fill(&place, 3);
    assert_int_equal(store_file_run_sql(&place, "DELETE FROM modules WHERE name = 'n2'"),
                     SQLITE_OK);
    struct pw_store *store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n3:1 ");
    pw_store_close(store);
    assert_int_equal(
        store_file_run_sql(&place, "UPDATE modules SET lease_ms = 5 WHERE name = 'n3'"), SQLITE_OK);
    store_file_expect_refused(&place, "record 3 is not as it was written");
    store_place_end(&place);
}

static void a_record_that_has_vanished_is_missed(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    store_file_fill(&place, 3);
    assert_int_equal(store_file_run_sql(&place, "UPDATE state SET modules = 4"), SQLITE_OK);
    store_file_expect_refused(&place, "3 records of 4 are there");
    store_place_end(&place);
}

static void what_another_program_changes_meanwhile_is_noticed(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    store_file_fill(&place, 3);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_file_run_sql(&place, "DELETE FROM modules WHERE name = 'n2'"),
                     SQLITE_OK);
    assert_int_equal(store_put(store, 2, "n2", 1), PYWATT_STALE_GENERATION);
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_OK);
    assert_int_equal(store_put(store, 3, "n3", 1), PYWATT_OK);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n3:2 n2:1 ");
    pw_store_close(store);
    pw_store_close(store_place_open(&place));
    store_place_end(&place);
}

/* What is put into it would be gone. */
static void a_file_that_is_moved_away_takes_no_changes(void **state)
{
    (void)state;
    struct store_place place;
    char from[600];
    char to[600];
    store_file_begin(&place);
    store_file_fill(&place, 1);
    store_file_path(&place, "", from);
    store_file_path(&place, "-away", to);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_IO);
    store_file_write(&place, "", "another", 7);
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_IO);
    assert_int_equal(rename(to, from), 0);
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_OK);
    pw_store_close(store);
    store_place_end(&place);
}

/* ---- Recovery ---- */

static void a_recovery_keeps_what_is_sound(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    char aside[600];
    store_file_begin(&place);
    store_file_fill(&place, 5);
    assert_int_equal(store_file_run_sql(&place,
                                        "UPDATE modules SET name = 'x' WHERE name = 'n2';"
                                        "UPDATE modules SET token_hash = '00' WHERE name = 'n4'"),
                     SQLITE_OK);
    store_file_expect_refused(&place, "pywatt-orchestrator --recover");
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
    assert_int_equal(salvage.kept, 3);
    assert_int_equal(salvage.left_out, 2);
    store_file_path(&place, ".damaged-1", aside);
    assert_string_equal(salvage.aside, aside);
    assert_true(store_file_is_there(&place, ".damaged-1"));
    struct pw_store *store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n3:1 n5:1 ");
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_OK);
    pw_store_close(store);
    /* A second one finds nothing wrong, and another name for what it sets aside. */
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
    assert_int_equal(salvage.kept, 4);
    assert_int_equal(salvage.left_out, 0);
    assert_true(store_file_is_there(&place, ".damaged-2"));
    assert_false(store_file_is_there(&place, "-new"));
    store_place_end(&place);
}

/* Module 1 stands twice: as "old" with its first generation, and as "new" with its second. */
static void make_twice(const struct store_place *place, const char *first, const char *second)
{
    struct store_place other;
    char sql[1400];
    store_file_begin(&other);
    struct pw_store *store = store_place_open(place);
    assert_int_equal(store_put(store, 1, first, 0), PYWATT_OK);
    if (strcmp(first, "new") == 0) {
        assert_int_equal(store_put(store, 1, first, 1), PYWATT_OK);
    }
    pw_store_close(store);
    store = store_place_open(&other);
    assert_int_equal(store_put(store, 1, second, 0), PYWATT_OK);
    if (strcmp(second, "new") == 0) {
        assert_int_equal(store_put(store, 1, second, 1), PYWATT_OK);
    }
    pw_store_close(store);
    snprintf(sql, sizeof(sql),
             "ATTACH '%s' AS other; INSERT INTO modules SELECT number + 9, id, name, generation, "
             "lease_ms, token_hash, info, capabilities, checksum FROM other.modules",
             store_place_path(&other));
    assert_int_equal(store_file_run_sql(place, sql), SQLITE_OK);
    store_place_end(&other);
}

static void of_two_records_of_a_module_the_one_with_the_higher_generation_wins(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct store_place place;
        struct pw_store_salvage salvage;
        struct pywatt_error error;
        store_file_begin(&place);
        make_twice(&place, i == 0 ? "old" : "new", i == 0 ? "new" : "old");
        store_file_expect_refused(&place, "is there twice");
        assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
        assert_int_equal(salvage.kept, 1);
        assert_int_equal(salvage.left_out, 1);
        struct pw_store *store = store_place_open(&place);
        assert_string_equal(store_list(store, NULL).names, "new:2 ");
        assert_int_equal(store_put(store, 2, "old", 0), PYWATT_OK);
        pw_store_close(store);
        store_place_end(&place);
    }
}

static void a_recovery_that_was_broken_off_is_ended_by_the_next_start(void **state)
{
    (void)state;
    struct store_place place;
    char from[600];
    char to[600];
    store_file_begin(&place);
    store_file_fill(&place, 2);
    store_file_path(&place, "", from);
    store_file_path(&place, "-recovered", to);
    assert_int_equal(rename(from, to), 0);
    store_file_write(&place, "", "damaged", 7);
    store_file_write(&place, "-wal", "damaged", 7);
    struct pw_store *store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n2:1 ");
    assert_false(store_file_is_there(&place, "-recovered"));
    pw_store_close(store);
    store_place_end(&place);
}

static void nothing_that_was_kept_can_be_recovered(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    store_file_begin(&place);
    assert_int_equal(pw_store_recover("memory", &salvage, &error), PYWATT_UNSUPPORTED);
    assert_int_equal(pw_store_recover("papyrus", &salvage, &error), PYWATT_UNSUPPORTED);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "No such file"));
    store_file_write(&place, "", "Dear diary", 10);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "no module is found"));
    assert_false(store_file_is_there(&place, ".damaged-1"));
    store_file_expect_refused(&place, "no SQLite database");
    assert_int_equal(pw_store_recover("sqlite:/dev/null", &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "no regular file"));
    store_place_end(&place);
}

static void what_was_put_there_since_a_recovery_is_kept_aside(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    char from[600];
    char to[600];
    store_file_begin(&place);
    store_file_fill(&place, 2);
    store_file_path(&place, "", from);
    store_file_path(&place, "-recovered", to);
    assert_int_equal(rename(from, to), 0);
    store_file_write(&place, "", "a backup", 8);
    pw_store_close(store_place_open(&place));
    assert_true(store_file_is_there(&place, ".damaged-1"));
    /* One that was killed when PATH was gone already is ended as well. */
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
    assert_int_equal(salvage.kept, 2);
    assert_int_equal(salvage.left_out, 0);
    store_place_end(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_record_may_be_deleted_by_hand_but_not_changed),
        cmocka_unit_test(a_record_that_has_vanished_is_missed),
        cmocka_unit_test(what_another_program_changes_meanwhile_is_noticed),
        cmocka_unit_test(a_file_that_is_moved_away_takes_no_changes),
        cmocka_unit_test(a_recovery_keeps_what_is_sound),
        cmocka_unit_test(of_two_records_of_a_module_the_one_with_the_higher_generation_wins),
        cmocka_unit_test(a_recovery_that_was_broken_off_is_ended_by_the_next_start),
        cmocka_unit_test(what_was_put_there_since_a_recovery_is_kept_aside),
        cmocka_unit_test(nothing_that_was_kept_can_be_recovered),
    };
    return PW_TEST_RUN(cases);
}
