/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peers.h - what comes from each address of the network: connections, those of them that have proven
 * nothing yet, and registrations a second. They are counted also while they are not limited, as a limit
 * may come later. Any thread; a mutex of its own, the last of all locks, taken when a connection comes,
 * goes or proves something, and by registrations.
 *
 * An address whose registrations are still counted is kept when its last connection has gone, so that
 * nobody starts afresh by connecting anew; of those there are a few thousand at most, the oldest goes.
 */
#ifndef PW_ORCHESTRATOR_PEERS_H
#define PW_ORCHESTRATOR_PEERS_H

#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"
#include "transport/address.h"

#include <pywatt/orchestrator.h>

#include <stdbool.h>
#include <stdint.h>

#define PW_PEERS_KEPT 4096

/* An address from which there are, or were, connections. */
struct pw_peer;

/* 0: no limit. */
struct pw_peer_limits {
    uint32_t connections;
    uint32_t unproven;
    uint32_t registrations_per_s;
};

struct pw_peers {
    struct pw_mutex mutex;
    /* mutex */
    struct pw_peer_limits limits;
    struct pw_map map;
    struct pw_list idle; /* without a connection, the oldest first */
    size_t idle_count;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_peers_init(struct pw_peers *peers,
                                 const struct pywatt_orchestrator_options *options);
void pw_peers_destroy(struct pw_peers *peers);

/* From now on; who is there stays. */
void pw_peers_set_limits(struct pw_peers *peers, const struct pywatt_orchestrator_options *options);

/*
 * A connection comes from there, and has proven nothing. PYWATT_OK, and *out is for the functions below;
 * PYWATT_LIMIT, and *why says which one; PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_peers_enter(struct pw_peers *peers, const struct pw_network *from,
                                  struct pw_peer **out, const char **why);

/* It has proven something. NULL is allowed in all three. */
void pw_peers_prove(struct pw_peers *peers, struct pw_peer *peer);

/* It goes. */
void pw_peers_leave(struct pw_peers *peers, struct pw_peer *peer, bool proven, uint64_t now_ns);

/* It registers a module: 0, or in how many milliseconds it may. */
uint32_t pw_peers_register(struct pw_peers *peers, struct pw_peer *peer, uint64_t now_ns);

#endif
