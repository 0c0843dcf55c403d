/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_usual.c - reads and writes the beats of json_usual.h. No state; any thread; no memory.
 *
 * The readers and writers are inlined for each form, so that the compiler knows what they compare
 * with and how long it is.
 */
#include "codec/json_usual.h"

#include "base/json_plain.h"
#include "base/uuid.h"
#include "codec/json_out.h"
#include "codec/usual.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

#define TEXT(literal)                  \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

/* ---- Spellings ---------------------------------------------------------------------------- */

/* The longest word, and what a copy of a fixed length writes. */
#define WORD_BYTES 16

struct word {
    char text[WORD_BYTES];
    size_t len;
};

/* What stands before and behind the parts in which requests differ. */
struct request_form {
    struct pw_str before_id;
    struct pw_str before_module;
    struct pw_str before_token;
    struct pw_str before_health;
    struct word healths[3];
    struct pw_str behind_health;
    struct pw_str before_generation; /* which may be left out */
    struct pw_str behind_content;
    struct pw_str behind_key; /* not empty: metadata.id is there, and is the request id */
};

static const struct request_form rust_request = {
    .before_id = TEXT("{\"id\":\""),
    .before_module = TEXT("\",\"content\":{\"request_type\":\"heartbeat\",\"module_id\":\""),
    .before_token = TEXT("\",\"token\":\""),
    .before_health = TEXT("\",\"status\":\""),
    .healths = {TEXT("Healthy"), TEXT("Degraded"), TEXT("Unhealthy")},
    .behind_health = TEXT("\""),
    .before_generation = TEXT(",\"generation\":"),
    .behind_content = TEXT("},\"metadata\":{\"id\":\""),
    .behind_key = TEXT("\"}}"),
};

static const struct request_form python_request = {
    .before_id = TEXT("{\"id\": \""),
    .before_module = TEXT("\", \"content\": {\"request_type\": \"heartbeat\", \"module_id\": \""),
    .before_token = TEXT("\", \"token\": \""),
    .before_health = TEXT("\", \"status\": \""),
    .healths = {TEXT("healthy"), TEXT("degraded"), TEXT("unhealthy")},
    .behind_health = TEXT("\", \"details\": null"),
    .before_generation = TEXT(", \"generation\": "),
    .behind_content = TEXT("}, \"metadata\": {\"id\": null, \"timestamp\": null, \"source\": null, "
                           "\"destination\": null, \"properties\": null}}"),
};

/* The same for replies. */
struct reply_form {
    struct pw_str before_envelope_id; /* not empty: there is an envelope, with the same id */
    struct pw_str before_id;
    struct pw_str before_health;
    struct word healths[3];
    struct pw_str behind_health;
};

static const struct reply_form rust_reply = {
    .before_id = TEXT("{\"request_id\":\""),
    .before_health = TEXT("\",\"response_type\":\"heartbeat\",\"success\":true,\"status\":\""),
    .healths = {TEXT("Healthy"), TEXT("Degraded"), TEXT("Unhealthy")},
    .behind_health = TEXT("\"}"),
};

static const struct reply_form python_reply = {
    .before_envelope_id = TEXT("{\"id\": \""),
    .before_id = TEXT("\", \"content\": {\"request_id\": \""),
    .before_health = TEXT("\", \"response_type\": \"heartbeat\", \"success\": true, "
                          "\"error\": null, \"status\": \""),
    .healths = {TEXT("healthy"), TEXT("degraded"), TEXT("unhealthy")},
    .behind_health = TEXT("\", \"context\": null}, \"metadata\": {}}"),
};

_Static_assert(PYWATT_HEALTHY == 0 && PYWATT_DEGRADED == 1 && PYWATT_UNHEALTHY == 2,
               "the order of the healths");

/* ---- Reading ------------------------------------------------------------------------------ */

/* More values than a usual message has, and how deep they stand: lower limits are the scan's. */
#define USUAL_ELEMENTS 32
#define USUAL_DEPTH 2

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static ALWAYS_INLINE bool take(struct cursor *c, struct pw_str text)
{
    if ((size_t)(c->end - c->at) < text.len || memcmp(c->at, text.data, text.len) != 0) {
        return false;
    }
    c->at += text.len;
    return true;
}

static ALWAYS_INLINE bool take_uuid(struct cursor *c, struct pywatt_uuid *uuid)
{
    if (c->end - c->at < PW_UUID_TEXT_LEN ||
        !pw_uuid_parse_str((struct pw_str){(const char *)c->at, PW_UUID_TEXT_LEN}, uuid)) {
        return false;
    }
    c->at += PW_UUID_TEXT_LEN;
    return true;
}

/* A token of characters that stand for themselves. */
static ALWAYS_INLINE bool take_token(struct cursor *c, struct pw_str *token)
{
    const uint8_t *const end = pw_json_skip_plain(c->at, c->end);
    *token = (struct pw_str){(const char *)c->at, (size_t)(end - c->at)};
    c->at = end;
    return token->len > 0 && token->len <= PYWATT_TOKEN_MAX;
}

static ALWAYS_INLINE bool take_health(struct cursor *c, const struct word healths[3],
                                      enum pywatt_health *health)
{
    for (unsigned i = 0; i < 3; i++) {
        if (take(c, (struct pw_str){healths[i].text, healths[i].len})) {
            *health = (enum pywatt_health)i;
            return true;
        }
    }
    return false;
}

/* A whole number from 1 on, of so few digits that it is in range. */
static bool take_number(struct cursor *c, uint64_t *number)
{
    const uint8_t *const first = c->at;
    uint64_t value = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - first < 19) {
        value = value * 10 + (uint64_t)(*c->at++ - '0');
    }
    *number = value;
    return c->at > first && *first != '0';
}

static bool are_usual(const struct pw_codec_limits *limits)
{
    return limits->max_elements >= USUAL_ELEMENTS && limits->max_depth >= USUAL_DEPTH &&
           limits->max_string >= PYWATT_TOKEN_MAX;
}

static ALWAYS_INLINE bool read_request(struct cursor c, const struct request_form *form,
                                       struct pw_request *message)
{
    struct pywatt_uuid request_id;
    struct pywatt_uuid module_id;
    struct pw_str token;
    enum pywatt_health health;
    uint64_t generation = 0;
    if (!take(&c, form->before_id) || !take_uuid(&c, &request_id) ||
        !take(&c, form->before_module) || !take_uuid(&c, &module_id) ||
        !take(&c, form->before_token) || !take_token(&c, &token) ||
        !take(&c, form->before_health) || !take_health(&c, form->healths, &health) ||
        !take(&c, form->behind_health)) {
        return false;
    }
    if (take(&c, form->before_generation) && !take_number(&c, &generation)) {
        return false;
    }
    if (!take(&c, form->behind_content)) {
        return false;
    }
    if (form->behind_key.len > 0 && (!take_uuid(&c, &request_id) || !take(&c, form->behind_key))) {
        return false;
    }
    if (c.at != c.end) {
        return false;
    }
    message->operation = PW_OP_HEARTBEAT;
    message->has_request_id = true;
    message->request_id = request_id;
    message->module_id = module_id;
    message->token = token;
    message->generation = generation;
    message->health = health;
    return true;
}

/* Whether the text may be of the Python form, and if not of the other: a blank behind a colon. */
static bool looks_python(struct pw_span payload)
{
    const size_t at = rust_request.before_id.len - 1;
    return payload.len > at && payload.data[at] == ' ';
}

bool pw_json_usual_request(struct pw_span payload, const struct pw_codec_limits *limits,
                           struct pw_request *message)
{
    const struct cursor c = {payload.data, payload.data + payload.len};
    if (!are_usual(limits)) {
        return false;
    }
    return looks_python(payload) ? read_request(c, &python_request, message)
                                 : read_request(c, &rust_request, message);
}

static ALWAYS_INLINE bool read_reply(struct cursor c, const struct reply_form *form,
                                     struct pywatt_uuid *id, enum pywatt_health *health)
{
    const uint8_t *envelope_id = NULL;
    if (form->before_envelope_id.len > 0) {
        if (!take(&c, form->before_envelope_id) || c.end - c.at < PW_UUID_TEXT_LEN) {
            return false;
        }
        envelope_id = c.at;
        c.at += PW_UUID_TEXT_LEN;
    }
    if (!take(&c, form->before_id)) {
        return false;
    }
    const uint8_t *const id_text = c.at;
    if (!take_uuid(&c, id) || !take(&c, form->before_health) ||
        !take_health(&c, form->healths, health) || !take(&c, form->behind_health)) {
        return false;
    }
    return c.at == c.end &&
           (envelope_id == NULL || memcmp(envelope_id, id_text, PW_UUID_TEXT_LEN) == 0);
}

static bool read_any_reply(struct pw_span payload, struct pywatt_uuid *id,
                           enum pywatt_health *health)
{
    const struct cursor c = {payload.data, payload.data + payload.len};
    return looks_python(payload) ? read_reply(c, &python_reply, id, health)
                                 : read_reply(c, &rust_reply, id, health);
}

bool pw_json_usual_response(struct pw_span payload, const struct pw_codec_limits *limits,
                            struct pw_response *message)
{
    struct pywatt_uuid id;
    enum pywatt_health health;
    if (!are_usual(limits) || !read_any_reply(payload, &id, &health)) {
        return false;
    }
    message->operation = PW_OP_HEARTBEAT;
    message->has_request_id = true;
    message->request_id = id;
    message->success = true;
    message->status = PYWATT_OK;
    message->health = health;
    return true;
}

bool pw_json_usual_id(struct pw_span payload, struct pywatt_uuid *id)
{
    enum pywatt_health health;
    return read_any_reply(payload, id, &health);
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* A number has no more digits. */
#define NUMBER_BYTES 20

static ALWAYS_INLINE char *put(char *at, struct pw_str text)
{
    memcpy(at, text.data, text.len);
    return at + text.len;
}

static ALWAYS_INLINE char *put_uuid(char *at, const struct pywatt_uuid *uuid)
{
    pw_uuid_write(uuid, at);
    return at + PW_UUID_TEXT_LEN;
}

/* Writes more than the word has, which is written over by what comes behind it. */
static ALWAYS_INLINE char *put_word(char *at, const struct word *word)
{
    memcpy(at, word->text, WORD_BYTES);
    return at + word->len;
}

static ALWAYS_INLINE bool write_request(const struct pw_request *request,
                                        const struct request_form *form,
                                        const struct pywatt_uuid *first_id, struct pw_buffer *out)
{
    const size_t fixed = form->before_id.len + form->before_module.len + form->before_token.len +
                         form->before_health.len + form->behind_health.len +
                         form->before_generation.len + form->behind_content.len +
                         form->behind_key.len;
    char *const first = (char *)pw_usual_room(out, fixed + 3 * PW_UUID_TEXT_LEN + WORD_BYTES +
                                                       NUMBER_BYTES + request->token.len);
    if (first == NULL) {
        return false;
    }
    char *at = put_uuid(put(first, form->before_id), first_id);
    at = put_uuid(put(at, form->before_module), &request->module_id);
    at = put(put(at, form->before_token), request->token);
    at = put_word(put(at, form->before_health), &form->healths[request->health]);
    at = put(at, form->behind_health);
    if (request->generation != 0) {
        at = pw_json_write_number(put(at, form->before_generation), request->generation);
    }
    at = put(at, form->behind_content);
    if (form->behind_key.len > 0) {
        at = put(put_uuid(at, &request->request_id), form->behind_key);
    }
    pw_buffer_commit(out, (size_t)(at - first));
    return true;
}

bool pw_json_write_usual_request(const struct pw_request *request, enum pw_json_form form,
                                 struct pw_buffer *out)
{
    if (!pw_usual_request(request) || !pw_json_all_plain(request->token)) {
        return false;
    }
    if (form == PW_JSON_PYTHON) {
        return write_request(request, &python_request, &request->request_id, out);
    }
    const struct pywatt_uuid id = pw_json_envelope_id(&request->request_id);
    return write_request(request, &rust_request, &id, out);
}

static ALWAYS_INLINE bool write_reply(const struct pw_response *response,
                                      const struct reply_form *form, struct pw_buffer *out)
{
    const size_t fixed = form->before_envelope_id.len + form->before_id.len +
                         form->before_health.len + form->behind_health.len;
    char *const first = (char *)pw_usual_room(out, fixed + 2 * PW_UUID_TEXT_LEN + WORD_BYTES);
    if (first == NULL) {
        return false;
    }
    char *at = first;
    if (form->before_envelope_id.len > 0) {
        at = put_uuid(put(at, form->before_envelope_id), &response->request_id);
    }
    at = put_uuid(put(at, form->before_id), &response->request_id);
    at = put_word(put(at, form->before_health), &form->healths[response->health]);
    at = put(at, form->behind_health);
    pw_buffer_commit(out, (size_t)(at - first));
    return true;
}

bool pw_json_write_usual_response(const struct pw_response *response, enum pw_json_form form,
                                  struct pw_buffer *out)
{
    if (!pw_usual_response(response)) {
        return false;
    }
    return form == PW_JSON_PYTHON ? write_reply(response, &python_reply, out)
                                  : write_reply(response, &rust_reply, out);
}
