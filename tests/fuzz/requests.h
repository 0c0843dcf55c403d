/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * requests.h - the requests of the target correlator.c: how they are made, and that each ends as it
 * may. Main thread.
 */
#ifndef PW_TESTS_FUZZ_REQUESTS_H
#define PW_TESTS_FUZZ_REQUESTS_H

#include "fuzz.h"
#include "line.h"

#include "rpc/correlator.h"

#define MS PW_NS_PER_MS

enum {
    REQUESTS_MAX = 96,
    FRAME_MAX = 4096
};

enum state {
    UNUSED,
    PENDING,
    REFUSED,
    ENDED
};

struct request {
    struct pw_post post; /* first: a pointer to it is one to the whole */
    enum state state;
    bool is_call;
    bool posted; /* it was taken, and who posted it knows */
    uint64_t deadline_ns;
    bool seen;             /* by the peer */
    struct pywatt_uuid id; /* then */
    bool answered;         /* with its own id, or in its turn */
    bool garbled;          /* an answer was sent that cannot be read */
    uint64_t answer_end;   /* where the first such answer with an id ends; 0: none */
    bool unsent;           /* it ended as one of which nothing has left */
    bool posts_again;      /* when it ends */
};

struct world {
    struct pw_clock clock; /* first: a pointer to it is one to the whole */
    uint64_t now_ns;
    struct fuzz_input input;
    struct line line;
    struct pw_rpc_counters counters;
    const struct pw_codec_ops *codec;
    struct pw_correlator *correlator;
    struct request requests[REQUESTS_MAX];
    unsigned count;
    unsigned depth; /* of operations in operations */
    atomic_uint bursts;
    bool calling;
    bool pump_inside;
    bool pump_idle; /* it found nothing to do, and was not woken since */
    bool lied;      /* the peer sent an answer without an id to nothing */
    unsigned losses;
    unsigned gone;
};

extern struct world world;

unsigned number_of(const struct request *request);

/* How many are under way. */
unsigned pending(bool posts_only);

/* Posts one; if it is told to, that posts another one when it ends. */
void post(unsigned timeout_ms, bool posts_again);

/* Calls, which blocks until it has ended. */
void call(unsigned timeout_ms);

#endif
