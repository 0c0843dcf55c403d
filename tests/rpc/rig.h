/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rig.h - what the tests of src/rpc share: a peer that the test's main thread plays by hand, callers
 * in threads, posts that remember how they ended, a clock that the test holds.
 *
 * The peer is no thread: the main thread takes requests and answers them when, and how, the test
 * wants. Beats carry a number as the module's id, and answers carry it back in their error text, so
 * that a reply which reached the wrong caller is seen.
 */
#ifndef PW_TESTS_RPC_RIG_H
#define PW_TESTS_RPC_RIG_H

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

/* ---- The peer ------------------------------------------------------------------------------ */

struct peer {
    struct pw_conn *conn;
    const struct pw_codec_ops *codec;
    struct pw_buffer in;
    struct pw_buffer out; /* held back until peer_send */
};

struct taken {
    struct pywatt_uuid request_id;
    enum pw_operation operation;
    uint32_t number;
};

void peer_init(struct peer *peer, struct pw_conn *conn);
void peer_end(struct peer *peer);

/* Waits for the next request; false if none comes for long. */
bool peer_take(struct peer *peer, struct taken *taken);

/* Whether a byte is there to be taken now. */
bool peer_has_input(struct peer *peer);

/* Puts an answer behind what peer_send will send. */
void peer_put_reply(struct peer *peer, const struct taken *taken);
void peer_put_reply_without_id(struct peer *peer, const struct taken *taken);
void peer_put_long_reply(struct peer *peer, const struct taken *taken, size_t text_len);
void peer_put_frame(struct peer *peer, uint8_t format, const void *payload, size_t len);
void peer_put_bytes(struct peer *peer, const void *bytes, size_t len);

/* Sends all of it at once; the second sends the first `len` bytes of it only. */
void peer_send(struct peer *peer);
void peer_send_some(struct peer *peer, size_t len);

/* Takes `count` requests and answers each at once. */
void peer_answer(struct peer *peer, size_t count);

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
bool posted_wait(struct posted *posted);

/* A beat with that number, borrowing nothing. */
void make_beat(struct pw_request *request, uint32_t number);

/* Waits for `ms` of real time: for tests in which something has to come later. */
void pause_ms(unsigned ms);

#endif
