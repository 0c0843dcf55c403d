/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * heartbeat.c - the heartbeat thread's round, its mail, and how it sleeps and is woken. `lock` guards
 * the mail; no lock is held while it sends, sleeps, or asks a provider.
 *
 * Sleep. `wakefulness` is AWAKE while the thread works, ASLEEP while it may be in ppoll, NOTIFIED when
 * somebody has news since it began its round. Whoever has news makes it NOTIFIED, and writes the
 * eventfd only if it was ASLEEP: while the thread works, being woken costs one atomic exchange.
 */
#include "registry/heartbeat.h"

#include "base/error.h"
#include "base/random.h"
#include "base/tool_hints.h"
#include "base/wake.h"
#include "registry/async.h"
#include "registry/client.h"
#include "registry/loop.h"
#include "registry/module.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum wakefulness {
    AWAKE,
    ASLEEP,
    NOTIFIED
};

enum pywatt_status pw_heartbeat_init(struct pw_heartbeat *heartbeat, uint32_t max_frame_bytes,
                                     struct pywatt_error *error)
{
    memset(heartbeat, 0, sizeof(*heartbeat));
    if (pw_mutex_init(&heartbeat->lock) != PYWATT_OK) {
        return pw_error_no_memory(error);
    }
    heartbeat->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (heartbeat->wake_fd < 0) {
        const int reason = errno;
        pw_mutex_destroy(&heartbeat->lock);
        return pw_error_set(error, PYWATT_IO, "no descriptor for a new client: %s",
                            strerror(reason));
    }
    PW_HINT_ATOMIC(heartbeat->wakefulness);
    PW_HINT_ATOMIC(heartbeat->stopping);
    pw_list_init(&heartbeat->mail_operations);
    pw_list_init(&heartbeat->mail_loops);
    pw_list_init(&heartbeat->mail_recovered);
    pw_list_init(&heartbeat->ready);
    pw_list_init(&heartbeat->due_loops);
    pw_beat_frames_init(&heartbeat->frames, max_frame_bytes);
    pw_due_heap_init(&heartbeat->operation_deadlines);
    pw_due_heap_init(&heartbeat->deferred);
    pw_list_init(&heartbeat->all_loops);
    pw_due_heap_init(&heartbeat->loops);
    return PYWATT_OK;
}

void pw_heartbeat_close(struct pw_heartbeat *heartbeat)
{
    if (heartbeat->wake_fd >= 0) {
        close(heartbeat->wake_fd);
        heartbeat->wake_fd = -1;
    }
}

void pw_heartbeat_destroy(struct pw_heartbeat *heartbeat)
{
    pw_heartbeat_close(heartbeat);
    pw_beat_frames_destroy(&heartbeat->frames);
    pw_mutex_destroy(&heartbeat->lock);
}

void pw_heartbeat_wake(struct pw_heartbeat *heartbeat)
{
    if (atomic_exchange(&heartbeat->wakefulness, NOTIFIED) == ASLEEP) {
        pw_wake(heartbeat->wake_fd);
    }
}

void pw_heartbeat_stop(struct pw_heartbeat *heartbeat)
{
    atomic_store(&heartbeat->stopping, true);
    pw_heartbeat_wake(heartbeat);
}

/* ---- Mail: any thread ----------------------------------------------------------------------- */

bool pw_heartbeat_submit(struct pywatt_client *client, struct pw_async *operation)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    pw_mutex_lock(&heartbeat->lock);
    const bool open = !heartbeat->ended;
    if (open) {
        pw_list_append(&heartbeat->mail_operations, &operation->link);
    }
    pw_mutex_unlock(&heartbeat->lock);
    if (open) {
        pw_heartbeat_wake(heartbeat);
    }
    return open;
}

bool pw_heartbeat_add_loop(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    pw_mutex_lock(&heartbeat->lock);
    const bool open = !heartbeat->ended;
    if (open) {
        loop->held = true;
        pw_loop_acquire(loop);
        pw_list_append(&heartbeat->mail_loops, &loop->mail);
    }
    pw_mutex_unlock(&heartbeat->lock);
    if (open) {
        pw_heartbeat_wake(heartbeat);
    }
    return open;
}

void pw_heartbeat_remove_loop(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    pw_mutex_lock(&heartbeat->lock);
    const bool tell = loop->held && !heartbeat->ended;
    if (tell && !pw_list_linked(&loop->mail)) {
        pw_list_append(&heartbeat->mail_loops, &loop->mail);
    }
    pw_mutex_unlock(&heartbeat->lock);
    if (tell) {
        pw_heartbeat_wake(heartbeat);
    }
}

void pw_heartbeat_send_again(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    pw_mutex_lock(&heartbeat->lock);
    const bool tell = loop->held && !heartbeat->ended && !pw_list_linked(&loop->mail);
    if (tell) {
        loop->again = true;
        pw_list_append(&heartbeat->mail_loops, &loop->mail);
    }
    pw_mutex_unlock(&heartbeat->lock);
    if (tell) {
        pw_heartbeat_wake(heartbeat);
    }
}

void pw_heartbeat_recovered(struct pywatt_client *client, struct pywatt_module *module)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    if (!atomic_load_explicit(&client->threads_ready, memory_order_relaxed)) {
        return; /* then nothing can be waiting there */
    }
    pw_mutex_lock(&heartbeat->lock);
    const bool tell = !heartbeat->ended && !pw_list_linked(&module->recovered);
    if (tell) {
        pw_handle_acquire(module);
        pw_list_append(&heartbeat->mail_recovered, &module->recovered);
    }
    pw_mutex_unlock(&heartbeat->lock);
    if (tell) {
        pw_heartbeat_wake(heartbeat);
    }
}

void pw_heartbeat_connect_ended(struct pywatt_client *client, const struct pywatt_error *result,
                                bool gave_up)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    pw_mutex_lock(&heartbeat->lock);
    heartbeat->connect_error = *result;
    heartbeat->connect_gave_up = gave_up;
    heartbeat->connect_made = result->status == PYWATT_OK;
    pw_mutex_unlock(&heartbeat->lock);
    pw_heartbeat_wake(heartbeat);
}

/* ---- Mail: the heartbeat thread ------------------------------------------------------------- */

typedef void (*loop_fn)(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);

/* Takes one loop out of the mail, or NULL; *handle is what to do with it. */
static struct pywatt_heartbeat_loop *next_loop_locked(struct pw_heartbeat *heartbeat,
                                                      loop_fn *handle)
{
    struct pw_list *link = pw_list_pop(&heartbeat->mail_loops);
    if (link == NULL) {
        return NULL;
    }
    struct pywatt_heartbeat_loop *loop = PW_CONTAINER_OF(link, struct pywatt_heartbeat_loop, mail);
    *handle = loop->again ? pw_beats_send_again : pw_beats_take;
    if (pw_loop_stopped(loop)) {
        loop->held = false;
        *handle = pw_beats_drop;
    }
    loop->again = false;
    return loop;
}

static void take_loops_locked(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    loop_fn handle;
    struct pywatt_heartbeat_loop *loop;
    while ((loop = next_loop_locked(heartbeat, &handle)) != NULL) {
        pw_mutex_unlock(&heartbeat->lock);
        handle(client, loop);
        pw_mutex_lock(&heartbeat->lock);
    }
}

static void take_recovered_locked(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_list *link;
    while ((link = pw_list_pop(&heartbeat->mail_recovered)) != NULL) {
        struct pywatt_module *module = PW_CONTAINER_OF(link, struct pywatt_module, recovered);
        pw_mutex_unlock(&heartbeat->lock);
        pw_outbox_recovered(client, module);
        pw_handle_release(module);
        pw_mutex_lock(&heartbeat->lock);
    }
}

static void take_operations(struct pywatt_client *client, struct pw_list *operations)
{
    struct pw_list *link;
    while ((link = pw_list_pop(operations)) != NULL) {
        pw_outbox_take(client, PW_CONTAINER_OF(link, struct pw_async, link));
    }
}

static void take_mail(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_list operations;
    pw_list_init(&operations);
    pw_mutex_lock(&heartbeat->lock);
    take_loops_locked(client);
    /* Operations come before the news that their module is back, or that there is no connection. */
    pw_list_splice(&operations, &heartbeat->mail_operations);
    const bool gave_up = heartbeat->connect_gave_up;
    heartbeat->connect_gave_up = false;
    heartbeat->greets = heartbeat->greets || heartbeat->connect_made;
    heartbeat->connect_made = false;
    heartbeat->last_connect_error = heartbeat->connect_error;
    pw_mutex_unlock(&heartbeat->lock);
    take_operations(client, &operations);
    if (gave_up) {
        pw_outbox_unconnected(client, &heartbeat->last_connect_error);
    }
    pw_mutex_lock(&heartbeat->lock);
    take_recovered_locked(client);
    pw_mutex_unlock(&heartbeat->lock);
}

/* ---- The round ------------------------------------------------------------------------------ */

/*
 * When to connect, if nobody but loops needs it. Many clients lose the same orchestrator at the same
 * moment; those of them that have only beats to send come to the next one a while later, by chance.
 * A connection that had brought nothing is the reconnect policy's.
 */
static uint64_t connect_at_ns(struct pywatt_client *client, uint64_t connects, uint64_t now_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    if (connects != heartbeat->lost_connects) {
        struct pw_channel_stats stats;
        pw_channel_get_stats(client->channel, &stats);
        const bool worked = stats.replies_received != heartbeat->lost_replies;
        const uint64_t shortest_ns = pw_beats_shortest_ns(client);
        const uint64_t most_ns = client->settings.reconnect_spread_ms * PW_NS_PER_MS;
        const uint64_t most_us = (shortest_ns < most_ns ? shortest_ns : most_ns) / 1000;
        const uint64_t random = pw_random_next_shared(&client->random);
        heartbeat->connect_at_ns = now_ns + (worked ? pw_random_below(random, most_us) : 0) * 1000;
        heartbeat->lost_connects = connects;
        heartbeat->lost_replies = stats.replies_received;
    }
    return heartbeat->connect_at_ns;
}

/*
 * Asks for a connection if there is none. What is counted first, before it is known whether there is
 * one, is lost if there is none.
 */
static void ask_to_connect(struct pywatt_client *client, uint64_t connects, uint64_t now_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    const bool waited_for = !pw_list_empty(&heartbeat->ready);
    if ((heartbeat->loops.root != NULL || waited_for) &&
        (heartbeat->disconnected || !pw_channel_connected(client->channel))) {
        pw_recovery_connect(client, connects,
                            waited_for ? now_ns : connect_at_ns(client, connects, now_ns));
    }
}

static void send_round(struct pywatt_client *client, uint64_t now_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    const uint64_t deadline_ns = pw_deadline_after_ms(now_ns, client->settings.timeout_ms);
    const uint64_t connects = pw_channel_epoch(client->channel);
    bool posted = false;
    heartbeat->disconnected = false;
    heartbeat->more = false;
    pw_beats_collect(client, now_ns);
    if (heartbeat->beats_first) {
        posted = pw_beats_send(client, deadline_ns);
    }
    pw_outbox_send(client, &posted);
    if (!heartbeat->beats_first) {
        posted = pw_beats_send(client, deadline_ns) || posted;
    }
    heartbeat->beats_first = !heartbeat->beats_first;
    if (posted) {
        pw_channel_flush(client->channel);
    }
    ask_to_connect(client, connects, now_ns);
}

static uint64_t next_ns(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    if (heartbeat->more) {
        return 0;
    }
    uint64_t next = pw_due_heap_next_ns(&heartbeat->loops);
    const uint64_t operation = pw_due_heap_next_ns(&heartbeat->operation_deadlines);
    const uint64_t deferred = pw_due_heap_next_ns(&heartbeat->deferred);
    const uint64_t reply = pw_channel_pump_deadline(client->channel);
    next = deferred < next ? deferred : next;
    next = operation < next ? operation : next;
    return reply < next ? reply : next;
}

/* Sleeps until something is due, arrives, or is told; reads what arrived. */
static void sleep_and_read(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pollfd fds[2] = {{.fd = heartbeat->wake_fd, .events = POLLIN}, {.fd = -1}};
    const bool pumping = pw_channel_pump_begin(client->channel, &fds[1]);
    const bool watching = !pumping && pw_channel_watch_begin(client->channel, &fds[1]);
    const uint64_t until_ns = next_ns(client);

    int expected = AWAKE;
    const bool asleep = atomic_compare_exchange_strong(&heartbeat->wakefulness, &expected, ASLEEP);
    if (asleep || pumping) {
        struct timespec left = {0, 0};
        if (asleep && until_ns != PW_DEADLINE_NEVER) {
            left = pw_deadline_left(pw_clock_now_ns(client->clock), until_ns);
        }
        const bool for_ever = asleep && until_ns == PW_DEADLINE_NEVER;
        if (ppoll(fds, 2, for_ever ? NULL : &left, NULL) <= 0) {
            fds[0].revents = 0;
            fds[1].revents = 0;
        }
    }
    if ((fds[0].revents & POLLIN) != 0) {
        pw_wake_taken(heartbeat->wake_fd);
    }
    if (pumping) {
        pw_channel_pump_end(client->channel, fds[1].revents);
    } else if (watching) {
        pw_channel_watch_end(client->channel, asleep, fds[1].revents);
    }
}

/* Nothing comes in any more; what is there ends. */
static void end(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    pw_mutex_lock(&heartbeat->lock);
    heartbeat->ended = true;
    pw_mutex_unlock(&heartbeat->lock);
    take_mail(client);
    pw_outbox_end(client);
    pw_beats_end(client);
}

void pw_heartbeat_run(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    for (;;) {
        atomic_exchange(&heartbeat->wakefulness, AWAKE);
        if (atomic_load(&heartbeat->stopping)) {
            break;
        }
        take_mail(client);
        const uint64_t now_ns = pw_clock_now_ns(client->clock);
        if (pw_channel_pump_deadline(client->channel) <= now_ns) {
            pw_channel_pump_expire(client->channel);
        }
        pw_outbox_resume(client, now_ns);
        pw_outbox_expire(client, now_ns);
        send_round(client, now_ns);
        sleep_and_read(client);
    }
    end(client);
}
