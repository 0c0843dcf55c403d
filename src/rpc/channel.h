/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * channel.h - requests to an orchestrator and replies from it: one connection at a time, made when
 * it is needed and made again when it breaks; many requests under way on it at once.
 *
 * Who reads. There is no reader thread. A blocking caller reads the connection itself, and
 * completes whatever replies come, until its own is there; others park meanwhile, and one of them
 * is handed the role when the reader leaves. While posted (asynchronous) requests are under way and
 * no blocking caller reads, the owner's pump thread does: it is woken through `wake_pump`.
 *
 * Who connects. A blocking call, or pw_channel_connect; one thread at a time does, the others wait
 * for it until their deadlines. Posting never connects and never blocks. A connection that ends
 * without having brought a single reply counts as a failed attempt, so that a peer which accepts
 * and hangs up is tried under the reconnect policy, too.
 *
 * Who falls silent. A connection is given up when a reply is overdue and not a byte has come since
 * its request was started, for the second time in a row, the second request being younger than the
 * first time: one slow reply does not cost the connection, a peer that hangs does, and then the next
 * endpoint is tried first.
 *
 * Peers that echo no request id are served one request at a time, see rpc/correlator.h: what goes
 * beyond that waits (calls) or is refused with PYWATT_UNAVAILABLE (posts). So is, on every connection,
 * the first request until it is answered, as only the answer tells which kind of peer it is.
 *
 * Any thread may call anything, except the pump functions: one thread.
 */
#ifndef PW_RPC_CHANNEL_H
#define PW_RPC_CHANNEL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/codec.h"
#include "model/message.h"
#include "transport/backoff.h"
#include "transport/endpoint.h"

#include <pywatt/status.h>

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct pw_channel;

struct pw_channel_options {
    const struct pw_endpoint *endpoints; /* copied; tried in turn, from the last that worked */
    size_t endpoint_count;
    const struct pw_codec_ops *codec;
    const struct pw_clock *clock;
    struct pw_backoff backoff; /* copied as it stands after init */
    uint32_t max_frame_bytes;
    uint32_t max_in_flight;
    /*
     * Called when the pump should look again: posted requests need a reader, an earlier deadline
     * came, there is room again after PYWATT_UNAVAILABLE, or the connection failed. Any thread, no lock
     * held; it must only wake. May be NULL if nothing is ever posted.
     */
    void (*wake_pump)(void *user);
    /*
     * Called once for each connection, when it is known to be gone: from then on it is not what
     * pw_channel_link tells. Any thread, no lock held; must be quick. May be NULL.
     */
    void (*lost)(void *user);
    void *user;
};

/*
 * Connects nothing yet. There must be an endpoint, and max_in_flight must not be 0. PYWATT_OK,
 * PYWATT_NO_MEMORY, PYWATT_IO (no descriptor is left).
 */
enum pywatt_status pw_channel_new(const struct pw_channel_options *options, struct pw_channel **out,
                                  struct pywatt_error *error);

/*
 * No new work; everything under way fails with PYWATT_CLOSED; connecting is cut short. `done` of
 * posted requests runs inside this call or in the thread that was just completing it. Any thread.
 */
void pw_channel_close(struct pw_channel *channel);

/*
 * Closes, and waits until no thread is inside; the pump is, from pump_begin to pump_end. Not from
 * within `done`.
 */
void pw_channel_stop(struct pw_channel *channel);

/* Stops, and frees. NULL is allowed. */
void pw_channel_free(struct pw_channel *channel);

/*
 * Sends `request` (its request_id is the channel's to fill) and waits for the reply, which is
 * decoded into `response`, with views into `arena`; neither is reset by a failure. The arena holds
 * the reply's bytes, too: its budget bounds how long a reply may be. Connects if there is no
 * connection, under the reconnect policy, and sends again if a connection turns out dead before the
 * request left; once bytes may have left, it is never sent twice. Where there are max_in_flight
 * requests under way it waits, first come, first served. Blocks until `deadline_ns`.
 * *epoch, if not NULL, gets the epoch of the connection that the reply came over; see
 * pw_channel_epoch.
 *
 *   PYWATT_OK             a reply was read, which may say no: look at response->success
 *   PYWATT_CONNECTION     no endpoint could be reached, by the policy or before the deadline
 *   PYWATT_CHANNEL        the connection broke, or had to be given up, after bytes may have left
 *   PYWATT_TIMEOUT        no reply before the deadline, or no room to send
 *   PYWATT_SERIALIZATION  the reply cannot be read, or answers something else
 *   PYWATT_LIMIT          the request or a frame of the peer is longer than max_frame_bytes, or the
 *                         reply is over the codec's limits or the arena's budget
 *   PYWATT_UNSUPPORTED    a batch of heartbeats, to a peer that has not told this feature on the
 *                         connection that there is now; the other one may have been another's; or
 *                         this is not the connection that the request was made for
 *   PYWATT_CLOSED, PYWATT_NO_MEMORY, and what the encoder says of the request
 */
enum pywatt_status pw_channel_call(struct pw_channel *channel, struct pw_request *request,
                                   uint64_t deadline_ns, struct pw_arena *arena,
                                   struct pw_response *response, uint64_t *epoch,
                                   struct pywatt_error *error);

/*
 * Makes sure that there is a connection, as pw_channel_call does. PYWATT_OK, PYWATT_CONNECTION,
 * PYWATT_TIMEOUT (the deadline had passed already), PYWATT_CLOSED, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_channel_connect(struct pw_channel *channel, uint64_t deadline_ns,
                                      struct pywatt_error *error);

/* True while there is a connection that is not known to be broken. */
bool pw_channel_connected(struct pw_channel *channel);

/*
 * What the orchestrator at the other end can do: enum pw_feature, as far as it has said so on the
 * connection that there is; else 0.
 */
unsigned pw_channel_features(struct pw_channel *channel);

/*
 * How many connections there have been, the present one included: tells whether one broke in between.
 * Takes no lock.
 */
uint64_t pw_channel_epoch(struct pw_channel *channel);

/*
 * The epoch of the connection that there is, as far as it is not known to be broken; 0: there is
 * none. One that was told once and is not any more never comes back.
 */
uint64_t pw_channel_link(struct pw_channel *channel);

/* ---- Posted requests ----------------------------------------------------------------------- */

struct pw_post;

/*
 * Runs once for each posted request, on the thread that read the reply or found the failure, with
 * no lock held. `response` is NULL unless PYWATT_OK; it and `error` are borrowed for the call.
 * Must be quick; may post again; must not block, call, stop or free the channel.
 *
 * As pw_channel_call says, but: PYWATT_CONNECTION if the connection broke before anything of the
 * request had left, so that it may safely be posted again.
 */
typedef void (*pw_post_done)(struct pw_post *post, enum pywatt_status status,
                             const struct pw_response *response, const struct pywatt_error *error);

/* A posted request's place in the channel; stands in the owner's own struct. */
struct pw_post {
    pw_post_done done;
    /*
     * Where the request is encoded, before it is copied to what is to be sent; NULL: on the stack,
     * and on the heap if it is long. The owner's again when posting has returned.
     */
    struct pw_buffer *scratch;
    /* The rest is the channel's from post to done. */
    struct pw_map_node by_id;
    struct pw_list by_deadline;
    uint64_t id;
    uint64_t deadline_ns;
    uint64_t position;    /* of its frame in the connection's output */
    uint64_t heard;       /* how often something had come from the peer when it was started */
    bool doubted;         /* and that a request before it had timed out in silence */
    uint64_t epoch;       /* of the connection it went over; valid in `done` */
    uint64_t answered_ns; /* when its reply was received; valid in `done` if there is one */
    enum pw_operation operation;
    enum pywatt_status status;
};

/*
 * Encodes `request` and puts it behind what is waiting to be sent; pw_channel_flush sends. After
 * PYWATT_OK `post` belongs to the channel until `done` has been called; else `done` never runs.
 * PYWATT_UNAVAILABLE: no room now (wake_pump tells when to try again: room is then kept for a post
 * until the next pump_begin, or the next call of the same thread, so that calls cannot starve posts);
 * PYWATT_LIMIT: the request is longer than max_frame_bytes, and always will be; PYWATT_CONNECTION:
 * there is no connection; PYWATT_UNSUPPORTED as with pw_channel_call; PYWATT_CLOSED; PYWATT_NO_MEMORY; what
 * the encoder says. Never blocks; no
 * malloc once the buffers have their size, for a request of up to 2 KiB; on a connection that was
 * crowded once, or answers one request at a time, a request is encoded only when there is room.
 */
enum pywatt_status pw_channel_post(struct pw_channel *channel, struct pw_request *request,
                                   uint64_t deadline_ns, struct pw_post *post,
                                   struct pywatt_error *error);

/* Sends what has been posted, in as few writes as it takes; what does not fit goes out later. */
void pw_channel_flush(struct pw_channel *channel);

/* ---- Bursts -------------------------------------------------------------------------------- */

/*
 * A thread that posts a lot and then waits for all of it reads the replies itself: between begin
 * and end the pump leaves them to it, unless it already reads. So it reads often, and ends the burst
 * before it waits in any other way. Several threads may have bursts, each its own. Not for the pump's
 * own thread.
 */
struct pw_burst {
    struct pw_channel *channel;
    struct pw_correlator *correlator; /* the connection, with a reference, or NULL */
};

void pw_burst_begin(struct pw_burst *burst, struct pw_channel *channel);

/* From now on over the connection that there is. */
void pw_burst_renew(struct pw_burst *burst);

/*
 * As pw_channel_post and pw_channel_flush, over the connection that there was when the burst began or
 * was renewed last, which costs less to find. PYWATT_CONNECTION also if there is another one now.
 */
enum pywatt_status pw_burst_post(struct pw_burst *burst, struct pw_request *request,
                                 uint64_t deadline_ns, struct pw_post *post,
                                 struct pywatt_error *error);
void pw_burst_flush(struct pw_burst *burst);

/*
 * Sends what is unsent, waits until replies have come or `deadline_ns`, and completes them: `done`
 * runs in here. False if somebody else reads, or there is no connection: nothing was waited for.
 */
bool pw_burst_read(struct pw_burst *burst, uint64_t deadline_ns);

/* The pump goes on with whatever is left. */
void pw_burst_end(struct pw_burst *burst);

/* ---- The pump ------------------------------------------------------------------------------ */

/*
 * If posted requests are under way (or bytes are unsent for want of room) and no blocking caller is
 * here to read, takes the reader's role and fills *poll_fd with what to wait for; true. The pump
 * then polls, and calls pw_channel_pump_end with what it got (0 for nothing). Callers sleep
 * meanwhile, so it does nothing else in between. False: nothing to read for now; pump_end must not
 * be called. Call it, or look at the deadline, after each wake_pump.
 */
bool pw_channel_pump_begin(struct pw_channel *channel, struct pollfd *poll_fd);
void pw_channel_pump_end(struct pw_channel *channel, short revents);

/*
 * For a pump that has nothing to read: true, and *poll_fd is what to poll meanwhile to learn at once
 * that the peer has gone. It keeps no caller from reading. Then call pw_channel_watch_end, with
 * whether it was `polled`, and what it got. False: there is no connection; do not call watch_end.
 */
bool pw_channel_watch_begin(struct pw_channel *channel, struct pollfd *poll_fd);
void pw_channel_watch_end(struct pw_channel *channel, bool polled, short revents);

/* When the earliest posted request runs out; PW_DEADLINE_NEVER if none. */
uint64_t pw_channel_pump_deadline(struct pw_channel *channel);

/*
 * Fails the posted requests that have run out, with PYWATT_TIMEOUT. If the peer echoes no request
 * ids that ends the connection. Any thread: a burst need not wait for the pump to do it.
 */
void pw_channel_pump_expire(struct pw_channel *channel);

struct pw_channel_stats {
    uint64_t requests_sent;
    uint64_t replies_received;
    uint64_t replies_dropped;
    uint64_t timeouts;
    uint64_t connects;
    uint64_t connect_failures;
    uint32_t in_flight;
    bool pipelined; /* the peer echoes request ids */
};

void pw_channel_get_stats(struct pw_channel *channel, struct pw_channel_stats *out);

#endif
