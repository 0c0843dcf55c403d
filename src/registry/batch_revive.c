/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch_revive.c - registers again, side by side, the modules of a batch that their orchestrator has
 * forgotten: PW_BATCH_REVIVALS at once are asked for. The calling thread begins and ends each of them;
 * answers are taken in by whoever reads, and put into `ended_revivals` under the batch's lock.
 *
 * For each module it is an attempt like any other (reregister.c): one at a time, so that who needs the
 * module meanwhile waits for this one; and whoever is told to come again does not before. Then the
 * others go on, and all who wait come again together, a little later than the first of them might.
 */
#include "registry/batch_impl.h"

#include "base/error.h"
#include "registry/module.h"

enum {
    /* Nobody looks through all beats more often for those whose time has come. */
    PATIENCE_MS = 50
};

/* What one look through all beats has found. */
struct pass {
    struct pywatt_module *busy; /* somebody else is registering it again; NULL: nobody is */
    struct pw_deferral soonest; /* when the first of those may come again that were told when */
};

/* Not with each call: hardly any needs them, and they take pages of memory. */
static void init_revivals(struct pw_batch *batch)
{
    pw_list_init(&batch->free_revivals);
    pw_list_init(&batch->ended_revivals);
    for (unsigned i = 0; i < PW_BATCH_REVIVALS; i++) {
        batch->revivals[i].batch = batch;
        pw_list_init(&batch->revivals[i].link);
        pw_list_append(&batch->free_revivals, &batch->revivals[i].link);
    }
}

/* ---- Ends ---- */

/* No other module can be registered again either. */
static void give_up(struct pw_batch *batch, enum pywatt_status status,
                    const struct pywatt_error *words)
{
    batch->given_up = *words;
    batch->given_up.status = status;
}

/* An attempt has ended so, whoever made it; `words` may be changed. */
static void end_beat(struct pw_batch *batch, struct pass *pass, size_t index,
                     enum pywatt_status status, const struct pw_deferral *deferral,
                     struct pywatt_error *words)
{
    struct pywatt_client *client = batch->client;
    if (status == PYWATT_OK) {
        batch->beats[index].status = PW_BEAT_PENDING;
        return;
    }
    if (deferral->retry_after_ms != 0) {
        status = pw_deferral_fits(client, deferral, batch->deadline_ns, words);
        if (status == PYWATT_OK) { /* it stays forgotten */
            if (pass->soonest.retry_after_ms == 0 || deferral->again_ns < pass->soonest.again_ns) {
                pass->soonest = *deferral;
            }
            return;
        }
    } else if (batch->given_up.status != PYWATT_OK && status == PYWATT_CHANNEL) {
        /* The connection was left since an answer was overdue: so were those of all others. */
        status = batch->given_up.status;
        *words = batch->given_up;
    } else if (pw_batch_is_over(batch, status)) {
        give_up(batch, status, words);
    }
    pw_batch_fail(batch, index, status, words->text);
}

static void end_revival(struct pw_batch *batch, struct pass *pass, struct pw_revival *revival,
                        enum pywatt_status status)
{
    struct pywatt_module *module = batch->beats[revival->index].module;
    pw_recovery_end(module, status, batch->deadline_ns, &revival->deferral, &revival->words);
    end_beat(batch, pass, revival->index, status, &revival->deferral, &revival->words);
    pw_list_append(&batch->free_revivals, &revival->link);
}

/* ---- Steps ---- */

/* On whatever thread reads. */
static void answered(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error)
{
    struct pw_revival *revival = PW_CONTAINER_OF(post, struct pw_revival, post);
    struct pw_batch *batch = revival->batch;
    revival->answer = (struct pw_answer){.epoch = post->epoch, .verdict = PYWATT_HEALTHY};
    if (status == PYWATT_OK) {
        status =
            pw_read_reply(revival->step.operation, response, &revival->answer, &revival->words);
    } else {
        revival->words = *error;
    }
    revival->status = status;
    pw_mutex_lock(&batch->lock);
    pw_list_append(&batch->ended_revivals, &revival->link);
    batch->answered++;
    if (batch->waiting) {
        batch->waiting = false;
        pw_cond_signal(&batch->ended);
    }
    pw_mutex_unlock(&batch->lock);
}

/* True if it is under way; else it could not be posted, was asked for here, and has its answer. */
static bool ask(struct pw_batch *batch, struct pw_revival *revival, struct pw_request *request)
{
    for (;;) {
        struct pywatt_error error;
        revival->post = (struct pw_post){.done = answered, .scratch = &batch->scratch};
        batch->posted++; /* before it may have ended */
        const enum pywatt_status status =
            pw_burst_post(&batch->burst, request, batch->deadline_ns, &revival->post, &error);
        if (status == PYWATT_OK) {
            return true;
        }
        batch->posted--;
        const unsigned count = pw_batch_under_way(batch);
        if (status != PYWATT_UNAVAILABLE || count == 0) {
            break;
        }
        pw_batch_wait_for(batch, count / 2);
    }
    revival->status =
        pw_ask(batch->client, request, batch->deadline_ns, &revival->answer, &revival->words);
    pw_burst_renew(&batch->burst);
    return false;
}

static enum pywatt_status end_step(struct pw_batch *batch, struct pw_revival *revival)
{
    return pw_recovery_step_ended(batch->beats[revival->index].module, &revival->step,
                                  revival->status, &revival->answer, &revival->deferral,
                                  &revival->words);
}

/* The next step, if there is one and all went well before, unless none can be made any more. */
static void go_on(struct pw_batch *batch, struct pass *pass, struct pw_revival *revival,
                  enum pywatt_status status)
{
    struct pywatt_module *module = batch->beats[revival->index].module;
    struct pw_request request;
    while (status == PYWATT_OK && pw_recovery_next_step(module, &revival->step, &request)) {
        if (batch->given_up.status != PYWATT_OK) {
            pw_recovery_step_drop(&revival->step);
            revival->words = batch->given_up;
            status = batch->given_up.status;
            break;
        }
        if (ask(batch, revival, &request)) {
            return;
        }
        status = end_step(batch, revival);
    }
    end_revival(batch, pass, revival, status);
}

/* Goes on with those that have been answered. */
static void take_in(struct pw_batch *batch, struct pass *pass)
{
    struct pw_list ended;
    struct pw_list *link;
    pw_list_init(&ended);
    pw_mutex_lock(&batch->lock);
    pw_list_splice(&ended, &batch->ended_revivals);
    pw_mutex_unlock(&batch->lock);
    while ((link = pw_list_pop(&ended)) != NULL) {
        struct pw_revival *revival = PW_CONTAINER_OF(link, struct pw_revival, link);
        if (revival->status == PYWATT_CONNECTION) { /* nothing of it has left */
            pw_recovery_step_drop(&revival->step);
            pw_burst_renew(&batch->burst);
            go_on(batch, pass, revival, PYWATT_OK);
        } else {
            go_on(batch, pass, revival, end_step(batch, revival));
        }
    }
}

static struct pw_revival *take_revival(struct pw_batch *batch, struct pass *pass)
{
    while (pw_list_empty(&batch->free_revivals)) {
        pw_batch_wait_for(batch, PW_BATCH_REVIVALS / 2);
        take_in(batch, pass);
    }
    return PW_CONTAINER_OF(pw_list_pop(&batch->free_revivals), struct pw_revival, link);
}

/* ---- All of them ---- */

static void begin(struct pw_batch *batch, struct pass *pass, size_t index)
{
    struct pywatt_module *module = batch->beats[index].module;
    struct pw_revival *revival = take_revival(batch, pass);
    enum pywatt_status status = PYWATT_OK;
    revival->index = index;
    revival->deferral = (struct pw_deferral){.retry_after_ms = 0};
    switch (pw_recovery_begin(module, &status, &revival->deferral, &revival->words)) {
    case PW_RECOVERY_BEGUN: go_on(batch, pass, revival, PYWATT_OK); return;
    case PW_RECOVERY_BUSY: pass->busy = module; break;
    case PW_RECOVERY_SETTLED:
        end_beat(batch, pass, index, status, &revival->deferral, &revival->words);
        break;
    }
    pw_list_append(&batch->free_revivals, &revival->link);
}

static void look_through_all(struct pw_batch *batch, struct pass *pass)
{
    pw_burst_begin(&batch->burst, batch->client->channel);
    for (size_t i = 0; i < batch->count && batch->given_up.status == PYWATT_OK; i++) {
        if (batch->beats[i].status == PW_BEAT_FORGOTTEN) {
            begin(batch, pass, i);
        }
    }
    do {
        pw_batch_wait_for(batch, 0);
        take_in(batch, pass);
    } while (pw_batch_under_way(batch) > 0);
    pw_burst_end(&batch->burst);
}

/* Until some may come again, or somebody else has ended; false if that is not to be waited for. */
static bool wait_for_the_rest(struct pw_batch *batch, struct pass *pass)
{
    struct pywatt_client *client = batch->client;
    if (batch->given_up.status != PYWATT_OK) {
        return false;
    }
    if (pass->busy != NULL) {
        if (!pw_handle_settle(pass->busy, batch->deadline_ns)) {
            batch->given_up.status =
                pw_error_set(&batch->given_up, PYWATT_TIMEOUT,
                             "no reply before the deadline: the module is being registered again");
        }
        return batch->given_up.status == PYWATT_OK;
    }
    if (pass->soonest.retry_after_ms == 0) {
        return false;
    }
    const uint64_t earliest_ns = pw_deadline_after_ms(pw_clock_now_ns(client->clock), PATIENCE_MS);
    if (pass->soonest.again_ns < earliest_ns && earliest_ns < batch->deadline_ns) {
        pass->soonest.again_ns = earliest_ns;
    }
    batch->given_up.status =
        pw_deferral_wait(client, &pass->soonest, batch->deadline_ns, &batch->given_up);
    return batch->given_up.status == PYWATT_OK;
}

/* Finds those that are to be registered again; how many. Others keep their status. */
static size_t choose(struct pw_batch *batch)
{
    size_t chosen = 0;
    const size_t first = batch->again_at;
    batch->again_at = batch->count;
    for (size_t i = first; i < batch->count; i++) {
        struct pywatt_beat *beat = &batch->beats[i];
        enum pywatt_status status;
        if (!pw_batch_is_to_try(beat, &status)) {
            continue;
        }
        if (pw_handle_unwell(beat->module) ||
            pw_handle_forgotten_since(beat->module, batch->began_ns, status, batch->began_epoch)) {
            beat->status = PW_BEAT_FORGOTTEN;
            chosen++;
        } else if (batch->again_at == batch->count) {
            batch->again_at = i;
        }
    }
    return chosen;
}

bool pw_batch_revive(struct pw_batch *batch)
{
    /* The heartbeat thread cannot wait for what it reads itself. */
    if (pw_client_role(batch->client) == PW_THREAD_HEARTBEAT ||
        batch->given_up.status != PYWATT_OK || choose(batch) == 0) {
        return false;
    }
    init_revivals(batch);
    struct pass pass;
    do {
        pass = (struct pass){.busy = NULL};
        look_through_all(batch, &pass);
    } while (wait_for_the_rest(batch, &pass));
    bool pending = false;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->beats[i].status == PW_BEAT_FORGOTTEN) {
            pw_batch_fail(batch, i, batch->given_up.status, batch->given_up.text);
        }
        pending |= batch->beats[i].status == PW_BEAT_PENDING;
    }
    return pending;
}
