/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See store_place.h. */
#include "store_place.h"

#include "pw_test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One folder for all places of the program. */
void store_place_begin(struct store_place *place, const struct pw_store_ops *ops)
{
    static char *folder;
    static unsigned count;
    *place = (struct store_place){.url = ""};
    snprintf(place->url, sizeof(place->url), "%s", ops->name);
    if (strcmp(ops->name, "memory") != 0) {
        folder = folder == NULL ? pw_test_temp_dir() : folder;
        snprintf(place->url, sizeof(place->url), "%s:%s/%u-store.db", ops->name, folder, count++);
    }
}

void store_place_end(struct store_place *place)
{
    static const char *const suffixes[] = {"", "-lock"};
    for (size_t i = 0; i < 2 && strchr(place->url, ':') != NULL; i++) {
        char path[600];
        snprintf(path, sizeof(path), "%s%s", store_place_path(place), suffixes[i]);
        unlink(path);
    }
}

const char *store_place_path(const struct store_place *place)
{
    return strchr(place->url, ':') + 1;
}

struct pw_store *store_place_open(const struct store_place *place)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    if (pw_store_open(place->url, &store, &error) != PYWATT_OK) {
        fail_msg("%s: %s", place->url, error.text);
    }
    return store;
}

/* ---- Changes ---- */

/* Of all outcomes, as an outcome is gone before who told it has let go of its lock. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

struct outcome {
    bool done;
    enum pywatt_status status;
};

static void keep(void *user, enum pywatt_status status)
{
    pthread_mutex_lock(&mutex);
    *(struct outcome *)user = (struct outcome){.done = true, .status = status};
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
}

enum pywatt_status store_submit(struct pw_store *store, const struct pw_store_change *change)
{
    struct outcome outcome = {.done = false};
    pw_store_submit(store, change, keep, &outcome);
    pthread_mutex_lock(&mutex);
    while (!outcome.done) {
        pthread_cond_wait(&cond, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return outcome.status;
}

struct pywatt_uuid store_id(unsigned n)
{
    struct pywatt_uuid id = {.bytes = {0x11, (uint8_t)(n >> 8), (uint8_t)n}};
    return id;
}

struct pw_store_record store_record(unsigned n, const char *name, uint64_t generation)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    struct pw_store_record record = {.id = store_id(n),
                                     .info = pw_shared_info_new(info),
                                     .generation = generation,
                                     .lease_ms = 1000 + n};
    memset(record.token_hash, (int)(n & 0xff) + 1, sizeof(record.token_hash));
    return record;
}

void store_record_release(struct pw_store_record *record)
{
    pw_shared_info_release(record->info);
    pw_shared_capabilities_release(record->capabilities);
    record->info = NULL;
    record->capabilities = NULL;
}

enum pywatt_status store_put(struct pw_store *store, unsigned n, const char *name,
                             uint64_t expected)
{
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = store_record(n, name, expected + 1),
                                     .expected_generation = expected};
    const enum pywatt_status status = store_submit(store, &change);
    store_record_release(&change.record);
    return status;
}

enum pywatt_status store_take_out(struct pw_store *store, unsigned n, uint64_t expected)
{
    const struct pw_store_change change = {
        .kind = PW_STORE_REMOVE, .record = {.id = store_id(n)}, .expected_generation = expected};
    return store_submit(store, &change);
}

/* ---- Listing ---- */

static bool show(void *user, const struct pw_store_record *record)
{
    struct store_listed *listed = user;
    const unsigned n = record->id.bytes[1] * 256u + record->id.bytes[2];
    char line[512];
    snprintf(line, sizeof(line), "%s:%llu ", pywatt_module_info_name(record->info->info),
             (unsigned long long)record->generation);
    assert_int_equal(record->token_hash[0], (uint8_t)(n + 1));
    assert_int_equal(record->token_hash[PW_TOKEN_HASH_SIZE - 1], (uint8_t)(n + 1));
    assert_int_equal(record->lease_ms, 1000 + n);
    if (strlen(listed->names) + strlen(line) < sizeof(listed->names)) {
        strcat(listed->names, line);
    }
    return ++listed->count < listed->limit;
}

struct store_listed store_list(struct pw_store *store, uint64_t *revision)
{
    struct store_listed listed = {.limit = UINT32_MAX};
    uint64_t ignored;
    assert_int_equal(
        pw_store_list(store, show, &listed, revision == NULL ? &ignored : revision, NULL),
        PYWATT_OK);
    return listed;
}
