/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json.c - the two JSON codecs, and how they name the operations. No state; any thread.
 */
#include "codec/json_codec.h"

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
    return pw_json_encode_request(request, PW_JSON_RUST, out, error);
}

static enum pywatt_status encode_response(const struct pw_response *response, struct pw_buffer *out,
                                          struct pywatt_error *error)
{
    return pw_json_encode_response(response, PW_JSON_RUST, out, error);
}

static enum pywatt_status python_encode_request(const struct pw_request *request,
                                                struct pw_buffer *out, struct pywatt_error *error)
{
    return pw_json_encode_request(request, PW_JSON_PYTHON, out, error);
}

static enum pywatt_status python_encode_response(const struct pw_response *response,
                                                 struct pw_buffer *out, struct pywatt_error *error)
{
    return pw_json_encode_response(response, PW_JSON_PYTHON, out, error);
}

/* Peers that speak JSON match replies by their order, except our own, which nobody can tell. */
const struct pw_codec_ops pw_codec_json = {
    .name = "json",
    .format_code = 1,
    .replies_in_order = true,
    .encode_request = encode_request,
    .encode_response = encode_response,
    .decode_request = pw_json_decode_request,
    .decode_response = pw_json_decode_response,
    .peek_response_id = pw_json_peek_response_id,
};

const struct pw_codec_ops pw_codec_json_python = {
    .name = "json-python",
    .format_code = 0,
    .replies_in_order = true,
    .encode_request = python_encode_request,
    .encode_response = python_encode_response,
    .decode_request = pw_json_decode_request,
    .decode_response = pw_json_decode_response,
    .peek_response_id = pw_json_peek_response_id,
};
