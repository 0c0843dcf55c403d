/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module.c - the life of a module's entry, and the check of its token. The caller holds the locks.
 */
#include "orchestrator/module.h"

#include "base/map.h"
#include "base/tool_hints.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The last serial number, without the bits of the shard; of all orchestrators of the process. */
static atomic_uint_fast64_t last_serial;

static uint64_t next_serial(unsigned shard)
{
    const uint64_t number = atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
    return number << PW_SHARD_BITS | shard;
}

static uint64_t renew_serial(struct pw_module *module)
{
    const uint64_t serial = next_serial(pw_module_shard_of_serial(pw_module_serial(module)));
    atomic_store_explicit(&module->serial, serial, memory_order_relaxed);
    return serial;
}

/* All but the serial number, which somebody may look at still: see alias.h. */
static void clear(struct pw_module *module)
{
    char *bytes = (char *)module;
    const size_t serial_end = offsetof(struct pw_module, serial) + sizeof(module->serial);
    memset(bytes, 0, offsetof(struct pw_module, serial));
    memset(bytes + serial_end, 0, sizeof(*module) - serial_end);
}

struct pw_module *pw_module_new(struct pw_slab *slab, const struct pywatt_uuid *id,
                                struct pw_shared_info *info,
                                struct pw_shared_capabilities *capabilities)
{
    struct pw_module *module = pw_slab_take(slab);
    if (module != NULL) {
        clear(module);
        PW_HINT_ATOMIC(module->serial);
        module->token_serial = next_serial(pw_module_shard_of_hash(pw_hash_uuid(id)));
        atomic_store_explicit(&module->serial, module->token_serial, memory_order_relaxed);
        module->slab = slab;
        module->id = *id;
        module->info = pw_shared_info_acquire(info);
        module->capabilities = pw_shared_capabilities_acquire(capabilities);
        module->verdict = PW_NO_VERDICT;
        pw_timer_init(&module->timer);
        pw_list_init(&module->bound);
    }
    return module;
}

void pw_module_free(struct pw_module *module)
{
    if (module != NULL) {
        pw_shared_info_release(module->info);
        pw_shared_capabilities_release(module->capabilities);
        pywatt_string_map_free(module->details);
        pw_token_wipe(&module->token, sizeof(module->token));
        pw_token_wipe(module->token_hash, sizeof(module->token_hash));
        pw_slab_give(module->slab, module);
    }
}

enum pywatt_status pw_module_check_token(struct pw_module *module, struct pw_str token)
{
    if (token.len != PW_TOKEN_LEN) {
        return PYWATT_INVALID_TOKEN;
    }
    if (module->token_known) {
        return pw_token_equal(module->token.text, token.data) ? PYWATT_OK : PYWATT_INVALID_TOKEN;
    }
    uint8_t hash[PW_TOKEN_HASH_SIZE];
    if (pw_token_hash(token, hash) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (!pw_token_hash_equal(hash, module->token_hash)) {
        return PYWATT_INVALID_TOKEN;
    }
    memcpy(module->token.text, token.data, PW_TOKEN_LEN);
    module->token_known = true;
    return PYWATT_OK;
}

void pw_module_set_token(struct pw_module *module, const struct pw_token *token,
                         const uint8_t token_hash[PW_TOKEN_HASH_SIZE])
{
    const uint64_t serial = renew_serial(module);
    if (!pw_token_hash_equal(token_hash, module->token_hash)) {
        module->token_serial = serial;
    }
    module->token = *token;
    module->token_known = true;
    memcpy(module->token_hash, token_hash, PW_TOKEN_HASH_SIZE);
}

void pw_module_set_generation(struct pw_module *module, uint64_t generation)
{
    renew_serial(module);
    module->generation = generation;
}

void pw_module_retire(struct pw_module *module)
{
    atomic_store_explicit(&module->serial, 0, memory_order_relaxed);
}
