/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peers.h - how many connections there are from each address of the network. They are counted
 * also while they are not limited, as a limit may come later.
 * Any thread; a mutex of its own, taken when a connection comes or goes, the last of all locks.
 */
#ifndef PW_ORCHESTRATOR_PEERS_H
#define PW_ORCHESTRATOR_PEERS_H

#include "base/map.h"
#include "base/sync.h"

#include <pywatt/status.h>

#include <stdint.h>

/* An address from which there are connections. */
struct pw_peer;

struct pw_peers {
    struct pw_mutex mutex;
    /* mutex */
    uint32_t limit; /* 0: there is none */
    struct pw_map map;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_peers_init(struct pw_peers *peers, uint32_t limit);
void pw_peers_destroy(struct pw_peers *peers);

/* From now on; who is there stays. */
void pw_peers_set_limit(struct pw_peers *peers, uint32_t limit);

/*
 * A connection comes from `name`, an address with or without a port behind it. PYWATT_OK, and *out
 * is for pw_peers_leave; PYWATT_LIMIT, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_peers_enter(struct pw_peers *peers, const char *name, struct pw_peer **out);

/* It goes. NULL is allowed. */
void pw_peers_leave(struct pw_peers *peers, struct pw_peer *peer);

#endif
