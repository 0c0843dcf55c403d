/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pending.c - requests that are not done at once. On the worker's thread; only `on_done` runs on
 * the thread on which a task ends.
 *
 * What changes registrations becomes a task. If that is done when it was started, its reply goes
 * out like that of a beat, else it gets a slot, and the task comes back through the worker's
 * mailbox. A request that has to wait for an earlier one gets a slot at once, and hangs on that
 * one's list until it is its turn.
 */
#include "orchestrator/pending_private.h"

#include "base/tool_hints.h"
#include "model/string_map.h"
#include "orchestrator/admission.h"
#include "orchestrator/dispatch.h"
#include "orchestrator/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A few hundred KiB. */
#define SPARES_MAX 256

/* ---- Making one ---- */

/*
 * While a store is at work there are hundreds of them, each too large for what the allocator has at
 * hand: a worker keeps a few that it does not need.
 */
static struct pw_pending *take_spare(struct pw_worker *worker)
{
    struct pw_list *link = pw_list_pop(&worker->spare_pendings);
    if (link == NULL) {
        return calloc(1, sizeof(struct pw_pending));
    }
    worker->spare_count--;
    struct pw_pending *pending = PW_CONTAINER_OF(link, struct pw_pending, turn);
    memset(pending, 0, sizeof(*pending));
    return pending;
}

static void keep_spare(struct pw_pending *pending)
{
    struct pw_worker *worker = pending->session->worker;
    if (worker->ended || worker->spare_count >= SPARES_MAX) {
        free(pending);
        return;
    }
    worker->spare_count++;
    pw_list_append(&worker->spare_pendings, &pending->turn);
}

void pw_pending_free_spares(struct pw_worker *worker)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&worker->spare_pendings)) != NULL) {
        free(PW_CONTAINER_OF(link, struct pw_pending, turn));
    }
    worker->spare_count = 0;
}

void pw_pending_free(struct pw_pending *pending)
{
    pw_list_remove(&pending->turn);
    /* When a session closes, those that wait for it go after it: they hang on each other only. */
    pw_list_remove(&pending->waiters);
    pw_task_clear(&pending->task);
    pywatt_string_map_free(pending->details);
    pw_held_batch_free(pending->held);
    keep_spare(pending);
}

/* The module that a request names by its id; NULL if it names none, or many. */
static const struct pywatt_uuid *id_in(const struct pw_request *request)
{
    switch (request->operation) {
    case PW_OP_REGISTER: return pywatt_module_info_id(request->info);
    case PW_OP_HEARTBEAT_BATCH: return NULL;
    default: return &request->module_id;
    }
}

struct pw_pending *pw_pending_new(struct pw_session *session, const struct pw_codec_ops *codec,
                                  const struct pw_request *request, size_t size)
{
    struct pw_pending *pending = take_spare(session->worker);
    if (pending == NULL) {
        return NULL;
    }
    pending->session = session;
    pending->answer = pw_answer_to(codec, request);
    pending->size = size;
    pw_list_init(&pending->waiters);
    pw_list_init(&pending->turn);
    pending->task.grant = pw_grant_acquire(pw_conn_grant(session->conn));
    pending->task.has_token = request->token.len == PW_TOKEN_LEN;
    if (pending->task.has_token) {
        memcpy(pending->task.token.text, request->token.data, PW_TOKEN_LEN);
    }
    const struct pywatt_uuid *id = id_in(request);
    pending->has_id = id != NULL;
    if (id != NULL) {
        pending->id = *id;
    }
    return pending;
}

void pw_pending_free_slot(struct pw_reply_slot *slot)
{
    pw_pending_free(PW_CONTAINER_OF(slot, struct pw_pending, slot));
}

bool pw_pending_drop_slot(struct pw_reply_slot *slot)
{
    struct pw_pending *pending = PW_CONTAINER_OF(slot, struct pw_pending, slot);
    const bool waits = !pending->begun;
    if (waits) {
        pw_pending_free(pending);
    }
    return waits;
}

/* ---- Which one has to wait for which ---- */

/* Whether the module that `pending` names by its id has the name of the other one. */
static bool has_name(struct pw_module_table *table, const struct pw_pending *pending,
                     const struct pw_pending *named)
{
    struct pw_shard *shard;
    struct pw_module *module = pending->has_id && named->name_hash != 0
                                   ? pw_table_lock_module(table, &pending->id, &shard)
                                   : NULL;
    bool has = false;
    if (module != NULL) {
        has = strcmp(pw_module_name(module), pw_pending_name(named)) == 0;
        pw_mutex_unlock(&shard->mutex);
    }
    return has;
}

/* Hashes first: there may be many, and their names lie elsewhere. */
static bool touch_the_same(struct pw_module_table *table, const struct pw_pending *a,
                           const struct pw_pending *b)
{
    if (a->held != NULL) {
        return pw_pending_waits_in(table, a->held, b);
    }
    if (b->held != NULL) {
        return pw_pending_waits_in(table, b->held, a);
    }
    return (a->has_id && b->has_id && pywatt_uuid_equal(&a->id, &b->id)) ||
           (a->name_hash != 0 && a->name_hash == b->name_hash &&
            strcmp(pw_pending_name(a), pw_pending_name(b)) == 0) ||
           has_name(table, a, b) || has_name(table, b, a);
}

/* The last request before `link` in the session's order that is not done and touches the same. */
struct pw_pending *pw_pending_earlier(const struct pw_pending *pending, struct pw_list *link)
{
    struct pw_session *session = pending->session;
    struct pw_module_table *table = session->worker->server->table;
    for (link = link->prev; link != &session->replies.slots; link = link->prev) {
        struct pw_pending *other = pw_pending_of_slot(link);
        if (!other->slot.ready && touch_the_same(table, other, pending)) {
            return other;
        }
    }
    return NULL;
}

/* ---- Ends ---- */

static struct pw_response response_of(const struct pw_pending *pending)
{
    const struct pw_task *task = &pending->task;
    if (task->status != PYWATT_OK) {
        return pw_answer_bad(&pending->answer, task->status, task->text, PYWATT_HEALTHY);
    }
    struct pw_response response = pw_answer_good(&pending->answer);
    response.registration = task->registration;
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
static void bind_to_session(const struct pw_pending *pending)
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
                         session->worker->lease_ns);
    }
}

/* Its task is done, and its reply goes into its slot. It may be gone afterwards. */
static void end_in_slot(struct pw_pending *pending)
{
    struct pw_session *session = pending->session;
    count_task(session->worker, &pending->task);
    bind_to_session(pending);
    if (pw_session_is_closed(session)) {
        pw_pending_free(pending);
        pw_session_task_left(session);
        return;
    }
    const struct pw_response response = response_of(pending);
    pw_session_fill_slot(session, &pending->slot, pending->answer.codec, &response);
}

static void serve_beat_in_slot(struct pw_pending *pending)
{
    struct pw_session *session = pending->session;
    const struct pw_task *task = &pending->task;
    const struct pw_beat beat = {
        .module_id = &pending->id,
        .token = {task->token.text, task->has_token ? sizeof(task->token.text) : 0},
        .generation = pending->generation,
        .health = pending->health,
        .details = pending->details,
        .grant = pw_conn_grant(session->conn),
        .binding = &session->binding,
        .now_ns = session->worker->lease_ns,
    };
    char text[PW_BEAT_TEXT_SIZE];
    struct pw_response response;
    pw_dispatch_beat(session, &pending->answer, &beat, text, &response);
    pw_session_fill_slot(session, &pending->slot, pending->answer.codec, &response);
}

/* ---- Beginnings ---- */

static void on_done(struct pw_task *task)
{
    struct pw_pending *pending = PW_CONTAINER_OF(task, struct pw_pending, task);
    struct pw_worker *worker = pending->session->worker;
    PW_HINT_RELEASE(&pending->handoff);
    if (atomic_exchange(&pending->handoff, PW_HANDOFF_DONE) == PW_HANDOFF_PARKED) {
        PW_HINT_ACQUIRE(&pending->handoff);
        pw_worker_post(worker, &pending->mail);
    }
}

/* True if the task is done already; else it comes back by mail. */
static bool start_task(struct pw_pending *pending)
{
    pending->begun = true;
    pw_registrar_start(pending->session->worker->server->registrar, &pending->task);
    PW_HINT_RELEASE(&pending->handoff);
    const bool done = atomic_exchange(&pending->handoff, PW_HANDOFF_PARKED) == PW_HANDOFF_DONE;
    if (done) {
        PW_HINT_ACQUIRE(&pending->handoff);
    }
    return done;
}

void pw_pending_wait_for(struct pw_pending *before, struct pw_pending *pending)
{
    pw_list_append(&before->waiters, &pending->turn);
}

/*
 * Those that waited for one that is done go on, or wait for the next one before them; and those
 * that waited for them. What is in `turns` is freed and taken out if the session closes meanwhile.
 */
static void go_on(struct pw_list *turns)
{
    struct pw_list *link;
    while ((link = pw_list_pop(turns)) != NULL) {
        struct pw_pending *pending = PW_CONTAINER_OF(link, struct pw_pending, turn);
        struct pw_pending *before = pw_pending_earlier(pending, &pending->slot.link);
        if (before != NULL) {
            pw_pending_wait_for(before, pending);
        } else if (pending->answer.operation == PW_OP_HEARTBEAT) {
            pending->begun = true;
            pw_list_splice(turns, &pending->waiters);
            serve_beat_in_slot(pending);
        } else if (pending->held != NULL) {
            pending->begun = true;
            pw_list_splice(turns, &pending->waiters);
            pw_pending_serve_batch(pending);
        } else if (start_task(pending)) {
            pw_list_splice(turns, &pending->waiters);
            end_in_slot(pending);
        }
    }
}

/* A task that took longer is done. */
static void deliver_done(struct pw_worker *worker, struct pw_mail *mail)
{
    struct pw_pending *pending = PW_CONTAINER_OF(mail, struct pw_pending, mail);
    struct pw_list turns;
    (void)worker;
    pw_list_init(&turns);
    pw_list_splice(&turns, &pending->waiters);
    end_in_slot(pending);
    go_on(&turns);
}

static void begin(struct pw_pending *pending)
{
    struct pw_session *session = pending->session;
    struct pw_pending *before =
        session->tasks == 0 ? NULL : pw_pending_earlier(pending, &session->replies.slots);
    if (before != NULL) {
        pw_session_open_slot(session, &pending->slot, pending->size);
        pw_pending_wait_for(before, pending);
    } else if (!start_task(pending)) {
        /* Whenever it ends, the mail is delivered by this thread, after this. */
        pw_session_open_slot(session, &pending->slot, pending->size);
    } else {
        count_task(session->worker, &pending->task);
        bind_to_session(pending);
        const struct pw_response response = response_of(pending);
        pw_session_reply(session, pending->answer.codec, &response);
        pw_pending_free(pending);
    }
}

/* ---- Requests ---- */

/* Where the module is told to find the orchestrator. */
static void own_address(struct pw_session *session, struct pw_address *out)
{
    const struct pw_server *server = session->worker->server;
    const struct pywatt_orchestrator_options *options = &session->worker->config->options;
    *out = (struct pw_address){.port = 0};
    pw_conn_local_address(session->conn, out);
    if (out->host[0] == '\0') {
        /* No address of the network: the module is on this machine. */
        *out = server->local_address;
    }
    if (options->advertise_host != NULL) {
        snprintf(out->host, sizeof(out->host), "%s", options->advertise_host);
    }
    if (options->advertise_port != 0) {
        out->port = options->advertise_port;
    }
}

/* The objects of the request become the task's. */
static bool fill_task(struct pw_pending *pending, struct pw_request *request)
{
    struct pw_task *task = &pending->task;
    task->id = pending->id;
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
    case PW_OP_HEARTBEAT:
    case PW_OP_HEARTBEAT_BATCH: break;
    }
    task->kind = PW_TASK_REGISTER;
    task->has_id = pending->has_id;
    own_address(pending->session, &task->address);
    task->info = pw_shared_info_new(request->info);
    if (task->info == NULL) {
        return false;
    }
    request->info = NULL;
    const char *name = pw_pending_name(pending);
    pending->name_hash = pw_hash_bytes(name, strlen(name)) | 1;
    return true;
}

void pw_pending_refuse(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request, struct pw_pending *pending)
{
    const struct pw_answer answer = pw_answer_to(codec, request);
    if (pending != NULL) {
        pw_pending_free(pending);
    }
    pw_dispatch_refuse(session, &answer, PYWATT_NO_MEMORY,
                       "The orchestrator is out of memory, try again later", request->health);
}

/* Who may not have the name at all takes no place in the line. */
static bool refuse_ungranted(struct pw_session *session, const struct pw_codec_ops *codec,
                             const struct pw_request *request)
{
    const struct pw_answer answer = pw_answer_to(codec, request);
    if (pw_grant_allows(pw_conn_grant(session->conn), pywatt_module_info_name(request->info))) {
        return false;
    }
    pw_dispatch_refuse(session, &answer, PYWATT_REJECTED, PW_UNGRANTED_TEXT, request->health);
    return true;
}

void pw_pending_change(struct pw_session *session, const struct pw_codec_ops *codec,
                       struct pw_request *request, size_t size)
{
    if (request->operation == PW_OP_REGISTER && refuse_ungranted(session, codec, request)) {
        return;
    }
    if (request->operation == PW_OP_REGISTER && pw_admission_defers(session, codec, request)) {
        return;
    }
    struct pw_pending *pending = pw_pending_new(session, codec, request, size);
    if (pending == NULL || !fill_task(pending, request)) {
        pw_pending_refuse(session, codec, request, pending);
        return;
    }
    atomic_init(&pending->handoff, PW_HANDOFF_STARTED);
    PW_HINT_ATOMIC(pending->handoff);
    pw_list_init(&pending->mail.link);
    pending->mail.deliver = deliver_done;
    pending->task.done = on_done;
    begin(pending);
}

bool pw_pending_beat(struct pw_session *session, const struct pw_codec_ops *codec,
                     const struct pw_request *request, size_t size)
{
    const struct pw_pending named = {.session = session, .has_id = true, .id = request->module_id};
    struct pw_pending *before = pw_pending_earlier(&named, &session->replies.slots);
    if (before == NULL) {
        return false;
    }
    struct pw_pending *pending = pw_pending_new(session, codec, request, size);
    if (pending == NULL || pw_string_map_copy(request->details, &pending->details) != PYWATT_OK) {
        pw_pending_refuse(session, codec, request, pending);
        return true;
    }
    pending->generation = request->generation;
    pending->health = request->health;
    pw_session_open_slot(session, &pending->slot, size);
    pw_pending_wait_for(before, pending);
    return true;
}
