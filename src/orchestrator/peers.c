/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peers.c - counts connections by address. The mutex guards the map and the counts in it.
 */
#include "orchestrator/peers.h"

#include <stdlib.h>
#include <string.h>

struct pw_peer {
    struct pw_map_node node;
    uint32_t count;
    size_t len;
    char host[];
};

enum pywatt_status pw_peers_init(struct pw_peers *peers, uint32_t limit)
{
    peers->limit = limit;
    pw_map_init(&peers->map);
    return pw_mutex_init(&peers->mutex);
}

void pw_peers_set_limit(struct pw_peers *peers, uint32_t limit)
{
    pw_mutex_lock(&peers->mutex);
    peers->limit = limit;
    pw_mutex_unlock(&peers->mutex);
}

void pw_peers_destroy(struct pw_peers *peers)
{
    pw_map_destroy(&peers->map);
    pw_mutex_destroy(&peers->mutex);
}

static struct pw_peer *find_locked(struct pw_peers *peers, const char *host, size_t len,
                                   uint64_t hash)
{
    struct pw_map_node *node = pw_map_first(&peers->map, hash);
    for (; node != NULL; node = pw_map_next(node)) {
        struct pw_peer *peer = PW_CONTAINER_OF(node, struct pw_peer, node);
        if (peer->len == len && memcmp(peer->host, host, len) == 0) {
            return peer;
        }
    }
    return NULL;
}

static struct pw_peer *add_locked(struct pw_peers *peers, const char *host, size_t len,
                                  uint64_t hash)
{
    struct pw_peer *peer = malloc(sizeof(*peer) + len);
    if (peer == NULL) {
        return NULL;
    }
    *peer = (struct pw_peer){.len = len};
    memcpy(peer->host, host, len);
    if (pw_map_insert(&peers->map, &peer->node, hash) != PYWATT_OK) {
        free(peer);
        return NULL;
    }
    return peer;
}

enum pywatt_status pw_peers_enter(struct pw_peers *peers, const char *name, struct pw_peer **out)
{
    *out = NULL;
    const char *port = strrchr(name, ':');
    const size_t len = port == NULL ? strlen(name) : (size_t)(port - name);
    const uint64_t hash = pw_hash_bytes(name, len);
    enum pywatt_status status = PYWATT_OK;
    pw_mutex_lock(&peers->mutex);
    struct pw_peer *peer = find_locked(peers, name, len, hash);
    if (peer != NULL && peers->limit > 0 && peer->count >= peers->limit) {
        status = PYWATT_LIMIT;
    } else if (peer == NULL && (peer = add_locked(peers, name, len, hash)) == NULL) {
        status = PYWATT_NO_MEMORY;
    } else {
        peer->count++;
        *out = peer;
    }
    pw_mutex_unlock(&peers->mutex);
    return status;
}

void pw_peers_leave(struct pw_peers *peers, struct pw_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    pw_mutex_lock(&peers->mutex);
    const bool last = --peer->count == 0;
    if (last) {
        pw_map_remove(&peers->map, &peer->node);
    }
    pw_mutex_unlock(&peers->mutex);
    if (last) {
        free(peer);
    }
}
