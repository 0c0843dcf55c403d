/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * proto_numbers.h - the field numbers of registration.proto that are read and written by hand. What
 * goes through protobuf-c has them from the generated code.
 */
#ifndef PW_CODEC_PROTO_NUMBERS_H
#define PW_CODEC_PROTO_NUMBERS_H

#include "model/message.h"

/* Request and Response */
enum {
    PW_PB_REQUEST_ID = 1,
    PW_PB_STATUS = 2,
    PW_PB_ERROR = 3,
    PW_PB_RETRY_AFTER_MS = 9,
    PW_PB_FEATURES = 10
};

/* Their operations, in the same order in both. */
enum {
    PW_PB_FIRST_OPERATION = 2,
    PW_PB_LAST_OPERATION = 6,
    PW_PB_FIRST_REPLY = 4,
    PW_PB_LAST_REPLY = 8,
    /* the first of them */
    PW_PB_HEARTBEAT = PW_PB_FIRST_OPERATION,
    PW_PB_HEARTBEAT_REPLY = PW_PB_FIRST_REPLY
};

static const enum pw_operation pw_pb_operations[] = {
    PW_OP_HEARTBEAT, PW_OP_REGISTER, PW_OP_UNREGISTER, PW_OP_CAPABILITIES, PW_OP_HEARTBEAT_BATCH};

/* HeartbeatRequest and BatchedHeartbeat, and as far as they have them all but RegisterRequest */
enum {
    PW_PB_MODULE_ID = 1,
    PW_PB_TOKEN = 2,
    PW_PB_HEALTH = 3,
    PW_PB_GENERATION = 4,
    PW_PB_DETAILS = 5, /* HeartbeatRequest */
    PW_PB_ALIAS = 5    /* BatchedHeartbeat */
};

/* HeartbeatReply */
enum {
    PW_PB_REPLY_HEALTH = 1,
    PW_PB_REPLY_CONTEXT = 2
};

/* Pair */
enum {
    PW_PB_PAIR_KEY = 1,
    PW_PB_PAIR_VALUE = 2
};

/* HeartbeatBatchRequest, HeartbeatBatchReply, HeartbeatException */
enum {
    PW_PB_BATCH_BEATS = 1,
    PW_PB_BATCH_SHORT_BEATS = 2
};
enum {
    PW_PB_BATCH_REPLY_BEATS = 1,
    PW_PB_BATCH_REPLY_EXCEPTIONS = 2
};
enum {
    PW_PB_EXCEPTION_INDEX = 1,
    PW_PB_EXCEPTION_STATUS = 2,
    PW_PB_EXCEPTION_ERROR = 3,
    PW_PB_EXCEPTION_HEALTH = 4
};

#endif
