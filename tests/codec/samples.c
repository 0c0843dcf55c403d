/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * samples.c - the messages of samples.h, and short ways to read them. One thread.
 */
#include "samples.h"

#include "model/registration.h"
#include "model/string_map.h"
#include "pw_test.h"

#include <stdlib.h>
#include <strings.h>

#define REQUEST_ID "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34"
#define MODULE_ID "a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90"
#define TEN "0123456789"

static struct pywatt_uuid uuid(const char *text)
{
    struct pywatt_uuid id = {{0}};
    assert_int_equal(pywatt_uuid_parse(text, &id), PYWATT_OK);
    return id;
}

static void ok(enum pywatt_status status)
{
    assert_int_equal(status, PYWATT_OK);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void begin_request(struct pw_request *request, enum pw_operation operation)
{
    request->operation = operation;
    request->has_request_id = true;
    request->request_id = uuid(REQUEST_ID);
    if (operation != PW_OP_REGISTER) {
        request->module_id = uuid(MODULE_ID);
        request->token = PW_STR_LITERAL("tok");
    }
}

static void heartbeat(struct pw_request *request)
{
    begin_request(request, PW_OP_HEARTBEAT);
    request->health = PYWATT_HEALTHY;
}

static void heartbeat_details(struct pw_request *request)
{
    begin_request(request, PW_OP_HEARTBEAT);
    request->health = PYWATT_DEGRADED;
    ok(pywatt_string_map_set(pw_request_details(request), "k", "v"));
}

static void heartbeat_full(struct pw_request *request)
{
    begin_request(request, PW_OP_HEARTBEAT);
    request->token =
        PW_STR_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    request->health = PYWATT_UNHEALTHY;
    request->generation = UINT64_C(9007199254740993);
    struct pywatt_string_map *details = pw_request_details(request);
    ok(pywatt_string_map_set(details, "cpu", "0.75"));
    ok(pywatt_string_map_set(details, "quoted", "say \"hi\" \\ / \b\f\n\r\t\x01\x1f\x7f"));
    ok(pywatt_string_map_set(details, "caf\xc3\xa9", "\xe2\x82\xac \xf0\x9f\x98\x80"));
    ok(pywatt_string_map_set(details, "", ""));
}

static void unregister(struct pw_request *request)
{
    begin_request(request, PW_OP_UNREGISTER);
}

static void register_plain(struct pw_request *request)
{
    begin_request(request, PW_OP_REGISTER);
    ok(pywatt_module_info_new("a", "1", "d", &request->info));
}

static void register_full(struct pw_request *request)
{
    const struct pywatt_uuid id = uuid(MODULE_ID);
    begin_request(request, PW_OP_REGISTER);
    request->token = PW_STR_LITERAL("old token");
    ok(pywatt_module_info_new("caf\xc3\xa9 \"x\"", "", "line\nbreak \xf0\x9f\x98\x80",
                              &request->info));
    ok(pywatt_module_info_set_id(request->info, &id));
    ok(pywatt_module_info_set_metadata(request->info, "author", "somebody"));
    ok(pywatt_module_info_set_metadata(request->info, "lease_ms", "5000"));
}

static void register_waiting(struct pw_request *request)
{
    begin_request(request, PW_OP_REGISTER);
    request->can_wait = true;
    ok(pywatt_module_info_new("a", "1", "d", &request->info));
}

static void capabilities_add(struct pywatt_capabilities *capabilities, const char *path,
                             const char *method)
{
    ok(pywatt_capabilities_add_http_endpoint(capabilities, path, &method, 1));
}

static void capabilities_plain(struct pw_request *request)
{
    begin_request(request, PW_OP_CAPABILITIES);
    request->capabilities = pywatt_capabilities_new();
    assert_non_null(request->capabilities);
    capabilities_add(request->capabilities, "/x", "GET");
}

static void capabilities_empty(struct pw_request *request)
{
    begin_request(request, PW_OP_CAPABILITIES);
    request->capabilities = pywatt_capabilities_new();
    assert_non_null(request->capabilities);
}

static void capabilities_full(struct pw_request *request)
{
    static const char *const methods[] = {"GET", "POST"};
    struct pywatt_endpoint *endpoint = NULL;
    begin_request(request, PW_OP_CAPABILITIES);
    request->capabilities = pywatt_capabilities_new();
    assert_non_null(request->capabilities);
    struct pywatt_capabilities *capabilities = request->capabilities;
    capabilities_add(capabilities, "/x", "GET");
    ok(pywatt_endpoint_new("/caf\xc3\xa9/{id}", methods, 2, &endpoint));
    ok(pywatt_endpoint_set_auth(endpoint, "Bearer"));
    ok(pywatt_endpoint_set_metadata(endpoint, "rate", "10"));
    ok(pywatt_endpoint_set_metadata(endpoint, "q", "\""));
    ok(pywatt_capabilities_add_endpoint(capabilities, endpoint));
    pywatt_endpoint_free(endpoint);
    ok(pywatt_endpoint_new("/none", NULL, 0, &endpoint));
    ok(pywatt_endpoint_set_auth(endpoint, ""));
    ok(pywatt_capabilities_add_endpoint(capabilities, endpoint));
    pywatt_endpoint_free(endpoint);
    ok(pywatt_capabilities_add_message_type(capabilities, "image"));
    ok(pywatt_capabilities_add_message_type(capabilities, "t\xc3\xa9xt"));
    ok(pywatt_capabilities_set_capability(capabilities, "flag", "true"));
    ok(pywatt_capabilities_set_capability(capabilities, "none", "null"));
    ok(pywatt_capabilities_set_capability(capabilities, "deep",
                                          "{\"list\":[1,2.50,-3e2,[]],\"t\":\"a, b: \\\"c\\\"\"}"));
    ok(pywatt_capabilities_set_capability(capabilities, "text", "\"\\u20ac\\u007F\\/\""));
}

static void batch(struct pw_request *request)
{
    /* A usual token, one of other characters, and one whose length takes two bytes. */
    static const char long_token[] = TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN;
    static struct pw_batched_beat beats[3];
    begin_request(request, PW_OP_HEARTBEAT_BATCH);
    request->token = (struct pw_str){NULL, 0};
    request->module_id = (struct pywatt_uuid){{0}};
    beats[0] =
        (struct pw_batched_beat){uuid(MODULE_ID), PW_STR_LITERAL("tok"), 0, PYWATT_HEALTHY, 0};
    beats[1] = (struct pw_batched_beat){uuid(REQUEST_ID), PW_STR_LITERAL("t\xc3\xb6k"), 300,
                                        PYWATT_UNHEALTHY, 0};
    beats[2] = (struct pw_batched_beat){uuid(MODULE_ID), PW_STR_LITERAL(long_token), 1,
                                        PYWATT_DEGRADED, 0};
    request->beats = beats;
    request->beat_count = 3;
}

static void batch_aliases(struct pw_request *request)
{
    static struct pw_batched_beat beats[2];
    begin_request(request, PW_OP_HEARTBEAT_BATCH);
    request->token = (struct pw_str){NULL, 0};
    request->module_id = (struct pywatt_uuid){{0}};
    beats[0] =
        (struct pw_batched_beat){uuid(MODULE_ID), PW_STR_LITERAL("tok"), 0, PYWATT_HEALTHY, 1};
    beats[1] = (struct pw_batched_beat){uuid(REQUEST_ID), PW_STR_LITERAL("t\xc3\xb6k"), 300,
                                        PYWATT_UNHEALTHY, PW_ALIAS_MAX};
    request->beats = beats;
    request->beat_count = 2;
}

static void batch_short(struct pw_request *request)
{
    static pw_short_beat beats[3];
    begin_request(request, PW_OP_HEARTBEAT_BATCH);
    request->token = (struct pw_str){NULL, 0};
    request->module_id = (struct pywatt_uuid){{0}};
    beats[0] = pw_short_beat_of(1, PYWATT_UNHEALTHY);
    beats[1] = pw_short_beat_of(PW_ALIAS_MAX, PYWATT_DEGRADED);
    beats[2] = pw_short_beat_of(300, PYWATT_HEALTHY);
    request->short_beats = beats;
    request->beat_count = 3;
}

/* A beat in full between two by aliases, and one behind them. */
static void batch_mixed(struct pw_request *request)
{
    static pw_short_beat beats[4];
    batch_aliases(request);
    beats[0] = pw_short_beat_of(7, PYWATT_DEGRADED);
    beats[1] = pw_short_beat_of(0, PYWATT_HEALTHY);
    beats[2] = pw_short_beat_of(300, PYWATT_HEALTHY);
    beats[3] = pw_short_beat_of(0, PYWATT_UNHEALTHY);
    request->short_beats = beats;
    request->beat_count = 4;
    request->full_count = 2;
}

const struct pw_sample_request pw_sample_requests[] = {
    {"heartbeat", heartbeat},
    {"heartbeat-details", heartbeat_details},
    {"heartbeat-full", heartbeat_full},
    {"unregister", unregister},
    {"register", register_plain},
    {"register-full", register_full},
    {"register-waiting", register_waiting},
    {"capabilities", capabilities_plain},
    {"capabilities-empty", capabilities_empty},
    {"capabilities-full", capabilities_full},
    {"batch", batch},
    {"batch-aliases", batch_aliases},
    {"batch-short", batch_short},
    {"batch-mixed", batch_mixed},
    {NULL, NULL},
};

/* ---- Replies ------------------------------------------------------------------------------ */

static void begin_response(struct pw_response *response, enum pw_operation operation)
{
    response->operation = operation;
    response->has_request_id = true;
    response->request_id = uuid(REQUEST_ID);
    response->success = true;
}

static void fail_response(struct pw_response *response, enum pywatt_status status, const char *text)
{
    response->success = false;
    response->status = status;
    response->error = pw_str_from(text);
}

static void beat_reply(struct pw_response *response)
{
    begin_response(response, PW_OP_HEARTBEAT);
    response->health = PYWATT_HEALTHY;
}

static void beat_reply_context(struct pw_response *response)
{
    begin_response(response, PW_OP_HEARTBEAT);
    response->health = PYWATT_DEGRADED;
    struct pywatt_string_map *context = pw_response_context(response);
    ok(pywatt_string_map_set(context, "why", "caf\xc3\xa9 \"late\""));
    ok(pywatt_string_map_set(context, "n", "1"));
}

static void beat_reply_failed(struct pw_response *response)
{
    begin_response(response, PW_OP_HEARTBEAT);
    fail_response(response, PYWATT_MODULE_NOT_FOUND, "Module not found: " MODULE_ID);
    response->health = PYWATT_UNHEALTHY;
}

static void unregister_reply(struct pw_response *response)
{
    begin_response(response, PW_OP_UNREGISTER);
}

static void unregister_reply_failed(struct pw_response *response)
{
    begin_response(response, PW_OP_UNREGISTER);
    fail_response(response, PYWATT_INVALID_TOKEN, "Invalid token");
}

static void capabilities_reply(struct pw_response *response)
{
    begin_response(response, PW_OP_CAPABILITIES);
}

static void capabilities_reply_failed(struct pw_response *response)
{
    begin_response(response, PW_OP_CAPABILITIES);
    response->has_request_id = false;
    fail_response(response, PYWATT_LIMIT, "t\xc3\xb6o \"many\"\n");
}

static void begin_registration(struct pw_response *response, const char *token, const char *host)
{
    begin_response(response, PW_OP_REGISTER);
    response->registration = pw_registration_new();
    assert_non_null(response->registration);
    response->registration->id = uuid(MODULE_ID);
    ok(pw_registration_set_token(response->registration, pw_str_from(token)));
    ok(pw_registration_set_host(response->registration, pw_str_from(host)));
}

static void register_reply(struct pw_response *response)
{
    begin_registration(response, "tok", "127.0.0.1");
    response->registration->port = 9900;
    ok(pywatt_module_info_new("a", "1", "d", &response->registration->info));
    pw_registration_seal(response->registration);
}

static void register_reply_full(struct pw_response *response)
{
    begin_registration(response, "t\"k", "::1");
    struct pywatt_registration *registration = response->registration;
    const struct pywatt_uuid id = uuid(MODULE_ID);
    registration->port = 65535;
    ok(pywatt_module_info_new("caf\xc3\xa9", "1.0", "", &registration->info));
    ok(pywatt_module_info_set_id(registration->info, &id));
    ok(pywatt_module_info_set_metadata(registration->info, "author", "somebody"));
    ok(pw_string_map_put(&registration->env, pw_str_from("PATH"), pw_str_from("/bin:/usr/bin")));
    ok(pw_registration_set_number(registration, PW_DATA_LEASE_MS, 15000));
    ok(pw_registration_set_number(registration, PW_DATA_GENERATION, 3));
    ok(pw_string_map_put_json(&registration->additional_data, pw_str_from("any"),
                              pw_str_from("[1.0,{\"e\":null}]")));
    pw_registration_seal(registration);
}

static void register_reply_failed(struct pw_response *response)
{
    begin_response(response, PW_OP_REGISTER);
    fail_response(response, PYWATT_NAME_TAKEN, "Module name 'a' is already taken");
}

static void batch_reply(struct pw_response *response)
{
    begin_response(response, PW_OP_HEARTBEAT_BATCH);
    response->beat_count = 3;
}

static void batch_reply_exceptions(struct pw_response *response)
{
    static const struct pw_beat_exception exceptions[] = {
        {0, PYWATT_OK, PYWATT_DEGRADED, {NULL, 0}},
        {2, PYWATT_INVALID_TOKEN, PYWATT_HEALTHY, {"Invalid token", 13}},
        {200, PYWATT_MODULE_NOT_FOUND, PYWATT_UNHEALTHY, {NULL, 0}},
    };
    begin_response(response, PW_OP_HEARTBEAT_BATCH);
    response->beat_count = 201;
    response->exception_count = 3;
    response->exceptions = exceptions;
}

static void batch_reply_failed(struct pw_response *response)
{
    begin_response(response, PW_OP_HEARTBEAT_BATCH);
    fail_response(response, PYWATT_LIMIT, "too many");
}

const struct pw_sample_response pw_sample_responses[] = {
    {"heartbeat", beat_reply},
    {"heartbeat-context", beat_reply_context},
    {"heartbeat-failed", beat_reply_failed},
    {"unregister", unregister_reply},
    {"unregister-failed", unregister_reply_failed},
    {"capabilities", capabilities_reply},
    {"capabilities-failed", capabilities_reply_failed},
    {"register", register_reply},
    {"register-full", register_reply_full},
    {"register-failed", register_reply_failed},
    {"batch", batch_reply},
    {"batch-exceptions", batch_reply_exceptions},
    {"batch-failed", batch_reply_failed},
    {NULL, NULL},
};

/* ---- By name ------------------------------------------------------------------------------ */

void pw_sample_request(const char *name, struct pw_request *request)
{
    for (const struct pw_sample_request *at = pw_sample_requests; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            at->fill(request);
            return;
        }
    }
    fail_msg("there is no request %s", name);
}

void pw_sample_response(const char *name, struct pw_response *response)
{
    for (const struct pw_sample_response *at = pw_sample_responses; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            at->fill(response);
            return;
        }
    }
    fail_msg("there is no reply %s", name);
}

bool pw_sample_fits(const struct pw_codec_ops *codec, const char *name)
{
    return name != NULL && (codec->batches || strncmp(name, "batch", 5) != 0);
}

/* ---- Reading ------------------------------------------------------------------------------ */

void pw_reader_init(struct pw_reader *reader)
{
    *reader = (struct pw_reader){.recognised = false};
    pw_arena_init(&reader->arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&reader->request);
    pw_response_init(&reader->response);
}

void pw_reader_destroy(struct pw_reader *reader)
{
    pw_request_clear(&reader->request);
    pw_response_clear(&reader->response);
    pw_arena_destroy(&reader->arena);
}

enum pywatt_status pw_read_request(struct pw_reader *reader, const struct pw_codec_ops *codec,
                                   struct pw_span payload)
{
    pw_arena_reset(&reader->arena);
    return pw_codec_decode_request(codec, payload, &pw_codec_default_limits, &reader->arena,
                                   &reader->request, &reader->recognised, &reader->error);
}

enum pywatt_status pw_read_response(struct pw_reader *reader, const struct pw_codec_ops *codec,
                                    struct pw_span payload)
{
    pw_arena_reset(&reader->arena);
    return pw_codec_decode_response(codec, payload, &pw_codec_default_limits, &reader->arena,
                                    &reader->response, &reader->error);
}

static struct pw_span text_span(const char *json)
{
    return (struct pw_span){(const uint8_t *)json, strlen(json)};
}

enum pywatt_status pw_read_request_text(struct pw_reader *reader, const char *json)
{
    return pw_read_request(reader, pw_codec_by_name("json"), text_span(json));
}

enum pywatt_status pw_read_response_text(struct pw_reader *reader, const char *json)
{
    return pw_read_response(reader, pw_codec_by_name("json"), text_span(json));
}

/* ---- Bytes -------------------------------------------------------------------------------- */

struct pw_span pw_copy_bytes(const void *data, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return (struct pw_span){copy, len};
}

void pw_free_bytes(struct pw_span bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static struct pw_span take_bytes(struct pw_buffer *buffer)
{
    const struct pw_span all = pw_buffer_span(buffer);
    const struct pw_span copy = pw_copy_bytes(all.data, all.len);
    pw_buffer_destroy(buffer);
    return copy;
}

struct pw_span pw_sample_request_bytes(const struct pw_codec_ops *codec, const char *name)
{
    struct pw_request request;
    struct pw_buffer out;
    struct pywatt_error error = {0};
    pw_request_init(&request);
    pw_buffer_init(&out, 1 << 20);
    pw_sample_request(name, &request);
    if (pw_codec_encode_request(codec, &request, &out, &error) != PYWATT_OK) {
        fail_msg("%s cannot write request %s: %s", codec->name, name, error.text);
    }
    pw_request_clear(&request);
    return take_bytes(&out);
}

struct pw_span pw_sample_response_bytes(const struct pw_codec_ops *codec, const char *name)
{
    struct pw_response response;
    struct pw_buffer out;
    struct pywatt_error error = {0};
    pw_response_init(&response);
    pw_buffer_init(&out, 1 << 20);
    pw_sample_response(name, &response);
    if (pw_codec_encode_response(codec, &response, &out, &error) != PYWATT_OK) {
        fail_msg("%s cannot write reply %s: %s", codec->name, name, error.text);
    }
    pw_response_clear(&response);
    return take_bytes(&out);
}

bool pw_has_forbidden_word(const char *text)
{
    return strcasestr(text, "rejected") != NULL || strcasestr(text, "auth") != NULL ||
           (strcasestr(text, "name") != NULL && strcasestr(text, "taken") != NULL);
}
