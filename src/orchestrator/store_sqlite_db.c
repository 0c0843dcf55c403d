/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_db.c - a connection to a database, its statements, and what its errors mean. One thread
 * at a time: the connection is opened without SQLite's own mutexes, and the store's db_mutex guards
 * it.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long another program, such as sqlite3(1), may hold a lock that we need. */
#define BUSY_TIMEOUT_MS 2000

#define COLUMNS "id, name, generation, lease_ms, token_hash, info, capabilities, checksum"

static const char *const texts[PW_SQL_COUNT] = {
    [PW_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [PW_SQL_COMMIT] = "COMMIT",
    [PW_SQL_ROLLBACK] = "ROLLBACK",
    [PW_SQL_SAVEPOINT] = "SAVEPOINT change",
    [PW_SQL_ROLLBACK_TO] = "ROLLBACK TO change",
    [PW_SQL_RELEASE] = "RELEASE change",
    [PW_SQL_INSERT] =
        "INSERT INTO modules (" COLUMNS ", number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [PW_SQL_UPDATE] = "UPDATE modules SET (" COLUMNS ") = (?, ?, ?, ?, ?, ?, ?, ?) "
                      "WHERE number = ?",
    [PW_SQL_UPDATE_REST] = "UPDATE modules SET generation = ?3, lease_ms = ?4, token_hash = ?5, "
                           "info = ?6, capabilities = ?7, checksum = ?8 WHERE number = ?9",
    [PW_SQL_DELETE] = "DELETE FROM modules WHERE number = ?",
    [PW_SQL_GET_STATE] = "SELECT revision, modules, digest FROM state",
    [PW_SQL_DATA_VERSION] = "PRAGMA data_version",
    [PW_SQL_PAGE_COUNT] = "PRAGMA page_count",
    [PW_SQL_SET_STATE] = "UPDATE state SET revision = ?, modules = ?, digest = ?",
    [PW_SQL_READ_ALL] = "SELECT " COLUMNS ", number FROM modules ORDER BY number",
    /* From the index alone. */
    [PW_SQL_READ_NAMES] = "SELECT name, number FROM modules "
                          "INDEXED BY sqlite_autoindex_modules_1 ORDER BY name",
    [PW_SQL_READ_ONE] = "SELECT " COLUMNS ", number FROM modules WHERE number = ?",
};

/*
 * What stands in the file is not trusted. Nothing of it is mapped, nor of its log, so that an error of
 * the disk is a result and no signal; only PATH-shm is, which has its room. The log is moved into the database by the writer, between two
 * transactions, and not by whoever commits.
 */
static const char *const settings[] = {
    "PRAGMA page_size = 4096",       "PRAGMA cell_size_check = ON", "PRAGMA mmap_size = 0",
    "PRAGMA temp_store = MEMORY",    "PRAGMA cache_size = -16384",  "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",
};

int pw_sqlite_db_open(struct pw_sqlite_db *db, const char *path)
{
    *db = (struct pw_sqlite_db){.handle = NULL};
    int result =
        sqlite3_open_v2(path, &db->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (result != SQLITE_OK) {
        return result;
    }
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    int chunk = PW_SQLITE_PAGE;
    (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]) && result == SQLITE_OK; i++) {
        result = pw_sqlite_db_run(db, settings[i]);
    }
    return result;
}

int pw_sqlite_db_prepare(struct pw_sqlite_db *db)
{
    int result = SQLITE_OK;
    for (int i = 0; i < PW_SQL_COUNT && result == SQLITE_OK; i++) {
        result = sqlite3_prepare_v3(db->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &db->statements[i], NULL);
    }
    return result;
}

void pw_sqlite_db_close(struct pw_sqlite_db *db)
{
    for (int i = 0; i < PW_SQL_COUNT; i++) {
        sqlite3_finalize(db->statements[i]);
    }
    sqlite3_close(db->handle);
    *db = (struct pw_sqlite_db){.handle = NULL};
}

void pw_sqlite_db_leave_log(struct pw_sqlite_db *db)
{
    if (db->handle != NULL) {
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
}

int pw_sqlite_db_run(struct pw_sqlite_db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

int pw_sqlite_db_text(struct pw_sqlite_db *db, const char *sql, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    if (result == SQLITE_ROW) {
        const char *const text = (const char *)sqlite3_column_text(statement, 0);
        snprintf(out, size, "%s", text == NULL ? "" : text);
        result = SQLITE_OK;
    } else if (result == SQLITE_DONE) {
        result = SQLITE_CORRUPT;
    }
    const int end = sqlite3_finalize(statement);
    return result == SQLITE_OK ? end : result;
}

int pw_sqlite_db_number(struct pw_sqlite_db *db, const char *sql, int64_t *out)
{
    char text[24];
    const int result = pw_sqlite_db_text(db, sql, text, sizeof(text));
    if (result == SQLITE_OK) {
        *out = strtoll(text, NULL, 10);
    }
    return result;
}

int pw_sqlite_db_step(struct pw_sqlite_db *db, enum pw_sqlite_statement which)
{
    const int result = sqlite3_step(db->statements[which]);
    sqlite3_reset(db->statements[which]);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int pw_sqlite_db_ask(struct pw_sqlite_db *db, enum pw_sqlite_statement which, int64_t *out)
{
    sqlite3_stmt *statement = db->statements[which];
    const int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result == SQLITE_DONE ? SQLITE_CORRUPT : result;
}

/* Rounded, so that it is seldom done. */
int pw_sqlite_db_make_room(struct pw_sqlite_db *db, int64_t pages)
{
    enum {
        STEP = 64
    };
    sqlite3_int64 bytes = (pages + STEP - 1) / STEP * STEP * PW_SQLITE_PAGE;
    const int result = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_SIZE_HINT, &bytes);
    /* Whatever the system says, there is no room. */
    return result == SQLITE_OK || result == SQLITE_NOTFOUND ? SQLITE_OK : SQLITE_FULL;
}

int pw_sqlite_db_get_state(struct pw_sqlite_db *db, struct pw_sqlite_state *out)
{
    sqlite3_stmt *statement = db->statements[PW_SQL_GET_STATE];
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        out->revision = (uint64_t)sqlite3_column_int64(statement, 0);
        out->modules = (uint64_t)sqlite3_column_int64(statement, 1);
        out->digest = (uint64_t)sqlite3_column_int64(statement, 2);
        result = SQLITE_OK;
    } else if (result == SQLITE_DONE) {
        result = SQLITE_CORRUPT;
    }
    sqlite3_reset(statement);
    return result;
}

int pw_sqlite_db_set_state(struct pw_sqlite_db *db, const struct pw_sqlite_state *state)
{
    sqlite3_stmt *statement = db->statements[PW_SQL_SET_STATE];
    int result = sqlite3_bind_int64(statement, 1, (sqlite3_int64)state->revision);
    if (result == SQLITE_OK) {
        result = sqlite3_bind_int64(statement, 2, (sqlite3_int64)state->modules);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_bind_int64(statement, 3, (sqlite3_int64)state->digest);
    }
    return result == SQLITE_OK ? pw_sqlite_db_step(db, PW_SQL_SET_STATE) : result;
}

/* ---- What errors mean ---- */

/* SQLite tells a full disk in several ways. */
static bool is_full(const struct pw_sqlite_db *db, int result)
{
    const int number = db->handle == NULL ? 0 : sqlite3_system_errno(db->handle);
    return (result & 0xff) == SQLITE_FULL ||
           ((result & 0xff) == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT));
}

enum pywatt_status pw_sqlite_status(const struct pw_sqlite_db *db, int result)
{
    if (is_full(db, result)) {
        return PYWATT_LIMIT;
    }
    if (result == SQLITE_IOERR_NOMEM) {
        return PYWATT_NO_MEMORY;
    }
    switch (result & 0xff) {
    case SQLITE_OK: return PYWATT_OK;
    case SQLITE_NOMEM: return PYWATT_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return PYWATT_UNAVAILABLE;
    default: return PYWATT_IO;
    }
}

enum pywatt_status pw_sqlite_refuse_damaged(const struct pw_sqlite_place *place, const char *what,
                                            struct pywatt_error *error)
{
    return pw_error_set(
        error, PYWATT_IO,
        "%s is damaged (%.50s); nothing was changed. What is sound in it is kept by: "
        "pywatt-orchestrator --recover, with the same --store",
        place->shown, what);
}

enum pywatt_status pw_sqlite_refuse(const struct pw_sqlite_place *place,
                                    const struct pw_sqlite_db *db, int result,
                                    struct pywatt_error *error)
{
    const enum pywatt_status status = pw_sqlite_status(db, result);
    switch (result & 0xff) {
    case SQLITE_CORRUPT: return pw_sqlite_refuse_damaged(place, "its pages do not fit", error);
    case SQLITE_NOTADB: return pw_sqlite_refuse_damaged(place, "it is no SQLite database", error);
    /* A statement that does not suit the tables: they were made by us, so somebody changed them. */
    case SQLITE_ERROR: return pw_sqlite_refuse_damaged(place, sqlite3_errmsg(db->handle), error);
    default: break;
    }
    if (status == PYWATT_NO_MEMORY) {
        return pw_error_no_memory(error);
    }
    if (status == PYWATT_LIMIT) {
        return pw_error_set(error, PYWATT_IO, "%s cannot be written: disk full", place->shown);
    }
    if (status == PYWATT_UNAVAILABLE) {
        return pw_error_set(error, PYWATT_IO,
                            "%s is locked by another program, such as sqlite3: end that first",
                            place->shown);
    }
    const int number = sqlite3_system_errno(db->handle);
    return pw_error_set(error, PYWATT_IO, "%s cannot be used: %.60s%s%.60s", place->shown,
                        sqlite3_errstr(result), number == 0 ? "" : ": ",
                        number == 0 ? "" : strerror(number));
}

/* ---- Before it is used ---- */

/*
 * The result in a report that a page cannot be had, or SQLITE_OK. What a disk does not give today is not
 * damaged, and nobody should leave it behind for that.
 */
static int result_in_report(const char *report)
{
    static const char before[] = "error code=";
    const char *at = strstr(report, before);
    return at == NULL ? SQLITE_OK : (int)strtol(at + sizeof(before) - 1, NULL, 10);
}

static enum pywatt_status check_structure(struct pw_sqlite_db *db,
                                          const struct pw_sqlite_place *place,
                                          struct pywatt_error *error)
{
    char text[256];
    const int result = pw_sqlite_db_text(db, "PRAGMA quick_check(1)", text, sizeof(text));
    if (result != SQLITE_OK) {
        return pw_sqlite_refuse(place, db, result, error);
    }
    const int reported = result_in_report(text);
    if ((reported & 0xff) == SQLITE_IOERR || (reported & 0xff) == SQLITE_NOMEM) {
        return pw_sqlite_refuse(place, db, reported, error);
    }
    /* A report may have a heading in a line of its own. */
    const char *line = strrchr(text, '\n');
    return strcmp(text, "ok") == 0
               ? PYWATT_OK
               : pw_sqlite_refuse_damaged(place, line == NULL ? text : line + 1, error);
}

/* A byte of the first page says so, or nobody may write the file. */
static enum pywatt_status check_writable(struct pw_sqlite_db *db,
                                         const struct pw_sqlite_place *place,
                                         struct pywatt_error *error)
{
    if (sqlite3_db_readonly(db->handle, "main") == 0) {
        return PYWATT_OK;
    }
    return access(place->path, W_OK) != 0
               ? pw_sqlite_refuse_file(place, "", "written", error)
               : pw_sqlite_refuse_damaged(place, "it says that it is for reading alone", error);
}

static enum pywatt_status use_log(struct pw_sqlite_db *db, const struct pw_sqlite_place *place,
                                  struct pywatt_error *error)
{
    char mode[16];
    const int result = pw_sqlite_db_text(db, "PRAGMA journal_mode = WAL", mode, sizeof(mode));
    if (result != SQLITE_OK) {
        return pw_sqlite_refuse(place, db, result, error);
    }
    return strcmp(mode, "wal") == 0
               ? PYWATT_OK
               : pw_error_set(error, PYWATT_IO,
                              "%s cannot have a write-ahead log: it must lie on a local disk",
                              place->shown);
}

enum pywatt_status pw_sqlite_db_check(struct pw_sqlite_db *db, const struct pw_sqlite_place *place,
                                      struct pywatt_error *error)
{
    enum pywatt_status status = pw_sqlite_schema_whose(place, db, error);
    if (status == PYWATT_OK) {
        status = check_structure(db, place, error);
    }
    if (status == PYWATT_OK) {
        status = check_writable(db, place, error);
    }
    if (status == PYWATT_OK) {
        status = pw_sqlite_schema_check(place, db, &pw_sqlite_schema, error);
    }
    if (status == PYWATT_OK) {
        status = use_log(db, place, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    const int result = pw_sqlite_db_prepare(db);
    return result == SQLITE_OK ? PYWATT_OK : pw_sqlite_refuse(place, db, result, error);
}
