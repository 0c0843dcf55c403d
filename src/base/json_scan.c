/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_scan.c - the scanner of json_scan.h. No state: any thread, no lock, no heap, and the same
 * small stack whatever the text nests, since the chain of open containers stands in the tape itself
 * (`next` of an open container is its parent until it closes).
 *
 * The readers of a tape are in json_text.c.
 */
#include "base/json_scan.h"

#include "base/error.h"
#include "base/json_plain.h"
#include "base/json_private.h"
#include "base/utf8.h"

#define NO_PARENT UINT32_MAX

struct scanner {
    const uint8_t *base;
    const uint8_t *end;
    struct pw_json_token *tokens;
    uint32_t count;
    uint32_t capacity;
    uint32_t open; /* innermost open container, or NO_PARENT */
    uint32_t depth;
    const struct pw_json_limits *limits;
    struct pywatt_error *error;
    enum pywatt_status status; /* once something is wrong */
};

/*
 * The functions below take what begins at `at`, and return where it ends; NULL if something is wrong,
 * which is then told in `status` and `error`. Where the scan is stands nowhere but there, so that the
 * processor has it in a register.
 */

/* ---- Errors ------------------------------------------------------------------------------- */

#define COLD __attribute__((noinline, cold))

COLD static const uint8_t *malformed(struct scanner *s, const uint8_t *where, const char *what)
{
    s->status = pw_error_set(s->error, PYWATT_SERIALIZATION, "JSON, byte %zu: %s",
                             (size_t)(where - s->base), what);
    return NULL;
}

COLD static const uint8_t *over_limit(struct scanner *s, const uint8_t *where, const char *what,
                                      uint32_t limit)
{
    s->status = pw_error_set(s->error, PYWATT_LIMIT, "JSON, byte %zu: %s, the limit is %u",
                             (size_t)(where - s->base), what, limit);
    return NULL;
}

/* ---- Small pieces ------------------------------------------------------------------------- */

static inline bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline const uint8_t *skip_space(const struct scanner *s, const uint8_t *at)
{
    while (at < s->end && is_space(*at)) {
        at++;
    }
    return at;
}

/* ---- Strings ------------------------------------------------------------------------------ */

static const uint8_t *scan_unicode_escape(struct scanner *s, const uint8_t *at)
{
    const int unit = pw_json_hex4(at + 2, s->end);
    if (unit < 0) {
        return malformed(s, at, "\\u without four hex digits");
    }
    if (pw_json_is_low_surrogate(unit)) {
        return malformed(s, at, "a low surrogate without a high one");
    }
    at += 6;
    if (!pw_json_is_high_surrogate(unit)) {
        return at;
    }
    if (s->end - at < 6 || at[0] != '\\' || at[1] != 'u' ||
        !pw_json_is_low_surrogate(pw_json_hex4(at + 2, s->end))) {
        return malformed(s, at, "a high surrogate without a low one");
    }
    return at + 6;
}

static const uint8_t *scan_escape(struct scanner *s, const uint8_t *at)
{
    if (s->end - at < 2) {
        return malformed(s, at, "a string without its end");
    }
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return at + 2;
    case 'u': return scan_unicode_escape(s, at);
    default: return malformed(s, at, "an unknown escape");
    }
}

/* A character that is not plain, nor a quote. */
static const uint8_t *scan_special(struct scanner *s, const uint8_t *at)
{
    if (*at == '\\') {
        return scan_escape(s, at);
    }
    if (*at < 0x20) {
        return malformed(s, at, "a control character in a string");
    }
    const size_t len = *at == 0x7F ? 1 : pw_utf8_sequence_len(at, (size_t)(s->end - at));
    return len == 0 ? malformed(s, at, "not UTF-8") : at + len;
}

/* The rest of a string, up to its closing quote; there is something special at `at`. */
static const uint8_t *scan_to_quote(struct scanner *s, const uint8_t *at,
                                    struct pw_json_token *token)
{
    while (at < s->end && *at != '"') {
        if (*at == '\\') {
            token->escaped = 1;
        }
        at = scan_special(s, at);
        if (at == NULL) {
            return NULL;
        }
        at = pw_json_skip_plain(at, s->end);
    }
    return at == s->end ? malformed(s, at, "a string without its end") : at;
}

/* A string with its quotes, into `token`. */
static inline const uint8_t *scan_string(struct scanner *s, const uint8_t *const first,
                                         struct pw_json_token *token)
{
    token->escaped = 0;
    const uint8_t *at = pw_json_skip_plain(first + 1, s->end);
    if (at == s->end || *at != '"') {
        at = scan_to_quote(s, at, token);
        if (at == NULL) {
            return NULL;
        }
    }
    if ((size_t)(at - first) - 1 > s->limits->max_string_len) {
        return over_limit(s, first, "a long string", s->limits->max_string_len);
    }
    at++;
    token->offset = (uint32_t)(first - s->base);
    token->len = (uint32_t)(at - first);
    token->kind = PW_JSON_STRING;
    token->children = 0;
    token->next = s->count;
    return at;
}

/* ---- Numbers and words -------------------------------------------------------------------- */

static inline bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (is_digit(at, end)) {
        at++;
    }
    return at;
}

static const uint8_t *scan_number(struct scanner *s, const uint8_t *at)
{
    const uint8_t *const end = s->end;
    if (*at == '-') {
        at++;
    }
    if (!is_digit(at, end)) {
        return malformed(s, at, "a number without a digit");
    }
    if (*at == '0') {
        at++;
        if (is_digit(at, end)) {
            return malformed(s, at, "a number with a leading zero");
        }
    } else {
        at = skip_digits(at, end);
    }
    if (at < end && *at == '.') {
        at++;
        if (!is_digit(at, end)) {
            return malformed(s, at, "a number without a digit behind its point");
        }
        at = skip_digits(at, end);
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-')) {
            at++;
        }
        if (!is_digit(at, end)) {
            return malformed(s, at, "a number without a digit in its exponent");
        }
        at = skip_digits(at, end);
    }
    return at;
}

static const uint8_t *scan_word(struct scanner *s, const uint8_t *at, const char *word, size_t len)
{
    return (size_t)(s->end - at) < len || memcmp(at, word, len) != 0
               ? malformed(s, at, "a value is missing here")
               : at + len;
}

/* A number or a word, into `token`. */
static const uint8_t *scan_bare(struct scanner *s, const uint8_t *const first,
                                struct pw_json_token *token)
{
    const uint8_t *at;
    switch (*first) {
    case 'n':
        at = scan_word(s, first, "null", 4);
        token->kind = PW_JSON_NULL;
        break;
    case 'f':
        at = scan_word(s, first, "false", 5);
        token->kind = PW_JSON_FALSE;
        break;
    case 't':
        at = scan_word(s, first, "true", 4);
        token->kind = PW_JSON_TRUE;
        break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        at = scan_number(s, first);
        token->kind = PW_JSON_NUMBER;
        break;
    default: return malformed(s, first, "a value is missing here");
    }
    if (at != NULL) {
        token->offset = (uint32_t)(first - s->base);
        token->len = (uint32_t)(at - first);
        token->children = 0;
        token->escaped = 0;
        token->next = s->count;
    }
    return at;
}

/* ---- Containers --------------------------------------------------------------------------- */

/* Only if there is one left: s->count is below s->capacity. */
static inline struct pw_json_token *new_token(struct scanner *s)
{
    return &s->tokens[s->count++];
}

/* The bracket that opens a container. */
static const uint8_t *open_container(struct scanner *s, const uint8_t *at,
                                     struct pw_json_token *token, enum pw_json_kind kind)
{
    if (s->depth == s->limits->max_depth) {
        return over_limit(s, at, "nested too deeply", s->limits->max_depth);
    }
    s->depth++;
    token->offset = (uint32_t)(at - s->base);
    token->kind = (uint8_t)kind;
    token->children = 0;
    token->escaped = 0;
    token->next = s->open;
    s->open = s->count - 1;
    return at + 1;
}

/* The bracket that closes the innermost container. */
static inline const uint8_t *close_container(struct scanner *s, const uint8_t *at)
{
    struct pw_json_token *token = &s->tokens[s->open];
    at++;
    token->len = (uint32_t)(at - s->base) - token->offset;
    s->open = token->next;
    token->next = s->count;
    s->depth--;
    return at;
}

/* ---- The scan ----------------------------------------------------------------------------- */

/* A key and its colon. */
static const uint8_t *scan_key(struct scanner *s, const uint8_t *at)
{
    at = skip_space(s, at);
    if (at == s->end || *at != '"') {
        return malformed(s, at, "a key is missing here");
    }
    if (s->count == s->capacity) {
        return over_limit(s, at, "too many values", s->capacity);
    }
    at = scan_string(s, at, new_token(s));
    if (at == NULL) {
        return NULL;
    }
    at = skip_space(s, at);
    if (at == s->end || *at != ':') {
        return malformed(s, at, "a colon is missing here");
    }
    return at + 1;
}

/*
 * The beginning of a value: a whole plain one, or the bracket of a container and, if it is an object
 * with members, its first key. *complete says whether the value ended, too.
 */
static inline const uint8_t *begin_value(struct scanner *s, const uint8_t *at, bool *complete)
{
    at = skip_space(s, at);
    if (at == s->end) {
        return malformed(s, at, "a value is missing here");
    }
    if (s->count == s->capacity) {
        return over_limit(s, at, "too many values", s->capacity);
    }
    struct pw_json_token *const token = new_token(s);
    const uint8_t first = *at;
    *complete = true;
    if (first == '"') {
        return scan_string(s, at, token);
    }
    if (first != '{' && first != '[') {
        return scan_bare(s, at, token);
    }
    at = open_container(s, at, token, first == '{' ? PW_JSON_OBJECT : PW_JSON_ARRAY);
    if (at == NULL) {
        return NULL;
    }
    at = skip_space(s, at);
    /* In ASCII a closing bracket or brace stands two behind its opening one. */
    if (at < s->end && *at == first + 2) {
        return close_container(s, at);
    }
    *complete = false;
    return first == '{' ? scan_key(s, at) : at;
}

/* After a value: closes what ends, and comes to the next value's beginning or to the text's end. */
static inline const uint8_t *end_value(struct scanner *s, const uint8_t *at)
{
    while (s->open != NO_PARENT) {
        struct pw_json_token *container = &s->tokens[s->open];
        const bool object = container->kind == PW_JSON_OBJECT;
        if (container->children < UINT16_MAX) {
            container->children++;
        }
        at = skip_space(s, at);
        if (at == s->end) {
            return malformed(s, at, "a closing bracket is missing");
        }
        if (*at == ',') {
            at++;
            return object ? scan_key(s, at) : at;
        }
        if (*at != (object ? '}' : ']')) {
            return malformed(s, at, "a comma or a closing bracket is missing here");
        }
        at = close_container(s, at);
    }
    return at;
}

enum pywatt_status pw_json_scan(struct pw_span text, const struct pw_json_limits *limits,
                                struct pw_json_token *tokens, uint32_t capacity, uint32_t *count,
                                struct pywatt_error *error)
{
    *count = 0;
    if (text.len == 0) {
        return pw_error_set(error, PYWATT_SERIALIZATION, "JSON: nothing there");
    }
    if (text.len >= UINT32_MAX) {
        return pw_error_set(error, PYWATT_LIMIT, "JSON: %zu bytes are too many", text.len);
    }
    struct scanner s = {
        .base = text.data,
        .end = text.data + text.len,
        .tokens = tokens,
        .capacity = capacity < limits->max_tokens ? capacity : limits->max_tokens,
        .open = NO_PARENT,
        .limits = limits,
        .error = error,
    };
    const uint8_t *at = text.data;
    do {
        bool complete = false;
        at = begin_value(&s, at, &complete);
        if (at != NULL && complete) {
            at = end_value(&s, at);
        }
        if (at == NULL) {
            return s.status;
        }
    } while (s.open != NO_PARENT);
    at = skip_space(&s, at);
    if (at != s.end) {
        malformed(&s, at, "something behind the end of the value");
        return s.status;
    }
    *count = s.count;
    return PYWATT_OK;
}
