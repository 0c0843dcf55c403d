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
    OPERATION, /* a message that is scanned later */
    ITEMS      /* messages that are scanned later, one by one */
};

struct field {
    const char *label;
    enum kind kind;
    uint32_t times;                         /* that it may stand in its message */
    uint64_t max;                           /* NUMBER */
    const struct pw_proto_message *message; /* MESSAGE, OPERATION */
};

struct pw_proto_message {
    struct field fields[PW_PROTO_NUMBERS];
};

#define HEALTH_MAX 3
#define STATUS_MAX INT32_MAX
#define FEATURES_MAX 32

/* A map of the model as a field. */
#define MAP(name) (name), MESSAGE, PYWATT_MAP_ITEMS_MAX, 0, &pair

static const struct pw_proto_message nothing = {{{NULL, UNKNOWN, 0, 0, NULL}}};

static const struct pw_proto_message pair = {{
    [1] = {"key", TEXT, 1, 0, NULL},
    [2] = {"value", TEXT, 1, 0, NULL},
}};

static const struct pw_proto_message module_info = {{
    [1] = {"name", TEXT, 1, 0, NULL},
    [2] = {"version", TEXT, 1, 0, NULL},
    [3] = {"description", TEXT, 1, 0, NULL},
    [4] = {"id", ID, 1, 0, NULL},
    [5] = {MAP("metadata")},
}};

static const struct pw_proto_message endpoint = {{
    [1] = {"path", TEXT, 1, 0, NULL},
    [2] = {"methods", TEXT, PYWATT_METHODS_MAX, 0, NULL},
    [3] = {"scheme", TEXT, 1, 0, NULL},
    [4] = {MAP("metadata")},
}};

static const struct pw_proto_message heartbeat_request = {{
    [1] = {"module_id", ID, 1, 0, NULL},
    [2] = {"token", TEXT, 1, 0, NULL},
    [3] = {"health", NUMBER, 1, HEALTH_MAX, NULL},
    [4] = {"generation", NUMBER, 1, UINT64_MAX, NULL},
    [5] = {MAP("details")},
}};

static const struct pw_proto_message register_request = {{
    [1] = {"info", MESSAGE, 1, 0, &module_info},
    [2] = {"token", TEXT, 1, 0, NULL},
    [3] = {"can_wait", NUMBER, 1, 1, NULL},
}};

static const struct pw_proto_message unregister_request = {{
    [1] = {"module_id", ID, 1, 0, NULL},
    [2] = {"token", TEXT, 1, 0, NULL},
}};

static const struct pw_proto_message capabilities_request = {{
    [1] = {"module_id", ID, 1, 0, NULL},
    [2] = {"token", TEXT, 1, 0, NULL},
    [3] = {"endpoints", MESSAGE, PYWATT_ENDPOINTS_MAX, 0, &endpoint},
    [4] = {"message_types", TEXT, PYWATT_MESSAGE_TYPES_MAX, 0, NULL},
    [5] = {MAP("additional")},
}};

const struct pw_proto_message pw_proto_batched_beat = {{
    [1] = {"module_id", ID, 1, 0, NULL},
    [2] = {"token", TEXT, 1, 0, NULL},
    [3] = {"health", NUMBER, 1, HEALTH_MAX, NULL},
    [4] = {"generation", NUMBER, 1, UINT64_MAX, NULL},
    [5] = {"alias", NUMBER, 1, PW_ALIAS_MAX, NULL},
}};

const struct pw_proto_message pw_proto_request = {{
    [1] = {"request_id", ID, 1, 0, NULL},
    [2] = {"heartbeat", OPERATION, 1, 0, &heartbeat_request},
    [3] = {"registration", OPERATION, 1, 0, &register_request},
    [4] = {"unregistration", OPERATION, 1, 0, &unregister_request},
    [5] = {"capabilities", OPERATION, 1, 0, &capabilities_request},
    [6] = {"heartbeat_batch", OPERATION, 1, 0, NULL},
}};

static const struct pw_proto_message heartbeat_reply = {{
    [1] = {"health", NUMBER, 1, HEALTH_MAX, NULL},
    [2] = {MAP("context")},
}};

static const struct pw_proto_message register_reply = {{
    [1] = {"info", MESSAGE, 1, 0, &module_info},
    [2] = {"id", ID, 1, 0, NULL},
    [3] = {"token", TEXT, 1, 0, NULL},
    [4] = {"orchestrator_host", TEXT, 1, 0, NULL},
    [5] = {"orchestrator_port", NUMBER, 1, UINT16_MAX, NULL},
    [6] = {MAP("env")},
    [7] = {MAP("additional_data")},
}};

const struct pw_proto_message pw_proto_beat_exception = {{
    [1] = {"index", NUMBER, 1, PW_BATCH_MAX - 1, NULL},
    [2] = {"status", NUMBER, 1, STATUS_MAX, NULL},
    [3] = {"error", TEXT, 1, 0, NULL},
    [4] = {"health", NUMBER, 1, HEALTH_MAX, NULL},
}};

static const struct pw_proto_message heartbeat_batch_reply = {{
    [1] = {"beats", NUMBER, 1, PW_BATCH_MAX, NULL},
    [2] = {"exceptions", ITEMS, PW_BATCH_MAX, 0, NULL},
}};

const struct pw_proto_message pw_proto_response = {{
    [1] = {"request_id", ID, 1, 0, NULL},
    [2] = {"status", NUMBER, 1, STATUS_MAX, NULL},
    [3] = {"error", TEXT, 1, 0, NULL},
    [4] = {"heartbeat", OPERATION, 1, 0, &heartbeat_reply},
    [5] = {"registration", OPERATION, 1, 0, &register_reply},
    [6] = {"unregistration", OPERATION, 1, 0, &nothing},
    [7] = {"capabilities", OPERATION, 1, 0, &nothing},
    [8] = {"heartbeat_batch", OPERATION, 1, 0, &heartbeat_batch_reply},
    [9] = {"retry_after_ms", NUMBER, 1, UINT32_MAX, NULL},
    [10] = {"features", TEXT, FEATURES_MAX, 0, NULL},
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

enum pywatt_status pw_proto_check_elements(const struct pw_proto_scan *scan)
{
    return scan->elements <= scan->limits->max_elements
               ? PYWATT_OK
               : pw_error_set(scan->error, PYWATT_LIMIT, "the message has more than %u elements",
                              scan->limits->max_elements);
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
    case ITEMS:
    case UNKNOWN:
    default: return PYWATT_OK;
    }
}

/* `times` is how often the field stood there before. */
static enum pywatt_status scan_field(struct pw_proto_scan *scan, const struct field *field,
                                     const struct pw_wire_field *wire, uint32_t times,
                                     struct pw_proto_fields *fields)
{
    const enum pw_wire_type expected = field->kind == NUMBER ? PW_WIRE_VARINT : PW_WIRE_BYTES;
    if (wire->type != expected) {
        return pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "is of the wrong type");
    }
    if (times == field->times) {
        return times == 1 ? pw_proto_wrong(scan, field->label, PYWATT_SERIALIZATION, "stands twice")
                          : pw_proto_wrong(scan, field->label, PYWATT_LIMIT, "are too many");
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
    uint32_t times[PW_PROTO_NUMBERS] = {0};
    fields->present = 0;
    while (wire.at < wire.end) {
        struct pw_wire_field found = {.number = 0};
        scan->elements++;
        enum pywatt_status status = pw_proto_check_elements(scan);
        if (status != PYWATT_OK) {
            return status;
        }
        if (!pw_wire_next(&wire, &found)) {
            return wrong_message(scan, "is malformed or cut off");
        }
        if (found.number >= PW_PROTO_NUMBERS || message->fields[found.number].kind == UNKNOWN) {
            continue;
        }
        status =
            scan_field(scan, &message->fields[found.number], &found, times[found.number]++, fields);
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

enum pywatt_status pw_proto_scan_item(struct pw_proto_scan *scan,
                                      const struct pw_proto_message *item, const char *label,
                                      struct pw_span body, struct pw_proto_fields *fields)
{
    const struct field field = {.label = label};
    enum pywatt_status status = open_message(scan, &field);
    if (status == PYWATT_OK) {
        status = scan_message(scan, item, body, fields);
        scan->depth--;
    }
    return status;
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
