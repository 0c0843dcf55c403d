/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pending_private.h - a request that waits, and what pending.c and pending_batch.c share. On the
 * worker's thread, but for a task's end, which pending.c speaks of.
 */
#ifndef PW_ORCHESTRATOR_PENDING_PRIVATE_H
#define PW_ORCHESTRATOR_PENDING_PRIVATE_H

#include "orchestrator/dispatch.h"
#include "orchestrator/pending.h"
#include "orchestrator/server.h"

#include <stdatomic.h>

enum pw_handoff {
    PW_HANDOFF_STARTED, /* the worker is still inside of pw_registrar_start */
    PW_HANDOFF_PARKED,  /* it went on: whoever ends the task posts it */
    PW_HANDOFF_DONE
};

struct pw_pending {
    struct pw_task task; /* of a beat only the token */
    struct pw_reply_slot slot;
    struct pw_mail mail;
    struct pw_session *session;
    struct pw_answer answer;
    size_t size; /* of its frame */
    bool has_id; /* a module is named by its id */
    bool begun;  /* it waits for no other */
    struct pywatt_uuid id;
    uint64_t name_hash;     /* of a registration */
    struct pw_list waiters; /* requests that wait for this one */
    struct pw_list turn;    /* among another one's waiters */
    atomic_int handoff;

    /* Of a beat. */
    uint64_t generation;
    enum pywatt_health health;
    struct pywatt_string_map *details;

    struct pw_held_batch *held; /* of a batch; else NULL */
};

static inline struct pw_pending *pw_pending_of_slot(struct pw_list *link)
{
    struct pw_reply_slot *slot = PW_CONTAINER_OF(link, struct pw_reply_slot, link);
    return PW_CONTAINER_OF(slot, struct pw_pending, slot);
}

/* NULL if it names none. */
static inline const char *pw_pending_name(const struct pw_pending *pending)
{
    return pending->task.info == NULL ? NULL : pywatt_module_info_name(pending->task.info->info);
}

/* ---- pending.c ---- */

/* Of a request; a task's objects and a beat's details are not copied. NULL when memory is out. */
struct pw_pending *pw_pending_new(struct pw_session *session, const struct pw_codec_ops *codec,
                                  const struct pw_request *request, size_t size);
void pw_pending_free(struct pw_pending *pending);

/* The last request before `link` in the session's order that is not done and touches the same. */
struct pw_pending *pw_pending_earlier(const struct pw_pending *pending, struct pw_list *link);

void pw_pending_wait_for(struct pw_pending *before, struct pw_pending *pending);

/* Answers that memory is out; frees `pending`, which may be NULL. */
void pw_pending_refuse(struct pw_session *session, const struct pw_codec_ops *codec,
                       const struct pw_request *request, struct pw_pending *pending);

/* ---- pending_batch.c ---- */

/* Whether a beat of a module that `pending` touches waits in the batch. */
bool pw_pending_waits_in(struct pw_module_table *table, const struct pw_held_batch *held,
                         const struct pw_pending *pending);

/* Its turn has come: serves what waits of the batch, and replies. `pending` may be gone then. */
void pw_pending_serve_batch(struct pw_pending *pending);

#endif
