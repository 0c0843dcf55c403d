/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * beat_frame.c - beats of several loops in one message: filled and posted by the heartbeat thread,
 * answered on whatever thread reads. The heartbeat's lock guards the list of free frames.
 */
#include "registry/beat_frame.h"

#include "base/error.h"
#include "registry/client.h"
#include "registry/heartbeat.h"
#include "registry/loop.h"
#include "registry/operation.h"
#include "transport/frame.h"

#include <stdlib.h>

struct pw_beat_frame {
    struct pw_post post;
    struct pw_list link; /* among the free ones */
    struct pywatt_client *client;
    uint64_t sent_ns;
    size_t bytes;
    uint32_t count;
    struct pywatt_heartbeat_loop *loops[PW_BEAT_FRAME_MAX]; /* each with a reference once posted */
    pw_alias_use uses[PW_BEAT_FRAME_MAX];
    uint8_t healths[PW_BEAT_FRAME_MAX]; /* as they were reported */
    uint64_t due_ns[PW_BEAT_FRAME_MAX]; /* the heartbeat thread's */
};

void pw_beat_frames_init(struct pw_beat_frames *frames, uint32_t max_frame_bytes)
{
    pw_list_init(&frames->free);
    frames->filling = NULL;
    frames->rows = NULL;
    frames->short_beats = NULL;
    pw_buffer_init(&frames->scratch, PW_FRAME_HEADER_SIZE + (size_t)max_frame_bytes);
}

void pw_beat_frames_destroy(struct pw_beat_frames *frames)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&frames->free)) != NULL) {
        free(PW_CONTAINER_OF(link, struct pw_beat_frame, link));
    }
    free(frames->filling);
    free(frames->rows);
    free(frames->short_beats);
    pw_buffer_destroy(&frames->scratch);
}

bool pw_beat_frames_allowed(struct pywatt_client *client)
{
    return client->settings.batches &&
           (pw_channel_features(client->channel) & PW_FEATURE_HEARTBEAT_BATCH) != 0;
}

/* ---- Filling ---- */

static void put_back(struct pw_heartbeat *heartbeat, struct pw_beat_frame *frame)
{
    pw_mutex_lock(&heartbeat->lock);
    pw_list_append(&heartbeat->frames.free, &frame->link);
    pw_mutex_unlock(&heartbeat->lock);
}

static struct pw_beat_frame *take(struct pw_heartbeat *heartbeat)
{
    pw_mutex_lock(&heartbeat->lock);
    struct pw_list *link = pw_list_pop(&heartbeat->frames.free);
    pw_mutex_unlock(&heartbeat->lock);
    return link == NULL ? calloc(1, sizeof(struct pw_beat_frame))
                        : PW_CONTAINER_OF(link, struct pw_beat_frame, link);
}

static struct pw_beat_frame *filling(struct pywatt_client *client)
{
    struct pw_beat_frames *frames = &client->heartbeat.frames;
    if (frames->rows == NULL) {
        frames->rows = calloc(PW_BEAT_FRAME_MAX, sizeof(*frames->rows));
    }
    if (frames->short_beats == NULL) {
        frames->short_beats = calloc(PW_BEAT_FRAME_MAX, sizeof(*frames->short_beats));
    }
    if (frames->filling == NULL && frames->rows != NULL && frames->short_beats != NULL) {
        frames->filling = take(&client->heartbeat);
        if (frames->filling != NULL) {
            pw_list_init(&frames->filling->link);
            frames->filling->client = client;
            frames->filling->count = 0;
            frames->filling->bytes = 0;
        }
    }
    return frames->filling;
}

uint32_t pw_beat_frame_count(const struct pywatt_client *client)
{
    const struct pw_beat_frame *frame = client->heartbeat.frames.filling;
    return frame == NULL ? 0 : frame->count;
}

static void begin(struct pywatt_client *client, struct pw_beat_frames *frames)
{
    frames->full_count = 0;
    frames->epoch = pw_channel_epoch(client->channel);
    frames->alias_epoch = pw_alias_epoch(&client->aliases, frames->epoch);
}

/*
 * Adds a beat in full. It names no alias if the registration that the loop knows is not the present one;
 * that is looked at behind the assignment: see alias.h.
 */
static pw_alias_use put_row(struct pywatt_client *client, const struct pywatt_heartbeat_loop *loop)
{
    struct pw_beat_frames *frames = &client->heartbeat.frames;
    struct pywatt_module *module = loop->module;
    const uint32_t number = pw_alias_assign(&client->aliases, &module->alias, frames->alias_epoch);
    const bool present =
        atomic_load_explicit(&module->registration_version, memory_order_acquire) == loop->version;
    const uint32_t alias = present ? number : 0;
    frames->rows[frames->full_count++] =
        (struct pw_batched_beat){.module_id = loop->request.module_id,
                                 .token = loop->request.token,
                                 .generation = loop->request.generation,
                                 .health = loop->request.health,
                                 .alias = alias};
    return alias;
}

bool pw_beat_frame_add(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    struct pw_beat_frames *frames = &client->heartbeat.frames;
    struct pw_beat_frame *frame = filling(client);
    if (frame == NULL) {
        return false;
    }
    if (frame->count == 0) {
        begin(client, frames);
    }
    const uint32_t alias = pw_alias_of(&loop->module->alias, frames->alias_epoch);
    const size_t bytes =
        sizeof(pw_short_beat) + (alias != 0 ? 0 : PW_BEAT_OVERHEAD + loop->request.token.len);
    const uint32_t max_frame_bytes = client->settings.max_frame_bytes;
    if (frame->count == PW_BEAT_FRAME_MAX ||
        frame->count >= pw_beat_frame_most_beats(max_frame_bytes) ||
        frame->bytes + bytes > pw_beat_frame_most_bytes(max_frame_bytes)) {
        return false;
    }
    frame->bytes += bytes;
    frame->uses[frame->count] = alias != 0 ? pw_alias_used(alias) : put_row(client, loop);
    frames->short_beats[frame->count] = pw_short_beat_of(alias, loop->request.health);
    frame->healths[frame->count] = (uint8_t)loop->request.health;
    frame->due_ns[frame->count] = loop->due_ns;
    frame->loops[frame->count++] = loop;
    return true;
}

/* ---- Answers: on whatever thread reads ---- */

/* The whole frame ended in the same way, which is not well. */
static void end_all(struct pw_beat_frame *frame, enum pywatt_status status,
                    const struct pw_answer *answer, const struct pywatt_error *words)
{
    for (uint32_t i = 0; i < frame->count; i++) {
        struct pywatt_error own = *words;
        const struct pw_answer same = {.epoch = frame->post.epoch,
                                       .retry_after_ms = answer->retry_after_ms};
        pw_loop_ended(frame->loops[i], status, &same, &own);
    }
}

static void send_all_in_full(struct pw_beat_frame *frame)
{
    pw_alias_refuse(&frame->client->aliases, frame->post.epoch);
    for (uint32_t i = 0; i < frame->count; i++) {
        pw_loop_again(frame->loops[i]);
    }
}

/* Told before the next beat of the loop may be sent. */
static void note_alias(const struct pw_beat_frame *frame, uint32_t index)
{
    pw_alias_went_well(&frame->loops[index]->module->alias, frame->post.epoch, frame->uses[index]);
}

/* False if the beat was refused. */
static bool end_with_exception(struct pw_beat_frame *frame, uint32_t index,
                               const struct pw_beat_exception *exception)
{
    struct pywatt_heartbeat_loop *loop = frame->loops[index];
    const uint64_t epoch = frame->post.epoch;
    if (exception->status == PW_ALIAS_UNKNOWN && pw_alias_is_used(frame->uses[index])) {
        pw_alias_doubt(&loop->module->alias, epoch, frame->uses[index]);
        pw_loop_again(loop);
        return true;
    }
    const struct pw_response response = {.operation = PW_OP_HEARTBEAT,
                                         .success = exception->status == PYWATT_OK,
                                         .status = exception->status,
                                         .error = exception->error,
                                         .health = exception->health};
    struct pw_answer answer = {.epoch = epoch};
    struct pywatt_error words;
    pw_error_clear(&words);
    const enum pywatt_status status = pw_read_reply(PW_OP_HEARTBEAT, &response, &answer, &words);
    if (status == PYWATT_OK) {
        note_alias(frame, index);
    }
    pw_loop_ended(loop, status, &answer, &words);
    return status == PYWATT_OK;
}

static void end_well(struct pw_beat_frame *frame, uint32_t index)
{
    struct pywatt_heartbeat_loop *loop = frame->loops[index];
    const struct pw_answer answer = {.epoch = frame->post.epoch,
                                     .verdict = (enum pywatt_health)frame->healths[index]};
    note_alias(frame, index);
    pw_loop_ended(loop, PYWATT_OK, &answer, NULL);
}

/* How many of them were not refused. */
static uint32_t end_each(struct pw_beat_frame *frame, const struct pw_response *response)
{
    uint32_t well = frame->count;
    uint32_t next = 0;
    for (uint32_t i = 0; i < frame->count; i++) {
        const struct pw_beat_exception *exception = &response->exceptions[next];
        if (next < response->exception_count && exception->index == i) {
            next++;
            well -= end_with_exception(frame, i, exception) ? 0 : 1;
        } else {
            end_well(frame, i);
        }
    }
    return well;
}

/* The same for a frame that was answered, but not to each beat. */
static uint32_t end_together(struct pw_beat_frame *frame, enum pywatt_status status,
                             const struct pw_answer *answer, const struct pywatt_error *words)
{
    if (answer->refused && answer->retry_after_ms == 0 &&
        pw_alias_may_be_why(frame->uses, frame->count, status)) {
        send_all_in_full(frame);
        return frame->count;
    }
    end_all(frame, status, answer, words);
    return 0;
}

static void answered(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error)
{
    struct pw_beat_frame *frame = PW_CONTAINER_OF(post, struct pw_beat_frame, post);
    struct pywatt_client *client = frame->client;
    struct pw_answer answer = {.epoch = post->epoch};
    struct pywatt_error words;
    pw_error_clear(&words);
    if (status == PYWATT_OK) {
        pw_note_round_trip(client, frame->sent_ns, post->answered_ns, frame->count);
        status = pw_read_reply(PW_OP_HEARTBEAT_BATCH, response, &answer, &words);
    } else {
        words = *error;
    }
    if (status == PYWATT_OK && response->beat_count != frame->count) {
        status =
            pw_error_set(&words, PYWATT_SERIALIZATION, "the reply is to %u beats, and %u were sent",
                         response->beat_count, frame->count);
    }
    /* A beat that is to come again in full has been answered, too. */
    const uint32_t well = status == PYWATT_OK ? end_each(frame, response)
                                              : end_together(frame, status, &answer, &words);
    pw_count(&client->counters.beats_answered, well);
    pw_count(&client->counters.beats_failed, frame->count - well);
    put_back(&client->heartbeat, frame);
}

/* ---- Posting ---- */

static void take_beats_back(struct pw_heartbeat *heartbeat, struct pw_beat_frame *frame)
{
    for (uint32_t i = frame->count; i > 0; i--) {
        struct pywatt_heartbeat_loop *loop = frame->loops[i - 1];
        pw_list_append(heartbeat->due_loops.next, &loop->waiting); /* before the first */
        pw_loop_unsent(loop);
    }
    frame->count = 0;
    frame->bytes = 0;
}

enum pywatt_status pw_beat_frame_post(struct pywatt_client *client, uint64_t now_ns,
                                      uint64_t deadline_ns, const uint64_t **due_ns,
                                      struct pywatt_error *error)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_beat_frame *frame = heartbeat->frames.filling;
    const struct pw_beat_frames *frames = &heartbeat->frames;
    struct pw_request request = {.operation = PW_OP_HEARTBEAT_BATCH,
                                 .beats = frames->rows,
                                 .short_beats =
                                     frames->full_count < frame->count ? frames->short_beats : NULL,
                                 .beat_count = frame->count,
                                 .full_count = frames->full_count,
                                 .only_epoch = frames->epoch};
    for (uint32_t i = 0; i < frame->count; i++) {
        pw_loop_sent(frame->loops[i]);
    }
    const uint32_t count = frame->count;
    *due_ns = frame->due_ns;
    frame->sent_ns = now_ns;
    frame->post = (struct pw_post){.done = answered, .scratch = &heartbeat->frames.scratch};
    /* Once it is posted it may be answered, and filled again, at any moment. */
    heartbeat->frames.filling = NULL;
    const enum pywatt_status status =
        pw_channel_post(client->channel, &request, deadline_ns, &frame->post, error);
    if (status == PYWATT_OK) {
        pw_count(&client->counters.beats_sent, count);
    } else {
        heartbeat->frames.filling = frame;
        take_beats_back(heartbeat, frame);
    }
    return status;
}
