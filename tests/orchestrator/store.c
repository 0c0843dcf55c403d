/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One suite over every store of the table: what a change needs, what list and watch show.
 */
#include "orchestrator/store.h"

#include "orchestrator/store_memory.h"
#include "pw_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_MS = 20000
};

/* ---- Helpers ---- */

struct outcome {
    atomic_int calls;
    enum pywatt_status status;
};

static void keep(void *user, enum pywatt_status status)
{
    struct outcome *outcome = user;
    outcome->status = status;
    atomic_fetch_add(&outcome->calls, 1);
}

static bool is_done(void *user)
{
    return atomic_load(&((struct outcome *)user)->calls) > 0;
}

static enum pywatt_status submit(struct pw_store *store, const struct pw_store_change *change)
{
    struct outcome outcome = {.calls = 0};
    pw_store_submit(store, change, keep, &outcome);
    assert_true(pw_test_wait_until(is_done, &outcome, PATIENCE_MS));
    assert_int_equal(atomic_load(&outcome.calls), 1);
    return outcome.status;
}

static struct pywatt_uuid id_of(unsigned n)
{
    struct pywatt_uuid id = {.bytes = {0x11, (uint8_t)(n >> 8), (uint8_t)n}};
    return id;
}

static struct pw_store_record record_of(unsigned n, const char *name, uint64_t generation)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    struct pw_store_record record = {.id = id_of(n),
                                     .info = pw_shared_info_new(info),
                                     .generation = generation,
                                     .lease_ms = 1000 + n};
    memset(record.token_hash, (int)n + 1, sizeof(record.token_hash));
    return record;
}

static enum pywatt_status put(struct pw_store *store, unsigned n, const char *name,
                              uint64_t expected)
{
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = record_of(n, name, expected + 1),
                                     .expected_generation = expected};
    const enum pywatt_status status = submit(store, &change);
    pw_shared_info_release(change.record.info);
    return status;
}

static enum pywatt_status take_out(struct pw_store *store, unsigned n, uint64_t expected)
{
    const struct pw_store_change change = {
        .kind = PW_STORE_REMOVE, .record = {.id = id_of(n)}, .expected_generation = expected};
    return submit(store, &change);
}

struct listed {
    unsigned count;
    unsigned limit;
    char names[4096];
};

static bool show(void *user, const struct pw_store_record *record)
{
    struct listed *listed = user;
    char line[512];
    snprintf(line, sizeof(line), "%s:%llu ", pywatt_module_info_name(record->info->info),
             (unsigned long long)record->generation);
    assert_int_equal(record->token_hash[0], (int)record->id.bytes[2] + 1);
    assert_int_equal(record->lease_ms, 1000 + record->id.bytes[2]);
    if (strlen(listed->names) + strlen(line) < sizeof(listed->names)) {
        strcat(listed->names, line);
    }
    return ++listed->count < listed->limit;
}

static struct listed list(struct pw_store *store, uint64_t *revision)
{
    struct listed listed = {.limit = UINT32_MAX};
    uint64_t ignored;
    assert_int_equal(
        pw_store_list(store, show, &listed, revision == NULL ? &ignored : revision, NULL),
        PYWATT_OK);
    return listed;
}

/* Each case, over each store. */
static void over_all(void (*body)(struct pw_store *store))
{
    for (const struct pw_store_ops *const *ops = pw_store_all(); *ops != NULL; ops++) {
        struct pw_store *store = NULL;
        assert_int_equal(pw_store_open((*ops)->name, &store, NULL), PYWATT_OK);
        body(store);
        pw_store_close(store);
    }
}

/* ---- Changes ---- */

static void check_put(struct pw_store *store)
{
    assert_int_equal(put(store, 1, "a", 0), PYWATT_OK);
    assert_string_equal(list(store, NULL).names, "a:1 ");
    assert_int_equal(put(store, 1, "a", 0), PYWATT_STALE_GENERATION);
    assert_int_equal(put(store, 1, "a", 2), PYWATT_STALE_GENERATION);
    assert_int_equal(put(store, 2, "b", 1), PYWATT_STALE_GENERATION);
    assert_string_equal(list(store, NULL).names, "a:1 ");
    assert_int_equal(put(store, 1, "a", 1), PYWATT_OK);
    assert_string_equal(list(store, NULL).names, "a:2 ");
}

static void puts_only_on_the_expected_generation(void **state)
{
    (void)state;
    over_all(check_put);
}

static void check_names(struct pw_store *store)
{
    assert_int_equal(put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(put(store, 2, "a", 0), PYWATT_NAME_TAKEN);
    assert_int_equal(put(store, 2, "b", 0), PYWATT_OK);
    assert_int_equal(put(store, 2, "a", 1), PYWATT_NAME_TAKEN);
    assert_int_equal(put(store, 2, "c", 1), PYWATT_OK);
    assert_int_equal(put(store, 3, "b", 0), PYWATT_OK);
    assert_int_equal(list(store, NULL).count, 3);
}

static void names_are_unique(void **state)
{
    (void)state;
    over_all(check_names);
}

static void check_removal(struct pw_store *store)
{
    assert_int_equal(take_out(store, 1, 0), PYWATT_STALE_GENERATION);
    assert_int_equal(put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(take_out(store, 1, 2), PYWATT_STALE_GENERATION);
    assert_int_equal(take_out(store, 1, 1), PYWATT_OK);
    assert_int_equal(list(store, NULL).count, 0);
    assert_int_equal(put(store, 2, "a", 0), PYWATT_OK);
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
                                     .record = record_of(n, name, 1),
                                     .replaces = true,
                                     .replaced_id = id_of(replaced),
                                     .replaced_generation = replaced_generation};
    const enum pywatt_status status = submit(store, &change);
    pw_shared_info_release(change.record.info);
    return status;
}

static void check_replacing(struct pw_store *store)
{
    assert_int_equal(put(store, 1, "a", 0), PYWATT_OK);
    assert_int_equal(replace(store, 2, "a", 1, 7), PYWATT_STALE_GENERATION);
    assert_string_equal(list(store, NULL).names, "a:1 ");
    assert_int_equal(replace(store, 2, "a", 1, 1), PYWATT_OK);
    assert_int_equal(list(store, NULL).count, 1);
    assert_int_equal(take_out(store, 1, 1), PYWATT_STALE_GENERATION);
    assert_int_equal(take_out(store, 2, 1), PYWATT_OK);
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
    struct pw_store_change change = {.kind = PW_STORE_PUT, .record = record_of(1, "a", 1)};
    change.record.capabilities = pw_shared_capabilities_new(capabilities);
    assert_int_equal(submit(store, &change), PYWATT_OK);
    /* The store keeps what it was given, whoever lets go of it. */
    pw_shared_info_release(change.record.info);
    pw_shared_capabilities_release(change.record.capabilities);
    assert_string_equal(list(store, NULL).names, "a:1 ");
}

static void keeps_info_and_capabilities_by_itself(void **state)
{
    (void)state;
    over_all(check_capabilities);
}

/* ---- List and watch ---- */

static void check_list_ends(struct pw_store *store)
{
    for (unsigned i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(put(store, i, name, 0), PYWATT_OK);
    }
    struct listed listed = {.limit = 4};
    uint64_t revision = 0;
    assert_int_equal(pw_store_list(store, show, &listed, &revision, NULL), PYWATT_OK);
    assert_int_equal(listed.count, 4);
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
    assert_int_equal(put(store, 1, "a", 0), PYWATT_OK); /* 1 */
    list(store, &revision);
    assert_int_equal(revision, 1);
    assert_int_equal(put(store, 2, "b", 0), PYWATT_OK); /* 2 */
    assert_int_equal(put(store, 2, "b", 1), PYWATT_OK); /* 3: 2 was overwritten */
    assert_int_equal(take_out(store, 1, 1), PYWATT_OK); /* 4 */
    assert_int_equal(pw_store_watch(store, revision, note, &watched), PYWATT_OK);
    assert_string_equal(watched.text, "3+2 4-1 ");
    assert_int_equal(pw_store_watch(store, revision, note, &watched), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(put(store, 3, "c", 0), PYWATT_OK); /* 5 */
    assert_int_equal(put(store, 3, "c", 0), PYWATT_STALE_GENERATION);
    assert_int_equal(replace(store, 4, "c", 3, 1), PYWATT_OK); /* 6, 7 */
    assert_string_equal(watched.text, "3+2 4-1 5+3 6-3 7+4 ");
    assert_true(watched.in_order);
    pw_store_unwatch(store);
    assert_int_equal(put(store, 5, "e", 0), PYWATT_OK);
    assert_string_equal(watched.text, "3+2 4-1 5+3 6-3 7+4 ");
    assert_int_equal(pw_store_watch(store, 9, note, &watched), PYWATT_INVALID_ARGUMENT);
}

static void a_watcher_sees_every_change_after_its_revision(void **state)
{
    (void)state;
    over_all(check_watch);
}

static void the_memory_store_says_when_a_revision_is_too_old(void **state)
{
    (void)state;
    struct pw_store *store = NULL;
    struct watched watched = {.mutex = PTHREAD_MUTEX_INITIALIZER, .in_order = true};
    assert_int_equal(pw_store_open("memory", &store, NULL), PYWATT_OK);
    for (uint64_t i = 0; i < PW_STORE_MEMORY_HISTORY + 5; i++) {
        assert_int_equal(put(store, 1, "a", i), PYWATT_OK);
    }
    assert_int_equal(pw_store_watch(store, 4, note, &watched), PYWATT_LIMIT);
    assert_int_equal(pw_store_watch(store, 5, note, &watched), PYWATT_OK);
    assert_string_equal(watched.text, "1029+1 ");
    pw_store_close(store);
}

static void an_unknown_store_is_named_with_those_there_are(void **state)
{
    (void)state;
    struct pw_store *store = NULL;
    struct pywatt_error error;
    assert_int_equal(pw_store_open("paper", &store, &error), PYWATT_UNSUPPORTED);
    assert_string_equal(error.text, "there is no store \"paper\"; there is: \"memory\"");
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
        struct outcome outcome = {.calls = 0};
        char name[16];
        snprintf(name, sizeof(name), "name %u", i);
        struct pywatt_module_info *info = NULL;
        if (pywatt_module_info_new(name, "1", "d", &info) != PYWATT_OK) {
            return NULL;
        }
        struct pw_store_change change = {.kind = PW_STORE_PUT,
                                         .record = {.id = id_of(racer->n * 256 + i % 256),
                                                    .info = pw_shared_info_new(info),
                                                    .generation = 1}};
        pw_store_submit(racer->store, &change, keep, &outcome);
        while (atomic_load(&outcome.calls) == 0) {
        }
        racer->won += outcome.status == PYWATT_OK;
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
        cmocka_unit_test(a_put_may_take_another_record_away_in_the_same_step),
        cmocka_unit_test(keeps_info_and_capabilities_by_itself),
        cmocka_unit_test(a_list_ends_when_it_is_told_to),
        cmocka_unit_test(a_watcher_sees_every_change_after_its_revision),
        cmocka_unit_test(the_memory_store_says_when_a_revision_is_too_old),
        cmocka_unit_test(an_unknown_store_is_named_with_those_there_are),
        cmocka_unit_test(one_of_several_threads_gets_a_name),
    };
    return PW_TEST_RUN(cases);
}
