/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_recover.c - what is sound in a damaged database goes into a new one, and the damaged one
 * is set aside as it was. In the thread of the caller, who has no store open.
 *
 * Rows are read in their order until something does not fit, and then all one by one, each by its
 * number: what lies on sound pages is found, whatever happened to those between. A row counts only if
 * its checksum does, which is not about its number: so that tells nothing, neither where to go on, nor
 * which is the last.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"
#include "base/uuid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * How far rows are looked for behind the last one that was found: the number of the last row of all may
 * be damaged, too. Fuzzers have fewer, as each takes a while.
 */
#ifndef PW_BLIND_STEPS
#define PW_BLIND_STEPS 1000000
#endif

struct recovery {
    const struct pw_sqlite_place *place;
    struct pw_sqlite_db from;
    struct pw_sqlite_db to;
    struct pw_sqlite_index kept; /* what `to` has */
    bool again;                  /* what was found in order is met once more */
    struct pw_store_salvage *salvage;
    uint64_t answered; /* the last revision that was, as far as is known */
};

/* ---- Rows ---- */

/* A row that stands twice is kept as it was found first. */
static int keep(struct recovery *r, struct pw_sqlite_row *row)
{
    struct pywatt_uuid id;
    if (!pw_uuid_parse_str((struct pw_str){row->id, PW_UUID_TEXT_LEN}, &id) ||
        pw_sqlite_index_find(&r->kept, &id) != NULL) {
        r->salvage->left_out += r->again ? 0 : 1;
        return SQLITE_OK;
    }
    /* Its own number may stand twice in a damaged tree. */
    row->number = (int64_t)r->salvage->kept + 1;
    sqlite3_stmt *statement = r->to.statements[PW_SQL_INSERT];
    int result = pw_sqlite_row_bind(row, statement);
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_step(&r->to, PW_SQL_INSERT);
    }
    if (result == SQLITE_CONSTRAINT_UNIQUE) {
        r->salvage->left_out++;
        return SQLITE_OK;
    }
    struct pw_sqlite_entry *entry = result == SQLITE_OK ? malloc(sizeof(*entry)) : NULL;
    if (entry == NULL) {
        return result == SQLITE_OK ? SQLITE_NOMEM : result;
    }
    *entry = (struct pw_sqlite_entry){.id = id, .number = row->number};
    pw_sqlite_index_insert(&r->kept, entry);
    r->salvage->kept++;
    return SQLITE_OK;
}

/* The row that a statement of `from` stands on. */
static int look_at(struct recovery *r, sqlite3_stmt *statement)
{
    struct pw_sqlite_row row;
    if (!pw_sqlite_row_read(&row, statement)) {
        r->salvage->left_out++;
        return SQLITE_OK;
    }
    return keep(r, &row);
}

/* Pages that cannot be read are damage, too; that memory is out is not. */
static bool is_damage(int result)
{
    return (result & 0xff) == SQLITE_CORRUPT || (result & 0xff) == SQLITE_NOTADB ||
           ((result & 0xff) == SQLITE_IOERR && result != SQLITE_IOERR_NOMEM);
}

/* Up to the highest number there is, as far as that can be true. */
static int read_one_by_one(struct recovery *r)
{
    sqlite3_stmt *statement = r->from.statements[PW_SQL_READ_ONE];
    int64_t last = INT64_MAX - 1;
    int64_t found = 0;
    (void)pw_sqlite_db_number(&r->from, "SELECT max(number) FROM modules", &last);
    int result = SQLITE_OK;
    for (int64_t number = 1;
         number <= last && number - found <= PW_BLIND_STEPS && result == SQLITE_OK; number++) {
        result = sqlite3_bind_int64(statement, 1, number);
        const int step = result == SQLITE_OK ? sqlite3_step(statement) : SQLITE_DONE;
        if (step == SQLITE_ROW) {
            found = number;
            result = look_at(r, statement);
        } else if (step != SQLITE_DONE && !is_damage(step)) {
            result = step;
        }
        sqlite3_reset(statement);
    }
    return result;
}

static int read_all(struct recovery *r)
{
    sqlite3_stmt *statement = r->from.statements[PW_SQL_READ_ALL];
    int result = SQLITE_OK;
    int step = SQLITE_ROW;
    while (result == SQLITE_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        result = look_at(r, statement);
    }
    sqlite3_reset(statement);
    if (result == SQLITE_OK && step != SQLITE_DONE) {
        r->again = true;
        r->salvage->left_out = 0;
        result = is_damage(step) ? read_one_by_one(r) : step;
    }
    return result;
}

/* ---- Databases ---- */

/* *readable gets false if nothing can be read of it. PYWATT_IO: it must not be touched. */
static enum pywatt_status open_from(struct recovery *r, bool *readable, struct pywatt_error *error)
{
    int result = pw_sqlite_db_open(&r->from, r->place->path);
    pw_sqlite_db_leave_log(&r->from);
    const enum pywatt_status status =
        result == SQLITE_OK ? pw_sqlite_schema_whose(r->place, &r->from, error) : PYWATT_OK;
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_prepare(&r->from);
    }
    *readable = result == SQLITE_OK;
    /*
     * Tables that no statement of ours suits are damaged as well. What cannot be read at all may be
     * readable the next time; nothing would be kept of it now.
     */
    const bool damaged = is_damage(result) && (result & 0xff) != SQLITE_IOERR;
    if (status == PYWATT_OK && !*readable && !damaged && result != SQLITE_ERROR) {
        return pw_sqlite_refuse(r->place, &r->from, result, error);
    }
    return status;
}

/* The revision goes on; rows that are not even seen are known by their number. */
static int read_state(struct recovery *r, struct pw_sqlite_state *state)
{
    const int result = pw_sqlite_db_get_state(&r->from, state);
    if (result == SQLITE_OK && state->modules > r->salvage->kept + r->salvage->left_out) {
        r->salvage->left_out = state->modules - r->salvage->kept;
    }
    return is_damage(result) ? SQLITE_OK : result;
}

static int fill(struct recovery *r, bool readable)
{
    struct pw_sqlite_state state = {.revision = 0};
    int result = pw_sqlite_db_step(&r->to, PW_SQL_BEGIN);
    if (result == SQLITE_OK && readable) {
        /* In one transaction, which costs a lock, and not one for each row. */
        result = pw_sqlite_db_run(&r->from, "BEGIN");
    }
    if (result == SQLITE_OK && readable) {
        result = read_all(r);
    }
    if (result == SQLITE_OK && readable) {
        result = read_state(r, &state);
    }
    /* Nobody sees a revision for the second time, nor misses one. */
    state.revision = state.revision < r->answered ? r->answered : state.revision;
    state.modules = r->salvage->kept;
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_set_state(&r->to, &state);
    }
    return result == SQLITE_OK ? pw_sqlite_db_step(&r->to, PW_SQL_COMMIT) : result;
}

/* Makes PATH-new of PATH. */
static enum pywatt_status read_into_new(struct recovery *r, const char *path,
                                        struct pywatt_error *error)
{
    enum pywatt_status status = pw_sqlite_files_create(r->place, path, error);
    if (status != PYWATT_OK) {
        return status;
    }
    bool readable = false;
    status = open_from(r, &readable, error);
    if (status == PYWATT_OK) {
        int result = pw_sqlite_db_open(&r->to, path);
        if (result == SQLITE_OK) {
            result = pw_sqlite_db_prepare(&r->to);
        }
        if (result == SQLITE_OK) {
            result = fill(r, readable);
        }
        if (result != SQLITE_OK) {
            status = pw_sqlite_refuse(r->place, &r->to, result, error);
        }
    }
    pw_sqlite_db_close(&r->from);
    pw_sqlite_db_close(&r->to);
    return status;
}

static enum pywatt_status replace(const struct pw_sqlite_place *place,
                                  struct pw_store_salvage *salvage, struct pywatt_error *error)
{
    char *aside = NULL;
    enum pywatt_status status = pw_sqlite_files_set_aside(place, &aside, error);
    if (status == PYWATT_OK) {
        const size_t len = strlen(aside);
        const size_t room = sizeof(salvage->aside) - 1;
        snprintf(salvage->aside, sizeof(salvage->aside), "%s",
                 aside + (len > room ? len - room : 0));
        status = pw_sqlite_files_recovered(place, error);
    }
    free(aside);
    return status;
}

static enum pywatt_status recover_locked(const struct pw_sqlite_place *place, int lock_fd,
                                         struct pw_store_salvage *salvage,
                                         struct pywatt_error *error)
{
    struct recovery r = {
        .place = place, .salvage = salvage, .answered = pw_sqlite_answered_read(lock_fd)};
    char *path = pw_sqlite_path_with(place, "-new");
    enum pywatt_status status = PYWATT_OK;
    if (path == NULL || pw_sqlite_index_init(&r.kept) != PYWATT_OK) {
        free(path);
        return pw_error_no_memory(error);
    }
    status = read_into_new(&r, path, error);
    if (status == PYWATT_OK) {
        status = replace(place, salvage, error);
    }
    pw_sqlite_index_destroy(&r.kept);
    free(path);
    return status;
}

enum pywatt_status pw_sqlite_recover(const char *path, struct pw_store_salvage *out,
                                     struct pywatt_error *error)
{
    struct pw_sqlite_place place;
    int lock_fd = -1;
    *out = (struct pw_store_salvage){.kept = 0};
    enum pywatt_status status = pw_sqlite_place_init(&place, path, error);
    if (status != PYWATT_OK) {
        return status;
    }
    if (access(place.path, F_OK) != 0) {
        status = pw_error_set(error, PYWATT_IO, "%s cannot be recovered: %s", place.shown,
                              strerror(errno));
    } else {
        status = pw_sqlite_lock(&place, &lock_fd, error);
    }
    if (status == PYWATT_OK) {
        status = pw_sqlite_files_end_recovery(&place, error);
        if (status == PYWATT_OK) {
            status = recover_locked(&place, lock_fd, out, error);
        }
        close(lock_fd);
    }
    pw_sqlite_place_destroy(&place);
    return status;
}
