/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_encode.c - writes requests and replies in both forms, byte for byte as the SDKs write and
 * read them. No state; any thread. Beats and plain replies allocate nothing.
 */
#include "codec/json_build.h"
#include "codec/json_out.h"

/* What a beat takes beside its texts, in either form. */
static const size_t fixed_bytes[] = {[PW_JSON_RUST] = 256, [PW_JSON_PYTHON] = 448};

static void put_operation(struct pw_json_out *out, enum pw_operation operation)
{
    const char *name = pw_json_operation_name(operation, out->form);
    PW_JSON_PUT(out, "\"");
    pw_json_put(out, name, strlen(name));
    PW_JSON_PUT(out, "\"");
}

static void put_health(struct pw_json_out *out, enum pywatt_health health)
{
    static const struct pw_str words[][2] = {
        [PYWATT_HEALTHY] = {{"\"Healthy\"", 9}, {"\"healthy\"", 9}},
        [PYWATT_DEGRADED] = {{"\"Degraded\"", 10}, {"\"degraded\"", 10}},
        [PYWATT_UNHEALTHY] = {{"\"Unhealthy\"", 11}, {"\"unhealthy\"", 11}},
    };
    const struct pw_str word = words[health][out->form];
    pw_json_put(out, word.data, word.len);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void put_module_and_token(struct pw_json_out *out, const struct pw_request *request)
{
    PW_JSON_PUT_KEY(out, "module_id");
    pw_json_put_uuid(out, &request->module_id);
    PW_JSON_PUT_KEY(out, "token");
    pw_json_put_text(out, request->token);
}

static void put_heartbeat(struct pw_json_out *out, const struct pw_request *request)
{
    put_module_and_token(out, request);
    PW_JSON_PUT_KEY(out, "status");
    put_health(out, request->health);
    if (pywatt_string_map_count(request->details) > 0) {
        PW_JSON_PUT_KEY(out, "details");
        pw_json_put_map(out, request->details);
    } else {
        PW_JSON_PUT_FORM(out, "", ", \"details\": null");
    }
    if (request->generation != 0) {
        PW_JSON_PUT_KEY(out, "generation");
        pw_json_put_number(out, request->generation);
    }
}

static void put_register(struct pw_json_out *out, const struct pw_request *request)
{
    PW_JSON_PUT_KEY(out, "module_info");
    pw_json_put_info(out, request->info);
    if (request->token.len > 0) {
        PW_JSON_PUT_KEY(out, "token");
        pw_json_put_text(out, request->token);
    }
    if (request->can_wait) {
        PW_JSON_PUT_KEY(out, "can_wait");
        PW_JSON_PUT(out, "true");
    }
}

static void put_content(struct pw_json_out *out, const struct pw_request *request)
{
    PW_JSON_PUT_FIRST(out, "request_type");
    put_operation(out, request->operation);
    switch (request->operation) {
    case PW_OP_HEARTBEAT: put_heartbeat(out, request); break;
    case PW_OP_REGISTER: put_register(out, request); break;
    case PW_OP_UNREGISTER: put_module_and_token(out, request); break;
    case PW_OP_CAPABILITIES:
        put_module_and_token(out, request);
        PW_JSON_PUT_KEY(out, "capabilities");
        pw_json_put_capabilities(out, request->capabilities);
        break;
    default: break;
    }
    PW_JSON_PUT(out, "}");
}

enum pywatt_status pw_json_encode_request(const struct pw_request *request, enum pw_json_form form,
                                          struct pw_buffer *buffer, struct pywatt_error *error)
{
    struct pw_json_out out;
    const struct pywatt_uuid id =
        form == PW_JSON_RUST ? pw_json_envelope_id(&request->request_id) : request->request_id;
    pw_json_out_begin(&out, buffer, form, fixed_bytes[form] + request->token.len);
    PW_JSON_PUT_FIRST(&out, "id");
    pw_json_put_uuid(&out, &id);
    PW_JSON_PUT_KEY(&out, "content");
    put_content(&out, request);
    PW_JSON_PUT_KEY(&out, "metadata");
    if (form == PW_JSON_RUST) {
        PW_JSON_PUT(&out, "{\"id\":");
        pw_json_put_uuid(&out, &request->request_id);
        PW_JSON_PUT(&out, "}}");
    } else {
        PW_JSON_PUT(&out, "{\"id\": null, \"timestamp\": null, \"source\": null, "
                          "\"destination\": null, \"properties\": null}}");
    }
    return pw_json_out_end(&out, error);
}

/* ---- Replies ------------------------------------------------------------------------------ */

static void put_failure(struct pw_json_out *out, const struct pw_response *response)
{
    const char *code = pywatt_status_wire_code(response->status);
    if (response->error.len > 0) {
        PW_JSON_PUT_KEY(out, "error");
        pw_json_put_text(out, response->error);
    } else {
        PW_JSON_PUT_FORM(out, "", ", \"error\": null");
    }
    PW_JSON_PUT_KEY(out, "error_code");
    pw_json_put_text(out, pw_str_from(code));
    if (response->retry_after_ms != 0) {
        PW_JSON_PUT_KEY(out, "retry_after_ms");
        pw_json_put_number(out, response->retry_after_ms);
    }
}

static void put_beat_reply(struct pw_json_out *out, const struct pw_response *response)
{
    PW_JSON_PUT_KEY(out, "status");
    put_health(out, response->health);
    if (pywatt_string_map_count(response->context) > 0) {
        PW_JSON_PUT_KEY(out, "context");
        pw_json_put_map(out, response->context);
    } else {
        PW_JSON_PUT_FORM(out, "", ", \"context\": null");
    }
}

static void put_module(struct pw_json_out *out, const struct pw_response *response)
{
    if (response->success) {
        PW_JSON_PUT_KEY(out, "module");
        pw_json_put_registration(out, response->registration);
    } else {
        PW_JSON_PUT_FORM(out, "", ", \"module\": null");
    }
}

/* The request id stands first, which makes it cheap to find. */
static void put_reply(struct pw_json_out *out, const struct pw_response *response)
{
    if (response->has_request_id) {
        PW_JSON_PUT_FIRST(out, "request_id");
        pw_json_put_uuid(out, &response->request_id);
        PW_JSON_PUT_KEY(out, "response_type");
    } else {
        PW_JSON_PUT_FIRST(out, "response_type");
    }
    put_operation(out, response->operation);
    PW_JSON_PUT_KEY(out, "success");
    if (response->success) {
        PW_JSON_PUT_FORM(out, "true", "true, \"error\": null");
    } else {
        PW_JSON_PUT(out, "false");
        put_failure(out, response);
    }
    if (response->operation == PW_OP_HEARTBEAT) {
        put_beat_reply(out, response);
    } else if (response->operation == PW_OP_REGISTER) {
        put_module(out, response);
    }
    PW_JSON_PUT(out, "}");
}

enum pywatt_status pw_json_encode_response(const struct pw_response *response,
                                           enum pw_json_form form, struct pw_buffer *buffer,
                                           struct pywatt_error *error)
{
    struct pw_json_out out;
    pw_json_out_begin(&out, buffer, form, fixed_bytes[form] + response->error.len);
    if (form == PW_JSON_RUST) {
        put_reply(&out, response);
        return pw_json_out_end(&out, error);
    }
    /* Its readers take the envelope's id as text, and any will do: the nil one if there is none. */
    const struct pywatt_uuid nil = {{0}};
    PW_JSON_PUT(&out, "{\"id\": ");
    pw_json_put_uuid(&out, response->has_request_id ? &response->request_id : &nil);
    PW_JSON_PUT(&out, ", \"content\": ");
    put_reply(&out, response);
    PW_JSON_PUT(&out, ", \"metadata\": {}}");
    return pw_json_out_end(&out, error);
}
