/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch.c - from the ends of beats to a module's watcher. Beats are noted by whatever thread reads
 * their replies; the watcher runs on the dispatcher. The module's lock guards the event that waits;
 * `state` is an atomic beside it, so that a beat that is no news takes no lock.
 *
 * News is: the first answer, another verdict, beats that begin to fail, that fail for another reason,
 * or that succeed again. What a network can do to a beat counts as one reason.
 */
#include "registry/watch.h"

#include "base/tool_hints.h"
#include "registry/client.h"
#include "registry/module.h"

#include <stdio.h>
#include <string.h>

enum {
    STATE_UNKNOWN = 0,
    STATE_KNOWN = 1 << 16,
    STATE_STATUS_SHIFT = 8
};

static unsigned state_of(enum pywatt_status status, enum pywatt_health verdict)
{
    switch (status) {
    case PYWATT_OK: return STATE_KNOWN | (unsigned)verdict;
    case PYWATT_CONNECTION:
    case PYWATT_CHANNEL:
    case PYWATT_TIMEOUT: status = PYWATT_CONNECTION; break;
    default: break;
    }
    return STATE_KNOWN | (unsigned)status << STATE_STATUS_SHIFT;
}

static void run_job(struct pw_job *job);

void pw_watch_init(struct pw_watch *watch)
{
    atomic_init(&watch->state, STATE_UNKNOWN);
    PW_HINT_ATOMIC(watch->state);
    watch->job.run = run_job;
    watch->event.verdict = PYWATT_HEALTHY;
}

/* An event waits: gives the job to the dispatcher, unless it has it. Consumes the lock. */
static void queue_and_unlock(struct pywatt_module *module)
{
    struct pw_watch *watch = &module->watch;
    const bool queue = !watch->queued;
    watch->pending = true;
    if (queue) {
        watch->queued = true;
        pw_handle_acquire(module);
    }
    pw_mutex_unlock(&module->lock);
    if (!queue || pw_dispatcher_post(&module->client->dispatcher, &watch->job)) {
        return;
    }
    pw_mutex_lock(&module->lock);
    watch->queued = false;
    watch->pending = false;
    pw_mutex_unlock(&module->lock);
    pw_handle_release(module);
}

void pw_watch_note(struct pywatt_module *module, enum pywatt_status status,
                   enum pywatt_health verdict, const char *text)
{
    struct pw_watch *watch = &module->watch;
    const unsigned state = state_of(status, verdict);
    if (atomic_load_explicit(&watch->state, memory_order_relaxed) == state) {
        return;
    }
    pw_mutex_lock(&module->lock);
    /* That beats succeed again in a recovery is for pw_watch_reregistered to tell, when it ends. */
    const bool told_soon = status == PYWATT_OK && module->came_back && module->recovering;
    if (module->loop == NULL || told_soon || atomic_load(&watch->state) == state) {
        pw_mutex_unlock(&module->lock);
        return;
    }
    atomic_store(&watch->state, state);
    watch->event.status = status;
    if (status == PYWATT_OK) {
        watch->event.verdict = verdict;
        watch->text[0] = '\0';
    } else {
        snprintf(watch->text, sizeof(watch->text), "%s",
                 text == NULL ? pywatt_status_text(status) : text);
    }
    if (watch->watcher == NULL) {
        pw_mutex_unlock(&module->lock);
        return;
    }
    queue_and_unlock(module);
}

void pw_watch_reregistered(struct pywatt_module *module)
{
    struct pw_watch *watch = &module->watch;
    pw_mutex_lock(&module->lock);
    if (module->loop == NULL) {
        pw_mutex_unlock(&module->lock);
        return; /* as its loop was stopped, or never was, nobody is to hear of it */
    }
    if (atomic_load(&watch->state) != STATE_UNKNOWN) {
        atomic_store(&watch->state, state_of(PYWATT_OK, watch->event.verdict));
    }
    watch->event.status = PYWATT_OK;
    watch->text[0] = '\0';
    if (watch->watcher == NULL) {
        pw_mutex_unlock(&module->lock);
        return;
    }
    watch->event.reregistered = true;
    queue_and_unlock(module);
}

void pw_watch_reset_locked(struct pywatt_module *module)
{
    atomic_store(&module->watch.state, STATE_UNKNOWN);
    module->watch.pending = false;
    module->watch.event.reregistered = false;
}

void pw_watch_settle_locked(struct pywatt_module *module)
{
    if (pw_client_role(module->client) != PW_THREAD_OTHER) {
        return;
    }
    while (module->watch.running) {
        pw_cond_wait(&module->changed, &module->lock);
    }
}

/* On the dispatcher. */
static void run_job(struct pw_job *job)
{
    struct pw_watch *watch = PW_CONTAINER_OF(job, struct pw_watch, job);
    struct pywatt_module *module = PW_CONTAINER_OF(watch, struct pywatt_module, watch);
    char text[PYWATT_ERROR_TEXT_MAX];

    pw_mutex_lock(&module->lock);
    watch->queued = false;
    const bool tell = watch->pending && watch->watcher != NULL;
    struct pywatt_heartbeat_event event = watch->event;
    memcpy(text, watch->text, sizeof(text));
    event.text = text;
    const pywatt_heartbeat_watcher watcher = watch->watcher;
    void *user = watch->user;
    if (tell) {
        watch->pending = false;
        watch->running = true;
        watch->event.reregistered = false;
    }
    pw_mutex_unlock(&module->lock);
    if (tell) {
        watcher(user, module, &event);
        pw_mutex_lock(&module->lock);
        watch->running = false;
        pw_cond_broadcast(&module->changed);
        pw_mutex_unlock(&module->lock);
    }
    pw_handle_release(module);
}

void pywatt_module_set_watcher(struct pywatt_module *module, pywatt_heartbeat_watcher watcher,
                               void *user)
{
    if (module == NULL || pw_client_is_in_child(module->client)) {
        return;
    }
    if (watcher != NULL) {
        /* If they cannot be started now, the loop that there is to watch will say so. */
        (void)pw_client_start_threads(module->client, NULL);
    }
    pw_mutex_lock(&module->lock);
    module->watch.watcher = watcher;
    module->watch.user = user;
    pw_watch_reset_locked(module); /* what was found before is news to this one */
    pw_watch_settle_locked(module);
    pw_mutex_unlock(&module->lock);
}
