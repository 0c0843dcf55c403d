/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch_impl.h - what the files that make up pywatt_heartbeat_batch share: batch.c (the call, and
 * sending), batch_fill.c (beats into a frame) and batch_answers.c (answers to their beats). Nobody
 * else includes it.
 */
#ifndef PW_REGISTRY_BATCH_IMPL_H
#define PW_REGISTRY_BATCH_IMPL_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/sync.h"
#include "registry/batch.h"
#include "registry/beat_frame.h"
#include "registry/client.h"
#include "registry/operation.h"
#include "rpc/channel.h"

#define PW_BATCH_TOKEN_BYTES (PW_BEAT_FRAME_MAX * 64)

/* Frames under way. */
#define PW_BATCH_SLOTS 1024

/* In place of a status: the beat has not been sent yet, or is to be sent again. */
#define PW_BEAT_PENDING ((enum pywatt_status) - 1)
/* The same, and it is to go in full. */
#define PW_BEAT_PENDING_IN_FULL ((enum pywatt_status) - 2)

/* In place of a status, too: its module is to be registered again first. */
#define PW_BEAT_FORGOTTEN ((enum pywatt_status) - 3)

/* In place of each status with which a beat is tried again; a status that is final stands as it is. */
#define PW_BEAT_AGAIN(status) ((enum pywatt_status)(-16 - (int)(status)))

/* Modules that are registered again at once. */
#define PW_BATCH_REVIVALS 64

/* A module that is being registered again. From post to answer its reader's, else the caller's. */
struct pw_revival {
    struct pw_post post;
    struct pw_list link; /* among the free ones, or those that were answered */
    struct pw_batch *batch;
    size_t index; /* of its beat */
    struct pw_recovery_step step;
    struct pw_deferral deferral;
    enum pywatt_status status; /* how the step ended */
    struct pw_answer answer;
    struct pywatt_error words;
};

/* A frame under way, with the beats first to first + count - 1. */
struct pw_batch_slot {
    struct pw_post post;
    struct pw_list link; /* among the free ones */
    struct pw_batch *batch;
    size_t first;
    uint32_t count;
    uint64_t sent_ns;
    uint64_t seen_epoch; /* the connection on which all of its modules have had success, or 0 */
};

/* Answers that took the same time, not yet in the statistics: of a burst that is most of them. */
struct pw_round_trips {
    uint64_t sent_ns;
    uint64_t answered_ns;
    uint64_t beats;
};

/* A call's memory; the client keeps it for the next call. */
struct pw_batch {
    struct pw_batch *next; /* among the client's spare ones */
    struct pywatt_client *client;
    struct pywatt_beat *beats;
    size_t count;
    pw_alias_use *uses; /* of each beat that is under way; who fills it, then who takes it in */
    size_t room;        /* of `uses` */
    uint64_t deadline_ns;

    struct pw_mutex lock;
    struct pw_cond ended;
    /* Guarded by lock; the results are the caller's once nothing is under way. */
    struct pw_list ended_slots; /* that the caller has not taken back yet */
    unsigned answered;          /* frames, of those that were posted */
    struct pw_round_trips round_trips;
    bool waiting;     /* the caller sleeps until a frame has ended */
    bool unsent;      /* some frame could not leave before the connection broke */
    size_t failed_at; /* the first beat that failed for good so far, `count` if none has */
    struct pywatt_error failure;
    size_t again_at;     /* the first beat that is to be tried again, `count` if none is */
    uint64_t unsendable; /* beats */
    struct pw_list ended_revivals;
    struct pw_deferral deferral; /* some are to be sent again then: the latest such moment */
    uint32_t deferred_rounds;    /* in a row */

    /* The caller's. */
    struct pw_burst burst;
    struct pw_list free_slots;
    struct pw_list free_revivals;
    unsigned slots_used;          /* the first so many of `slots`, in this call */
    unsigned posted;              /* frames, and revivals */
    uint64_t began_ns;            /* when the last round of all began */
    uint64_t began_epoch;         /* the same: the connection then */
    struct pywatt_error given_up; /* why nothing can be sent any more, or PYWATT_OK */
    uint32_t filled;
    uint32_t full_count;  /* of them in `rows` */
    uint64_t epoch;       /* of the connection, lately */
    uint64_t alias_epoch; /* the same, as in alias.h */
    uint64_t now_ns;      /* looked up for each piece that is sent */
    bool fresh;           /* some module has had no success on that connection yet */
    size_t token_bytes;
    size_t frame_bytes;
    uint32_t most_beats; /* of the frame that is filled */
    size_t most_bytes;
    struct pw_buffer scratch;
    struct pw_batched_beat rows[PW_BEAT_FRAME_MAX];
    pw_short_beat short_beats[PW_BATCH_MAX];
    char tokens[PW_BATCH_TOKEN_BYTES];
    struct pw_batch_slot slots[PW_BATCH_SLOTS];
    struct pw_revival revivals[PW_BATCH_REVIVALS];
};

static inline bool pw_beat_is_pending(const struct pywatt_beat *beat)
{
    return beat->status == PW_BEAT_PENDING || beat->status == PW_BEAT_PENDING_IN_FULL;
}

/* ---- batch.c: the caller ------------------------------------------------------------------- */

/* How many frames and revivals are under way; waits until it is at most so many. */
unsigned pw_batch_under_way(struct pw_batch *batch);
void pw_batch_wait_for(struct pw_batch *batch, unsigned most);

/* Whether no answer is to be had any more, since an attempt to get one ended so. */
bool pw_batch_is_over(const struct pw_batch *batch, enum pywatt_status status);

/* ---- batch_revive.c: the caller ------------------------------------------------------------ */

/*
 * Registers again, side by side, the modules that were forgotten. True if there are beats that are
 * pending again. Those of which it is not clear keep their status.
 */
bool pw_batch_revive(struct pw_batch *batch);

/* ---- batch_fill.c: the caller ---------------------------------------------------------------- */

/*
 * Fills a frame with pending beats from `first` on, one, or, `together`, as many as belong into one;
 * the next one that is not in it.
 */
size_t pw_batch_fill(struct pw_batch *batch, size_t first, bool together);

/* The request with what was filled: a batch, or the one heartbeat. */
struct pw_request pw_batch_request(const struct pw_batch *batch, bool together);

/* ---- batch_answers.c ------------------------------------------------------------------------- */

/* Whether the beat is to be tried again, and the status that it had, in *status. */
static inline bool pw_batch_is_to_try(const struct pywatt_beat *beat, enum pywatt_status *status)
{
    *status = PW_BEAT_AGAIN(beat->status);
    return (int)beat->status <= (int)PW_BEAT_AGAIN(PYWATT_OK);
}

/* This beat has failed for good. The caller. */
void pw_batch_fail(struct pw_batch *batch, size_t index, enum pywatt_status status,
                   const char *text);

/* This beat cannot be sent, or not as it is. The caller. */
void pw_batch_refuse(struct pw_batch *batch, size_t index, enum pywatt_status status,
                     const char *text);

/* Puts what is left of them into the statistics. */
void pw_batch_tell_round_trips_locked(struct pw_batch *batch);

/* Takes in the answer to a slot, which came over the connection `epoch`, or why there is none. */
void pw_batch_settle_locked(struct pw_batch *batch, const struct pw_batch_slot *slot,
                            uint64_t epoch, uint64_t answered_ns, enum pywatt_status status,
                            const struct pw_response *response, const struct pywatt_error *error);

/* How a posted slot ended; see pw_post_done. On whatever thread reads. */
void pw_batch_answered(struct pw_post *post, enum pywatt_status status,
                       const struct pw_response *response, const struct pywatt_error *error);

#endif
