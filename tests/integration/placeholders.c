/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * placeholders.c - see the header. No state beyond the bindings.
 */
#include "placeholders.h"

#include <pywatt/uuid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One piece of a pattern: a byte, or a name. */
struct piece {
    size_t pattern_len;
    bool is_name;
    char name[16];
    uint8_t byte;
};

static bool read_piece(const char *at, struct piece *piece)
{
    const char *end = at[0] == '$' && at[1] == '{' ? strchr(at, '}') : NULL;
    *piece = (struct piece){.pattern_len = 1, .byte = (uint8_t)at[0]};
    if (end != NULL) {
        const size_t len = (size_t)(end - at) - 2;
        if (len == 0 || len >= sizeof(piece->name)) {
            return false;
        }
        piece->is_name = true;
        memcpy(piece->name, at + 2, len);
        piece->pattern_len = len + 3;
    } else if (at[0] == '\\' && at[1] == 'x' && at[2] != '\0' && at[3] != '\0') {
        const char digits[3] = {at[2], at[3], '\0'};
        piece->byte = (uint8_t)strtoul(digits, NULL, 16);
        piece->pattern_len = 4;
    }
    return true;
}

static const char *find(const struct bindings *bindings, const char *name)
{
    for (size_t i = 0; i < bindings->count; i++) {
        if (strcmp(bindings->items[i].name, name) == 0) {
            return bindings->items[i].value;
        }
    }
    return NULL;
}

static bool is_bound_to(const struct bindings *bindings, const char *value)
{
    for (size_t i = 0; i < bindings->count; i++) {
        if (strcmp(bindings->items[i].value, value) == 0) {
            return true;
        }
    }
    return false;
}

void bindings_set(struct bindings *bindings, const char *name, const char *value)
{
    struct binding *item = NULL;
    for (size_t i = 0; i < bindings->count && item == NULL; i++) {
        item = strcmp(bindings->items[i].name, name) == 0 ? &bindings->items[i] : NULL;
    }
    if (item == NULL && bindings->count < BINDINGS_MAX) {
        item = &bindings->items[bindings->count++];
        snprintf(item->name, sizeof(item->name), "%s", name);
    }
    if (item != NULL) {
        snprintf(item->value, sizeof(item->value), "%s", value);
    }
}

/* ---- What a name may stand for --------------------------------------------------------------- */

static bool begins_with(const char *name, const char *kind)
{
    return strncmp(name, kind, strlen(kind)) == 0;
}

static bool is_uuid_name(const char *name)
{
    return begins_with(name, "id") || begins_with(name, "uuid");
}

/* How many of the bytes are what the name may stand for; 0 if they are not. */
static size_t measure(const char *name, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789";
    static const char hex[] = "0123456789abcdef-";
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *const set = begins_with(name, "port")    ? digits
                            : begins_with(name, "token") ? base64
                                                         : hex;
    size_t count = 0;
    while (count < len && bytes[count] != 0 && strchr(set, bytes[count]) != NULL) {
        count++;
    }
    if (begins_with(name, "port")) {
        return count <= 5 ? count : 0;
    }
    if (begins_with(name, "token")) {
        return count == 43 ? count : 0;
    }
    char text[PYWATT_UUID_TEXT_SIZE] = "";
    struct pywatt_uuid uuid;
    if (!is_uuid_name(name) || count != sizeof(text) - 1) {
        return 0;
    }
    memcpy(text, bytes, count);
    return pywatt_uuid_parse(text, &uuid) == PYWATT_OK ? count : 0;
}

/* ---- Sending and receiving ------------------------------------------------------------------- */

static const char *value_to_send(struct bindings *bindings, const char *name)
{
    if (find(bindings, name) == NULL && is_uuid_name(name)) {
        char text[PYWATT_UUID_TEXT_SIZE];
        struct pywatt_uuid uuid;
        pywatt_uuid_generate(&uuid);
        pywatt_uuid_format(&uuid, text);
        bindings_set(bindings, name, text);
    }
    return find(bindings, name);
}

bool bindings_expand(struct bindings *bindings, const char *pattern, uint8_t *out, size_t size,
                     size_t *len)
{
    struct piece piece;
    *len = 0;
    for (const char *at = pattern; *at != '\0'; at += piece.pattern_len) {
        if (!read_piece(at, &piece)) {
            return false;
        }
        const char *value = piece.is_name ? value_to_send(bindings, piece.name) : "?";
        const size_t value_len = value == NULL ? 0 : strlen(value);
        if (value == NULL || value_len > size - *len) {
            return false;
        }
        memcpy(out + *len, piece.is_name ? (const void *)value : &piece.byte, value_len);
        *len += value_len;
    }
    return true;
}

static size_t match_name(struct bindings *bindings, const char *name, const uint8_t *bytes,
                         size_t len)
{
    const char *value = find(bindings, name);
    if (value != NULL) {
        const size_t value_len = strlen(value);
        return value_len <= len && memcmp(value, bytes, value_len) == 0 ? value_len : 0;
    }
    const size_t count = measure(name, bytes, len);
    char text[64];
    snprintf(text, sizeof(text), "%.*s", (int)count, (const char *)bytes);
    if (count == 0 || is_bound_to(bindings, text)) {
        return 0;
    }
    bindings_set(bindings, name, text);
    return count;
}

bool bindings_match(struct bindings *bindings, const char *pattern, const uint8_t *bytes,
                    size_t len, size_t *agreed)
{
    struct piece piece;
    const size_t bound_before = bindings->count;
    bool same = true;
    *agreed = 0;
    for (const char *at = pattern; *at != '\0' && same; at += piece.pattern_len) {
        const uint8_t *here = bytes + *agreed;
        size_t count = 0;
        if (!read_piece(at, &piece)) {
            return false;
        }
        if (piece.is_name) {
            count = match_name(bindings, piece.name, here, len - *agreed);
        } else {
            count = *agreed < len && *here == piece.byte;
        }
        *agreed += count;
        same = count > 0;
    }
    same = same && *agreed == len;
    if (!same) {
        bindings->count = bound_before;
    }
    return same;
}
