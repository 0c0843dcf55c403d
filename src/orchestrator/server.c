/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * server.c - listens, accepts, and starts and stops the workers. Accepting runs on worker 0; all
 * else on the application's thread, before the workers start and after they ended.
 */
#include "orchestrator/server.h"

#include "base/error.h"
#include "base/tool_hints.h"
#include "orchestrator/crowd.h"
#include "orchestrator/session.h"
#include "transport/endpoint.h"
#include "transport/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ACCEPTS_AT_ONCE = 64,
    /* Of each listener before a pass: as many as the kernel's queue ever holds. */
    ACCEPTS_BEFORE_A_PASS = 4096,
    /* Descriptors or memory are out: peers wait in the kernel's queue for so long. */
    ACCEPT_PAUSE_MS = 100
};

static void deliver_pass(struct pw_worker *worker, struct pw_mail *mail);

enum pywatt_status pw_server_init(struct pw_server *server, struct pw_config *config,
                                  struct pw_module_table *table, struct pw_lease *lease,
                                  struct pw_registrar *registrar)
{
    const struct pywatt_orchestrator_options *options = &config->options;
    *server = (struct pw_server){
        .workers_wanted = options->workers,
        .tls = options->tls,
        .table = table,
        .lease = lease,
        .registrar = registrar,
        .local_address = {.host = "127.0.0.1"},
    };
    server->pass_mail.deliver = deliver_pass;
    pw_list_init(&server->pass_mail.link);
    atomic_init(&server->connections, 0);
    atomic_init(&server->connections_accepted, 0);
    atomic_init(&server->connections_refused, 0);
    atomic_init(&server->connections_unproven, 0);
    atomic_init(&server->peers_refused, 0);
    atomic_init(&server->counting, 0);
    PW_HINT_ATOMIC(server->counting);
    PW_HINT_ATOMIC(server->connections);
    PW_HINT_ATOMIC(server->connections_accepted);
    PW_HINT_ATOMIC(server->connections_refused);
    PW_HINT_ATOMIC(server->connections_unproven);
    PW_HINT_ATOMIC(server->peers_refused);
    PW_HINT_ATOMIC(server->log_limit);
    PW_HINT_ATOMIC(server->own_log_limit);
    PW_HINT_ATOMIC(server->pace_log_limit);
    PW_HINT_ATOMIC(server->admission_log_limit);
    /* No more places than there may be modules. */
    if (pw_pace_init(&server->pace, options->registrations_per_s, options->max_modules) !=
        PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    enum pywatt_status status = pw_peers_init(&server->peers, options);
    if (status == PYWATT_OK) {
        status = pw_in_force_init(&server->in_force, config);
        if (status == PYWATT_OK) {
            return PYWATT_OK;
        }
        pw_peers_destroy(&server->peers);
    }
    pw_pace_destroy(&server->pace);
    return status;
}

/* ---- Listening ---- */

/* Where a peer on this machine finds the first TCP listener. `url` is that of the next listener. */
static void note_address(struct pw_server *server, const char *url)
{
    struct pw_address *address = &server->local_address;
    struct pw_endpoint bound;
    if (address->port != 0 || strncmp(url, "tcp:", 4) != 0 ||
        pw_endpoint_parse(url, true, &bound, NULL) != PYWATT_OK) {
        return;
    }
    address->port = bound.port;
    if (strcmp(bound.host, "::") == 0 || strcmp(bound.host, "0.0.0.0") == 0 ||
        bound.host[0] == '\0') {
        return; /* all addresses: the loopback's is one of them */
    }
    snprintf(address->host, sizeof(address->host), "%s", bound.host);
}

enum pywatt_status pw_server_listen(struct pw_server *server, const char *url, char *bound_url,
                                    size_t bound_size, struct pywatt_error *error)
{
    if (server->listener_count == PW_LISTENERS_MAX) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "%s: there are %d listeners, which is the most", url, PW_LISTENERS_MAX);
    }
    struct pw_endpoint endpoint;
    enum pywatt_status status = pw_endpoint_parse(url, true, &endpoint, error);
    if (status == PYWATT_OK) {
        status = pw_endpoint_secure(&endpoint, true, server->tls, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    struct pw_server_listener *listener = &server->listeners[server->listener_count];
    listener->source.kind = PW_SOURCE_LISTENER;
    const struct pw_config *config = pw_in_force_config(&server->in_force);
    endpoint.user_timeout_ms = config->options.tcp_user_timeout_ms;
    pw_config_release(config);
    status = pw_transport_listen(&endpoint, &listener->listener, error);
    if (status != PYWATT_OK) {
        listener->listener = NULL;
        return status;
    }
    server->listener_count++;
    char bound[PW_ENDPOINT_URL_MAX];
    pw_listener_url(listener->listener, bound, sizeof(bound));
    listener->network = strncmp(bound, "tcp:", 4) == 0 || strncmp(bound, "tls:", 4) == 0;
    note_address(server, bound);
    if (bound_url != NULL && bound_size > 0) {
        snprintf(bound_url, bound_size, "%s", bound);
    }
    return PYWATT_OK;
}

void pw_server_close_listeners(struct pw_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].listener != NULL) {
            if (server->worker_count > 0) {
                /* Closing does not do it while a child that was forked holds the socket. */
                pw_worker_unwatch(&server->workers[0],
                                  pw_listener_fd(server->listeners[i].listener));
            }
            pw_listener_destroy(server->listeners[i].listener);
            server->listeners[i].listener = NULL;
        }
    }
}

/* ---- Accepting: worker 0 ---- */

static bool watch_listeners(struct pw_server *server, int operation, uint32_t events)
{
    bool all = true;
    for (size_t i = 0; i < server->listener_count; i++) {
        struct pw_server_listener *listener = &server->listeners[i];
        if (listener->listener != NULL &&
            !pw_worker_watch(&server->workers[0], operation, pw_listener_fd(listener->listener),
                             events, &listener->source)) {
            all = false;
        }
    }
    return all;
}

static void pause_accepting(struct pw_server *server, const struct pywatt_error *error)
{
    struct pw_worker *worker = &server->workers[0];
    uint32_t suppressed = 0;
    if (pw_log_limit_pass(&server->own_log_limit, PW_LOG_LINES, worker->now_ns, &suppressed)) {
        pw_log(PYWATT_LOG_ERROR, "no connection can be taken for now: %s (%u such lines left out)",
               error->text, suppressed);
    }
    watch_listeners(server, EPOLL_CTL_MOD, 0);
    pw_wheel_set(&worker->wheel, &worker->accept_timer,
                 worker->now_ns / PW_NS_PER_MS + ACCEPT_PAUSE_MS);
}

void pw_server_resume_accepting(struct pw_server *server)
{
    watch_listeners(server, EPOLL_CTL_MOD, EPOLLIN);
}

/* NULL, or why the connection cannot stay. */
static const char *hand_over(struct pw_server *server, struct pw_conn *conn,
                             const struct pw_network *from)
{
    const char *why = pw_crowd_refuses(server, &server->workers[0].config->options);
    if (why != NULL) {
        return why;
    }
    struct pw_peer *peer = NULL;
    const enum pywatt_status status =
        from == NULL ? PYWATT_OK : pw_peers_enter(&server->peers, from, &peer, &why);
    if (status == PYWATT_LIMIT) {
        atomic_fetch_add_explicit(&server->peers_refused, 1, memory_order_relaxed);
        return why;
    }
    struct pw_worker *worker = &server->workers[server->next_worker % server->worker_count];
    struct pw_session *session = status == PYWATT_OK ? pw_session_new(worker, conn, peer) : NULL;
    if (session == NULL) {
        pw_peers_leave(&server->peers, peer, false, server->workers[0].now_ns);
        return "memory is out";
    }
    server->next_worker++;
    atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    pw_worker_post(worker, &session->arrival);
    return NULL;
}

static void turn_away(struct pw_server *server, struct pw_conn *conn, const char *why)
{
    atomic_fetch_add_explicit(&server->connections_refused, 1, memory_order_relaxed);
    uint32_t suppressed = 0;
    if (pw_log_limit_pass(&server->log_limit, PW_LOG_LINES, server->workers[0].now_ns,
                          &suppressed)) {
        char peer[PW_ENDPOINT_URL_MAX];
        pw_conn_peer_name(conn, peer, sizeof(peer));
        pw_log(PYWATT_LOG_WARNING, "%s: turned away: %s (%u such lines left out)", peer, why,
               suppressed);
    }
    pw_conn_destroy(conn);
}

static void take(struct pw_server *server, struct pw_conn *conn, bool network)
{
    struct pw_network from;
    if (network) {
        char name[PW_ENDPOINT_URL_MAX];
        pw_conn_peer_name(conn, name, sizeof(name));
        (void)pw_address_network(name, &from);
    }
    const char *why_not = hand_over(server, conn, network ? &from : NULL);
    if (why_not != NULL) {
        turn_away(server, conn, why_not);
    }
}

static void accept_some(struct pw_server *server, const struct pw_server_listener *listener,
                        int at_most)
{
    for (int i = 0; i < at_most && listener->listener != NULL; i++) {
        struct pw_conn *conn = NULL;
        struct pywatt_error error = {.text = ""};
        switch (pw_listener_accept(listener->listener, &conn, &error)) {
        case PW_IO_OK: take(server, conn, listener->network); break;
        case PW_IO_ERROR: pause_accepting(server, &error); return;
        case PW_IO_AGAIN:
        case PW_IO_EOF: return;
        }
    }
}

void pw_server_accept(struct pw_server *server, struct pw_source *source)
{
    accept_some(server, PW_CONTAINER_OF(source, struct pw_server_listener, source),
                ACCEPTS_AT_ONCE);
}

/*
 * Whoever connects is mailed to its worker before the worker is asked for its pass, so the pass
 * sees it.
 */
static void deliver_pass(struct pw_worker *worker, struct pw_mail *mail)
{
    struct pw_server *server = worker->server;
    (void)mail;
    for (size_t i = 0; i < server->listener_count && !worker->ended; i++) {
        accept_some(server, &server->listeners[i], ACCEPTS_BEFORE_A_PASS);
    }
    for (unsigned i = 0; i < server->worker_count; i++) {
        pw_worker_ask_pass(&server->workers[i]);
    }
}

/* ---- Start and stop ---- */

static void destroy_workers(struct pw_server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        pw_worker_destroy(&server->workers[i]);
    }
    free(server->workers);
    server->workers = NULL;
    server->worker_count = 0;
}

static enum pywatt_status make_workers(struct pw_server *server)
{
    const unsigned count = server->workers_wanted;
    /* Their counters stand on cache lines of their own. */
    server->workers = aligned_alloc(_Alignof(struct pw_worker), count * sizeof(*server->workers));
    if (server->workers == NULL) {
        return PYWATT_NO_MEMORY;
    }
    for (; server->worker_count < count; server->worker_count++) {
        const enum pywatt_status status =
            pw_worker_init(&server->workers[server->worker_count], server, server->worker_count);
        if (status != PYWATT_OK) {
            return status;
        }
    }
    return watch_listeners(server, EPOLL_CTL_ADD, EPOLLIN) ? PYWATT_OK : PYWATT_IO;
}

static void stop_workers(struct pw_server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->workers[i].running) {
            pw_worker_stop(&server->workers[i]);
        }
    }
    for (unsigned i = 0; i < server->worker_count; i++) {
        pw_worker_join(&server->workers[i]);
    }
    /* Connections that were handed to a worker whose loop was over. */
    for (unsigned i = 0; i < server->worker_count; i++) {
        pw_worker_drain(&server->workers[i]);
    }
}

enum pywatt_status pw_server_start(struct pw_server *server, struct pywatt_error *error)
{
    /* Before a worker that ran for a moment has closed it. */
    char url[PW_ENDPOINT_URL_MAX] = "no listener";
    if (server->listener_count > 0) {
        pw_listener_url(server->listeners[0].listener, url, sizeof(url));
    }
    enum pywatt_status status = make_workers(server);
    for (unsigned i = 0; i < server->worker_count && status == PYWATT_OK; i++) {
        status = pw_worker_start(&server->workers[i]);
    }
    if (status != PYWATT_OK) {
        stop_workers(server);
        return pw_error_set(error, status, "%s: the %u workers that serve it cannot be started: %s",
                            url, server->workers_wanted,
                            status == PYWATT_IO ? "no more file descriptors"
                                                : "out of memory or threads");
    }
    atomic_store_explicit(&server->counting, server->worker_count, memory_order_release);
    pw_in_force_tell(server);
    return PYWATT_OK;
}

void pw_server_stop(struct pw_server *server)
{
    stop_workers(server);
    pw_server_close_listeners(server);
}

void pw_server_destroy(struct pw_server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        pw_worker_drain(&server->workers[i]);
    }
    pw_server_close_listeners(server);
    destroy_workers(server);
    pw_peers_destroy(&server->peers);
    pw_pace_destroy(&server->pace);
    pw_in_force_destroy(&server->in_force);
}

unsigned pw_server_ask_pass(struct pw_server *server)
{
    pw_worker_post(&server->workers[0], &server->pass_mail);
    return server->worker_count;
}

void pw_server_add_stats(struct pw_server *server, struct pywatt_orchestrator_stats *sum)
{
    sum->connections += atomic_load_explicit(&server->connections, memory_order_relaxed);
    sum->connections_accepted +=
        atomic_load_explicit(&server->connections_accepted, memory_order_relaxed);
    sum->connections_refused +=
        atomic_load_explicit(&server->connections_refused, memory_order_relaxed);
    sum->connections_unproven +=
        atomic_load_explicit(&server->connections_unproven, memory_order_relaxed);
    sum->peers_refused += atomic_load_explicit(&server->peers_refused, memory_order_relaxed);
    const unsigned count = atomic_load_explicit(&server->counting, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        pw_counters_add_to(&server->workers[i].counters, sum);
    }
}
