/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module.c - the life of a module's entry, and the check of its token. The caller holds the locks.
 */
#include "orchestrator/module.h"

#include <stdlib.h>
#include <string.h>

struct pw_module *pw_module_new(struct pw_slab *slab, const struct pywatt_uuid *id,
                                struct pw_shared_info *info,
                                struct pw_shared_capabilities *capabilities)
{
    struct pw_module *module = pw_slab_take(slab);
    if (module != NULL) {
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
    module->token = *token;
    module->token_known = true;
    memcpy(module->token_hash, token_hash, PW_TOKEN_HASH_SIZE);
}
