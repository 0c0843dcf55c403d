/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pending.h - requests that are not done at once: what changes registrations, as the store may take
 * its time, and what has to wait for that. On the worker's thread; no lock.
 *
 * The requests of a connection that touch the same module are done in their order, whatever the
 * store does: each waits for the one before. Those of other modules do not wait. A request touches
 * a module by its id or by its name.
 */
#ifndef PW_ORCHESTRATOR_PENDING_H
#define PW_ORCHESTRATOR_PENDING_H

#include "orchestrator/replies.h"
#include "orchestrator/session.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Registers, unregisters or advertises, and replies; at once if the store is that quick. Objects of
 * `request` may be consumed. `size` is that of its frame.
 */
void pw_pending_change(struct pw_session *session, const struct pw_codec_ops *codec,
                       struct pw_request *request, size_t size);

/*
 * If an earlier request of the session that touches the module of this beat is not done yet: true,
 * and the beat is served after that one. Else false, and nothing has happened.
 */
bool pw_pending_beat(struct pw_session *session, const struct pw_codec_ops *codec,
                     const struct pw_request *request, size_t size);

/*
 * The same for a batch, of which only those beats wait that have to. Uses the worker's arena.
 */
bool pw_pending_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                      const struct pw_request *request, size_t size);

/* What is kept for requests to come. */
void pw_pending_free_spares(struct pw_worker *worker);

/* ---- For the session ---- */

/* The reply of a slot was sent, or never will be; its task is done. Frees what belongs to it. */
void pw_pending_free_slot(struct pw_reply_slot *slot);

/*
 * The session closes. If the slot's request only waits for another one: frees it, and returns true.
 * Else false: its task is under way, and ends with pw_session_task_left.
 */
bool pw_pending_drop_slot(struct pw_reply_slot *slot);

#endif
