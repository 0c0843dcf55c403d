/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_index.c - which id has which row, and of which generation: all that a change is checked
 * against but the name, which the database itself keeps unique. The store's db_mutex guards it.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"
#include "base/uuid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum pywatt_status pw_sqlite_index_init(struct pw_sqlite_index *index)
{
    index->last_number = 0;
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
}

void pw_sqlite_index_remove(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry)
{
    pw_map_remove(&index->by_id, &entry->node);
}

/* ---- Loading ---- */

static enum pywatt_status load_row(struct pw_sqlite_index *index,
                                   const struct pw_sqlite_place *place, sqlite3_stmt *statement,
                                   struct pywatt_error *error)
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
    *entry = (struct pw_sqlite_entry){.id = id, .number = row.number, .generation = row.generation};
    pw_sqlite_index_insert(index, entry);
    index->last_number = row.number;
    return PYWATT_OK;
}

static enum pywatt_status check_count(const struct pw_sqlite_index *index,
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
    return PYWATT_OK;
}

enum pywatt_status pw_sqlite_index_load(struct pw_sqlite_index *index,
                                        const struct pw_sqlite_place *place,
                                        struct pw_sqlite_db *db, struct pywatt_error *error)
{
    sqlite3_stmt *statement = db->statements[PW_SQL_READ_ALL];
    enum pywatt_status status = PYWATT_OK;
    int result = SQLITE_ROW;
    clear(index);
    while (status == PYWATT_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        status = load_row(index, place, statement, error);
    }
    sqlite3_reset(statement);
    if (status == PYWATT_OK && result != SQLITE_DONE) {
        status = pw_sqlite_refuse(place, db, result, error);
    }
    return status == PYWATT_OK ? check_count(index, place, db, error) : status;
}
