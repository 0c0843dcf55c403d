/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * server.h - the listeners and the workers. Worker 0 accepts, and hands connections round.
 */
#ifndef PW_ORCHESTRATOR_SERVER_H
#define PW_ORCHESTRATOR_SERVER_H

#include "base/log.h"
#include "orchestrator/in_force.h"
#include "orchestrator/lease.h"
#include "orchestrator/module_table.h"
#include "orchestrator/options.h"
#include "orchestrator/pace.h"
#include "orchestrator/peers.h"
#include "orchestrator/registrar.h"
#include "orchestrator/worker.h"
#include "transport/transport.h"

#include <pywatt/status.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PW_LISTENERS_MAX 64

/* So many lines a second at most pass each limit of the log. */
#define PW_LOG_LINES 10

struct pw_server_listener {
    struct pw_source source;
    struct pw_listener *listener; /* NULL once closed */
    bool network;                 /* its peers have addresses */
};

struct pw_server {
    /* Constant once started. */
    unsigned workers_wanted;
    struct pywatt_tls *tls; /* the config's; NULL for none */
    struct pw_module_table *table;
    struct pw_lease *lease;
    struct pw_registrar *registrar;
    struct pw_worker *workers;
    unsigned worker_count;
    size_t listener_count;
    /*
     * What peers without an address of the network are told: the first TCP listener, at the
     * loopback address if it listens at all of them; port 0 if there is none.
     */
    struct pw_address local_address;

    /* Worker 0's, once started. */
    struct pw_server_listener listeners[PW_LISTENERS_MAX];
    unsigned next_worker;
    struct pw_mail pass_mail; /* to worker 0; one pass is asked for at a time */

    /* Any thread. */
    struct pw_in_force in_force; /* the options */
    atomic_uint_fast64_t connections;
    atomic_uint_fast64_t connections_accepted;
    atomic_uint_fast64_t connections_refused;
    atomic_uint_fast64_t connections_unproven; /* that have come to a worker */
    atomic_uint_fast64_t peers_refused;
    struct pw_peers peers;
    struct pw_pace pace;           /* of registrations */
    atomic_uint counting;          /* workers whose counters can be read: none before the start */
    struct pw_log_limit log_limit; /* of what peers can cause */
    struct pw_log_limit own_log_limit; /* of our own troubles */
    struct pw_log_limit pace_log_limit;
    struct pw_log_limit admission_log_limit; /* of who is not let in */
};

/* Takes a reference to `config`; all else is borrowed. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_server_init(struct pw_server *server, struct pw_config *config,
                                  struct pw_module_table *table, struct pw_lease *lease,
                                  struct pw_registrar *registrar);

/* Statuses of pywatt_orchestrator_listen. Before the start. */
enum pywatt_status pw_server_listen(struct pw_server *server, const char *url, char *bound_url,
                                    size_t bound_size, struct pywatt_error *error);

/* Starts the workers. PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_IO; on failure nothing runs. */
enum pywatt_status pw_server_start(struct pw_server *server, struct pywatt_error *error);

/* Ends the workers, and closes all listeners and connections. */
void pw_server_stop(struct pw_server *server);

/* After the stop, and after the store was closed: what comes late is received here. */
void pw_server_destroy(struct pw_server *server);

/*
 * Asks all workers for a pass; how many there are. It begins with worker 0, which accepts whoever
 * waits to be, so that beats on new connections are seen as well.
 */
unsigned pw_server_ask_pass(struct pw_server *server);

/* Adds what is counted here, and by the workers. */
void pw_server_add_stats(struct pw_server *server, struct pywatt_orchestrator_stats *sum);

/* ---- For worker 0 ---- */

void pw_server_accept(struct pw_server *server, struct pw_source *source);
void pw_server_resume_accepting(struct pw_server *server);
void pw_server_close_listeners(struct pw_server *server);

#endif
