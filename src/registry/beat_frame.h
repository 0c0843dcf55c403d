/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * beat_frame.h - beats of several heartbeat loops that share a message.
 *
 * The heartbeat thread fills a frame and posts it; whoever reads the answer tells each loop and
 * gives the frame back. Frames are kept: as many as were under way at once at most.
 */
#ifndef PW_REGISTRY_BEAT_FRAME_H
#define PW_REGISTRY_BEAT_FRAME_H

#include "base/buffer.h"
#include "base/list.h"
#include "model/message.h"
#include "rpc/channel.h"

#include <stdbool.h>
#include <stdint.h>

struct pywatt_client;
struct pywatt_heartbeat_loop;

/*
 * Beats in one message. With the tokens of our own orchestrator that is half of what it receives at
 * once, so that what it finds is nearly always whole.
 */
#define PW_BEAT_FRAME_MAX 448

/* What a message takes beside its beats, and a beat beside its token, at most. */
#define PW_BEAT_FRAME_OVERHEAD 64
#define PW_BEAT_OVERHEAD 48

/* What our own orchestrator says to one beat, at most. */
#define PW_BEAT_REPLY_BYTES 176

/* How long the beats of a message may be, in all. */
static inline size_t pw_beat_frame_most_bytes(uint32_t max_frame_bytes)
{
    const uint32_t most = max_frame_bytes < PW_BATCH_BYTES ? max_frame_bytes : PW_BATCH_BYTES;
    return most - PW_BEAT_FRAME_OVERHEAD;
}

/* How many there may be, so that the reply is not too long, either. */
static inline uint32_t pw_beat_frame_most_beats(uint32_t max_frame_bytes)
{
    return (max_frame_bytes - PW_BEAT_FRAME_OVERHEAD) / PW_BEAT_REPLY_BYTES;
}

/* A client's frames; in its struct pw_heartbeat, and the heartbeat thread's but for `free`. */
struct pw_beat_frames {
    struct pw_list free; /* guarded by the heartbeat's lock */
    struct pw_beat_frame *filling;
    struct pw_batched_beat *rows; /* PW_BEAT_FRAME_MAX of the one that is filled, as in a request */
    pw_short_beat *short_beats;
    uint32_t full_count;
    uint64_t epoch;       /* of the connection for which it is filled */
    uint64_t alias_epoch; /* the same, as in alias.h */
    struct pw_buffer scratch;
};

void pw_beat_frames_init(struct pw_beat_frames *frames, uint32_t max_frame_bytes);

/* None may be under way. */
void pw_beat_frames_destroy(struct pw_beat_frames *frames);

/* Whether beats may share messages on the connection that there is. */
bool pw_beat_frames_allowed(struct pywatt_client *client);

/*
 * Adds the prepared beat of `loop`, which carries no details. False if the frame is full, or when memory
 * is out.
 */
bool pw_beat_frame_add(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);

/* How many beats stand in the frame that is filled. */
uint32_t pw_beat_frame_count(const struct pywatt_client *client);

/*
 * Posts the frame that is filled, at `now_ns`. If PYWATT_OK, *due_ns tells when each of its beats was
 * due, until the next beat is added; else the beats are put back to the front of
 * heartbeat.due_loops, as they stood. Statuses as pw_channel_post.
 */
enum pywatt_status pw_beat_frame_post(struct pywatt_client *client, uint64_t now_ns,
                                      uint64_t deadline_ns, const uint64_t **due_ns,
                                      struct pywatt_error *error);

#endif
