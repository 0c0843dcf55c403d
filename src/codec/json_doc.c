/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_doc.c - reading a scanned JSON text. No state; any thread.
 */
#include "codec/json_doc.h"

#include "base/error.h"
#include "base/uuid.h"
#include "model/text.h"

#include <stdio.h>

/* Places deeper than this are not told in full. */
#define PLACE_DEPTH 8

/* ---- Errors ------------------------------------------------------------------------------- */

/* Writes "content.capabilities.endpoints[3].path"; cuts what does not fit. */
static void place_text(const struct pw_json_place *in, char *out, size_t size)
{
    const struct pw_json_place *chain[PLACE_DEPTH];
    size_t depth = 0;
    for (; in != NULL && depth < PLACE_DEPTH; in = in->in) {
        chain[depth++] = in;
    }
    size_t len = 0;
    out[0] = '\0';
    while (depth > 0 && len < size) {
        const struct pw_json_place *place = chain[--depth];
        const int n = place->name != NULL ? snprintf(out + len, size - len, "%s%s",
                                                     len == 0 ? "" : ".", place->name)
                                          : snprintf(out + len, size - len, "[%zu]", place->index);
        len += n > 0 ? (size_t)n : 0;
    }
}

enum pywatt_status pw_json_wrong(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                 const char *name, enum pywatt_status status, const char *what)
{
    if (doc->error == NULL) {
        return status;
    }
    const struct pw_json_place member = {.in = in, .name = name};
    char place[160];
    place_text(name == NULL ? in : &member, place, sizeof(place));
    return pw_error_set(doc->error, status, "%s %s", place, what);
}

enum pywatt_status pw_json_from_model(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                      const char *name, enum pywatt_status status)
{
    switch (status) {
    case PYWATT_OK: return PYWATT_OK;
    case PYWATT_NO_MEMORY: return pw_error_no_memory(doc->error);
    case PYWATT_LIMIT: return pw_json_wrong(doc, in, name, status, "is too long or too many");
    case PYWATT_INVALID_ARGUMENT:
        return pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, "must not be empty");
    default: return pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, "cannot be used");
    }
}

enum pywatt_status pw_json_no_room(const struct pw_json_doc *doc)
{
    if (doc->arena->exhausted) {
        return pw_error_set(doc->error, PYWATT_LIMIT,
                            "reading the message takes more than %zu bytes of memory, the limit",
                            doc->arena->budget);
    }
    return pw_error_no_memory(doc->error);
}

/* ---- Opening ------------------------------------------------------------------------------ */

/* A second scan with a tape as large as the limits and the text allow. */
static enum pywatt_status scan_large(struct pw_json_doc *doc, const struct pw_json_limits *limits)
{
    const size_t most = doc->text.len / 2 + 1;
    const uint32_t capacity = most < limits->max_tokens ? (uint32_t)most : limits->max_tokens;
    struct pw_json_token *tape = pw_arena_alloc(doc->arena, capacity * sizeof(*tape));
    if (tape == NULL) {
        return pw_json_no_room(doc);
    }
    doc->tokens = tape;
    return pw_json_scan(doc->text, limits, tape, capacity, &doc->count, doc->error);
}

enum pywatt_status pw_json_open(struct pw_json_doc *doc, struct pw_span payload,
                                const struct pw_codec_limits *limits, struct pw_arena *arena,
                                struct pw_json_token tape[PW_JSON_STACK_TAPE],
                                struct pywatt_error *error)
{
    const struct pw_json_limits scan_limits = {
        .max_depth = limits->max_depth,
        .max_tokens = limits->max_elements,
        .max_string_len = limits->max_string,
    };
    struct pywatt_error first; /* of the scan on the small tape; it may not be the last word */
    *doc = (struct pw_json_doc){.text = payload, .tokens = tape, .arena = arena, .error = error};
    enum pywatt_status status = pw_json_scan(payload, &scan_limits, tape, PW_JSON_STACK_TAPE,
                                             &doc->count, error == NULL ? NULL : &first);
    if (status == PYWATT_LIMIT && limits->max_elements > PW_JSON_STACK_TAPE) {
        status = scan_large(doc, &scan_limits);
    } else if (status != PYWATT_OK && error != NULL) {
        *error = first;
    }
    if (status == PYWATT_OK && doc->tokens[0].kind != PW_JSON_OBJECT) {
        status = pw_error_set(error, PYWATT_SERIALIZATION, "the message is no JSON object");
    }
    return status;
}

/* ---- Members ------------------------------------------------------------------------------ */

bool pw_json_escaped_key_is(struct pw_str raw, struct pw_str name)
{
    const uint8_t *at = (const uint8_t *)raw.data;
    const uint8_t *const end = at + raw.len;
    for (size_t i = 0; i < name.len; i++) {
        if (at == end || pw_json_plain_char(&at, end) != name.data[i]) {
            return false;
        }
    }
    return at == end;
}

/* Which of the keys a member's is; `count` if none. Looks first at `next` and those behind it. */
static size_t find_key(const struct pw_str *keys, size_t count, size_t next, struct pw_str raw,
                       bool escaped)
{
    for (size_t i = next; i < count; i++) {
        if (pw_json_key_is(raw, escaped, keys[i])) {
            return i;
        }
    }
    for (size_t i = 0; i < next; i++) {
        if (pw_json_key_is(raw, escaped, keys[i])) {
            return i;
        }
    }
    return count;
}

void pw_json_find(const struct pw_json_doc *doc, uint32_t object, const struct pw_str *keys,
                  size_t count, uint32_t *found)
{
    uint32_t seen = 0;
    size_t next = 0; /* most peers write members in our order */
    for (size_t i = 0; i < count; i++) {
        found[i] = PW_JSON_ABSENT;
    }
    const uint32_t end = doc->tokens[object].next;
    for (uint32_t key = object + 1; key < end; key = doc->tokens[key + 1].next) {
        const struct pw_str raw = pw_json_raw(doc->text, &doc->tokens[key]);
        const size_t i = find_key(keys, count, next, raw, doc->tokens[key].escaped);
        if (i == count) {
            continue;
        }
        if (seen & UINT32_C(1) << i) {
            found[i] = PW_JSON_TWICE;
        } else if (doc->tokens[key + 1].kind != PW_JSON_NULL) {
            found[i] = key + 1;
        }
        seen |= UINT32_C(1) << i;
        next = i + 1;
    }
}

enum pywatt_status pw_json_once(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const struct pw_str *keys, size_t count, const uint32_t *found)
{
    for (size_t i = 0; i < count; i++) {
        if (found[i] == PW_JSON_TWICE) {
            return pw_json_wrong(doc, in, keys[i].data, PYWATT_SERIALIZATION, "stands twice");
        }
    }
    return PYWATT_OK;
}

/* ---- Values ------------------------------------------------------------------------------- */

static const char *const must_be[] = {
    [PW_JSON_NULL] = "must be null",          [PW_JSON_FALSE] = "must be true or false",
    [PW_JSON_TRUE] = "must be true or false", [PW_JSON_NUMBER] = "must be a whole number",
    [PW_JSON_STRING] = "must be a string",    [PW_JSON_ARRAY] = "must be an array",
    [PW_JSON_OBJECT] = "must be an object",
};

enum pywatt_status pw_json_expect(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                  const char *name, uint32_t token, enum pw_json_kind kind)
{
    if (token == PW_JSON_ABSENT) {
        return pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, "is missing");
    }
    if (token == PW_JSON_TWICE) {
        return pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, "stands twice");
    }
    if (doc->tokens[token].kind != kind) {
        return pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, must_be[kind]);
    }
    return PYWATT_OK;
}

enum pywatt_status pw_json_text(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const char *name, uint32_t token, struct pw_str *out)
{
    enum pywatt_status status = pw_json_expect(doc, in, name, token, PW_JSON_STRING);
    if (status == PYWATT_OK && !pw_json_string(doc->text, &doc->tokens[token], doc->arena, out)) {
        status = pw_json_no_room(doc);
    }
    if (status == PYWATT_OK && doc->tokens[token].escaped &&
        memchr(out->data, '\0', out->len) != NULL) {
        status = pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, "must not have U+0000 in it");
    }
    return status;
}

enum pywatt_status pw_json_uuid(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const char *name, uint32_t token, struct pywatt_uuid *out)
{
    struct pw_str text;
    enum pywatt_status status = pw_json_text(doc, in, name, token, &text);
    if (status == PYWATT_OK && !pw_uuid_parse_str(text, out)) {
        status = pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION, "is no UUID");
    }
    return status;
}

enum pywatt_status pw_json_bool(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const char *name, uint32_t token, bool *out)
{
    if (pw_json_is(doc, token, PW_JSON_TRUE)) {
        *out = true;
        return PYWATT_OK;
    }
    *out = false;
    return pw_json_expect(doc, in, name, token, PW_JSON_FALSE);
}

enum pywatt_status pw_json_health(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                  const char *name, uint32_t token, enum pywatt_health *out)
{
    struct pw_str text;
    enum pywatt_status status = pw_json_text(doc, in, name, token, &text);
    if (status != PYWATT_OK) {
        return status;
    }
    for (int health = PYWATT_HEALTHY; health <= PYWATT_UNHEALTHY; health++) {
        const char *known = pywatt_health_name((enum pywatt_health)health);
        if (pw_text_equal_nocase(text, pw_str_from(known))) {
            *out = (enum pywatt_health)health;
            return PYWATT_OK;
        }
    }
    return pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION,
                         "must be healthy, degraded or unhealthy");
}

static bool parse_digits(struct pw_str text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return text.len > 0;
}

enum pywatt_status pw_json_whole(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                 const char *name, uint32_t token, uint64_t max, bool as_text,
                                 uint64_t *out)
{
    struct pw_str text;
    enum pywatt_status status;
    if (as_text && pw_json_is(doc, token, PW_JSON_STRING)) {
        status = pw_json_text(doc, in, name, token, &text);
    } else {
        status = pw_json_expect(doc, in, name, token, PW_JSON_NUMBER);
        if (status == PYWATT_OK) {
            const struct pw_json_token *number = &doc->tokens[token];
            text = (struct pw_str){(const char *)doc->text.data + number->offset, number->len};
        }
    }
    if (status == PYWATT_OK && !parse_digits(text, max, out)) {
        status = pw_json_wrong(doc, in, name, PYWATT_SERIALIZATION,
                               "must be a whole number of its range");
    }
    return status;
}
