/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * slow_store.c - a store that is as slow as the test wants. `mutex` guards everything in it; `done`
 * is called without it, on the store's own thread.
 */
#include "slow_store.h"

#include "orchestrator/store_memory.h"
#include "pw_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT_MAX = 1024,
    PATIENCE_MS = 20000
};

struct kept {
    const struct pw_store_change *change;
    pw_store_done done;
    void *user;
};

struct slow_store {
    struct pw_store base;
    struct pw_store *inner;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct kept kept[KEPT_MAX];
    size_t count;
    size_t submitted;
    bool slow;
    bool slow_removals;
    bool blocked;
    unsigned inside; /* threads that wait in submit */
    bool closing;
    bool has_order; /* the thread is to end `order` with `status` */
    struct kept order;
    enum pywatt_status status;
};

static const struct pw_store_ops slow_ops;

static atomic_size_t submitted_too_late;

static struct slow_store *from_base(struct pw_store *store)
{
    return (struct slow_store *)(void *)store;
}

static void keep_status(void *user, enum pywatt_status status)
{
    *(enum pywatt_status *)user = status;
}

static void make(struct slow_store *store, const struct kept *kept, enum pywatt_status status)
{
    if (status == PYWATT_OK) {
        pw_store_submit(store->inner, kept->change, keep_status, &status);
    }
    kept->done(kept->user, status);
}

static void *store_main(void *arg)
{
    struct slow_store *store = arg;
    pthread_mutex_lock(&store->mutex);
    while (!store->closing) {
        if (store->has_order) {
            const struct kept order = store->order;
            const enum pywatt_status status = store->status;
            pthread_mutex_unlock(&store->mutex);
            make(store, &order, status);
            pthread_mutex_lock(&store->mutex);
            store->has_order = false;
            pthread_cond_broadcast(&store->cond);
        } else {
            pthread_cond_wait(&store->cond, &store->mutex);
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

struct pw_store *slow_store_open(bool slow)
{
    struct slow_store *store = calloc(1, sizeof(*store));
    assert_non_null(store);
    store->base.ops = &slow_ops;
    store->slow = slow;
    assert_int_equal(pw_store_memory.open(NULL, &store->inner, NULL), PYWATT_OK);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&store->mutex, NULL);
    assert_int_equal(pthread_create(&store->thread, NULL, store_main, store), 0);
    return &store->base;
}

void slow_store_set_slow(struct pw_store *base, bool slow)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    store->slow = slow;
    pthread_mutex_unlock(&store->mutex);
}

void slow_store_set_slow_removals(struct pw_store *base, bool slow)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    store->slow_removals = slow;
    pthread_mutex_unlock(&store->mutex);
}

static void slow_submit(struct pw_store *base, const struct pw_store_change *change,
                        pw_store_done done, void *user)
{
    struct slow_store *store = from_base(base);
    const struct kept kept = {.change = change, .done = done, .user = user};
    pthread_mutex_lock(&store->mutex);
    store->submitted++;
    store->inside++;
    if (store->closing) {
        atomic_fetch_add(&submitted_too_late, 1);
    }
    pthread_cond_broadcast(&store->cond);
    while (store->blocked) {
        pthread_cond_wait(&store->cond, &store->mutex);
    }
    store->inside--;
    const bool slow = store->slow || (store->slow_removals && change->kind == PW_STORE_REMOVE);
    const bool keeps = slow && store->count < KEPT_MAX;
    if (keeps) {
        store->kept[store->count++] = kept;
        pthread_cond_broadcast(&store->cond);
    }
    pthread_mutex_unlock(&store->mutex);
    if (!keeps) {
        make(store, &kept, PYWATT_OK);
    }
}

void slow_store_set_blocked(struct pw_store *base, bool blocked)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    store->blocked = blocked;
    pthread_cond_broadcast(&store->cond);
    pthread_mutex_unlock(&store->mutex);
}

static bool await(struct slow_store *store, bool (*holds_locked)(const struct slow_store *, size_t),
                  size_t count)
{
    const int64_t deadline_ns = pw_test_deadline_ns(PATIENCE_MS);
    const struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                                      .tv_nsec = deadline_ns % 1000000000};
    int result = 0;
    pthread_mutex_lock(&store->mutex);
    while (!holds_locked(store, count) && result == 0) {
        result = pthread_cond_timedwait(&store->cond, &store->mutex, &deadline);
    }
    const bool holds = holds_locked(store, count);
    pthread_mutex_unlock(&store->mutex);
    return holds;
}

static bool keeps_locked(const struct slow_store *store, size_t count)
{
    return store->count >= count;
}

static bool blocks_locked(const struct slow_store *store, size_t count)
{
    return store->blocked && store->inside >= count;
}

bool slow_store_await(struct pw_store *store, size_t count)
{
    return await(from_base(store), keeps_locked, count);
}

bool slow_store_await_blocked(struct pw_store *store)
{
    return await(from_base(store), blocks_locked, 1);
}

void slow_store_end(struct pw_store *base, size_t index, enum pywatt_status status)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    store->order = store->kept[index];
    store->status = status;
    store->has_order = true;
    store->count--;
    memmove(&store->kept[index], &store->kept[index + 1],
            (store->count - index) * sizeof(store->kept[0]));
    pthread_cond_broadcast(&store->cond);
    while (store->has_order) {
        pthread_cond_wait(&store->cond, &store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
}

size_t slow_store_kept(struct pw_store *base)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    const size_t kept = store->count;
    pthread_mutex_unlock(&store->mutex);
    return kept;
}

size_t slow_store_submitted_too_late(void)
{
    return atomic_load(&submitted_too_late);
}

size_t slow_store_submitted(struct pw_store *base)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    const size_t submitted = store->submitted;
    pthread_mutex_unlock(&store->mutex);
    return submitted;
}

void slow_store_add(struct pw_store *base, const struct pywatt_uuid *id, const char *name,
                    const char *token, uint64_t generation, uint64_t lease_ms)
{
    struct slow_store *store = from_base(base);
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1.0", "from the store", &info), PYWATT_OK);
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = {.id = *id,
                                                .info = pw_shared_info_new(info),
                                                .generation = generation,
                                                .lease_ms = lease_ms}};
    assert_int_equal(pw_token_hash(pw_str_from(token), change.record.token_hash), PYWATT_OK);
    enum pywatt_status status = PYWATT_IO;
    pw_store_submit(store->inner, &change, keep_status, &status);
    assert_int_equal(status, PYWATT_OK);
    pw_shared_info_release(change.record.info);
}

static enum pywatt_status slow_list(struct pw_store *base, pw_store_visit visit, void *user,
                                    uint64_t *revision, struct pywatt_error *error)
{
    return pw_store_list(from_base(base)->inner, visit, user, revision, error);
}

static enum pywatt_status slow_watch(struct pw_store *base, uint64_t after, pw_store_notify notify,
                                     void *user)
{
    return pw_store_watch(from_base(base)->inner, after, notify, user);
}

static void slow_unwatch(struct pw_store *base)
{
    pw_store_unwatch(from_base(base)->inner);
}

static void slow_close(struct pw_store *base)
{
    struct slow_store *store = from_base(base);
    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    store->slow = false;
    store->slow_removals = false;
    pthread_cond_broadcast(&store->cond);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    while (store->count > 0) {
        const struct kept kept = store->kept[--store->count];
        make(store, &kept, PYWATT_UNAVAILABLE);
    }
    pw_store_close(store->inner);
    pthread_cond_destroy(&store->cond);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

static enum pywatt_status slow_open(const char *place, struct pw_store **out,
                                    struct pywatt_error *error)
{
    (void)place;
    (void)error;
    *out = slow_store_open(true);
    return PYWATT_OK;
}

static const struct pw_store_ops slow_ops = {
    .name = "slow",
    .usage = "slow",
    .open = slow_open,
    .submit = slow_submit,
    .list = slow_list,
    .watch = slow_watch,
    .unwatch = slow_unwatch,
    .close = slow_close,
};
