/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch_answers.c - from the answers to frames to the statuses of their beats. On whatever thread
 * reads, and on the caller's; the batch's lock guards what both touch.
 */
#include "registry/batch_impl.h"

#include "base/error.h"
#include "registry/module.h"

#include <string.h>

static void fail_locked(struct pw_batch *batch, size_t index, enum pywatt_status status,
                        const char *text, size_t len)
{
    batch->beats[index].status = status;
    if (index < batch->failed_at) {
        batch->failed_at = index;
        pw_error_set(&batch->failure, status, "%.*s",
                     len < PYWATT_ERROR_TEXT_MAX ? (int)len : PYWATT_ERROR_TEXT_MAX, text);
    }
}

static void note_failure_locked(struct pw_batch *batch, size_t index, enum pywatt_status status,
                                const char *text, size_t len)
{
    if (pw_handle_may_be_forgotten(status)) {
        /* What it comes to then are other words. */
        batch->beats[index].status = PW_BEAT_AGAIN(status);
        batch->again_at = index < batch->again_at ? index : batch->again_at;
    } else {
        fail_locked(batch, index, status, text, len);
    }
}

static void fail_all_locked(struct pw_batch *batch, const struct pw_batch_slot *slot,
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

/* Modules whose beats went well have been seen on this connection, and have their aliases there. */
static void note_epoch(const struct pw_batch *batch, const struct pw_batch_slot *slot,
                       uint64_t epoch)
{
    for (size_t i = slot->first; i < slot->first + slot->count; i++) {
        struct pywatt_module *module = batch->beats[i].module;
        if (batch->beats[i].status != PYWATT_OK) {
            continue;
        }
        atomic_store_explicit(&module->success_epoch, epoch, memory_order_relaxed);
        pw_alias_went_well(&module->alias, epoch, batch->uses[i]);
    }
}

/* Its beat goes out once more with the next round, in full. */
static void send_in_full_locked(struct pw_batch *batch, size_t index)
{
    batch->beats[index].status = PW_BEAT_PENDING_IN_FULL;
    batch->unsent = true;
}

static void send_all_in_full_locked(struct pw_batch *batch, const struct pw_batch_slot *slot,
                                    uint64_t epoch)
{
    pw_alias_refuse(&batch->client->aliases, epoch);
    for (size_t i = slot->first; i < slot->first + slot->count; i++) {
        send_in_full_locked(batch, i);
    }
}

static void take_exception_locked(struct pw_batch *batch, size_t index, uint64_t epoch,
                                  const struct pw_beat_exception *exception)
{
    const pw_alias_use use = batch->uses[index];
    if (exception->status == PYWATT_OK) {
        succeed(batch, index, exception->health);
        return;
    }
    if (exception->status == PW_ALIAS_UNKNOWN && pw_alias_is_used(use)) {
        pw_alias_doubt(&batch->beats[index].module->alias, epoch, use);
        send_in_full_locked(batch, index);
        return;
    }
    const struct pw_str text = exception->error.len > 0
                                   ? exception->error
                                   : pw_str_from(pywatt_status_text(exception->status));
    note_failure_locked(batch, index, exception->status, text.data, text.len);
}

static void take_beats_locked(struct pw_batch *batch, const struct pw_batch_slot *slot,
                              uint64_t epoch, const struct pw_response *response)
{
    for (size_t i = slot->first; i < slot->first + slot->count; i++) {
        succeed(batch, i, batch->beats[i].health);
    }
    for (uint32_t i = 0; i < response->exception_count; i++) {
        const struct pw_beat_exception *exception = &response->exceptions[i];
        take_exception_locked(batch, slot->first + exception->index, epoch, exception);
    }
}

/* Its beats are pending still: they go out with the next round, which begins then. */
static void defer_locked(struct pw_batch *batch, uint32_t retry_after_ms, uint64_t epoch)
{
    struct pw_deferral deferral = {.in_a_row = batch->deferred_rounds};
    pw_deferral_note(batch->client, &deferral, retry_after_ms, epoch);
    if (deferral.again_ns > batch->deferral.again_ns) {
        batch->deferral = deferral;
    }
    batch->unsent = true;
}

void pw_batch_tell_round_trips_locked(struct pw_batch *batch)
{
    const struct pw_round_trips *of = &batch->round_trips;
    if (of->beats > 0) {
        pw_note_round_trip(batch->client, of->sent_ns, of->answered_ns, of->beats);
        batch->round_trips.beats = 0;
    }
}

static void note_round_trip_locked(struct pw_batch *batch, const struct pw_batch_slot *slot,
                                   uint64_t answered_ns)
{
    struct pw_round_trips *of = &batch->round_trips;
    if (of->sent_ns != slot->sent_ns || of->answered_ns != answered_ns) {
        pw_batch_tell_round_trips_locked(batch);
        of->sent_ns = slot->sent_ns;
        of->answered_ns = answered_ns;
    }
    of->beats += slot->count;
}

void pw_batch_settle_locked(struct pw_batch *batch, const struct pw_batch_slot *slot,
                            uint64_t epoch, uint64_t answered_ns, enum pywatt_status status,
                            const struct pw_response *response, const struct pywatt_error *error)
{
    struct pywatt_error words;
    struct pw_answer answer = {.verdict = PYWATT_HEALTHY};
    pw_error_clear(&words);
    if (status != PYWATT_OK) {
        words = *error;
        words.status = status;
    } else {
        note_round_trip_locked(batch, slot, answered_ns);
        status = pw_read_reply(response->operation, response, &answer, &words);
    }
    if (status == PYWATT_OK && response->operation == PW_OP_HEARTBEAT_BATCH &&
        response->beat_count != slot->count) {
        status =
            pw_error_set(&words, PYWATT_SERIALIZATION, "the reply is to %u beats, and %u were sent",
                         response->beat_count, slot->count);
    }
    if (answer.retry_after_ms != 0) {
        defer_locked(batch, answer.retry_after_ms, epoch);
        return;
    }
    if (answer.refused && pw_alias_may_be_why(batch->uses + slot->first, slot->count, status)) {
        send_all_in_full_locked(batch, slot, epoch);
        return;
    }
    if (status != PYWATT_OK) {
        fail_all_locked(batch, slot, &words);
        return;
    }
    if (response->operation == PW_OP_HEARTBEAT_BATCH) {
        take_beats_locked(batch, slot, epoch, response);
    } else {
        succeed(batch, slot->first, answer.verdict);
    }
    if (slot->seen_epoch != epoch) {
        note_epoch(batch, slot, epoch);
    }
}

void pw_batch_answered(struct pw_post *post, enum pywatt_status status,
                       const struct pw_response *response, const struct pywatt_error *error)
{
    struct pw_batch_slot *slot = PW_CONTAINER_OF(post, struct pw_batch_slot, post);
    struct pw_batch *batch = slot->batch;
    pw_mutex_lock(&batch->lock);
    if (status == PYWATT_CONNECTION) {
        batch->unsent = true; /* its beats are pending still */
    } else {
        pw_batch_settle_locked(batch, slot, post->epoch, post->answered_ns, status, response,
                               error);
    }
    pw_list_append(&batch->ended_slots, &slot->link);
    batch->answered++;
    if (batch->waiting) {
        batch->waiting = false;
        pw_cond_signal(&batch->ended); /* under the lock: the caller may free it all after this */
    }
    pw_mutex_unlock(&batch->lock);
}

void pw_batch_refuse(struct pw_batch *batch, size_t index, enum pywatt_status status,
                     const char *text)
{
    pw_mutex_lock(&batch->lock);
    note_failure_locked(batch, index, status, text, strlen(text));
    batch->unsendable += pw_handle_may_be_forgotten(status) ? 0 : 1;
    pw_mutex_unlock(&batch->lock);
}

void pw_batch_fail(struct pw_batch *batch, size_t index, enum pywatt_status status,
                   const char *text)
{
    pw_mutex_lock(&batch->lock);
    fail_locked(batch, index, status, text, strlen(text));
    pw_mutex_unlock(&batch->lock);
}
