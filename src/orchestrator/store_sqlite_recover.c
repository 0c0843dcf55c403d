/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_recover.c - what is sound in a damaged database goes into a new one, and the damaged one
 * is set aside as it was. In the thread of the caller, who has no store open.
 *
 * Rows are read in their order until something does not fit, and then from all pages, whatever leads to
 * them. A row counts only if its checksum does. Of one that stands on several pages the highest
 * generation is kept. Where nothing at all can be kept, nothing is replaced.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"
#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recovery {
    const struct pw_sqlite_place *place;
    struct pw_sqlite_place new_place; /* PATH-new */
    struct pw_sqlite_db from;
    struct pw_sqlite_db to;
    struct pw_sqlite_index kept; /* what `to` has */
    bool by_pages;               /* what was found in order is met once more */
    struct pw_store_salvage *salvage;
    uint64_t answered; /* the last revision that was, as far as is known */
};

/* ---- Rows ---- */

static int write_row(struct recovery *r, const struct pw_sqlite_row *row,
                     enum pw_sqlite_statement which)
{
    const int result = pw_sqlite_row_bind(row, r->to.statements[which]);
    return result == SQLITE_OK ? pw_sqlite_db_step(&r->to, which) : result;
}

/* Its name may be that of another one meanwhile. */
static int keep_newer(struct recovery *r, struct pw_sqlite_row *row, struct pw_sqlite_entry *entry)
{
    r->salvage->left_out += r->by_pages ? 0 : 1;
    if (row->generation <= entry->generation) {
        return SQLITE_OK;
    }
    row->number = entry->number;
    const int result = write_row(r, row, PW_SQL_UPDATE);
    if (result == SQLITE_OK) {
        const struct pw_sqlite_entry like = pw_sqlite_entry_of(row, &entry->id);
        pw_sqlite_index_update(&r->kept, entry, &like);
    }
    return result == SQLITE_CONSTRAINT_UNIQUE ? SQLITE_OK : result;
}

static int keep_new(struct recovery *r, struct pw_sqlite_row *row, const struct pywatt_uuid *id)
{
    /* Its own number may stand twice in a damaged tree. */
    row->number = (int64_t)r->salvage->kept + 1;
    const int result = write_row(r, row, PW_SQL_INSERT);
    if (result == SQLITE_CONSTRAINT_UNIQUE) {
        r->salvage->left_out += r->by_pages ? 0 : 1;
        return SQLITE_OK;
    }
    struct pw_sqlite_entry *entry = result == SQLITE_OK ? malloc(sizeof(*entry)) : NULL;
    if (entry == NULL) {
        return result == SQLITE_OK ? SQLITE_NOMEM : result;
    }
    *entry = pw_sqlite_entry_of(row, id);
    pw_sqlite_index_insert(&r->kept, entry);
    r->salvage->kept++;
    return SQLITE_OK;
}

static int look_at(void *user, struct pw_sqlite_row *row, bool sound)
{
    struct recovery *r = user;
    struct pywatt_uuid id;
    if (!sound || !pw_uuid_parse_str((struct pw_str){row->id, PW_UUID_TEXT_LEN}, &id)) {
        r->salvage->left_out++;
        return SQLITE_OK;
    }
    struct pw_sqlite_entry *entry = pw_sqlite_index_find(&r->kept, &id);
    return entry != NULL ? keep_newer(r, row, entry) : keep_new(r, row, &id);
}

/* Pages that cannot be read are damage, too; that memory is out is not. */
static bool is_damage(int result)
{
    return (result & 0xff) == SQLITE_CORRUPT || (result & 0xff) == SQLITE_NOTADB ||
           ((result & 0xff) == SQLITE_IOERR && result != SQLITE_IOERR_NOMEM);
}

/* *whole gets whether the tree has led to its end. */
static int read_in_order(struct recovery *r, bool *whole)
{
    sqlite3_stmt *statement = r->from.statements[PW_SQL_READ_ALL];
    int result = SQLITE_OK;
    int step = SQLITE_ROW;
    while (result == SQLITE_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        struct pw_sqlite_row row;
        const bool sound = pw_sqlite_row_read(&row, statement);
        result = look_at(r, &row, sound);
    }
    sqlite3_reset(statement);
    *whole = step == SQLITE_DONE;
    return result != SQLITE_OK || *whole || is_damage(step) ? result : step;
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

/* All that its own tree leads to. *whole gets false if there may be more. */
static int read_tree(struct recovery *r, struct pw_sqlite_state *state, bool *whole)
{
    /* In one transaction, which costs a lock, and not one for each row. */
    int result = pw_sqlite_db_run(&r->from, "BEGIN");
    if (result == SQLITE_OK) {
        result = read_in_order(r, whole);
    }
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_get_state(&r->from, state);
        *whole = *whole && result == SQLITE_OK &&
                 state->modules <= r->salvage->kept + r->salvage->left_out;
    }
    return is_damage(result) ? SQLITE_OK : result;
}

/* Rows that are not even seen are known by their number, if that is. */
static int read_pages(struct recovery *r, const struct pw_sqlite_state *state)
{
    r->by_pages = true;
    r->salvage->left_out = 0;
    const int result = pw_sqlite_pages_walk(r->place, look_at, r);
    if (state->modules > 0) {
        r->salvage->left_out =
            state->modules > r->salvage->kept ? state->modules - r->salvage->kept : 0;
    }
    return result;
}

/* `from` is closed in between, since the files are opened. */
static enum pywatt_status read_from(struct recovery *r, struct pw_sqlite_state *state,
                                    struct pywatt_error *error)
{
    bool readable = false;
    bool whole = false;
    enum pywatt_status status = open_from(r, &readable, error);
    int result = status == PYWATT_OK && readable ? read_tree(r, state, &whole) : SQLITE_OK;
    if (result != SQLITE_OK) {
        status = pw_sqlite_refuse(r->place, &r->from, result, error);
    }
    pw_sqlite_db_close(&r->from);
    if (status == PYWATT_OK && !whole) {
        result = read_pages(r, state);
        status = result == SQLITE_OK ? PYWATT_OK
                                     : pw_sqlite_refuse(&r->new_place, &r->to, result, error);
    }
    if (status == PYWATT_OK && r->salvage->kept == 0 && (!whole || r->salvage->left_out > 0)) {
        status =
            pw_error_set(error, PYWATT_IO,
                         "nothing can be recovered of %s: no module is found in it. Nothing was "
                         "changed; move it away to begin anew",
                         r->place->shown);
    }
    return status;
}

/* In one transaction of `to`. */
static enum pywatt_status fill(struct recovery *r, struct pywatt_error *error)
{
    struct pw_sqlite_state state = {.revision = 0};
    int result = pw_sqlite_db_step(&r->to, PW_SQL_BEGIN);
    if (result == SQLITE_OK) {
        const enum pywatt_status status = read_from(r, &state, error);
        if (status != PYWATT_OK) {
            return status;
        }
        /* Nobody sees a revision for the second time, nor misses one. */
        state.revision = state.revision < r->answered ? r->answered : state.revision;
        state.modules = r->salvage->kept;
        state.digest = r->kept.digest;
        result = pw_sqlite_db_set_state(&r->to, &state);
    }
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_step(&r->to, PW_SQL_COMMIT);
    }
    return result == SQLITE_OK ? PYWATT_OK : pw_sqlite_refuse(&r->new_place, &r->to, result, error);
}

/* Makes PATH-new of PATH. */
static enum pywatt_status read_into_new(struct recovery *r, struct pywatt_error *error)
{
    enum pywatt_status status = pw_sqlite_files_create(r->place, r->new_place.path, error);
    if (status != PYWATT_OK) {
        return status;
    }
    int result = pw_sqlite_db_open(&r->to, r->new_place.path);
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_prepare(&r->to);
    }
    status = result == SQLITE_OK ? fill(r, error)
                                 : pw_sqlite_refuse(&r->new_place, &r->to, result, error);
    pw_sqlite_db_close(&r->to);
    return status;
}

static enum pywatt_status replace(const struct pw_sqlite_place *place,
                                  struct pw_store_salvage *salvage, struct pywatt_error *error)
{
    char *aside = NULL;
    const enum pywatt_status status = pw_sqlite_files_recovered(place, &aside, error);
    if (aside != NULL) {
        const size_t len = strlen(aside);
        const size_t room = sizeof(salvage->aside) - 1;
        snprintf(salvage->aside, sizeof(salvage->aside), "%s",
                 aside + (len > room ? len - room : 0));
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
    enum pywatt_status status =
        path == NULL ? pw_error_no_memory(error) : pw_sqlite_place_init(&r.new_place, path, error);
    free(path);
    if (status != PYWATT_OK) {
        return status;
    }
    if (pw_sqlite_index_init(&r.kept) != PYWATT_OK) {
        pw_sqlite_place_destroy(&r.new_place);
        return pw_error_no_memory(error);
    }
    status = read_into_new(&r, error);
    if (status == PYWATT_OK) {
        status = replace(place, salvage, error);
    }
    pw_sqlite_index_destroy(&r.kept);
    pw_sqlite_place_destroy(&r.new_place);
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
    status = pw_sqlite_files_check_damaged(&place, error);
    if (status == PYWATT_OK) {
        status = pw_sqlite_lock(&place, &lock_fd, error);
    }
    if (status == PYWATT_OK) {
        status = pw_sqlite_files_end_recovery(&place, error);
        if (status == PYWATT_OK) {
            status = recover_locked(&place, lock_fd, out, error);
        }
        pw_sqlite_unlock(lock_fd);
    }
    pw_sqlite_place_destroy(&place);
    return status;
}
