/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_batch.c - beats of many modules in one message, in full or by their aliases, and the
 * reply that names only those to which there is something to say. Written by hand, read into an array
 * in the arena. No state; any thread.
 *
 * Beats as this codec writes them are recognised by their bytes; all others go through the strict
 * scan, which also says what is wrong with them. What is accepted is the same either way.
 */
#include "base/error.h"
#include "codec/proto_numbers.h"
#include "codec/proto_scan.h"
#include "codec/proto_wire.h"
#include "codec/protobuf_codec.h"
#include "codec/protobuf_usual.h"

#include <stdio.h>

#define ID_BYTES sizeof(struct pywatt_uuid)

/* Tags and lengths around the least that a beat may hold: id, a token of one byte, health. */
#define SHORTEST_BEAT (2 + 2 + ID_BYTES + 3 + 2)

/* ---- Reading a request -------------------------------------------------------------------- */

static enum pywatt_status wrong_beat(const struct pw_proto_scan *scan, uint32_t index,
                                     const char *field, enum pywatt_status status, const char *what)
{
    return pw_error_set(scan->error, status, "heartbeat_batch.beats[%u].%s %s", index, field, what);
}

static enum pywatt_status read_any_beat(struct pw_proto_scan *scan, uint32_t index,
                                        struct pw_span body, struct pw_batched_beat *beat)
{
    struct pw_proto_fields fields;
    char label[48];
    snprintf(label, sizeof(label), "heartbeat_batch.beats[%u]", index);
    const enum pywatt_status status =
        pw_proto_scan_item(scan, &pw_proto_batched_beat, label, body, &fields);
    if (status != PYWATT_OK) {
        return status;
    }
    if (!pw_proto_has(&fields, PW_PB_MODULE_ID)) {
        return wrong_beat(scan, index, "module_id", PYWATT_SERIALIZATION, "is missing");
    }
    memcpy(beat->module_id.bytes, fields.spans[PW_PB_MODULE_ID].data, ID_BYTES);
    beat->token = pw_proto_text(&fields, PW_PB_TOKEN);
    beat->generation = pw_proto_number(&fields, PW_PB_GENERATION);
    beat->alias = (uint32_t)pw_proto_number(&fields, PW_PB_ALIAS);
    if (beat->token.len == 0) {
        return wrong_beat(scan, index, "token", PYWATT_SERIALIZATION, "is missing");
    }
    if (beat->token.len > PYWATT_TOKEN_MAX) {
        return wrong_beat(scan, index, "token", PYWATT_LIMIT, "is too long");
    }
    if (!pw_protobuf_to_health(pw_proto_number(&fields, PW_PB_HEALTH), &beat->health)) {
        return wrong_beat(scan, index, "health", PYWATT_SERIALIZATION, "is missing");
    }
    return PYWATT_OK;
}

/* The next item of the repeated field `number` of a body that has passed the scan. */
static bool next_item(struct pw_wire *wire, unsigned number, struct pw_span *item)
{
    struct pw_wire_field field = {.number = 0};
    while (wire->at < wire->end && pw_wire_next(wire, &field)) {
        if (field.number == number) {
            *item = field.bytes;
            return true;
        }
    }
    return false;
}

/* How many fields a usual beat has, for the limit on elements. */
static uint32_t elements_of(const struct pw_batched_beat *beat)
{
    return beat->generation == 0 ? 3 : 4;
}

static enum pywatt_status read_beat(struct pw_proto_scan *scan, uint32_t index, struct pw_span body,
                                    struct pw_batched_beat *beat)
{
    if (pw_protobuf_usual_beat(body, scan->limits, beat)) {
        scan->elements += elements_of(beat);
        return PYWATT_OK;
    }
    return read_any_beat(scan, index, body, beat);
}

/* What a batch is made of, while its fields are walked through. */
struct batch {
    struct pw_wire wire;
    struct pw_span item;   /* the beat that was met last */
    struct pw_span shorts; /* the short beats; data NULL: there are none */
    struct pw_batched_beat *beats;
    uint32_t count;
    enum pywatt_status status;
};

static void wrong_batch(struct pw_proto_scan *scan, struct batch *batch, enum pywatt_status status,
                        const char *what)
{
    batch->status = pw_error_set(scan->error, status, "heartbeat_batch%s", what);
}

/* Walks to the next beat; false at the end of the batch, or if its status says what is wrong. */
static bool next_beat(struct pw_proto_scan *scan, struct batch *batch)
{
    while (batch->wire.at < batch->wire.end) {
        struct pw_wire_field field = {.number = 0};
        scan->elements++;
        if (!pw_wire_next(&batch->wire, &field)) {
            wrong_batch(scan, batch, PYWATT_SERIALIZATION, " is malformed or cut off");
            return false;
        }
        if (field.number != PW_PB_BATCH_BEATS && field.number != PW_PB_BATCH_SHORT_BEATS) {
            continue; /* of the future */
        }
        if (field.type != PW_WIRE_BYTES) {
            wrong_batch(scan, batch, PYWATT_SERIALIZATION,
                        field.number == PW_PB_BATCH_BEATS ? ".beats is of the wrong type"
                                                          : ".short_beats is of the wrong type");
            return false;
        }
        if (field.number == PW_PB_BATCH_BEATS) {
            batch->item = field.bytes;
            return true;
        }
        if (batch->shorts.data != NULL) {
            wrong_batch(scan, batch, PYWATT_SERIALIZATION, ".short_beats stands twice");
            return false;
        }
        batch->shorts = field.bytes;
    }
    return false;
}

/*
 * Whether each is a beat by an alias, or stands for a beat in full, of which there are `full_count`:
 * those get the health of theirs.
 */
static bool match_full_beats(pw_short_beat *beats, size_t count, const struct pw_batched_beat *full,
                             uint32_t full_count)
{
    uint32_t met = 0;
    for (size_t i = 0; i < count; i++) {
        if (beats[i] == 0 && met < full_count) {
            beats[i] = pw_short_beat_of(0, full[met++].health);
        } else if (!pw_short_beat_valid(beats[i])) {
            return false;
        }
    }
    return met == full_count;
}

static enum pywatt_status read_short_beats(struct pw_proto_scan *scan, struct batch *batch,
                                           struct pw_arena *arena, struct pw_request *message)
{
    const size_t count = batch->shorts.len / sizeof(pw_short_beat);
    if (batch->shorts.len % sizeof(pw_short_beat) != 0 || count == 0) {
        wrong_batch(scan, batch, PYWATT_SERIALIZATION, ".short_beats is cut off");
        return batch->status;
    }
    if (count > PW_BATCH_MAX) {
        wrong_batch(scan, batch, PYWATT_LIMIT, ".short_beats are too many");
        return batch->status;
    }
    pw_short_beat *beats = pw_arena_alloc(arena, batch->shorts.len);
    if (beats == NULL) {
        return pw_protobuf_arena_error(arena, scan->error);
    }
    bool valid = true;
    for (size_t i = 0; i < count; i++) {
        beats[i] = pw_wire_fixed32(batch->shorts.data + i * sizeof(*beats));
        valid &= pw_short_beat_valid(beats[i]);
    }
    if ((!valid || batch->count > 0) &&
        !match_full_beats(beats, count, batch->beats, batch->count)) {
        wrong_batch(
            scan, batch, PYWATT_SERIALIZATION,
            ".short_beats have an alias or a health that is out of range, or another number "
            "of places for beats in full than there are such");
        return batch->status;
    }
    scan->elements += (uint32_t)count;
    message->short_beats = beats;
    message->beat_count = (uint32_t)count;
    return PYWATT_OK;
}

/* Reads the beats into an array with room for `most`, which is made when the first one is met. */
static enum pywatt_status read_beats(struct pw_proto_scan *scan, struct batch *batch, size_t most,
                                     struct pw_arena *arena)
{
    while (batch->status == PYWATT_OK && next_beat(scan, batch)) {
        if (batch->beats == NULL) {
            batch->beats = pw_arena_alloc(arena, most * sizeof(*batch->beats));
        }
        if (batch->beats == NULL) {
            batch->status = pw_protobuf_arena_error(arena, scan->error);
        } else if (batch->count == PW_BATCH_MAX) {
            wrong_batch(scan, batch, PYWATT_LIMIT, ".beats are too many");
        } else if (batch->count == most) {
            /* One at least of those that are left is too short to be a beat. */
            batch->status =
                wrong_beat(scan, batch->count, "module_id", PYWATT_SERIALIZATION, "is missing");
        } else {
            batch->status = read_beat(scan, batch->count, batch->item, &batch->beats[batch->count]);
            batch->count++;
        }
    }
    return batch->status;
}

enum pywatt_status pw_protobuf_read_batch(struct pw_proto_scan *scan, struct pw_span body,
                                          struct pw_arena *arena, struct pw_request *message)
{
    struct batch batch = {.wire = pw_wire_of(body), .status = PYWATT_OK};
    const size_t fit = body.len / SHORTEST_BEAT + 1;
    enum pywatt_status status =
        read_beats(scan, &batch, fit < PW_BATCH_MAX ? fit : PW_BATCH_MAX, arena);
    if (status != PYWATT_OK) {
        return status;
    }
    if (batch.count == 0 && batch.shorts.data == NULL) {
        wrong_batch(scan, &batch, PYWATT_SERIALIZATION, ".beats are missing");
        return batch.status;
    }
    message->beats = batch.beats;
    message->beat_count = batch.count;
    message->full_count = batch.count;
    if (batch.shorts.data != NULL) {
        status = read_short_beats(scan, &batch, arena, message);
    }
    return status == PYWATT_OK ? pw_proto_check_elements(scan) : status;
}

/* ---- Reading a reply ---------------------------------------------------------------------- */

static enum pywatt_status read_exception(struct pw_proto_scan *scan, struct pw_span body,
                                         int64_t last_index, uint32_t beat_count,
                                         struct pw_beat_exception *exception)
{
    struct pw_proto_fields fields;
    const enum pywatt_status status =
        pw_proto_scan_item(scan, &pw_proto_beat_exception, "exceptions", body, &fields);
    if (status != PYWATT_OK) {
        return status;
    }
    exception->index = (uint32_t)pw_proto_number(&fields, PW_PB_EXCEPTION_INDEX);
    exception->status = pw_protobuf_to_status(pw_proto_number(&fields, PW_PB_EXCEPTION_STATUS));
    exception->error = (struct pw_str){NULL, 0};
    if (exception->status != PYWATT_OK) {
        exception->error = pw_proto_text(&fields, PW_PB_EXCEPTION_ERROR);
    }
    if ((int64_t)exception->index <= last_index || exception->index >= beat_count) {
        return pw_proto_wrong(scan, "exceptions", PYWATT_SERIALIZATION,
                              "name beats that were not sent, or not by rising index");
    }
    if (!pw_protobuf_to_health(pw_proto_number(&fields, PW_PB_EXCEPTION_HEALTH),
                               &exception->health)) {
        return pw_proto_wrong(scan, "exceptions.health", PYWATT_SERIALIZATION, "is missing");
    }
    return PYWATT_OK;
}

enum pywatt_status pw_protobuf_read_batch_reply(struct pw_proto_scan *scan,
                                                const struct pw_proto_fields *fields,
                                                struct pw_span body, struct pw_arena *arena,
                                                struct pw_response *message)
{
    message->beat_count = (uint32_t)pw_proto_number(fields, PW_PB_BATCH_REPLY_BEATS);
    if (!message->success || !pw_proto_has(fields, PW_PB_BATCH_REPLY_EXCEPTIONS)) {
        return PYWATT_OK;
    }
    struct pw_beat_exception *exceptions =
        pw_arena_calloc(arena, message->beat_count, sizeof(*exceptions));
    if (exceptions == NULL && message->beat_count > 0) {
        return pw_protobuf_arena_error(arena, scan->error);
    }
    struct pw_wire wire = pw_wire_of(body);
    struct pw_span item;
    int64_t last_index = -1;
    while (next_item(&wire, PW_PB_BATCH_REPLY_EXCEPTIONS, &item)) {
        /* Their indexes rise and stay below beat_count, so there is room for each that passes. */
        struct pw_beat_exception exception;
        const enum pywatt_status status =
            read_exception(scan, item, last_index, message->beat_count, &exception);
        if (status != PYWATT_OK) {
            return status;
        }
        last_index = exception.index;
        exceptions[message->exception_count++] = exception;
    }
    message->exceptions = exceptions;
    return PYWATT_OK;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static size_t beat_len(const struct pw_batched_beat *beat)
{
    return pw_wire_bytes_len(ID_BYTES) + pw_wire_bytes_len(beat->token.len) + 2 +
           (beat->generation == 0 ? 0 : 1 + pw_wire_varint_len(beat->generation)) +
           (beat->alias == 0 ? 0 : 1 + pw_wire_varint_len(beat->alias));
}

size_t pw_protobuf_batch_len(const struct pw_request *request)
{
    const uint32_t full_count = pw_request_full_count(request);
    size_t total = 0;
    if (request->short_beats != NULL) {
        total = pw_wire_bytes_len(request->beat_count * sizeof(pw_short_beat));
    }
    for (uint32_t i = 0; i < full_count; i++) {
        total += pw_wire_bytes_len(beat_len(&request->beats[i]));
    }
    return total;
}

static uint8_t *put_short_beats(uint8_t *at, const struct pw_request *request)
{
    at = pw_wire_put_length(at, PW_PB_BATCH_SHORT_BEATS,
                            request->beat_count * sizeof(pw_short_beat));
    if (request->full_count == 0) {
        for (uint32_t i = 0; i < request->beat_count; i++) {
            at = pw_wire_put_fixed32(at, request->short_beats[i]);
        }
        return at;
    }
    for (uint32_t i = 0; i < request->beat_count; i++) {
        const pw_short_beat beat = request->short_beats[i];
        at = pw_wire_put_fixed32(at, pw_short_beat_alias(beat) == 0 ? 0 : beat);
    }
    return at;
}

uint8_t *pw_protobuf_put_batch(uint8_t *at, const struct pw_request *request)
{
    const uint32_t full_count = pw_request_full_count(request);
    for (uint32_t i = 0; i < full_count; i++) {
        const struct pw_batched_beat *beat = &request->beats[i];
        at = pw_wire_put_length(at, PW_PB_BATCH_BEATS, beat_len(beat));
        at = pw_wire_put_bytes(at, PW_PB_MODULE_ID, beat->module_id.bytes, ID_BYTES);
        at = pw_wire_put_bytes(at, PW_PB_TOKEN, beat->token.data, beat->token.len);
        at = pw_wire_put_number(at, PW_PB_HEALTH, pw_protobuf_from_health(beat->health));
        if (beat->generation != 0) {
            at = pw_wire_put_number(at, PW_PB_GENERATION, beat->generation);
        }
        if (beat->alias != 0) {
            at = pw_wire_put_number(at, PW_PB_ALIAS, beat->alias);
        }
    }
    return request->short_beats == NULL ? at : put_short_beats(at, request);
}

static size_t number_len(uint64_t number)
{
    return number == 0 ? 0 : 1 + pw_wire_varint_len(number);
}

static uint8_t *put_number(uint8_t *at, unsigned field, uint64_t number)
{
    return number == 0 ? at : pw_wire_put_number(at, field, number);
}

static size_t exception_len(const struct pw_beat_exception *exception)
{
    return number_len(exception->index) + number_len(exception->status) +
           (exception->error.len == 0 ? 0 : pw_wire_bytes_len(exception->error.len)) + 2;
}

size_t pw_protobuf_batch_reply_len(const struct pw_response *response)
{
    size_t total = number_len(response->beat_count);
    for (uint32_t i = 0; i < response->exception_count; i++) {
        total += pw_wire_bytes_len(exception_len(&response->exceptions[i]));
    }
    return total;
}

uint8_t *pw_protobuf_put_batch_reply(uint8_t *at, const struct pw_response *response)
{
    at = put_number(at, PW_PB_BATCH_REPLY_BEATS, response->beat_count);
    for (uint32_t i = 0; i < response->exception_count; i++) {
        const struct pw_beat_exception *exception = &response->exceptions[i];
        at = pw_wire_put_length(at, PW_PB_BATCH_REPLY_EXCEPTIONS, exception_len(exception));
        at = put_number(at, PW_PB_EXCEPTION_INDEX, exception->index);
        at = put_number(at, PW_PB_EXCEPTION_STATUS, exception->status);
        if (exception->error.len != 0) {
            at = pw_wire_put_bytes(at, PW_PB_EXCEPTION_ERROR, exception->error.data,
                                   exception->error.len);
        }
        at = pw_wire_put_number(at, PW_PB_EXCEPTION_HEALTH,
                                pw_protobuf_from_health(exception->health));
    }
    return at;
}
