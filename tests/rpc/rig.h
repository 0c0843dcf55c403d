/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rig.h - what the tests of src/rpc share: a correlator with a peer at its other end, callers in
 * threads, posts that remember how they ended, a clock that the test holds.
 *
 * Beats carry a number as the module's id, and the peer's answers carry it back, so that a reply
 * which reached the wrong caller is seen.
 */
#ifndef PW_TESTS_RPC_RIG_H
#define PW_TESTS_RPC_RIG_H

#include "peer.h"
#include "pw_test.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "codec/codec.h"
#include "rpc/channel.h"
#include "rpc/correlator.h"
#include "transport/transport.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- A correlator over a pair of ends ------------------------------------------------------- */

struct fake_clock {
    struct pw_clock clock;
    atomic_uint_fast64_t now_ns;
};

void fake_clock_init(struct fake_clock *clock);

struct rig {
    struct pw_correlator *correlator;
    struct peer peer;
    struct pw_rpc_counters counters;
    struct pw_correlator_options options; /* change before rig_start_with */
    atomic_uint wakes;
    atomic_uint gone;
};

/* Fills the options with defaults. */
void rig_init(struct rig *rig);
void rig_connect(struct rig *rig);
void rig_connect_over(struct rig *rig, struct pw_conn *ours, struct pw_conn *theirs);

/* Ends both sides, and sees that the correlator was destroyed. */
void rig_end(struct rig *rig);

/* rig_init, rig_connect. */
void rig_start(struct rig *rig);

/* Makes the peer known as one that echoes ids. */
void rig_make_pipelined(struct rig *rig);

struct pw_correlator_info rig_info(struct rig *rig);
bool rig_wait_reading(struct rig *rig);
bool rig_wait_parked(struct rig *rig, uint32_t count);
bool rig_wait_waiting(struct rig *rig, uint32_t count);
bool rig_wait_in_flight(struct rig *rig, uint32_t count);
bool rig_wait_received(struct rig *rig, uint64_t count); /* replies */
bool rig_wait_dropped(struct rig *rig, uint64_t count);

/* ---- Callers ------------------------------------------------------------------------------- */

/* One blocking call, in a thread or not. Calls the channel if there is one, else the correlator. */
struct caller {
    struct pw_correlator *correlator;
    struct pw_channel *channel;
    uint32_t number;
    enum pw_operation operation;
    uint64_t deadline_ns;
    size_t padding;      /* bytes of details to send along */
    size_t arena_budget; /* a large one, if not changed */
    pthread_t thread;
    /* Set by the call. */
    enum pywatt_status status;
    struct pywatt_error error;
    bool unsent;
    bool own_reply; /* the reply was for this caller's number */
    size_t text_len;
    int64_t began_ns;
    int64_t ended_ns;
    atomic_bool finished;
};

/* A heartbeat with a deadline in `timeout_ms` times the slow factor. */
void caller_init(struct caller *caller, struct rig *rig, uint32_t number, unsigned timeout_ms);
void caller_init_on(struct caller *caller, struct pw_channel *channel, uint32_t number,
                    unsigned timeout_ms);
void caller_run(struct caller *caller);
void caller_start(struct caller *caller);
void caller_join(struct caller *caller);

/* init and start */
void caller_go(struct caller *caller, struct rig *rig, uint32_t number, unsigned timeout_ms);

/* How long it took, in ms of a plain run. */
unsigned caller_took_ms(const struct caller *caller);

/* From `since_ns` to its end, in ms of a plain run. */
unsigned caller_ended_after_ms(const struct caller *caller, int64_t since_ns);

#define assert_own_reply(caller)                                                                  \
    do {                                                                                          \
        if ((caller)->status != PYWATT_OK) {                                                      \
            fail_msg("caller %u: %s: %s", (caller)->number, pywatt_status_name((caller)->status), \
                     (caller)->error.text);                                                       \
        }                                                                                         \
        assert_true((caller)->own_reply);                                                         \
    } while (0)

/* ---- Posts --------------------------------------------------------------------------------- */

struct posted {
    struct pw_post post;
    uint32_t number;
    /* Set by done. */
    enum pywatt_status status;
    bool own_reply;
    char text[PYWATT_ERROR_TEXT_MAX];
    atomic_uint runs;
};

/* Posts a beat with a deadline in `timeout_ms` times the slow factor. */
enum pywatt_status posted_post(struct posted *posted, struct rig *rig, uint32_t number,
                               unsigned timeout_ms);
enum pywatt_status posted_post_on(struct posted *posted, struct pw_channel *channel,
                                  uint32_t number, unsigned timeout_ms);

/* The same for one connection only, of this epoch. */
enum pywatt_status posted_post_for(struct posted *posted, struct pw_channel *channel,
                                   uint32_t number, unsigned timeout_ms, uint64_t only_epoch);
bool posted_wait(struct posted *posted);

/* One turn of a pump: true if it had the reader's role. */
bool pump_once(struct rig *rig, int timeout_ms);

/* Turns of a pump until that post's `done` has run, once. */
void pump_until_run(struct rig *rig, struct posted *posted);

/* A beat with that number, borrowing nothing. */
void make_beat(struct pw_request *request, uint32_t number);

/* Waits for `ms` of real time: for tests in which something has to come later. */
void pause_ms(unsigned ms);

#endif
