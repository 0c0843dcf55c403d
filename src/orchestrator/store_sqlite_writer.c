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

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* More than that wait for the next transaction, so that the first ones need not wait for all. */
#define BATCH_MAX 4096

/* From how many on changes are a crowd, and how long others are waited for. */
#define CROWD 8
#define LET_COME_STEP_NS 100000
#define LET_COME_STEPS 20

/* ---- A transaction ---- */

static struct pw_sqlite_job *job_of(struct pw_list *link)
{
    return PW_CONTAINER_OF(link, struct pw_sqlite_job, link);
}

static void report_locked(struct pw_sqlite_store *store, enum pywatt_log_level level,
                          const char *format, ...) PYWATT_PRINTF(3, 4);

static void report_locked(struct pw_sqlite_store *store, enum pywatt_log_level level,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(store->report.text, sizeof(store->report.text), format, arguments);
    va_end(arguments);
    store->report.level = level;
}

/* Finds out what is in the database. */
static enum pywatt_status find_track_locked(struct pw_sqlite_store *store)
{
    struct pw_sqlite_state state;
    struct pywatt_error error;
    enum pywatt_status status =
        pw_sqlite_index_load(&store->index, &store->place, &store->db, &error);
    if (status == PYWATT_OK) {
        const int result = pw_sqlite_db_get_state(&store->db, &state);
        status = result == SQLITE_OK ? PYWATT_OK
                                     : pw_sqlite_refuse(&store->place, &store->db, result, &error);
    }
    if (status == PYWATT_OK) {
        pw_history_jump(&store->history, state.revision);
    } else {
        report_locked(store, PYWATT_LOG_ERROR, "%s", error.text);
    }
    store->lost_track = status != PYWATT_OK;
    return status;
}

/* What another program changed is known from here on. Also told when nobody did: after an error. */
static enum pywatt_status look_for_others_locked(struct pw_sqlite_store *store)
{
    const uint64_t digest = store->index.digest;
    int64_t version;
    const int result = pw_sqlite_db_ask(&store->db, PW_SQL_DATA_VERSION, &version);
    if (result != SQLITE_OK) {
        return pw_sqlite_status(&store->db, result);
    }
    if (version == store->version) {
        return PYWATT_OK;
    }
    const enum pywatt_status status = find_track_locked(store);
    if (status == PYWATT_OK) {
        store->version = version;
        if (digest != store->index.digest) {
            report_locked(store, PYWATT_LOG_WARNING,
                          "another program changed the store %s: records were read anew",
                          store->place.shown);
        }
    }
    return status;
}

/*
 * Makes all of them but for the commit. *revision gets what the last change will have. The database
 * takes its room from the disk before, so that what is in the log can be moved into it later.
 */
static int make_all_locked(struct pw_sqlite_store *store, struct pw_list *batch, uint64_t *revision)
{
    int64_t pages = 0;
    int result = SQLITE_OK;
    for (struct pw_list *link = batch->next; link != batch && result == SQLITE_OK;
         link = link->next) {
        struct pw_sqlite_job *job = job_of(link);
        result = pw_sqlite_make_locked(store, job);
        *revision += (unsigned)(job->entry != NULL) + (unsigned)(job->replaced != NULL);
    }
    const struct pw_sqlite_state state = {
        .revision = *revision, .modules = store->index.by_id.count, .digest = store->index.digest};
    if (result == SQLITE_OK && *revision != store->history.revision) {
        result = pw_sqlite_db_set_state(&store->db, &state);
    }
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_ask(&store->db, PW_SQL_PAGE_COUNT, &pages);
    }
    if (result == SQLITE_OK && pages > store->has_room) {
        result = pw_sqlite_db_make_room(&store->db, pages);
        store->has_room = result == SQLITE_OK ? pages : 0;
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
    store->lost_track =
        store->lost_track || !known || (!made && state.revision != store->history.revision);
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

static void report_failure_locked(struct pw_sqlite_store *store, int result)
{
    report_locked(store, PYWATT_LOG_ERROR, "the store %s cannot write: %s%s", store->place.shown,
                  pw_sqlite_status(&store->db, result) == PYWATT_LIMIT ? "disk full"
                  : sqlite3_extended_errcode(store->db.handle) == result
                      ? sqlite3_errmsg(store->db.handle)
                      : sqlite3_errstr(result),
                  store->in_doubt ? "; nor can what was refused be taken out of its log: if this "
                                    "ends hard before the next change that goes well, it may be "
                                    "there after a restart"
                                  : "");
}

static enum pywatt_status transact_locked(struct pw_sqlite_store *store, struct pw_list *batch)
{
    int result = pw_sqlite_db_step(&store->db, PW_SQL_BEGIN);
    enum pywatt_status status = PYWATT_OK;
    if (result == SQLITE_OK) {
        status = look_for_others_locked(store);
    }
    uint64_t revision = store->history.revision;
    bool in_log = false;
    if (status == PYWATT_OK && result == SQLITE_OK) {
        result = make_all_locked(store, batch, &revision);
        if (result == SQLITE_OK) {
            result = pw_sqlite_db_step(&store->db, PW_SQL_COMMIT);
            in_log = result != SQLITE_OK;
        }
        if (result == SQLITE_OK) {
            store->in_doubt = false;
            return PYWATT_OK;
        }
    }
    if (result != SQLITE_OK) {
        status = pw_sqlite_status(&store->db, result);
        report_failure_locked(store, result);
    }
    if (was_made_locked(store, revision)) {
        return PYWATT_OK;
    }
    for (struct pw_list *link = batch->prev; link != batch; link = link->prev) {
        pw_sqlite_undo_locked(store, job_of(link));
    }
    if (in_log && (store->lost_track || write_over_locked(store) != SQLITE_OK)) {
        store->in_doubt = true;
        report_failure_locked(store, result);
    }
    return status;
}

/* The log stays as long as it is, and is written from its beginning again: no new blocks for it. */
static int move_log_locked(struct pw_sqlite_store *store)
{
    /* It also cuts off what was taken ahead. */
    store->has_room = 0;
    return sqlite3_wal_checkpoint_v2(store->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* What is put into a file that has no name any more would be gone with this process. */
static enum pywatt_status check_same_locked(struct pw_sqlite_store *store)
{
    if (pw_sqlite_files_same(store)) {
        return PYWATT_OK;
    }
    report_locked(store, PYWATT_LOG_ERROR,
                  "the store %s is not the file any more that was opened (%s): it takes no changes "
                  "until that is back, or a restart",
                  store->place.shown, errno == 0 ? "another one is there" : strerror(errno));
    return PYWATT_IO;
}

/* While the disk is full the blocks that the log has already may do. */
static enum pywatt_status make_batch_locked(struct pw_sqlite_store *store, struct pw_list *batch)
{
    const bool failed_before = store->failing;
    const bool doubted_before = store->in_doubt;
    enum pywatt_status status = check_same_locked(store);
    if (status == PYWATT_OK && store->lost_track) {
        status = find_track_locked(store);
    }
    if (status == PYWATT_OK) {
        status = transact_locked(store, batch);
    }
    if (status == PYWATT_LIMIT && !store->lost_track && move_log_locked(store) == SQLITE_OK) {
        status = transact_locked(store, batch);
    }
    store->failing = status != PYWATT_OK;
    if (store->failing == failed_before && store->in_doubt == doubted_before) {
        /* What goes on is told once, and what went well in the end never. */
        if (store->failing || store->report.level == PYWATT_LOG_ERROR) {
            store->report.text[0] = '\0';
        }
    } else if (!store->failing) {
        report_locked(store, PYWATT_LOG_WARNING, "the store %s takes changes again",
                      store->place.shown);
    }
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
            pw_sqlite_settle_locked(store, job_of(link));
        }
        pw_sqlite_answered_write(store->lock_fd, store->history.revision);
    }
    const struct pw_sqlite_report report = store->report;
    store->report.text[0] = '\0';
    pw_mutex_unlock(&store->db_mutex);
    if (report.text[0] != '\0') {
        pw_log(report.level, "%s", report.text);
    }
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
