/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crowd.h - connections that have proven nothing yet. There may be so many of them; over that, and
 * where there are as many connections as there may be, the oldest of them goes for one that comes. So
 * a crowd that is silent keeps nobody out, wherever it comes from: a module proves who it is with its
 * first request. Those stay that wait for the store, or were told when to come again.
 */
#ifndef PW_ORCHESTRATOR_CROWD_H
#define PW_ORCHESTRATOR_CROWD_H

#include "orchestrator/server.h"

#include <pywatt/orchestrator.h>

#include <stdbool.h>

struct pw_session;

/*
 * For who accepts: NULL, or why one more cannot even be looked at. For a moment there may be a few
 * more than the limit says: until a worker has made room.
 */
const char *pw_crowd_refuses(const struct pw_server *server,
                             const struct pywatt_orchestrator_options *options);

/*
 * It has come to its worker, and is counted. True once there is room for it, as one of this worker's
 * may have gone for it. False if there is none here.
 */
bool pw_crowd_make_room(struct pw_session *session);

#endif
