/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * recovery.c - the recovery thread: what the client does in the background that blocks. `lock`
 * guards what it is to do; no lock is held while it connects or registers. It runs no callback.
 *
 * Connecting. The channel keeps to the reconnect policy by itself, as long as it is given time, so
 * it is called again and again while a connection is wanted. When it gives up early (policy none:
 * after one attempt; or after reconnect_max_attempts) operations that wait fail with its error, and
 * the next attempt comes after a pause: the longest delay of the policy, or a second for none.
 *
 * Registering again. One module after the other. A failure puts the next attempt for that module
 * off: full jitter, from FIRST_PAUSE_MS doubling to LONGEST_PAUSE_MS. So does a module that is
 * forgotten again within STABLE_MS: an orchestrator that registers and forgets is not stormed. One that
 * says when to come again is taken at its word, instead.
 */
#include "registry/recovery.h"

#include "base/error.h"
#include "registry/client.h"
#include "registry/module.h"

enum {
    CONNECT_TIME_MS = 10000,
    CONNECT_PAUSE_MS = 1000,
    FIRST_PAUSE_MS = 200,
    LONGEST_PAUSE_MS = 30000,
    STABLE_MS = 1000
};

enum pywatt_status pw_recovery_init(struct pw_recovery *recovery)
{
    pw_due_heap_init(&recovery->modules);
    if (pw_mutex_init(&recovery->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&recovery->wake) != PYWATT_OK) {
        pw_mutex_destroy(&recovery->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

void pw_recovery_destroy(struct pw_recovery *recovery)
{
    pw_cond_destroy(&recovery->wake);
    pw_mutex_destroy(&recovery->lock);
}

void pw_recovery_place_init(struct pw_recovery_place *place)
{
    pw_due_init(&place->due);
    place->urgent = false;
    place->recovered_ns = 0;
    place->deferral = (struct pw_deferral){.retry_after_ms = 0};
    place->backoff.attempts = 0;
    place->backoff.policy = PW_BACKOFF_NONE; /* until it is needed */
}

static struct pywatt_module *module_of(struct pw_due *due)
{
    struct pw_recovery_place *place = PW_CONTAINER_OF(due, struct pw_recovery_place, due);
    return PW_CONTAINER_OF(place, struct pywatt_module, recovery);
}

void pw_recovery_close(struct pw_recovery *recovery)
{
    for (;;) {
        pw_mutex_lock(&recovery->lock);
        recovery->closed = true;
        pw_cond_signal(&recovery->wake);
        struct pw_due *due = pw_due_heap_pop(&recovery->modules, UINT64_MAX);
        pw_mutex_unlock(&recovery->lock);
        if (due == NULL) {
            return;
        }
        pw_handle_release(module_of(due));
    }
}

void pw_recovery_wake(struct pw_recovery *recovery)
{
    pw_mutex_lock(&recovery->lock);
    pw_cond_signal(&recovery->wake);
    pw_mutex_unlock(&recovery->lock);
}

/* ---- What is to be done --------------------------------------------------------------------- */

void pw_recovery_connect(struct pywatt_client *client, uint64_t connects, uint64_t at_ns)
{
    struct pw_recovery *recovery = &client->recovery;
    pw_mutex_lock(&recovery->lock);
    if (!recovery->connect_wanted || recovery->connect_after != connects ||
        at_ns < recovery->connect_at_ns) {
        recovery->connect_wanted = true;
        recovery->connect_after = connects;
        recovery->connect_at_ns = at_ns;
        pw_cond_signal(&recovery->wake);
    }
    pw_mutex_unlock(&recovery->lock);
}

/* Queues the module, or moves it forward if it is queued for later. */
static void queue_locked(struct pw_recovery *recovery, struct pywatt_module *module, uint64_t at_ns)
{
    struct pw_due *due = &module->recovery.due;
    const uint64_t not_before_ns = pw_deferral_until_ns(module->client, &module->recovery.deferral);
    at_ns = at_ns < not_before_ns ? not_before_ns : at_ns;
    if (pw_due_queued(due)) {
        if (due->at_ns <= at_ns) {
            return;
        }
        pw_due_heap_remove(&recovery->modules, due);
    } else {
        pw_handle_acquire(module);
    }
    pw_due_heap_insert(&recovery->modules, due, at_ns);
    pw_cond_signal(&recovery->wake);
}

/* The next attempt is the one that the orchestrator waits for; none that was to come before. */
static void put_off_locked(struct pw_recovery *recovery, struct pywatt_module *module)
{
    struct pw_recovery_place *place = &module->recovery;
    if (pw_due_queued(&place->due)) {
        pw_due_heap_remove(&recovery->modules, &place->due);
    } else {
        pw_handle_acquire(module);
    }
    pw_due_heap_insert(&recovery->modules, &place->due,
                       pw_deferral_until_ns(module->client, &place->deferral));
    pw_cond_signal(&recovery->wake);
}

static uint64_t next_attempt_ns(struct pywatt_client *client, struct pw_backoff *backoff)
{
    if (backoff->policy == PW_BACKOFF_NONE) {
        pw_backoff_init(backoff, PW_BACKOFF_EXPONENTIAL, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, 0, 0);
    }
    uint32_t pause_ms = LONGEST_PAUSE_MS;
    pw_backoff_failed(backoff, &pause_ms);
    return pw_deadline_after_ms(pw_clock_now_ns(client->clock), pause_ms);
}

static uint64_t first_attempt_ns(struct pywatt_client *client, struct pw_recovery_place *place)
{
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    const uint64_t stable_ns = pw_deadline_after_ms(place->recovered_ns, STABLE_MS);
    if (place->recovered_ns != 0 && now_ns < stable_ns) {
        return next_attempt_ns(client, &place->backoff);
    }
    pw_backoff_reset(&place->backoff);
    return now_ns;
}

void pw_recovery_request(struct pywatt_client *client, struct pywatt_module *module, bool urgent)
{
    struct pw_recovery *recovery = &client->recovery;
    struct pw_recovery_place *place = &module->recovery;
    pw_mutex_lock(&recovery->lock);
    if (!recovery->closed && urgent) {
        place->urgent = true;
        queue_locked(recovery, module, pw_clock_now_ns(client->clock));
    } else if (!recovery->closed && !pw_due_queued(&place->due)) {
        queue_locked(recovery, module, first_attempt_ns(client, place));
    }
    pw_mutex_unlock(&recovery->lock);
}

void pw_recovery_attempted(struct pywatt_client *client, struct pywatt_module *module,
                           bool succeeded, const struct pw_deferral *deferral)
{
    struct pw_recovery *recovery = &client->recovery;
    struct pw_recovery_place *place = &module->recovery;
    bool unqueued = false;
    pw_mutex_lock(&recovery->lock);
    place->deferral = *deferral;
    if (succeeded) {
        place->recovered_ns = pw_clock_now_ns(client->clock);
        place->urgent = false;
        unqueued = pw_due_queued(&place->due);
        if (unqueued) {
            pw_due_heap_remove(&recovery->modules, &place->due);
        }
        /* What was asked for since the module was well is as good as any later request. */
        if (!recovery->closed && pw_handle_unwell(module)) {
            queue_locked(recovery, module, first_attempt_ns(client, place));
        }
    } else if (!recovery->closed && deferral->retry_after_ms != 0) {
        put_off_locked(recovery, module);
    } else if (!recovery->closed) {
        queue_locked(recovery, module, next_attempt_ns(client, &place->backoff));
    }
    pw_mutex_unlock(&recovery->lock);
    if (unqueued) {
        pw_handle_release(module);
    }
}

/* ---- The thread ----------------------------------------------------------------------------- */

/* When the channel will not try on its own before it is asked again. */
static uint64_t connect_pause_ms(const struct pywatt_client *client)
{
    const struct pw_backoff *backoff = &client->settings.backoff;
    switch (backoff->policy) {
    case PW_BACKOFF_NONE: return CONNECT_PAUSE_MS;
    case PW_BACKOFF_FIXED: return backoff->delay_ms;
    case PW_BACKOFF_EXPONENTIAL: return backoff->max_delay_ms;
    }
    return CONNECT_PAUSE_MS;
}

static void connect_now(struct pywatt_client *client)
{
    struct pw_recovery *recovery = &client->recovery;
    struct pywatt_error error = {PYWATT_OK, ""};
    const uint64_t deadline_ns =
        pw_deadline_after_ms(pw_clock_now_ns(client->clock), CONNECT_TIME_MS);
    const enum pywatt_status status = pw_channel_connect(client->channel, deadline_ns, &error);
    if (status == PYWATT_CLOSED) {
        return;
    }
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    const bool gave_up = status != PYWATT_OK && now_ns < deadline_ns;
    if (gave_up) {
        pw_mutex_lock(&recovery->lock);
        recovery->connect_not_before_ns = pw_deadline_after_ms(now_ns, connect_pause_ms(client));
        pw_mutex_unlock(&recovery->lock);
    }
    error.status = status;
    pw_heartbeat_connect_ended(client, &error, gave_up);
}

static void recover_now(struct pywatt_client *client, struct pywatt_module *module, bool urgent)
{
    if (urgent || pw_handle_wants_recovery(module)) {
        /* It does not wait here to come again: others are to be registered meanwhile. */
        (void)pw_handle_recover(module, pw_client_deadline_ns(client), false, NULL);
        /* Those who parked meanwhile hear of it even if there was nothing left to do. */
        pw_heartbeat_recovered(client, module);
    }
    pw_handle_release(module);
}

/* When to connect; PW_DEADLINE_NEVER if nobody wants to. */
static uint64_t connect_ns_locked(const struct pw_recovery *recovery)
{
    if (!recovery->connect_wanted) {
        return PW_DEADLINE_NEVER;
    }
    return recovery->connect_at_ns > recovery->connect_not_before_ns
               ? recovery->connect_at_ns
               : recovery->connect_not_before_ns;
}

/* Who was put off on a connection that is gone comes as soon as that allows. */
static void look_at_link_locked(struct pywatt_client *client)
{
    struct pw_recovery *recovery = &client->recovery;
    const uint64_t link = pw_channel_link(client->channel);
    if (link == recovery->link) {
        return;
    }
    recovery->link = link;
    struct pw_due_heap before;
    struct pw_due *due;
    pw_due_heap_move(&before, &recovery->modules);
    while ((due = pw_due_heap_pop(&before, UINT64_MAX)) != NULL) {
        const struct pw_deferral *deferral = &module_of(due)->recovery.deferral;
        const uint64_t until_ns = pw_deferral_until_ns(client, deferral);
        const bool sooner = deferral->retry_after_ms != 0 && until_ns < due->at_ns;
        pw_due_heap_insert(&recovery->modules, due, sooner ? until_ns : due->at_ns);
    }
}

/* Does the next thing that is due, without the lock; false if nothing is. */
static bool do_next_locked(struct pywatt_client *client)
{
    struct pw_recovery *recovery = &client->recovery;
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    if (connect_ns_locked(recovery) <= now_ns) {
        const uint64_t connects = recovery->connect_after;
        recovery->connect_wanted = false;
        pw_mutex_unlock(&recovery->lock);
        if (connects != pw_channel_epoch(client->channel) &&
            !pw_channel_connected(client->channel)) {
            /* There was another one since, which is lost as well: when to make the next is new. */
            pw_heartbeat_wake(&client->heartbeat);
        } else {
            connect_now(client);
        }
        pw_mutex_lock(&recovery->lock);
        return true;
    }
    look_at_link_locked(client);
    struct pw_due *due = pw_due_heap_pop(&recovery->modules, now_ns);
    if (due == NULL) {
        return false;
    }
    struct pywatt_module *module = module_of(due);
    const bool urgent = module->recovery.urgent;
    module->recovery.urgent = false;
    pw_mutex_unlock(&recovery->lock);
    recover_now(client, module, urgent);
    pw_mutex_lock(&recovery->lock);
    return true;
}

static void wait_locked(struct pw_recovery *recovery)
{
    const uint64_t module_ns = pw_due_heap_next_ns(&recovery->modules);
    const uint64_t connect_ns = connect_ns_locked(recovery);
    pw_cond_wait_until(&recovery->wake, &recovery->lock,
                       connect_ns < module_ns ? connect_ns : module_ns);
}

void pw_recovery_run(struct pywatt_client *client)
{
    struct pw_recovery *recovery = &client->recovery;
    pw_mutex_lock(&recovery->lock);
    while (!recovery->closed) {
        if (!do_next_locked(client)) {
            wait_locked(recovery);
        }
    }
    pw_mutex_unlock(&recovery->lock);
}
