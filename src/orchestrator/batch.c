/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.c - a message with the beats of many modules, and its reply, which names only those to which
 * there is something to say. On the worker's thread; what it needs stands in the worker's arena.
 */
#include "orchestrator/dispatch.h"
#include "orchestrator/server.h"

#include <stdio.h>

static struct pw_beat_origin origin_of(struct pw_session *session, uint64_t order)
{
    return (struct pw_beat_origin){.binding = &session->binding,
                                   .grant = pw_conn_grant(session->conn),
                                   .aliases = &session->aliases,
                                   .order = order,
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

/*
 * Fills an exception whose index stands in it. `name` is the module's, or NULL if nobody's beat it was,
 * since its alias stands for nothing. False when memory for its words is out.
 */
static bool fill_exception(struct pw_session *session, const struct pw_beat_outcome *outcome,
                           enum pywatt_health health, const struct pw_alias_name *name,
                           uint32_t alias, struct pw_beat_exception *exception)
{
    char text[PW_BEAT_TEXT_SIZE];
    exception->status = outcome->status;
    exception->health = outcome->health;
    exception->error = (struct pw_str){NULL, 0};
    if (outcome->status == PYWATT_OK) {
        return true;
    }
    if (name != NULL) {
        pw_beat_say_why(text, &name->id, outcome->status, name->generation, outcome->generation);
    } else {
        snprintf(text, sizeof(text), "Alias %u stands for nothing on this connection", alias);
    }
    exception->health = health;
    exception->error = pw_str_from(pw_arena_strdup(&session->worker->arena, pw_str_from(text)));
    return exception->error.data != NULL;
}

/* The same for a beat of a request; `full` is what it is if it is in full. */
static bool fill_of_request(struct pw_session *session, const struct pw_request *request,
                            const struct pw_beat_outcome *outcome,
                            const struct pw_batched_beat *full, struct pw_beat_exception *exception)
{
    const struct pw_aliases *aliases = &session->aliases;
    const enum pywatt_health health = reported(request, exception->index);
    if (full != NULL) {
        const struct pw_alias_name name = {full->module_id, full->generation, 0};
        return fill_exception(session, outcome, health, &name, 0, exception);
    }
    const uint32_t alias = pw_short_beat_alias(request->short_beats[exception->index]);
    const bool known = pw_aliases_find(aliases, alias) != NULL;
    return fill_exception(session, outcome, health, known ? pw_aliases_name(aliases, alias) : NULL,
                          alias, exception);
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

/* NULL when memory is out. */
static struct pw_beat_exception *list_exceptions(struct pw_session *session,
                                                 const struct pw_beat_outcome *outcomes,
                                                 const struct pw_request *request, uint32_t count)
{
    struct pw_beat_exception *exceptions =
        pw_arena_alloc(&session->worker->arena, count * sizeof(*exceptions));
    const struct pw_batched_beat *next = request->beats;
    uint32_t filled = 0;
    for (uint32_t i = 0; exceptions != NULL && i < request->beat_count; i++) {
        const struct pw_batched_beat *full = pw_request_is_full(request, i) ? next++ : NULL;
        if (is_exception(&outcomes[i], reported(request, i))) {
            exceptions[filled].index = i;
            if (!fill_of_request(session, request, &outcomes[i], full, &exceptions[filled++])) {
                return NULL;
            }
        }
    }
    return exceptions;
}

/*
 * The response to a batch with `count` exceptions; false when memory to say what came of it is out: the
 * beats count then.
 */
static bool fill_response(struct pw_session *session, const struct pw_request *request,
                          const struct pw_beat_outcome *outcomes, uint32_t count,
                          struct pw_response *response)
{
    response->beat_count = request->beat_count;
    response->exception_count = count;
    if (count > 0) {
        response->exceptions = list_exceptions(session, outcomes, request, count);
    }
    return count == 0 || response->exceptions != NULL;
}

static const char no_memory[] = "The orchestrator is out of memory, try again later";

/* ---- Serving ---- */

/* `exceptions` tells how many there are among them. */
static void count_beats(struct pw_session *session, const struct pw_beat_outcome *outcomes,
                        uint32_t count, uint32_t exceptions)
{
    struct pw_worker *worker = session->worker;
    uint32_t refused = 0;
    for (uint32_t i = 0; exceptions > 0 && i < count; i++) {
        refused += outcomes[i].status != PYWATT_OK ? 1 : 0;
    }
    if (refused < count) {
        pw_session_prove(session);
    }
    pw_count(&worker->counters.heartbeats, count - refused);
    pw_count(&worker->counters.requests_refused, refused);
}

/* Those in full first, and then those by aliases. False when memory is out: then none is served. */
static bool serve_both_kinds(struct pw_session *session, const struct pw_request *request,
                             const struct pw_beat_origin *origin, struct pw_beat_outcome *outcomes)
{
    struct pw_worker *worker = session->worker;
    struct pw_module_table *table = worker->server->table;
    const struct pw_beat_outcome *next = NULL;
    if (request->full_count > 0) {
        struct pw_beat_outcome *full =
            pw_arena_alloc(&worker->arena, request->full_count * sizeof(*full));
        if (full == NULL) {
            return false;
        }
        pw_presence_batch(table, request->beats, request->full_count, origin, full);
        next = full;
    }
    pw_presence_short_batch(table, request->short_beats, request->beat_count, origin, outcomes);
    for (uint32_t i = 0; next != NULL && i < request->beat_count; i++) {
        if (pw_request_is_full(request, i)) {
            outcomes[i] = *next++;
        }
    }
    return true;
}

/* NULL when memory is out: then none is served. */
static struct pw_beat_outcome *serve(struct pw_session *session, const struct pw_request *request)
{
    struct pw_worker *worker = session->worker;
    const struct pw_beat_origin origin = origin_of(session, session->aliases.orders);
    struct pw_beat_outcome *outcomes =
        pw_arena_alloc(&worker->arena, request->beat_count * sizeof(*outcomes));
    if (outcomes == NULL) {
        return NULL;
    }
    if (request->short_beats == NULL) {
        pw_presence_batch(worker->server->table, request->beats, request->beat_count, &origin,
                          outcomes);
    } else if (!serve_both_kinds(session, request, &origin, outcomes)) {
        return NULL;
    }
    return outcomes;
}

void pw_dispatch_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request)
{
    const struct pw_answer answer = pw_answer_to(codec, request);
    struct pw_response response = pw_answer_good(&answer);
    const struct pw_beat_outcome *outcomes = serve(session, request);
    const uint32_t exceptions = outcomes == NULL ? 0 : count_exceptions(outcomes, request);
    if (outcomes != NULL) {
        count_beats(session, outcomes, request->beat_count, exceptions);
    }
    if (outcomes == NULL || !fill_response(session, request, outcomes, exceptions, &response)) {
        pw_dispatch_refuse(session, &answer, PYWATT_NO_MEMORY, no_memory, PYWATT_HEALTHY);
        return;
    }
    pw_session_reply(session, codec, &response);
}

/* ---- A batch of which some beats wait ---- */

static void serve_held(struct pw_session *session, struct pw_held_beat *held)
{
    struct pw_worker *worker = session->worker;
    struct pw_module_table *table = worker->server->table;
    const struct pw_beat_origin origin = origin_of(session, held->name.order);
    if (!held->is_short) {
        const struct pw_batched_beat beat = {.module_id = held->name.id,
                                             .token = held->by.token,
                                             .generation = held->name.generation,
                                             .health = (enum pywatt_health)held->health,
                                             .alias = held->alias};
        pw_presence_batch(table, &beat, 1, &origin, &held->outcome);
    } else if (pw_held_beat_has_module(held)) {
        pw_presence_short_beat(table, &held->by.place, &held->name, &origin, &held->outcome);
    } else {
        held->outcome.status = PYWATT_INVALID_ARGUMENT;
    }
    count_beats(session, &held->outcome, 1, 1);
}

void pw_dispatch_held_beats(struct pw_session *session, struct pw_held_beat *beats, uint32_t count,
                            bool waiting)
{
    for (uint32_t i = 0; i < count; i++) {
        if (beats[i].waits == waiting) {
            serve_held(session, &beats[i]);
        }
    }
}

static uint32_t count_held_exceptions(const struct pw_held_batch *batch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->held_count; i++) {
        count += pw_held_beat_is_exception(&batch->held[i]) ? 1 : 0;
    }
    return count;
}

/* NULL when memory is out. */
static struct pw_beat_exception *list_held(struct pw_session *session,
                                           const struct pw_held_batch *batch, uint32_t count)
{
    struct pw_beat_exception *exceptions =
        pw_arena_alloc(&session->worker->arena, count * sizeof(*exceptions));
    uint32_t filled = 0;
    for (uint32_t i = 0; exceptions != NULL && i < batch->held_count; i++) {
        const struct pw_held_beat *held = &batch->held[i];
        if (pw_held_beat_is_exception(held)) {
            exceptions[filled].index = held->index;
            if (!fill_exception(session, &held->outcome, (enum pywatt_health)held->health,
                                pw_held_beat_has_module(held) ? &held->name : NULL, held->alias,
                                &exceptions[filled++])) {
                return NULL;
            }
        }
    }
    return exceptions;
}

struct pw_response pw_dispatch_held_reply(struct pw_session *session,
                                          const struct pw_answer *answer,
                                          const struct pw_held_batch *held)
{
    struct pw_response response = pw_answer_good(answer);
    response.beat_count = held->beat_count;
    response.exception_count = count_held_exceptions(held);
    if (response.exception_count > 0) {
        response.exceptions = list_held(session, held, response.exception_count);
    }
    if (response.exception_count == 0 || response.exceptions != NULL) {
        return response;
    }
    pw_count(&session->worker->counters.requests_refused, 1);
    return pw_answer_bad(answer, PYWATT_NO_MEMORY, no_memory, PYWATT_HEALTHY);
}
