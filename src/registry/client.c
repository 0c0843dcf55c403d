/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client.c - a client's life: open, enter and leave, threads, close, stop, free, stats. Any thread;
 * the client's lock guards who is inside and what runs, and is held for moments only.
 *
 * Whoever makes the last condition true (the handle given back, no call inside, no thread at work)
 * ends the channel; whoever drops the last reference frees the struct. So free from inside a
 * callback needs no thread that waits: what is still at work ends by itself, detached.
 */
#include "registry/client.h"

#include "base/error.h"
#include "base/random.h"
#include "base/tool_hints.h"

#include <stdlib.h>
#include <string.h>

/* What the calling thread is, if a client made it. */
static _Thread_local const struct pw_client_thread *this_thread;

enum pw_thread_role pw_client_role(const struct pywatt_client *client)
{
    return this_thread != NULL && this_thread->client == client ? this_thread->role
                                                                : PW_THREAD_OTHER;
}

bool pw_client_on_heartbeat_thread(void)
{
    return this_thread != NULL && this_thread->role == PW_THREAD_HEARTBEAT;
}

uint64_t pw_client_deadline_ns(const struct pywatt_client *client)
{
    return pw_deadline_after_ms(pw_clock_now_ns(client->clock), client->settings.timeout_ms);
}

enum pywatt_status pw_client_is_closed(struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_CLOSED, "the client is closed");
}

enum pywatt_status pw_client_refuses(const struct pywatt_client *client, struct pywatt_error *error)
{
    return pw_client_is_in_child(client) ? pw_fork_refuse("client", error)
                                         : pw_client_is_closed(error);
}

/* ---- References, and calls inside ----------------------------------------------------------- */

static void destroy(struct pywatt_client *client)
{
    pw_channel_free(client->channel);
    pw_heartbeat_destroy(&client->heartbeat);
    pw_recovery_destroy(&client->recovery);
    pw_dispatcher_destroy(&client->dispatcher);
    pw_registry_destroy(&client->registry);
    pw_batch_free_all(client->spare_batches);
    pw_settings_clear(&client->settings);
    pw_cond_destroy(&client->moved);
    pw_cond_destroy(&client->quiet);
    pw_mutex_destroy(&client->lock);
    free(client);
}

/* Gives back what costs descriptors; the rest stays for handles that outlive the client. */
static void release_resources(struct pywatt_client *client)
{
    pw_channel_free(client->channel);
    client->channel = NULL;
    pw_heartbeat_close(&client->heartbeat);
}

struct pywatt_client *pw_client_acquire(struct pywatt_client *client)
{
    atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
    return client;
}

void pw_client_release(struct pywatt_client *client)
{
    PW_HINT_RELEASE(&client->references);
    if (atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&client->references);
        destroy(client);
    }
}

/* Somebody has left, or the handle was given back: consumes the lock and one reference. */
static void depart_locked_and_unlock(struct pywatt_client *client)
{
    if (client->users == 0 && client->closed) {
        pw_cond_broadcast(&client->quiet);
        if (client->consumed && !client->released && client->live_threads == 0) {
            client->released = true;
            pw_mutex_unlock(&client->lock);
            release_resources(client);
            pw_mutex_lock(&client->lock);
        }
    }
    pw_mutex_unlock(&client->lock);
    pw_client_release(client);
}

bool pw_client_enter(struct pywatt_client *client)
{
    if (pw_client_is_in_child(client)) {
        return false;
    }
    pw_mutex_lock(&client->lock);
    const bool open = !client->closed;
    if (open) {
        client->users++;
        pw_client_acquire(client);
    }
    pw_mutex_unlock(&client->lock);
    return open;
}

void pw_client_leave(struct pywatt_client *client)
{
    pw_mutex_lock(&client->lock);
    client->users--;
    depart_locked_and_unlock(client);
}

/* ---- Threads -------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
    struct pw_client_thread *thread = arg;
    struct pywatt_client *client = thread->client;
    this_thread = thread;
    switch (thread->role) {
    case PW_THREAD_HEARTBEAT: pw_heartbeat_run(client); break;
    case PW_THREAD_RECOVERY: pw_recovery_run(client); break;
    case PW_THREAD_DISPATCHER: pw_dispatcher_run(&client->dispatcher); break;
    case PW_THREAD_OTHER: break;
    }
    this_thread = NULL;
    pw_mutex_lock(&client->lock);
    client->live_threads--;
    depart_locked_and_unlock(client);
    return NULL;
}

static enum pywatt_status start_thread_locked(struct pywatt_client *client,
                                              enum pw_thread_role role, const char *name)
{
    struct pw_client_thread *thread = &client->threads[role];
    if (thread->started) {
        return PYWATT_OK;
    }
    thread->client = client;
    thread->role = role;
    client->live_threads++;
    pw_client_acquire(client);
    const enum pywatt_status status = pw_thread_start(&thread->id, name, thread_main, thread);
    thread->started = status == PYWATT_OK;
    if (status != PYWATT_OK) {
        client->live_threads--;
        pw_client_release(client); /* not the last: the caller has one */
    }
    return status;
}

enum pywatt_status pw_client_start_threads(struct pywatt_client *client, struct pywatt_error *error)
{
    static const char *const names[PW_THREAD_ROLES] = {
        [PW_THREAD_HEARTBEAT] = "pywatt-beat",
        [PW_THREAD_RECOVERY] = "pywatt-recover",
        [PW_THREAD_DISPATCHER] = "pywatt-dispatch",
    };
    if (atomic_load_explicit(&client->threads_ready, memory_order_relaxed)) {
        return PYWATT_OK;
    }
    enum pywatt_status status = PYWATT_OK;
    pw_mutex_lock(&client->lock);
    if (client->closed) {
        status = PYWATT_CLOSED;
    }
    for (int role = 1; role < PW_THREAD_ROLES && status == PYWATT_OK; role++) {
        status = start_thread_locked(client, (enum pw_thread_role)role, names[role]);
    }
    if (status == PYWATT_OK) {
        atomic_store_explicit(&client->threads_ready, true, memory_order_relaxed);
    }
    pw_mutex_unlock(&client->lock);
    if (status == PYWATT_CLOSED) {
        return pw_client_is_closed(error);
    }
    if (status != PYWATT_OK) {
        return pw_error_set(error, status, "the client's threads cannot be started");
    }
    return PYWATT_OK;
}

/* Takes the threads that nobody has given up yet; returns how many. */
static size_t take_threads_locked(struct pywatt_client *client, pthread_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < PW_THREAD_ROLES; i++) {
        struct pw_client_thread *thread = &client->threads[i];
        if (thread->started && !thread->given_up) {
            thread->given_up = true;
            out[count++] = thread->id;
        }
    }
    return count;
}

/* ---- Open ----------------------------------------------------------------------------------- */

static void wake_heartbeat(void *user)
{
    struct pywatt_client *client = user;
    pw_heartbeat_wake(&client->heartbeat);
}

/* What was put off until a moment that an orchestrator named was so on this connection only. */
static void connection_lost(void *user)
{
    struct pywatt_client *client = user;
    pw_mutex_lock(&client->lock);
    pw_cond_broadcast(&client->moved);
    pw_mutex_unlock(&client->lock);
    pw_recovery_wake(&client->recovery);
    pw_heartbeat_wake(&client->heartbeat);
}

static enum pywatt_status init_locks(struct pywatt_client *client)
{
    if (pw_mutex_init(&client->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&client->quiet) != PYWATT_OK) {
        pw_mutex_destroy(&client->lock);
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&client->moved) != PYWATT_OK) {
        pw_cond_destroy(&client->quiet);
        pw_mutex_destroy(&client->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

static enum pywatt_status init_channel(struct pywatt_client *client, struct pywatt_error *error)
{
    const struct pw_settings *settings = &client->settings;
    const struct pw_channel_options options = {
        .endpoints = settings->endpoints,
        .endpoint_count = settings->endpoint_count,
        .codec = settings->codec,
        .clock = client->clock,
        .backoff = settings->backoff,
        .max_frame_bytes = settings->max_frame_bytes,
        .max_in_flight = settings->max_in_flight,
        .wake_pump = wake_heartbeat,
        .lost = connection_lost,
        .user = client,
    };
    return pw_channel_new(&options, &client->channel, error);
}

/* Brings up the parts in order; takes down those that stood when one fails. */
static enum pywatt_status init_parts(struct pywatt_client *client, struct pywatt_error *error)
{
    enum pywatt_status status = init_locks(client);
    if (status != PYWATT_OK) {
        return pw_error_no_memory(error);
    }
    status = pw_registry_init(&client->registry);
    if (status != PYWATT_OK) {
        pw_error_no_memory(error);
        goto no_registry;
    }
    status = pw_dispatcher_init(&client->dispatcher);
    if (status != PYWATT_OK) {
        pw_error_no_memory(error);
        goto no_dispatcher;
    }
    status = pw_recovery_init(&client->recovery);
    if (status != PYWATT_OK) {
        pw_error_no_memory(error);
        goto no_recovery;
    }
    status = pw_heartbeat_init(&client->heartbeat, client->settings.max_frame_bytes, error);
    if (status != PYWATT_OK) {
        goto no_heartbeat;
    }
    status = init_channel(client, error);
    if (status == PYWATT_OK) {
        return PYWATT_OK;
    }
    pw_heartbeat_destroy(&client->heartbeat);
no_heartbeat:
    pw_recovery_destroy(&client->recovery);
no_recovery:
    pw_dispatcher_destroy(&client->dispatcher);
no_dispatcher:
    pw_registry_destroy(&client->registry);
no_registry:
    pw_cond_destroy(&client->moved);
    pw_cond_destroy(&client->quiet);
    pw_mutex_destroy(&client->lock);
    return status;
}

enum pywatt_status pywatt_client_open(const struct pywatt_client_options *options,
                                      struct pywatt_client **out, struct pywatt_error *error)
{
    if (out == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "no place for the client: out is NULL");
    }
    *out = NULL;
    struct pywatt_client *client = pw_fork_watch() == PYWATT_OK ? calloc(1, sizeof(*client)) : NULL;
    if (client == NULL) {
        return pw_error_no_memory(error);
    }
    atomic_init(&client->references, 1);
    PW_HINT_ATOMIC(client->references);
    client->clock = &pw_clock_monotonic;
    client->process = atomic_load_explicit(&pw_fork_process, memory_order_relaxed);
    PW_HINT_ATOMIC(client->operations);
    PW_HINT_ATOMIC(client->threads_ready);
    PW_HINT_ATOMIC(client->counters);
    PW_HINT_ATOMIC(client->aliases);
    atomic_init(&client->random, pw_random_seed());
    PW_HINT_ATOMIC(client->random);
    PW_HINT_ATOMIC(client->deferral_log_limit);
    enum pywatt_status status = pw_settings_read(options, &client->settings, error);
    if (status == PYWATT_OK) {
        status = init_parts(client, error);
    }
    if (status != PYWATT_OK) {
        pw_settings_clear(&client->settings);
        free(client);
        return status;
    }
    *out = client;
    return PYWATT_OK;
}

/* ---- Close, stop, free ---------------------------------------------------------------------- */

void pywatt_client_close(struct pywatt_client *client)
{
    if (client == NULL || pw_client_is_in_child(client)) {
        return;
    }
    pw_mutex_lock(&client->lock);
    if (client->closed) {
        pw_mutex_unlock(&client->lock);
        return;
    }
    client->closed = true;
    pw_cond_broadcast(&client->moved);
    client->users++;
    pw_client_acquire(client);
    pw_mutex_unlock(&client->lock);

    pw_recovery_close(&client->recovery);
    pw_dispatcher_close(&client->dispatcher);
    pw_channel_close(client->channel);
    pw_heartbeat_stop(&client->heartbeat);
    pw_client_leave(client);
}

/* Waits until nobody is inside and nothing runs. Not on one of the client's threads. */
static void wait_until_quiet(struct pywatt_client *client)
{
    pthread_t threads[PW_THREAD_ROLES];
    pw_mutex_lock(&client->lock);
    while (client->users > 0 || client->live_threads > 0) {
        pw_cond_wait(&client->quiet, &client->lock);
    }
    const size_t count = take_threads_locked(client, threads);
    pw_mutex_unlock(&client->lock);
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

void pywatt_client_stop(struct pywatt_client *client)
{
    if (client == NULL || pw_client_is_in_child(client)) {
        return;
    }
    pywatt_client_close(client);
    if (pw_client_role(client) != PW_THREAD_OTHER) {
        return;
    }
    pw_client_acquire(client);
    wait_until_quiet(client);
    pw_client_release(client);
}

void pywatt_client_free(struct pywatt_client *client)
{
    if (client == NULL || pw_client_is_in_child(client)) {
        return;
    }
    pywatt_client_stop(client);
    /* Threads that are still there are those of the callback that this call came from. */
    pthread_t threads[PW_THREAD_ROLES];
    pw_mutex_lock(&client->lock);
    const size_t count = take_threads_locked(client, threads);
    for (size_t i = 0; i < count; i++) {
        pthread_detach(threads[i]);
    }
    client->consumed = true;
    depart_locked_and_unlock(client);
}

/* ---- Stats ---------------------------------------------------------------------------------- */

static uint64_t read_counter(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void fill_stats(struct pywatt_client *client, struct pywatt_client_stats *out)
{
    struct pw_channel_stats channel;
    pw_channel_get_stats(client->channel, &channel);
    struct pw_counters *counters = &client->counters;
    *out = (struct pywatt_client_stats){
        .requests_sent = channel.requests_sent,
        .replies_received = channel.replies_received,
        .replies_dropped = channel.replies_dropped,
        .timeouts = channel.timeouts,
        .connects = channel.connects,
        .connect_failures = channel.connect_failures,
        .reregistrations = read_counter(&counters->reregistrations),
        .beats_sent = read_counter(&counters->beats_sent),
        .beats_answered = read_counter(&counters->beats_answered),
        .beats_failed = read_counter(&counters->beats_failed),
        .beats_skipped = read_counter(&counters->beats_skipped),
        .beats_max_lateness_ns = read_counter(&counters->beats_max_lateness_ns),
        .beats_late = read_counter(&counters->beats_late),
        .deferred = read_counter(&counters->deferred),
    };
    pw_recorder_read(&counters->round_trips, &out->round_trips);
    pw_recorder_read(&counters->lateness, &out->lateness);
}

enum pywatt_status pywatt_client_get_stats(struct pywatt_client *client,
                                           struct pywatt_client_stats *stats)
{
    const size_t smallest = offsetof(struct pywatt_client_stats, requests_sent) + sizeof(uint64_t);
    if (client == NULL || stats == NULL || stats->size < smallest) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (pw_client_is_in_child(client)) {
        return PYWATT_FORKED;
    }
    struct pywatt_client_stats all;
    fill_stats(client, &all);
    all.size = stats->size;
    memcpy(stats, &all, stats->size < sizeof(all) ? stats->size : sizeof(all));
    return PYWATT_OK;
}
