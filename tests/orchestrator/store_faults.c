/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sqlite store on a disk that is full, or fails: what is answered is what is there, then and after
 * a restart, and it goes on by itself when the disk does.
 */
#include "orchestrator/store_sqlite.h"

#include "faulty_vfs.h"
#include "pw_test.h"
#include "store_file.h"
#include "store_place.h"
#include "world.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int set_up(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    return 0;
}

static void expect_over_a_restart(const struct store_place *place, struct pw_store *store,
                                  const char *names)
{
    assert_string_equal(store_list(store, NULL).names, names);
    pw_store_close(store);
    store = store_place_open(place);
    assert_string_equal(store_list(store, NULL).names, names);
    pw_store_close(store);
}

static void refuses_and_goes_on(int result, enum pywatt_status status)
{
    struct store_place place;
    store_place_begin(&place, &pw_store_sqlite);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    faulty_vfs_fail(1, 0, result);
    assert_int_equal(store_put(store, 2, "b", 0), status);
    assert_int_equal(store_put(store, 1, "a", 1), status);
    assert_int_equal(store_take_out(store, 1, 1), status);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
    assert_true(faulty_vfs_heal());
    assert_int_equal(store_put(store, 1, "a", 1), PYWATT_OK);
    assert_int_equal(store_put(store, 2, "b", 0), PYWATT_OK);
    expect_over_a_restart(&place, store, "a:2 b:1 ");
    store_place_end(&place);
}

static void a_full_disk_refuses_changes_until_there_is_room(void **state)
{
    (void)state;
    refuses_and_goes_on(SQLITE_FULL, PYWATT_LIMIT);
}

/* Lines of the store, from its thread, in which the sink may use it. */
struct told {
    struct pw_store *store;
    _Atomic unsigned errors;
    _Atomic unsigned warnings;
};

static bool pass(void *user, const struct pw_store_record *record)
{
    (void)user;
    (void)record;
    return true;
}

static void count_line(void *user, enum pywatt_log_level level, const char *text)
{
    struct told *told = user;
    uint64_t revision;
    (void)text;
    (void)pw_store_list(told->store, pass, NULL, &revision, NULL);
    told->errors += level == PYWATT_LOG_ERROR;
    told->warnings += level == PYWATT_LOG_WARNING;
}

static void what_fails_is_told_once_and_what_goes_well_in_the_end_is_not(void **state)
{
    (void)state;
    struct store_place place;
    store_place_begin(&place, &pw_store_sqlite);
    struct told told = {.store = store_place_open(&place)};
    pywatt_set_log_sink(count_line, &told, PYWATT_LOG_WARNING);
    for (uint64_t generation = 0; generation < 4; generation++) {
        faulty_vfs_fail(1, 1, SQLITE_FULL);
        assert_int_equal(store_put(told.store, 1, "a", generation), PYWATT_OK);
        assert_true(faulty_vfs_heal());
    }
    assert_int_equal(told.errors + told.warnings, 0);
    faulty_vfs_fail(1, 0, SQLITE_FULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(store_put(told.store, 2, "b", 0), PYWATT_LIMIT);
    }
    assert_true(faulty_vfs_heal());
    assert_int_equal(store_put(told.store, 2, "b", 0), PYWATT_OK);
    assert_int_equal(told.errors, 1);
    assert_int_equal(told.warnings, 1);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    expect_over_a_restart(&place, told.store, "a:4 b:1 ");
    store_place_end(&place);
}

static void a_disk_that_fails_refuses_changes_until_it_works(void **state)
{
    (void)state;
    refuses_and_goes_on(SQLITE_IOERR_WRITE, PYWATT_IO);
}

/* ---- Each operation fails once ---- */

struct model {
    uint64_t generation[4]; /* 0: not there */
};

static void change(struct pw_store *store, struct model *model, unsigned n, const char *name)
{
    const uint64_t expected = model->generation[n];
    const enum pywatt_status status =
        name != NULL ? store_put(store, n, name, expected) : store_take_out(store, n, expected);
    if (status == PYWATT_OK) {
        model->generation[n] = name != NULL ? expected + 1 : 0;
    } else {
        assert_true(status == PYWATT_IO || status == PYWATT_LIMIT);
    }
}

static void replace(struct pw_store *store, struct model *model, unsigned n, const char *name,
                    unsigned replaced)
{
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = store_record(n, name, 1),
                                     .replaces = true,
                                     .replaced_id = store_id(replaced),
                                     .replaced_generation = model->generation[replaced]};
    if (store_submit(store, &change) == PYWATT_OK) {
        model->generation[n] = 1;
        model->generation[replaced] = 0;
    }
    store_record_release(&change.record);
}

static void expect_model(struct pw_store *store, const struct model *model)
{
    static const char *const names[] = {"", "a", "b", "b"};
    char expected[128] = "";
    for (unsigned n = 1; n < 4; n++) {
        if (model->generation[n] > 0) {
            snprintf(expected + strlen(expected), 32, "%s:%u ", names[n],
                     (unsigned)model->generation[n]);
        }
    }
    assert_string_equal(store_list(store, NULL).names, expected);
}

static void each_operation_may_fail(int result, unsigned count)
{
    unsigned n = 1;
    for (bool failed = true; failed; n += pw_test_slow_factor() > 1 ? 5 : 1) {
        struct store_place place;
        struct model model = {.generation = {0}};
        store_place_begin(&place, &pw_store_sqlite);
        struct pw_store *store = store_place_open(&place);
        faulty_vfs_fail(n, count, result);
        change(store, &model, 1, "a");
        change(store, &model, 2, "b");
        change(store, &model, 1, "a");
        if (model.generation[2] > 0) {
            replace(store, &model, 3, "b", 2);
        }
        expect_model(store, &model);
        failed = faulty_vfs_heal();
        change(store, &model, 1, "a");
        expect_model(store, &model);
        assert_true(model.generation[1] > 0);
        pw_store_close(store);
        store = store_place_open(&place);
        expect_model(store, &model);
        pw_store_close(store);
        store_place_end(&place);
        assert_true(n < 1000);
    }
}

static void what_was_answered_is_there_whichever_operation_fails(void **state)
{
    (void)state;
    each_operation_may_fail(SQLITE_IOERR_WRITE, 1);
    each_operation_may_fail(SQLITE_FULL, 2);
}

/* Opened or refused, and sound afterwards. */
static void opening_survives_whichever_operation_fails(void **state)
{
    (void)state;
    unsigned n = 1;
    for (bool failed = true; failed; n++) {
        struct store_place place;
        struct pw_store *store = NULL;
        struct pywatt_error error;
        store_place_begin(&place, &pw_store_sqlite);
        faulty_vfs_fail(n, 1, SQLITE_FULL);
        const enum pywatt_status status = pw_store_open(place.url, &store, &error);
        failed = faulty_vfs_heal();
        if (status == PYWATT_OK) {
            pw_store_close(store);
        } else {
            assert_int_equal(status, PYWATT_IO);
        }
        store = store_place_open(&place);
        assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
        expect_over_a_restart(&place, store, "a:1 ");
        store_place_end(&place);
        assert_true(n < 1000);
    }
}

/* ---- Killed after a failure ---- */

/* What a kill at this moment leaves: the files as they are. */
static void copy_files(const struct store_place *from, const struct store_place *to)
{
    static const char *const suffixes[] = {"", "-wal", "-lock"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[600];
        char buffer[4096];
        size_t got;
        snprintf(path, sizeof(path), "%s%s", store_place_path(from), suffixes[i]);
        FILE *in = fopen(path, "r");
        snprintf(path, sizeof(path), "%s%s", store_place_path(to), suffixes[i]);
        FILE *out = fopen(path, "w");
        assert_non_null(in);
        assert_non_null(out);
        while ((got = fread(buffer, 1, sizeof(buffer), in)) > 0) {
            assert_int_equal(fwrite(buffer, 1, got, out), got);
        }
        fclose(in);
        fclose(out);
    }
}

/* A commit that cannot be synced stands in the log all the same, whole. */
static void what_was_refused_is_not_there_after_a_kill(void **state)
{
    (void)state;
    for (unsigned count = 0; count < 2; count++) { /* it fails for good; once */
        struct store_place place;
        struct store_place killed;
        store_place_begin(&place, &pw_store_sqlite);
        store_place_begin(&killed, &pw_store_sqlite);
        struct pw_store *store = store_place_open(&place);
        assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
        faulty_vfs_fail_syncs(count);
        assert_int_equal(store_put(store, 2, "b", 0), PYWATT_IO);
        assert_int_equal(store_put(store, 3, "c", 0), count == 0 ? PYWATT_IO : PYWATT_OK);
        assert_true(faulty_vfs_heal());
        copy_files(&place, &killed);
        struct pw_store *other = store_place_open(&killed);
        assert_string_equal(store_list(other, NULL).names, count == 0 ? "a:1 " : "a:1 c:1 ");
        pw_store_close(other);
        pw_store_close(store);
        store_place_end(&killed);
        store_place_end(&place);
    }
}

static void keep_line(void *user, enum pywatt_log_level level, const char *text)
{
    (void)level;
    snprintf(user, PYWATT_ERROR_TEXT_MAX, "%s", text);
}

/* The first sync that fails is that of the commit, the second that of what is written over it. */
static void what_cannot_be_taken_back_is_told(void **state)
{
    (void)state;
    for (unsigned count = 1; count < 3; count++) {
        struct store_place place;
        char line[PYWATT_ERROR_TEXT_MAX] = "";
        store_place_begin(&place, &pw_store_sqlite);
        struct pw_store *store = store_place_open(&place);
        pywatt_set_log_sink(keep_line, line, PYWATT_LOG_ERROR);
        faulty_vfs_fail_syncs(count);
        assert_int_equal(store_put(store, 1, "a", 0), PYWATT_IO);
        assert_non_null(strstr(line, "cannot write"));
        assert_int_equal(strstr(line, "may be there after a restart") != NULL, count == 2);
        assert_true(faulty_vfs_heal());
        assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
        pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
        expect_over_a_restart(&place, store, "a:1 ");
        store_place_end(&place);
    }
}

/* ---- What cannot be read ---- */

static void a_page_that_cannot_be_read_is_refused_and_named_at_the_start(void **state)
{
    (void)state;
    struct store_place place;
    struct stat file;
    store_file_begin(&place);
    store_file_fill(&place, 50);
    assert_int_equal(stat(store_place_path(&place), &file), 0);
    for (off_t at = 0; at < file.st_size; at += 4096) {
        faulty_vfs_fail_reads(at);
        struct pw_store *store = NULL;
        struct pywatt_error error;
        if (pw_store_open(place.url, &store, &error) == PYWATT_OK) {
            pw_store_close(store); /* room that was taken ahead */
            assert_false(faulty_vfs_heal());
            continue;
        }
        assert_true(faulty_vfs_heal());
        assert_int_equal(error.status, PYWATT_IO);
        assert_non_null(strstr(error.text, "I/O error"));
        assert_null(strstr(error.text, "--recover")); /* it may be readable the next time */
        assert_true(strncmp(error.text, "/", 1) == 0 || strncmp(error.text, "...", 3) == 0);
    }
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_list(store, NULL).count, 50);
    pw_store_close(store);
    store_place_end(&place);
}

/* The reading side is at fault, and named; nothing is replaced. */
static void a_recovery_that_cannot_read_names_what_it_reads(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    store_file_begin(&place);
    store_file_fill(&place, 3);
    faulty_vfs_fail_reads(0);
    assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_IO);
    assert_true(faulty_vfs_heal());
    assert_non_null(strstr(error.text, "store.db"));
    assert_null(strstr(error.text, "-new"));
    assert_false(store_file_is_there(&place, ".damaged-1"));
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_list(store, NULL).count, 3);
    pw_store_close(store);
    store_place_end(&place);
}

/* Somebody else's change makes it read again what it has read. */
static void what_cannot_be_read_any_more_refuses_changes_until_it_can(void **state)
{
    (void)state;
    struct store_place place;
    struct pywatt_error error;
    uint64_t revision;
    store_file_begin(&place);
    store_file_fill(&place, 3);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_file_run_sql(&place, "DELETE FROM modules WHERE name = 'n2'"),
                     SQLITE_OK);
    faulty_vfs_fail_reads(-1);
    assert_int_equal(store_put(store, 1, "n1", 1), PYWATT_IO);
    assert_int_equal(store_put(store, 4, "n4", 0), PYWATT_IO);
    assert_int_equal(pw_store_list(store, pass, NULL, &revision, &error), PYWATT_IO);
    assert_true(faulty_vfs_heal());
    assert_int_equal(store_put(store, 1, "n1", 1), PYWATT_OK);
    assert_int_equal(store_put(store, 4, "n4", 0), PYWATT_OK);
    expect_over_a_restart(&place, store, "n1:2 n3:1 n4:1 ");
    store_place_end(&place);
}

/* ---- Through the orchestrator ---- */

enum {
    KNOWN = 4,
    LEASES = 3, /* for how many of them the disk fails */
    LEASE_MS = 200,
    LEASE_MS_MAX = 60000
};

struct fleet {
    struct world world;
    struct peer peer;
    struct identity known[KNOWN];
    struct identity other;
    unsigned others; /* refused, or not */
};

static void begin_fleet(struct fleet *fleet, const struct store_place *place, unsigned lease)
{
    char lease_ms[16];
    char name[16];
    memset(fleet, 0, sizeof(*fleet));
    snprintf(lease_ms, sizeof(lease_ms), "%u", lease);
    world_prepare(&fleet->world);
    fleet->world.store = store_place_open(place);
    world_start(&fleet->world);
    world_peer(&fleet->world, &fleet->peer, "json");
    for (unsigned i = 0; i < KNOWN; i++) {
        snprintf(name, sizeof(name), "known %u", i);
        assert_int_equal(
            peer_register_with(&fleet->peer, name, NULL, NULL, lease_ms, &fleet->known[i]),
            PYWATT_OK);
    }
}

static enum pywatt_status register_another(struct fleet *fleet)
{
    char name[16];
    snprintf(name, sizeof(name), "other %u", fleet->others++);
    return peer_register(&fleet->peer, name, &fleet->other);
}

static void all_beat(struct fleet *fleet)
{
    for (unsigned i = 0; i < KNOWN; i++) {
        assert_int_equal(peer_beat(&fleet->peer, &fleet->known[i], PYWATT_HEALTHY), PYWATT_OK);
    }
}

/*
 * All beat, and somebody new is refused, for some leases. False if we were so slow ourselves that
 * somebody's lease may have ended for it.
 */
static bool live_through(struct fleet *fleet, unsigned lease, const char *words)
{
    const int64_t lease_ns = (int64_t)lease * 1000000;
    const struct timespec pause = {.tv_nsec = lease_ns / 20 % 1000000000};
    const int64_t began_ns = pw_test_now_ns();
    for (int64_t now_ns = began_ns; now_ns - began_ns < LEASES * lease_ns;) {
        const int64_t before_ns = now_ns;
        assert_int_equal(register_another(fleet), PYWATT_UNAVAILABLE);
        assert_non_null(strstr(fleet->peer.error, words));
        assert_non_null(strstr(fleet->peer.error, "try again later"));
        nanosleep(&pause, NULL);
        all_beat(fleet);
        now_ns = pw_test_now_ns();
        if (now_ns - before_ns >= lease_ns / 2) {
            return false;
        }
    }
    return true;
}

static const struct {
    int result;
    bool syncs_alone;
    const char *words;
} disk_faults[] = {
    {SQLITE_FULL, false, "cannot write: disk full"},
    {SQLITE_IOERR_WRITE, false, "cannot write: input or output failed"},
    {SQLITE_IOERR_FSYNC, true, "cannot write: input or output failed"},
};

static bool try_to_live_on(unsigned lease)
{
    struct store_place place;
    struct fleet fleet;
    bool in_time = true;
    store_place_begin(&place, &pw_store_sqlite);
    begin_fleet(&fleet, &place, lease);
    for (size_t i = 0; i < sizeof(disk_faults) / sizeof(disk_faults[0]) && in_time; i++) {
        all_beat(&fleet);
        if (disk_faults[i].syncs_alone) {
            faulty_vfs_fail_syncs(0);
        } else {
            faulty_vfs_fail(1, 0, disk_faults[i].result);
        }
        in_time = live_through(&fleet, lease, disk_faults[i].words);
        assert_true(faulty_vfs_heal());
        assert_int_equal(register_another(&fleet), PYWATT_OK);
        assert_int_equal(peer_beat(&fleet.peer, &fleet.other, PYWATT_HEALTHY), PYWATT_OK);
    }
    assert_true(!in_time || world_stats(&fleet.world).modules_lost == 0);
    peer_close(&fleet.peer);
    world_stop(&fleet.world);
    store_place_end(&place);
    return in_time;
}

static void known_modules_keep_their_leases_while_the_disk_fails(void **state)
{
    (void)state;
    unsigned lease = pw_test_slow_factor() > 1 ? 2 * LEASE_MS : LEASE_MS;
    while (!try_to_live_on(lease)) {
        lease *= 2;
        assert_in_range(lease, 1, LEASE_MS_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_full_disk_refuses_changes_until_there_is_room),
        cmocka_unit_test(what_fails_is_told_once_and_what_goes_well_in_the_end_is_not),
        cmocka_unit_test(a_disk_that_fails_refuses_changes_until_it_works),
        cmocka_unit_test(what_was_answered_is_there_whichever_operation_fails),
        cmocka_unit_test(opening_survives_whichever_operation_fails),
        cmocka_unit_test(what_was_refused_is_not_there_after_a_kill),
        cmocka_unit_test(what_cannot_be_taken_back_is_told),
        cmocka_unit_test(a_page_that_cannot_be_read_is_refused_and_named_at_the_start),
        cmocka_unit_test(a_recovery_that_cannot_read_names_what_it_reads),
        cmocka_unit_test(what_cannot_be_read_any_more_refuses_changes_until_it_can),
        cmocka_unit_test(known_modules_keep_their_leases_while_the_disk_fails),
    };
    return PW_TEST_RUN_WITH(cases, set_up, NULL);
}
