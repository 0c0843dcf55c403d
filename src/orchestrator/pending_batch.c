/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pending_batch.c - batches of which some beats wait for earlier requests of their connection. On the
 * worker's thread. The beats that need not wait are served at once, so that the leases of their
 * modules do not run out while a store takes its time for another one.
 */
#include "orchestrator/pending_private.h"

#include <string.h>

/* ---- Which modules ---- */

/* The id of the module that has this name; false if there is none. NULL is allowed. */
static bool id_of_name(struct pw_module_table *table, const char *name, struct pywatt_uuid *id)
{
    bool found = false;
    if (name != NULL) {
        pw_mutex_lock(&table->names_mutex);
        const struct pw_module *module = pw_table_find_name_locked(table, name);
        if (module != NULL) {
            *id = module->id;
            found = true;
        }
        pw_mutex_unlock(&table->names_mutex);
    }
    return found;
}

bool pw_pending_waits_in(struct pw_module_table *table, const struct pw_held_batch *held,
                         const struct pw_pending *pending)
{
    struct pywatt_uuid id;
    if (pending->held != NULL) {
        return pw_held_batches_meet(held, pending->held);
    }
    return (pending->has_id && pw_held_batch_has(held, &pending->id)) ||
           (id_of_name(table, pw_pending_name(pending), &id) && pw_held_batch_has(held, &id));
}

/* How many ids `gather` may find. */
static size_t most_touched(const struct pw_session *session)
{
    size_t most = 0;
    const struct pw_list *slots = &session->replies.slots;
    for (struct pw_list *link = slots->next; link != slots; link = link->next) {
        const struct pw_pending *pending = pw_pending_of_slot(link);
        most += pending->held == NULL ? 2 : pending->held->id_count;
    }
    return most;
}

/* The modules that requests touch which are not done, as a set; how many there are. */
static size_t gather(struct pw_session *session, struct pywatt_uuid *ids)
{
    struct pw_module_table *table = session->worker->server->table;
    const struct pw_list *slots = &session->replies.slots;
    size_t count = 0;
    for (struct pw_list *link = slots->next; link != slots; link = link->next) {
        const struct pw_pending *pending = pw_pending_of_slot(link);
        if (pending->slot.ready) {
            continue;
        }
        if (pending->held != NULL) {
            memcpy(&ids[count], pending->held->ids, pending->held->id_count * sizeof(*ids));
            count += pending->held->id_count;
            continue;
        }
        if (pending->has_id) {
            ids[count++] = pending->id;
        }
        count += id_of_name(table, pw_pending_name(pending), &ids[count]) ? 1 : 0;
    }
    return pw_id_set_make(ids, count);
}

/* Marks the beats that have to wait, whose modules are in the set; how many. */
static uint32_t mark(struct pw_held_beat *beats, uint32_t beat_count, const struct pywatt_uuid *set,
                     size_t count)
{
    uint32_t marked = 0;
    for (uint32_t i = 0; i < beat_count; i++) {
        beats[i].waits =
            pw_held_beat_has_module(&beats[i]) && pw_id_set_has(set, count, &beats[i].name.id);
        marked += beats[i].waits ? 1 : 0;
    }
    return marked;
}

/* ---- The batch ---- */

static struct pw_response serve_waiting(struct pw_pending *pending)
{
    struct pw_held_batch *held = pending->held;
    pw_dispatch_held_beats(pending->session, held->held, held->held_count, true);
    return pw_dispatch_held_reply(pending->session, &pending->answer, held);
}

void pw_pending_serve_batch(struct pw_pending *pending)
{
    struct pw_session *session = pending->session;
    struct pw_worker *worker = session->worker;
    const struct pw_response response = serve_waiting(pending);
    pw_session_fill_slot(session, &pending->slot, pending->answer.codec, &response);
    pw_arena_reset(&worker->arena);
}

/* As long as it waits it counts with all that it holds, and with the longest reply it may come to. */
static void hold(struct pw_pending *pending, struct pw_pending *before)
{
    const struct pw_held_batch *held = pending->held;
    const size_t holds = sizeof(*pending) + held->size;
    pw_session_open_slot(pending->session, &pending->slot,
                         pending->size > holds ? pending->size : holds);
    pw_replies_expect(&pending->session->replies, &pending->slot,
                      PW_BATCH_REPLY_BYTES + held->held_count * PW_EXCEPTION_BYTES);
    pw_pending_wait_for(before, pending);
}

/* Those that need not wait have been served. */
static void begin(struct pw_pending *pending)
{
    struct pw_session *session = pending->session;
    struct pw_pending *before = pw_pending_earlier(pending, &session->replies.slots);
    if (before != NULL) {
        hold(pending, before);
    } else {
        /* A name has gone to another module just now, so nothing has to wait any more. */
        const struct pw_response response = serve_waiting(pending);
        pw_session_reply(session, pending->answer.codec, &response);
        pw_pending_free(pending);
    }
}

bool pw_pending_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                      const struct pw_request *request, size_t size)
{
    struct pw_arena *arena = &session->worker->arena;
    const uint32_t count = request->beat_count;
    struct pywatt_uuid *set = pw_arena_alloc(arena, most_touched(session) * sizeof(*set));
    struct pw_held_beat *beats = pw_held_beats_of(request, &session->aliases, arena);
    struct pw_pending *pending = NULL;
    if (set != NULL && beats != NULL) {
        if (mark(beats, count, set, gather(session, set)) == 0) {
            return false;
        }
        pending = pw_pending_new(session, codec, request, size);
    }
    if (pending != NULL) {
        pw_dispatch_held_beats(session, beats, count, false);
        pending->held = pw_held_batch_new(beats, count);
    }
    if (pending == NULL || pending->held == NULL) {
        pw_pending_refuse(session, codec, request, pending);
    } else {
        begin(pending);
    }
    return true;
}
