/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_peek.c - finds the request id of a reply without scanning all of it. No state; any thread;
 * no memory.
 *
 * Our own replies begin with the id, so a look at the first bytes is enough. For all others the
 * members of the outer object, and of `content` in it, are walked over: strings and brackets are
 * skipped, nothing else is checked. Whoever decodes the reply afterwards finds what is wrong with it.
 */
#include "base/uuid.h"
#include "codec/json_codec.h"

/* How a reply of ours begins. */
static const char bare_start[] = "{\"request_id\":\"";

struct walker {
    const uint8_t *at;
    const uint8_t *end;
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

/* Takes a string; *raw gets what is between its quotes. */
static bool take_string(struct walker *w, struct pw_str *raw)
{
    if (!take(w, '"')) {
        return false;
    }
    const uint8_t *const first = w->at;
    while (w->at < w->end && *w->at != '"') {
        w->at += *w->at == '\\' && w->end - w->at > 1 ? 2 : 1;
    }
    if (w->at == w->end) {
        return false;
    }
    *raw = (struct pw_str){(const char *)first, (size_t)(w->at - first)};
    w->at++;
    return true;
}

static bool ends_value(uint8_t byte)
{
    return byte == ',' || byte == '}' || byte == ']';
}

/* Skips a value: to the comma or bracket behind it. */
static bool skip_value(struct walker *w)
{
    struct pw_str ignored;
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
static bool next_member(struct walker *w, bool first, struct pw_str *key, bool *more)
{
    *more = !take(w, '}');
    if (!*more) {
        return true;
    }
    return (first || take(w, ',')) && take_string(w, key) && take(w, ':');
}

/* What was found in one object. */
struct findings {
    struct pw_str id_text; /* request_id, if it is a string */
    struct walker content; /* at its bracket, if it is an object */
    bool is_reply;         /* there is a response_type */
};

/* Looks at a value, and whether it is one of those sought; does not move on. */
static bool look_at(struct pw_str key, struct walker value, struct findings *found)
{
    skip_space(&value);
    const uint8_t byte = value.at < value.end ? *value.at : 0;
    if (byte == '"' && pw_str_equal(key, PW_STR_LITERAL("request_id"))) {
        return take_string(&value, &found->id_text);
    }
    if (byte == '"' && pw_str_equal(key, PW_STR_LITERAL("response_type"))) {
        found->is_reply = true;
    } else if (byte == '{' && pw_str_equal(key, PW_STR_LITERAL("content"))) {
        found->content = value;
    }
    return true;
}

/* Walks the object at w->at; false if it is none. */
static bool walk_object(struct walker *w, struct findings *found)
{
    struct pw_str key = {NULL, 0};
    *found = (struct findings){.is_reply = false};
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
        if (!look_at(key, *w, found) || !skip_value(w)) {
            return false;
        }
    }
}

enum pywatt_status pw_json_peek_response_id(struct pw_span payload, bool *has_id,
                                            struct pywatt_uuid *id)
{
    const size_t start = sizeof(bare_start) - 1;
    *has_id = false;
    if (payload.len > start + PW_UUID_TEXT_LEN && memcmp(payload.data, bare_start, start) == 0 &&
        payload.data[start + PW_UUID_TEXT_LEN] == '"') {
        const char *text = (const char *)payload.data + start;
        *has_id = pw_uuid_parse_str((struct pw_str){text, PW_UUID_TEXT_LEN}, id);
        return PYWATT_OK;
    }
    if (payload.len == 0) {
        return PYWATT_SERIALIZATION;
    }
    struct walker whole = {payload.data, payload.data + payload.len};
    struct findings found;
    if (!walk_object(&whole, &found)) {
        return PYWATT_SERIALIZATION;
    }
    if (!found.is_reply && found.content.at != NULL) {
        struct walker content = found.content;
        if (!walk_object(&content, &found)) {
            return PYWATT_SERIALIZATION;
        }
    }
    *has_id = found.id_text.data != NULL && pw_uuid_parse_str(found.id_text, id);
    return PYWATT_OK;
}
