/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fake_aliases.c - the aliases of the fake orchestrator's connections. It is strict: a short beat whose
 * alias was not given on its connection ends the program. The fake's thread.
 */
#include "fake_private.h"

#include <stdlib.h>
#include <string.h>

void pw_fake_forget_aliases(struct pw_fake_connection *connection)
{
    free(connection->aliases);
    connection->aliases = NULL;
    connection->alias_count = 0;
}

static bool loses_aliases(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    const bool loses = fake->lose_aliases;
    pw_mutex_unlock(&fake->lock);
    return loses;
}

/* The beat by an alias as it would be in full; without a token if the fake knows no aliases. */
static struct pw_batched_beat expand(const struct pw_fake_connection *connection,
                                     pw_short_beat from, bool lost)
{
    const uint32_t alias = pw_short_beat_alias(from);
    struct pw_batched_beat beat = {.health = pw_short_beat_health(from)};
    if (!lost) {
        pw_fake_must(alias <= connection->alias_count && connection->aliases[alias - 1].given,
                     "a beat by an alias that was not given");
        const struct pw_fake_alias *known = &connection->aliases[alias - 1];
        beat.module_id = known->id;
        beat.token = pw_str_from(known->token);
        beat.generation = known->generation;
    }
    return beat;
}

void pw_fake_expand(struct pw_fake *fake, const struct pw_fake_connection *connection,
                    struct pw_request *request)
{
    const struct pw_batched_beat *next = request->beats;
    const bool lost = loses_aliases(fake);
    if (request->operation != PW_OP_HEARTBEAT_BATCH || request->short_beats == NULL) {
        return;
    }
    for (uint32_t i = 0; i < request->beat_count; i++) {
        const pw_short_beat from = request->short_beats[i];
        fake->expanded[i] =
            pw_short_beat_alias(from) == 0 ? *next++ : expand(connection, from, lost);
    }
    request->beats = fake->expanded;
    request->short_beats = NULL;
    pw_mutex_lock(&fake->lock);
    fake->short_beats += request->beat_count - request->full_count;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_lose_aliases(struct pw_fake *fake, bool lose)
{
    pw_mutex_lock(&fake->lock);
    fake->lose_aliases = lose;
    pw_mutex_unlock(&fake->lock);
}

static void give(struct pw_fake_connection *connection, const struct pw_batched_beat *beat)
{
    if (beat->alias > connection->alias_count) {
        struct pw_fake_alias *more =
            realloc(connection->aliases, beat->alias * sizeof(*connection->aliases));
        pw_fake_must(more != NULL, "no memory for aliases");
        memset(more + connection->alias_count, 0,
               (beat->alias - connection->alias_count) * sizeof(*more));
        connection->aliases = more;
        connection->alias_count = beat->alias;
    }
    struct pw_fake_alias *alias = &connection->aliases[beat->alias - 1];
    pw_fake_must(beat->token.len < sizeof(alias->token), "a token is too long for the fake");
    alias->given = true;
    alias->id = beat->module_id;
    alias->generation = beat->generation;
    memcpy(alias->token, beat->token.data, beat->token.len);
    alias->token[beat->token.len] = '\0';
}

void pw_fake_give_aliases(struct pw_fake_connection *connection, const struct pw_request *request,
                          const struct pw_response *response)
{
    uint32_t next = 0;
    if (request->operation != PW_OP_HEARTBEAT_BATCH || !response->success) {
        return;
    }
    for (uint32_t i = 0; i < request->beat_count; i++) {
        bool well = true;
        if (next < response->exception_count && response->exceptions[next].index == i) {
            well = response->exceptions[next++].status == PYWATT_OK;
        }
        if (well && request->beats[i].alias != 0) {
            give(connection, &request->beats[i]);
        }
    }
}

uint64_t pw_fake_short_beats(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    const uint64_t count = fake->short_beats;
    pw_mutex_unlock(&fake->lock);
    return count;
}
