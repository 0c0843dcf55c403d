/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every allocation of the sqlite store may fail, SQLite's own included, which are made here: what is
 * answered is what is there, and nothing leaks.
 *
 * PYWATT_TEST_LONG is for each of them, until none fails any more; else it is a choice.
 */
#include "orchestrator/store_sqlite.h"

#include "malloc_fail.h"
#include "pw_test.h"
#include "store_place.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* ---- SQLite's memory, with its size before it ---- */

enum {
    HEADER = 16
};

static void *take(int size)
{
    char *block = malloc((size_t)size + HEADER);
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &size, sizeof(size));
    return block + HEADER;
}

static void give(void *block)
{
    if (block != NULL) {
        free((char *)block - HEADER);
    }
}

static int size_of(void *block)
{
    int size = 0;
    if (block != NULL) {
        memcpy(&size, (char *)block - HEADER, sizeof(size));
    }
    return size;
}

static void *take_more(void *block, int size)
{
    char *moved = realloc((char *)block - HEADER, (size_t)size + HEADER);
    if (moved == NULL) {
        return NULL;
    }
    memcpy(moved, &size, sizeof(size));
    return moved + HEADER;
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int nothing(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void end_nothing(void *unused)
{
    (void)unused;
}

static unsigned long failures;

static int set_up(void **state)
{
    static sqlite3_mem_methods methods = {.xMalloc = take,
                                          .xFree = give,
                                          .xRealloc = take_more,
                                          .xSize = size_of,
                                          .xRoundup = round_up,
                                          .xInit = nothing,
                                          .xShutdown = end_nothing};
    (void)state;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    print_message("%lu allocations failed\n", failures);
    return sqlite3_shutdown() == SQLITE_OK ? 0 : -1;
}

/* ---- Cases ---- */

/* Each takes a few commits: some are left out, and more under a slow tool. */
static unsigned long next(unsigned long n, unsigned stride)
{
    const bool all = getenv("PYWATT_TEST_LONG") != NULL;
    return n + (all ? 1 : pw_test_slow_factor() > 1 ? 10 * stride + 1 : stride);
}

static void may_fail(enum pywatt_status status)
{
    if (status != PYWATT_OK && status != PYWATT_NO_MEMORY && status != PYWATT_IO) {
        fail_msg("%s", pywatt_status_name(status));
    }
}

static void a_note(void *user, const struct pw_store_notice *notice)
{
    (void)notice;
    ++*(unsigned *)user;
}

static bool count(void *user, const struct pw_store_record *record)
{
    (void)record;
    ++*(unsigned *)user;
    return true;
}

/* What was answered with PYWATT_OK. */
struct model {
    bool a;
    bool b;
};

static void change_all(struct pw_store *store, const struct pw_store_change *change,
                       struct model *model)
{
    unsigned seen = 0;
    uint64_t revision = 0;
    enum pywatt_status status = store_submit(store, change);
    may_fail(status);
    model->b = status == PYWATT_OK;
    const struct pw_store_change removal = {
        .kind = PW_STORE_REMOVE, .record = {.id = store_id(1)}, .expected_generation = 1};
    status = store_submit(store, &removal);
    may_fail(status);
    model->a = status != PYWATT_OK;
    may_fail(pw_store_list(store, count, &seen, &revision, NULL));
    seen = 0;
    status = pw_store_watch(store, 1, a_note, &seen);
    assert_true(status == PYWATT_OK || status == PYWATT_LIMIT);
    pw_store_unwatch(store);
}

static void every_allocation_may_fail_while_it_works(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned long n = 1; failed; n = next(n, 3)) {
        struct store_place place;
        struct model model;
        store_place_begin(&place, &pw_store_sqlite);
        struct pw_store *store = store_place_open(&place);
        assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
        struct pw_store_change change = {.kind = PW_STORE_PUT, .record = store_record(2, "b", 1)};
        struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
        assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "t"), PYWATT_OK);
        change.record.capabilities = pw_shared_capabilities_new(capabilities);
        pw_malloc_fail_at_any_thread(n);
        change_all(store, &change, &model);
        failed = pw_malloc_fail_disarm();
        failures += failed;
        store_record_release(&change.record);
        const char *expected = model.a ? (model.b ? "a:1 b:1 " : "a:1 ") : model.b ? "b:1 " : "";
        assert_string_equal(store_list(store, NULL).names, expected);
        pw_store_close(store);
        store = store_place_open(&place);
        assert_string_equal(store_list(store, NULL).names, expected);
        pw_store_close(store);
        store_place_end(&place);
        assert_true(n < 10000);
    }
}

static void every_allocation_may_fail_while_it_is_opened_and_closed(void **state)
{
    (void)state;
    bool failed = true;
    struct store_place place;
    store_place_begin(&place, &pw_store_sqlite);
    struct pw_store *store = store_place_open(&place);
    for (unsigned n = 1; n < 20; n++) {
        char name[2] = {(char)('a' + n), '\0'};
        assert_int_equal(store_put(store, n, name, 0), PYWATT_OK);
    }
    pw_store_close(store);
    for (unsigned long n = 1; failed; n = next(n, 3)) {
        const size_t fds = pw_test_open_fds();
        pw_malloc_fail_at_any_thread(n);
        const enum pywatt_status status = pw_store_open(place.url, &store, NULL);
        if (status == PYWATT_OK) {
            pw_store_close(store);
        }
        failed = pw_malloc_fail_disarm();
        failures += failed;
        may_fail(status);
        assert_true(failed || status == PYWATT_OK);
        assert_int_equal(pw_test_open_fds(), fds);
        assert_true(n < 10000);
    }
    print_message("%lu allocations\n", pw_malloc_fail_count());
    store = store_place_open(&place);
    assert_int_equal(store_list(store, NULL).count, 19);
    pw_store_close(store);
    store_place_end(&place);
}

static void begin_with_one(struct store_place *place)
{
    store_place_begin(place, &pw_store_sqlite);
    struct pw_store *store = store_place_open(place);
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    pw_store_close(store);
}

/* Each recovery leaves a damaged file, and there are names for a thousand. */
static void every_allocation_may_fail_while_it_is_recovered(void **state)
{
    (void)state;
    bool failed = true;
    unsigned runs = 0;
    struct store_place place;
    struct pw_store_salvage salvage;
    begin_with_one(&place);
    for (unsigned long n = 1; failed; n = next(n, 7)) {
        if (++runs % 500 == 0) {
            store_place_end(&place);
            begin_with_one(&place);
        }
        pw_malloc_fail_at_any_thread(n);
        const enum pywatt_status status = pw_store_recover(place.url, &salvage, NULL);
        failed = pw_malloc_fail_disarm();
        failures += failed;
        may_fail(status);
        struct pw_store *store = store_place_open(&place);
        assert_string_equal(store_list(store, NULL).names, "a:1 ");
        pw_store_close(store);
        assert_true(n < 10000);
    }
    print_message("%lu allocations\n", pw_malloc_fail_count());
    store_place_end(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_allocation_may_fail_while_it_works),
        cmocka_unit_test(every_allocation_may_fail_while_it_is_opened_and_closed),
        cmocka_unit_test(every_allocation_may_fail_while_it_is_recovered),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
