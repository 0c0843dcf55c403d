/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.c - pywatt_heartbeat_batch: beats of many modules, as few messages and as much at once as
 * the orchestrator takes.
 *
 * Runs in the calling thread, which fills frames and posts them; the answers are taken in by whoever
 * reads, mostly the heartbeat thread. `lock` guards what both touch. Where posting is impossible (no
 * connection yet, no room, an orchestrator that takes one request at a time, the heartbeat thread
 * itself) the frame goes out as a blocking call, which connects and waits its turn. A module that
 * the orchestrator does not know any more goes the way of a single heartbeat, at the end.
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
    pw_buffer_init(&batch->scratch, PW_FRAME_HEADER_SIZE + client->settings.max_frame_bytes);
    return batch;
}

void pw_batch_free(struct pw_batch *batch)
{
    if (batch != NULL) {
        pw_buffer_destroy(&batch->scratch);
        pw_cond_destroy(&batch->ended);
        pw_mutex_destroy(&batch->lock);
        free(batch);
    }
}

static struct pw_batch *take_memory(struct pywatt_client *client)
{
    pw_mutex_lock(&client->lock);
    struct pw_batch *batch = client->spare_batch;
    client->spare_batch = NULL;
    pw_mutex_unlock(&client->lock);
    return batch == NULL ? new_batch(client) : batch;
}

static void give_back(struct pywatt_client *client, struct pw_batch *batch)
{
    pw_mutex_lock(&client->lock);
    if (client->spare_batch == NULL) {
        client->spare_batch = batch;
        batch = NULL;
    }
    pw_mutex_unlock(&client->lock);
    pw_batch_free(batch);
}

static void begin(struct pw_batch *batch, struct pywatt_beat *beats, size_t count)
{
    batch->beats = beats;
    batch->count = count;
    batch->deadline_ns = pw_client_deadline_ns(batch->client);
    pw_list_init(&batch->free);
    for (unsigned i = 0; i < PW_BATCH_SLOTS; i++) {
        batch->slots[i].batch = batch;
        pw_list_init(&batch->slots[i].link);
        pw_list_append(&batch->free, &batch->slots[i].link);
    }
    batch->under_way = 0;
    batch->waiting = false;
    batch->failed_at = count;
    batch->given_up.status = PYWATT_OK;
    for (size_t i = 0; i < count; i++) {
        beats[i].status = PW_BEAT_PENDING;
    }
}

/* ---- Sending --------------------------------------------------------------------------------- */

static unsigned under_way(struct pw_batch *batch)
{
    pw_mutex_lock(&batch->lock);
    const unsigned count = batch->under_way;
    pw_mutex_unlock(&batch->lock);
    return count;
}

/* Somebody else reads: sleeps until a frame has ended, of the `count` that are under way. */
static void wait_for_others(struct pw_batch *batch, unsigned count)
{
    pw_channel_burst_end(batch->client->channel);
    pw_mutex_lock(&batch->lock);
    while (batch->under_way == count) {
        batch->waiting = true;
        pw_cond_wait(&batch->ended, &batch->lock);
    }
    pw_mutex_unlock(&batch->lock);
    pw_channel_burst_begin(batch->client->channel);
}

/* Waits until at most so many frames are under way. */
static void wait_for_frames(struct pw_batch *batch, unsigned most)
{
    unsigned count;
    while ((count = under_way(batch)) > most) {
        if (!pw_channel_burst_read(batch->client->channel, batch->deadline_ns)) {
            wait_for_others(batch, count);
        }
    }
}

static struct pw_batch_slot *take_slot(struct pw_batch *batch)
{
    pw_mutex_lock(&batch->lock);
    struct pw_list *link = pw_list_pop(&batch->free);
    batch->under_way += link == NULL ? 0 : 1;
    pw_mutex_unlock(&batch->lock);
    return link == NULL ? NULL : PW_CONTAINER_OF(link, struct pw_batch_slot, link);
}

static void return_slot(struct pw_batch *batch, struct pw_batch_slot *slot)
{
    pw_mutex_lock(&batch->lock);
    pw_list_append(&batch->free, &slot->link);
    batch->under_way--;
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
                                       .sent_ns = pw_clock_now_ns(batch->client->clock),
                                       .fresh = batch->fresh};
    uint64_t epoch = 0;
    pw_arena_init_with(&arena, PW_CODEC_ARENA_BUDGET, storage, sizeof(storage));
    pw_response_init(&response);
    const enum pywatt_status status = pw_channel_call(
        batch->client->channel, request, batch->deadline_ns, &arena, &response, &epoch, &error);
    pw_mutex_lock(&batch->lock);
    pw_batch_settle_locked(batch, &slot, epoch, pw_clock_now_ns(client->clock), status, &response,
                           &error);
    pw_mutex_unlock(&batch->lock);
    if (status == PYWATT_CONNECTION || status == PYWATT_TIMEOUT || status == PYWATT_CLOSED) {
        batch->given_up = error;
        batch->given_up.status = status;
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
}

/* Posts the frame: true. False: it cannot be posted now; it may be once others have ended. */
static bool post(struct pw_batch *batch, struct pw_request *request, size_t first)
{
    struct pywatt_error error;
    struct pw_batch_slot *slot = take_slot(batch);
    if (slot == NULL) {
        return false;
    }
    slot->first = first;
    slot->count = batch->filled;
    slot->fresh = batch->fresh;
    slot->sent_ns = batch->now_ns;
    slot->post = (struct pw_post){.done = pw_batch_answered, .scratch = &batch->scratch};
    const enum pywatt_status status =
        pw_channel_post(batch->client->channel, request, batch->deadline_ns, &slot->post, &error);
    if (status != PYWATT_OK) {
        return_slot(batch, slot);
    }
    return status == PYWATT_OK;
}

static void send(struct pw_batch *batch, size_t first, bool as_batch, bool may_post)
{
    struct pw_request request = pw_batch_request(batch, as_batch);
    while (may_post) {
        if (post(batch, &request, first)) {
            return;
        }
        const unsigned count = under_way(batch);
        if (count == 0) {
            break;
        }
        /* Half of them, so that what goes out then goes out in large pieces, too. */
        wait_for_frames(batch, count / 2);
    }
    call(batch, &request, first);
}

/* All that is pending goes out; what comes back unsent is pending again. */
static void send_round(struct pw_batch *batch, bool may_post)
{
    struct pywatt_client *client = batch->client;
    size_t at = 0;
    while (at < batch->count && batch->given_up.status == PYWATT_OK) {
        const bool as_batch = pw_beat_frames_allowed(client);
        batch->epoch = pw_channel_epoch(client->channel);
        batch->now_ns = pw_clock_now_ns(client->clock);
        for (unsigned n = as_batch ? 1 : SINGLES_IN_A_WRITE; n > 0 && at < batch->count; n--) {
            const size_t first = at;
            at = pw_batch_fill(batch, first, as_batch ? PW_BEAT_FRAME_MAX : 1);
            if (batch->filled > 0) {
                send(batch, first, as_batch, may_post);
            }
        }
        pw_channel_flush(client->channel);
    }
    wait_for_frames(batch, 0);
}

static void send_all(struct pw_batch *batch)
{
    /* The heartbeat thread is who takes answers in: it cannot wait for itself. */
    const bool may_post = pw_client_role(batch->client) != PW_THREAD_HEARTBEAT;
    if (may_post) {
        pw_channel_burst_begin(batch->client->channel);
    }
    do {
        batch->unsent = false;
        send_round(batch, may_post);
    } while (batch->unsent && batch->given_up.status == PYWATT_OK);
    if (may_post) {
        pw_channel_burst_end(batch->client->channel);
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->beats[i].status == PW_BEAT_PENDING) {
            pw_batch_refuse(batch, i, batch->given_up.status, batch->given_up.text);
        }
    }
}

/* ---- The call -------------------------------------------------------------------------------- */

static void note_success(struct pw_batch *batch, size_t index, enum pywatt_health verdict)
{
    batch->beats[index].status = PYWATT_OK;
    batch->beats[index].verdict = verdict;
}

/* Once more, one by one, those whose module may have to be registered again. */
static void try_again(struct pw_batch *batch)
{
    const size_t count = batch->count;
    size_t failed_at = count;
    for (size_t i = batch->failed_at; i < count; i++) {
        struct pywatt_beat *beat = &batch->beats[i];
        struct pywatt_error error;
        if (beat->status == PYWATT_MODULE_NOT_FOUND || beat->status == PYWATT_INVALID_TOKEN) {
            struct pw_errand errand;
            pw_errand_init(&errand, PW_OP_HEARTBEAT, beat->module, batch->deadline_ns);
            errand.health = beat->health;
            beat->status = pw_errand_run(&errand, &error);
            if (beat->status == PYWATT_OK) {
                note_success(batch, i, errand.verdict);
            } else if (failed_at == count) {
                batch->failure = error;
            }
            pw_errand_clear(&errand);
        }
        if (beat->status != PYWATT_OK && failed_at == count) {
            failed_at = i;
            batch->failure.status = beat->status;
        }
    }
    batch->failed_at = failed_at;
}

static enum pywatt_status finish(struct pw_batch *batch, struct pywatt_error *error)
{
    if (batch->failed_at < batch->count) {
        try_again(batch);
    }
    if (batch->failed_at == batch->count) {
        return PYWATT_OK;
    }
    const struct pywatt_beat *beat = &batch->beats[batch->failed_at];
    if (beat->module != NULL) {
        pw_error_set(error, beat->status, "%s", batch->failure.text);
        pw_prefix_operation(error, PW_OP_HEARTBEAT, beat->module);
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
    pw_count(&client->counters.beats_sent, batch->count);
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
    begin(batch, beats, count);
    send_all(batch);
    status = finish(batch, error);
    count_beats(batch);
    give_back(client, batch);
    return status;
}

enum pywatt_status pywatt_heartbeat_batch(struct pywatt_client *client, struct pywatt_beat *beats,
                                          size_t count, struct pywatt_error *error)
{
    if (client == NULL || (beats == NULL && count > 0)) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat batch: %s is NULL",
                            client == NULL ? "client" : "beats");
    }
    if (count == 0) {
        return PYWATT_OK;
    }
    if (!pw_client_enter(client)) {
        return pw_client_is_closed(error);
    }
    const enum pywatt_status status = run(client, beats, count, error);
    pw_client_leave(client);
    return status;
}
