/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch.h - from a frame to what is done, and to its reply. On the worker's thread; no lock.
 */
#ifndef PW_ORCHESTRATOR_DISPATCH_H
#define PW_ORCHESTRATOR_DISPATCH_H

#include "orchestrator/held_batch.h"
#include "orchestrator/presence.h"
#include "orchestrator/session.h"
#include "transport/frame.h"

/*
 * Serves one frame: answers it, or opens a slot for the answer, or leaves it unanswered because it
 * is no request, or ends the session because it is garbage.
 */
void pw_dispatch_frame(struct pw_session *session, const struct pw_frame *frame);

/*
 * Behind the last frame that has come: serves the beats that waited for it. Until then the bytes of
 * the frames must stay where they are. Does nothing for a session that is closed but forget them.
 */
void pw_dispatch_end(struct pw_session *session);

/* ---- For pending.c and batch.c as well ---- */

/* What a reply needs of its request. */
struct pw_answer {
    const struct pw_codec_ops *codec;
    enum pw_operation operation;
    bool has_request_id;
    struct pywatt_uuid request_id;
};

struct pw_answer pw_answer_to(const struct pw_codec_ops *codec, const struct pw_request *request);

/* `text` is borrowed by the response. */
struct pw_response pw_answer_good(const struct pw_answer *answer);
struct pw_response pw_answer_bad(const struct pw_answer *answer, enum pywatt_status status,
                                 const char *text, enum pywatt_health health);

/* Counts a refusal, and replies with it. */
void pw_dispatch_refuse(struct pw_session *session, const struct pw_answer *answer,
                        enum pywatt_status status, const char *text, enum pywatt_health health);

#define PW_BEAT_TEXT_SIZE 160

/* What a batch may be answered with beside its exceptions, and each of those, at most. */
#define PW_BATCH_REPLY_BYTES 64
#define PW_EXCEPTION_BYTES (PW_BEAT_TEXT_SIZE + 16)

/* Serves a beat, and counts it. *response borrows `text`, where a refusal is put into words. */
void pw_dispatch_beat(struct pw_session *session, const struct pw_answer *answer,
                      const struct pw_beat *beat, char text[PW_BEAT_TEXT_SIZE],
                      struct pw_response *response);

/* Puts into words why a beat that named `sent_generation` was refused. */
void pw_beat_say_why(char text[PW_BEAT_TEXT_SIZE], const struct pywatt_uuid *module_id,
                     enum pywatt_status status, uint64_t sent_generation, uint64_t generation);

/* ---- batch.c ---- */

/* Serves the beats of a batch at once. Uses the worker's arena. */
void pw_dispatch_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request);

/* Serves, and counts, those of some beats that wait, or those that do not. */
void pw_dispatch_held_beats(struct pw_session *session, struct pw_held_beat *beats, uint32_t count,
                            bool waiting);

/*
 * The reply to a held batch whose beats have all been served. It borrows from the
 * worker's arena, which the caller resets.
 */
struct pw_response pw_dispatch_held_reply(struct pw_session *session,
                                          const struct pw_answer *answer,
                                          const struct pw_held_batch *held);

#endif
