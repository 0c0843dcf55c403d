/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * beats.c - the beats of all loops: finds those that are due, and posts them. The heartbeat thread
 * only; no lock is held, and nothing is allocated, for a beat.
 *
 * A beat that finds no room (an orchestrator that answers one request at a time has room for one)
 * waits in `due_loops`, in order, and is skipped only when the next one of its loop is due.
 */
#include "base/error.h"
#include "base/tool_hints.h"
#include "registry/client.h"
#include "registry/heartbeat.h"
#include "registry/loop.h"
#include "registry/operation.h"

/* Later than this a beat counts as late. */
#define LATE_NS PW_NS_PER_MS

static void skip(struct pywatt_client *client, uint64_t n)
{
    if (n > 0) {
        pw_count(&client->counters.beats_skipped, n);
    }
}

static struct pywatt_heartbeat_loop *loop_of(struct pw_due *due)
{
    return PW_CONTAINER_OF(due, struct pywatt_heartbeat_loop, next);
}

void pw_beats_take(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    pw_list_append(&client->heartbeat.all_loops, &loop->all);
    pw_due_heap_insert(&client->heartbeat.loops, &loop->next, pw_loop_first_ns(loop, now_ns));
}

void pw_beats_drop(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    if (pw_due_queued(&loop->next)) {
        pw_due_heap_remove(&client->heartbeat.loops, &loop->next);
    }
    pw_list_remove(&loop->waiting);
    pw_list_remove(&loop->all);
    pw_loop_release(loop);
}

uint64_t pw_beats_shortest_ns(struct pywatt_client *client)
{
    struct pw_list *all = &client->heartbeat.all_loops;
    uint64_t shortest_ns = PW_DEADLINE_NEVER;
    for (struct pw_list *at = all->next; at != all; at = at->next) {
        const uint64_t interval_ns =
            PW_CONTAINER_OF(at, struct pywatt_heartbeat_loop, all)->interval_ns;
        shortest_ns = interval_ns < shortest_ns ? interval_ns : shortest_ns;
    }
    return shortest_ns;
}

void pw_beats_end(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_due *due;
    while ((due = pw_due_heap_pop(&heartbeat->loops, UINT64_MAX)) != NULL) {
        struct pywatt_heartbeat_loop *loop = loop_of(due);
        pw_mutex_lock(&heartbeat->lock);
        loop->held = false;
        pw_mutex_unlock(&heartbeat->lock);
        pw_beats_drop(client, loop);
    }
}

/* Takes note of the newest beat of `loop` that is due, and of those before it that never left. */
static void became_due(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop,
                       uint64_t due_ns)
{
    if (pw_loop_stopped(loop)) {
        return;
    }
    if (pw_list_linked(&loop->waiting)) {
        skip(client, 1); /* the one that waited; the new one has its place */
    } else if (pw_loop_full(loop) || due_ns < pw_loop_quiet_until_ns(loop)) {
        skip(client, 1);
        return;
    } else {
        pw_list_append(&client->heartbeat.due_loops, &loop->waiting);
    }
    loop->due_ns = due_ns;
    loop->prepared = false;
}

/* As it was prepared, unless a newer one is due or under way already. */
void pw_beats_send_again(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    if (!pw_list_linked(&loop->waiting) && pw_loop_idle(loop)) {
        loop->due_ns = pw_clock_now_ns(client->clock);
        pw_list_append(&client->heartbeat.due_loops, &loop->waiting);
    }
}

/*
 * On a connection that was made between beats one goes out before it is due: an orchestrator need
 * not keep a connection on which nobody says anything, and hears at once who is back. One and no
 * more: whoever asks for a connection while it is being made is told of the same one later.
 */
static void greet(struct pywatt_client *client, uint64_t now_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    const uint64_t connects = pw_channel_epoch(client->channel);
    if (connects != heartbeat->greeted_connects && pw_list_empty(&heartbeat->due_loops) &&
        heartbeat->loops.root != NULL) {
        struct pywatt_heartbeat_loop *loop = loop_of(heartbeat->loops.root);
        if (pw_loop_idle(loop) && pw_loop_quiet_until_ns(loop) <= now_ns) {
            became_due(client, loop, now_ns);
        }
    }
    heartbeat->greets = false;
    heartbeat->greeted_connects = connects;
}

void pw_beats_collect(struct pywatt_client *client, uint64_t now_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_due *due;
    while ((due = pw_due_heap_pop(&heartbeat->loops, now_ns)) != NULL) {
        struct pywatt_heartbeat_loop *loop = loop_of(due);
        const uint64_t missed = (now_ns - due->at_ns) / loop->interval_ns;
        const uint64_t due_ns = due->at_ns + missed * loop->interval_ns;
        skip(client, missed);
        pw_due_heap_insert(&heartbeat->loops, due, due_ns + loop->interval_ns);
        became_due(client, loop, due_ns);
    }
    if (heartbeat->greets) {
        greet(client, now_ns);
    }
}

/* There is no connection for this beat. */
static void no_connection(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    const struct pywatt_error *last = &client->heartbeat.last_connect_error;
    skip(client, 1);
    pw_watch_note(loop->module, PYWATT_CONNECTION, PYWATT_HEALTHY,
                  last->status == PYWATT_OK ? NULL : last->text);
}

/* This beat cannot be sent as it is. */
static void unsendable(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop,
                       enum pywatt_status status, struct pywatt_error *error)
{
    pw_count(&client->counters.beats_failed, 1);
    pw_prefix_operation(error, PW_OP_HEARTBEAT, loop->module);
    pw_watch_note(loop->module, status, PYWATT_HEALTHY, error->text);
}

static void note_lateness(struct pywatt_client *client, uint64_t due_ns, uint64_t sent_ns,
                          uint32_t count)
{
    struct pw_counters *counters = &client->counters;
    const uint64_t late_ns = sent_ns > due_ns ? sent_ns - due_ns : 0;
    pw_recorder_add(&counters->lateness, late_ns, count);
    pw_count_max(&counters->beats_max_lateness_ns, late_ns);
    if (late_ns > LATE_NS) {
        pw_count(&counters->beats_late, count);
    }
}

/*
 * A beat that is not to be sent: its loop was stopped, its module is not registered, or nobody is
 * connected. One that is to be sent is prepared.
 */
static bool give_up(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    if (pw_loop_stopped(loop)) {
        return true;
    }
    if (atomic_load_explicit(&loop->module->forgotten, memory_order_relaxed)) {
        skip(client, 1);
        return true;
    }
    if (client->heartbeat.disconnected) {
        no_connection(client, loop);
        return true;
    }
    if (!loop->prepared && !pw_loop_prepare(loop)) {
        skip(client, 1);
        return true;
    }
    return pw_loop_stopped(loop);
}

static struct pywatt_heartbeat_loop *first_due(struct pw_heartbeat *heartbeat)
{
    return PW_CONTAINER_OF(heartbeat->due_loops.next, struct pywatt_heartbeat_loop, waiting);
}

/* ---- One by one ------------------------------------------------------------------------------ */

/* Hands the beat to the channel, which may complete it at once, on another thread. */
static enum pywatt_status post(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop,
                               uint64_t deadline_ns, struct pywatt_error *error)
{
    const uint64_t due_ns = loop->due_ns;
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    struct pw_loop_post *one = pw_loop_free_post(loop);
    atomic_store_explicit(&one->busy, true, memory_order_relaxed);
    one->sent_ns = now_ns;
    pw_loop_sent(loop);
    const enum pywatt_status status =
        pw_channel_post(client->channel, &loop->request, deadline_ns, &one->post, error);
    if (status == PYWATT_OK) {
        pw_count(&client->counters.beats_sent, 1);
        note_lateness(client, due_ns, now_ns, 1);
    } else {
        atomic_store_explicit(&one->busy, false, memory_order_relaxed);
        pw_loop_unsent(loop);
    }
    return status;
}

/* Sends the loop's beat or gives it up: true. False if there is no room for it yet. */
static bool send_beat(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop,
                      uint64_t deadline_ns, bool *posted)
{
    struct pywatt_error error;
    const enum pywatt_status status = post(client, loop, deadline_ns, &error);
    switch (status) {
    case PYWATT_OK: *posted = true; break;
    case PYWATT_UNAVAILABLE: return false;
    case PYWATT_CONNECTION:
        client->heartbeat.disconnected = true;
        no_connection(client, loop);
        break;
    case PYWATT_CLOSED: break;
    default: unsendable(client, loop, status, &error); break;
    }
    return true;
}

/* ---- Together -------------------------------------------------------------------------------- */

/* Moves beats from those that are due into a frame, up to one that cannot be in it. */
static void fill_frame(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    while (!pw_list_empty(&heartbeat->due_loops)) {
        struct pywatt_heartbeat_loop *loop = first_due(heartbeat);
        if (!give_up(client, loop) &&
            (loop->request.details != NULL || !pw_beat_frame_add(client, loop))) {
            return;
        }
        pw_list_remove(&loop->waiting);
    }
}

/* Beats that were due at the same moment mostly stand beside each other. */
static void note_frame(struct pywatt_client *client, const uint64_t *due_ns, uint32_t count,
                       uint64_t sent_ns)
{
    for (uint32_t first = 0, i = 1; i <= count; i++) {
        if (i == count || due_ns[i] != due_ns[first]) {
            note_lateness(client, due_ns[first], sent_ns, i - first);
            first = i;
        }
    }
}

/*
 * Posts the frame. False if there is no room for it yet, or the client is closed. No more beats go
 * `together` if the connection is another one, whose peer has not said that it takes them so.
 */
static bool post_frame(struct pywatt_client *client, uint64_t deadline_ns, bool *together,
                       bool *posted)
{
    struct pywatt_error error;
    const uint32_t count = pw_beat_frame_count(client);
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    const uint64_t *due_ns;
    const enum pywatt_status status =
        pw_beat_frame_post(client, now_ns, deadline_ns, &due_ns, &error);
    switch (status) {
    case PYWATT_OK:
        *posted = true;
        note_frame(client, due_ns, count, now_ns);
        return true;
    case PYWATT_CONNECTION:
    case PYWATT_CHANNEL: client->heartbeat.disconnected = true; return true;
    case PYWATT_UNSUPPORTED: *together = false; return true;
    default: return false;
    }
}

/* Sends the first beat that is due by itself, or gives it up. False if there is no room yet. */
static bool send_first(struct pywatt_client *client, uint64_t deadline_ns, bool *posted)
{
    struct pywatt_heartbeat_loop *loop = first_due(&client->heartbeat);
    if (!give_up(client, loop) && !send_beat(client, loop, deadline_ns, posted)) {
        return false;
    }
    pw_list_remove(&loop->waiting);
    return true;
}

bool pw_beats_send(struct pywatt_client *client, uint64_t deadline_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    bool together = !pw_list_empty(&heartbeat->due_loops) && pw_beat_frames_allowed(client);
    bool posted = false;
    bool room = true;
    while (room && !pw_list_empty(&heartbeat->due_loops)) {
        if (together && !heartbeat->disconnected) {
            fill_frame(client);
        }
        if (pw_beat_frame_count(client) > 0) {
            room = post_frame(client, deadline_ns, &together, &posted);
        } else if (!pw_list_empty(&heartbeat->due_loops)) {
            room = send_first(client, deadline_ns, &posted);
        }
    }
    return posted;
}
