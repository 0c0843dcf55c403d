/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer.c - a module as the wire shows it. No thread of its own.
 */
#include "peer.h"

#include "base/clock.h"
#include "pw_test.h"
#include "transport/frame.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_MS = 20000
};

static const struct pw_codec_ops *any_codec(const char *name)
{
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        if (strcmp((*codec)->name, name) == 0) {
            return *codec;
        }
    }
    return NULL;
}

bool peer_open(struct peer *peer, const char *url, const char *codec)
{
    *peer = (struct peer){.codec = any_codec(codec), .next_id = 1};
    pw_buffer_init(&peer->in, (size_t)1 << 26);
    pw_buffer_init(&peer->out, (size_t)1 << 26);
    pw_arena_init(&peer->arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&peer->response);
    struct pw_endpoint endpoint;
    struct pywatt_error error;
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    return peer->codec != NULL && pw_endpoint_parse(url, false, &endpoint, &error) == PYWATT_OK &&
           pw_transport_connect(&endpoint, deadline_ns, -1, &peer->conn, &error) == PYWATT_OK;
}

void peer_close(struct peer *peer)
{
    if (peer->conn != NULL) {
        pw_conn_destroy(peer->conn);
        peer->conn = NULL;
    }
    pw_response_clear(&peer->response);
    pw_buffer_destroy(&peer->in);
    pw_buffer_destroy(&peer->out);
    pw_arena_destroy(&peer->arena);
}

static bool wait_for(struct peer *peer, short events)
{
    struct pollfd item = {.fd = pw_conn_fd(peer->conn),
                          .events = pw_conn_poll_events(peer->conn, events)};
    const int64_t deadline_ns = pw_test_deadline_ns(PATIENCE_MS);
    return poll(&item, 1, pw_deadline_poll_ms((uint64_t)pw_test_now_ns(), (uint64_t)deadline_ns)) >
           0;
}

bool peer_send_raw(struct peer *peer, const void *data, size_t len)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    while (piece.iov_len > 0) {
        size_t sent = 0;
        const enum pw_io result = pw_conn_send(peer->conn, &piece, 1, &sent, NULL);
        if (result == PW_IO_OK) {
            piece.iov_base = (uint8_t *)piece.iov_base + sent;
            piece.iov_len -= sent;
        } else if (result != PW_IO_AGAIN || !wait_for(peer, POLLOUT)) {
            return false;
        }
    }
    return true;
}

bool peer_send_frame(struct peer *peer, uint8_t format_code, const char *payload)
{
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_frame_write_header(header, (uint32_t)strlen(payload), format_code);
    return peer_send_raw(peer, header, sizeof(header)) &&
           peer_send_raw(peer, payload, strlen(payload));
}

bool peer_pack(struct peer *peer, struct pw_request *request, struct pw_buffer *out)
{
    const uint8_t empty[PW_FRAME_HEADER_SIZE] = {0};
    const size_t before = pw_buffer_len(out);
    const uint64_t id = peer->next_id++;
    memset(request->request_id.bytes, 0xab, sizeof(request->request_id.bytes));
    memcpy(request->request_id.bytes, &id, sizeof(id));
    request->has_request_id = true;
    if (pw_buffer_append(out, empty, sizeof(empty)) != PYWATT_OK ||
        pw_codec_encode_request(peer->codec, request, out, NULL) != PYWATT_OK) {
        return false;
    }
    pw_frame_write_header(out->data + out->start + before,
                          (uint32_t)(pw_buffer_len(out) - before - sizeof(empty)),
                          peer->codec->format_code);
    return true;
}

bool peer_send(struct peer *peer, struct pw_request *request)
{
    pw_buffer_clear(&peer->out);
    return peer_pack(peer, request, &peer->out) &&
           peer_send_raw(peer, pw_buffer_bytes(&peer->out), pw_buffer_len(&peer->out));
}

/* One receive. False at the end. */
static bool more_input(struct peer *peer)
{
    for (;;) {
        uint8_t *room;
        size_t got = 0;
        if (pw_buffer_reserve(&peer->in, 65536, &room) != PYWATT_OK) {
            return false;
        }
        const enum pw_io result = pw_conn_receive(peer->conn, room, 65536, &got, NULL);
        if (result == PW_IO_OK) {
            pw_buffer_commit(&peer->in, got);
            return true;
        }
        if (result != PW_IO_AGAIN || !wait_for(peer, POLLIN)) {
            return false;
        }
    }
}

static bool decode(struct peer *peer, const struct pw_frame *frame)
{
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    peer->format_code = frame->format_code;
    peer->met |= peer->unwanted != NULL && memmem(frame->payload.data, frame->payload.len,
                                                  peer->unwanted, strlen(peer->unwanted)) != NULL;
    pw_response_reset(&peer->response);
    pw_arena_reset(&peer->arena);
    peer->error[0] = '\0';
    if (codec == NULL ||
        pw_codec_decode_response(codec, frame->payload, &pw_codec_default_limits, &peer->arena,
                                 &peer->response, NULL) != PYWATT_OK) {
        return false;
    }
    if (!peer->response.success) {
        snprintf(peer->error, sizeof(peer->error), "%.*s", (int)peer->response.error.len,
                 peer->response.error.len > 0 ? peer->response.error.data : "");
        /* It points into bytes that are about to be consumed. */
        peer->response.error = pw_str_from(peer->error);
    }
    return true;
}

bool peer_receive(struct peer *peer)
{
    for (;;) {
        struct pw_frame frame;
        size_t size;
        switch (pw_frame_parse(pw_buffer_span(&peer->in), (size_t)1 << 24, &frame, &size)) {
        case PW_FRAME_WHOLE: {
            const bool good = decode(peer, &frame);
            peer->frame_size = size;
            pw_buffer_consume(&peer->in, size);
            return good;
        }
        case PW_FRAME_MORE:
            if (!more_input(peer)) {
                return false;
            }
            break;
        case PW_FRAME_TOO_LONG: return false;
        }
    }
}

bool peer_is_closed_by_other(struct peer *peer)
{
    const size_t before = pw_buffer_len(&peer->in);
    for (;;) {
        uint8_t bytes[4096];
        size_t got = 0;
        switch (pw_conn_receive(peer->conn, bytes, sizeof(bytes), &got, NULL)) {
        case PW_IO_OK: return false;
        case PW_IO_EOF:
        case PW_IO_ERROR: return before == 0;
        case PW_IO_AGAIN: break;
        }
        if (!wait_for(peer, POLLIN)) {
            return false;
        }
    }
}

bool peer_has_nothing(struct peer *peer)
{
    uint8_t byte;
    size_t got = 0;
    return pw_buffer_len(&peer->in) == 0 &&
           pw_conn_receive(peer->conn, &byte, 1, &got, NULL) == PW_IO_AGAIN;
}

enum pywatt_status peer_call(struct peer *peer, struct pw_request *request)
{
    if (!peer_send(peer, request) || !peer_receive(peer)) {
        return PYWATT_CHANNEL;
    }
    const struct pw_response *response = &peer->response;
    if (response->operation != request->operation ||
        peer->format_code != peer->codec->format_code ||
        (response->has_request_id &&
         !pywatt_uuid_equal(&response->request_id, &request->request_id))) {
        return PYWATT_SERIALIZATION;
    }
    return response->success ? PYWATT_OK : response->status;
}

/* ---- Operations ---- */

static void keep_identity(const struct pywatt_registration *registration, struct identity *who)
{
    *who = (struct identity){.id = *pywatt_registration_id(registration),
                             .generation = pywatt_registration_generation(registration),
                             .lease_ms = pywatt_registration_lease_ms(registration),
                             .interval_ms = pywatt_registration_heartbeat_interval_ms(registration),
                             .port = pywatt_registration_orchestrator_port(registration)};
    snprintf(who->token, sizeof(who->token), "%s", pywatt_registration_token(registration));
    snprintf(who->host, sizeof(who->host), "%s",
             pywatt_registration_orchestrator_host(registration));
}

struct pw_request register_of(struct pywatt_module_info *info)
{
    return (struct pw_request){.operation = PW_OP_REGISTER, .info = info};
}

enum pywatt_status peer_register_with(struct peer *peer, const char *name,
                                      const struct pywatt_uuid *id, const char *token,
                                      const char *lease_ms, struct identity *who)
{
    struct pywatt_module_info *info = NULL;
    if (pywatt_module_info_new(name, "1.0", "a module of the tests", &info) != PYWATT_OK ||
        (id != NULL && pywatt_module_info_set_id(info, id) != PYWATT_OK) ||
        (lease_ms != NULL &&
         pywatt_module_info_set_metadata(info, "lease_ms", lease_ms) != PYWATT_OK)) {
        pywatt_module_info_free(info);
        return PYWATT_INVALID_ARGUMENT;
    }
    struct pw_request request = register_of(info);
    request.token = pw_str_from(token);
    const enum pywatt_status status = peer_call(peer, &request);
    pywatt_module_info_free(info);
    if (status == PYWATT_OK && who != NULL) {
        keep_identity(peer->response.registration, who);
    }
    return status;
}

enum pywatt_status peer_register(struct peer *peer, const char *name, struct identity *who)
{
    return peer_register_with(peer, name, NULL, NULL, NULL, who);
}

struct pw_request beat_of(const struct identity *who, enum pywatt_health health)
{
    return (struct pw_request){.operation = PW_OP_HEARTBEAT,
                               .module_id = who->id,
                               .token = pw_str_from(who->token),
                               .health = health};
}

enum pywatt_status peer_beat_with(struct peer *peer, const struct identity *who,
                                  enum pywatt_health health, uint64_t generation,
                                  struct pywatt_string_map *details)
{
    struct pw_request request = beat_of(who, health);
    request.generation = generation;
    request.details = details;
    return peer_call(peer, &request);
}

enum pywatt_status peer_beat(struct peer *peer, const struct identity *who,
                             enum pywatt_health health)
{
    return peer_beat_with(peer, who, health, 0, NULL);
}

enum pywatt_status peer_tell(struct peer *peer, const struct identity *who,
                             struct pywatt_capabilities *capabilities)
{
    struct pw_request request = {.operation = PW_OP_CAPABILITIES,
                                 .module_id = who->id,
                                 .token = pw_str_from(who->token),
                                 .capabilities = capabilities};
    return peer_call(peer, &request);
}

enum pywatt_status peer_advertise(struct peer *peer, const struct identity *who, const char *path)
{
    const char *const methods[] = {"GET"};
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    if (capabilities == NULL ||
        pywatt_capabilities_add_http_endpoint(capabilities, path, methods, 1) != PYWATT_OK) {
        pywatt_capabilities_free(capabilities);
        return PYWATT_INVALID_ARGUMENT;
    }
    const enum pywatt_status status = peer_tell(peer, who, capabilities);
    pywatt_capabilities_free(capabilities);
    return status;
}

enum pywatt_status peer_unregister(struct peer *peer, const struct identity *who)
{
    struct pw_request request = {
        .operation = PW_OP_UNREGISTER, .module_id = who->id, .token = pw_str_from(who->token)};
    return peer_call(peer, &request);
}
