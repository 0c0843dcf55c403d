/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sessions.c - a short list, searched from its beginning: a client has a handful of orchestrators. The
 * owner's lock.
 */
#include "tls/sessions.h"

#include <stdlib.h>
#include <string.h>

static struct pw_tls_session *find(const struct pw_tls_sessions *sessions, const char *peer)
{
    for (size_t i = 0; i < sessions->count; i++) {
        const struct pw_tls_session *at = &sessions->list[i];
        if (strcmp(at->peer, peer) == 0) {
            return (struct pw_tls_session *)(uintptr_t)at;
        }
    }
    return NULL;
}

static void clear(struct pw_tls_session *entry)
{
    free(entry->peer);
    SSL_SESSION_free(entry->session);
}

/* A place for a peer that has none; NULL when memory is out. */
static struct pw_tls_session *make_room(struct pw_tls_sessions *sessions, const char *peer)
{
    char *const copy = strdup(peer);
    if (copy == NULL) {
        return NULL;
    }
    struct pw_tls_session *entry = &sessions->list[sessions->count];
    if (sessions->count < PW_TLS_SESSIONS_MAX) {
        sessions->count++;
    } else {
        entry = &sessions->list[sessions->oldest];
        sessions->oldest = (sessions->oldest + 1) % PW_TLS_SESSIONS_MAX;
        clear(entry);
    }
    *entry = (struct pw_tls_session){.peer = copy};
    return entry;
}

void pw_tls_sessions_put(struct pw_tls_sessions *sessions, const char *peer,
                         const SSL_SESSION *session)
{
    struct pw_tls_session *entry = find(sessions, peer);
    if (entry == NULL) {
        entry = make_room(sessions, peer);
    }
    if (entry != NULL) {
        SSL_SESSION_free(entry->session);
        entry->session = SSL_SESSION_dup(session);
    }
}

SSL_SESSION *pw_tls_sessions_get(const struct pw_tls_sessions *sessions, const char *peer)
{
    const struct pw_tls_session *entry = find(sessions, peer);
    return entry == NULL || entry->session == NULL ? NULL : SSL_SESSION_dup(entry->session);
}

void pw_tls_sessions_clear(struct pw_tls_sessions *sessions)
{
    for (size_t i = 0; i < sessions->count; i++) {
        clear(&sessions->list[i]);
    }
    sessions->count = 0;
    sessions->oldest = 0;
}
