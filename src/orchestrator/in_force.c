/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * in_force.c - see in_force.h. The mutex is taken on the threads of the workers and on that which
 * changes the options; a worker's mailbox is inside of it.
 */
#include "orchestrator/in_force.h"

#include "orchestrator/options.h"
#include "orchestrator/server.h"
#include "orchestrator/session.h"

enum pywatt_status pw_in_force_init(struct pw_in_force *in_force, struct pw_config *config)
{
    *in_force = (struct pw_in_force){.version = 0};
    if (pw_mutex_init(&in_force->mutex) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&in_force->taken) != PYWATT_OK) {
        pw_mutex_destroy(&in_force->mutex);
        return PYWATT_NO_MEMORY;
    }
    in_force->config = pw_config_acquire(config);
    pw_join_set_warn(&config->join_tokens, config->options.join_token_file);
    return PYWATT_OK;
}

void pw_in_force_destroy(struct pw_in_force *in_force)
{
    pw_config_release(in_force->config);
    pw_cond_destroy(&in_force->taken);
    pw_mutex_destroy(&in_force->mutex);
}

struct pw_config *pw_in_force_config(struct pw_in_force *in_force)
{
    pw_mutex_lock(&in_force->mutex);
    struct pw_config *config = pw_config_acquire(in_force->config);
    pw_mutex_unlock(&in_force->mutex);
    return config;
}

/* ---- Workers ---- */

static bool has_newest_locked(const struct pw_in_force *in_force, const struct pw_worker *worker)
{
    return worker->left || worker->version == in_force->version;
}

/* Those that run, or ran. */
static unsigned worker_count(struct pw_server *server)
{
    return atomic_load_explicit(&server->counting, memory_order_acquire);
}

static void tell_locked(struct pw_server *server)
{
    for (unsigned i = 0; i < worker_count(server); i++) {
        struct pw_worker *worker = &server->workers[i];
        if (!worker->told && !has_newest_locked(&server->in_force, worker)) {
            worker->told = true;
            pw_worker_post(worker, &worker->config_mail);
        }
    }
}

static bool all_have_newest_locked(struct pw_server *server)
{
    for (unsigned i = 0; i < worker_count(server); i++) {
        if (!has_newest_locked(&server->in_force, &server->workers[i])) {
            return false;
        }
    }
    return true;
}

void pw_in_force_tell(struct pw_server *server)
{
    pw_mutex_lock(&server->in_force.mutex);
    tell_locked(server);
    pw_mutex_unlock(&server->in_force.mutex);
}

void pw_in_force_change(struct pw_server *server, struct pw_config *config)
{
    struct pw_in_force *in_force = &server->in_force;
    pw_mutex_lock(&in_force->mutex);
    const struct pw_config *old = in_force->config;
    in_force->config = pw_config_acquire(config);
    in_force->version++;
    tell_locked(server);
    while (!all_have_newest_locked(server)) {
        pw_cond_wait(&in_force->taken, &in_force->mutex);
    }
    pw_mutex_unlock(&in_force->mutex);
    pw_config_release(old);
    pw_join_set_warn(&config->join_tokens, config->options.join_token_file);
}

/* A connection that is silent already may have less time than its timer was set for. */
static void look_at_timers(struct pw_worker *worker)
{
    for (struct pw_list *link = worker->sessions.next; link != &worker->sessions;
         link = link->next) {
        pw_session_options_changed(PW_CONTAINER_OF(link, struct pw_session, link));
    }
}

static void deliver(struct pw_worker *worker, struct pw_mail *mail)
{
    struct pw_in_force *in_force = &worker->server->in_force;
    (void)mail;
    const struct pw_config *old = worker->config;
    pw_mutex_lock(&in_force->mutex);
    worker->told = false;
    worker->config = pw_config_acquire(in_force->config);
    worker->version = in_force->version;
    pw_cond_broadcast(&in_force->taken);
    pw_mutex_unlock(&in_force->mutex);
    pw_config_release(old);
    look_at_timers(worker);
}

void pw_in_force_begin(struct pw_worker *worker)
{
    struct pw_in_force *in_force = &worker->server->in_force;
    worker->config_mail.deliver = deliver;
    pw_list_init(&worker->config_mail.link);
    pw_mutex_lock(&in_force->mutex);
    worker->config = pw_config_acquire(in_force->config);
    worker->version = in_force->version;
    pw_mutex_unlock(&in_force->mutex);
}

void pw_in_force_left(struct pw_worker *worker)
{
    struct pw_in_force *in_force = &worker->server->in_force;
    pw_mutex_lock(&in_force->mutex);
    worker->left = true;
    pw_cond_broadcast(&in_force->taken);
    pw_mutex_unlock(&in_force->mutex);
}
