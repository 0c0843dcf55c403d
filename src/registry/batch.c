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
#include "registry/client.h"
#include "registry/operation.h"
#include "transport/frame.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKEN_BYTES = PW_BEAT_FRAME_MAX * 64,
    /* Frames under way. */
    SLOTS = 512,
    /* Single beats go to the kernel in pieces of so many. */
    SINGLES_IN_A_WRITE = 128,
    /* How many beats ahead the memory of their modules is asked for. */
    AHEAD = 8,
    REPLY_STORAGE = 2048
};

/* In place of a status: the beat has not been sent yet, or is to be sent again. */
#define PENDING ((enum pywatt_status) - 1)

/* A frame under way, with the beats first to first + count - 1. */
struct slot {
    struct pw_post post;
    struct pw_list link; /* among the free ones */
    struct pw_batch *batch;
    size_t first;
    uint32_t count;
    uint64_t sent_ns;
    bool fresh; /* some module of it has had no success on this connection yet */
};

/* A call's memory; the client keeps one for the next call. */
struct pw_batch {
    struct pywatt_client *client;
    struct pywatt_beat *beats;
    size_t count;
    uint64_t deadline_ns;
    uint64_t began_ns;

    struct pw_mutex lock;
    struct pw_cond ended;
    /* Guarded by lock; `failed_at` and `failure` are the caller's once nothing is under way. */
    struct pw_list free;
    unsigned under_way;
    bool waiting;     /* the caller sleeps until a frame has ended */
    bool unsent;      /* some frame could not leave before the connection broke */
    size_t failed_at; /* the first beat that failed so far, `count` if none has */
    struct pywatt_error failure;

    /* The caller's. */
    struct pywatt_error given_up; /* why nothing can be sent any more, or PYWATT_OK */
    uint32_t filled;
    uint64_t epoch; /* of the connection, when the frame was filled */
    bool fresh;     /* as in a slot */
    size_t token_bytes;
    size_t frame_bytes;
    struct pw_buffer scratch;
    struct pw_batched_beat rows[PW_BEAT_FRAME_MAX];
    char tokens[TOKEN_BYTES];
    struct slot slots[SLOTS];
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
    batch->began_ns = pw_clock_now_ns(batch->client->clock);
    batch->deadline_ns = pw_deadline_after_ms(batch->began_ns, batch->client->settings.timeout_ms);
    pw_list_init(&batch->free);
    for (unsigned i = 0; i < SLOTS; i++) {
        batch->slots[i].batch = batch;
        pw_list_init(&batch->slots[i].link);
        pw_list_append(&batch->free, &batch->slots[i].link);
    }
    batch->under_way = 0;
    batch->waiting = false;
    batch->failed_at = count;
    batch->given_up.status = PYWATT_OK;
    for (size_t i = 0; i < count; i++) {
        beats[i].status = PENDING;
    }
}

/* ---- Results: whoever reads, or the caller --------------------------------------------------- */

static void note_failure_locked(struct pw_batch *batch, size_t index, enum pywatt_status status,
                                const char *text, size_t len)
{
    batch->beats[index].status = status;
    if (index < batch->failed_at) {
        batch->failed_at = index;
        pw_error_set(&batch->failure, status, "%.*s",
                     len < PYWATT_ERROR_TEXT_MAX ? (int)len : PYWATT_ERROR_TEXT_MAX, text);
    }
}

static void fail_all_locked(struct pw_batch *batch, const struct slot *slot,
                            const struct pywatt_error *error)
{
    for (uint32_t i = 0; i < slot->count; i++) {
        note_failure_locked(batch, slot->first + i, error->status, error->text,
                            strlen(error->text));
    }
}

static void succeed(const struct pw_batch *batch, size_t index, enum pywatt_health verdict)
{
    batch->beats[index].status = PYWATT_OK;
    batch->beats[index].verdict = verdict;
}

/* Modules whose beats went well have been seen on this connection. */
static void note_epoch(const struct pw_batch *batch, const struct slot *slot, uint64_t epoch)
{
    for (size_t i = slot->first; i < slot->first + slot->count; i++) {
        if (batch->beats[i].status == PYWATT_OK) {
            atomic_store_explicit(&batch->beats[i].module->success_epoch, epoch,
                                  memory_order_relaxed);
        }
    }
}

static void take_exception_locked(struct pw_batch *batch, size_t index,
                                  const struct pw_beat_exception *exception)
{
    if (exception->status == PYWATT_OK) {
        succeed(batch, index, exception->health);
        return;
    }
    const struct pw_str text = exception->error.len > 0
                                   ? exception->error
                                   : pw_str_from(pywatt_status_text(exception->status));
    note_failure_locked(batch, index, exception->status, text.data, text.len);
}

static void take_beats_locked(struct pw_batch *batch, const struct slot *slot,
                              const struct pw_response *response)
{
    for (size_t i = slot->first; i < slot->first + slot->count; i++) {
        succeed(batch, i, batch->beats[i].health);
    }
    for (uint32_t i = 0; i < response->exception_count; i++) {
        const struct pw_beat_exception *exception = &response->exceptions[i];
        take_exception_locked(batch, slot->first + exception->index, exception);
    }
}

/* Takes in the answer to a slot, which came over the connection `epoch`, or why there is none. */
static void settle_locked(struct pw_batch *batch, const struct slot *slot, uint64_t epoch,
                          enum pywatt_status status, const struct pw_response *response,
                          const struct pywatt_error *error)
{
    struct pywatt_error words = {PYWATT_OK, ""};
    struct pw_answer answer = {.verdict = PYWATT_HEALTHY};
    if (status != PYWATT_OK) {
        words = *error;
        words.status = status;
    } else {
        const uint64_t now_ns = pw_clock_now_ns(batch->client->clock);
        pw_recorder_add(&batch->client->counters.round_trips, now_ns - slot->sent_ns, slot->count);
        status = pw_read_reply(response->operation, response, &answer, &words);
    }
    if (status == PYWATT_OK && response->operation == PW_OP_HEARTBEAT_BATCH &&
        response->beat_count != slot->count) {
        status =
            pw_error_set(&words, PYWATT_SERIALIZATION, "the reply is to %u beats, and %u were sent",
                         response->beat_count, slot->count);
    }
    if (status != PYWATT_OK) {
        fail_all_locked(batch, slot, &words);
        return;
    }
    if (response->operation == PW_OP_HEARTBEAT_BATCH) {
        take_beats_locked(batch, slot, response);
    } else {
        succeed(batch, slot->first, answer.verdict);
    }
    if (slot->fresh) {
        note_epoch(batch, slot, epoch);
    }
}

static void answered(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error)
{
    struct slot *slot = PW_CONTAINER_OF(post, struct slot, post);
    struct pw_batch *batch = slot->batch;
    pw_mutex_lock(&batch->lock);
    if (status == PYWATT_CONNECTION) {
        batch->unsent = true; /* its beats are pending still */
    } else {
        settle_locked(batch, slot, post->epoch, status, response, error);
    }
    pw_list_append(&batch->free, &slot->link);
    batch->under_way--;
    if (batch->waiting) {
        batch->waiting = false;
        pw_cond_signal(&batch->ended); /* under the lock: the caller may free it all after this */
    }
    pw_mutex_unlock(&batch->lock);
}

/* ---- Filling a frame ------------------------------------------------------------------------- */

static bool is_health(enum pywatt_health health)
{
    return (int)health >= PYWATT_HEALTHY && (int)health <= PYWATT_UNHEALTHY;
}

static void refuse(struct pw_batch *batch, size_t index, enum pywatt_status status,
                   const char *text)
{
    pw_mutex_lock(&batch->lock);
    note_failure_locked(batch, index, status, text, strlen(text));
    pw_mutex_unlock(&batch->lock);
}

/* Copies what the module beats with into the next row; false if it does not fit any more. */
static bool add_row(struct pw_batch *batch, struct pywatt_beat *beat)
{
    struct pw_batched_beat *row = &batch->rows[batch->filled];
    char *token = batch->tokens + batch->token_bytes;
    const size_t len = pw_handle_card(beat->module, row, token, TOKEN_BYTES - batch->token_bytes);
    const size_t bytes = PW_BEAT_OVERHEAD + len;
    if (len == 0 || (batch->filled > 0 && batch->frame_bytes + bytes + PW_BEAT_FRAME_OVERHEAD >
                                              batch->client->settings.max_frame_bytes)) {
        return false;
    }
    row->token = (struct pw_str){token, len};
    row->health = beat->health;
    batch->fresh |=
        atomic_load_explicit(&beat->module->success_epoch, memory_order_relaxed) != batch->epoch;
    batch->token_bytes += len;
    batch->frame_bytes += bytes;
    batch->filled++;
    return true;
}

/* Whether beat `index` can go into a frame at all; else it has its status already. */
static bool may_go(struct pw_batch *batch, size_t index)
{
    struct pywatt_beat *beat = &batch->beats[index];
    if (beat->status != PENDING) {
        return false;
    }
    if (beat->module == NULL || beat->module->client != batch->client || !is_health(beat->health)) {
        refuse(batch, index, PYWATT_INVALID_ARGUMENT,
               beat->module == NULL                    ? "the module is NULL"
               : beat->module->client != batch->client ? "the module belongs to another client"
                                                       : "its health is none of the three");
        return false;
    }
    if (pw_handle_unwell(beat->module)) {
        refuse(batch, index, PYWATT_MODULE_NOT_FOUND, "it has to be registered again first");
        return false;
    }
    return true;
}

/* Fills rows with beats from `first` on, `most` of them; the next one that is not in it. */
static size_t fill(struct pw_batch *batch, size_t first, uint32_t most)
{
    batch->filled = 0;
    batch->fresh = false;
    batch->epoch = pw_channel_epoch(batch->client->channel);
    batch->token_bytes = 0;
    batch->frame_bytes = 0;
    size_t at = first;
    while (at < batch->count && batch->filled < most) {
        if (at + AHEAD < batch->count) {
            const uint8_t *ahead = (const uint8_t *)batch->beats[at + AHEAD].module;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + PW_CACHE_LINE);
        }
        if (!may_go(batch, at)) {
            return at + 1;
        }
        if (!add_row(batch, &batch->beats[at])) {
            if (batch->filled > 0) {
                return at;
            }
            refuse(batch, at, PYWATT_CLOSED, "the module is unregistered");
            return at + 1;
        }
        at++;
    }
    return at;
}

static struct pw_request request_of(const struct pw_batch *batch, bool as_batch)
{
    const struct pw_batched_beat *row = &batch->rows[0];
    if (as_batch) {
        return (struct pw_request){
            .operation = PW_OP_HEARTBEAT_BATCH, .beats = batch->rows, .beat_count = batch->filled};
    }
    return (struct pw_request){.operation = PW_OP_HEARTBEAT,
                               .module_id = row->module_id,
                               .token = row->token,
                               .generation = row->generation,
                               .health = row->health};
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Sleeps until a frame has ended, or, if `all`, until none is under way. */
static void wait_for_frames(struct pw_batch *batch, bool all)
{
    pw_channel_flush(batch->client->channel);
    pw_mutex_lock(&batch->lock);
    const unsigned before = batch->under_way;
    while (batch->under_way > 0 && (all || batch->under_way == before)) {
        batch->waiting = true;
        pw_cond_wait(&batch->ended, &batch->lock);
    }
    pw_mutex_unlock(&batch->lock);
}

static struct slot *take_slot(struct pw_batch *batch)
{
    pw_mutex_lock(&batch->lock);
    struct pw_list *link = pw_list_pop(&batch->free);
    batch->under_way += link == NULL ? 0 : 1;
    pw_mutex_unlock(&batch->lock);
    return link == NULL ? NULL : PW_CONTAINER_OF(link, struct slot, link);
}

static bool return_slot(struct pw_batch *batch, struct slot *slot)
{
    pw_mutex_lock(&batch->lock);
    pw_list_append(&batch->free, &slot->link);
    batch->under_way--;
    const bool others = batch->under_way > 0;
    pw_mutex_unlock(&batch->lock);
    return others;
}

/* Sends the frame and waits for its answer. If that cannot be had, no other will be. */
static void call(struct pw_batch *batch, struct pw_request *request, size_t first)
{
    _Alignas(max_align_t) unsigned char storage[REPLY_STORAGE];
    struct pw_arena arena;
    struct pw_response response;
    struct pywatt_error error = {PYWATT_OK, ""};
    const struct slot slot = {.first = first,
                              .count = batch->filled,
                              .sent_ns = pw_clock_now_ns(batch->client->clock),
                              .fresh = batch->fresh};
    uint64_t epoch = 0;
    pw_arena_init_with(&arena, PW_CODEC_ARENA_BUDGET, storage, sizeof(storage));
    pw_response_init(&response);
    const enum pywatt_status status = pw_channel_call(
        batch->client->channel, request, batch->deadline_ns, &arena, &response, &epoch, &error);
    pw_mutex_lock(&batch->lock);
    settle_locked(batch, &slot, epoch, status, &response, &error);
    pw_mutex_unlock(&batch->lock);
    if (status == PYWATT_CONNECTION || status == PYWATT_TIMEOUT || status == PYWATT_CLOSED) {
        batch->given_up = error;
        batch->given_up.status = status;
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
}

/* Posts the frame: true. False: it cannot be posted now; it may be once others have ended. */
static bool post(struct pw_batch *batch, struct pw_request *request, size_t first, bool *others)
{
    struct pywatt_error error;
    struct slot *slot = take_slot(batch);
    *others = true;
    if (slot == NULL) {
        return false;
    }
    slot->first = first;
    slot->count = batch->filled;
    slot->fresh = batch->fresh;
    slot->sent_ns = pw_clock_now_ns(batch->client->clock);
    slot->post = (struct pw_post){.done = answered, .scratch = &batch->scratch};
    if (pw_channel_post(batch->client->channel, request, batch->deadline_ns, &slot->post, &error) ==
        PYWATT_OK) {
        return true;
    }
    *others = return_slot(batch, slot);
    return false;
}

static void send(struct pw_batch *batch, size_t first, bool as_batch, bool may_post)
{
    struct pw_request request = request_of(batch, as_batch);
    bool others = false;
    while (may_post) {
        if (post(batch, &request, first, &others)) {
            return;
        }
        if (!others) {
            break;
        }
        wait_for_frames(batch, false);
    }
    call(batch, &request, first);
}

/* All that is pending goes out; what comes back unsent is pending again. */
static void send_round(struct pw_batch *batch, bool may_post)
{
    struct pywatt_client *client = batch->client;
    unsigned unflushed = 0;
    size_t at = 0;
    while (at < batch->count && batch->given_up.status == PYWATT_OK) {
        const bool as_batch = pw_beat_frames_allowed(client);
        const size_t first = at;
        at = fill(batch, first, as_batch ? PW_BEAT_FRAME_MAX : 1);
        if (batch->filled == 0) {
            continue;
        }
        send(batch, first, as_batch, may_post);
        if (as_batch || ++unflushed == SINGLES_IN_A_WRITE) {
            pw_channel_flush(client->channel);
            unflushed = 0;
        }
    }
    wait_for_frames(batch, true);
}

static void send_all(struct pw_batch *batch)
{
    /* The heartbeat thread is who takes answers in: it cannot wait for itself. */
    const bool may_post = pw_client_role(batch->client) != PW_THREAD_HEARTBEAT;
    do {
        batch->unsent = false;
        send_round(batch, may_post);
    } while (batch->unsent && batch->given_up.status == PYWATT_OK);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->beats[i].status == PENDING) {
            refuse(batch, i, batch->given_up.status, batch->given_up.text);
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
