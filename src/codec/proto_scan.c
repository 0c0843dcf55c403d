/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * proto_scan.c - the strict scan of protobuf payloads, driven by tables that say what the schema
 * says. No state; any thread; the recursion is as deep as the schema.
 *
 * Errors do not call the field `auth` by its name, which means something to peers that read texts.
 */
#include "codec/proto_scan.h"

#include "base/error.h"
#include "base/utf8.h"
#include "codec/proto_wire.h"

#include <stdio.h>

/* ---- The schema --------------------------------------------------------------------------- */

enum kind {
    UNKNOWN, /* no field of this number */
    TEXT,
    ID,
    NUMBER,
    MESSAGE,
    OPERATION /* a message that is scanned later */
};

struct field {
    const char *label;
    enum kind kind;
    bool repeated;
    uint64_t max;                           /* NUMBER */
    const struct pw_proto_message *message; /* MESSAGE, OPERATION */
};

struct pw_proto_message {
    struct field fields[PW_PROTO_NUMBERS];
};

#define HEALTH_MAX 3
#define STATUS_MAX INT32_MAX

#define ONE_TEXT(name)                \
    {                                 \
        .label = (name), .kind = TEXT \
    }
#define SOME_TEXTS(name)                                \
    {                                                   \
        .label = (name), .kind = TEXT, .repeated = true \
    }
#define ONE_ID(name)                \
    {                               \
        .label = (name), .kind = ID \
    }
#define ONE_NUMBER(name, limit)                         \
    {                                                   \
        .label = (name), .kind = NUMBER, .max = (limit) \
    }
#define ONE_MESSAGE(name, type)                             \
    {                                                       \
        .label = (name), .kind = MESSAGE, .message = (type) \
    }
#define SOME_MESSAGES(name, type)                                             \
    {                                                                         \
        .label = (name), .kind = MESSAGE, .repeated = true, .message = (type) \
    }
#define ONE_OPERATION(name, type)                             \
    {                                                         \
        .label = (name), .kind = OPERATION, .message = (type) \
    }

static const struct pw_proto_message nothing = {{{NULL, UNKNOWN, false, 0, NULL}}};

static const struct pw_proto_message pair = {{
    [1] = ONE_TEXT("key"),
    [2] = ONE_TEXT("value"),
}};

static const struct pw_proto_message module_info = {{
    [1] = ONE_TEXT("name"),
    [2] = ONE_TEXT("version"),
    [3] = ONE_TEXT("description"),
    [4] = ONE_ID("id"),
    [5] = SOME_MESSAGES("metadata", &pair),
}};

static const struct pw_proto_message endpoint = {{
    [1] = ONE_TEXT("path"),
    [2] = SOME_TEXTS("methods"),
    [3] = ONE_TEXT("scheme"),
    [4] = SOME_MESSAGES("metadata", &pair),
}};

static const struct pw_proto_message heartbeat_request = {{
    [1] = ONE_ID("module_id"),
    [2] = ONE_TEXT("token"),
    [3] = ONE_NUMBER("health", HEALTH_MAX),
    [4] = ONE_NUMBER("generation", UINT64_MAX),
    [5] = SOME_MESSAGES("details", &pair),
}};

static const struct pw_proto_message register_request = {{
    [1] = ONE_MESSAGE("info", &module_info),
    [2] = ONE_TEXT("token"),
}};

static const struct pw_proto_message unregister_request = {{
    [1] = ONE_ID("module_id"),
    [2] = ONE_TEXT("token"),
}};

static const struct pw_proto_message capabilities_request = {{
    [1] = ONE_ID("module_id"),
    [2] = ONE_TEXT("token"),
    [3] = SOME_MESSAGES("endpoints", &endpoint),
    [4] = SOME_TEXTS("message_types"),
    [5] = SOME_MESSAGES("additional", &pair),
}};

const struct pw_proto_message pw_proto_request = {{
    [1] = ONE_ID("request_id"),
    [2] = ONE_OPERATION("heartbeat", &heartbeat_request),
    [3] = ONE_OPERATION("registration", &register_request),
    [4] = ONE_OPERATION("unregistration", &unregister_request),
    [5] = ONE_OPERATION("capabilities", &capabilities_request),
}};

static const struct pw_proto_message heartbeat_reply = {{
    [1] = ONE_NUMBER("health", HEALTH_MAX),
    [2] = SOME_MESSAGES("context", &pair),
}};

static const struct pw_proto_message register_reply = {{
    [1] = ONE_MESSAGE("info", &module_info),
    [2] = ONE_ID("id"),
    [3] = ONE_TEXT("token"),
    [4] = ONE_TEXT("orchestrator_host"),
    [5] = ONE_NUMBER("orchestrator_port", UINT16_MAX),
    [6] = SOME_MESSAGES("env", &pair),
    [7] = SOME_MESSAGES("additional_data", &pair),
}};

const struct pw_proto_message pw_proto_response = {{
    [1] = ONE_ID("request_id"),
    [2] = ONE_NUMBER("status", STATUS_MAX),
    [3] = ONE_TEXT("error"),
    [4] = ONE_OPERATION("heartbeat", &heartbeat_reply),
    [5] = ONE_OPERATION("registration", &register_reply),
    [6] = ONE_OPERATION("unregistration", &nothing),
    [7] = ONE_OPERATION("capabilities", &nothing),
}};

/* ---- Errors ------------------------------------------------------------------------------- */

enum pywatt_status pw_proto_wrong(const struct pw_proto_scan *scan, const char *name,
                                  enum pywatt_status status, const char *what)
{
    char place[160] = "";
    size_t len = 0;
    for (unsigned i = 0; i < scan->depth && len < sizeof(place); i++) {
        const int n = snprintf(place + len, sizeof(place) - len, "%s.", scan->labels[i]);
        len += n > 0 ? (size_t)n : 0;
    }
    return pw_error_set(scan->error, status, "%s%s %s", place, name, what);
}

/* The same for the message that is open itself. */
static enum pywatt_status wrong_message(const struct pw_proto_scan *scan, const char *what)
{
    return scan->depth == 0
               ? pw_error_set(scan->error, PYWATT_SERIALIZATION, "the message %s", what)
               : pw_error_set(scan->error, PYWATT_SERIALIZATION, "%s %s",
                              scan->labels[scan->depth - 1], what);
}

/* ---- The scan ----------------------------------------------------------------------------- */

static enum pywatt_status scan_message(struct pw_proto_scan *scan,
                                       const struct pw_proto_message *message, struct pw_span bytes,
                                       struct pw_proto_fields *fields);

static enum pywatt_status scan_text(const struct pw_proto_scan *scan, const struct field *field,
                                    struct pw_span bytes)
{
    if (bytes.len > scan->limits->max_string) {
        return pw_proto_wrong(scan, field->label, PYWATT_LIMIT, "is a long text");
    }
    if (!pw_utf8_valid((struct pw_str){(const char *)bytes.data, bytes.len})) {
        return pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "is not UTF-8");
    }
    return PYWATT_OK;
}

static enum pywatt_status open_message(struct pw_proto_scan *scan, const struct field *field)
{
    if (scan->depth + 1 >= PW_PROTO_DEPTH || scan->depth + 2 > scan->limits->max_depth) {
        return pw_proto_wrong(scan, field->label, PYWATT_LIMIT, "is nested too deeply");
    }
    scan->labels[scan->depth++] = field->label;
    return PYWATT_OK;
}

static enum pywatt_status scan_value(struct pw_proto_scan *scan, const struct field *field,
                                     const struct pw_wire_field *wire)
{
    struct pw_proto_fields inner;
    enum pywatt_status status;
    switch (field->kind) {
    case TEXT: return scan_text(scan, field, wire->bytes);
    case ID:
        return wire->bytes.len == sizeof(struct pywatt_uuid)
                   ? PYWATT_OK
                   : pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "is no UUID");
    case NUMBER:
        return wire->value <= field->max
                   ? PYWATT_OK
                   : pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "is out of range");
    case MESSAGE:
        status = open_message(scan, field);
        if (status == PYWATT_OK) {
            status = scan_message(scan, field->message, wire->bytes, &inner);
            scan->depth--;
        }
        return status;
    case OPERATION:
    case UNKNOWN:
    default: return PYWATT_OK;
    }
}

static enum pywatt_status scan_field(struct pw_proto_scan *scan, const struct field *field,
                                     const struct pw_wire_field *wire,
                                     struct pw_proto_fields *fields)
{
    const enum pw_wire_type expected = field->kind == NUMBER ? PW_WIRE_VARINT : PW_WIRE_BYTES;
    if (wire->type != expected) {
        return pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "is of the wrong type");
    }
    if (pw_proto_has(fields, wire->number) && !field->repeated) {
        return pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "stands twice");
    }
    fields->present |= UINT32_C(1) << wire->number;
    fields->numbers[wire->number] = wire->value;
    fields->spans[wire->number] = wire->bytes;
    return scan_value(scan, field, wire);
}

static enum pywatt_status scan_message(struct pw_proto_scan *scan,
                                       const struct pw_proto_message *message, struct pw_span bytes,
                                       struct pw_proto_fields *fields)
{
    struct pw_wire wire = pw_wire_of(bytes);
    fields->present = 0;
    while (wire.at < wire.end) {
        struct pw_wire_field found = {.number = 0};
        if (++scan->elements > scan->limits->max_elements) {
            return pw_error_set(scan->error, PYWATT_LIMIT, "the message has more than %u elements",
                                scan->limits->max_elements);
        }
        if (!pw_wire_next(&wire, &found)) {
            return wrong_message(scan, "is malformed or cut off");
        }
        if (found.number >= PW_PROTO_NUMBERS || message->fields[found.number].kind == UNKNOWN) {
            continue;
        }
        const enum pywatt_status status =
            scan_field(scan, &message->fields[found.number], &found, fields);
        if (status != PYWATT_OK) {
            return status;
        }
    }
    return PYWATT_OK;
}

void pw_proto_scan_init(struct pw_proto_scan *scan, const struct pw_codec_limits *limits,
                        struct pywatt_error *error)
{
    scan->limits = limits;
    scan->error = error;
    scan->elements = 0;
    scan->depth = 0;
}

enum pywatt_status pw_proto_scan_outer(struct pw_proto_scan *scan,
                                       const struct pw_proto_message *outer, struct pw_span bytes,
                                       struct pw_proto_fields *fields)
{
    return scan_message(scan, outer, bytes, fields);
}

enum pywatt_status pw_proto_scan_operation(struct pw_proto_scan *scan,
                                           const struct pw_proto_message *outer, unsigned number,
                                           struct pw_span body, struct pw_proto_fields *fields)
{
    const enum pywatt_status status = open_message(scan, &outer->fields[number]);
    return status == PYWATT_OK ? scan_message(scan, outer->fields[number].message, body, fields)
                               : status;
}

/* ---- Pairs -------------------------------------------------------------------------------- */

static void read_pair(struct pw_span bytes, struct pw_str *key, struct pw_str *value)
{
    struct pw_wire wire = pw_wire_of(bytes);
    struct pw_wire_field field = {.number = 0};
    *key = (struct pw_str){NULL, 0};
    *value = (struct pw_str){NULL, 0};
    while (wire.at < wire.end && pw_wire_next(&wire, &field)) {
        const struct pw_str text = {(const char *)field.bytes.data, field.bytes.len};
        if (field.number == 1) {
            *key = text;
        } else if (field.number == 2) {
            *value = text;
        }
    }
}

bool pw_proto_next_pair(struct pw_span *rest, unsigned number, struct pw_str *key,
                        struct pw_str *value)
{
    struct pw_wire wire = pw_wire_of(*rest);
    struct pw_wire_field field = {.number = 0};
    while (wire.at < wire.end && pw_wire_next(&wire, &field)) {
        if (field.number == number) {
            read_pair(field.bytes, key, value);
            *rest = (struct pw_span){wire.at, (size_t)(wire.end - wire.at)};
            return true;
        }
    }
    return false;
}
