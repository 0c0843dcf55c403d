/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_table.c - which stores there are, and the checked way to call one. No state; any thread.
 */
#include "orchestrator/store.h"

#include "base/error.h"
#include "orchestrator/store_memory.h"
#include "orchestrator/store_sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct pw_store_ops *const stores[] = {
    &pw_store_memory,
    &pw_store_sqlite,
    NULL,
};

const struct pw_store_ops *const *pw_store_all(void)
{
    return stores;
}

static void list_usages(char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; stores[i] != NULL && used < size; i++) {
        const int n =
            snprintf(out + used, size - used, "%s\"%s\"", i == 0 ? "" : ", ", stores[i]->usage);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* NULL if there is none. *place gets what stands behind the colon, NULL if there is no colon. */
static const struct pw_store_ops *find(const char *url, const char **place)
{
    const size_t len = strcspn(url, ":");
    *place = url[len] == ':' ? url + len + 1 : NULL;
    for (size_t i = 0; stores[i] != NULL; i++) {
        if (strlen(stores[i]->name) == len && memcmp(stores[i]->name, url, len) == 0) {
            return stores[i];
        }
    }
    return NULL;
}

static enum pywatt_status refuse_unknown(const char *url, struct pywatt_error *error)
{
    char usages[128];
    list_usages(usages, sizeof(usages));
    return pw_error_set(error, PYWATT_UNSUPPORTED, "there is no store \"%.64s\"; there is: %s", url,
                        usages);
}

enum pywatt_status pw_store_check(const char *url, struct pywatt_error *error)
{
    const char *place;
    return find(url, &place) == NULL ? refuse_unknown(url, error) : PYWATT_OK;
}

enum pywatt_status pw_store_open(const char *url, struct pw_store **out, struct pywatt_error *error)
{
    const char *place;
    const struct pw_store_ops *ops = find(url, &place);
    return ops == NULL ? refuse_unknown(url, error) : ops->open(place, out, error);
}

enum pywatt_status pw_store_recover(const char *url, struct pw_store_salvage *out,
                                    struct pywatt_error *error)
{
    const char *place;
    const struct pw_store_ops *ops = find(url, &place);
    if (ops == NULL) {
        return refuse_unknown(url, error);
    }
    if (ops->recover == NULL) {
        return pw_error_set(error, PYWATT_UNSUPPORTED,
                            "the store \"%.64s\" keeps nothing that could be recovered", url);
    }
    return ops->recover(place, out, error);
}

void pw_store_submit(struct pw_store *store, const struct pw_store_change *change,
                     pw_store_done done, void *user)
{
    assert(change->kind == PW_STORE_REMOVE ||
           (change->record.info != NULL && change->record.generation > 0));
    assert(!change->replaces || change->kind == PW_STORE_PUT);
    store->ops->submit(store, change, done, user);
}

enum pywatt_status pw_store_list(struct pw_store *store, pw_store_visit visit, void *user,
                                 uint64_t *revision, struct pywatt_error *error)
{
    return store->ops->list(store, visit, user, revision, error);
}

enum pywatt_status pw_store_watch(struct pw_store *store, uint64_t after, pw_store_notify notify,
                                  void *user)
{
    return store->ops->watch(store, after, notify, user);
}

void pw_store_unwatch(struct pw_store *store)
{
    store->ops->unwatch(store);
}

void pw_store_close(struct pw_store *store)
{
    if (store != NULL) {
        store->ops->close(store);
    }
}
