/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite.c - the ops of the sqlite store. Changes are made ready by whoever hands them in, and
 * made by the writer thread; list and watch read in the thread of their caller.
 *
 * The queue_mutex guards what was handed in, the db_mutex the connection, the index and the history.
 * Nobody holds both.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"
#include "codec/json_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is kept of jobs that are done: about a mebibyte. */
#define SPARE_JOBS 1024
#define SPARE_TEXT 2048

/* What a change takes beside its text, here and with whoever waits for it. */
#define CHANGE_BYTES 1024

static struct pw_sqlite_store *from_base(struct pw_store *store)
{
    return PW_CONTAINER_OF(store, struct pw_sqlite_store, base);
}

/* ---- Handing in ---- */

void pw_sqlite_job_free(struct pw_sqlite_job *job)
{
    pw_buffer_destroy(&job->text);
    free(job->fresh);
    free(job);
}

/* Memory that one thread takes and another gives back is dear where there are many such. */
static enum pywatt_status take_job(struct pw_sqlite_store *store, struct pw_sqlite_job **job)
{
    pw_mutex_lock(&store->queue_mutex);
    const bool full = store->waiting_bytes >= store->waiting_max;
    struct pw_list *link = full ? NULL : pw_list_pop(&store->spare_jobs);
    store->spare_count -= link != NULL;
    pw_mutex_unlock(&store->queue_mutex);
    if (full) {
        return PYWATT_UNAVAILABLE;
    }
    if (link != NULL) {
        *job = PW_CONTAINER_OF(link, struct pw_sqlite_job, link);
        return PYWATT_OK;
    }
    *job = calloc(1, sizeof(**job));
    if (*job == NULL) {
        return PYWATT_NO_MEMORY;
    }
    pw_list_init(&(*job)->link);
    pw_buffer_init(&(*job)->text, PW_SQLITE_TEXT_MAX);
    return PYWATT_OK;
}

/* What the next change finds as if it were new. */
static void clear_job(struct pw_sqlite_job *job)
{
    pw_token_wipe(job->row.token_hash, sizeof(job->row.token_hash));
    pw_buffer_clear(&job->text);
    pw_buffer_trim(&job->text, SPARE_TEXT);
    job->entry = NULL;
    job->replaced = NULL;
    job->old = (struct pw_sqlite_entry){.generation = 0};
}

void pw_sqlite_jobs_done(struct pw_sqlite_store *store, struct pw_list *jobs)
{
    struct pw_list *link;
    size_t bytes = 0;
    for (link = jobs->next; link != jobs; link = link->next) {
        struct pw_sqlite_job *job = PW_CONTAINER_OF(link, struct pw_sqlite_job, link);
        bytes += job->bytes;
        clear_job(job);
    }
    pw_mutex_lock(&store->queue_mutex);
    store->waiting_bytes -= bytes;
    while (store->spare_count < SPARE_JOBS && (link = pw_list_pop(jobs)) != NULL) {
        pw_list_append(&store->spare_jobs, link);
        store->spare_count++;
    }
    pw_mutex_unlock(&store->queue_mutex);
    while ((link = pw_list_pop(jobs)) != NULL) {
        pw_sqlite_job_free(PW_CONTAINER_OF(link, struct pw_sqlite_job, link));
    }
}

static bool fill_job(struct pw_sqlite_job *job, const struct pw_store_change *change)
{
    job->change = change;
    if (change->kind == PW_STORE_REMOVE) {
        return true;
    }
    if (job->fresh == NULL) {
        job->fresh = calloc(1, sizeof(*job->fresh));
    }
    return job->fresh != NULL &&
           pw_sqlite_row_from_record(&job->row, &job->text, &change->record) == PYWATT_OK;
}

/* The limit is looked at before a text is made. */
static enum pywatt_status job_for(struct pw_sqlite_store *store,
                                  const struct pw_store_change *change, struct pw_sqlite_job **job)
{
    const enum pywatt_status status = take_job(store, job);
    if (status == PYWATT_OK && !fill_job(*job, change)) {
        pw_sqlite_job_free(*job);
        return PYWATT_NO_MEMORY;
    }
    return status;
}

static void sqlite_submit(struct pw_store *base, const struct pw_store_change *change,
                          pw_store_done done, void *user)
{
    struct pw_sqlite_store *store = from_base(base);
    struct pw_sqlite_job *job = NULL;
    const enum pywatt_status status = job_for(store, change, &job);
    if (status != PYWATT_OK) {
        done(user, status);
        return;
    }
    job->done = done;
    job->user = user;
    job->bytes = CHANGE_BYTES + pw_buffer_len(&job->text);
    pw_mutex_lock(&store->queue_mutex);
    store->waiting_bytes += job->bytes;
    pw_list_append(&store->queue, &job->link);
    if (store->queued++ == 0) {
        pw_cond_signal(&store->wake);
    }
    pw_mutex_unlock(&store->queue_mutex);
}

/* ---- Looking at it ---- */

/* The row that a statement stands on, checked; its objects are the caller's. */
static enum pywatt_status read_record_locked(struct pw_sqlite_store *store, sqlite3_stmt *statement,
                                             struct pw_arena *arena, struct pw_store_record *record,
                                             struct pywatt_error *error)
{
    struct pw_sqlite_row row;
    char what[64];
    enum pywatt_status status = PYWATT_SERIALIZATION;
    if (pw_sqlite_row_read(&row, statement)) {
        status = pw_sqlite_row_to_record(&row, arena, record, error);
    }
    if (status == PYWATT_OK) {
        return PYWATT_OK;
    }
    if (status == PYWATT_NO_MEMORY) {
        return pw_error_no_memory(error);
    }
    snprintf(what, sizeof(what), "record %" PRId64 " is not as it was written", row.number);
    return pw_sqlite_refuse_damaged(&store->place, what, error);
}

static enum pywatt_status list_locked(struct pw_sqlite_store *store, pw_store_visit visit,
                                      void *user, struct pywatt_error *error)
{
    sqlite3_stmt *statement = store->db.statements[PW_SQL_READ_ALL];
    struct pw_store_record record;
    struct pw_arena arena;
    enum pywatt_status status = PYWATT_OK;
    int result = SQLITE_DONE;
    bool goes_on = true;
    pw_arena_init(&arena, PW_JSON_PART_BUDGET);
    while (status == PYWATT_OK && goes_on && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        status = read_record_locked(store, statement, &arena, &record, error);
        if (status == PYWATT_OK) {
            goes_on = visit(user, &record);
            pw_shared_info_release(record.info);
            pw_shared_capabilities_release(record.capabilities);
        }
    }
    if (status == PYWATT_OK && goes_on && result != SQLITE_DONE) {
        status = pw_sqlite_refuse(&store->place, &store->db, result, error);
    }
    sqlite3_reset(statement);
    pw_arena_destroy(&arena);
    return status;
}

static enum pywatt_status sqlite_list(struct pw_store *base, pw_store_visit visit, void *user,
                                      uint64_t *revision, struct pywatt_error *error)
{
    struct pw_sqlite_store *store = from_base(base);
    pw_mutex_lock(&store->db_mutex);
    *revision = store->history.revision;
    const enum pywatt_status status = list_locked(store, visit, user, error);
    pw_mutex_unlock(&store->db_mutex);
    return status;
}

/* The record that a put has made, if that is still how it is. */
static enum pywatt_status read_past_locked(void *user, const struct pw_store_past *past,
                                           struct pw_store_record *out)
{
    struct pw_sqlite_store *store = user;
    sqlite3_stmt *statement = store->db.statements[PW_SQL_READ_ONE];
    const struct pw_sqlite_entry *entry = pw_sqlite_index_find(&store->index, &past->id);
    if (entry == NULL || entry->revision != past->revision) {
        return PYWATT_MODULE_NOT_FOUND;
    }
    struct pw_arena arena;
    pw_arena_init(&arena, PW_JSON_PART_BUDGET);
    enum pywatt_status status = PYWATT_IO;
    if (sqlite3_bind_int64(statement, 1, entry->number) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        status = read_record_locked(store, statement, &arena, out, NULL);
    }
    sqlite3_reset(statement);
    pw_arena_destroy(&arena);
    return status;
}

static enum pywatt_status sqlite_watch(struct pw_store *base, uint64_t after,
                                       pw_store_notify notify, void *user)
{
    struct pw_sqlite_store *store = from_base(base);
    pw_mutex_lock(&store->db_mutex);
    const enum pywatt_status status =
        pw_history_watch(&store->history, after, notify, user, read_past_locked, store);
    pw_mutex_unlock(&store->db_mutex);
    return status;
}

static void sqlite_unwatch(struct pw_store *base)
{
    struct pw_sqlite_store *store = from_base(base);
    pw_mutex_lock(&store->db_mutex);
    pw_history_unwatch(&store->history);
    pw_mutex_unlock(&store->db_mutex);
}

/* ---- Opening ---- */

/* After each commit, in the writer thread. */
static int on_commit(void *user, sqlite3 *handle, const char *database, int frames)
{
    struct pw_sqlite_store *store = user;
    (void)handle;
    (void)database;
    store->log_frames = frames;
    return SQLITE_OK;
}

/* A log that lost its end, or is not there any more, is no damage that SQLite sees. */
static enum pywatt_status check_answered(const struct pw_sqlite_store *store,
                                         const struct pw_sqlite_state *state,
                                         struct pywatt_error *error)
{
    const uint64_t answered = pw_sqlite_answered_read(store->lock_fd);
    if (state->revision >= answered) {
        return PYWATT_OK;
    }
    char what[64];
    snprintf(what, sizeof(what), "its last %" PRIu64 " changes are missing",
             answered - state->revision);
    return pw_sqlite_refuse_damaged(&store->place, what, error);
}

/* The connection is to be closed also on failure. */
static enum pywatt_status open_database(struct pw_sqlite_store *store, struct pywatt_error *error)
{
    struct pw_sqlite_state state;
    enum pywatt_status status = pw_sqlite_files_prepare(&store->place, store->lock_fd, error);
    if (status != PYWATT_OK) {
        return status;
    }
    status = pw_sqlite_files_check_room(&store->place, error);
    if (status != PYWATT_OK) {
        return status;
    }
    int result = pw_sqlite_db_open(&store->db, store->place.path);
    if (result != SQLITE_OK) {
        return pw_sqlite_refuse(&store->place, &store->db, result, error);
    }
    status = pw_sqlite_db_check(&store->db, &store->place, error);
    if (status == PYWATT_OK) {
        status = pw_sqlite_index_load(&store->index, &store->place, &store->db, error);
    }
    if (status == PYWATT_OK) {
        status = pw_sqlite_files_fill_shm(&store->place, &store->shm_fd, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    result = pw_sqlite_db_get_state(&store->db, &state);
    if (result != SQLITE_OK) {
        return pw_sqlite_refuse(&store->place, &store->db, result, error);
    }
    status = check_answered(store, &state, error);
    if (status != PYWATT_OK) {
        return status;
    }
    struct stat found;
    if (stat(store->place.path, &found) != 0) {
        return pw_sqlite_refuse_file(&store->place, "", "opened", error);
    }
    store->device = found.st_dev;
    store->inode = found.st_ino;
    result = pw_sqlite_db_ask(&store->db, PW_SQL_DATA_VERSION, &store->version);
    if (result != SQLITE_OK) {
        return pw_sqlite_refuse(&store->place, &store->db, result, error);
    }
    pw_history_init(&store->history, state.revision);
    sqlite3_wal_hook(store->db.handle, on_commit, store);
    return PYWATT_OK;
}

static enum pywatt_status init_locks(struct pw_sqlite_store *store)
{
    if (pw_mutex_init(&store->queue_mutex) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_mutex_init(&store->db_mutex) != PYWATT_OK) {
        pw_mutex_destroy(&store->queue_mutex);
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&store->wake) != PYWATT_OK) {
        pw_mutex_destroy(&store->db_mutex);
        pw_mutex_destroy(&store->queue_mutex);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

static void destroy_locks(struct pw_sqlite_store *store)
{
    pw_cond_destroy(&store->wake);
    pw_mutex_destroy(&store->db_mutex);
    pw_mutex_destroy(&store->queue_mutex);
}

/* The lock goes last: by then all is in the database, or in a log that the next start reads. */
static void close_files(struct pw_sqlite_store *store)
{
    pw_sqlite_db_close(&store->db);
    if (store->shm_fd >= 0) {
        close(store->shm_fd);
    }
    pw_sqlite_index_destroy(&store->index);
    pw_sqlite_unlock(store->lock_fd);
}

static enum pywatt_status open_files(struct pw_sqlite_store *store, struct pywatt_error *error)
{
    enum pywatt_status status = pw_sqlite_lock(&store->place, &store->lock_fd, error);
    if (status != PYWATT_OK) {
        return status;
    }
    status = pw_sqlite_index_init(&store->index) == PYWATT_OK ? open_database(store, error)
                                                              : pw_error_no_memory(error);
    if (status != PYWATT_OK) {
        pw_sqlite_db_leave_log(&store->db);
        close_files(store);
    }
    return status;
}

static enum pywatt_status open_parts(struct pw_sqlite_store *store, struct pywatt_error *error)
{
    if (init_locks(store) != PYWATT_OK) {
        return pw_error_no_memory(error);
    }
    enum pywatt_status status = open_files(store, error);
    if (status == PYWATT_OK) {
        status = pw_thread_start(&store->writer, "pw-store", pw_sqlite_writer_main, store);
        if (status != PYWATT_OK) {
            close_files(store);
            pw_error_set(error, status, "the thread of the store cannot be started");
        }
    }
    if (status != PYWATT_OK) {
        destroy_locks(store);
    }
    return status;
}

static enum pywatt_status sqlite_open(const char *place, struct pw_store **out,
                                      struct pywatt_error *error)
{
    struct pw_sqlite_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return pw_error_no_memory(error);
    }
    store->base.ops = &pw_store_sqlite;
    store->shm_fd = -1;
    store->log_limit = PW_SQLITE_LOG_FRAMES;
    store->waiting_max = PW_SQLITE_WAITING_MAX;
    pw_list_init(&store->queue);
    pw_list_init(&store->spare_jobs);
    enum pywatt_status status = pw_sqlite_place_init(&store->place, place, error);
    if (status == PYWATT_OK) {
        status = open_parts(store, error);
    }
    if (status != PYWATT_OK) {
        pw_sqlite_place_destroy(&store->place);
        free(store);
        return status;
    }
    *out = &store->base;
    return PYWATT_OK;
}

static void sqlite_close(struct pw_store *base)
{
    struct pw_sqlite_store *store = from_base(base);
    pw_mutex_lock(&store->queue_mutex);
    store->closing = true;
    pw_cond_signal(&store->wake);
    pw_mutex_unlock(&store->queue_mutex);
    pthread_join(store->writer, NULL);
    close_files(store);
    destroy_locks(store);
    pw_sqlite_place_destroy(&store->place);
    struct pw_list *link;
    while ((link = pw_list_pop(&store->spare_jobs)) != NULL) {
        pw_sqlite_job_free(PW_CONTAINER_OF(link, struct pw_sqlite_job, link));
    }
    free(store);
}

const struct pw_store_ops pw_store_sqlite = {
    .name = "sqlite",
    .usage = "sqlite:PATH",
    .open = sqlite_open,
    .submit = sqlite_submit,
    .list = sqlite_list,
    .watch = sqlite_watch,
    .unwatch = sqlite_unwatch,
    .close = sqlite_close,
    .recover = pw_sqlite_recover,
};
