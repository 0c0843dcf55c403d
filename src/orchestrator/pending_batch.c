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

/* The module of a beat; NULL if its alias stands for nothing. */
static const struct pywatt_uuid *module_of(const struct pw_session *session,
                                           const struct pw_request *request, uint32_t index)
{
    if (request->short_beats == NULL) {
        return &request->beats[index].module_id;
    }
    const uint32_t alias = pw_short_beat_alias(request->short_beats[index]);
    return pw_aliases_find(&session->aliases, alias) == NULL
               ? NULL
               : &pw_aliases_name(&session->aliases, alias)->id;
}

/* Which beats have to wait, and the ids of their modules. */
struct marks {
    bool *waits;
    struct pywatt_uuid *ids;
    size_t id_count;
};

/* Marks those whose modules are in the set. */
static void mark(const struct pw_session *session, const struct pw_request *request,
                 const struct pywatt_uuid *set, size_t count, struct marks *marks)
{
    for (uint32_t i = 0; i < request->beat_count; i++) {
        const struct pywatt_uuid *id = module_of(session, request, i);
        marks->waits[i] = id != NULL && pw_id_set_has(set, count, id);
        if (marks->waits[i]) {
            marks->ids[marks->id_count++] = *id;
        }
    }
}

/* ---- The batch ---- */

void pw_pending_serve_batch(struct pw_pending *pending)
{
    struct pw_session *session = pending->session;
    struct pw_worker *worker = session->worker;
    pw_dispatch_held_beats(session, pending->held, true);
    const struct pw_response response =
        pw_dispatch_held_reply(session, &pending->answer, pending->held);
    pw_session_fill_slot(session, &pending->slot, pending->answer.codec, &response);
    pw_arena_reset(&worker->arena);
}

bool pw_pending_batch(struct pw_session *session, const struct pw_codec_ops *codec,
                      const struct pw_request *request, size_t size)
{
    struct pw_arena *arena = &session->worker->arena;
    struct pywatt_uuid *set = pw_arena_alloc(arena, most_touched(session) * sizeof(*set));
    struct marks marks = {
        .waits = pw_arena_alloc(arena, request->beat_count * sizeof(*marks.waits)),
        .ids = pw_arena_alloc(arena, request->beat_count * sizeof(*marks.ids)),
    };
    if (set == NULL || marks.waits == NULL || marks.ids == NULL) {
        pw_pending_refuse(session, codec, request, NULL);
        return true;
    }
    mark(session, request, set, gather(session, set), &marks);
    if (marks.id_count == 0) {
        return false;
    }
    struct pw_pending *pending = pw_pending_new(session, codec, request, size);
    if (pending != NULL) {
        pending->held = pw_held_batch_new(request, marks.waits, marks.ids, marks.id_count);
    }
    if (pending == NULL || pending->held == NULL) {
        pw_pending_refuse(session, codec, request, pending);
        return true;
    }
    struct pw_pending *before = pw_pending_earlier(pending, &session->replies.slots);
    if (before == NULL) {
        /* A name has gone to another module just now, so nothing has to wait any more. */
        pw_pending_free(pending);
        return false;
    }
    pw_dispatch_held_beats(session, pending->held, false);
    pw_session_open_slot(session, &pending->slot, size);
    pw_pending_wait_for(before, pending);
    return true;
}
