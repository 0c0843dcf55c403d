/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * grant.c - a list of patterns in one piece of memory: their count, then each with its length before
 * it. Any thread; the count of references is atomic, all else constant.
 */
#include "transport/grant.h"

#include "base/tool_hints.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    size_t offset;
    size_t len;
};

struct pw_grant {
    atomic_uint references;
    size_t count;
    const char *texts;
    struct pattern patterns[];
};

enum pywatt_status pw_grant_new(const struct pw_str *patterns, size_t count, struct pw_grant **out)
{
    size_t text_len = 0;
    for (size_t i = 0; i < count; i++) {
        text_len += patterns[i].len;
    }
    const size_t head = sizeof(struct pw_grant) + count * sizeof(struct pattern);
    struct pw_grant *const grant = malloc(head + text_len);
    if (grant == NULL) {
        return PYWATT_NO_MEMORY;
    }
    atomic_init(&grant->references, 1);
    PW_HINT_ATOMIC(grant->references);
    grant->count = count;
    char *const texts = (char *)grant + head;
    grant->texts = texts;
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        grant->patterns[i] = (struct pattern){.offset = offset, .len = patterns[i].len};
        if (patterns[i].len > 0) {
            memcpy(texts + offset, patterns[i].data, patterns[i].len);
        }
        offset += patterns[i].len;
    }
    *out = grant;
    return PYWATT_OK;
}

struct pw_grant *pw_grant_acquire(struct pw_grant *grant)
{
    if (grant != NULL) {
        atomic_fetch_add_explicit(&grant->references, 1, memory_order_relaxed);
    }
    return grant;
}

void pw_grant_release(struct pw_grant *grant)
{
    if (grant == NULL) {
        return;
    }
    PW_HINT_RELEASE(&grant->references);
    if (atomic_fetch_sub_explicit(&grant->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&grant->references);
        free(grant);
    }
}

static bool matches(struct pw_str pattern, struct pw_str name)
{
    if (pattern.len > 2 && pattern.data[0] == '*' && pattern.data[1] == '.') {
        const size_t suffix_len = pattern.len - 1; /* its point included */
        return name.len > suffix_len &&
               memcmp(name.data + name.len - suffix_len, pattern.data + 1, suffix_len) == 0;
    }
    if (pattern.len > 1 && pattern.data[pattern.len - 1] == '*') {
        const size_t prefix_len = pattern.len - 1;
        return name.len >= prefix_len && memcmp(name.data, pattern.data, prefix_len) == 0;
    }
    return pw_str_equal(pattern, name);
}

bool pw_grant_allows(const struct pw_grant *grant, const char *name)
{
    if (grant == NULL) {
        return true;
    }
    for (size_t i = 0; i < grant->count; i++) {
        const struct pw_str pattern = {grant->texts + grant->patterns[i].offset,
                                       grant->patterns[i].len};
        if (matches(pattern, pw_str_from(name))) {
            return true;
        }
    }
    return false;
}
