/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.c - a message with the beats of many modules, and its reply, which names only those to which
 * there is something to say. On the worker's thread; what it needs stands in the worker's arena.
 */
#include "orchestrator/dispatch.h"
#include "orchestrator/server.h"

static bool is_exception(const struct pw_beat_outcome *outcome, const struct pw_batched_beat *beat)
{
    return outcome->status != PYWATT_OK || outcome->health != beat->health;
}

/* Puts the exception at *exception; false when memory for its words is out. */
static bool fill_exception(struct pw_arena *arena, const struct pw_beat_outcome *outcome,
                           const struct pw_batched_beat *beat, uint32_t index,
                           struct pw_beat_exception *exception)
{
    *exception = (struct pw_beat_exception){
        .index = index, .status = outcome->status, .health = outcome->health};
    if (outcome->status == PYWATT_OK) {
        return true;
    }
    char text[PW_BEAT_TEXT_SIZE];
    pw_beat_say_why(text, &beat->module_id, outcome->status, beat->generation, outcome->generation);
    exception->health = beat->health;
    exception->error = pw_str_from(pw_arena_strdup(arena, pw_str_from(text)));
    return exception->error.data != NULL;
}

static uint32_t count_exceptions(const struct pw_beat_outcome *outcomes,
                                 const struct pw_request *request)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->beat_count; i++) {
        count += is_exception(&outcomes[i], &request->beats[i]) ? 1 : 0;
    }
    return count;
}

static void count_beats(struct pw_worker *worker, const struct pw_beat_outcome *outcomes,
                        uint32_t count)
{
    uint32_t refused = 0;
    for (uint32_t i = 0; i < count; i++) {
        refused += outcomes[i].status != PYWATT_OK ? 1 : 0;
    }
    pw_count(&worker->counters.heartbeats, count - refused);
    pw_count(&worker->counters.requests_refused, refused);
}

/* NULL when memory is out. */
static struct pw_beat_exception *list_exceptions(struct pw_arena *arena,
                                                 const struct pw_beat_outcome *outcomes,
                                                 const struct pw_request *request, uint32_t count)
{
    struct pw_beat_exception *exceptions = pw_arena_alloc(arena, count * sizeof(*exceptions));
    uint32_t filled = 0;
    for (uint32_t i = 0; exceptions != NULL && i < request->beat_count; i++) {
        if (is_exception(&outcomes[i], &request->beats[i]) &&
            !fill_exception(arena, &outcomes[i], &request->beats[i], i, &exceptions[filled++])) {
            return NULL;
        }
    }
    return exceptions;
}

/* The response to a batch; false when memory to say what came of it is out: the beats count then. */
static bool fill_response(struct pw_worker *worker, const struct pw_request *request,
                          const struct pw_beat_outcome *outcomes, struct pw_response *response)
{
    const uint32_t count = count_exceptions(outcomes, request);
    response->beat_count = request->beat_count;
    response->exception_count = count;
    if (count > 0) {
        response->exceptions = list_exceptions(&worker->arena, outcomes, request, count);
    }
    return count == 0 || response->exceptions != NULL;
}

static const char no_memory[] = "The orchestrator is out of memory, try again later";

void pw_dispatch_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request)
{
    struct pw_worker *worker = session->worker;
    const struct pw_answer answer = pw_answer_to(codec, request);
    struct pw_response response = pw_answer_good(&answer);
    struct pw_beat_outcome *outcomes =
        pw_arena_alloc(&worker->arena, request->beat_count * sizeof(*outcomes));
    if (outcomes != NULL) {
        pw_presence_batch(worker->server->table, request->beats, request->beat_count,
                          &session->binding, worker->lease_ns, outcomes);
        count_beats(worker, outcomes, request->beat_count);
    }
    if (outcomes == NULL || !fill_response(worker, request, outcomes, &response)) {
        pw_dispatch_refuse(session, &answer, PYWATT_NO_MEMORY, no_memory, PYWATT_HEALTHY);
        return;
    }
    pw_session_reply(session, codec, &response);
}

/* ---- A batch of which some beats wait ---- */

void pw_dispatch_held_beats(struct pw_session *session, struct pw_held_batch *held, bool waiting)
{
    struct pw_worker *worker = session->worker;
    for (uint32_t i = 0; i < held->count; i++) {
        const struct pw_batched_beat *from = &held->beats[i];
        const struct pw_beat beat = {.module_id = &from->module_id,
                                     .token = from->token,
                                     .generation = from->generation,
                                     .health = from->health,
                                     .binding = &session->binding,
                                     .now_ns = worker->lease_ns};
        struct pw_beat_outcome *outcome = &held->outcomes[i];
        if (held->waits[i] == waiting) {
            outcome->status = pw_presence_beat(worker->server->table, &beat, &outcome->health,
                                               &outcome->generation);
            count_beats(worker, outcome, 1);
        }
    }
}

struct pw_response pw_dispatch_held_reply(struct pw_session *session,
                                          const struct pw_answer *answer,
                                          const struct pw_held_batch *held)
{
    const struct pw_request request = {.beats = held->beats, .beat_count = held->count};
    struct pw_response response = pw_answer_good(answer);
    if (fill_response(session->worker, &request, held->outcomes, &response)) {
        return response;
    }
    pw_count(&session->worker->counters.requests_refused, 1);
    return pw_answer_bad(answer, PYWATT_NO_MEMORY, no_memory, PYWATT_HEALTHY);
}
