/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peers.c - counts by address. The mutex guards the map and all that is in it.
 *
 * Registrations of an address draw from a bucket of one second's worth, which is kept as the moment when
 * it will be full again: until then the address is remembered.
 */
#include "orchestrator/peers.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct pw_peer {
    struct pw_map_node node;
    struct pw_list link; /* among the idle ones */
    struct pw_network from;
    uint32_t connections;
    uint32_t unproven;
    uint64_t full_ns;
};

static struct pw_peer_limits limits_of(const struct pywatt_orchestrator_options *options)
{
    return (struct pw_peer_limits){.connections = options->max_connections_per_peer,
                                   .unproven = options->max_unproven_per_peer,
                                   .registrations_per_s = options->registrations_per_s_per_peer};
}

enum pywatt_status pw_peers_init(struct pw_peers *peers,
                                 const struct pywatt_orchestrator_options *options)
{
    *peers = (struct pw_peers){.limits = limits_of(options)};
    pw_map_init(&peers->map);
    pw_list_init(&peers->idle);
    return pw_mutex_init(&peers->mutex);
}

void pw_peers_set_limits(struct pw_peers *peers, const struct pywatt_orchestrator_options *options)
{
    pw_mutex_lock(&peers->mutex);
    peers->limits = limits_of(options);
    pw_mutex_unlock(&peers->mutex);
}

/* ---- Those without a connection ---- */

static void forget_locked(struct pw_peers *peers, struct pw_peer *peer)
{
    if (pw_list_linked(&peer->link)) {
        pw_list_remove(&peer->link);
        peers->idle_count--;
    }
    pw_map_remove(&peers->map, &peer->node);
    free(peer);
}

static struct pw_peer *oldest_idle_locked(struct pw_peers *peers)
{
    return PW_CONTAINER_OF(peers->idle.next, struct pw_peer, link);
}

void pw_peers_destroy(struct pw_peers *peers)
{
    while (peers->idle_count > 0) {
        forget_locked(peers, oldest_idle_locked(peers));
    }
    pw_map_destroy(&peers->map);
    pw_mutex_destroy(&peers->mutex);
}

static void keep_locked(struct pw_peers *peers, struct pw_peer *peer)
{
    pw_list_append(&peers->idle, &peer->link);
    if (++peers->idle_count > PW_PEERS_KEPT) {
        forget_locked(peers, oldest_idle_locked(peers));
    }
}

static void wake_locked(struct pw_peers *peers, struct pw_peer *peer)
{
    if (pw_list_linked(&peer->link)) {
        pw_list_remove(&peer->link);
        peers->idle_count--;
    }
}

/* ---- Coming and going ---- */

static struct pw_peer *find_locked(struct pw_peers *peers, const struct pw_network *from,
                                   uint64_t hash)
{
    struct pw_map_node *node = pw_map_first(&peers->map, hash);
    for (; node != NULL; node = pw_map_next(node)) {
        struct pw_peer *peer = PW_CONTAINER_OF(node, struct pw_peer, node);
        if (memcmp(&peer->from, from, sizeof(*from)) == 0) {
            return peer;
        }
    }
    return NULL;
}

static struct pw_peer *add_locked(struct pw_peers *peers, const struct pw_network *from,
                                  uint64_t hash)
{
    struct pw_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->from = *from;
    pw_list_init(&peer->link);
    if (pw_map_insert(&peers->map, &peer->node, hash) != PYWATT_OK) {
        free(peer);
        return NULL;
    }
    return peer;
}

/* NULL, or which limit does not let one more in. */
static const char *over_limit_locked(const struct pw_peers *peers, const struct pw_peer *peer)
{
    if (peers->limits.connections > 0 && peer->connections >= peers->limits.connections) {
        return "there are as many connections from there as there may be";
    }
    if (peers->limits.unproven > 0 && peer->unproven >= peers->limits.unproven) {
        return "there are as many connections from there that have proven nothing as there may be";
    }
    return NULL;
}

enum pywatt_status pw_peers_enter(struct pw_peers *peers, const struct pw_network *from,
                                  struct pw_peer **out, const char **why)
{
    *out = NULL;
    const uint64_t hash = pw_hash_bytes(from, sizeof(*from));
    enum pywatt_status status = PYWATT_OK;
    pw_mutex_lock(&peers->mutex);
    struct pw_peer *peer = find_locked(peers, from, hash);
    if (peer != NULL && (*why = over_limit_locked(peers, peer)) != NULL) {
        status = PYWATT_LIMIT;
    } else if (peer == NULL && (peer = add_locked(peers, from, hash)) == NULL) {
        status = PYWATT_NO_MEMORY;
    } else {
        wake_locked(peers, peer);
        peer->connections++;
        peer->unproven++;
        *out = peer;
    }
    pw_mutex_unlock(&peers->mutex);
    return status;
}

void pw_peers_prove(struct pw_peers *peers, struct pw_peer *peer)
{
    if (peer != NULL) {
        pw_mutex_lock(&peers->mutex);
        peer->unproven--;
        pw_mutex_unlock(&peers->mutex);
    }
}

void pw_peers_leave(struct pw_peers *peers, struct pw_peer *peer, bool proven, uint64_t now_ns)
{
    if (peer == NULL) {
        return;
    }
    pw_mutex_lock(&peers->mutex);
    peer->unproven -= proven ? 0 : 1;
    if (--peer->connections == 0) {
        if (peer->full_ns > now_ns) {
            keep_locked(peers, peer);
        } else {
            forget_locked(peers, peer);
        }
    }
    pw_mutex_unlock(&peers->mutex);
}

/* ---- Registrations ---- */

uint32_t pw_peers_register(struct pw_peers *peers, struct pw_peer *peer, uint64_t now_ns)
{
    uint64_t wait_ns = 0;
    if (peer == NULL) {
        return 0;
    }
    pw_mutex_lock(&peers->mutex);
    const uint32_t per_s = peers->limits.registrations_per_s;
    const uint64_t step_ns = per_s == 0 ? 0 : PW_NS_PER_S / per_s;
    const uint64_t full_ns = (peer->full_ns > now_ns ? peer->full_ns : now_ns) + step_ns;
    if (per_s != 0 && full_ns - now_ns > PW_NS_PER_S) {
        wait_ns = full_ns - now_ns - PW_NS_PER_S;
    } else {
        peer->full_ns = per_s == 0 ? now_ns : full_ns;
    }
    pw_mutex_unlock(&peers->mutex);
    return wait_ns == 0 ? 0 : (uint32_t)(wait_ns / PW_NS_PER_MS) + 1;
}
