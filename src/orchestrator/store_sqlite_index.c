/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_index.c - which id has which row, and of which generation: all that a change is checked
 * against but the name, which the database itself keeps unique. The store's db_mutex guards it.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"
#include "base/siphash.h"
#include "base/uuid.h"

#include <pywatt/model.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pywatt_status pw_sqlite_index_init(struct pw_sqlite_index *index)
{
    *index = (struct pw_sqlite_index){.last_number = 0};
    pw_map_init(&index->by_id);
    /* With this, inserting cannot fail. */
    return pw_map_reserve(&index->by_id, 1);
}

static void clear(struct pw_sqlite_index *index)
{
    size_t bucket = 0;
    struct pw_map_node *node = pw_map_walk(&index->by_id, &bucket, NULL);
    while (node != NULL) {
        struct pw_map_node *next = pw_map_walk(&index->by_id, &bucket, node);
        struct pw_sqlite_entry *entry = PW_CONTAINER_OF(node, struct pw_sqlite_entry, node);
        pw_sqlite_index_remove(index, entry);
        free(entry);
        node = next;
    }
}

void pw_sqlite_index_destroy(struct pw_sqlite_index *index)
{
    clear(index);
    pw_map_destroy(&index->by_id);
}

struct pw_sqlite_entry *pw_sqlite_index_find(const struct pw_sqlite_index *index,
                                             const struct pywatt_uuid *id)
{
    struct pw_map_node *node = pw_map_first(&index->by_id, pw_hash_uuid(id));
    for (; node != NULL; node = pw_map_next(node)) {
        struct pw_sqlite_entry *entry = PW_CONTAINER_OF(node, struct pw_sqlite_entry, node);
        if (pywatt_uuid_equal(&entry->id, id)) {
            return entry;
        }
    }
    return NULL;
}

void pw_sqlite_index_insert(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry)
{
    (void)pw_map_insert(&index->by_id, &entry->node, pw_hash_uuid(&entry->id));
    index->digest ^= entry->sum;
}

void pw_sqlite_index_update(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry,
                            const struct pw_sqlite_entry *like)
{
    index->digest ^= entry->sum ^ like->sum;
    entry->generation = like->generation;
    entry->sum = like->sum;
    entry->name = like->name;
}

struct pw_sqlite_entry pw_sqlite_entry_of(const struct pw_sqlite_row *row,
                                          const struct pywatt_uuid *id)
{
    return (struct pw_sqlite_entry){
        .id = *id,
        .number = row->number,
        .generation = row->generation,
        .sum = row->sum,
        .name = pw_hash_bytes(row->name.data, row->name.len),
    };
}

void pw_sqlite_index_remove(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry)
{
    pw_map_remove(&index->by_id, &entry->node);
    index->digest ^= entry->sum;
}

/* ---- Loading ---- */

/* What is to be the same in all rows and in the index of their names. */
struct names {
    uint64_t digest;
    char last[PYWATT_NAME_MAX];
    size_t last_len;
};

static uint64_t sum_of_name(struct pw_str name, int64_t number)
{
    const uint64_t key[2] = {(uint64_t)number, name.len};
    return pw_siphash13(key, name.data, name.len);
}

static enum pywatt_status load_row(struct pw_sqlite_index *index,
                                   const struct pw_sqlite_place *place, sqlite3_stmt *statement,
                                   struct names *names, struct pywatt_error *error)
{
    struct pw_sqlite_row row;
    struct pywatt_uuid id;
    const bool sound = pw_sqlite_row_read(&row, statement) &&
                       pw_uuid_parse_str((struct pw_str){row.id, PW_UUID_TEXT_LEN}, &id);
    if (!sound || pw_sqlite_index_find(index, &id) != NULL) {
        char what[64];
        snprintf(what, sizeof(what), "record %" PRId64 " %s", row.number,
                 sound ? "is there twice" : "is not as it was written");
        return pw_sqlite_refuse_damaged(place, what, error);
    }
    struct pw_sqlite_entry *entry = malloc(sizeof(*entry));
    if (entry == NULL) {
        return pw_error_no_memory(error);
    }
    *entry = pw_sqlite_entry_of(&row, &id);
    pw_sqlite_index_insert(index, entry);
    index->last_number = row.number;
    names->digest ^= sum_of_name(row.name, row.number);
    return PYWATT_OK;
}

static enum pywatt_status load_rows(struct pw_sqlite_index *index,
                                    const struct pw_sqlite_place *place, struct pw_sqlite_db *db,
                                    struct names *names, struct pywatt_error *error)
{
    sqlite3_stmt *statement = db->statements[PW_SQL_READ_ALL];
    enum pywatt_status status = PYWATT_OK;
    int result = SQLITE_ROW;
    while (status == PYWATT_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        status = load_row(index, place, statement, names, error);
    }
    sqlite3_reset(statement);
    return status == PYWATT_OK && result != SQLITE_DONE ? pw_sqlite_refuse(place, db, result, error)
                                                        : status;
}

/* ---- What all of them come to ---- */

static enum pywatt_status check_state(const struct pw_sqlite_index *index,
                                      const struct pw_sqlite_place *place, struct pw_sqlite_db *db,
                                      struct pywatt_error *error)
{
    struct pw_sqlite_state state;
    const int result = pw_sqlite_db_get_state(db, &state);
    if (result != SQLITE_OK) {
        return pw_sqlite_refuse(place, db, result, error);
    }
    if (state.modules != index->by_id.count) {
        char what[64];
        snprintf(what, sizeof(what), "%zu records of %" PRIu64 " are there", index->by_id.count,
                 state.modules);
        return pw_sqlite_refuse_damaged(place, what, error);
    }
    return state.digest == index->digest
               ? PYWATT_OK
               : pw_sqlite_refuse_damaged(place, "a record is not the one written last", error);
}

/* The next one of the index of names; false if it does not come behind the one before. */
static bool add_name(struct names *names, sqlite3_stmt *statement)
{
    const char *const data = (const char *)sqlite3_column_text(statement, 0);
    const int len = sqlite3_column_bytes(statement, 0);
    if (data == NULL || len <= 0 || len > PYWATT_NAME_MAX) {
        return false;
    }
    const struct pw_str name = {data, (size_t)len};
    const size_t both = name.len < names->last_len ? name.len : names->last_len;
    const int order = memcmp(names->last, name.data, both);
    const bool behind = order < 0 || (order == 0 && names->last_len < name.len);
    memcpy(names->last, name.data, name.len);
    names->last_len = name.len;
    names->digest ^= sum_of_name(name, sqlite3_column_int64(statement, 1));
    return behind;
}

/*
 * A module whose name is missed in the index could not be changed any more, nor would its name be kept
 * from others; "PRAGMA quick_check" does not see it. `names` comes to nothing if all are there.
 */
static enum pywatt_status check_names(const struct pw_sqlite_place *place, struct pw_sqlite_db *db,
                                      struct names *names, struct pywatt_error *error)
{
    sqlite3_stmt *statement = db->statements[PW_SQL_READ_NAMES];
    int result = SQLITE_ROW;
    bool in_order = true;
    while (in_order && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        in_order = add_name(names, statement);
    }
    sqlite3_reset(statement);
    if (in_order && result != SQLITE_DONE) {
        return pw_sqlite_refuse(place, db, result, error);
    }
    return in_order && names->digest == 0
               ? PYWATT_OK
               : pw_sqlite_refuse_damaged(place, "the index of names is not that of its records",
                                          error);
}

enum pywatt_status pw_sqlite_index_load(struct pw_sqlite_index *index,
                                        const struct pw_sqlite_place *place,
                                        struct pw_sqlite_db *db, struct pywatt_error *error)
{
    struct names names = {.digest = 0};
    clear(index);
    enum pywatt_status status = load_rows(index, place, db, &names, error);
    if (status == PYWATT_OK) {
        status = check_state(index, place, db, error);
    }
    return status == PYWATT_OK ? check_names(place, db, &names, error) : status;
}
