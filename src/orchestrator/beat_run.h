/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * beat_run.h - beats that came one after the other on a connection, each in a message of its own, and
 * are served together. On the worker's thread; no lock.
 *
 * With many modules the time of a beat goes into waiting for memory: that of its module. What came
 * in one receive is therefore read first, and then looked up at once, as the beats of a batch are.
 * The replies leave in the order of the requests, as they would anyway.
 */
#ifndef PW_ORCHESTRATOR_BEAT_RUN_H
#define PW_ORCHESTRATOR_BEAT_RUN_H

#include "orchestrator/dispatch.h"

/* About as many as come in one receive. */
#define PW_BEAT_RUN_MAX 512

struct pw_beat_run {
    uint32_t count;
    struct pw_batched_beat beats[PW_BEAT_RUN_MAX];
    struct pw_answer answers[PW_BEAT_RUN_MAX];
    struct pw_beat_outcome outcomes[PW_BEAT_RUN_MAX];
};

/*
 * Adds a heartbeat request without details to the worker's run, which must have room. What the
 * request points to has to stay until the run is served.
 */
void pw_beat_run_add(struct pw_beat_run *run, const struct pw_codec_ops *codec,
                     const struct pw_request *request);

/* Serves and answers all of it; empty afterwards. */
void pw_beat_run_serve(struct pw_beat_run *run, struct pw_session *session);

#endif
