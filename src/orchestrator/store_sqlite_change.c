/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_change.c - one change within a transaction: checked against the index, written as a row,
 * noted in the index, and taken back from there if the transaction fails. The writer thread, which has
 * the db_mutex.
 */
#include "orchestrator/store_sqlite_private.h"

#include <stdlib.h>

static uint64_t generation_of(const struct pw_sqlite_entry *entry)
{
    return entry == NULL ? 0 : entry->generation;
}

/* For a statement that changes one row: it is there, or nobody knows what is. */
static int step_one_locked(struct pw_sqlite_store *store, enum pw_sqlite_statement which)
{
    const int result = pw_sqlite_db_step(&store->db, which);
    return result == SQLITE_OK && sqlite3_changes(store->db.handle) != 1 ? SQLITE_CORRUPT : result;
}

static int delete_row_locked(struct pw_sqlite_store *store, int64_t number)
{
    const int result = sqlite3_bind_int64(store->db.statements[PW_SQL_DELETE], 1, number);
    return result == SQLITE_OK ? step_one_locked(store, PW_SQL_DELETE) : result;
}

static int write_row_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job,
                            const struct pw_sqlite_entry *entry)
{
    const enum pw_sqlite_statement which =
        entry == NULL                                                         ? PW_SQL_INSERT
        : entry->name == pw_hash_bytes(job->row.name.data, job->row.name.len) ? PW_SQL_UPDATE_REST
                                                                              : PW_SQL_UPDATE;
    job->row.number = entry == NULL ? store->index.last_number + 1 : entry->number;
    const int result = pw_sqlite_row_bind(&job->row, store->db.statements[which]);
    return result == SQLITE_OK ? step_one_locked(store, which) : result;
}

/* Both or none. */
static int replace_row_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job,
                              const struct pw_sqlite_entry *entry,
                              const struct pw_sqlite_entry *replaced)
{
    int result = pw_sqlite_db_step(&store->db, PW_SQL_SAVEPOINT);
    if (result == SQLITE_OK) {
        result = delete_row_locked(store, replaced->number);
    }
    if (result == SQLITE_OK) {
        result = write_row_locked(store, job, entry);
    }
    int end = SQLITE_OK;
    if (result == SQLITE_CONSTRAINT_UNIQUE) {
        end = pw_sqlite_db_step(&store->db, PW_SQL_ROLLBACK_TO);
    }
    if ((result == SQLITE_OK || result == SQLITE_CONSTRAINT_UNIQUE) && end == SQLITE_OK) {
        end = pw_sqlite_db_step(&store->db, PW_SQL_RELEASE);
    }
    return end == SQLITE_OK ? result : end;
}

static void index_put_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job,
                             struct pw_sqlite_entry *entry, struct pw_sqlite_entry *replaced)
{
    if (replaced != NULL) {
        pw_sqlite_index_remove(&store->index, replaced);
        job->replaced = replaced;
    }
    const struct pw_sqlite_entry made = pw_sqlite_entry_of(&job->row, &job->change->record.id);
    if (entry == NULL) {
        job->old = (struct pw_sqlite_entry){.generation = 0};
        entry = job->fresh;
        job->fresh = NULL;
        *entry = made;
        store->index.last_number = entry->number;
        pw_sqlite_index_insert(&store->index, entry);
    } else {
        job->old = *entry;
        pw_sqlite_index_update(&store->index, entry, &made);
    }
    job->entry = entry;
}

static int put_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
{
    const struct pw_store_change *change = job->change;
    struct pw_sqlite_entry *entry = pw_sqlite_index_find(&store->index, &change->record.id);
    struct pw_sqlite_entry *replaced =
        change->replaces ? pw_sqlite_index_find(&store->index, &change->replaced_id) : NULL;
    if (generation_of(entry) != change->expected_generation ||
        (change->replaces && generation_of(replaced) != change->replaced_generation)) {
        job->status = PYWATT_STALE_GENERATION;
        return SQLITE_OK;
    }
    if (replaced == entry) {
        replaced = NULL;
    }
    const int result = replaced != NULL ? replace_row_locked(store, job, entry, replaced)
                                        : write_row_locked(store, job, entry);
    if (result == SQLITE_CONSTRAINT_UNIQUE) {
        job->status = PYWATT_NAME_TAKEN;
        return SQLITE_OK;
    }
    if (result == SQLITE_OK) {
        index_put_locked(store, job, entry, replaced);
        job->status = PYWATT_OK;
    }
    return result;
}

static int take_out_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
{
    struct pw_sqlite_entry *entry = pw_sqlite_index_find(&store->index, &job->change->record.id);
    if (entry == NULL || entry->generation != job->change->expected_generation) {
        job->status = PYWATT_STALE_GENERATION;
        return SQLITE_OK;
    }
    const int result = delete_row_locked(store, entry->number);
    if (result == SQLITE_OK) {
        pw_sqlite_index_remove(&store->index, entry);
        job->entry = entry;
        job->status = PYWATT_OK;
    }
    return result;
}

int pw_sqlite_make_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
{
    return job->change->kind == PW_STORE_PUT ? put_locked(store, job) : take_out_locked(store, job);
}

void pw_sqlite_undo_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
{
    if (job->entry == NULL) {
        return;
    }
    if (job->change->kind == PW_STORE_REMOVE) {
        pw_sqlite_index_insert(&store->index, job->entry);
    } else if (job->old.generation == 0) {
        pw_sqlite_index_remove(&store->index, job->entry);
        job->fresh = job->entry;
    } else {
        pw_sqlite_index_update(&store->index, job->entry, &job->old);
    }
    if (job->replaced != NULL) {
        pw_sqlite_index_insert(&store->index, job->replaced);
    }
    job->entry = NULL;
    job->replaced = NULL;
}

void pw_sqlite_settle_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
{
    const struct pw_store_change *change = job->change;
    if (job->entry == NULL) {
        return;
    }
    if (job->replaced != NULL) {
        const struct pw_store_record gone = {.id = change->replaced_id};
        (void)pw_history_add(&store->history, PW_STORE_REMOVE, &gone);
        free(job->replaced);
    }
    const uint64_t revision = pw_history_add(&store->history, change->kind, &change->record);
    if (change->kind == PW_STORE_REMOVE) {
        free(job->entry);
    } else {
        job->entry->revision = revision;
    }
}
