/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_table.c - which stores there are, and the checked way to call one. No state; any thread.
 */
#include "orchestrator/store.h"

#include "base/error.h"
#include "orchestrator/store_memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct pw_store_ops *const stores[] = {
    &pw_store_memory,
    NULL,
};

const struct pw_store_ops *const *pw_store_all(void)
{
    return stores;
}

static void list_names(char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; stores[i] != NULL && used < size; i++) {
        const int n =
            snprintf(out + used, size - used, "%s\"%s\"", i == 0 ? "" : ", ", stores[i]->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

enum pywatt_status pw_store_open(const char *name, struct pw_store **out,
                                 struct pywatt_error *error)
{
    for (size_t i = 0; stores[i] != NULL; i++) {
        if (strcmp(stores[i]->name, name) == 0) {
            return stores[i]->open(out, error);
        }
    }
    char names[128];
    list_names(names, sizeof(names));
    return pw_error_set(error, PYWATT_UNSUPPORTED, "there is no store \"%.64s\"; there is: %s",
                        name, names);
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
