/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_writer.c - the writer thread: takes all changes that were handed in while it was at the
 * ones before, makes them in one transaction, and answers them when that is on the disk. So whoever
 * comes alone waits for one commit, and a thousand share one.
 *
 * The db_mutex is held from a transaction's beginning to its end; no lock while `done` runs.
 *
 * The index is changed along with the database, and changed back if the transaction fails. Whether it
 * did is not taken from COMMIT alone: the table `state` counts changes in the same transaction, and
 * tells it.
 */
#include "orchestrator/store_sqlite_private.h"

#include <stdlib.h>
#include <time.h>

/* More than that wait for the next transaction, so that the first ones need not wait for all. */
#define BATCH_MAX 4096

/* From how many on changes are a crowd, and how long others are waited for. */
#define CROWD 8
#define LET_COME_STEP_NS 100000
#define LET_COME_STEPS 20

/* ---- One change ---- */

static uint64_t generation_of(const struct pw_sqlite_entry *entry)
{
    return entry == NULL ? 0 : entry->generation;
}

static int delete_row_locked(struct pw_sqlite_store *store, int64_t number)
{
    const int result = sqlite3_bind_int64(store->db.statements[PW_SQL_DELETE], 1, number);
    return result == SQLITE_OK ? pw_sqlite_db_step(&store->db, PW_SQL_DELETE) : result;
}

static int write_row_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job,
                            const struct pw_sqlite_entry *entry)
{
    const enum pw_sqlite_statement which = entry == NULL ? PW_SQL_INSERT : PW_SQL_UPDATE;
    job->row.number = entry == NULL ? store->index.last_number + 1 : entry->number;
    const int result = pw_sqlite_row_bind(&job->row, store->db.statements[which]);
    return result == SQLITE_OK ? pw_sqlite_db_step(&store->db, which) : result;
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
    job->old_generation = generation_of(entry);
    job->old_sum = entry == NULL ? 0 : entry->sum;
    const uint64_t generation = job->change->record.generation;
    if (entry == NULL) {
        entry = job->fresh;
        job->fresh = NULL;
        *entry = (struct pw_sqlite_entry){.id = job->change->record.id,
                                          .number = job->row.number,
                                          .generation = generation,
                                          .sum = job->row.sum};
        store->index.last_number = entry->number;
        pw_sqlite_index_insert(&store->index, entry);
    } else {
        pw_sqlite_index_update(&store->index, entry, generation, job->row.sum);
    }
    job->entry = entry;
}

/* SQLITE_OK also if it is refused; else the whole transaction fails. */
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

static void undo_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
{
    if (job->entry == NULL) {
        return;
    }
    if (job->change->kind == PW_STORE_REMOVE) {
        pw_sqlite_index_insert(&store->index, job->entry);
    } else if (job->old_generation == 0) {
        pw_sqlite_index_remove(&store->index, job->entry);
        job->fresh = job->entry;
    } else {
        pw_sqlite_index_update(&store->index, job->entry, job->old_generation, job->old_sum);
    }
    if (job->replaced != NULL) {
        pw_sqlite_index_insert(&store->index, job->replaced);
    }
    job->entry = NULL;
    job->replaced = NULL;
}

/* Tells the watcher, and lets go of what has left the index. */
static void settle_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job)
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

/* ---- A transaction ---- */

static struct pw_sqlite_job *job_of(struct pw_list *link)
{
    return PW_CONTAINER_OF(link, struct pw_sqlite_job, link);
}

/* Makes all of them but for the commit. *revision gets what the last change will have. */
static int make_all_locked(struct pw_sqlite_store *store, struct pw_list *batch, uint64_t *revision)
{
    int result = pw_sqlite_db_step(&store->db, PW_SQL_BEGIN);
    *revision = store->history.revision;
    for (struct pw_list *link = batch->next; link != batch && result == SQLITE_OK;
         link = link->next) {
        struct pw_sqlite_job *job = job_of(link);
        result = job->change->kind == PW_STORE_PUT ? put_locked(store, job)
                                                   : take_out_locked(store, job);
        *revision += (unsigned)(job->entry != NULL) + (unsigned)(job->replaced != NULL);
    }
    const struct pw_sqlite_state state = {
        .revision = *revision, .modules = store->index.by_id.count, .digest = store->index.digest};
    if (result == SQLITE_OK && *revision != store->history.revision) {
        result = pw_sqlite_db_set_state(&store->db, &state);
    }
    return result;
}

/* After a failure: whether the transaction was made for all that. It cannot be under way any more. */
static bool was_made_locked(struct pw_sqlite_store *store, uint64_t revision)
{
    struct pw_sqlite_state state;
    if (!sqlite3_get_autocommit(store->db.handle)) {
        (void)pw_sqlite_db_step(&store->db, PW_SQL_ROLLBACK);
    }
    const bool known = sqlite3_get_autocommit(store->db.handle) &&
                       pw_sqlite_db_get_state(&store->db, &state) == SQLITE_OK;
    const bool made = known && state.revision == revision && revision != store->history.revision;
    store->lost_track = !known || (!made && state.revision != store->history.revision);
    return made;
}

/*
 * What could not be brought to the disk is in the log nevertheless, commit and all, and would be found
 * there if the process were killed now. The next transaction is written over it; this is one that
 * changes nothing. SQLite writes no page whose bytes have not changed meanwhile, so they do.
 */
static int write_over_locked(struct pw_sqlite_store *store)
{
    int result = pw_sqlite_db_step(&store->db, PW_SQL_BEGIN);
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_run(&store->db, "UPDATE state SET modules = modules + 1;"
                                              "UPDATE state SET modules = modules - 1");
    }
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_step(&store->db, PW_SQL_COMMIT);
    }
    if (!sqlite3_get_autocommit(store->db.handle)) {
        (void)pw_sqlite_db_step(&store->db, PW_SQL_ROLLBACK);
    }
    return result;
}

static enum pywatt_status transact_locked(struct pw_sqlite_store *store, struct pw_list *batch)
{
    uint64_t revision;
    int result = make_all_locked(store, batch, &revision);
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_step(&store->db, PW_SQL_COMMIT);
    }
    if (result == SQLITE_OK) {
        return PYWATT_OK;
    }
    const enum pywatt_status status = pw_sqlite_status(&store->db, result);
    if (!store->failing) {
        pw_log(PYWATT_LOG_ERROR, "the store %s cannot write: %s (%s)", store->place.shown,
               status == PYWATT_LIMIT ? "disk full" : sqlite3_errstr(result),
               sqlite3_errmsg(store->db.handle));
    }
    if (was_made_locked(store, revision)) {
        return PYWATT_OK;
    }
    for (struct pw_list *link = batch->prev; link != batch; link = link->prev) {
        undo_locked(store, job_of(link));
    }
    if (!store->lost_track) {
        (void)write_over_locked(store);
    }
    return status;
}

/* Finds out what is in the database. */
static enum pywatt_status find_track_locked(struct pw_sqlite_store *store)
{
    struct pw_sqlite_state state;
    struct pywatt_error error;
    enum pywatt_status status =
        pw_sqlite_index_load(&store->index, &store->place, &store->db, &error);
    if (status == PYWATT_OK && pw_sqlite_db_get_state(&store->db, &state) != SQLITE_OK) {
        status = PYWATT_IO;
    }
    if (status == PYWATT_OK) {
        pw_history_jump(&store->history, state.revision);
        store->lost_track = false;
    }
    return status;
}

/* The log stays as long as it is, and is written from its beginning again: no new blocks for it. */
static int move_log_locked(struct pw_sqlite_store *store)
{
    return sqlite3_wal_checkpoint_v2(store->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* While the disk is full the blocks that the log has already may do. */
static enum pywatt_status make_batch_locked(struct pw_sqlite_store *store, struct pw_list *batch)
{
    enum pywatt_status status = store->lost_track ? find_track_locked(store) : PYWATT_OK;
    if (status == PYWATT_OK) {
        status = transact_locked(store, batch);
    }
    if (status == PYWATT_LIMIT && !store->lost_track && move_log_locked(store) == SQLITE_OK) {
        status = transact_locked(store, batch);
    }
    if (status == PYWATT_OK && store->failing) {
        pw_log(PYWATT_LOG_WARNING, "the store %s takes changes again", store->place.shown);
    }
    store->failing = status != PYWATT_OK;
    return status;
}

static void answer(struct pw_sqlite_store *store, struct pw_list *batch, enum pywatt_status status)
{
    for (struct pw_list *link = batch->next; link != batch; link = link->next) {
        struct pw_sqlite_job *job = job_of(link);
        /* What was refused in a transaction that failed was refused for what is not true. */
        job->done(job->user, status == PYWATT_OK ? job->status : status);
    }
    pw_sqlite_jobs_done(store, batch);
}

/* Makes and answers them. False, and they are as they were, if they failed and others may not. */
static bool run_together(struct pw_sqlite_store *store, struct pw_list *batch)
{
    pw_mutex_lock(&store->db_mutex);
    const enum pywatt_status status = make_batch_locked(store, batch);
    if (status == PYWATT_OK) {
        for (struct pw_list *link = batch->next; link != batch; link = link->next) {
            settle_locked(store, job_of(link));
        }
        pw_sqlite_answered_write(store->lock_fd, store->history.revision);
    }
    pw_mutex_unlock(&store->db_mutex);
    if (status == PYWATT_IO && batch->next != batch->prev) {
        return false;
    }
    answer(store, batch, status);
    return true;
}

static void run_batch(struct pw_sqlite_store *store, struct pw_list *batch)
{
    if (!run_together(store, batch)) {
        /* What one of them meets, such as a damaged page, is not for the others to bear. */
        struct pw_list *link;
        while ((link = pw_list_pop(batch)) != NULL) {
            struct pw_list alone;
            pw_list_init(&alone);
            pw_list_append(&alone, link);
            (void)run_together(store, &alone);
        }
    }
    pw_mutex_lock(&store->db_mutex);
    if (store->log_frames >= store->log_limit) {
        /* One that cannot be moved is tried again when it has grown by as much. */
        const bool moved = move_log_locked(store) == SQLITE_OK;
        store->log_limit = PW_SQLITE_LOG_FRAMES + (moved ? 0 : store->log_frames);
    }
    pw_mutex_unlock(&store->db_mutex);
}

/* ---- The thread ---- */

/*
 * Where many come each commit would take the few that came during the one before, and the disk would
 * be busy with commits. So as long as more of them come they are let come, for a short while. Whoever
 * comes alone, or with a few, never waits for others.
 */
static void let_come_locked(struct pw_sqlite_store *store)
{
    const struct timespec step = {.tv_nsec = LET_COME_STEP_NS};
    size_t before = 0;
    for (unsigned i = 0; i < LET_COME_STEPS && !store->closing && store->queued >= CROWD &&
                         store->queued < BATCH_MAX && store->queued > before;
         i++) {
        before = store->queued;
        pw_mutex_unlock(&store->queue_mutex);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
        pw_mutex_lock(&store->queue_mutex);
    }
}

/* False when there is nothing more to come. */
static bool take_batch(struct pw_sqlite_store *store, struct pw_list *batch)
{
    pw_mutex_lock(&store->queue_mutex);
    while (store->queued == 0 && !store->closing) {
        pw_cond_wait(&store->wake, &store->queue_mutex);
    }
    let_come_locked(store);
    for (unsigned i = 0; i < BATCH_MAX && store->queued > 0; i++) {
        pw_list_append(batch, pw_list_pop(&store->queue));
        store->queued--;
    }
    pw_mutex_unlock(&store->queue_mutex);
    return !pw_list_empty(batch);
}

void *pw_sqlite_writer_main(void *arg)
{
    struct pw_sqlite_store *store = arg;
    struct pw_list batch;
    pw_list_init(&batch);
    while (take_batch(store, &batch)) {
        run_batch(store, &batch);
    }
    return NULL;
}
