/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * admission.h - which registrations get in now, and which are to come again later. On the worker's
 * thread.
 */
#ifndef PW_ORCHESTRATOR_ADMISSION_H
#define PW_ORCHESTRATOR_ADMISSION_H

#include "orchestrator/session.h"

#include <stdbool.h>

/* If it is too early for this registration: refuses it, says when to come again, and true. */
bool pw_admission_defers(struct pw_session *session, const struct pw_codec_ops *codec,
                         const struct pw_request *request);

/* The worker's pace_timer has fired. */
void pw_admission_on_timer(struct pw_worker *worker);

#endif
