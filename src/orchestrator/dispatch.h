/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch.h - from a frame to what is done, and to its reply. On the worker's thread; no lock.
 */
#ifndef PW_ORCHESTRATOR_DISPATCH_H
#define PW_ORCHESTRATOR_DISPATCH_H

#include "orchestrator/replies.h"
#include "orchestrator/session.h"
#include "transport/frame.h"

/*
 * Serves one frame: answers it, or opens a slot for the answer, or leaves it unanswered because it
 * is no request, or ends the session because it is garbage.
 */
void pw_dispatch_frame(struct pw_session *session, const struct pw_frame *frame);

/* The session has sent a slot's reply, or closed: frees what belongs to it. */
void pw_dispatch_free_slot(struct pw_reply_slot *slot);

#endif
