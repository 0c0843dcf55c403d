/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sqlite store and its file: what is there after a restart, who may have it, what is refused and
 * with which words.
 */
#include "orchestrator/store_sqlite_private.h"

#include "pw_test.h"
#include "store_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
    store_file_begin(&place);
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
    store_file_begin(&place);
    store_file_fill(&place, 3);
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
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    for (size_t i = 0; i < 4; i++) {
        struct stat found;
        char path[600];
        store_file_path(&place, files[i], path);
        assert_int_equal(stat(path, &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
    pw_store_close(store);
    assert_false(store_file_is_there(&place, "-wal"));
    umask(before);
    store_place_end(&place);
}

static void one_store_at_a_time_has_the_file(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    char words[128];
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    snprintf(words, sizeof(words),
             "in use by another orchestrator (process %ld): end it, or choose another file",
             (long)getpid());
    store_file_expect_refused(&place, words);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, words));
    /* Which process it is may not be known. */
    char lock[512];
    snprintf(lock, sizeof(lock), "%s-lock", store_place_path(&place));
    assert_int_equal(truncate(lock, 0), 0);
    store_file_expect_refused(&place, "another orchestrator: end it, or choose another file");
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    pw_store_close(store);
    store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
    pw_store_close(store);
    store_place_end(&place);
}

static void links_lead_to_the_same_store(void **state)
{
    (void)state;
    struct store_place place;
    struct store_place by_link;
    struct pw_store *second = NULL;
    struct pywatt_error error;
    store_file_begin(&place);
    snprintf(by_link.url, sizeof(by_link.url), "%.400s-link", place.url);
    assert_int_equal(symlink(store_place_path(&place), store_place_path(&by_link)), 0);
    store_file_fill(&place, 1);
    struct pw_store *store = store_place_open(&by_link);
    assert_string_equal(store_list(store, NULL).names, "n1:1 ");
    assert_int_equal(pw_store_open(place.url, &second, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "in use by another orchestrator"));
    pw_store_close(store);
    assert_int_equal(unlink(store_place_path(&by_link)), 0);
    store_place_end(&place);
}

static void a_child_of_fork_does_not_keep_it(void **state)
{
    (void)state;
    struct store_place place;
    int ends[2];
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        /* Killed, so that no tool looks at what a copy leaves behind. */
        char end;
        close(ends[1]);
        while (read(ends[0], &end, 1) < 0) {
        }
        kill(getpid(), SIGKILL);
    }
    assert_true(child > 0);
    pw_store_close(store);
    pw_store_close(store_place_open(&place));
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
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
    store_file_begin(&place);
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
    store_file_begin(&place);
    store_file_fill(&place, 1);
    assert_int_equal(sqlite3_open(store_place_path(&place), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; "
                                  "UPDATE state SET revision = revision; COMMIT",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    store_file_expect_refused(&place, "locked by another program, such as sqlite3: end that first");
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

/* ---- One change that fails ---- */

enum {
    TOGETHER = 24
};

struct together {
    pthread_mutex_t mutex;
    pthread_cond_t all;
    unsigned done;
};

struct one_of {
    struct together *together;
    struct pw_store_change change;
    enum pywatt_status status;
};

static void note(void *user, enum pywatt_status status)
{
    struct one_of *one = user;
    pthread_mutex_lock(&one->together->mutex);
    one->status = status;
    one->together->done++;
    pthread_cond_signal(&one->together->all);
    pthread_mutex_unlock(&one->together->mutex);
}

static void a_change_that_fails_does_not_take_others_with_it(void **state)
{
    (void)state;
    static struct one_of ones[TOGETHER];
    struct together together = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                .all = PTHREAD_COND_INITIALIZER};
    struct store_place place;
    uint64_t revision;
    store_file_begin(&place);
    store_file_fill(&place, 1);
    assert_int_equal(store_file_run_sql(&place, "CREATE TRIGGER never BEFORE INSERT ON modules "
                                                "WHEN new.name = 'never' BEGIN "
                                                "SELECT RAISE(ABORT, 'as if a page was damaged'); "
                                                "END"),
                     SQLITE_OK);
    struct pw_store *store = store_place_open(&place);
    for (unsigned i = 0; i < TOGETHER; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%u", i);
        ones[i] = (struct one_of){
            .together = &together,
            .change = {.kind = PW_STORE_PUT,
                       .record = store_record(100 + i, i == TOGETHER / 2 ? "never" : name, 1)}};
        pw_store_submit(store, &ones[i].change, note, &ones[i]);
    }
    pthread_mutex_lock(&together.mutex);
    while (together.done < TOGETHER) {
        pthread_cond_wait(&together.all, &together.mutex);
    }
    pthread_mutex_unlock(&together.mutex);
    for (unsigned i = 0; i < TOGETHER; i++) {
        assert_int_equal(ones[i].status, i == TOGETHER / 2 ? PYWATT_IO : PYWATT_OK);
        store_record_release(&ones[i].change.record);
    }
    assert_int_equal(store_list(store, &revision).count, TOGETHER);
    assert_int_equal(revision, TOGETHER);
    pw_store_close(store);
    store_place_end(&place);
}

/* ---- What is no database of ours ---- */

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    store_file_fill(&place, 1);
    assert_int_equal(store_file_run_sql(&place, "PRAGMA user_version = 1000"), SQLITE_OK);
    store_file_expect_refused(&place, "written by a newer pywatt-orchestrator (schema 1000");
    assert_int_equal(store_file_run_sql(&place, "PRAGMA user_version = 1"), SQLITE_OK);
    pw_store_close(store_place_open(&place));
    store_place_end(&place);
}

static void a_database_of_something_else_is_refused_and_left_alone(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    store_file_begin(&place);
    assert_int_equal(store_file_run_sql(&place, "CREATE TABLE recipes (cake)"), SQLITE_OK);
    store_file_expect_refused(&place, "none of an orchestrator");
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "none of an orchestrator"));
    assert_int_equal(store_file_run_sql(&place, "SELECT cake FROM recipes"), SQLITE_OK);
    store_place_end(&place);
}

static void what_is_no_database_is_refused(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    const size_t fds = pw_test_open_fds();
    store_file_write(&place, "", "", 0);
    store_file_expect_refused(&place, "is empty");
    store_file_write(&place, "", "Dear diary", 10);
    store_file_expect_refused(&place, "no SQLite database");
    assert_int_equal(unlink(store_place_path(&place)), 0);
    store_file_write(&place, "-wal", "left", 4);
    store_file_expect_refused(&place, "bring it back");
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
    store_file_begin(&at);
    store_file_fill(&at, 2);
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
    store_file_expect_refused(&at, "written by a newer");
    store_place_end(&at);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(everything_is_there_after_a_restart),
        cmocka_unit_test(generations_and_revisions_go_on_after_a_restart),
        cmocka_unit_test(the_files_are_for_their_owner_alone),
        cmocka_unit_test(one_store_at_a_time_has_the_file),
        cmocka_unit_test(links_lead_to_the_same_store),
        cmocka_unit_test(a_child_of_fork_does_not_keep_it),
        cmocka_unit_test(anybody_can_read_it_meanwhile),
        cmocka_unit_test(who_locks_it_is_waited_for_and_then_named),
        cmocka_unit_test(a_change_that_fails_does_not_take_others_with_it),
        cmocka_unit_test(a_newer_schema_is_refused),
        cmocka_unit_test(a_database_of_something_else_is_refused_and_left_alone),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
        cmocka_unit_test(an_older_schema_is_brought_up_in_one_step),
    };
    return PW_TEST_RUN(cases);
}
