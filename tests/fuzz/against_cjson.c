/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See against_cjson.h. */
#include "against_cjson.h"

#include "base/json_scan.h"
#include "codec/codec.h"
#include "fuzz.h"

#include <cjson/cJSON.h>

#include <string.h>

enum {
    TOKENS_MAX = 4096,
    CJSON_NUMBER_MAX = 63
};

struct scanned {
    struct pw_span text;
    struct pw_json_token tokens[TOKENS_MAX];
    uint32_t count;
    enum pywatt_status status;
    struct pywatt_error error;
};

static void scan(struct scanned *scanned, struct pw_span text)
{
    const struct pw_json_limits limits = {
        .max_depth = pw_codec_default_limits.max_depth,
        .max_tokens = TOKENS_MAX,
        .max_string_len = pw_codec_default_limits.max_string,
    };
    scanned->text = text;
    scanned->status =
        pw_json_scan(text, &limits, scanned->tokens, TOKENS_MAX, &scanned->count, &scanned->error);
}

/* ---- What both take ---- */

static void compare_string(const struct scanned *scanned, const struct pw_json_token *token,
                           const char *string)
{
    struct pw_arena arena;
    struct pw_str ours;
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    FUZZ_CHECK(pw_json_string(scanned->text, token, &arena, &ours), "no room for a text");
    /* cJSON's ends at a U+0000. */
    const size_t len = strnlen(ours.data, ours.len);
    FUZZ_CHECK(string != NULL && strlen(string) == len && memcmp(string, ours.data, len) == 0,
               "byte %u: another text", token->offset);
    pw_arena_destroy(&arena);
}

static void compare_number(const struct scanned *scanned, const struct pw_json_token *token,
                           double number)
{
    char *const text = calloc(1, token->len + 1u);
    if (text == NULL) {
        return;
    }
    memcpy(text, scanned->text.data + token->offset, token->len);
    const double ours = strtod(text, NULL);
    FUZZ_CHECK(ours <= number && ours >= number, "%s is not %g", text, number);
    free(text);
}

static bool is_kind(const cJSON *item, uint8_t kind)
{
    switch (kind) {
    case PW_JSON_NULL: return cJSON_IsNull(item);
    case PW_JSON_FALSE: return cJSON_IsFalse(item);
    case PW_JSON_TRUE: return cJSON_IsTrue(item);
    case PW_JSON_NUMBER: return cJSON_IsNumber(item);
    case PW_JSON_STRING: return cJSON_IsString(item);
    case PW_JSON_ARRAY: return cJSON_IsArray(item);
    case PW_JSON_OBJECT: return cJSON_IsObject(item);
    default: return false;
    }
}

/* As deep as the limit lets it. */
static void compare(const struct scanned *scanned, uint32_t index, const cJSON *item)
{
    const struct pw_json_token *const token = &scanned->tokens[index];
    FUZZ_CHECK(item != NULL && is_kind(item, token->kind), "byte %u: another kind", token->offset);
    if (token->kind == PW_JSON_STRING) {
        compare_string(scanned, token, item->valuestring);
    } else if (token->kind == PW_JSON_NUMBER) {
        compare_number(scanned, token, item->valuedouble);
    }
    if (token->kind != PW_JSON_ARRAY && token->kind != PW_JSON_OBJECT) {
        FUZZ_CHECK(token->next == index + 1, "byte %u: a value with something in it",
                   token->offset);
        return;
    }
    const cJSON *child = item->child;
    uint32_t at = index + 1;
    uint32_t children = 0;
    while (at < token->next) {
        FUZZ_CHECK(child != NULL, "byte %u: %u children are too many", token->offset, children + 1);
        if (token->kind == PW_JSON_OBJECT) {
            compare_string(scanned, &scanned->tokens[at], child->string);
            at++;
        }
        compare(scanned, at, child);
        at = scanned->tokens[at].next;
        child = child->next;
        children++;
    }
    FUZZ_CHECK(child == NULL && children == token->children, "byte %u: %u of %u children",
               token->offset, children, token->children);
}

/* Without white space it is the same text, and a second time nothing changes. */
static void check_compact(const struct scanned *scanned, const cJSON *item)
{
    static struct scanned again;
    const size_t room = scanned->tokens[0].len;
    char *const compact = malloc(room + 1);
    char *const twice = malloc(room + 1);
    if (compact != NULL && twice != NULL) {
        const size_t len = pw_json_compact(scanned->text, scanned->tokens, 0, compact);
        FUZZ_CHECK(len <= room, "%zu bytes, and there were %zu", len, room);
        scan(&again, (struct pw_span){(const uint8_t *)compact, len});
        FUZZ_CHECK(again.status == PYWATT_OK && again.count == scanned->count, "%s",
                   again.error.text);
        compare(&again, 0, item);
        FUZZ_CHECK(pw_json_compact(again.text, again.tokens, 0, twice) == len &&
                       memcmp(compact, twice, len) == 0,
                   "it could be written shorter");
        FUZZ_CHECK(pw_json_count((struct pw_str){compact, len}) == scanned->count, "not %u values",
                   scanned->count);
    }
    free(compact);
    free(twice);
}

/* ---- What one of them takes ---- */

static bool has_long_number(const struct scanned *scanned)
{
    for (uint32_t i = 0; i < scanned->count; i++) {
        if (scanned->tokens[i].kind == PW_JSON_NUMBER &&
            scanned->tokens[i].len > CJSON_NUMBER_MAX) {
            return true;
        }
    }
    return false;
}

static bool is_decimal(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Of one character, as RFC 3629 has them. */
static bool begins_with_utf8(struct pw_span rest)
{
    const uint8_t *const b = rest.data;
    const size_t len = b[0] < 0x80 ? 1 : b[0] < 0xC2 ? 0 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    if (len == 0 || len > rest.len || b[0] > 0xF4) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (b[i] < 0x80 || b[i] > 0xBF) {
            return false;
        }
    }
    return !(b[0] == 0xE0 && b[1] < 0xA0) && !(b[0] == 0xED && b[1] > 0x9F) &&
           !(b[0] == 0xF0 && b[1] < 0x90) && !(b[0] == 0xF4 && b[1] > 0x8F);
}

static bool is_byte_order_mark(const char *text, size_t at)
{
    return at == 0 && strncmp(text, "\xEF\xBB\xBF", 3) == 0;
}

/*
 * Whether the fault that the scanner names is there, and one that cJSON is known to pass over. The text
 * has a NUL behind it, at `len`.
 */
static bool is_known_liberty(const char *text, size_t len, size_t at, const char *fault)
{
    const uint8_t *const bytes = (const uint8_t *)text + at;
    if (strcmp(fault, "a number with a leading zero") == 0) {
        return is_decimal(bytes[0]);
    }
    if (strcmp(fault, "a number without a digit") == 0 ||
        strcmp(fault, "a number without a digit behind its point") == 0) {
        return !is_decimal(bytes[0]);
    }
    if (strcmp(fault, "a control character in a string") == 0) {
        return at < len && bytes[0] < 0x20;
    }
    if (strcmp(fault, "not UTF-8") == 0) {
        return at < len && !begins_with_utf8((struct pw_span){bytes, len - at});
    }
    if (strcmp(fault, "\\u without four hex digits") == 0) {
        return bytes[0] == '\\' && bytes[1] == 'u';
    }
    const bool is_between =
        strstr(fault, "here") != NULL || strstr(fault, "behind the end") != NULL;
    return is_between && at < len && (bytes[0] < 0x20 || is_byte_order_mark(text, at));
}

static void check_liberty(const struct scanned *scanned, const char *terminated)
{
    size_t at = 0;
    int words = 0;
    if (scanned->status == PYWATT_LIMIT) {
        return;
    }
    FUZZ_CHECK(sscanf(scanned->error.text, "JSON, byte %zu: %n", &at, &words) == 1 && words > 0,
               "%s", scanned->error.text);
    FUZZ_CHECK(at <= scanned->text.len &&
                   is_known_liberty(terminated, scanned->text.len, at, scanned->error.text + words),
               "cJSON takes it: %s", scanned->error.text);
}

void fuzz_against_cjson(struct pw_span text, const char *terminated)
{
    static struct scanned scanned;
    scan(&scanned, text);
    cJSON *const item = cJSON_ParseWithLengthOpts(terminated, text.len + 1, NULL, 1);
    if (scanned.status != PYWATT_OK) {
        FUZZ_CHECK(scanned.error.status == scanned.status, "refused without words");
        if (item != NULL) {
            check_liberty(&scanned, terminated);
        }
    } else if (item == NULL) {
        FUZZ_CHECK(has_long_number(&scanned), "cJSON refuses it");
    } else {
        FUZZ_CHECK(scanned.tokens[0].next == scanned.count, "%u values", scanned.count);
        compare(&scanned, 0, item);
        check_compact(&scanned, item);
    }
    cJSON_Delete(item);
}
