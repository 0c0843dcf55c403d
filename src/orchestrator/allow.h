/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * allow.h - the lists in the options that say who may come in: names of modules, users and groups of
 * this machine. Read once; constant afterwards, so any thread may look.
 */
#ifndef PW_ORCHESTRATOR_ALLOW_H
#define PW_ORCHESTRATOR_ALLOW_H

#include "transport/transport.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of users or of groups. */
struct pw_allow_ids {
    uint32_t *ids; /* NULL: there is no list */
    size_t count;
};

struct pw_allow {
    struct pw_grant *names; /* NULL: all */
    struct pw_allow_ids uids;
    struct pw_allow_ids gids;
};

/*
 * Reads the lists; each may be NULL. PYWATT_OK; PYWATT_INVALID_ARGUMENT (the text names the option and
 * the entry); PYWATT_NO_MEMORY. On failure there is nothing to destroy.
 */
enum pywatt_status pw_allow_init(struct pw_allow *allow, const char *names, const char *uids,
                                 const char *gids, struct pywatt_error *error);
void pw_allow_destroy(struct pw_allow *allow);

static inline bool pw_allow_asks_for_users(const struct pw_allow *allow)
{
    return allow->uids.ids != NULL || allow->gids.ids != NULL;
}

/* Whether the peer's process is one of a user, or of a group, that may come in. */
bool pw_allow_user(const struct pw_allow *allow, const struct pw_credentials *peer);

#endif
