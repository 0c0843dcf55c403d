/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module.h - what the orchestrator knows of one module. There may be a million of them, so the
 * fields stand close. Which lock guards what is said beside the fields; the locks themselves live
 * in module_table.h and lease.h.
 */
#ifndef PW_ORCHESTRATOR_MODULE_H
#define PW_ORCHESTRATOR_MODULE_H

#include "base/bytes.h"
#include "base/map.h"
#include "base/slab.h"
#include "orchestrator/shared.h"
#include "orchestrator/timer_wheel.h"
#include "orchestrator/token.h"

#include <pywatt/orchestrator.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PW_SHARD_BITS 6
#define PW_SHARD_COUNT 64

/* In place of a verdict: there is none. */
#define PW_NO_VERDICT 0xff

struct pw_binding;

struct pw_module {
    /*
     * What a beat looks at comes first: as much as two lines of the cache hold.
     *
     * The shard's mutex, but for the id, which never changes.
     */
    struct pw_map_node by_id;
    struct pywatt_uuid id;
    struct pw_binding *binding; /* the connection on which it beat last; NULL once that closed */
    uint64_t generation;
    uint64_t last_beat_ns; /* on the clock of the leases */
    uint64_t beats;
    struct pw_token token;
    bool token_known; /* `token` is filled */
    uint8_t health;   /* enum pywatt_health, as reported */
    uint8_t liveness; /* enum pywatt_liveness */
    uint8_t verdict;  /* enum pywatt_health, or PW_NO_VERDICT */
    bool restored;    /* from the store, and not seen since the start */
    uint8_t fence;    /* PYWATT_UNAVAILABLE: beats are put off; usually PYWATT_OK */
    uint32_t lease_ms;
    /*
     * Another one, and a higher one, whenever the module gets a token or a generation; no two modules
     * of a process ever have the same; its lowest bits name the shard. 0 once the module is out of
     * the table. Written under the mutex; atomic, as aliases of other shards may look at memory that
     * is this module's now.
     */
    _Atomic uint64_t serial;

    /* The rest of what the shard's mutex guards. */
    uint64_t token_serial; /* what `serial` was when its token last became another one */
    struct pywatt_string_map *details; /* of the last beat that had any; NULL before */
    uint8_t token_hash[PW_TOKEN_HASH_SIZE];

    /* The names' mutex: the place in the index by name. */
    struct pw_map_node by_name;

    /* The lease's mutex. */
    struct pw_timer timer;

    /* The bindings' mutex: the place in the list of binding->modules. */
    struct pw_list bound;

    /* Changed under both the names' and the shard's mutex, so read under either. */
    struct pw_shared_info *info;
    struct pw_shared_capabilities *capabilities; /* NULL until it advertised */

    struct pw_slab *slab; /* whose memory this is; never changes */
};

/*
 * A new module from the memory of `slab`, in no table yet; takes references of its own to `info` and `capabilities` (which
 * may be NULL). NULL when memory is out.
 */
struct pw_module *pw_module_new(struct pw_slab *slab, const struct pywatt_uuid *id,
                                struct pw_shared_info *info,
                                struct pw_shared_capabilities *capabilities);

/* Wipes its secrets. NULL is allowed. */
void pw_module_free(struct pw_module *module);

static inline const char *pw_module_name(const struct pw_module *module)
{
    return pywatt_module_info_name(module->info->info);
}

/*
 * Whether `token` is the module's. The text of a token that was found right is kept, so that the
 * next time costs a comparison and no hash. Shard's mutex held. PYWATT_OK, PYWATT_INVALID_TOKEN, or
 * PYWATT_NO_MEMORY (it could not be hashed).
 */
enum pywatt_status pw_module_check_token(struct pw_module *module, struct pw_str token);

/* Gives it a token, or the same one again. Shard's mutex held, if it is in the table. */
void pw_module_set_token(struct pw_module *module, const struct pw_token *token,
                         const uint8_t token_hash[PW_TOKEN_HASH_SIZE]);

/* Gives it a generation. The same. */
void pw_module_set_generation(struct pw_module *module, uint64_t generation);

/* It leaves the table: nobody finds it by its serial number any more. Shard's mutex held. */
void pw_module_retire(struct pw_module *module);

/* The serial number as it is now. */
static inline uint64_t pw_module_serial(const struct pw_module *module)
{
    return atomic_load_explicit(&module->serial, memory_order_relaxed);
}

/* Which shard a serial number is of, or the hash of an id. */
static inline unsigned pw_module_shard_of_serial(uint64_t serial)
{
    return (unsigned)(serial % PW_SHARD_COUNT);
}

static inline unsigned pw_module_shard_of_hash(uint64_t hash)
{
    /* The map takes its buckets from the low end of the hash. */
    return (unsigned)(hash >> (64 - PW_SHARD_BITS));
}

/*
 * Whether who names the generation `named`, 0 if none, is of the time before the module was registered
 * last: PYWATT_STALE_GENERATION, and *in_force gets the one that is; else PYWATT_OK. Shard's mutex held.
 */
static inline enum pywatt_status pw_module_check_generation(const struct pw_module *module,
                                                            uint64_t named, uint64_t *in_force)
{
    if (named == 0 || named >= module->generation) {
        return PYWATT_OK;
    }
    *in_force = module->generation;
    return PYWATT_STALE_GENERATION;
}

#endif
