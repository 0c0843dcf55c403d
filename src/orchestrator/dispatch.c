/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch.c - what is done with a request. On the worker's thread.
 *
 * Beats that came together are served together, see beat_run.h; but one that names the module of an
 * earlier request that is not done yet waits for that. What changes registrations goes on in
 * pending.c.
 */
#include "orchestrator/dispatch.h"

#include "base/error.h"
#include "base/log.h"
#include "orchestrator/beat_run.h"
#include "orchestrator/pending.h"
#include "orchestrator/server.h"

#include <inttypes.h>
#include <stdio.h>

/* A longer message does not wait with others: together they might take too much of the arena. */
#define RUN_FRAME_MAX 1024

struct pw_answer pw_answer_to(const struct pw_codec_ops *codec, const struct pw_request *request)
{
    return (struct pw_answer){.codec = codec,
                              .operation = request->operation,
                              .has_request_id = request->has_request_id,
                              .request_id = request->request_id};
}

struct pw_response pw_answer_good(const struct pw_answer *answer)
{
    return (struct pw_response){.operation = answer->operation,
                                .has_request_id = answer->has_request_id,
                                .request_id = answer->request_id,
                                .success = true,
                                .status = PYWATT_OK};
}

struct pw_response pw_answer_bad(const struct pw_answer *answer, enum pywatt_status status,
                                 const char *text, enum pywatt_health health)
{
    struct pw_response response = pw_answer_good(answer);
    response.success = false;
    response.status = status;
    response.error = pw_str_from(text);
    response.health = health;
    return response;
}

void pw_dispatch_refuse(struct pw_session *session, const struct pw_answer *answer,
                        enum pywatt_status status, const char *text, enum pywatt_health health)
{
    const struct pw_response response = pw_answer_bad(answer, status, text, health);
    pw_count(&session->worker->counters.requests_refused, 1);
    pw_session_reply(session, answer->codec, &response);
}

/* ---- Beats ---- */

void pw_beat_say_why(char text[PW_BEAT_TEXT_SIZE], const struct pywatt_uuid *module_id,
                     enum pywatt_status status, uint64_t sent_generation, uint64_t generation)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    pywatt_uuid_format(module_id, id);
    switch (status) {
    case PYWATT_MODULE_NOT_FOUND:
        snprintf(text, PW_BEAT_TEXT_SIZE, "Module not found: %s", id);
        break;
    case PYWATT_INVALID_TOKEN: snprintf(text, PW_BEAT_TEXT_SIZE, "Invalid token"); break;
    case PYWATT_UNAVAILABLE:
        snprintf(text, PW_BEAT_TEXT_SIZE,
                 "What becomes of module %s is in the store, try again later", id);
        break;
    case PYWATT_REJECTED:
        snprintf(text, PW_BEAT_TEXT_SIZE, "The certificate of this connection is not for module %s",
                 id);
        break;
    case PYWATT_STALE_GENERATION:
        snprintf(text, PW_BEAT_TEXT_SIZE,
                 "Generation %" PRIu64 " of module %s is over: it was registered again as "
                 "generation %" PRIu64,
                 sent_generation, id, generation);
        break;
    default:
        snprintf(text, PW_BEAT_TEXT_SIZE, "The orchestrator is out of memory, try again later");
        break;
    }
}

void pw_dispatch_beat(struct pw_session *session, const struct pw_answer *answer,
                      const struct pw_beat *beat, char text[PW_BEAT_TEXT_SIZE],
                      struct pw_response *response)
{
    struct pw_worker *worker = session->worker;
    enum pywatt_health health;
    uint64_t generation = 0;
    const enum pywatt_status status =
        pw_presence_beat(worker->server->table, beat, &health, &generation);
    if (status != PYWATT_OK) {
        pw_beat_say_why(text, beat->module_id, status, beat->generation, generation);
        pw_count(&worker->counters.requests_refused, 1);
        *response = pw_answer_bad(answer, status, text, beat->health);
        return;
    }
    *response = pw_answer_good(answer);
    response->health = health;
    pw_count(&worker->counters.heartbeats, 1);
    pw_session_prove(session);
}

static void serve_detailed_beat(struct pw_session *session, const struct pw_codec_ops *codec,
                                const struct pw_request *request)
{
    const struct pw_answer answer = pw_answer_to(codec, request);
    const struct pw_beat beat = {
        .module_id = &request->module_id,
        .token = request->token,
        .generation = request->generation,
        .health = request->health,
        .details = request->details,
        .grant = pw_conn_grant(session->conn),
        .binding = &session->binding,
        .now_ns = session->worker->lease_ns,
    };
    struct pw_response response;
    char text[PW_BEAT_TEXT_SIZE];
    pw_dispatch_beat(session, &answer, &beat, text, &response);
    pw_session_reply(session, codec, &response);
}

/* ---- Frames ---- */

static void serve_request(struct pw_session *session, const struct pw_codec_ops *codec,
                          struct pw_request *request, size_t size)
{
    pw_count(&session->worker->counters.requests, 1);
    if (request->operation == PW_OP_HEARTBEAT) {
        if (session->tasks == 0 || !pw_pending_beat(session, codec, request, size)) {
            serve_detailed_beat(session, codec, request);
        }
    } else if (request->operation == PW_OP_HEARTBEAT_BATCH) {
        session->aliases.orders++;
        if (session->tasks == 0 || !pw_pending_batch(session, codec, request, size)) {
            pw_dispatch_batch(session, codec, request);
        }
    } else {
        pw_pending_change(session, codec, request, size);
        pw_request_reset(request);
    }
}

static void serve_undecodable(struct pw_session *session, const struct pw_codec_ops *codec,
                              const struct pw_request *request, enum pywatt_status status,
                              bool recognised, const struct pywatt_error *error)
{
    if (recognised) {
        const struct pw_answer answer = pw_answer_to(codec, request);
        pw_count(&session->worker->counters.requests, 1);
        pw_dispatch_refuse(session, &answer, status, error->text, request->health);
    } else if (status != PYWATT_UNSUPPORTED) {
        pw_session_bad_input(session, error->text);
    }
    /* Else it is well-formed but no request: those get no reply. */
}

/* Answers it with why nothing is done for this peer, and ends the connection. */
static void turn_away(struct pw_session *session, const struct pw_codec_ops *codec,
                      const struct pw_request *request)
{
    struct pw_server *server = session->worker->server;
    const struct pw_answer answer = pw_answer_to(codec, request);
    uint32_t more;
    pw_count(&session->worker->counters.requests, 1);
    pw_count(&session->worker->counters.users_refused, 1);
    pw_dispatch_refuse(session, &answer, PYWATT_REJECTED, session->unwelcome, request->health);
    session->ending = true;
    if (pw_log_limit_pass(&server->admission_log_limit, PW_LOG_LINES, session->worker->now_ns,
                          &more)) {
        char peer[PW_ENDPOINT_URL_MAX];
        pw_conn_peer_name(session->conn, peer, sizeof(peer));
        pw_log(PYWATT_LOG_WARNING,
               "%s: turned away: its user is not one of unix_allow_uids, and no group of it one of "
               "unix_allow_gids (%u such lines left out)",
               peer, more);
    }
}

/* Whether it is a beat that others may wait for. */
static bool joins_the_run(const struct pw_session *session, const struct pw_request *request)
{
    return request->operation == PW_OP_HEARTBEAT && request->details == NULL && session->tasks == 0;
}

/* Serves the beats that wait; what they point to may go afterwards. */
static void end_run(struct pw_session *session)
{
    if (pw_session_is_closed(session)) {
        session->worker->run->count = 0; /* nobody beats on it any more */
    }
    pw_beat_run_serve(session->worker->run, session);
}

void pw_dispatch_frame(struct pw_session *session, const struct pw_frame *frame)
{
    struct pw_worker *worker = session->worker;
    struct pw_beat_run *run = worker->run;
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    if (codec == NULL) {
        end_run(session);
        pw_session_bad_input(session, "a frame in a format that is not known here");
        return;
    }
    if (run->count == PW_BEAT_RUN_MAX || frame->payload.len > RUN_FRAME_MAX) {
        pw_dispatch_end(session); /* a long message may need the whole arena */
    }
    bool recognised = false;
    struct pywatt_error error;
    pw_error_clear(&error);
    const enum pywatt_status status =
        pw_codec_decode_request(codec, frame->payload, &worker->config->limits, &worker->arena,
                                &worker->request, &recognised, &error);
    if (session->unwelcome != NULL && (status == PYWATT_OK || recognised)) {
        turn_away(session, codec, &worker->request);
        pw_request_reset(&worker->request);
        pw_arena_reset(&worker->arena);
        return;
    }
    if (status == PYWATT_OK && joins_the_run(session, &worker->request)) {
        pw_count(&worker->counters.requests, 1);
        pw_beat_run_add(run, codec, &worker->request);
        return;
    }
    end_run(session);
    if (status == PYWATT_OK) {
        serve_request(session, codec, &worker->request, frame->payload.len);
    } else {
        serve_undecodable(session, codec, &worker->request, status, recognised, &error);
        pw_request_reset(&worker->request);
    }
    pw_arena_reset(&worker->arena);
}

void pw_dispatch_end(struct pw_session *session)
{
    end_run(session);
    pw_arena_reset(&session->worker->arena);
}
