/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.c - a message with the beats of many modules, and its reply, which names only those to which
 * there is something to say. On the worker's thread; what it needs stands in the worker's arena.
 */
#include "orchestrator/dispatch.h"
#include "orchestrator/server.h"

#include <stdio.h>

static struct pw_beat_origin origin_of(struct pw_session *session)
{
    return (struct pw_beat_origin){.binding = &session->binding,
                                   .grant = pw_conn_grant(session->conn),
                                   .aliases = &session->aliases,
                                   .now_ns = session->worker->lease_ns};
}

static enum pywatt_health reported(const struct pw_request *request, uint32_t index)
{
    return request->short_beats != NULL ? pw_short_beat_health(request->short_beats[index])
                                        : request->beats[index].health;
}

static bool is_exception(const struct pw_beat_outcome *outcome, enum pywatt_health health)
{
    return outcome->status != PYWATT_OK || outcome->health != health;
}

/* ---- Words ---- */

/* Whose beat it was; false if nobody's, since its alias stands for nothing. */
static bool whose(const struct pw_session *session, const struct pw_request *request,
                  uint32_t index, struct pw_alias_name *name)
{
    if (request->short_beats == NULL) {
        *name = (struct pw_alias_name){request->beats[index].module_id,
                                       request->beats[index].generation};
        return true;
    }
    const uint32_t alias = pw_short_beat_alias(request->short_beats[index]);
    if (pw_aliases_find(&session->aliases, alias) == NULL) {
        return false;
    }
    *name = *pw_aliases_name(&session->aliases, alias);
    return true;
}

/* Puts the exception at *exception; false when memory for its words is out. */
static bool fill_exception(struct pw_session *session, const struct pw_request *request,
                           const struct pw_beat_outcome *outcome, uint32_t index,
                           struct pw_beat_exception *exception)
{
    struct pw_alias_name name;
    char text[PW_BEAT_TEXT_SIZE];
    *exception = (struct pw_beat_exception){
        .index = index, .status = outcome->status, .health = outcome->health};
    if (outcome->status == PYWATT_OK) {
        return true;
    }
    if (whose(session, request, index, &name)) {
        pw_beat_say_why(text, &name.id, outcome->status, name.generation, outcome->generation);
    } else {
        snprintf(text, sizeof(text), "Alias %u stands for nothing on this connection",
                 pw_short_beat_alias(request->short_beats[index]));
    }
    exception->health = reported(request, index);
    exception->error = pw_str_from(pw_arena_strdup(&session->worker->arena, pw_str_from(text)));
    return exception->error.data != NULL;
}

/* ---- The reply ---- */

static uint32_t count_exceptions(const struct pw_beat_outcome *outcomes,
                                 const struct pw_request *request)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->beat_count; i++) {
        count += is_exception(&outcomes[i], reported(request, i)) ? 1 : 0;
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
static struct pw_beat_exception *list_exceptions(struct pw_session *session,
                                                 const struct pw_beat_outcome *outcomes,
                                                 const struct pw_request *request, uint32_t count)
{
    struct pw_beat_exception *exceptions =
        pw_arena_alloc(&session->worker->arena, count * sizeof(*exceptions));
    uint32_t filled = 0;
    for (uint32_t i = 0; exceptions != NULL && i < request->beat_count; i++) {
        if (is_exception(&outcomes[i], reported(request, i)) &&
            !fill_exception(session, request, &outcomes[i], i, &exceptions[filled++])) {
            return NULL;
        }
    }
    return exceptions;
}

/* The response to a batch; false when memory to say what came of it is out: the beats count then. */
static bool fill_response(struct pw_session *session, const struct pw_request *request,
                          const struct pw_beat_outcome *outcomes, struct pw_response *response)
{
    const uint32_t count = count_exceptions(outcomes, request);
    response->beat_count = request->beat_count;
    response->exception_count = count;
    if (count > 0) {
        response->exceptions = list_exceptions(session, outcomes, request, count);
    }
    return count == 0 || response->exceptions != NULL;
}

static const char no_memory[] = "The orchestrator is out of memory, try again later";

static void serve(struct pw_session *session, const struct pw_request *request,
                  struct pw_beat_outcome *outcomes)
{
    struct pw_worker *worker = session->worker;
    struct pw_module_table *table = worker->server->table;
    const struct pw_beat_origin origin = origin_of(session);
    if (request->short_beats != NULL) {
        pw_presence_short_batch(table, request->short_beats, request->beat_count, &origin,
                                outcomes);
    } else {
        pw_presence_batch(table, request->beats, request->beat_count, &origin, outcomes);
    }
    count_beats(worker, outcomes, request->beat_count);
}

void pw_dispatch_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request)
{
    const struct pw_answer answer = pw_answer_to(codec, request);
    struct pw_response response = pw_answer_good(&answer);
    struct pw_beat_outcome *outcomes =
        pw_arena_alloc(&session->worker->arena, request->beat_count * sizeof(*outcomes));
    if (outcomes != NULL) {
        serve(session, request, outcomes);
    }
    if (outcomes == NULL || !fill_response(session, request, outcomes, &response)) {
        pw_dispatch_refuse(session, &answer, PYWATT_NO_MEMORY, no_memory, PYWATT_HEALTHY);
        return;
    }
    pw_session_reply(session, codec, &response);
}

/* ---- A batch of which some beats wait ---- */

void pw_dispatch_held_beats(struct pw_session *session, struct pw_held_batch *held, bool waiting)
{
    struct pw_request one = {.beat_count = 1};
    for (uint32_t i = 0; i < held->count; i++) {
        if (held->short_beats != NULL) {
            one.short_beats = &held->short_beats[i];
        } else {
            one.beats = &held->beats[i];
        }
        if (held->waits[i] == waiting) {
            serve(session, &one, &held->outcomes[i]);
        }
    }
}

struct pw_response pw_dispatch_held_reply(struct pw_session *session,
                                          const struct pw_answer *answer,
                                          const struct pw_held_batch *held)
{
    const struct pw_request request = {
        .beats = held->beats, .short_beats = held->short_beats, .beat_count = held->count};
    struct pw_response response = pw_answer_good(answer);
    if (fill_response(session, &request, held->outcomes, &response)) {
        return response;
    }
    pw_count(&session->worker->counters.requests_refused, 1);
    return pw_answer_bad(answer, PYWATT_NO_MEMORY, no_memory, PYWATT_HEALTHY);
}
