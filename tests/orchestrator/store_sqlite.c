/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sqlite store and its file: what is there after a restart, who may have it, what is refused and
 * with which words, and how a damaged one is recovered.
 */
#include "orchestrator/store_sqlite_private.h"

#include "pw_test.h"
#include "store_place.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Helpers ---- */

static void begin(struct store_place *place)
{
    store_place_begin(place, &pw_store_sqlite);
}

static void path_of(const struct store_place *place, const char *suffix, char out[600])
{
    snprintf(out, 600, "%s%s", store_place_path(place), suffix);
}

static bool is_there(const struct store_place *place, const char *suffix)
{
    char path[600];
    path_of(place, suffix, path);
    return access(path, F_OK) == 0;
}

static void write_file(const struct store_place *place, const char *suffix, const char *bytes,
                       size_t len)
{
    char path[600];
    path_of(place, suffix, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

/* Runs SQL on the file as anybody could. Its result code. */
static int run_sql(const struct store_place *place, const char *sql)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(store_place_path(place), &handle), SQLITE_OK);
    const int result = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return result;
}

static void expect_refused(const struct store_place *place, const char *words)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    assert_int_equal(pw_store_open(place->url, &store, &error), PYWATT_IO);
    if (strstr(error.text, words) == NULL || strstr(error.text, "store.db") == NULL) {
        fail_msg("'%s' has no '%s'", error.text, words);
    }
}

/* A closed file with modules 1 to `count`. */
static void fill(const struct store_place *place, unsigned count)
{
    struct pw_store *store = store_place_open(place);
    for (unsigned n = 1; n <= count; n++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", n);
        assert_int_equal(store_put(store, n, name, 0), PYWATT_OK);
    }
    pw_store_close(store);
}

/* ---- What is there after a restart ---- */

static struct pywatt_module_info *unusual_info(unsigned n)
{
    static const char *const names[] = {"plain", "'; DROP TABLE modules; --", "\"\\/\b\f\n\r\t\x01",
                                        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf",
                                        "\x7f "};
    struct pywatt_module_info *info = NULL;
    char longest[PYWATT_VALUE_MAX + 1];
    memset(longest, '\x02', PYWATT_VALUE_MAX);
    longest[PYWATT_VALUE_MAX] = '\0';
    assert_int_equal(
        pywatt_module_info_new(names[n % 5], "", n % 2 == 0 ? "" : names[n % 5], &info), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "z", ""), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "\"a\n", longest), PYWATT_OK);
    if (n % 2 == 0) {
        const struct pywatt_uuid id = store_id(n);
        assert_int_equal(pywatt_module_info_set_id(info, &id), PYWATT_OK);
    }
    return info;
}

static struct pywatt_capabilities *unusual_capabilities(void)
{
    static const char *const methods[] = {"GET", "\xc3\xa4"};
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    struct pywatt_endpoint *endpoint = NULL;
    assert_int_equal(pywatt_endpoint_new("/\"x\"", methods, 2, &endpoint), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, "Bearer"), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, "k", "\n"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, endpoint), PYWATT_OK);
    pywatt_endpoint_free(endpoint);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "t"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "c",
                                                        "{\"a\":1e999,\"a\":[\"\\u0000\",0.10]}"),
                     PYWATT_OK);
    return capabilities;
}

static struct pw_store_record unusual_record(unsigned n)
{
    struct pw_store_record record = {
        .id = store_id(n),
        .info = pw_shared_info_new(unusual_info(n)),
        .capabilities = n == 0 ? NULL
                               : pw_shared_capabilities_new(n == 1 ? pywatt_capabilities_new()
                                                                   : unusual_capabilities()),
        .generation = n == 3 ? UINT64_MAX : n + 1,
        .lease_ms = n == 4 ? UINT64_MAX : n};
    for (unsigned i = 0; i < sizeof(record.token_hash); i++) {
        record.token_hash[i] = (uint8_t)(n * 50 + i * 9);
    }
    return record;
}

/* They come in the order in which they were made. */
static bool compare(void *user, const struct pw_store_record *record)
{
    unsigned *n = user;
    struct pw_store_record expected = unusual_record((*n)++);
    assert_true(pywatt_uuid_equal(&record->id, &expected.id));
    assert_true(pywatt_module_info_equal(record->info->info, expected.info->info));
    assert_int_equal(record->capabilities == NULL, expected.capabilities == NULL);
    if (record->capabilities != NULL) {
        assert_true(pywatt_capabilities_equal(record->capabilities->capabilities,
                                              expected.capabilities->capabilities));
    }
    assert_memory_equal(record->token_hash, expected.token_hash, sizeof(expected.token_hash));
    assert_int_equal(record->generation, expected.generation);
    assert_int_equal(record->lease_ms, expected.lease_ms);
    store_record_release(&expected);
    return true;
}

static void everything_is_there_after_a_restart(void **state)
{
    (void)state;
    struct store_place place;
    begin(&place);
    struct pw_store *store = store_place_open(&place);
    for (unsigned n = 0; n < 5; n++) {
        struct pw_store_change change = {.kind = PW_STORE_PUT, .record = unusual_record(n)};
        assert_int_equal(store_submit(store, &change), PYWATT_OK);
        store_record_release(&change.record);
    }
    for (int i = 0; i < 2; i++) {
        unsigned seen = 0;
        uint64_t revision = 0;
        assert_int_equal(pw_store_list(store, compare, &seen, &revision, NULL), PYWATT_OK);
        assert_int_equal(seen, 5);
        assert_int_equal(revision, 5);
        pw_store_close(store);
        store = store_place_open(&place);
    }
    pw_store_close(store);
    store_place_end(&place);
}

static void generations_and_revisions_go_on_after_a_restart(void **state)
{
    (void)state;
    struct store_place place;
    uint64_t revision = 0;
    begin(&place);
    fill(&place, 3);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_STALE_GENERATION);
    assert_int_equal(store_put(store, 4, "n2", 0), PYWATT_NAME_TAKEN);
    assert_int_equal(store_put(store, 2, "other", 1), PYWATT_OK);
    assert_int_equal(store_take_out(store, 3, 1), PYWATT_OK);
    assert_int_equal(store_put(store, 4, "n2", 0), PYWATT_OK);
    assert_string_equal(store_list(store, &revision).names, "n1:1 other:2 n2:1 ");
    assert_int_equal(revision, 6);
    pw_store_close(store);
    store = store_place_open(&place);
    assert_string_equal(store_list(store, &revision).names, "n1:1 other:2 n2:1 ");
    assert_int_equal(revision, 6);
    pw_store_close(store);
    store_place_end(&place);
}

/* ---- Who may have it ---- */

static void the_files_are_for_their_owner_alone(void **state)
{
    (void)state;
    static const char *const files[] = {"", "-wal", "-shm", "-lock"};
    struct store_place place;
    const mode_t before = umask(0);
    begin(&place);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    for (size_t i = 0; i < 4; i++) {
        struct stat found;
        char path[600];
        path_of(&place, files[i], path);
        assert_int_equal(stat(path, &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
    pw_store_close(store);
    assert_false(is_there(&place, "-wal"));
    umask(before);
    store_place_end(&place);
}

static void one_store_at_a_time_has_the_file(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    char words[64];
    begin(&place);
    struct pw_store *store = store_place_open(&place);
    snprintf(words, sizeof(words), "in use by another orchestrator (process %ld)", (long)getpid());
    expect_refused(&place, words);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, words));
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    pw_store_close(store);
    store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
    pw_store_close(store);
    store_place_end(&place);
}

static int count_rows(void *user, int columns, char **values, char **names)
{
    (void)names;
    assert_int_equal(columns, 2);
    snprintf(user, 64, "%s is %s", values[0], values[1]);
    return 0;
}

static void anybody_can_read_it_meanwhile(void **state)
{
    (void)state;
    struct store_place place;
    sqlite3 *handle = NULL;
    char found[64] = "";
    begin(&place);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(sqlite3_open(store_place_path(&place), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "SELECT info ->> '$.name', id FROM modules WHERE name = 'a' AND "
                                  "generation = 1 AND lease_ms = 1001 AND token_hash LIKE '0202%'",
                                  count_rows, found, NULL),
                     SQLITE_OK);
    assert_string_equal(found, "a is 11000100-0000-0000-0000-000000000000");
    /* Nor does who reads stop us from writing. */
    assert_int_equal(sqlite3_exec(handle, "BEGIN; SELECT * FROM modules", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(store_put(store, 1, "a", 1), PYWATT_OK);
    sqlite3_close(handle);
    pw_store_close(store);
    store_place_end(&place);
}

static void who_locks_it_is_waited_for_and_then_named(void **state)
{
    (void)state;
    struct store_place place;
    sqlite3 *handle = NULL;
    begin(&place);
    fill(&place, 1);
    assert_int_equal(sqlite3_open(store_place_path(&place), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; "
                                  "UPDATE state SET revision = revision; COMMIT",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    expect_refused(&place, "locked by another program");
    sqlite3_close(handle);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(sqlite3_open(store_place_path(&place), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_put(store, 2, "b", 0), PYWATT_UNAVAILABLE);
    assert_int_equal(sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_put(store, 2, "b", 0), PYWATT_OK);
    assert_string_equal(store_list(store, NULL).names, "n1:1 b:1 ");
    sqlite3_close(handle);
    pw_store_close(store);
    store_place_end(&place);
}

/* ---- What is no database of ours ---- */

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    struct store_place place;
    begin(&place);
    fill(&place, 1);
    assert_int_equal(run_sql(&place, "PRAGMA user_version = 1000"), SQLITE_OK);
    expect_refused(&place, "written by a newer pywatt-orchestrator (schema 1000");
    assert_int_equal(run_sql(&place, "PRAGMA user_version = 1"), SQLITE_OK);
    pw_store_close(store_place_open(&place));
    store_place_end(&place);
}

static void a_database_of_something_else_is_refused_and_left_alone(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    begin(&place);
    assert_int_equal(run_sql(&place, "CREATE TABLE recipes (cake)"), SQLITE_OK);
    expect_refused(&place, "none of an orchestrator");
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "none of an orchestrator"));
    assert_int_equal(run_sql(&place, "SELECT cake FROM recipes"), SQLITE_OK);
    store_place_end(&place);
}

static void what_is_no_database_is_refused(void **state)
{
    (void)state;
    struct store_place place;
    begin(&place);
    const size_t fds = pw_test_open_fds();
    write_file(&place, "", "", 0);
    expect_refused(&place, "is empty");
    write_file(&place, "", "Dear diary", 10);
    expect_refused(&place, "no SQLite database");
    assert_int_equal(unlink(store_place_path(&place)), 0);
    write_file(&place, "-wal", "left", 4);
    expect_refused(&place, "bring it back");
    assert_int_equal(pw_test_open_fds(), fds);
    store_place_end(&place);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct pw_store *store = NULL;
    struct pywatt_error error;
    assert_int_equal(pw_store_open("sqlite:/nowhere/at/all/store.db", &store, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "/nowhere/at/all/store.db"));
    assert_non_null(strstr(error.text, "No such file"));
}

static void an_older_schema_is_brought_up_in_one_step(void **state)
{
    (void)state;
    const char *const steps[] = {pw_sqlite_schema.steps[0],
                                 "ALTER TABLE modules ADD COLUMN colour TEXT",
                                 "UPDATE modules SET colour = 'red'", "No SQL at all"};
    struct store_place at;
    struct pw_sqlite_place place;
    struct pw_sqlite_db db;
    struct pywatt_error error;
    int64_t number = 0;
    begin(&at);
    fill(&at, 2);
    assert_int_equal(pw_sqlite_place_init(&place, store_place_path(&at), NULL), PYWATT_OK);
    assert_int_equal(pw_sqlite_db_open(&db, place.path), SQLITE_OK);
    /* A step that fails undoes those before. */
    const struct pw_sqlite_schema broken = {.steps = steps, .version = 4};
    assert_int_equal(pw_sqlite_schema_check(&place, &db, &broken, &error), PYWATT_IO);
    assert_int_equal(pw_sqlite_db_number(&db, "PRAGMA user_version", &number), SQLITE_OK);
    assert_int_equal(number, 1);
    const struct pw_sqlite_schema schema = {.steps = steps, .version = 3};
    assert_int_equal(pw_sqlite_schema_check(&place, &db, &schema, &error), PYWATT_OK);
    assert_int_equal(pw_sqlite_db_number(&db, "PRAGMA user_version", &number), SQLITE_OK);
    assert_int_equal(number, 3);
    assert_int_equal(
        pw_sqlite_db_number(&db, "SELECT count(*) FROM modules WHERE colour = 'red'", &number),
        SQLITE_OK);
    assert_int_equal(number, 2);
    pw_sqlite_db_close(&db);
    pw_sqlite_place_destroy(&place);
    expect_refused(&at, "written by a newer");
    store_place_end(&at);
}

/* ---- By hand ---- */

static void a_record_may_be_deleted_by_hand_but_not_changed(void **state)
{
    (void)state;
    struct store_place place;
    begin(&place);
    fill(&place, 3);
    assert_int_equal(run_sql(&place, "DELETE FROM modules WHERE name = 'n2'"), SQLITE_OK);
    struct pw_store *store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n3:1 ");
    pw_store_close(store);
    assert_int_equal(run_sql(&place, "UPDATE modules SET lease_ms = 5 WHERE name = 'n3'"),
                     SQLITE_OK);
    expect_refused(&place, "record 3 is not as it was written");
    store_place_end(&place);
}

static void a_record_that_has_vanished_is_missed(void **state)
{
    (void)state;
    struct store_place place;
    begin(&place);
    fill(&place, 3);
    assert_int_equal(run_sql(&place, "UPDATE state SET modules = 4"), SQLITE_OK);
    expect_refused(&place, "3 records of 4 are there");
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
    begin(&place);
    fill(&place, 5);
    assert_int_equal(run_sql(&place, "UPDATE modules SET name = 'x' WHERE name = 'n2';"
                                     "UPDATE modules SET token_hash = '00' WHERE name = 'n4'"),
                     SQLITE_OK);
    expect_refused(&place, "pywatt-orchestrator --recover");
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
    assert_int_equal(salvage.kept, 3);
    assert_int_equal(salvage.left_out, 2);
    path_of(&place, ".damaged-1", aside);
    assert_string_equal(salvage.aside, aside);
    assert_true(is_there(&place, ".damaged-1"));
    struct pw_store *store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n3:1 n5:1 ");
    assert_int_equal(store_put(store, 2, "n2", 0), PYWATT_OK);
    pw_store_close(store);
    /* A second one finds nothing wrong, and another name for what it sets aside. */
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
    assert_int_equal(salvage.kept, 4);
    assert_int_equal(salvage.left_out, 0);
    assert_true(is_there(&place, ".damaged-2"));
    assert_false(is_there(&place, "-new"));
    store_place_end(&place);
}

static void a_recovery_that_was_broken_off_is_ended_by_the_next_start(void **state)
{
    (void)state;
    struct store_place place;
    char from[600];
    char to[600];
    begin(&place);
    fill(&place, 2);
    path_of(&place, "", from);
    path_of(&place, "-recovered", to);
    assert_int_equal(rename(from, to), 0);
    write_file(&place, "", "damaged", 7);
    write_file(&place, "-wal", "damaged", 7);
    struct pw_store *store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n2:1 ");
    assert_false(is_there(&place, "-recovered"));
    pw_store_close(store);
    store_place_end(&place);
}

static void nothing_that_was_kept_can_be_recovered(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    begin(&place);
    assert_int_equal(pw_store_recover("memory", &salvage, &error), PYWATT_UNSUPPORTED);
    assert_int_equal(pw_store_recover("papyrus", &salvage, &error), PYWATT_UNSUPPORTED);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "No such file"));
    write_file(&place, "", "Dear diary", 10);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
    assert_int_equal(salvage.kept, 0);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_list(store, NULL).count, 0);
    pw_store_close(store);
    store_place_end(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(everything_is_there_after_a_restart),
        cmocka_unit_test(generations_and_revisions_go_on_after_a_restart),
        cmocka_unit_test(the_files_are_for_their_owner_alone),
        cmocka_unit_test(one_store_at_a_time_has_the_file),
        cmocka_unit_test(anybody_can_read_it_meanwhile),
        cmocka_unit_test(who_locks_it_is_waited_for_and_then_named),
        cmocka_unit_test(a_newer_schema_is_refused),
        cmocka_unit_test(a_database_of_something_else_is_refused_and_left_alone),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
        cmocka_unit_test(an_older_schema_is_brought_up_in_one_step),
        cmocka_unit_test(a_record_may_be_deleted_by_hand_but_not_changed),
        cmocka_unit_test(a_record_that_has_vanished_is_missed),
        cmocka_unit_test(a_recovery_keeps_what_is_sound),
        cmocka_unit_test(a_recovery_that_was_broken_off_is_ended_by_the_next_start),
        cmocka_unit_test(nothing_that_was_kept_can_be_recovered),
    };
    return PW_TEST_RUN(cases);
}
