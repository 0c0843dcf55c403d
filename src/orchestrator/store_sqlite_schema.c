/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_schema.c - the tables, and how those of older versions become those of this one. A
 * database tells that it is ours by its application_id, and how its tables look by its user_version.
 *
 * A change of the tables is one more step at the end of the list; steps that were released are never
 * changed.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>

/* "PyWt" */
#define APPLICATION_ID 0x50795774

/*
 * Rows stand in the order in which they were made, so that many new ones share pages. An index of the
 * ids, which are random, would have as many pages written as there are rows; it is kept in memory.
 *
 * `state` says how many rows there are, and what their checksums come to (exclusive or), so that one
 * that has vanished is missed, and one that is older than it should be. Who deletes one by hand does
 * so on purpose.
 */
static const char *const steps[] = {
    "CREATE TABLE modules ("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL,"
    " name TEXT NOT NULL UNIQUE,"
    " generation INTEGER NOT NULL,"
    " lease_ms INTEGER NOT NULL,"
    " token_hash TEXT NOT NULL,"
    " info TEXT NOT NULL,"
    " capabilities TEXT,"
    " checksum INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE state ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " revision INTEGER NOT NULL,"
    " modules INTEGER NOT NULL,"
    " digest INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO state VALUES (1, 0, 0, 0);"
    "CREATE TRIGGER deleted AFTER DELETE ON modules BEGIN"
    " UPDATE state SET modules = modules - 1,"
    " digest = (digest | old.checksum) & ~(digest & old.checksum);"
    "END;",
};

const struct pw_sqlite_schema pw_sqlite_schema = {
    .steps = steps,
    .version = sizeof(steps) / sizeof(steps[0]),
};

static int set_version(struct pw_sqlite_db *db, int64_t version)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64,
             APPLICATION_ID, version);
    return pw_sqlite_db_run(db, sql);
}

/* All or nothing. */
static int take_steps(struct pw_sqlite_db *db, const struct pw_sqlite_schema *schema, int64_t from)
{
    int result = pw_sqlite_db_run(db, "BEGIN EXCLUSIVE");
    for (int64_t i = from; i < schema->version && result == SQLITE_OK; i++) {
        result = pw_sqlite_db_run(db, schema->steps[i]);
    }
    if (result == SQLITE_OK) {
        result = set_version(db, schema->version);
    }
    if (result == SQLITE_OK) {
        result = pw_sqlite_db_run(db, "COMMIT");
    }
    if (result != SQLITE_OK && !sqlite3_get_autocommit(db->handle)) {
        (void)pw_sqlite_db_run(db, "ROLLBACK");
    }
    return result;
}

int pw_sqlite_schema_create(struct pw_sqlite_db *db, const struct pw_sqlite_schema *schema)
{
    return take_steps(db, schema, 0);
}

struct identity {
    int64_t application;
    int64_t version;
};

static int read_identity(struct pw_sqlite_db *db, struct identity *out)
{
    const int result = pw_sqlite_db_number(db, "PRAGMA application_id", &out->application);
    return result == SQLITE_OK ? pw_sqlite_db_number(db, "PRAGMA user_version", &out->version)
                               : result;
}

static bool says_ours(const struct identity *identity)
{
    return identity->application == APPLICATION_ID && identity->version >= 1;
}

/* A byte of what it says may have changed; nobody else has such tables. */
static bool has_our_tables(struct pw_sqlite_db *db)
{
    return pw_sqlite_db_run(db, "SELECT number, id, name, generation, lease_ms, token_hash, info,"
                                " capabilities, checksum FROM modules LIMIT 0;"
                                "SELECT one, revision, modules, digest FROM state LIMIT 0") ==
           SQLITE_OK;
}

static enum pywatt_status check_identity(const struct pw_sqlite_place *place,
                                         struct pw_sqlite_db *db, const struct identity *identity,
                                         const struct pw_sqlite_schema *schema,
                                         struct pywatt_error *error)
{
    if (!says_ours(identity) && !has_our_tables(db)) {
        return pw_error_set(
            error, PYWATT_IO,
            "%s is a database, but none of an orchestrator: choose another file, or "
            "move it away. Nothing was changed",
            place->shown);
    }
    if (says_ours(identity) && identity->version > schema->version) {
        return pw_error_set(error, PYWATT_IO,
                            "%s was written by a newer pywatt-orchestrator (schema %" PRId64
                            ", this one knows %" PRId64 "): use that one. Nothing was changed",
                            place->shown, identity->version, schema->version);
    }
    return PYWATT_OK;
}

enum pywatt_status pw_sqlite_schema_whose(const struct pw_sqlite_place *place,
                                          struct pw_sqlite_db *db, struct pywatt_error *error)
{
    struct identity identity;
    return read_identity(db, &identity) == SQLITE_OK
               ? check_identity(place, db, &identity, &pw_sqlite_schema, error)
               : PYWATT_OK;
}

enum pywatt_status pw_sqlite_schema_check(const struct pw_sqlite_place *place,
                                          struct pw_sqlite_db *db,
                                          const struct pw_sqlite_schema *schema,
                                          struct pywatt_error *error)
{
    struct identity identity;
    int result = read_identity(db, &identity);
    if (result == SQLITE_OK) {
        const enum pywatt_status status = check_identity(place, db, &identity, schema, error);
        if (status == PYWATT_OK && !says_ours(&identity)) {
            return pw_sqlite_refuse_damaged(place, "it does not say whose it is", error);
        }
        if (status != PYWATT_OK || identity.version == schema->version) {
            return status;
        }
        result = take_steps(db, schema, identity.version);
    }
    return result == SQLITE_OK ? PYWATT_OK : pw_sqlite_refuse(place, db, result, error);
}
