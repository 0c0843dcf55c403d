/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_scan.h - the gate in front of every use of JSON: one pass over the bytes that checks the whole
 * text (RFC 8259 grammar, UTF-8, no lone surrogate escape, depth, number of values, length of
 * strings, all input consumed), and leaves a tape of tokens that later readers walk without checking
 * again. No lock, no state; any thread. Stands in base since the model checks JSON values of
 * capabilities with it, and the codec reads messages with it.
 *
 * What the grammar allows but a message must not have is refused where values get a meaning: a
 * member that stands twice and U+0000 in a text, by the readers of messages and the model's checks.
 * A value that nobody here looks into may have both.
 */
#ifndef PW_BASE_JSON_SCAN_H
#define PW_BASE_JSON_SCAN_H

#include "base/arena.h"
#include "base/bytes.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

enum pw_json_kind {
    PW_JSON_NULL,
    PW_JSON_FALSE,
    PW_JSON_TRUE,
    PW_JSON_NUMBER,
    PW_JSON_STRING,
    PW_JSON_ARRAY,
    PW_JSON_OBJECT
};

/*
 * One value. Tokens stand in the order of the text. An object's members are key, value, key,
 * value; a container's first child is the next token, and `next` is the index of the token behind
 * the whole value, so siblings are reached without descending.
 */
struct pw_json_token {
    uint32_t offset; /* of the first byte of the value in the text; a string's opening quote */
    uint32_t len;    /* to one past its last byte; a string's closing quote included */
    uint32_t next;
    uint16_t children; /* array: items; object: members; saturates at the limit checked */
    uint8_t kind;      /* enum pw_json_kind */
    uint8_t escaped;   /* a string that has a backslash in it */
};

struct pw_json_limits {
    uint32_t max_depth;
    uint32_t max_tokens;     /* keys count, too */
    uint32_t max_string_len; /* raw bytes between the quotes */
};

/*
 * Scans `text` into tokens[0..capacity), and sets *count. The tape may be on the stack: capacity
 * is the number of tokens accepted at most, if less than limits->max_tokens.
 * PYWATT_OK; PYWATT_SERIALIZATION (not JSON); PYWATT_LIMIT (depth, tokens, string). On failure
 * `error`, if not NULL, says what is wrong at which byte, without quoting the text.
 */
enum pywatt_status pw_json_scan(struct pw_span text, const struct pw_json_limits *limits,
                                struct pw_json_token *tokens, uint32_t capacity, uint32_t *count,
                                struct pywatt_error *error);

/* The raw characters between a string token's quotes. */
struct pw_str pw_json_raw(struct pw_span text, const struct pw_json_token *token);

/*
 * The string's value: the raw characters if nothing is escaped, else unescaped into `arena`; then it
 * may have a NUL in it. False when the arena has no room.
 */
bool pw_json_string(struct pw_span text, const struct pw_json_token *token, struct pw_arena *arena,
                    struct pw_str *out);

/*
 * The character at *at, moving *at behind it: itself, or what a \u escape of an ASCII character
 * stands for; -1 for any other escape. Among the raw characters of a string, which need not have been
 * scanned; *at is before `end`.
 */
int pw_json_plain_char(const uint8_t **at, const uint8_t *end);

/*
 * How many tokens a text has that was scanned before, for one whose tape is gone. Any other text gets
 * some number.
 */
size_t pw_json_count(struct pw_str text);

/*
 * Writes the value at tokens[index] without white space to `out`, which has room for the token's
 * `len` bytes; returns the length.
 */
size_t pw_json_compact(struct pw_span text, const struct pw_json_token *tokens, uint32_t index,
                       char *out);

#endif
