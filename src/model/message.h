/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message.h - the one neutral form of a request and of a reply, that all codecs read and write and
 * both sides use.
 *
 * Ownership. To encode, a message is filled with borrowed pointers and never cleared. A decoder
 * fills a message that was initialised with pw_*_init (or used before): objects reached from it
 * belong to the message until pw_*_clear, and views (struct pw_str) point into the bytes decoded or
 * into the arena, and die with those. A message that is decoded into again reuses its memory:
 * beats allocate nothing.
 * No lock: one thread at a time.
 */
#ifndef PW_MODEL_MESSAGE_H
#define PW_MODEL_MESSAGE_H

#include "base/bytes.h"

#include <pywatt/model.h>
#include <pywatt/status.h>

#include <stdbool.h>

enum pw_operation {
    PW_OP_REGISTER = 0,
    PW_OP_UNREGISTER = 1,
    PW_OP_HEARTBEAT = 2,
    PW_OP_CAPABILITIES = 3,
    /* Beats of many modules in one message: only codecs that say so have it. */
    PW_OP_HEARTBEAT_BATCH = 4
};
/* The operations that every codec has. */
#define PW_OPERATION_COUNT 4

/* "register", "unregister", "heartbeat", "capabilities", "heartbeat batch". Static. */
const char *pw_operation_name(enum pw_operation operation);

/* Beats in one message. */
#define PW_BATCH_MAX 1024

/* Who tells that it takes batches takes messages of so many bytes; nobody sends longer batches. */
#define PW_BATCH_BYTES 65536

/*
 * The highest alias. An alias is a number from 1 that stands for a module on one connection, once a
 * beat that named module, token and alias has gone well there.
 */
#define PW_ALIAS_MAX 65535

/* One beat among many: it carries no details. */
struct pw_batched_beat {
    struct pywatt_uuid module_id;
    struct pw_str token;
    uint64_t generation; /* as in a heartbeat */
    enum pywatt_health health;
    uint32_t alias; /* what it is called from now on; 0: nothing */
};

/*
 * One beat of a module that is known by an alias: the alias, and in the two lowest bits its health,
 * counted from 1. With alias 0 it stands in the place of a beat in full, whose health it has.
 */
typedef uint32_t pw_short_beat;

static inline pw_short_beat pw_short_beat_of(uint32_t alias, enum pywatt_health health)
{
    return alias << 2 | ((uint32_t)health + 1);
}

static inline uint32_t pw_short_beat_alias(pw_short_beat beat)
{
    return beat >> 2;
}

static inline enum pywatt_health pw_short_beat_health(pw_short_beat beat)
{
    return (enum pywatt_health)((beat & 3) - 1);
}

/* Whether it can be a beat by an alias. */
static inline bool pw_short_beat_valid(pw_short_beat beat)
{
    return (beat & 3) != 0 && beat >> 2 != 0 && beat >> 2 <= PW_ALIAS_MAX;
}

/* A beat of a batch to whose sender there is something to say. */
struct pw_beat_exception {
    uint32_t index; /* of the beat in its batch, from 0 */
    /* PYWATT_OK: the beat was taken, and `health` is not what it reported. */
    enum pywatt_status status;
    enum pywatt_health health;
    struct pw_str error; /* empty if PYWATT_OK */
};

/* What an orchestrator can do beyond the four operations, as it says itself: a set of bits. */
enum pw_feature {
    PW_FEATURE_HEARTBEAT_BATCH = 1 << 0
};

/* "heartbeat_batch": the name of one feature on the wire. Static. */
const char *pw_feature_name(enum pw_feature feature);

/* The feature of that name; 0 if it is none that is known here. */
unsigned pw_feature_by_name(struct pw_str name);

struct pw_request {
    enum pw_operation operation;
    /* The key that the reply gives back. An id that is no UUID counts as none. */
    bool has_request_id;
    struct pywatt_uuid request_id;
    /* unregister, heartbeat, capabilities */
    struct pywatt_uuid module_id;
    /* The same; in a register request the token that the module had before, or empty. */
    struct pw_str token;
    /* heartbeat: the generation that the module believes to have; 0 if it names none. */
    uint64_t generation;
    enum pywatt_health health;
    struct pywatt_string_map *details; /* NULL if there are none */
    /* register */
    struct pywatt_module_info *info;
    bool can_wait; /* it knows retry_after_ms, and comes again then */
    /* capabilities */
    struct pywatt_capabilities *capabilities;
    /*
     * heartbeat batch: 1 to PW_BATCH_MAX beats. Without short beats they are `beats`; else they are
     * `short_beats`, and where one has alias 0 it is the next one of `beats`. Decoded ones stand in
     * the arena.
     */
    const struct pw_batched_beat *beats;
    const pw_short_beat *short_beats; /* NULL if all are in full */
    uint32_t beat_count;
    uint32_t full_count; /* with short beats: how many `beats` there are */
    /* The same, for who sends: the only connection on which its aliases mean anything; 0: any. */
    uint64_t only_epoch;
    /* Memory of `details`, kept between decodings. Private to pw_request_*. */
    struct pywatt_string_map *details_storage;
};

struct pw_response {
    enum pw_operation operation;
    bool has_request_id;
    struct pywatt_uuid request_id;
    bool success;
    /*
     * If not success: what it was, and the peer's words. The decoder finds the status from the
     * error code, or from the fixed phrases of the protocol where a peer sends none.
     */
    enum pywatt_status status;
    struct pw_str error;
    /* How long to wait before the request is sent again; 0 if the peer does not say. */
    uint32_t retry_after_ms;
    /* enum pw_feature, told with the first reply on a connection; 0 in all others. */
    unsigned features;
    /* heartbeat: the orchestrator's view; always set, also when success is false. */
    enum pywatt_health health;
    struct pywatt_string_map *context; /* NULL if there is none */
    /* register, on success: one reference. */
    struct pywatt_registration *registration;
    /*
     * heartbeat batch, on success: how many beats were looked at, and those of them that did not
     * just go well, by rising index; decoded ones stand in the arena.
     */
    uint32_t beat_count;
    uint32_t exception_count;
    const struct pw_beat_exception *exceptions;
    /* Private to pw_response_*. */
    struct pywatt_string_map *context_storage;
};

/* How many of its beats are in full. */
static inline uint32_t pw_request_full_count(const struct pw_request *request)
{
    return request->short_beats == NULL ? request->beat_count : request->full_count;
}

/* Whether one of its beats is in full; not if it is by an alias. */
static inline bool pw_request_is_full(const struct pw_request *request, uint32_t index)
{
    return request->short_beats == NULL || pw_short_beat_alias(request->short_beats[index]) == 0;
}

void pw_request_init(struct pw_request *request);

/* Makes a decoded message empty, and keeps its memory for the next one. */
void pw_request_reset(struct pw_request *request);

/* Frees what a decoded message owns. */
void pw_request_clear(struct pw_request *request);

/*
 * Makes request->details an empty map, whose memory the message keeps, and returns it; NULL when
 * memory is out. For decoders.
 */
struct pywatt_string_map *pw_request_details(struct pw_request *request);

void pw_response_init(struct pw_response *response);
void pw_response_reset(struct pw_response *response);
void pw_response_clear(struct pw_response *response);
/* The same for response->context. */
struct pywatt_string_map *pw_response_context(struct pw_response *response);

/*
 * Finds the status that a peer's error text means where it sent no error code: "Module name '...'
 * is already taken", "Invalid token", "Module not found...", "Authentication failed...", else
 * PYWATT_REJECTED.
 */
enum pywatt_status pw_status_from_error_text(struct pw_str text);

#endif
