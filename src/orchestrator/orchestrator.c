/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * orchestrator.c - the public object: puts the parts together and takes them apart. Its functions
 * may be called from any thread. The life mutex guards what state it is in; it is not held while
 * the orchestrator starts or stops, as on_event may call in then.
 */
#include "orchestrator/orchestrator.h"

#include "base/error.h"
#include "base/fork.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOST_REPLY_WAIT_MS = 30000
};

/* ---- Making one ---- */

static void forget(void *user, const struct pywatt_uuid *id)
{
    struct pywatt_orchestrator *orchestrator = user;
    pw_forget(&orchestrator->forgetting, id);
}

static unsigned begin_pass(void *user)
{
    struct pywatt_orchestrator *orchestrator = user;
    return pw_server_ask_pass(&orchestrator->server);
}

/* Each step that worked is undone in turn when a later one fails. */
static enum pywatt_status init_parts(struct pywatt_orchestrator *o, struct pw_config *config)
{
    const struct pywatt_orchestrator_options *options = &config->options;
    enum pywatt_status status = PYWATT_NO_MEMORY;
    if (pw_events_init(&o->events, options->on_event, options->event_user) != PYWATT_OK) {
        return status;
    }
    status = pw_lease_init(&o->lease, config->hooks.clock, &o->table, options->retain_ms);
    if (status != PYWATT_OK) {
        goto no_lease;
    }
    status = PYWATT_NO_MEMORY;
    if (pw_table_init(&o->table, &o->lease, &o->events) != PYWATT_OK) {
        goto no_table;
    }
    if (pw_registrar_init(&o->registrar, &o->table, o->store, config) != PYWATT_OK) {
        goto no_registrar;
    }
    if (pw_server_init(&o->server, config, &o->table, &o->lease, &o->registrar) != PYWATT_OK) {
        goto no_server;
    }
    if (pw_mutex_init(&o->life_mutex) != PYWATT_OK) {
        goto no_mutex;
    }
    if (pw_mutex_init(&o->change_mutex) != PYWATT_OK) {
        goto no_change_mutex;
    }
    if (pw_cond_init(&o->life_cond) != PYWATT_OK) {
        goto no_cond;
    }
    pw_forget_init(&o->forgetting, &o->table, &o->registrar);
    return PYWATT_OK;
no_cond:
    pw_mutex_destroy(&o->change_mutex);
no_change_mutex:
    pw_mutex_destroy(&o->life_mutex);
no_mutex:
    pw_server_destroy(&o->server);
no_server:
    pw_registrar_destroy(&o->registrar);
no_registrar:
    pw_table_destroy(&o->table);
no_table:
    pw_lease_destroy(&o->lease);
no_lease:
    pw_events_destroy(&o->events);
    return status;
}

static void destroy_parts(struct pywatt_orchestrator *o)
{
    pw_server_destroy(&o->server);
    pw_registrar_destroy(&o->registrar);
    pw_table_destroy(&o->table);
    pw_lease_destroy(&o->lease);
    pw_events_destroy(&o->events);
    pw_cond_destroy(&o->life_cond);
    pw_mutex_destroy(&o->change_mutex);
    pw_mutex_destroy(&o->life_mutex);
}

/* Opens the store if there is none yet, and makes all parts, with what the store knows. */
static enum pywatt_status open_parts(struct pywatt_orchestrator *o, struct pw_config *config,
                                     struct pywatt_error *error)
{
    const bool own_store = o->store == NULL;
    enum pywatt_status status = pw_token_prepare();
    if (status != PYWATT_OK) {
        return pw_error_no_memory(error);
    }
    if (own_store) {
        status = pw_store_open(config->options.store, &o->store, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    status = init_parts(o, config);
    if (status == PYWATT_OK) {
        status = pw_registrar_load(&o->registrar, error);
        if (status == PYWATT_OK) {
            return PYWATT_OK;
        }
        destroy_parts(o);
    } else if (status == PYWATT_IO) {
        pw_error_set(error, status, "no more file descriptors");
    } else {
        pw_error_no_memory(error);
    }
    if (own_store) {
        pw_store_close(o->store);
    }
    return status;
}

enum pywatt_status pw_orchestrator_new(const struct pywatt_orchestrator_options *options,
                                       const struct pw_config_hooks *hooks, struct pw_store *store,
                                       struct pywatt_orchestrator **out, struct pywatt_error *error)
{
    struct pywatt_orchestrator *orchestrator =
        pw_fork_watch() == PYWATT_OK ? calloc(1, sizeof(*orchestrator)) : NULL;
    if (orchestrator == NULL) {
        return pw_error_no_memory(error);
    }
    orchestrator->process = atomic_load_explicit(&pw_fork_process, memory_order_relaxed);
    struct pw_config *config = NULL;
    enum pywatt_status status = pw_config_new(options, hooks, &config, error);
    if (status == PYWATT_OK) {
        orchestrator->store = store;
        status = open_parts(orchestrator, config, error);
        pw_config_release(config);
    }
    if (status != PYWATT_OK) {
        free(orchestrator);
        return status;
    }
    *out = orchestrator;
    return PYWATT_OK;
}

enum pywatt_status pywatt_orchestrator_new(const struct pywatt_orchestrator_options *options,
                                           struct pywatt_orchestrator **out,
                                           struct pywatt_error *error)
{
    if (options == NULL || out == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s is NULL",
                            options == NULL ? "options" : "out");
    }
    return pw_orchestrator_new(options, NULL, NULL, out, error);
}

enum pywatt_status pywatt_store_recover(const char *store, struct pywatt_store_recovery *out,
                                        struct pywatt_error *error)
{
    if (store == NULL || (out != NULL && out->size < sizeof(out->size))) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s",
                            store == NULL ? "store is NULL" : "out has no size");
    }
    struct pw_store_salvage salvage;
    const enum pywatt_status status = pw_store_recover(store, &salvage, error);
    if (status == PYWATT_OK && out != NULL) {
        struct pywatt_store_recovery all = {
            .size = out->size, .kept = salvage.kept, .left_out = salvage.left_out};
        memcpy(all.aside, salvage.aside, sizeof(all.aside));
        memcpy(out, &all, out->size < sizeof(all) ? out->size : sizeof(all));
    }
    return status;
}

enum pywatt_status pywatt_orchestrator_listen(struct pywatt_orchestrator *orchestrator,
                                              const char *url, char *bound_url, size_t bound_size,
                                              struct pywatt_error *error)
{
    if (orchestrator == NULL || url == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s is NULL",
                            url == NULL ? "url" : "orchestrator");
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return pw_fork_refuse("orchestrator", error);
    }
    enum pywatt_status status;
    pw_mutex_lock(&orchestrator->life_mutex);
    if (orchestrator->life != PW_LIFE_NEW) {
        status =
            pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                         "%.200s: listeners are opened before the orchestrator is started", url);
    } else {
        status = pw_server_listen(&orchestrator->server, url, bound_url, bound_size, error);
    }
    pw_mutex_unlock(&orchestrator->life_mutex);
    return status;
}

/* ---- Start and stop ---- */

/*
 * Modules that the store knew have a whole lease, from when their first beat can be there. A module of
 * the Rust SDK sends it into the connection that died with the orchestrator before, opens the next, and
 * waits there for the reply: until we end that connection, which has sent nothing, or for 30 s.
 */
static void renew_leases(struct pywatt_orchestrator *orchestrator)
{
    struct pw_config *config = pw_in_force_config(&orchestrator->server.in_force);
    const uint32_t first_frame_ms = config->options.first_frame_timeout_ms;
    const uint32_t wait_ms =
        first_frame_ms < LOST_REPLY_WAIT_MS ? first_frame_ms : LOST_REPLY_WAIT_MS;
    pw_config_release(config);
    const uint64_t begin_ns = pw_deadline_after_ms(pw_lease_now_ns(&orchestrator->lease), wait_ms);
    for (unsigned i = 0; i < PW_SHARD_COUNT; i++) {
        struct pw_shard *shard = &orchestrator->table.shards[i];
        size_t bucket = 0;
        struct pw_map_node *node = NULL;
        pw_mutex_lock(&shard->mutex);
        while ((node = pw_map_walk(&shard->modules, &bucket, node)) != NULL) {
            struct pw_module *module = PW_CONTAINER_OF(node, struct pw_module, by_id);
            module->last_beat_ns = begin_ns;
            pw_lease_watch(&orchestrator->lease, module);
        }
        pw_mutex_unlock(&shard->mutex);
    }
}

static enum pywatt_status start_threads(struct pywatt_orchestrator *orchestrator,
                                        struct pywatt_error *error)
{
    const struct pw_lease_hooks hooks = {
        .begin_pass = begin_pass, .forget = forget, .user = orchestrator};
    renew_leases(orchestrator);
    enum pywatt_status status = pw_events_start(&orchestrator->events);
    if (status != PYWATT_OK) {
        return pw_error_set(error, status, "the thread for events cannot be started");
    }
    status = pw_server_start(&orchestrator->server, error);
    if (status == PYWATT_OK) {
        /* After the workers: it asks them for passes. */
        status = pw_lease_start(&orchestrator->lease, &hooks);
        if (status != PYWATT_OK) {
            pw_error_set(error, status, "the thread for leases cannot be started");
            pw_server_stop(&orchestrator->server);
        }
    }
    if (status != PYWATT_OK) {
        pw_events_stop(&orchestrator->events);
    }
    return status;
}

/* Whether it is to be stopped at once. */
static bool set_life(struct pywatt_orchestrator *orchestrator, enum pw_life life)
{
    pw_mutex_lock(&orchestrator->life_mutex);
    orchestrator->life = life;
    const bool stop_wanted = orchestrator->stop_wanted && life == PW_LIFE_RUNNING;
    pw_cond_broadcast(&orchestrator->life_cond);
    pw_mutex_unlock(&orchestrator->life_mutex);
    return stop_wanted;
}

enum pywatt_status pywatt_orchestrator_start(struct pywatt_orchestrator *orchestrator,
                                             struct pywatt_error *error)
{
    if (orchestrator == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "orchestrator is NULL");
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return pw_fork_refuse("orchestrator", error);
    }
    pw_mutex_lock(&orchestrator->life_mutex);
    const bool is_new = orchestrator->life == PW_LIFE_NEW;
    if (is_new) {
        orchestrator->life = PW_LIFE_CHANGING;
    }
    pw_mutex_unlock(&orchestrator->life_mutex);
    if (!is_new) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "the orchestrator was started already");
    }
    const enum pywatt_status status = start_threads(orchestrator, error);
    if (set_life(orchestrator, status == PYWATT_OK ? PW_LIFE_RUNNING : PW_LIFE_STOPPED)) {
        pywatt_orchestrator_stop(orchestrator);
    }
    return status;
}

/*
 * False if there is nothing to do. Inside of on_event nobody is waited for: who stops it already
 * waits for that very call, and who starts it will see that it is to be stopped.
 */
static bool begin_stop(struct pywatt_orchestrator *orchestrator, bool in_event, bool *runs)
{
    pw_mutex_lock(&orchestrator->life_mutex);
    while (orchestrator->life == PW_LIFE_CHANGING && !in_event) {
        pw_cond_wait(&orchestrator->life_cond, &orchestrator->life_mutex);
    }
    const bool begins = orchestrator->life != PW_LIFE_CHANGING;
    *runs = orchestrator->life == PW_LIFE_RUNNING;
    orchestrator->stop_wanted = true;
    orchestrator->life = PW_LIFE_CHANGING;
    pw_mutex_unlock(&orchestrator->life_mutex);
    return begins;
}

void pywatt_orchestrator_stop(struct pywatt_orchestrator *orchestrator)
{
    if (orchestrator == NULL || pw_orchestrator_in_child(orchestrator)) {
        return;
    }
    const bool in_event = pw_events_on_own_thread(&orchestrator->events);
    bool runs;
    if (!begin_stop(orchestrator, in_event, &runs)) {
        return;
    }
    if (runs) {
        /* The lease first, so that nobody is lost while the workers end. */
        pw_lease_stop(&orchestrator->lease);
        pw_server_stop(&orchestrator->server);
    }
    if (in_event) {
        pw_events_end(&orchestrator->events);
    } else {
        pw_events_stop(&orchestrator->events);
    }
    (void)set_life(orchestrator, PW_LIFE_STOPPED);
}

/* It is stopped, and nobody is inside of it any more. */
static void give_back(void *user)
{
    struct pywatt_orchestrator *orchestrator = user;
    /* Tasks that are in the store end here, while all that they touch still stands. */
    pw_registrar_close(&orchestrator->registrar);
    pw_store_close(orchestrator->store);
    destroy_parts(orchestrator);
    free(orchestrator);
}

void pywatt_orchestrator_free(struct pywatt_orchestrator *orchestrator)
{
    if (orchestrator == NULL || pw_orchestrator_in_child(orchestrator)) {
        return;
    }
    const bool in_event = pw_events_on_own_thread(&orchestrator->events);
    pywatt_orchestrator_stop(orchestrator);
    if (in_event) {
        pw_events_abandon(&orchestrator->events, give_back, orchestrator);
    } else {
        give_back(orchestrator);
    }
}

/* ---- Changing the options ---- */

static void put_in_force(struct pywatt_orchestrator *orchestrator, struct pw_config *config)
{
    const struct pywatt_orchestrator_options *options = &config->options;
    struct pw_server *server = &orchestrator->server;
    pw_registrar_set_config(&orchestrator->registrar, config);
    atomic_store_explicit(&orchestrator->lease.retain_ms, options->retain_ms, memory_order_relaxed);
    pw_pace_change(&server->pace, options->registrations_per_s, options->max_modules,
                   pw_clock_now_ns(config->hooks.clock));
    pw_peers_set_limits(&server->peers, options);
    pw_in_force_change(server, config);
}

enum pywatt_status
pywatt_orchestrator_reconfigure(struct pywatt_orchestrator *orchestrator,
                                const struct pywatt_orchestrator_options *options,
                                struct pywatt_error *error)
{
    if (orchestrator == NULL || options == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s is NULL",
                            options == NULL ? "options" : "orchestrator");
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return pw_fork_refuse("orchestrator", error);
    }
    pw_mutex_lock(&orchestrator->change_mutex);
    struct pw_config *old = pw_in_force_config(&orchestrator->server.in_force);
    struct pw_config *config = NULL;
    enum pywatt_status status = pw_config_new(options, &old->hooks, &config, error);
    if (status == PYWATT_OK) {
        status = pw_config_check_change(old, config, error);
    }
    if (status == PYWATT_OK) {
        put_in_force(orchestrator, config);
    }
    pw_config_release(config);
    pw_config_release(old);
    pw_mutex_unlock(&orchestrator->change_mutex);
    return status;
}
