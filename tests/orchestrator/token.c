/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tokens: what they look like, that they differ, and how a module's is checked.
 */
#include "orchestrator/token.h"

#include "orchestrator/module.h"
#include "pw_test.h"

#include <stdlib.h>
#include <string.h>

static struct pw_str text_of(const struct pw_token *token)
{
    return (struct pw_str){token->text, sizeof(token->text)};
}

static void has_43_characters_of_base64url(void **state)
{
    (void)state;
    bool seen[256] = {false};
    for (int i = 0; i < 200; i++) {
        struct pw_token token;
        assert_int_equal(pw_token_generate(&token), PYWATT_OK);
        for (size_t c = 0; c < sizeof(token.text); c++) {
            const char *const alphabet =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            assert_non_null(memchr(alphabet, token.text[c], 64));
            seen[(unsigned char)token.text[c]] = true;
        }
        /* 43 characters hold 258 bits: the last two of the last one are no part of the token. */
        assert_non_null(strchr("AEIMQUYcgkosw048", token.text[42]));
    }
    size_t characters = 0;
    for (size_t i = 0; i < 256; i++) {
        characters += seen[i];
    }
    assert_int_equal(characters, 64);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct pw_token));
}

static void are_all_different(void **state)
{
    (void)state;
    static struct pw_token tokens[5000];
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(pw_token_generate(&tokens[i]), PYWATT_OK);
    }
    qsort(tokens, 5000, sizeof(tokens[0]), compare);
    for (size_t i = 1; i < 5000; i++) {
        assert_memory_not_equal(&tokens[i - 1], &tokens[i], sizeof(tokens[0]));
    }
}

static void is_hashed_with_sha256(void **state)
{
    (void)state;
    const uint8_t expected[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t hash[PW_TOKEN_HASH_SIZE];
    assert_int_equal(pw_token_hash(PW_STR_LITERAL("abc"), hash), PYWATT_OK);
    assert_memory_equal(hash, expected, sizeof(hash));
    assert_true(pw_token_hash_equal(hash, expected));
    hash[31] ^= 1;
    assert_false(pw_token_hash_equal(hash, expected));
}

/* For one module at a time. */
static struct pw_slab slab;

static struct pw_module *new_module(void)
{
    static const struct pywatt_uuid id = {.bytes = {1}};
    assert_int_equal(pw_slab_init(&slab, sizeof(struct pw_module)), PYWATT_OK);
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("m", "1", "d", &info), PYWATT_OK);
    struct pw_shared_info *shared = pw_shared_info_new(info);
    struct pw_module *module = pw_module_new(&slab, &id, shared, NULL);
    pw_shared_info_release(shared);
    assert_non_null(module);
    return module;
}

static void a_module_that_has_the_hash_only_learns_its_token_when_it_is_shown(void **state)
{
    (void)state;
    struct pw_module *module = new_module();
    struct pw_token token;
    struct pw_token other;
    assert_int_equal(pw_token_generate(&token), PYWATT_OK);
    assert_int_equal(pw_token_generate(&other), PYWATT_OK);
    assert_int_equal(pw_token_hash(text_of(&token), module->token_hash), PYWATT_OK);

    assert_int_equal(pw_module_check_token(module, text_of(&other)), PYWATT_INVALID_TOKEN);
    assert_false(module->token_known);
    assert_int_equal(pw_module_check_token(module, text_of(&token)), PYWATT_OK);
    assert_true(module->token_known);
    /* From now on it is compared, not hashed. */
    memset(module->token_hash, 0, sizeof(module->token_hash));
    assert_int_equal(pw_module_check_token(module, text_of(&token)), PYWATT_OK);
    assert_int_equal(pw_module_check_token(module, text_of(&other)), PYWATT_INVALID_TOKEN);
    pw_module_free(module);
    pw_slab_destroy(&slab);
}

static void every_character_of_a_token_matters(void **state)
{
    (void)state;
    struct pw_module *module = new_module();
    struct pw_token token;
    uint8_t hash[PW_TOKEN_HASH_SIZE] = {0};
    assert_int_equal(pw_token_generate(&token), PYWATT_OK);
    pw_module_set_token(module, &token, hash);
    for (size_t i = 0; i < sizeof(token.text); i++) {
        struct pw_token wrong = token;
        wrong.text[i] ^= 1;
        assert_int_equal(pw_module_check_token(module, text_of(&wrong)), PYWATT_INVALID_TOKEN);
    }
    const struct pw_str parts[] = {{token.text, 0}, {token.text, 42}, {NULL, 0}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pw_module_check_token(module, parts[i]), PYWATT_INVALID_TOKEN);
    }
    assert_int_equal(pw_module_check_token(module, text_of(&token)), PYWATT_OK);
    pw_module_free(module);
    pw_slab_destroy(&slab);
}

static void is_wiped(void **state)
{
    (void)state;
    struct pw_token token;
    const struct pw_token zero = {.text = {0}};
    assert_int_equal(pw_token_generate(&token), PYWATT_OK);
    pw_token_wipe(&token, sizeof(token));
    assert_memory_equal(&token, &zero, sizeof(token));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(has_43_characters_of_base64url),
        cmocka_unit_test(are_all_different),
        cmocka_unit_test(is_hashed_with_sha256),
        cmocka_unit_test(a_module_that_has_the_hash_only_learns_its_token_when_it_is_shown),
        cmocka_unit_test(every_character_of_a_token_matters),
        cmocka_unit_test(is_wiped),
    };
    return PW_TEST_RUN(cases);
}
