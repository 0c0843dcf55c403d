/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_row.c - a record as a row of the table `modules`, and back. No state; any thread.
 *
 * A row carries a checksum of all that it says, since SQLite sees damage of its structure only: a byte
 * that changed in a text, in a token's hash or in a generation is found when the row is read. It is
 * SipHash with a key that anybody may know: it finds accidents, not attacks.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/siphash.h"
#include "base/uuid.h"
#include "codec/json_part.h"

#include <stdint.h>
#include <string.h>

/* The places of the columns in all statements; parameters count from 1. */
enum column {
    COLUMN_ID,
    COLUMN_NAME,
    COLUMN_GENERATION,
    COLUMN_LEASE_MS,
    COLUMN_TOKEN_HASH,
    COLUMN_INFO,
    COLUMN_CAPABILITIES,
    COLUMN_CHECKSUM,
    COLUMN_NUMBER
};

/* ---- The checksum ---- */

static uint64_t add(uint64_t sum, const void *data, size_t len)
{
    const uint64_t key[2] = {sum, len};
    return pw_siphash13(key, data, len);
}

static uint64_t add_number(uint64_t sum, uint64_t number)
{
    uint8_t bytes[8];
    pw_store_be32(bytes, (uint32_t)(number >> 32));
    pw_store_be32(bytes + 4, (uint32_t)number);
    return add(sum, bytes, sizeof(bytes));
}

static uint64_t checksum(const struct pw_sqlite_row *row)
{
    uint64_t sum = add(0, row->id, PW_UUID_TEXT_LEN);
    sum = add(sum, row->name.data, row->name.len);
    sum = add_number(sum, row->generation);
    sum = add_number(sum, row->lease_ms);
    sum = add(sum, row->token_hash, sizeof(row->token_hash));
    sum = add(sum, row->info.data, row->info.len);
    sum = add_number(sum, row->capabilities.data != NULL);
    return add(sum, row->capabilities.data, row->capabilities.len);
}

/* ---- Writing ---- */

static void write_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        *out++ = pw_hex_digit(bytes[i] >> 4);
        *out++ = pw_hex_digit(bytes[i]);
    }
}

enum pywatt_status pw_sqlite_row_from_record(struct pw_sqlite_row *row, struct pw_buffer *text,
                                             const struct pw_store_record *record)
{
    enum pywatt_status status = pw_json_write_info(record->info->info, text, NULL);
    const size_t info_len = pw_buffer_len(text);
    if (status == PYWATT_OK && record->capabilities != NULL) {
        status = pw_json_write_capabilities(record->capabilities->capabilities, text, NULL);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    const char *const data = (const char *)pw_buffer_bytes(text);
    *row = (struct pw_sqlite_row){
        .generation = record->generation,
        .lease_ms = record->lease_ms,
        .name = pw_str_from(pywatt_module_info_name(record->info->info)),
        .info = {data, info_len},
    };
    if (record->capabilities != NULL) {
        row->capabilities = (struct pw_str){data + info_len, pw_buffer_len(text) - info_len};
    }
    pywatt_uuid_format(&record->id, row->id);
    write_hex(record->token_hash, sizeof(record->token_hash), row->token_hash);
    row->sum = checksum(row);
    return PYWATT_OK;
}

static int bind_text(sqlite3_stmt *statement, enum column column, const char *data, size_t len)
{
    return sqlite3_bind_text64(statement, (int)column + 1, data, len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_number(sqlite3_stmt *statement, enum column column, uint64_t number)
{
    return sqlite3_bind_int64(statement, (int)column + 1, (sqlite3_int64)number);
}

int pw_sqlite_row_bind(const struct pw_sqlite_row *row, sqlite3_stmt *statement)
{
    const int results[] = {
        bind_text(statement, COLUMN_ID, row->id, PW_UUID_TEXT_LEN),
        bind_text(statement, COLUMN_NAME, row->name.data, row->name.len),
        bind_number(statement, COLUMN_GENERATION, row->generation),
        bind_number(statement, COLUMN_LEASE_MS, row->lease_ms),
        bind_text(statement, COLUMN_TOKEN_HASH, row->token_hash, sizeof(row->token_hash)),
        bind_text(statement, COLUMN_INFO, row->info.data, row->info.len),
        /* NULL where there is no data. */
        bind_text(statement, COLUMN_CAPABILITIES, row->capabilities.data, row->capabilities.len),
        bind_number(statement, COLUMN_CHECKSUM, row->sum),
        bind_number(statement, COLUMN_NUMBER, (uint64_t)row->number),
    };
    int result = SQLITE_OK;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        result = result == SQLITE_OK ? results[i] : result;
    }
    return result;
}

/* ---- Reading ---- */

static uint64_t read_number(sqlite3_stmt *statement, enum column column)
{
    return (uint64_t)sqlite3_column_int64(statement, (int)column);
}

/* What is no text has the length that its text would have: the checksum tells. */
static struct pw_str read_text(sqlite3_stmt *statement, enum column column)
{
    const char *data = (const char *)sqlite3_column_text(statement, (int)column);
    const int len = sqlite3_column_bytes(statement, (int)column);
    return (struct pw_str){data, data == NULL || len < 0 ? 0 : (size_t)len};
}

static bool read_fixed(sqlite3_stmt *statement, enum column column, char *out, size_t len)
{
    const struct pw_str text = read_text(statement, column);
    if (text.len != len) {
        return false;
    }
    memcpy(out, text.data, len);
    return true;
}

bool pw_sqlite_row_is_sound(const struct pw_sqlite_row *row)
{
    return row->name.data != NULL && row->info.data != NULL && row->generation > 0 &&
           row->sum == checksum(row);
}

bool pw_sqlite_row_read(struct pw_sqlite_row *row, sqlite3_stmt *statement)
{
    *row = (struct pw_sqlite_row){
        .number = sqlite3_column_int64(statement, COLUMN_NUMBER),
        .generation = read_number(statement, COLUMN_GENERATION),
        .lease_ms = read_number(statement, COLUMN_LEASE_MS),
        .name = read_text(statement, COLUMN_NAME),
        .info = read_text(statement, COLUMN_INFO),
        .capabilities = read_text(statement, COLUMN_CAPABILITIES),
        .sum = read_number(statement, COLUMN_CHECKSUM),
    };
    return read_fixed(statement, COLUMN_ID, row->id, PW_UUID_TEXT_LEN) &&
           read_fixed(statement, COLUMN_TOKEN_HASH, row->token_hash, sizeof(row->token_hash)) &&
           pw_sqlite_row_is_sound(row);
}

static bool read_hex(const char *text, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int value = 0;
        for (int k = 0; k < 2; k++) {
            const char c = text[2 * i + (size_t)k];
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                     : -1;
            if (digit < 0) {
                return false;
            }
            value = value * 16 + digit;
        }
        out[i] = (uint8_t)value;
    }
    return true;
}

static enum pywatt_status read_info(struct pw_str text, struct pw_arena *arena,
                                    struct pw_shared_info **out, struct pywatt_error *error)
{
    struct pywatt_module_info *info = NULL;
    const enum pywatt_status status = pw_json_parse_info(text, arena, &info, error);
    if (status == PYWATT_OK) {
        *out = pw_shared_info_new(info);
        if (*out == NULL) {
            pywatt_module_info_free(info);
            return PYWATT_NO_MEMORY;
        }
    }
    return status;
}

static enum pywatt_status read_capabilities(struct pw_str text, struct pw_arena *arena,
                                            struct pw_shared_capabilities **out,
                                            struct pywatt_error *error)
{
    struct pywatt_capabilities *capabilities = NULL;
    if (text.data == NULL) {
        return PYWATT_OK;
    }
    const enum pywatt_status status = pw_json_parse_capabilities(text, arena, &capabilities, error);
    if (status == PYWATT_OK) {
        *out = pw_shared_capabilities_new(capabilities);
        if (*out == NULL) {
            pywatt_capabilities_free(capabilities);
            return PYWATT_NO_MEMORY;
        }
    }
    return status;
}

enum pywatt_status pw_sqlite_row_to_record(const struct pw_sqlite_row *row, struct pw_arena *arena,
                                           struct pw_store_record *record,
                                           struct pywatt_error *error)
{
    *record = (struct pw_store_record){.generation = row->generation, .lease_ms = row->lease_ms};
    if (!pw_uuid_parse_str((struct pw_str){row->id, PW_UUID_TEXT_LEN}, &record->id) ||
        !read_hex(row->token_hash, record->token_hash, sizeof(record->token_hash))) {
        return PYWATT_SERIALIZATION;
    }
    enum pywatt_status status = read_info(row->info, arena, &record->info, error);
    if (status == PYWATT_OK &&
        !pw_str_equal(pw_str_from(pywatt_module_info_name(record->info->info)), row->name)) {
        status = PYWATT_SERIALIZATION;
    }
    if (status == PYWATT_OK) {
        status = read_capabilities(row->capabilities, arena, &record->capabilities, error);
    }
    if (status != PYWATT_OK) {
        pw_shared_info_release(record->info);
    }
    pw_arena_reset(arena);
    return status;
}
