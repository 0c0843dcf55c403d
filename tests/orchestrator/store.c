/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One suite over every store of the table: what a change needs, what list and watch show.
 */
#include "orchestrator/store.h"

#include "orchestrator/store_history.h"
#include "pw_test.h"
#include "store_place.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Each case, over each store. */
static void over_all(void (*body)(struct pw_store *store))
{
    for (const struct pw_store_ops *const *ops = pw_store_all(); *ops != NULL; ops++) {
        struct store_place place;
        store_place_begin(&place, *ops);
        struct pw_store *store = store_place_open(&place);
        body(store);
        pw_store_close(store);
        store_place_end(&place);
    }
}

/* ---- Changes ---- */

static void check_put(struct pw_store *store)
{
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_STALE_GENERATION);
    assert_int_equal(store_put(store, 1, "a", 2), PYWATT_STALE_GENERATION);
    assert_int_equal(store_put(store, 2, "b", 1), PYWATT_STALE_GENERATION);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
    assert_int_equal(store_put(store, 1, "a", 1), PYWATT_OK);
    assert_string_equal(store_list(store, NULL).names, "a:2 ");
}

static void puts_only_on_the_expected_generation(void **state)
{
    (void)state;
    over_all(check_put);
}

static void check_names(struct pw_store *store)
{
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(store_put(store, 2, "a", 0), PYWATT_NAME_TAKEN);
    assert_int_equal(store_put(store, 2, "b", 0), PYWATT_OK);
    assert_int_equal(store_put(store, 2, "a", 1), PYWATT_NAME_TAKEN);
    assert_int_equal(store_put(store, 2, "c", 1), PYWATT_OK);
    assert_int_equal(store_put(store, 3, "b", 0), PYWATT_OK);
    assert_int_equal(store_list(store, NULL).count, 3);
}

static void names_are_unique(void **state)
{
    (void)state;
    over_all(check_names);
}

static void check_removal(struct pw_store *store)
{
    assert_int_equal(store_take_out(store, 1, 0), PYWATT_STALE_GENERATION);
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(store_take_out(store, 1, 2), PYWATT_STALE_GENERATION);
    assert_int_equal(store_take_out(store, 1, 1), PYWATT_OK);
    assert_int_equal(store_list(store, NULL).count, 0);
    assert_int_equal(store_put(store, 2, "a", 0), PYWATT_OK);
}

static void removes_only_the_expected_generation(void **state)
{
    (void)state;
    over_all(check_removal);
}

static enum pywatt_status replace(struct pw_store *store, unsigned n, const char *name,
                                  unsigned replaced, uint64_t replaced_generation)
{
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = store_record(n, name, 1),
                                     .replaces = true,
                                     .replaced_id = store_id(replaced),
                                     .replaced_generation = replaced_generation};
    const enum pywatt_status status = store_submit(store, &change);
    store_record_release(&change.record);
    return status;
}

static void check_replacing(struct pw_store *store)
{
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(replace(store, 2, "a", 1, 7), PYWATT_STALE_GENERATION);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
    assert_int_equal(replace(store, 2, "a", 1, 1), PYWATT_OK);
    assert_int_equal(store_list(store, NULL).count, 1);
    assert_int_equal(store_take_out(store, 1, 1), PYWATT_STALE_GENERATION);
    assert_int_equal(store_take_out(store, 2, 1), PYWATT_OK);
}

static void check_replacing_in_vain(struct pw_store *store)
{
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(store_put(store, 2, "b", 0), PYWATT_OK);
    assert_int_equal(replace(store, 3, "b", 1, 1), PYWATT_NAME_TAKEN);
    assert_int_equal(store_list(store, NULL).count, 2);
    assert_int_equal(store_put(store, 1, "a", 1), PYWATT_OK);
    assert_int_equal(replace(store, 1, "c", 2, 1), PYWATT_STALE_GENERATION);
    assert_int_equal(store_list(store, NULL).count, 2);
}

static void a_put_whose_name_is_a_third_ones_takes_nothing_away(void **state)
{
    (void)state;
    over_all(check_replacing_in_vain);
}

static void a_put_may_take_another_record_away_in_the_same_step(void **state)
{
    (void)state;
    over_all(check_replacing);
}

static void check_capabilities(struct pw_store *store)
{
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "t"), PYWATT_OK);
    struct pw_store_change change = {.kind = PW_STORE_PUT, .record = store_record(1, "a", 1)};
    change.record.capabilities = pw_shared_capabilities_new(capabilities);
    assert_int_equal(store_submit(store, &change), PYWATT_OK);
    /* The store keeps what it was given, whoever lets go of it. */
    pw_shared_info_release(change.record.info);
    pw_shared_capabilities_release(change.record.capabilities);
    assert_string_equal(store_list(store, NULL).names, "a:1 ");
}

static void keeps_info_and_capabilities_by_itself(void **state)
{
    (void)state;
    over_all(check_capabilities);
}

/* ---- List and watch ---- */

static bool count_down(void *user, const struct pw_store_record *record)
{
    (void)record;
    return --*(unsigned *)user > 0;
}

static void check_list_ends(struct pw_store *store)
{
    for (unsigned i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(store_put(store, i, name, 0), PYWATT_OK);
    }
    unsigned left = 4;
    uint64_t revision = 0;
    assert_int_equal(pw_store_list(store, count_down, &left, &revision, NULL), PYWATT_OK);
    assert_int_equal(left, 0);
    assert_int_equal(revision, 10);
}

static void a_list_ends_when_it_is_told_to(void **state)
{
    (void)state;
    over_all(check_list_ends);
}

struct watched {
    pthread_mutex_t mutex;
    char text[4096];
    uint64_t last;
    bool in_order;
};

static void note(void *user, const struct pw_store_notice *notice)
{
    struct watched *watched = user;
    char line[64];
    pthread_mutex_lock(&watched->mutex);
    watched->in_order = watched->in_order && notice->revision > watched->last;
    watched->last = notice->revision;
    snprintf(line, sizeof(line), "%llu%s%u ", (unsigned long long)notice->revision,
             notice->kind == PW_STORE_PUT ? "+" : "-", notice->record->id.bytes[2]);
    strcat(watched->text, line);
    pthread_mutex_unlock(&watched->mutex);
}

static void check_watch(struct pw_store *store)
{
    struct watched watched = {.mutex = PTHREAD_MUTEX_INITIALIZER, .in_order = true};
    uint64_t revision;
    assert_int_equal(store_put(store, 1, "a", 0), PYWATT_OK); /* 1 */
    store_list(store, &revision);
    assert_int_equal(revision, 1);
    assert_int_equal(store_put(store, 2, "b", 0), PYWATT_OK); /* 2 */
    assert_int_equal(store_put(store, 2, "b", 1), PYWATT_OK); /* 3: 2 was overwritten */
    assert_int_equal(store_take_out(store, 1, 1), PYWATT_OK); /* 4 */
    assert_int_equal(pw_store_watch(store, revision, note, &watched), PYWATT_OK);
    assert_string_equal(watched.text, "3+2 4-1 ");
    assert_int_equal(pw_store_watch(store, revision, note, &watched), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(store_put(store, 3, "c", 0), PYWATT_OK); /* 5 */
    assert_int_equal(store_put(store, 3, "c", 0), PYWATT_STALE_GENERATION);
    assert_int_equal(replace(store, 4, "c", 3, 1), PYWATT_OK); /* 6, 7 */
    assert_string_equal(watched.text, "3+2 4-1 5+3 6-3 7+4 ");
    assert_true(watched.in_order);
    pw_store_unwatch(store);
    assert_int_equal(store_put(store, 5, "e", 0), PYWATT_OK);
    assert_string_equal(watched.text, "3+2 4-1 5+3 6-3 7+4 ");
    assert_int_equal(pw_store_watch(store, 9, note, &watched), PYWATT_INVALID_ARGUMENT);
}

static void a_watcher_sees_every_change_after_its_revision(void **state)
{
    (void)state;
    over_all(check_watch);
}

static void check_old_revision(struct pw_store *store)
{
    struct watched watched = {.mutex = PTHREAD_MUTEX_INITIALIZER, .in_order = true};
    for (uint64_t i = 0; i < PW_STORE_HISTORY + 5; i++) {
        assert_int_equal(store_put(store, 1, "a", i), PYWATT_OK);
    }
    assert_int_equal(pw_store_watch(store, 4, note, &watched), PYWATT_LIMIT);
    assert_int_equal(pw_store_watch(store, 5, note, &watched), PYWATT_OK);
    assert_string_equal(watched.text, "1029+1 ");
}

static void a_revision_that_is_too_old_is_told(void **state)
{
    (void)state;
    over_all(check_old_revision);
}

static void a_place_is_given_where_there_is_one(void **state)
{
    (void)state;
    static const char *const wrong[] = {"memory:", "memory:/x", "sqlite", "sqlite:"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct pw_store *store = NULL;
        struct pywatt_error error = {.text = ""};
        assert_int_equal(pw_store_open(wrong[i], &store, &error), PYWATT_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, i < 2 ? "has no place" : "needs a file"));
    }
}

static void an_unknown_store_is_named_with_those_there_are(void **state)
{
    (void)state;
    struct pw_store *store = NULL;
    struct pywatt_error error;
    assert_int_equal(pw_store_open("paper", &store, &error), PYWATT_UNSUPPORTED);
    assert_string_equal(error.text,
                        "there is no store \"paper\"; there is: \"memory\", \"sqlite:PATH\"");
}

/* ---- Threads ---- */

struct racer {
    struct pw_store *store;
    unsigned n;
    unsigned won;
};

static void *race(void *user)
{
    struct racer *racer = user;
    for (unsigned i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name %u", i);
        struct pywatt_module_info *info = NULL;
        if (pywatt_module_info_new(name, "1", "d", &info) != PYWATT_OK) {
            return NULL;
        }
        struct pw_store_change change = {.kind = PW_STORE_PUT,
                                         .record = {.id = store_id(racer->n * 256 + i % 256),
                                                    .info = pw_shared_info_new(info),
                                                    .generation = 1}};
        racer->won += store_submit(racer->store, &change) == PYWATT_OK;
        pw_shared_info_release(change.record.info);
    }
    return NULL;
}

static void check_race(struct pw_store *store)
{
    struct racer racers[4];
    pthread_t threads[4];
    unsigned won = 0;
    for (unsigned i = 0; i < 4; i++) {
        racers[i] = (struct racer){.store = store, .n = i};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        won += racers[i].won;
    }
    assert_int_equal(won, 200);
}

static void one_of_several_threads_gets_a_name(void **state)
{
    (void)state;
    over_all(check_race);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(puts_only_on_the_expected_generation),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(removes_only_the_expected_generation),
        cmocka_unit_test(a_put_whose_name_is_a_third_ones_takes_nothing_away),
        cmocka_unit_test(a_put_may_take_another_record_away_in_the_same_step),
        cmocka_unit_test(keeps_info_and_capabilities_by_itself),
        cmocka_unit_test(a_list_ends_when_it_is_told_to),
        cmocka_unit_test(a_watcher_sees_every_change_after_its_revision),
        cmocka_unit_test(a_revision_that_is_too_old_is_told),
        cmocka_unit_test(a_place_is_given_where_there_is_one),
        cmocka_unit_test(an_unknown_store_is_named_with_those_there_are),
        cmocka_unit_test(one_of_several_threads_gets_a_name),
    };
    return PW_TEST_RUN(cases);
}
