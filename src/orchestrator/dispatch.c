/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch.c - what is done with a request. On the worker's thread; only `on_done` runs on the
 * thread on which a task ends.
 *
 * A beat is answered at once. What changes registrations becomes a task; if that is done when it
 * was started, its reply goes out like that of a beat, else it gets a slot, and the task comes back
 * through the worker's mailbox.
 */
#include "orchestrator/dispatch.h"

#include "base/tool_hints.h"
#include "orchestrator/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a reply needs of its request. */
struct answer {
    const struct pw_codec_ops *codec;
    enum pw_operation operation;
    bool has_request_id;
    struct pywatt_uuid request_id;
};

enum handoff {
    STARTED, /* the worker is still inside of pw_registrar_start */
    PARKED,  /* it went on: whoever ends the task posts it */
    DONE
};

struct pending {
    struct pw_task task;
    struct pw_reply_slot slot;
    struct pw_mail mail;
    struct pw_session *session;
    struct answer answer;
    atomic_int handoff;
};

static struct answer answer_to(const struct pw_codec_ops *codec, const struct pw_request *request)
{
    return (struct answer){.codec = codec,
                           .operation = request->operation,
                           .has_request_id = request->has_request_id,
                           .request_id = request->request_id};
}

static struct pw_response response_for(const struct answer *answer)
{
    return (struct pw_response){.operation = answer->operation,
                                .has_request_id = answer->has_request_id,
                                .request_id = answer->request_id,
                                .success = true,
                                .status = PYWATT_OK};
}

static void refuse(struct pw_session *session, const struct answer *answer,
                   enum pywatt_status status, const char *text, enum pywatt_health health)
{
    struct pw_response response = response_for(answer);
    response.success = false;
    response.status = status;
    response.error = pw_str_from(text);
    response.health = health;
    pw_count(&session->worker->counters.requests_refused, 1);
    pw_session_reply(session, answer->codec, &response);
}

/* ---- Beats ---- */

static void refuse_beat(struct pw_session *session, const struct answer *answer,
                        const struct pw_request *request, enum pywatt_status status,
                        uint64_t generation)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    char text[160];
    pywatt_uuid_format(&request->module_id, id);
    switch (status) {
    case PYWATT_MODULE_NOT_FOUND: snprintf(text, sizeof(text), "Module not found: %s", id); break;
    case PYWATT_INVALID_TOKEN: snprintf(text, sizeof(text), "Invalid token"); break;
    case PYWATT_STALE_GENERATION:
        snprintf(text, sizeof(text),
                 "Generation %" PRIu64 " of module %s is over: it was registered again as "
                 "generation %" PRIu64,
                 request->generation, id, generation);
        break;
    default:
        snprintf(text, sizeof(text), "The orchestrator is out of memory, try again later");
        break;
    }
    refuse(session, answer, status, text, request->health);
}

static void serve_beat(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request)
{
    struct pw_server *server = session->worker->server;
    const struct answer answer = answer_to(codec, request);
    const struct pw_beat beat = {
        .module_id = &request->module_id,
        .token = request->token,
        .generation = request->generation,
        .health = request->health,
        .details = request->details,
        .binding = &session->binding,
        .now_ns = pw_lease_time_of(server->lease, session->worker->now_ns),
    };
    enum pywatt_health health;
    uint64_t generation = 0;
    const enum pywatt_status status = pw_presence_beat(server->table, &beat, &health, &generation);
    if (status != PYWATT_OK) {
        refuse_beat(session, &answer, request, status, generation);
        return;
    }
    struct pw_response response = response_for(&answer);
    response.health = health;
    pw_count(&session->worker->counters.heartbeats, 1);
    pw_session_reply(session, codec, &response);
}

/* ---- Tasks ---- */

static void free_pending(struct pending *pending)
{
    pw_task_clear(&pending->task);
    free(pending);
}

void pw_dispatch_free_slot(struct pw_reply_slot *slot)
{
    free_pending(PW_CONTAINER_OF(slot, struct pending, slot));
}

static struct pw_response response_of_task(const struct pending *pending)
{
    const struct pw_task *task = &pending->task;
    struct pw_response response = response_for(&pending->answer);
    if (task->status == PYWATT_OK) {
        response.registration = task->registration;
    } else {
        response.success = false;
        response.status = task->status;
        response.error = pw_str_from(task->text);
    }
    return response;
}

static void count_task(struct pw_worker *worker, const struct pw_task *task)
{
    if (task->status != PYWATT_OK) {
        pw_count(&worker->counters.requests_refused, 1);
    } else if (task->kind == PW_TASK_REGISTER) {
        pw_count(&worker->counters.registrations, 1);
    }
}

/* What came through on a connection hangs on it, if that still stands. */
static void bind_to_session(const struct pending *pending)
{
    const struct pw_task *task = &pending->task;
    struct pw_session *session = pending->session;
    struct pw_server *server = session->worker->server;
    if (task->status != PYWATT_OK || task->kind == PW_TASK_UNREGISTER) {
        return;
    }
    if (pw_session_is_closed(session) || session->ended) {
        pw_presence_orphaned(server->table, &task->id, task->generation);
    } else {
        pw_presence_seen(server->table, &task->id, task->generation, &session->binding,
                         pw_lease_time_of(server->lease, session->worker->now_ns));
    }
}

/* A task that took longer is done. */
static void deliver_done(struct pw_worker *worker, struct pw_mail *mail)
{
    struct pending *pending = PW_CONTAINER_OF(mail, struct pending, mail);
    struct pw_session *session = pending->session;
    count_task(worker, &pending->task);
    bind_to_session(pending);
    if (pw_session_is_closed(session)) {
        free_pending(pending);
        pw_session_task_left(session);
        return;
    }
    const struct pw_response response = response_of_task(pending);
    pw_session_fill_slot(session, &pending->slot, pending->answer.codec, &response);
}

static void on_done(struct pw_task *task)
{
    struct pending *pending = PW_CONTAINER_OF(task, struct pending, task);
    struct pw_worker *worker = pending->session->worker;
    PW_HINT_RELEASE(&pending->handoff);
    if (atomic_exchange(&pending->handoff, DONE) == PARKED) {
        PW_HINT_ACQUIRE(&pending->handoff);
        pw_worker_post(worker, &pending->mail);
    }
}

static void start(struct pending *pending)
{
    struct pw_session *session = pending->session;
    pw_registrar_start(session->worker->server->registrar, &pending->task);
    PW_HINT_RELEASE(&pending->handoff);
    if (atomic_exchange(&pending->handoff, PARKED) != DONE) {
        /* Whenever it ends, the mail is delivered by this thread, after this. */
        pw_session_open_slot(session, &pending->slot);
        return;
    }
    PW_HINT_ACQUIRE(&pending->handoff);
    count_task(session->worker, &pending->task);
    bind_to_session(pending);
    const struct pw_response response = response_of_task(pending);
    pw_session_reply(session, pending->answer.codec, &response);
    free_pending(pending);
}

/* Where the module is told to find the orchestrator. */
static void own_address(struct pw_session *session, struct pw_address *out)
{
    const struct pw_server *server = session->worker->server;
    const struct pywatt_orchestrator_options *options = &server->config->options;
    *out = (struct pw_address){.port = 0};
    pw_conn_local_address(session->conn, out);
    if (out->host[0] == '\0') {
        /* No address of the network: the module is on this machine. */
        snprintf(out->host, sizeof(out->host), "127.0.0.1");
        out->port = server->first_tcp_port;
    }
    if (options->advertise_host != NULL) {
        snprintf(out->host, sizeof(out->host), "%s", options->advertise_host);
    }
    if (options->advertise_port != 0) {
        out->port = options->advertise_port;
    }
}

/* The objects of the request become the task's. */
static bool fill_task(struct pw_session *session, struct pw_task *task, struct pw_request *request)
{
    task->id = request->module_id;
    task->has_token = request->token.len == PW_TOKEN_LEN;
    if (task->has_token) {
        memcpy(task->token.text, request->token.data, PW_TOKEN_LEN);
    }
    switch (request->operation) {
    case PW_OP_UNREGISTER: task->kind = PW_TASK_UNREGISTER; return true;
    case PW_OP_CAPABILITIES:
        task->kind = PW_TASK_ADVERTISE;
        task->capabilities = pw_shared_capabilities_new(request->capabilities);
        if (task->capabilities != NULL) {
            request->capabilities = NULL;
        }
        return task->capabilities != NULL;
    case PW_OP_REGISTER:
    case PW_OP_HEARTBEAT_BATCH:
    case PW_OP_HEARTBEAT: break;
    }
    const struct pywatt_uuid *id = pywatt_module_info_id(request->info);
    task->kind = PW_TASK_REGISTER;
    task->has_id = id != NULL;
    if (id != NULL) {
        task->id = *id;
    }
    own_address(session, &task->address);
    task->info = pw_shared_info_new(request->info);
    if (task->info != NULL) {
        request->info = NULL;
    }
    return task->info != NULL;
}

static void serve_task(struct pw_session *session, const struct pw_codec_ops *codec,
                       struct pw_request *request)
{
    struct pending *pending = calloc(1, sizeof(*pending));
    const struct answer answer = answer_to(codec, request);
    if (pending == NULL || !fill_task(session, &pending->task, request)) {
        if (pending != NULL) {
            free_pending(pending);
        }
        refuse(session, &answer, PYWATT_NO_MEMORY,
               "The orchestrator is out of memory, try again later", PYWATT_HEALTHY);
        return;
    }
    atomic_init(&pending->handoff, STARTED);
    PW_HINT_ATOMIC(pending->handoff);
    pw_list_init(&pending->mail.link);
    pending->mail.deliver = deliver_done;
    pending->session = session;
    pending->answer = answer;
    pending->task.done = on_done;
    start(pending);
}

/* ---- Frames ---- */

static void serve_request(struct pw_session *session, const struct pw_codec_ops *codec,
                          struct pw_request *request)
{
    pw_count(&session->worker->counters.requests, 1);
    if (request->operation == PW_OP_HEARTBEAT) {
        serve_beat(session, codec, request);
    } else if (request->operation == PW_OP_HEARTBEAT_BATCH) {
        const struct answer answer = answer_to(codec, request);
        refuse(session, &answer, PYWATT_UNSUPPORTED, "This orchestrator takes no batches",
               PYWATT_HEALTHY);
    } else {
        serve_task(session, codec, request);
        pw_request_reset(request);
    }
}

static void serve_undecodable(struct pw_session *session, const struct pw_codec_ops *codec,
                              const struct pw_request *request, enum pywatt_status status,
                              bool recognised, const struct pywatt_error *error)
{
    if (recognised) {
        const struct answer answer = answer_to(codec, request);
        pw_count(&session->worker->counters.requests, 1);
        refuse(session, &answer, status, error->text, request->health);
    } else if (status != PYWATT_UNSUPPORTED) {
        pw_session_bad_input(session, error->text);
    }
    /* Else it is well-formed but no request: those get no reply. */
}

void pw_dispatch_frame(struct pw_session *session, const struct pw_frame *frame)
{
    struct pw_worker *worker = session->worker;
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    if (codec == NULL) {
        pw_session_bad_input(session, "a frame in a format that is not known here");
        return;
    }
    bool recognised = false;
    struct pywatt_error error = {.text = ""};
    const enum pywatt_status status =
        pw_codec_decode_request(codec, frame->payload, &worker->server->limits, &worker->arena,
                                &worker->request, &recognised, &error);
    if (status == PYWATT_OK) {
        serve_request(session, codec, &worker->request);
    } else {
        serve_undecodable(session, codec, &worker->request, status, recognised, &error);
        pw_request_reset(&worker->request);
    }
    pw_arena_reset(&worker->arena);
}
