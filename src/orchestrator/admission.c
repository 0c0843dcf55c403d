/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * admission.c - whether a registration may come in at all: its join token, its name, how many its
 * address has sent; and then who it is for the pace, and what it is told. On the worker's thread; the
 * pace, the join tokens and the addresses have locks of their own, and to see whether a token is the
 * module's takes that of its shard.
 *
 * A worker that has told somebody to come again looks after the places of those who never did, until
 * there are none any more: nobody else may come who would do it.
 */
#include "orchestrator/admission.h"

#include "orchestrator/dispatch.h"
#include "orchestrator/server.h"

#include <stdio.h>
#include <string.h>

enum {
    TICK_MS = 1000
};

/* 0 if it comes from this machine, where the system decides who may connect. */
static uint64_t hash_of_peer(const struct pw_session *session)
{
    struct pw_address own = {.port = 0};
    char name[PW_ENDPOINT_URL_MAX];
    pw_conn_local_address(session->conn, &own);
    if (own.host[0] == '\0') {
        return 0;
    }
    struct pw_network from;
    pw_conn_peer_name(session->conn, name, sizeof(name));
    (void)pw_address_network(name, &from);
    return pw_hash_bytes(&from, sizeof(from)) | 1;
}

static bool is_proven(struct pw_session *session, const struct pw_request *request)
{
    const struct pywatt_uuid *id = pywatt_module_info_id(request->info);
    struct pw_shard *shard;
    struct pw_module *module =
        id == NULL || request->token.len == 0
            ? NULL
            : pw_table_lock_module(session->worker->server->table, id, &shard);
    bool proven = false;
    if (module != NULL) {
        proven = pw_module_check_token(module, request->token) == PYWATT_OK;
        pw_mutex_unlock(&shard->mutex);
    }
    return proven;
}

/*
 * A place is known again by the name, with what a stranger has not: the token that the module shows,
 * whoever gave it, or else the address that it comes from.
 */
static struct pw_pace_comer comer_of(struct pw_session *session, const struct pw_request *request)
{
    struct pw_pace_comer comer = {.peer = hash_of_peer(session),
                                  .proven = is_proven(session, request)};
    if (comer.proven) {
        comer.who = pw_hash_uuid(pywatt_module_info_id(request->info));
        return comer;
    }
    const char *name = pywatt_module_info_name(request->info);
    const struct pw_str token = request->token;
    const uint64_t own = token.len > 0 ? pw_hash_bytes(token.data, token.len) : comer.peer;
    comer.who = pw_hash_u64(pw_hash_bytes(name, strlen(name)) ^ pw_hash_u64(own));
    return comer;
}

static void log_deferral(struct pw_worker *worker, uint32_t wait_ms)
{
    struct pw_server *server = worker->server;
    uint32_t more;
    if (pw_log_limit_pass(&server->pace_log_limit, 1, worker->now_ns, &more)) {
        pw_log(PYWATT_LOG_WARNING,
               "more than %u registrations a second: one is to come again in %u ms, and %u others "
               "were told such a time lately",
               worker->config->options.registrations_per_s, wait_ms, more);
    }
}

static void ask_to_come_again(struct pw_session *session, const struct pw_codec_ops *codec,
                              const struct pw_request *request, const char *why, uint32_t wait_ms)
{
    struct pw_worker *worker = session->worker;
    char text[128];
    snprintf(text, sizeof(text), "%s: come again in %u ms", why, wait_ms);
    const struct pw_answer answer = pw_answer_to(codec, request);
    struct pw_response response = pw_answer_bad(&answer, PYWATT_UNAVAILABLE, text, PYWATT_HEALTHY);
    response.retry_after_ms = wait_ms;
    session->excused_until_ns = pw_deadline_after_ms(worker->now_ns, wait_ms);
    pw_count(&worker->counters.requests_refused, 1);
    pw_session_reply(session, codec, &response);
}

static void look_again(struct pw_worker *worker, uint64_t at_ns)
{
    const uint64_t earliest_ms = worker->now_ns / PW_NS_PER_MS + TICK_MS;
    const uint64_t at_ms = at_ns / PW_NS_PER_MS + 1;
    pw_wheel_set(&worker->wheel, &worker->pace_timer, at_ms > earliest_ms ? at_ms : earliest_ms);
}

/* If it is too early for this registration: refuses it, says when to come again, and true. */
static bool defers(struct pw_session *session, const struct pw_codec_ops *codec,
                   const struct pw_request *request)
{
    struct pw_worker *worker = session->worker;
    struct pw_pace *pace = &worker->server->pace;
    if (!request->can_wait) {
        pw_pace_pass(pace, worker->now_ns);
        return false;
    }
    if (pw_pace_is_open(pace, worker->now_ns)) {
        return false;
    }
    const struct pw_pace_comer comer = comer_of(session, request);
    const uint32_t wait_ms = pw_pace_enter(pace, &comer, worker->now_ns);
    if (wait_ms == 0) {
        return false;
    }
    log_deferral(worker, wait_ms);
    pw_count(&worker->counters.registrations_deferred, 1);
    ask_to_come_again(session, codec, request, "The orchestrator is busy", wait_ms);
    if (!pw_list_linked(&worker->pace_timer.link)) {
        look_again(worker, worker->now_ns);
    }
    return true;
}

/* ---- Whether it may come in at all ---- */

static void log_refusal(struct pw_session *session, const char *why)
{
    struct pw_worker *worker = session->worker;
    uint32_t more;
    if (pw_log_limit_pass(&worker->server->admission_log_limit, PW_LOG_LINES, worker->now_ns,
                          &more)) {
        char peer[PW_ENDPOINT_URL_MAX];
        pw_conn_peer_name(session->conn, peer, sizeof(peer));
        pw_log(PYWATT_LOG_WARNING, "%s: a registration was refused: %s (%u such lines left out)",
               peer, why, more);
    }
}

static bool has_join_token(struct pw_session *session, const struct pw_codec_ops *codec,
                           const struct pw_request *request, const struct pw_join_shown *shown)
{
    struct pw_worker *worker = session->worker;
    const struct pw_join_set *tokens = &worker->config->join_tokens;
    if (!pw_join_set_wanted(tokens)) {
        return true;
    }
    const struct pw_answer answer = pw_answer_to(codec, request);
    if (shown->status != PYWATT_OK) {
        pw_dispatch_refuse(session, &answer, PYWATT_NO_MEMORY,
                           "The orchestrator is out of memory, try again later", PYWATT_HEALTHY);
        return false;
    }
    if (pw_join_set_accept(tokens, shown)) {
        pw_session_prove(session);
        return true;
    }
    pw_count(&worker->counters.join_tokens_refused, 1);
    log_refusal(session, shown->any ? "its join token is not in force" : "it has no join token");
    pw_dispatch_refuse(session, &answer, PYWATT_REJECTED,
                       shown->any ? "The join token in the metadata (" PW_METADATA_JOIN_TOKEN
                                    ") is not in force here: ask whoever runs the orchestrator"
                                  : "A registration here needs a join token in its metadata "
                                    "(" PW_METADATA_JOIN_TOKEN
                                    "): ask whoever runs the orchestrator",
                       PYWATT_HEALTHY);
    return false;
}

static bool has_granted_name(struct pw_session *session, const struct pw_codec_ops *codec,
                             const struct pw_request *request)
{
    const struct pw_answer answer = pw_answer_to(codec, request);
    if (pw_grant_allows(pw_conn_grant(session->conn), pywatt_module_info_name(request->info))) {
        return true;
    }
    pw_dispatch_refuse(session, &answer, PYWATT_REJECTED, PW_UNGRANTED_TEXT, PYWATT_HEALTHY);
    return false;
}

static bool has_allowed_name(struct pw_session *session, const struct pw_codec_ops *codec,
                             const struct pw_request *request)
{
    struct pw_worker *worker = session->worker;
    const char *name = pywatt_module_info_name(request->info);
    if (pw_grant_allows(worker->config->allow.names, name)) {
        return true;
    }
    const struct pw_answer answer = pw_answer_to(codec, request);
    pw_count(&worker->counters.names_refused, 1);
    log_refusal(session, "allow_names does not have its name");
    /* Without the name: peers look for words in the text, and it could have any of them. */
    pw_dispatch_refuse(session, &answer, PYWATT_REJECTED,
                       "The module's name is not among those that may register here",
                       PYWATT_HEALTHY);
    return false;
}

static bool comes_too_often(struct pw_session *session, const struct pw_codec_ops *codec,
                            const struct pw_request *request)
{
    struct pw_worker *worker = session->worker;
    const uint32_t wait_ms =
        pw_peers_register(&worker->server->peers, session->peer, worker->now_ns);
    if (wait_ms == 0) {
        return false;
    }
    pw_count(&worker->counters.registrations_throttled, 1);
    log_refusal(session, "its address sends more than registrations_per_s_per_peer");
    ask_to_come_again(session, codec, request, "Too many registrations come from this address",
                      wait_ms);
    return true;
}

bool pw_admission_admits(struct pw_session *session, const struct pw_codec_ops *codec,
                         struct pw_request *request)
{
    const struct pw_join_shown shown = pw_join_token_take(request->info);
    return has_granted_name(session, codec, request) &&
           has_join_token(session, codec, request, &shown) &&
           has_allowed_name(session, codec, request) && !comes_too_often(session, codec, request) &&
           !defers(session, codec, request);
}

void pw_admission_on_timer(struct pw_worker *worker)
{
    const uint64_t next_ns = pw_pace_tick(&worker->server->pace, worker->now_ns);
    if (next_ns != 0) {
        look_again(worker, next_ns);
    }
}
