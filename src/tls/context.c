/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * context.c - the public object: made, shared, reloaded. Any thread; its lock guards what context.h
 * says, and is not held while files are read.
 */
#include "tls/context.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/tool_hints.h"

#include <stdlib.h>
#include <string.h>

static void acquire(struct pywatt_tls *tls);
static void release(struct pywatt_tls *tls);

static const struct pw_tls_ops client_ops = {
    .listens = false,
    .connect = pw_tls_connect,
    .acquire = acquire,
    .release = release,
};

static const struct pw_tls_ops server_ops = {
    .listens = true,
    .listen = pw_tls_listen,
    .acquire = acquire,
    .release = release,
};

/* Its locks may be held for ever there, and its counts are the parent's. */
static bool is_in_child(const struct pywatt_tls *tls)
{
    return pw_fork_is_child(tls->process);
}

struct pw_tls *pw_tls_of(struct pywatt_tls *tls)
{
    return PW_CONTAINER_OF(tls, struct pw_tls, base);
}

/* ---- References ---------------------------------------------------------------------------- */

void pw_tls_context_acquire(struct pw_tls *tls)
{
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
}

static void destroy(struct pw_tls *tls)
{
    pw_tls_sessions_clear(&tls->sessions);
    SSL_CTX_free(tls->ssl_ctx);
    pw_mutex_destroy(&tls->lock);
    pw_mutex_destroy(&tls->change);
    pw_tls_options_clear(&tls->options);
    free(tls);
}

void pw_tls_context_release(struct pw_tls *tls)
{
    PW_HINT_RELEASE(&tls->references);
    if (atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&tls->references);
        destroy(tls);
    }
}

static void acquire(struct pywatt_tls *tls)
{
    pw_tls_context_acquire(pw_tls_of(tls));
}

static void release(struct pywatt_tls *tls)
{
    pw_tls_context_release(pw_tls_of(tls));
}

/* ---- Making one ---------------------------------------------------------------------------- */

static void init_counts(struct pw_tls *tls)
{
    atomic_init(&tls->references, 1);
    atomic_init(&tls->handshakes, 0);
    atomic_init(&tls->resumed, 0);
    atomic_init(&tls->failed, 0);
    atomic_init(&tls->paced, 0);
    PW_HINT_ATOMIC(tls->references);
    PW_HINT_ATOMIC(tls->handshakes);
    PW_HINT_ATOMIC(tls->resumed);
    PW_HINT_ATOMIC(tls->failed);
    PW_HINT_ATOMIC(tls->paced);
}

static enum pywatt_status init_locks(struct pw_tls *tls)
{
    if (pw_mutex_init(&tls->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_mutex_init(&tls->change) != PYWATT_OK) {
        pw_mutex_destroy(&tls->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

static enum pywatt_status make(const struct pywatt_tls_options *options, bool listens,
                               struct pywatt_tls **out, struct pywatt_error *error)
{
    if (out == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "TLS: out is NULL");
    }
    /* Its own end at exit would pull the ground from under threads that still run. */
    if (pw_fork_watch() != PYWATT_OK || OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) != 1) {
        return pw_error_no_memory(error);
    }
    struct pw_tls *const tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return pw_error_no_memory(error);
    }
    tls->base.ops = listens ? &server_ops : &client_ops;
    tls->base.process = atomic_load_explicit(&pw_fork_process, memory_order_relaxed);
    tls->listens = listens;
    init_counts(tls);
    enum pywatt_status status = pw_tls_options_read(options, listens, &tls->options, error);
    if (status != PYWATT_OK) {
        free(tls);
        return status;
    }
    tls->server_name = tls->options.server_name;
    atomic_init(&tls->handshake_timeout_ms, tls->options.handshake_timeout_ms);
    PW_HINT_ATOMIC(tls->handshake_timeout_ms);
    pw_tls_pace_init(&tls->pace, tls->options.handshakes_per_s);
    status = pw_tls_read_files(&tls->options, listens, &tls->ssl_ctx, error);
    if (status == PYWATT_OK && init_locks(tls) != PYWATT_OK) {
        status = pw_error_no_memory(error);
        SSL_CTX_free(tls->ssl_ctx);
    }
    if (status != PYWATT_OK) {
        pw_tls_options_clear(&tls->options);
        free(tls);
        return status;
    }
    *out = &tls->base;
    return PYWATT_OK;
}

enum pywatt_status pywatt_tls_client_new(const struct pywatt_tls_options *options,
                                         struct pywatt_tls **out, struct pywatt_error *error)
{
    return make(options, false, out, error);
}

enum pywatt_status pywatt_tls_server_new(const struct pywatt_tls_options *options,
                                         struct pywatt_tls **out, struct pywatt_error *error)
{
    return make(options, true, out, error);
}

/* ---- Changing it ---------------------------------------------------------------------------- */

static void put_in_force(struct pw_tls *tls, SSL_CTX *fresh)
{
    pw_mutex_lock(&tls->lock);
    SSL_CTX *const old = tls->ssl_ctx;
    tls->ssl_ctx = fresh;
    pw_tls_sessions_clear(&tls->sessions);
    pw_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
}

enum pywatt_status pywatt_tls_reload(struct pywatt_tls *tls, struct pywatt_error *error)
{
    if (tls == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "TLS: tls is NULL");
    }
    if (is_in_child(tls)) {
        return pw_fork_refuse("TLS object", error);
    }
    struct pw_tls *const self = pw_tls_of(tls);
    SSL_CTX *fresh = NULL;
    pw_mutex_lock(&self->change);
    const enum pywatt_status status =
        pw_tls_read_files(&self->options, self->listens, &fresh, error);
    if (status == PYWATT_OK) {
        put_in_force(self, fresh);
    }
    pw_mutex_unlock(&self->change);
    return status;
}

/* `given` becomes the object's own. */
static void take_options_locked(struct pw_tls *tls, const struct pywatt_tls_options *given)
{
    const bool other_pace = given->handshakes_per_s != tls->options.handshakes_per_s;
    pw_tls_options_clear(&tls->options);
    tls->options = *given;
    atomic_store_explicit(&tls->handshake_timeout_ms, given->handshake_timeout_ms,
                          memory_order_relaxed);
    if (other_pace) {
        pw_mutex_lock(&tls->lock);
        pw_tls_pace_init(&tls->pace, given->handshakes_per_s);
        pw_mutex_unlock(&tls->lock);
    }
}

enum pywatt_status pywatt_tls_reconfigure(struct pywatt_tls *tls,
                                          const struct pywatt_tls_options *options,
                                          struct pywatt_error *error)
{
    if (tls == NULL || !pw_tls_of(tls)->listens) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "TLS: %s",
                            tls == NULL ? "tls is NULL" : "the options of a client do not change");
    }
    if (is_in_child(tls)) {
        return pw_fork_refuse("TLS object", error);
    }
    struct pw_tls *const self = pw_tls_of(tls);
    struct pywatt_tls_options given;
    SSL_CTX *fresh = NULL;
    enum pywatt_status status = pw_tls_options_read(options, true, &given, error);
    if (status != PYWATT_OK) {
        return status;
    }
    pw_mutex_lock(&self->change);
    status = pw_tls_read_files(&given, true, &fresh, error);
    if (status == PYWATT_OK) {
        put_in_force(self, fresh);
        take_options_locked(self, &given);
    } else {
        pw_tls_options_clear(&given);
    }
    pw_mutex_unlock(&self->change);
    return status;
}

void pywatt_tls_free(struct pywatt_tls *tls)
{
    if (tls != NULL && !is_in_child(tls)) {
        release(tls);
    }
}

enum pywatt_status pywatt_tls_get_stats(struct pywatt_tls *tls, struct pywatt_tls_stats *stats)
{
    if (tls == NULL || stats == NULL || stats->size < sizeof(stats->size)) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (is_in_child(tls)) {
        return PYWATT_FORKED;
    }
    const struct pw_tls *const self = pw_tls_of(tls);
    const struct pywatt_tls_stats all = {
        .size = stats->size,
        .handshakes = atomic_load_explicit(&self->handshakes, memory_order_relaxed),
        .resumed = atomic_load_explicit(&self->resumed, memory_order_relaxed),
        .failed = atomic_load_explicit(&self->failed, memory_order_relaxed),
        .paced = atomic_load_explicit(&self->paced, memory_order_relaxed),
    };
    memcpy(stats, &all, stats->size < sizeof(all) ? stats->size : sizeof(all));
    return PYWATT_OK;
}

/* ---- For connections ----------------------------------------------------------------------- */

SSL *pw_tls_new_ssl(struct pw_tls *tls)
{
    pw_mutex_lock(&tls->lock);
    SSL_CTX *const ctx = SSL_CTX_up_ref(tls->ssl_ctx) == 1 ? tls->ssl_ctx : NULL;
    pw_mutex_unlock(&tls->lock);
    SSL *const ssl = ctx == NULL ? NULL : SSL_new(ctx);
    SSL_CTX_free(ctx);
    return ssl;
}
