/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.c - pywatt_heartbeat_batch: beats of many modules, as few messages and as much at once as
 * the orchestrator takes.
 *
 * Runs in the calling thread, which fills frames and posts them; the answers are taken in by whoever
 * reads, mostly the heartbeat thread. `lock` guards what both touch. Where posting is impossible (no
 * connection yet, no room, an orchestrator that takes one request at a time, the heartbeat thread
 * itself) the frame goes out as a blocking call, which connects and waits its turn. Modules that the
 * orchestrator does not know any more are registered again side by side (batch_revive.c), and beat
 * once more; what is left then goes the way of a single heartbeat.
 */
#include "registry/batch.h"

#include "base/error.h"
#include "registry/batch_impl.h"
#include "transport/frame.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Beats that have messages of their own go to the kernel in pieces of so many. */
    SINGLES_IN_A_WRITE = 512,
    /* Whose modules are forgotten again at once goes the way of a single heartbeat. */
    REVIVALS_MOST = 2,
    REPLY_STORAGE = 2048
};

/* ---- The memory ----------------------------------------------------------------------------- */

static struct pw_batch *new_batch(struct pywatt_client *client)
{
    struct pw_batch *batch = malloc(sizeof(*batch));
    if (batch == NULL) {
        return NULL;
    }
    if (pw_mutex_init(&batch->lock) != PYWATT_OK) {
        free(batch);
        return NULL;
    }
    if (pw_cond_init(&batch->ended) != PYWATT_OK) {
        pw_mutex_destroy(&batch->lock);
        free(batch);
        return NULL;
    }
    batch->client = client;
    batch->uses = NULL;
    batch->room = 0;
    pw_buffer_init(&batch->scratch, PW_FRAME_HEADER_SIZE + client->settings.max_frame_bytes);
    return batch;
}

void pw_batch_free_all(struct pw_batch *first)
{
    while (first != NULL) {
        struct pw_batch *next = first->next;
        pw_buffer_destroy(&first->scratch);
        free(first->uses);
        pw_cond_destroy(&first->ended);
        pw_mutex_destroy(&first->lock);
        free(first);
        first = next;
    }
}

static struct pw_batch *take_memory(struct pywatt_client *client)
{
    pw_mutex_lock(&client->lock);
    struct pw_batch *batch = client->spare_batches;
    if (batch != NULL) {
        client->spare_batches = batch->next;
    }
    pw_mutex_unlock(&client->lock);
    return batch == NULL ? new_batch(client) : batch;
}

/* Not freed: who completed the last frame may still be on its way out of the batch's lock. */
static void give_back(struct pywatt_client *client, struct pw_batch *batch)
{
    pw_mutex_lock(&client->lock);
    batch->next = client->spare_batches;
    client->spare_batches = batch;
    pw_mutex_unlock(&client->lock);
}

/* Room to note something about each beat; false when memory is out. */
static bool make_room(struct pw_batch *batch, size_t count)
{
    if (count > batch->room) {
        pw_alias_use *uses = realloc(batch->uses, count * sizeof(*uses));
        if (uses == NULL) {
            return false;
        }
        batch->uses = uses;
        batch->room = count;
    }
    return true;
}

static void begin(struct pw_batch *batch, struct pywatt_beat *beats, size_t count)
{
    batch->beats = beats;
    batch->count = count;
    batch->deadline_ns = pw_client_deadline_ns(batch->client);
    pw_list_init(&batch->free_slots);
    pw_list_init(&batch->ended_slots);
    batch->slots_used = 0;
    batch->burst = (struct pw_burst){.correlator = NULL};
    batch->posted = 0;
    batch->answered = 0;
    batch->round_trips = (struct pw_round_trips){.beats = 0};
    batch->waiting = false;
    batch->failed_at = count;
    batch->again_at = count;
    batch->unsendable = 0;
    batch->given_up.status = PYWATT_OK;
    batch->deferred_rounds = 0;
}

/* ---- Sending --------------------------------------------------------------------------------- */

unsigned pw_batch_under_way(struct pw_batch *batch)
{
    pw_mutex_lock(&batch->lock);
    const unsigned count = batch->posted - batch->answered;
    pw_mutex_unlock(&batch->lock);
    return count;
}

/* Somebody else reads: sleeps until a frame has ended, of the `count` that are under way. */
static void wait_for_others(struct pw_batch *batch, unsigned count)
{
    pw_burst_end(&batch->burst);
    pw_mutex_lock(&batch->lock);
    bool in_time = true;
    while (batch->posted - batch->answered == count && in_time) {
        batch->waiting = true;
        in_time = pw_cond_wait_until(&batch->ended, &batch->lock, batch->deadline_ns);
    }
    batch->waiting = false;
    pw_mutex_unlock(&batch->lock);
    pw_burst_begin(&batch->burst, batch->client->channel);
}

/*
 * Waits until at most so many frames are under way. What the deadline ends does not wait for the
 * heartbeat thread, which may be inside of a health provider for long.
 */
void pw_batch_wait_for(struct pw_batch *batch, unsigned most)
{
    struct pywatt_client *client = batch->client;
    unsigned count;
    while ((count = pw_batch_under_way(batch)) > most) {
        if (pw_clock_now_ns(client->clock) >= batch->deadline_ns) {
            pw_channel_pump_expire(client->channel);
        }
        if (!pw_burst_read(&batch->burst, batch->deadline_ns)) {
            wait_for_others(batch, count);
        }
    }
}

/* The lock is taken only when all that are known to be free have been used. */
static struct pw_batch_slot *take_slot(struct pw_batch *batch)
{
    if (pw_list_empty(&batch->free_slots)) {
        if (batch->slots_used < PW_BATCH_SLOTS) {
            struct pw_batch_slot *slot = &batch->slots[batch->slots_used++];
            slot->batch = batch;
            pw_list_init(&slot->link);
            return slot;
        }
        pw_mutex_lock(&batch->lock);
        pw_list_splice(&batch->free_slots, &batch->ended_slots);
        pw_mutex_unlock(&batch->lock);
    }
    struct pw_list *link = pw_list_pop(&batch->free_slots);
    return link == NULL ? NULL : PW_CONTAINER_OF(link, struct pw_batch_slot, link);
}

static uint64_t seen_epoch(const struct pw_batch *batch)
{
    return batch->fresh ? 0 : batch->epoch;
}

/* The peer takes no batches, or has not said so yet: its beats go out in the next round. */
static void put_off(struct pw_batch *batch)
{
    pw_mutex_lock(&batch->lock);
    batch->unsent = true;
    pw_mutex_unlock(&batch->lock);
}

/* Sends the frame and waits for its answer. If that cannot be had, no other will be. */
static void call(struct pw_batch *batch, struct pw_request *request, size_t first)
{
    _Alignas(max_align_t) unsigned char storage[REPLY_STORAGE];
    struct pw_arena arena;
    struct pw_response response;
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_client *client = batch->client;
    const struct pw_batch_slot slot = {.first = first,
                                       .count = batch->filled,
                                       .sent_ns = pw_clock_now_ns(client->clock),
                                       .seen_epoch = seen_epoch(batch)};
    uint64_t epoch = 0;
    pw_arena_init_with(&arena, PW_CODEC_ARENA_BUDGET, storage, sizeof(storage));
    pw_response_init(&response);
    const enum pywatt_status status = pw_channel_call(client->channel, request, batch->deadline_ns,
                                                      &arena, &response, &epoch, &error);
    if (status == PYWATT_UNSUPPORTED) {
        put_off(batch);
    } else {
        pw_mutex_lock(&batch->lock);
        pw_batch_settle_locked(batch, &slot, epoch, pw_clock_now_ns(client->clock), status,
                               &response, &error);
        pw_mutex_unlock(&batch->lock);
    }
    if (status == PYWATT_CONNECTION || status == PYWATT_TIMEOUT || status == PYWATT_CLOSED) {
        batch->given_up = error;
        batch->given_up.status = status;
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
}

/* Posts the frame. If that cannot be done now, it may be once others have ended. */
static enum pywatt_status post(struct pw_batch *batch, struct pw_request *request, size_t first)
{
    struct pywatt_error error;
    struct pw_batch_slot *slot = take_slot(batch);
    if (slot == NULL) {
        return PYWATT_UNAVAILABLE;
    }
    slot->first = first;
    slot->count = batch->filled;
    slot->seen_epoch = seen_epoch(batch);
    slot->sent_ns = batch->now_ns;
    slot->post = (struct pw_post){.done = pw_batch_answered, .scratch = &batch->scratch};
    batch->posted++; /* before it may have ended */
    const enum pywatt_status status =
        pw_burst_post(&batch->burst, request, batch->deadline_ns, &slot->post, &error);
    if (status != PYWATT_OK) {
        batch->posted--;
        pw_list_append(&batch->free_slots, &slot->link);
    }
    if (status == PYWATT_CONNECTION) {
        pw_burst_renew(&batch->burst);
    }
    return status;
}

static void send(struct pw_batch *batch, size_t first, bool together, bool may_post)
{
    struct pw_request request = pw_batch_request(batch, together);
    while (may_post) {
        const enum pywatt_status status = post(batch, &request, first);
        if (status == PYWATT_UNSUPPORTED) {
            put_off(batch);
        }
        if (status == PYWATT_OK || status == PYWATT_UNSUPPORTED) {
            return;
        }
        const unsigned count = pw_batch_under_way(batch);
        if (count == 0) {
            break;
        }
        /* Half of them, so that what goes out then goes out in large pieces, too. */
        pw_batch_wait_for(batch, count / 2);
    }
    call(batch, &request, first);
}

/* All that is pending goes out; what comes back unsent is pending again. */
static void send_round(struct pw_batch *batch, bool may_post)
{
    struct pywatt_client *client = batch->client;
    size_t at = 0;
    while (at < batch->count && batch->given_up.status == PYWATT_OK) {
        if (may_post) {
            pw_burst_renew(&batch->burst);
        }
        const bool together = pw_beat_frames_allowed(client);
        batch->epoch = pw_channel_epoch(client->channel);
        batch->alias_epoch = pw_alias_epoch(&client->aliases, batch->epoch);
        batch->now_ns = pw_clock_now_ns(client->clock);
        for (unsigned n = together ? 1 : SINGLES_IN_A_WRITE; n > 0 && at < batch->count; n--) {
            const size_t first = at;
            at = pw_batch_fill(batch, first, together);
            if (batch->filled > 0) {
                send(batch, first, together, may_post);
            }
        }
        pw_burst_flush(&batch->burst);
    }
    pw_batch_wait_for(batch, 0);
}

/* Some were refused for now: waits until they may be sent again. The burst has ended. */
static void wait_to_come_again(struct pw_batch *batch)
{
    batch->given_up.status =
        pw_deferral_wait(batch->client, &batch->deferral, batch->deadline_ns, &batch->given_up);
}

/* Round by round, until nothing is pending, or it has to wait. */
static void send_burst(struct pw_batch *batch, bool may_post)
{
    if (may_post) {
        pw_burst_begin(&batch->burst, batch->client->channel);
    }
    do {
        batch->unsent = false;
        send_round(batch, may_post);
    } while (batch->unsent && batch->given_up.status == PYWATT_OK &&
             batch->deferral.retry_after_ms == 0);
    if (may_post) {
        pw_burst_end(&batch->burst);
    }
    pw_mutex_lock(&batch->lock);
    pw_batch_tell_round_trips_locked(batch);
    pw_mutex_unlock(&batch->lock);
}

static void send_all(struct pw_batch *batch)
{
    /* The heartbeat thread is who takes answers in: it cannot wait for itself. */
    const bool may_post = pw_client_role(batch->client) != PW_THREAD_HEARTBEAT;
    batch->began_ns = pw_clock_now_ns(batch->client->clock);
    batch->began_epoch = pw_channel_epoch(batch->client->channel);
    do {
        batch->deferral = (struct pw_deferral){.retry_after_ms = 0};
        send_burst(batch, may_post);
        if (batch->deferral.retry_after_ms != 0 && batch->given_up.status == PYWATT_OK) {
            batch->deferred_rounds++;
            wait_to_come_again(batch);
        }
    } while (batch->deferral.retry_after_ms != 0 && batch->given_up.status == PYWATT_OK);
    for (size_t i = 0; i < batch->count; i++) {
        if (pw_beat_is_pending(&batch->beats[i])) {
            pw_batch_refuse(batch, i, batch->given_up.status, batch->given_up.text);
        }
    }
}

/* ---- The call -------------------------------------------------------------------------------- */

bool pw_batch_is_over(const struct pw_batch *batch, enum pywatt_status status)
{
    struct pywatt_client *client = batch->client;
    bool over = status == PYWATT_CONNECTION;
    if (status == PYWATT_TIMEOUT) {
        over = pw_clock_now_ns(client->clock) >= batch->deadline_ns;
    } else if (status == PYWATT_CLOSED) { /* or the module is unregistered */
        pw_mutex_lock(&client->lock);
        over = client->closed;
        pw_mutex_unlock(&client->lock);
    }
    return over;
}

static enum pywatt_status beat_alone(struct pw_batch *batch, struct pywatt_beat *beat,
                                     struct pywatt_error *error)
{
    struct pw_errand errand;
    pw_errand_init(&errand, PW_OP_HEARTBEAT, beat->module, batch->deadline_ns);
    errand.health = beat->health;
    const enum pywatt_status status = pw_errand_run(&errand, error);
    if (status == PYWATT_OK) {
        beat->status = PYWATT_OK;
        beat->verdict = errand.verdict;
    }
    pw_errand_clear(&errand);
    return status;
}

/* Once more, one by one, those whose module may have to be registered again. */
static void try_again(struct pw_batch *batch)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    bool over = false;
    for (size_t i = batch->again_at; i < batch->count; i++) {
        struct pywatt_beat *beat = &batch->beats[i];
        enum pywatt_status status;
        if (!pw_batch_is_to_try(beat, &status)) {
            continue;
        }
        status = over ? error.status : beat_alone(batch, beat, &error);
        if (status != PYWATT_OK) {
            error.status = status;
            over = over || pw_batch_is_over(batch, status);
            pw_batch_fail(batch, i, status, error.text);
        }
    }
}

/* The words of a beat that was tried alone may say already what they are about. */
static bool names_it(const char *text)
{
    static const char prefix[] = "heartbeat of ";
    return strncmp(text, prefix, sizeof(prefix) - 1) == 0;
}

static enum pywatt_status finish(struct pw_batch *batch, struct pywatt_error *error)
{
    try_again(batch);
    if (batch->failed_at == batch->count) {
        return PYWATT_OK;
    }
    const struct pywatt_beat *beat = &batch->beats[batch->failed_at];
    if (beat->module != NULL) {
        pw_error_set(error, beat->status, "%s", batch->failure.text);
        if (!names_it(batch->failure.text)) {
            pw_prefix_operation(error, PW_OP_HEARTBEAT, beat->module);
        }
        return beat->status;
    }
    return pw_error_set(error, beat->status, "beat %zu of the batch: %s", batch->failed_at,
                        batch->failure.text);
}

static void count_beats(struct pw_batch *batch)
{
    struct pywatt_client *client = batch->client;
    uint64_t failed = 0;
    for (size_t i = batch->failed_at; i < batch->count; i++) {
        failed += batch->beats[i].status != PYWATT_OK ? 1 : 0;
    }
    pw_count(&client->counters.beats_sent, batch->count - batch->unsendable);
    pw_count(&client->counters.beats_answered, batch->count - failed);
    pw_count(&client->counters.beats_failed, failed);
}

static enum pywatt_status run(struct pywatt_client *client, struct pywatt_beat *beats, size_t count,
                              struct pywatt_error *error)
{
    enum pywatt_status status = pw_client_start_threads(client, error);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pw_batch *batch = take_memory(client);
    if (batch == NULL) {
        return pw_error_no_memory(error);
    }
    if (make_room(batch, count)) {
        begin(batch, beats, count);
        send_all(batch);
        for (int i = 0; i < REVIVALS_MOST && pw_batch_revive(batch); i++) {
            send_all(batch);
        }
        status = finish(batch, error);
        count_beats(batch);
    } else {
        status = pw_error_no_memory(error);
    }
    give_back(client, batch);
    return status;
}

static enum pywatt_status enter_and_run(struct pywatt_client *client, struct pywatt_beat *beats,
                                        size_t count, struct pywatt_error *error)
{
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    const enum pywatt_status status = run(client, beats, count, error);
    pw_client_leave(client);
    return status;
}

enum pywatt_status pywatt_heartbeat_batch(struct pywatt_client *client, struct pywatt_beat *beats,
                                          size_t count, struct pywatt_error *error)
{
    if (beats == NULL && count > 0) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat batch: beats is NULL");
    }
    if (client != NULL && count == 0) {
        return PYWATT_OK;
    }
    for (size_t i = 0; i < count; i++) {
        beats[i].status = PW_BEAT_PENDING;
    }
    const enum pywatt_status status =
        client == NULL
            ? pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat batch: client is NULL")
            : enter_and_run(client, beats, count, error);
    /* If it ended before it began, that is how each of them ended. */
    for (size_t i = 0; i < count && beats[i].status == PW_BEAT_PENDING; i++) {
        beats[i].status = status;
    }
    return status;
}
