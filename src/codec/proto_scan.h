/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * proto_scan.h - the strict gate in front of every protobuf payload: one pass over the tags and
 * lengths of the messages of registration.proto. It checks everything that can be judged without
 * another field: lengths, wire types (no groups), UTF-8 without U+0000, ids of 16 bytes, ranges of
 * numbers, fields that stand twice, and the limits on depth, elements and texts. What passes may be
 * given to protobuf-c, which checks next to nothing and takes up to a hundred times the memory.
 * No state; any thread; no memory.
 *
 * The scan also tells where the fields of one message are, which is all that beats need.
 */
#ifndef PW_CODEC_PROTO_SCAN_H
#define PW_CODEC_PROTO_SCAN_H

#include "codec/codec.h"

/* One more than the highest field number of the schema. */
#define PW_PROTO_NUMBERS 11

/* Messages stand in each other this deep at most. */
#define PW_PROTO_DEPTH 4

struct pw_proto_fields {
    uint32_t present; /* bit n: field number n is there */
    /* By field number, where present. Of a repeated field the last one. */
    struct pw_span spans[PW_PROTO_NUMBERS]; /* texts, ids, messages */
    uint64_t numbers[PW_PROTO_NUMBERS];
};

static inline bool pw_proto_has(const struct pw_proto_fields *fields, unsigned number)
{
    return (fields->present >> number & 1) != 0;
}

/* The text, or an empty one. */
static inline struct pw_str pw_proto_text(const struct pw_proto_fields *fields, unsigned number)
{
    return pw_proto_has(fields, number) ? (struct pw_str){(const char *)fields->spans[number].data,
                                                          fields->spans[number].len}
                                        : (struct pw_str){NULL, 0};
}

/* The number, or 0. */
static inline uint64_t pw_proto_number(const struct pw_proto_fields *fields, unsigned number)
{
    return pw_proto_has(fields, number) ? fields->numbers[number] : 0;
}

struct pw_proto_scan {
    const struct pw_codec_limits *limits;
    struct pywatt_error *error;
    uint32_t elements;                  /* fields seen so far, those of no known number, too */
    unsigned depth;                     /* messages that are open */
    const char *labels[PW_PROTO_DEPTH]; /* what errors call them */
};

void pw_proto_scan_init(struct pw_proto_scan *scan, const struct pw_codec_limits *limits,
                        struct pywatt_error *error);

struct pw_proto_message;
extern const struct pw_proto_message pw_proto_request;
extern const struct pw_proto_message pw_proto_response;

/*
 * Scans one of the two outer messages and fills *fields; of its operations only the lengths are
 * looked at. PYWATT_OK, PYWATT_SERIALIZATION, PYWATT_LIMIT.
 */
enum pywatt_status pw_proto_scan_outer(struct pw_proto_scan *scan,
                                       const struct pw_proto_message *outer, struct pw_span bytes,
                                       struct pw_proto_fields *fields);

/*
 * Scans the operation `number` that was found in an outer message, and all that stands in it, and
 * fills *fields. Stays open, so that pw_proto_wrong names it. Statuses as above.
 */
enum pywatt_status pw_proto_scan_operation(struct pw_proto_scan *scan,
                                           const struct pw_proto_message *outer, unsigned number,
                                           struct pw_span body, struct pw_proto_fields *fields);

/* PYWATT_LIMIT if more elements were counted than the limit. For readers that count some themselves. */
enum pywatt_status pw_proto_check_elements(const struct pw_proto_scan *scan);

/*
 * Scans one item of a repeated message of the operation that is open, and fills *fields. PYWATT_OK,
 * PYWATT_SERIALIZATION, PYWATT_LIMIT.
 */
enum pywatt_status pw_proto_scan_item(struct pw_proto_scan *scan,
                                      const struct pw_proto_message *item, const char *label,
                                      struct pw_span body, struct pw_proto_fields *fields);

/* The items of the two batch messages. */
extern const struct pw_proto_message pw_proto_batched_beat;
extern const struct pw_proto_message pw_proto_beat_exception;

/* "<message>.<name> <what>" for a field of the message that is open. Returns `status`. */
enum pywatt_status pw_proto_wrong(const struct pw_proto_scan *scan, const char *name,
                                  enum pywatt_status status, const char *what);

/*
 * Takes the next pair of the repeated field `number` out of *rest, which is (the rest of) a message
 * that has passed the scan. False at the end.
 */
bool pw_proto_next_pair(struct pw_span *rest, unsigned number, struct pw_str *key,
                        struct pw_str *value);

#endif
