/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * codec.c - the table of codecs, and the checks that all of them share. No state; any thread.
 */
#include "codec/codec.h"

#include "base/error.h"
#include "codec/json_codec.h"
#include "codec/protobuf_codec.h"
#include "model/registration.h"
#include "model/text.h"

/* Deep enough for a value of PYWATT_JSON_DEPTH_MAX in the capabilities of an enveloped request. */
#define DEFAULT_DEPTH (PYWATT_JSON_DEPTH_MAX + 8)

/* The fullest capabilities that the model allows, and what stands around them. */
#define DEFAULT_ELEMENTS (PYWATT_ELEMENTS_MAX + 384)

const struct pw_codec_limits pw_codec_default_limits = {
    .max_bytes = (size_t)1 << 20,
    .max_depth = DEFAULT_DEPTH,
    .max_elements = DEFAULT_ELEMENTS,
    .max_string = 65536,
};

/* ---- The table ---------------------------------------------------------------------------- */

/* Those that an application may choose come first, in the order of `names`. */
static const struct pw_codec_ops *const codecs[] = {
    &pw_codec_json,
    &pw_codec_protobuf,
    &pw_codec_json_python,
    NULL,
};

static const char *const names[] = {"json", "protobuf", NULL};

const struct pw_codec_ops *const *pw_codec_all(void)
{
    return codecs;
}

const char *const *pw_codec_names(void)
{
    return names;
}

const struct pw_codec_ops *pw_codec_by_name(const char *name)
{
    for (size_t i = 0; name != NULL && names[i] != NULL; i++) {
        if (strcmp(name, names[i]) == 0) {
            return codecs[i];
        }
    }
    return NULL;
}

static bool looks_like_json(struct pw_span payload)
{
    size_t at = 0;
    while (at < payload.len && (payload.data[at] == ' ' || payload.data[at] == '\t' ||
                                payload.data[at] == '\n' || payload.data[at] == '\r')) {
        at++;
    }
    return at < payload.len && payload.data[at] == '{';
}

const struct pw_codec_ops *pw_codec_by_frame(uint8_t format_code, struct pw_span payload)
{
    switch (format_code) {
    case 0: return &pw_codec_json_python;
    case 1: /* msgpack has the same code */
    case 2:
    case 3: return looks_like_json(payload) ? &pw_codec_json : NULL;
    case 16: return &pw_codec_protobuf;
    default: return NULL;
    }
}

/* ---- What every message must have ---------------------------------------------------------- */

static enum pywatt_status lacks(struct pywatt_error *error, const char *what)
{
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "cannot encode: %s", what);
}

static bool is_health(enum pywatt_health health)
{
    return health == PYWATT_HEALTHY || health == PYWATT_DEGRADED || health == PYWATT_UNHEALTHY;
}

static enum pywatt_status check_token(struct pw_str token, bool may_be_empty,
                                      struct pywatt_error *error)
{
    if (pw_text_check(token, PYWATT_TOKEN_MAX, may_be_empty) != PYWATT_OK) {
        return lacks(error, "the token is empty, too long or not UTF-8");
    }
    return PYWATT_OK;
}

/* There are many, whose tokens were checked when their modules were given them: lengths only. */
static enum pywatt_status check_batch(const struct pw_request *request, struct pywatt_error *error)
{
    if (request->beat_count == 0 || request->beat_count > PW_BATCH_MAX) {
        return lacks(error, "the batch is empty or has too many beats");
    }
    const uint32_t full_count = pw_request_full_count(request);
    if (full_count > request->beat_count) {
        return lacks(error, "the batch has more beats than places for them");
    }
    /* Short ones are made by pw_short_beat_of. */
    for (uint32_t i = 0; i < full_count; i++) {
        const struct pw_batched_beat *beat = &request->beats[i];
        if (beat->token.len == 0 || beat->token.len > PYWATT_TOKEN_MAX) {
            return lacks(error, "a token is empty or too long");
        }
        if (!is_health(beat->health)) {
            return lacks(error, "the health is none of the three");
        }
        if (beat->alias > PW_ALIAS_MAX) {
            return lacks(error, "an alias is too high");
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status check_request(const struct pw_request *request,
                                        struct pywatt_error *error)
{
    if (!request->has_request_id) {
        return lacks(error, "the request has no request id");
    }
    switch (request->operation) {
    case PW_OP_REGISTER:
        if (request->info == NULL) {
            return lacks(error, "the module info is missing");
        }
        return check_token(request->token, true, error);
    case PW_OP_UNREGISTER: break;
    case PW_OP_HEARTBEAT:
        if (!is_health(request->health)) {
            return lacks(error, "the health is none of the three");
        }
        break;
    case PW_OP_CAPABILITIES:
        if (request->capabilities == NULL) {
            return lacks(error, "the capabilities are missing");
        }
        break;
    case PW_OP_HEARTBEAT_BATCH: return check_batch(request, error);
    default: return lacks(error, "the operation is unknown");
    }
    return check_token(request->token, false, error);
}

static enum pywatt_status check_registration(const struct pywatt_registration *registration,
                                             struct pywatt_error *error)
{
    if (registration == NULL || registration->info == NULL) {
        return lacks(error, "the registration or its module info is missing");
    }
    return check_token(pw_str_from(registration->token), false, error);
}

static enum pywatt_status check_response(const struct pw_response *response,
                                         struct pywatt_error *error)
{
    if ((unsigned)response->operation > PW_OP_HEARTBEAT_BATCH) {
        return lacks(error, "the operation is unknown");
    }
    if (response->operation == PW_OP_HEARTBEAT && !is_health(response->health)) {
        return lacks(error, "the health is none of the three");
    }
    if (response->success) {
        return response->operation == PW_OP_REGISTER
                   ? check_registration(response->registration, error)
                   : PYWATT_OK;
    }
    if (response->status == PYWATT_OK) {
        return lacks(error, "a failure needs a status");
    }
    if (pw_text_check(response->error, SIZE_MAX, true) != PYWATT_OK) {
        return lacks(error, "the error text is not UTF-8");
    }
    return PYWATT_OK;
}

/* ---- Checked wrappers --------------------------------------------------------------------- */

static enum pywatt_status check_batches(const struct pw_codec_ops *codec,
                                        struct pywatt_error *error)
{
    return codec->batches ? PYWATT_OK
                          : pw_error_set(error, PYWATT_UNSUPPORTED,
                                         "the codec %s has no batches of heartbeats", codec->name);
}

enum pywatt_status pw_codec_encode_request(const struct pw_codec_ops *codec,
                                           const struct pw_request *request, struct pw_buffer *out,
                                           struct pywatt_error *error)
{
    enum pywatt_status status = check_request(request, error);
    if (status == PYWATT_OK && request->operation == PW_OP_HEARTBEAT_BATCH) {
        status = check_batches(codec, error);
    }
    return status == PYWATT_OK ? codec->encode_request(request, out, error) : status;
}

enum pywatt_status pw_codec_encode_response(const struct pw_codec_ops *codec,
                                            const struct pw_response *response,
                                            struct pw_buffer *out, struct pywatt_error *error)
{
    enum pywatt_status status = check_response(response, error);
    if (status == PYWATT_OK && response->operation == PW_OP_HEARTBEAT_BATCH) {
        status = check_batches(codec, error);
    }
    return status == PYWATT_OK ? codec->encode_response(response, out, error) : status;
}

__attribute__((noinline, cold)) static enum pywatt_status
wrong_length(struct pw_span payload, const struct pw_codec_limits *limits,
             struct pywatt_error *error)
{
    if (payload.len == 0) {
        return pw_error_set(error, PYWATT_SERIALIZATION, "the message is empty");
    }
    return pw_error_set(error, PYWATT_LIMIT, "the message has %zu bytes, the limit is %zu",
                        payload.len, limits->max_bytes);
}

static inline enum pywatt_status check_payload(struct pw_span payload,
                                               const struct pw_codec_limits *limits,
                                               struct pywatt_error *error)
{
    return payload.len == 0 || payload.len > limits->max_bytes
               ? wrong_length(payload, limits, error)
               : PYWATT_OK;
}

/* Leaves of a request that failed what an error reply needs. Apart, as few requests fail. */
__attribute__((noinline, cold)) static void keep_address(struct pw_request *message,
                                                         bool recognised)
{
    const struct pw_request failed = *message;
    pw_request_reset(message);
    if (recognised) {
        message->operation = failed.operation;
        message->has_request_id = failed.has_request_id;
        message->request_id = failed.request_id;
    }
}

enum pywatt_status pw_codec_decode_request(const struct pw_codec_ops *codec, struct pw_span payload,
                                           const struct pw_codec_limits *limits,
                                           struct pw_arena *arena, struct pw_request *message,
                                           bool *recognised, struct pywatt_error *error)
{
    *recognised = false;
    pw_request_reset(message);
    enum pywatt_status status = check_payload(payload, limits, error);
    if (status == PYWATT_OK) {
        status = codec->decode_request(payload, limits, arena, message, recognised, error);
    }
    if (status != PYWATT_OK) {
        keep_address(message, *recognised);
    }
    return status;
}

enum pywatt_status pw_codec_decode_response(const struct pw_codec_ops *codec,
                                            struct pw_span payload,
                                            const struct pw_codec_limits *limits,
                                            struct pw_arena *arena, struct pw_response *message,
                                            struct pywatt_error *error)
{
    pw_response_reset(message);
    enum pywatt_status status = check_payload(payload, limits, error);
    if (status == PYWATT_OK) {
        status = codec->decode_response(payload, limits, arena, message, error);
    }
    if (status != PYWATT_OK) {
        pw_response_reset(message);
    }
    return status;
}

enum pywatt_status pw_codec_peek_response_id(const struct pw_codec_ops *codec,
                                             struct pw_span payload, bool *has_id,
                                             struct pywatt_uuid *id)
{
    *has_id = false;
    return payload.len == 0 ? PYWATT_SERIALIZATION : codec->peek_response_id(payload, has_id, id);
}
