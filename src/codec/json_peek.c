/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_peek.c - finds the request id of a reply without scanning all of it. No state; any thread;
 * no memory.
 *
 * Our own replies begin with the id, so a look at the first bytes is enough, and one that there is no
 * second. For all others the members of the outer object, and of `content` in it, are walked over:
 * strings and brackets are skipped, nothing else is checked. Whoever decodes the reply afterwards
 * finds what is wrong with it, but never another id: where decoding could take one of two, nothing is
 * found here.
 */
#include "base/uuid.h"
#include "codec/json_codec.h"
#include "codec/json_doc.h"

/* How a reply of ours begins, and how it goes on behind the id. */
static const char bare_start[] = "{\"request_id\":\"";
static const char bare_next[] = "\",\"response_type\":\"";

struct walker {
    const uint8_t *at;
    const uint8_t *end;
};

/* What is between the quotes of a string. */
struct quoted {
    struct pw_str raw;
    bool escaped;
};

static void skip_space(struct walker *w)
{
    while (w->at < w->end &&
           (*w->at == ' ' || *w->at == '\t' || *w->at == '\n' || *w->at == '\r')) {
        w->at++;
    }
}

static bool take(struct walker *w, uint8_t byte)
{
    skip_space(w);
    if (w->at == w->end || *w->at != byte) {
        return false;
    }
    w->at++;
    return true;
}

static bool take_string(struct walker *w, struct quoted *string)
{
    if (!take(w, '"')) {
        return false;
    }
    const uint8_t *at = w->at;
    const uint8_t *const end = w->end;
    bool escaped = false;
    while (at < end && *at != '"') {
        if (*at == '\\') {
            escaped = true;
            at += end - at > 1;
        }
        at++;
    }
    if (at == end) {
        return false;
    }
    string->raw = (struct pw_str){(const char *)w->at, (size_t)(at - w->at)};
    string->escaped = escaped;
    w->at = at + 1;
    return true;
}

static bool ends_value(uint8_t byte)
{
    return byte == ',' || byte == '}' || byte == ']';
}

/* Skips a value: to the comma or bracket behind it. */
static bool skip_value(struct walker *w)
{
    struct quoted ignored;
    size_t depth = 0;
    skip_space(w);
    if (w->at == w->end || ends_value(*w->at)) {
        return false;
    }
    while (w->at < w->end) {
        const uint8_t byte = *w->at;
        if (byte == '"') {
            if (!take_string(w, &ignored)) {
                return false;
            }
            continue;
        }
        if (depth == 0 && ends_value(byte)) {
            return true;
        }
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
        w->at++;
    }
    return false;
}

/* Comes to the value of the next member, and gives its key; *more is false at the object's end. */
static bool next_member(struct walker *w, bool first, struct quoted *key, bool *more)
{
    *more = !take(w, '}');
    if (!*more) {
        return true;
    }
    return (first || take(w, ',')) && take_string(w, key) && take(w, ':');
}

/* The members that are sought. */
enum member {
    REQUEST_ID,
    RESPONSE_TYPE,
    CONTENT,
    MEMBERS
};

static const struct pw_str members[MEMBERS] = {
    [REQUEST_ID] = PW_JSON_KEY("request_id"),
    [RESPONSE_TYPE] = PW_JSON_KEY("response_type"),
    [CONTENT] = PW_JSON_KEY("content"),
};

/* What was found in one object: where the values are, NULL if they are absent or null. */
struct findings {
    struct walker values[MEMBERS];
    bool seen[MEMBERS];
};

/* Notes a value if it is one of those sought; does not move on. False if it stands twice. */
static bool look_at(const struct quoted *key, struct walker value, struct findings *found)
{
    for (int i = 0; i < MEMBERS; i++) {
        if (!pw_json_key_is(key->raw, key->escaped, members[i])) {
            continue;
        }
        const bool twice = found->seen[i];
        skip_space(&value);
        if (value.at < value.end && *value.at != 'n') {
            found->values[i] = value;
        }
        found->seen[i] = true;
        return !twice;
    }
    return true;
}

/* Walks the object at w->at; false if it is none. */
static bool walk_object(struct walker *w, struct findings *found)
{
    struct quoted key;
    *found = (struct findings){0};
    if (!take(w, '{')) {
        return false;
    }
    for (bool first = true;; first = false) {
        bool more = true;
        if (!next_member(w, first, &key, &more)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (!look_at(&key, *w, found) || !skip_value(w)) {
            return false;
        }
    }
}

/* Reads the UUID at `value`; false if it is absent, no string or something else. */
static bool read_id(struct walker value, struct pywatt_uuid *id)
{
    struct quoted string;
    char text[PW_UUID_TEXT_LEN];
    if (value.at == NULL || !take_string(&value, &string)) {
        return false;
    }
    if (!string.escaped) {
        return pw_uuid_parse_str(string.raw, id);
    }
    const uint8_t *at = (const uint8_t *)string.raw.data;
    const uint8_t *const end = at + string.raw.len;
    size_t len = 0;
    while (at < end && len < sizeof(text)) {
        text[len++] = (char)pw_json_plain_char(&at, end);
    }
    return at == end && pw_uuid_parse_str((struct pw_str){text, len}, id);
}

/* Whether the key request_id could stand in these bytes. */
static bool may_have_an_id(const uint8_t *at, const uint8_t *end)
{
    static const char before[] = "request";
    const size_t len = sizeof(before) - 1;
    const uint8_t *const first = at;
    if (memchr(at, '\\', (size_t)(end - at)) != NULL) {
        return true;
    }
    for (; (at = memchr(at, '_', (size_t)(end - at))) != NULL; at++) {
        if ((size_t)(at - first) >= len && memcmp(at - len, before, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether it is a reply of ours, spelled as we spell it, with one id only. */
static bool begins_with_the_only_id(struct pw_span payload)
{
    const size_t id_at = sizeof(bare_start) - 1;
    const size_t next_at = id_at + PW_UUID_TEXT_LEN;
    const size_t rest_at = next_at + sizeof(bare_next) - 1;
    if (payload.len <= rest_at || memcmp(payload.data, bare_start, id_at) != 0 ||
        memcmp(payload.data + next_at, bare_next, sizeof(bare_next) - 1) != 0) {
        return false;
    }
    return !may_have_an_id(payload.data + rest_at, payload.data + payload.len);
}

enum pywatt_status pw_json_peek_response_id(struct pw_span payload, bool *has_id,
                                            struct pywatt_uuid *id)
{
    *has_id = false;
    if (begins_with_the_only_id(payload)) {
        const char *text = (const char *)payload.data + sizeof(bare_start) - 1;
        *has_id = pw_uuid_parse_str((struct pw_str){text, PW_UUID_TEXT_LEN}, id);
        return PYWATT_OK;
    }
    struct walker whole = {payload.data, payload.data + payload.len};
    struct findings found;
    if (payload.len == 0 || !walk_object(&whole, &found)) {
        return PYWATT_SERIALIZATION;
    }
    struct walker content = found.values[CONTENT];
    if (found.values[RESPONSE_TYPE].at == NULL && content.at != NULL && *content.at == '{' &&
        !walk_object(&content, &found)) {
        return PYWATT_SERIALIZATION;
    }
    *has_id = read_id(found.values[REQUEST_ID], id);
    return PYWATT_OK;
}
