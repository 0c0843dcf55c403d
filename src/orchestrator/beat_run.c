/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * beat_run.c - beats in messages of their own, served together. On the worker's thread; no lock but
 * those of the shards, taken in presence_batch.c.
 */
#include "orchestrator/beat_run.h"

#include "orchestrator/server.h"

void pw_beat_run_add(struct pw_beat_run *run, const struct pw_codec_ops *codec,
                     const struct pw_request *request)
{
    run->beats[run->count] = (struct pw_batched_beat){.module_id = request->module_id,
                                                      .token = request->token,
                                                      .generation = request->generation,
                                                      .health = request->health};
    run->answers[run->count] = pw_answer_to(codec, request);
    run->count++;
}

static void answer(struct pw_session *session, const struct pw_beat_run *run, uint32_t index)
{
    const struct pw_batched_beat *beat = &run->beats[index];
    const struct pw_beat_outcome *outcome = &run->outcomes[index];
    struct pw_response response = pw_answer_good(&run->answers[index]);
    char text[PW_BEAT_TEXT_SIZE];
    response.health = outcome->health;
    if (outcome->status != PYWATT_OK) {
        pw_beat_say_why(text, &beat->module_id, outcome->status, beat->generation,
                        outcome->generation);
        response = pw_answer_bad(&run->answers[index], outcome->status, text, beat->health);
    }
    pw_session_reply(session, run->answers[index].codec, &response);
}

static void serve_one(const struct pw_beat_run *run, struct pw_session *session)
{
    const struct pw_batched_beat *only = &run->beats[0];
    const struct pw_beat beat = {.module_id = &only->module_id,
                                 .token = only->token,
                                 .generation = only->generation,
                                 .health = only->health,
                                 .grant = pw_conn_grant(session->conn),
                                 .binding = &session->binding,
                                 .now_ns = session->worker->lease_ns};
    struct pw_response response;
    char text[PW_BEAT_TEXT_SIZE];
    pw_dispatch_beat(session, &run->answers[0], &beat, text, &response);
    pw_session_reply(session, run->answers[0].codec, &response);
}

static void serve_many(struct pw_beat_run *run, struct pw_session *session)
{
    struct pw_worker *worker = session->worker;
    uint32_t refused = 0;
    const struct pw_beat_origin origin = {.binding = &session->binding,
                                          .grant = pw_conn_grant(session->conn),
                                          .now_ns = worker->lease_ns};
    pw_presence_batch(worker->server->table, run->beats, run->count, &origin, run->outcomes);
    for (uint32_t i = 0; i < run->count; i++) {
        refused += run->outcomes[i].status != PYWATT_OK ? 1 : 0;
        answer(session, run, i);
    }
    pw_count(&worker->counters.heartbeats, run->count - refused);
    if (refused < run->count) {
        pw_session_prove(session);
    }
    pw_count(&worker->counters.requests_refused, refused);
}

void pw_beat_run_serve(struct pw_beat_run *run, struct pw_session *session)
{
    if (run->count == 1) {
        serve_one(run, session);
    } else if (run->count > 1) {
        serve_many(run, session);
    }
    run->count = 0;
}
