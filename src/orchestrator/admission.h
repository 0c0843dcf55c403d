/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * admission.h - which registrations get in, which do not, and which are to come again later. On the
 * worker's thread.
 */
#ifndef PW_ORCHESTRATOR_ADMISSION_H
#define PW_ORCHESTRATOR_ADMISSION_H

#include "orchestrator/session.h"

#include <stdbool.h>

/*
 * Whether this registration gets in; else it is refused here, in words. In any case the join token is
 * taken out of its metadata, and nobody behind this sees it.
 */
bool pw_admission_admits(struct pw_session *session, const struct pw_codec_ops *codec,
                         struct pw_request *request);

/* The worker's pace_timer has fired. */
void pw_admission_on_timer(struct pw_worker *worker);

#endif
