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
#include "base/json_private.h"
#include "base/utf8.h"

#define NO_PARENT UINT32_MAX

struct scanner {
    const uint8_t *base;
    const uint8_t *at;
    const uint8_t *end;
    struct pw_json_token *tokens;
    uint32_t count;
    uint32_t capacity;
    uint32_t open; /* innermost open container, or NO_PARENT */
    uint32_t depth;
    const struct pw_json_limits *limits;
    struct pywatt_error *error;
};

/* ---- Errors ------------------------------------------------------------------------------- */

static enum pywatt_status malformed(const struct scanner *s, const uint8_t *where, const char *what)
{
    return pw_error_set(s->error, PYWATT_SERIALIZATION, "JSON, byte %zu: %s",
                        (size_t)(where - s->base), what);
}

static enum pywatt_status over_limit(const struct scanner *s, const char *what, uint32_t limit)
{
    return pw_error_set(s->error, PYWATT_LIMIT, "JSON, byte %zu: %s, the limit is %u",
                        (size_t)(s->at - s->base), what, limit);
}

/* ---- Small pieces ------------------------------------------------------------------------- */

static inline void skip_space(struct scanner *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) {
        s->at++;
    }
}

/* What a byte means inside of a string. */
enum {
    PLAIN = 0,
    QUOTE = 1,
    BACKSLASH = 2,
    CONTROL = 3,
    HIGH = 4
};

static inline int string_class(uint8_t byte)
{
    if (byte >= 0x80) {
        return HIGH;
    }
    if (byte < 0x20) {
        return CONTROL;
    }
    return byte == '"' ? QUOTE : byte == '\\' ? BACKSLASH : PLAIN;
}

/*
 * Marks the top bits of those of 8 bytes that are not PLAIN. A borrow can mark bytes above a marked
 * one wrongly, never below, and never hide one: the lowest mark is exact.
 */
static inline uint64_t mark_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t quote = word ^ (ones * '"');
    const uint64_t slash = word ^ (ones * '\\');
    return ((word - ones * 0x20) | (quote - ones) | (slash - ones) | word) & (ones * 0x80);
}

/* 8 bytes, the first in memory being the lowest of the number. */
static inline uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        const uint64_t marks = mark_special(load_word(at));
        if (marks != 0) {
            return at + (__builtin_ctzll(marks) >> 3);
        }
        at += 8;
    }
    while (at < end && string_class(*at) == PLAIN) {
        at++;
    }
    return at;
}

/* ---- Strings ------------------------------------------------------------------------------ */

static enum pywatt_status scan_unicode_escape(struct scanner *s, const uint8_t *at,
                                              const uint8_t **after)
{
    const int unit = pw_json_hex4(at + 2, s->end);
    if (unit < 0) {
        return malformed(s, at, "\\u without four hex digits");
    }
    if (pw_json_is_low_surrogate(unit)) {
        return malformed(s, at, "a low surrogate without a high one");
    }
    *after = at + 6;
    if (pw_json_is_high_surrogate(unit)) {
        at += 6;
        if (s->end - at < 6 || at[0] != '\\' || at[1] != 'u' ||
            !pw_json_is_low_surrogate(pw_json_hex4(at + 2, s->end))) {
            return malformed(s, at, "a high surrogate without a low one");
        }
        *after = at + 6;
    }
    return PYWATT_OK;
}

/* `at` is at a backslash. */
static enum pywatt_status scan_escape(struct scanner *s, const uint8_t *at, const uint8_t **after)
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
    case 't': *after = at + 2; return PYWATT_OK;
    case 'u': return scan_unicode_escape(s, at, after);
    default: return malformed(s, at, "an unknown escape");
    }
}

/* Takes a string into `token`; s->at is at its opening quote. */
static enum pywatt_status scan_string(struct scanner *s, struct pw_json_token *token)
{
    const uint8_t *const first = s->at + 1;
    const uint8_t *at = first;
    token->escaped = 0;
    for (;;) {
        at = skip_plain(at, s->end);
        if (at == s->end) {
            return malformed(s, at, "a string without its end");
        }
        const int what = string_class(*at);
        if (what == QUOTE) {
            break;
        }
        if (what == CONTROL) {
            return malformed(s, at, "a control character in a string");
        }
        if (what == HIGH) {
            const size_t len = pw_utf8_sequence_len(at, (size_t)(s->end - at));
            if (len == 0) {
                return malformed(s, at, "not UTF-8");
            }
            at += len;
        } else {
            token->escaped = 1;
            enum pywatt_status status = scan_escape(s, at, &at);
            if (status != PYWATT_OK) {
                return status;
            }
        }
    }
    if ((size_t)(at - first) > s->limits->max_string_len) {
        return over_limit(s, "a long string", s->limits->max_string_len);
    }
    token->offset = (uint32_t)(s->at - s->base);
    s->at = at + 1;
    token->len = (uint32_t)(s->at - s->base) - token->offset;
    token->kind = PW_JSON_STRING;
    token->children = 0;
    token->next = s->count;
    return PYWATT_OK;
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

static enum pywatt_status scan_number(struct scanner *s)
{
    const uint8_t *at = s->at;
    if (*at == '-') {
        at++;
    }
    if (!is_digit(at, s->end)) {
        return malformed(s, at, "a number without a digit");
    }
    if (*at == '0') {
        at++;
        if (is_digit(at, s->end)) {
            return malformed(s, at, "a number with a leading zero");
        }
    } else {
        at = skip_digits(at, s->end);
    }
    if (at < s->end && *at == '.') {
        at++;
        if (!is_digit(at, s->end)) {
            return malformed(s, at, "a number without a digit behind its point");
        }
        at = skip_digits(at, s->end);
    }
    if (at < s->end && (*at | 0x20) == 'e') {
        at++;
        if (at < s->end && (*at == '+' || *at == '-')) {
            at++;
        }
        if (!is_digit(at, s->end)) {
            return malformed(s, at, "a number without a digit in its exponent");
        }
        at = skip_digits(at, s->end);
    }
    s->at = at;
    return PYWATT_OK;
}

static enum pywatt_status scan_word(struct scanner *s, const char *word, size_t len)
{
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) {
        return malformed(s, s->at, "a value is missing here");
    }
    s->at += len;
    return PYWATT_OK;
}

/* ---- Containers --------------------------------------------------------------------------- */

static enum pywatt_status new_token(struct scanner *s, struct pw_json_token **out)
{
    if (s->count == s->capacity) {
        return over_limit(s, "too many values", s->capacity);
    }
    *out = &s->tokens[s->count++];
    return PYWATT_OK;
}

static enum pywatt_status open_container(struct scanner *s, struct pw_json_token *token,
                                         enum pw_json_kind kind)
{
    if (s->depth == s->limits->max_depth) {
        return over_limit(s, "nested too deeply", s->limits->max_depth);
    }
    s->depth++;
    token->offset = (uint32_t)(s->at - s->base);
    token->kind = (uint8_t)kind;
    token->children = 0;
    token->escaped = 0;
    token->next = s->open;
    s->open = s->count - 1;
    s->at++;
    return PYWATT_OK;
}

/* s->at is at the closing bracket of the innermost container. */
static void close_container(struct scanner *s)
{
    struct pw_json_token *token = &s->tokens[s->open];
    s->at++;
    token->len = (uint32_t)(s->at - s->base) - token->offset;
    s->open = token->next;
    token->next = s->count;
    s->depth--;
}

/* ---- The scan ----------------------------------------------------------------------------- */

static enum pywatt_status scan_plain_value(struct scanner *s, struct pw_json_token *token)
{
    enum pywatt_status status;
    const uint8_t *const first = s->at;
    switch (*first) {
    case '"': return scan_string(s, token);
    case 'n':
        status = scan_word(s, "null", 4);
        token->kind = PW_JSON_NULL;
        break;
    case 'f':
        status = scan_word(s, "false", 5);
        token->kind = PW_JSON_FALSE;
        break;
    case 't':
        status = scan_word(s, "true", 4);
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
        status = scan_number(s);
        token->kind = PW_JSON_NUMBER;
        break;
    default: return malformed(s, first, "a value is missing here");
    }
    token->offset = (uint32_t)(first - s->base);
    token->len = (uint32_t)(s->at - first);
    token->children = 0;
    token->escaped = 0;
    token->next = s->count;
    return status;
}

/* Takes a key and its colon. */
static enum pywatt_status scan_key(struct scanner *s)
{
    skip_space(s);
    if (s->at == s->end || *s->at != '"') {
        return malformed(s, s->at, "a key is missing here");
    }
    struct pw_json_token *token = NULL;
    enum pywatt_status status = new_token(s, &token);
    if (status == PYWATT_OK) {
        status = scan_string(s, token);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    skip_space(s);
    if (s->at == s->end || *s->at != ':') {
        return malformed(s, s->at, "a colon is missing here");
    }
    s->at++;
    return PYWATT_OK;
}

/*
 * Takes the beginning of a value: a whole plain one, or the bracket of a container and, if it is an
 * object with members, its first key. *complete says whether the value ended, too.
 */
static enum pywatt_status begin_value(struct scanner *s, bool *complete)
{
    skip_space(s);
    if (s->at == s->end) {
        return malformed(s, s->at, "a value is missing here");
    }
    struct pw_json_token *token = NULL;
    enum pywatt_status status = new_token(s, &token);
    if (status != PYWATT_OK) {
        return status;
    }
    const uint8_t bracket = *s->at;
    *complete = true;
    if (bracket != '{' && bracket != '[') {
        return scan_plain_value(s, token);
    }
    status = open_container(s, token, bracket == '{' ? PW_JSON_OBJECT : PW_JSON_ARRAY);
    if (status != PYWATT_OK) {
        return status;
    }
    skip_space(s);
    /* In ASCII a closing bracket or brace stands two behind its opening one. */
    if (s->at < s->end && *s->at == bracket + 2) {
        close_container(s);
        return PYWATT_OK;
    }
    *complete = false;
    return bracket == '{' ? scan_key(s) : PYWATT_OK;
}

/* After a value: closes what ends, and comes to the next value's beginning or to the text's end. */
static enum pywatt_status end_value(struct scanner *s)
{
    while (s->open != NO_PARENT) {
        struct pw_json_token *container = &s->tokens[s->open];
        const bool object = container->kind == PW_JSON_OBJECT;
        if (container->children < UINT16_MAX) {
            container->children++;
        }
        skip_space(s);
        if (s->at == s->end) {
            return malformed(s, s->at, "a closing bracket is missing");
        }
        if (*s->at == ',') {
            s->at++;
            return object ? scan_key(s) : PYWATT_OK;
        }
        if (*s->at != (object ? '}' : ']')) {
            return malformed(s, s->at, "a comma or a closing bracket is missing here");
        }
        close_container(s);
    }
    return PYWATT_OK;
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
        .at = text.data,
        .end = text.data + text.len,
        .tokens = tokens,
        .capacity = capacity < limits->max_tokens ? capacity : limits->max_tokens,
        .open = NO_PARENT,
        .limits = limits,
        .error = error,
    };
    do {
        bool complete = false;
        enum pywatt_status status = begin_value(&s, &complete);
        if (status == PYWATT_OK && complete) {
            status = end_value(&s);
        }
        if (status != PYWATT_OK) {
            return status;
        }
    } while (s.open != NO_PARENT);
    skip_space(&s);
    if (s.at != s.end) {
        return malformed(&s, s.at, "something behind the end of the value");
    }
    *count = s.count;
    return PYWATT_OK;
}
