/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libcrypto has no memory, so no token can be hashed: that is said, and not taken for a wrong token
 * or a name that somebody else has.
 */
#include "slow_store.h"
#include "world.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_bool in_want;

static void *give(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return atomic_load(&in_want) ? NULL : malloc(size);
}

static void *give_more(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return atomic_load(&in_want) ? NULL : realloc(old, size);
}

static void take_back(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

static const char token[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
static const struct pywatt_uuid stored = {.bytes = {0x17, 4, 0, 0, 0, 0, 0x40, 0, 0x80}};
static const struct pywatt_uuid other = {.bytes = {0x18, 4, 0, 0, 0, 0, 0x40, 0, 0x80}};

static void a_proof_that_cannot_be_looked_at_is_no_wrong_one(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who = {.id = stored};
    snprintf(who.token, sizeof(who.token), "%s", token);
    world_prepare(&world);
    world.store = slow_store_open(false);
    slow_store_add(world.store, &stored, "stored", token, 7, 30000);
    world.options.takeover = PYWATT_TAKEOVER_TOKEN;
    world_start(&world);
    world_peer(&world, &peer, "json");
    atomic_store(&in_want, true);
    /* A new id that takes the name over, the known one, none; then all that needs the token. */
    assert_int_equal(peer_register_with(&peer, "stored", &other, token, NULL, NULL),
                     PYWATT_NO_MEMORY);
    assert_int_equal(peer_register_with(&peer, "stored", &stored, token, NULL, NULL),
                     PYWATT_NO_MEMORY);
    assert_int_equal(peer_register_with(&peer, "stored", NULL, token, NULL, NULL),
                     PYWATT_NO_MEMORY);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_NO_MEMORY);
    assert_int_equal(peer_advertise(&peer, &who, "/x"), PYWATT_NO_MEMORY);
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_NO_MEMORY);
    /* A module that has nothing to do with it: its new token cannot be hashed, either. */
    assert_int_equal(peer_register(&peer, "new", NULL), PYWATT_NO_MEMORY);
    atomic_store(&in_want, false);
    assert_int_equal(peer_register_with(&peer, "stored", &other, token, NULL, &who), PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(world_stats(&world).modules, 1);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_proof_that_cannot_be_looked_at_is_no_wrong_one),
    };
    /* Before libcrypto has taken any memory. */
    if (CRYPTO_set_mem_functions(give, give_more, take_back) != 1) {
        return 1;
    }
    return PW_TEST_RUN(cases);
}
