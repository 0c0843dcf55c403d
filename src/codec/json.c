/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json.c - the two JSON codecs, and how they name the operations. No state; any thread.
 */
#include "codec/json_codec.h"
#include "codec/json_usual.h"

/* [operation][form] */
static const char *const operation_names[PW_OPERATION_COUNT][2] = {
    [PW_OP_REGISTER] = {"register", "registration"},
    [PW_OP_UNREGISTER] = {"unregister", "unregistration"},
    [PW_OP_HEARTBEAT] = {"heartbeat", "heartbeat"},
    [PW_OP_CAPABILITIES] = {"capabilities", "capabilities"},
};

const char *pw_json_operation_name(enum pw_operation operation, enum pw_json_form form)
{
    return operation_names[operation][form];
}

bool pw_json_find_operation(struct pw_str text, enum pw_operation *out)
{
    for (int i = 0; i < PW_OPERATION_COUNT; i++) {
        if (pw_str_equal(text, pw_str_from(operation_names[i][PW_JSON_RUST])) ||
            pw_str_equal(text, pw_str_from(operation_names[i][PW_JSON_PYTHON]))) {
            *out = (enum pw_operation)i;
            return true;
        }
    }
    return false;
}

static enum pywatt_status encode_request(const struct pw_request *request, struct pw_buffer *out,
                                         struct pywatt_error *error)
{
    return pw_json_write_usual_request(request, PW_JSON_RUST, out)
               ? PYWATT_OK
               : pw_json_encode_request(request, PW_JSON_RUST, out, error);
}

static enum pywatt_status encode_response(const struct pw_response *response, struct pw_buffer *out,
                                          struct pywatt_error *error)
{
    return pw_json_write_usual_response(response, PW_JSON_RUST, out)
               ? PYWATT_OK
               : pw_json_encode_response(response, PW_JSON_RUST, out, error);
}

static enum pywatt_status python_encode_request(const struct pw_request *request,
                                                struct pw_buffer *out, struct pywatt_error *error)
{
    return pw_json_write_usual_request(request, PW_JSON_PYTHON, out)
               ? PYWATT_OK
               : pw_json_encode_request(request, PW_JSON_PYTHON, out, error);
}

static enum pywatt_status python_encode_response(const struct pw_response *response,
                                                 struct pw_buffer *out, struct pywatt_error *error)
{
    return pw_json_write_usual_response(response, PW_JSON_PYTHON, out)
               ? PYWATT_OK
               : pw_json_encode_response(response, PW_JSON_PYTHON, out, error);
}

static enum pywatt_status decode_request(struct pw_span payload,
                                         const struct pw_codec_limits *limits,
                                         struct pw_arena *arena, struct pw_request *message,
                                         bool *recognised, struct pywatt_error *error)
{
    *recognised = pw_json_usual_request(payload, limits, message);
    return *recognised ? PYWATT_OK
                       : pw_json_decode_request(payload, limits, arena, message, recognised, error);
}

static enum pywatt_status decode_response(struct pw_span payload,
                                          const struct pw_codec_limits *limits,
                                          struct pw_arena *arena, struct pw_response *message,
                                          struct pywatt_error *error)
{
    return pw_json_usual_response(payload, limits, message)
               ? PYWATT_OK
               : pw_json_decode_response(payload, limits, arena, message, error);
}

static enum pywatt_status peek_response_id(struct pw_span payload, bool *has_id,
                                           struct pywatt_uuid *id)
{
    *has_id = pw_json_usual_id(payload, id);
    return *has_id ? PYWATT_OK : pw_json_peek_response_id(payload, has_id, id);
}

/* Peers that speak JSON match replies by their order, except our own, which nobody can tell. */
const struct pw_codec_ops pw_codec_json = {
    .name = "json",
    .format_code = 1,
    .replies_in_order = true,
    .encode_request = encode_request,
    .encode_response = encode_response,
    .decode_request = decode_request,
    .decode_response = decode_response,
    .peek_response_id = peek_response_id,
};

const struct pw_codec_ops pw_codec_json_python = {
    .name = "json-python",
    .format_code = 0,
    .replies_in_order = true,
    .encode_request = python_encode_request,
    .encode_response = python_encode_response,
    .decode_request = decode_request,
    .decode_response = decode_response,
    .peek_response_id = peek_response_id,
};
