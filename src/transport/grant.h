/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * grant.h - a list of patterns of modules: which of them the peer of a connection may act for, where the
 * transport has made sure of that, as TLS does by the peer's certificate; or which may be
 * registered at all. Does not change once it is made, and is shared by
 * references: any thread, no lock.
 */
#ifndef PW_TRANSPORT_GRANT_H
#define PW_TRANSPORT_GRANT_H

#include "base/bytes.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>

struct pw_grant;

/*
 * Of `count` patterns, which are copied: the name of a module, "*.suffix" for every name that ends in
 * ".suffix" and has something before it, or "prefix*" for every name that begins so. Names are compared byte by byte. No pattern: no module. One
 * reference is the caller's. PYWATT_OK, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_grant_new(const struct pw_str *patterns, size_t count, struct pw_grant **out);

/* NULL is allowed, and stays NULL. */
struct pw_grant *pw_grant_acquire(struct pw_grant *grant);
void pw_grant_release(struct pw_grant *grant);

/* Whether the module `name` is one of them. NULL is the grant of who may act for all. */
bool pw_grant_allows(const struct pw_grant *grant, const char *name);

#endif
