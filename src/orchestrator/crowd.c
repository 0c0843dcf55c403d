/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crowd.c - who goes for whom. On the threads of the workers, each of which knows its own sessions;
 * the counts are everybody's.
 */
#include "orchestrator/crowd.h"

#include "orchestrator/options.h"
#include "orchestrator/session_private.h"

#include <sys/epoll.h>

enum {
    /* So many may be on their way to their workers. */
    COMING = 64,
    /* So many are looked at for one that comes; those that stay go to the end of the row. */
    LOOKS = 64
};

static uint64_t count_of(const atomic_uint_fast64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

const char *pw_crowd_refuses(const struct pw_server *server,
                             const struct pywatt_orchestrator_options *options)
{
    return count_of(&server->connections) < (uint64_t)options->max_connections + COMING
               ? NULL
               : "there are as many connections as there may be";
}

/* The one that comes is counted already. */
static bool are_too_many(const struct pw_server *server,
                         const struct pywatt_orchestrator_options *options)
{
    const uint32_t unproven = options->max_unproven_connections > 0
                                  ? options->max_unproven_connections
                                  : options->max_connections / 2 + options->max_connections % 2;
    return count_of(&server->connections) > options->max_connections ||
           count_of(&server->connections_unproven) > unproven;
}

/* What lies in its socket may prove something, and if we were busy that is no fault of its. */
static bool may_go(struct pw_session *session)
{
    pw_session_on_event(session, EPOLLIN);
    return !pw_session_is_closed(session) && !session->proven && session->tasks == 0 &&
           session->excused_until_ns <= session->worker->now_ns;
}

bool pw_crowd_make_room(struct pw_session *session)
{
    struct pw_worker *worker = session->worker;
    for (int i = 0; i < LOOKS; i++) {
        if (!are_too_many(worker->server, &worker->config->options)) {
            return true;
        }
        struct pw_list *link = pw_list_pop(&worker->unproven);
        if (link == NULL) {
            return false;
        }
        struct pw_session *oldest = PW_CONTAINER_OF(link, struct pw_session, unproven);
        pw_list_append(&worker->unproven, link);
        if (may_go(oldest)) {
            atomic_fetch_add_explicit(&worker->server->connections_refused, 1,
                                      memory_order_relaxed);
            pw_session_end(oldest, PYWATT_LOG_WARNING,
                           "it had proven nothing yet, and another one needed its place");
            return true;
        }
    }
    return false;
}
