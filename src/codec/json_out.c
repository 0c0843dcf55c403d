/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_out.c - writes JSON text to a buffer. No lock: one thread at a time.
 *
 * The Rust form leaves everything but quotes, backslashes and control characters as it is; the
 * Python form has ASCII only, with \u escapes in surrogate pairs where needed, and a blank behind
 * each comma and colon. Both are strict JSON.
 */
#include "codec/json_out.h"

#include "base/error.h"

/* Room that is asked for beyond what is needed, so that it is not asked for at every put. */
#define EXTRA_ROOM 256

/* Of the largest number. */
#define NUMBER_DIGITS 20

/* ---- Room --------------------------------------------------------------------------------- */

static void commit(struct pw_json_out *out)
{
    pw_buffer_commit(out->buffer, (size_t)(out->at - out->first));
    out->first = out->at;
    out->end = out->at;
}

static bool reserve(struct pw_json_out *out, size_t len)
{
    uint8_t *room = NULL;
    out->status = pw_buffer_reserve(out->buffer, len, &room);
    if (out->status != PYWATT_OK) {
        return false;
    }
    out->first = (char *)room;
    out->at = out->first;
    out->end = out->first + len;
    return true;
}

void pw_json_out_begin(struct pw_json_out *out, struct pw_buffer *buffer, enum pw_json_form form,
                       size_t expected)
{
    *out = (struct pw_json_out){
        .buffer = buffer, .before = pw_buffer_len(buffer), .form = form, .status = PYWATT_OK};
    if (!reserve(out, expected) && out->status == PYWATT_LIMIT) {
        out->status = PYWATT_OK; /* it was only a guess */
    }
}

bool pw_json_out_grow(struct pw_json_out *out, size_t len)
{
    if (out->status != PYWATT_OK) {
        return false;
    }
    if (out->first != NULL) {
        commit(out);
    }
    return reserve(out, len + EXTRA_ROOM) || (out->status == PYWATT_LIMIT && reserve(out, len));
}

enum pywatt_status pw_json_out_end(struct pw_json_out *out, struct pywatt_error *error)
{
    if (out->status == PYWATT_OK) {
        if (out->first != NULL) {
            commit(out);
        }
        return PYWATT_OK;
    }
    pw_buffer_truncate(out->buffer, out->before);
    if (out->status == PYWATT_NO_MEMORY) {
        return pw_error_no_memory(error);
    }
    return pw_error_set(error, out->status, "the message does not fit into the %zu bytes allowed",
                        out->buffer->limit);
}

/* ---- Strings ------------------------------------------------------------------------------ */

/* What becomes of an ASCII character: 0 itself, 'u' a \u escape, else the letter of its escape. */
static const char escapes[128] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

static void put_unit(struct pw_json_out *out, uint32_t unit)
{
    const char text[6] = {'\\',
                          'u',
                          pw_hex_digit(unit >> 12),
                          pw_hex_digit(unit >> 8),
                          pw_hex_digit(unit >> 4),
                          pw_hex_digit(unit)};
    pw_json_put(out, text, sizeof(text));
}

/* Puts the character at `at`, which is not ASCII, as escapes; returns how many bytes it has. */
static size_t put_wide(struct pw_json_out *out, const uint8_t *at, size_t left)
{
    const uint8_t lead = at[0];
    const size_t len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (left < len) {
        put_unit(out, 0xFFFD);
        return left;
    }
    uint32_t point = lead & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        point = point << 6 | (at[i] & 0x3Fu);
    }
    if (point < 0x10000) {
        put_unit(out, point);
    } else {
        put_unit(out, 0xD800 + ((point - 0x10000) >> 10));
        put_unit(out, 0xDC00 + (point & 0x3FF));
    }
    return len;
}

static inline bool is_plain(uint8_t byte, bool ascii_only)
{
    return byte < 0x80 ? escapes[byte] == 0 && !(ascii_only && byte == 0x7F) : !ascii_only;
}

/* Whether 8 bytes are all plain; may say no for bytes that are, never yes for ones that are not. */
static inline bool are_plain(const uint8_t *at, bool ascii_only)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    const uint64_t quote = word ^ (ones * '"');
    const uint64_t slash = word ^ (ones * '\\');
    uint64_t marks = ((word - ones * 0x20) | (quote - ones) | (slash - ones)) & ~word;
    if (ascii_only) {
        marks |= word | (word + ones); /* 0x80 and more, and 0x7F */
    }
    return (marks & (ones * 0x80)) == 0;
}

static inline const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end, bool ascii_only)
{
    while (end - at >= 8 && are_plain(at, ascii_only)) {
        at += 8;
    }
    while (at < end && is_plain(*at, ascii_only)) {
        at++;
    }
    return at;
}

static void put_ascii_escaped(struct pw_json_out *out, uint8_t byte)
{
    const char letter = escapes[byte];
    if (letter == 'u' || letter == 0) {
        put_unit(out, byte);
    } else {
        const char text[2] = {'\\', letter};
        pw_json_put(out, text, sizeof(text));
    }
}

void pw_json_put_text(struct pw_json_out *out, struct pw_str text)
{
    if (text.len == 0) {
        PW_JSON_PUT(out, "\"\"");
        return;
    }
    const uint8_t *at = (const uint8_t *)text.data;
    const uint8_t *const end = at + text.len;
    const bool ascii_only = out->form == PW_JSON_PYTHON;
    PW_JSON_PUT(out, "\"");
    while (at < end) {
        const uint8_t *const run = at;
        at = skip_plain(at, end, ascii_only);
        pw_json_put(out, (const char *)run, (size_t)(at - run));
        if (at == end) {
            break;
        }
        if (*at < 0x80) {
            put_ascii_escaped(out, *at++);
        } else {
            at += put_wide(out, at, (size_t)(end - at));
        }
    }
    PW_JSON_PUT(out, "\"");
}

/* ---- Other values ------------------------------------------------------------------------- */

char *pw_json_write_number(char *at, uint64_t value)
{
    if (value < 10) {
        *at = (char)('0' + value);
        return at + 1;
    }
    char digits[NUMBER_DIGITS];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(at, digits + first, sizeof(digits) - first);
    return at + sizeof(digits) - first;
}

void pw_json_put_number(struct pw_json_out *out, uint64_t value)
{
    char digits[NUMBER_DIGITS];
    pw_json_put(out, digits, (size_t)(pw_json_write_number(digits, value) - digits));
}

void pw_json_put_map(struct pw_json_out *out, const struct pywatt_string_map *map)
{
    const char *key = NULL;
    const char *value = NULL;
    PW_JSON_PUT(out, "{");
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        if (i > 0) {
            PW_JSON_PUT_FORM(out, ",", ", ");
        }
        pw_json_put_text(out, pw_str_from(key));
        PW_JSON_PUT_FORM(out, ":", ": ");
        pw_json_put_text(out, pw_str_from(value));
    }
    PW_JSON_PUT(out, "}");
}

/* One character of JSON text as Python spells it; returns how many bytes were taken. */
static size_t put_python_spelling(struct pw_json_out *out, const uint8_t *at, size_t left,
                                  bool *in_string)
{
    if (*at >= 0x80) {
        return put_wide(out, at, left);
    }
    if (*at == 0x7F) {
        put_unit(out, *at);
        return 1;
    }
    const size_t len = *at == '\\' && left > 1 ? 2 : 1;
    pw_json_put(out, (const char *)at, len);
    if (*at == '"') {
        *in_string = !*in_string;
    } else if (!*in_string && (*at == ',' || *at == ':')) {
        PW_JSON_PUT(out, " ");
    }
    return len;
}

void pw_json_put_compact(struct pw_json_out *out, struct pw_str json_text)
{
    if (out->form == PW_JSON_RUST) {
        pw_json_put(out, json_text.data, json_text.len);
        return;
    }
    const uint8_t *at = (const uint8_t *)json_text.data;
    const uint8_t *const end = at + json_text.len;
    bool in_string = false;
    while (at < end) {
        at += put_python_spelling(out, at, (size_t)(end - at), &in_string);
    }
}
