/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_keys.c - finds a key that stands twice in an object. No state; any thread; no memory.
 *
 * Few keys are compared pairwise; many are sorted as a list that is linked through the `next` of
 * the key tokens, which is known without being stored. So the cost is bounded for any input.
 */
#include "base/json_private.h"

/* Up to here comparing pairwise is quicker than sorting. */
#define FEW_KEYS 16

struct tape {
    const uint8_t *base;
    struct pw_json_token *tokens;
    uint32_t count;
};

static int compare_escaped(const struct tape *tape, const struct pw_json_token *a,
                           const struct pw_json_token *b)
{
    struct pw_json_unescaper left;
    struct pw_json_unescaper right;
    pw_json_unescaper_init(&left, tape->base, a);
    pw_json_unescaper_init(&right, tape->base, b);
    for (;;) {
        const int l = pw_json_unescaper_next(&left);
        const int r = pw_json_unescaper_next(&right);
        if (l != r || l < 0) {
            return l - r;
        }
    }
}

/* Orders keys by the bytes of their values; 0 if they are the same key. */
static int compare_keys(const struct tape *tape, uint32_t a_index, uint32_t b_index)
{
    const struct pw_json_token *a = &tape->tokens[a_index];
    const struct pw_json_token *b = &tape->tokens[b_index];
    if (a->escaped || b->escaped) {
        return compare_escaped(tape, a, b);
    }
    const size_t common = (a->len < b->len ? a->len : b->len) - 2;
    const int order = memcmp(tape->base + a->offset + 1, tape->base + b->offset + 1, common);
    return order != 0 ? order : (int)(a->len > b->len) - (int)(a->len < b->len);
}

static bool same_key(const struct tape *tape, uint32_t a_index, uint32_t b_index)
{
    const struct pw_json_token *a = &tape->tokens[a_index];
    const struct pw_json_token *b = &tape->tokens[b_index];
    if (a->escaped || b->escaped) {
        return compare_escaped(tape, a, b) == 0;
    }
    return a->len == b->len && memcmp(tape->base + a->offset, tape->base + b->offset, a->len) == 0;
}

/* The index of the key behind the member whose key is `key`. */
static inline uint32_t next_key(const struct tape *tape, uint32_t key)
{
    return tape->tokens[key + 1].next;
}

static uint32_t duplicate_of_few(const struct tape *tape, uint32_t first, uint32_t count)
{
    uint32_t keys[FEW_KEYS];
    uint32_t key = first;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (same_key(tape, keys[j], key)) {
                return key;
            }
        }
        keys[i] = key;
        key = next_key(tape, key);
    }
    return PW_JSON_NO_TOKEN;
}

/*
 * Merges two sorted lists of keys, linked through `next` and ended by PW_JSON_NO_TOKEN. If a key stands in
 * both, *duplicate is set to the later one of the text.
 */
static uint32_t merge_keys(const struct tape *tape, uint32_t a, uint32_t b, uint32_t *duplicate)
{
    uint32_t head = PW_JSON_NO_TOKEN;
    uint32_t *link = &head;
    while (a != PW_JSON_NO_TOKEN && b != PW_JSON_NO_TOKEN) {
        const int order = compare_keys(tape, a, b);
        if (order == 0) {
            *duplicate = a > b ? a : b;
        }
        uint32_t *const taken = order <= 0 ? &a : &b;
        *link = *taken;
        link = &tape->tokens[*taken].next;
        *taken = *link;
    }
    *link = a != PW_JSON_NO_TOKEN ? a : b;
    return head;
}

/* A merge sort from the bottom: runs[i] is a sorted list of 2^i keys, or none. */
static uint32_t duplicate_of_many(const struct tape *tape, uint32_t first)
{
    uint32_t runs[32];
    unsigned used = 0;
    uint32_t duplicate = PW_JSON_NO_TOKEN;
    uint32_t key = first;
    while (key < tape->count && duplicate == PW_JSON_NO_TOKEN) {
        uint32_t run = key;
        key = next_key(tape, key);
        tape->tokens[run].next = PW_JSON_NO_TOKEN;
        unsigned i = 0;
        while (i < used && runs[i] != PW_JSON_NO_TOKEN) {
            run = merge_keys(tape, runs[i], run, &duplicate);
            runs[i++] = PW_JSON_NO_TOKEN;
        }
        runs[i] = run;
        used = i == used ? used + 1 : used;
    }
    uint32_t all = PW_JSON_NO_TOKEN;
    for (unsigned i = 0; i < used && duplicate == PW_JSON_NO_TOKEN; i++) {
        all = merge_keys(tape, runs[i], all, &duplicate);
    }
    if (duplicate != PW_JSON_NO_TOKEN) {
        return duplicate;
    }
    for (key = first; key < tape->count; key = next_key(tape, key)) {
        tape->tokens[key].next = key + 1;
    }
    return PW_JSON_NO_TOKEN;
}

uint32_t pw_json_duplicate_key(const uint8_t *base, struct pw_json_token *tokens, uint32_t count,
                               uint32_t first, uint32_t members)
{
    const struct tape tape = {.base = base, .tokens = tokens, .count = count};
    return members <= FEW_KEYS ? duplicate_of_few(&tape, first, members)
                               : duplicate_of_many(&tape, first);
}
