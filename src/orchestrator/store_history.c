/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_history.c - the last changes of a store and its watcher. Any thread that has the store's
 * lock.
 */
#include "orchestrator/store_history.h"

void pw_history_init(struct pw_store_history *history, uint64_t revision)
{
    history->revision = revision;
    history->first = revision;
    history->notify = NULL;
}

void pw_history_jump(struct pw_store_history *history, uint64_t revision)
{
    history->revision = revision;
    history->first = revision;
}

static void tell(const struct pw_store_history *history, uint64_t revision,
                 enum pw_store_change_kind kind, const struct pw_store_record *record)
{
    const struct pw_store_notice notice = {.revision = revision, .kind = kind, .record = record};
    history->notify(history->notify_user, &notice);
}

uint64_t pw_history_add(struct pw_store_history *history, enum pw_store_change_kind kind,
                        const struct pw_store_record *record)
{
    const uint64_t revision = ++history->revision;
    history->past[revision % PW_STORE_HISTORY] =
        (struct pw_store_past){.revision = revision, .id = record->id, .kind = kind};
    if (history->notify != NULL) {
        tell(history, revision, kind, record);
    }
    return revision;
}

static enum pywatt_status replay(struct pw_store_history *history, uint64_t after,
                                 pw_history_read read, void *store)
{
    for (uint64_t r = after + 1; r <= history->revision; r++) {
        const struct pw_store_past *past = &history->past[r % PW_STORE_HISTORY];
        struct pw_store_record record = {.id = past->id};
        enum pywatt_status status = PYWATT_OK;
        if (past->kind == PW_STORE_PUT) {
            status = read(store, past, &record);
        }
        if (status == PYWATT_OK) {
            tell(history, r, past->kind, &record);
            pw_shared_info_release(record.info);
            pw_shared_capabilities_release(record.capabilities);
        } else if (status != PYWATT_MODULE_NOT_FOUND) {
            return PYWATT_LIMIT;
        }
    }
    return PYWATT_OK;
}

enum pywatt_status pw_history_watch(struct pw_store_history *history, uint64_t after,
                                    pw_store_notify notify, void *user, pw_history_read read,
                                    void *store)
{
    if (history->notify != NULL || after > history->revision) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (after < history->first || history->revision - after > PW_STORE_HISTORY) {
        return PYWATT_LIMIT;
    }
    history->notify = notify;
    history->notify_user = user;
    const enum pywatt_status status = replay(history, after, read, store);
    if (status != PYWATT_OK) {
        history->notify = NULL;
    }
    return status;
}

void pw_history_unwatch(struct pw_store_history *history)
{
    history->notify = NULL;
}
