/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * lease.c - the lease thread. Its mutex guards the wheel and the lists; it is the last in the order
 * of the locks (module_table.h), so here modules are picked under it, by id, and looked at under
 * their shard's mutex afterwards.
 *
 * What happens to a module's timer: it stands in the wheel; it fires (list `fired`) and the module
 * is visited; if the module beat in time the timer goes back into the wheel, else it waits for a
 * pass of the workers (`doomed`, then `judged`), and if there was no beat still, the module is lost
 * and the timer goes into the wheel once more, for the time that it is kept.
 */
#include "orchestrator/lease.h"

#include "base/tool_hints.h"
#include "base/wake.h"
#include "orchestrator/module_table.h"
#include "orchestrator/presence.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * The thread sleeps no longer than this while any timer is set: a stall that ends before it wakes
 * would not be seen. Lateness below the second number is what any scheduler does.
 */
#define LONGEST_SLEEP_NS (50 * PW_NS_PER_MS)
#define NOT_A_STALL_NS (5 * PW_NS_PER_MS)

/*
 * A stall as long as this is a pause. Peers have noticed it: their calls timed out, connections were
 * given up, and the pauses between their attempts have grown. So all modules have a whole lease from
 * its end. Shorter ones must not count as that: a machine that stutters would never lose anybody.
 */
#define PAUSE_NS PW_NS_PER_S

/*
 * A stall that is shorter than this is a stutter. On a busy machine they come all the time, and if
 * each counted, leases would end later and later: by 1.7 s of 5 s once, in pieces of 20 ms. So they
 * count as long as they are the exception: one of them wholly, many for a small share of the time.
 */
#define STUTTER_NS (150 * PW_NS_PER_MS)

enum {
    BATCH = 128,
    STUTTER_SHARE = 50 /* one part in so many */
};

enum pywatt_status pw_lease_init(struct pw_lease *lease, const struct pw_clock *clock,
                                 struct pw_module_table *table, uint64_t retain_ms)
{
    *lease = (struct pw_lease){.clock = clock, .table = table};
    lease->stutter_left_ns = STUTTER_NS;
    lease->stutter_at_ns = pw_clock_now_ns(clock);
    atomic_init(&lease->stall_ns, 0);
    atomic_init(&lease->lost_count, 0);
    PW_HINT_ATOMIC(lease->stall_ns);
    atomic_init(&lease->retain_ms, retain_ms);
    PW_HINT_ATOMIC(lease->lost_count);
    PW_HINT_ATOMIC(lease->retain_ms);
    pw_wheel_init(&lease->wheel, pw_clock_now_ns(clock) / PW_NS_PER_MS);
    pw_list_init(&lease->fired);
    pw_list_init(&lease->doomed);
    pw_list_init(&lease->judged);
    if (pw_mutex_init(&lease->mutex) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    lease->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lease->wake_fd < 0) {
        pw_mutex_destroy(&lease->mutex);
        return PYWATT_IO;
    }
    return PYWATT_OK;
}

void pw_lease_destroy(struct pw_lease *lease)
{
    close(lease->wake_fd);
    pw_mutex_destroy(&lease->mutex);
}

static uint64_t without(uint64_t clock_ns, uint64_t stall_ns)
{
    return clock_ns > stall_ns ? clock_ns - stall_ns : 0;
}

struct pw_moment pw_lease_look(struct pw_lease *lease)
{
    /* Acquire, so that the clock is not read before it. */
    const uint64_t stall_ns = atomic_load_explicit(&lease->stall_ns, memory_order_acquire);
    const uint64_t clock_ns = pw_clock_now_ns(lease->clock);
    return (struct pw_moment){.clock_ns = clock_ns, .lease_ns = without(clock_ns, stall_ns)};
}

/* ---- Setting timers ---- */

static void kick_locked(struct pw_lease *lease)
{
    if (!lease->kicked) {
        lease->kicked = true;
        lease->kicked_ns = pw_clock_now_ns(lease->clock);
        pw_wake(lease->wake_fd);
    }
}

void pw_lease_visit_at(struct pw_lease *lease, struct pw_module *module, uint64_t when_ns)
{
    /* A tick later rather than a moment too early. */
    const uint64_t tick = when_ns / PW_NS_PER_MS + 1;
    uint64_t next;
    pw_mutex_lock(&lease->mutex);
    const bool any = pw_wheel_next(&lease->wheel, &next);
    pw_wheel_set(&lease->wheel, &module->timer, tick);
    if (!any || tick < next) {
        kick_locked(lease);
    }
    pw_mutex_unlock(&lease->mutex);
}

static uint64_t deadline_of(const struct pw_module *module)
{
    return pw_deadline_after_ms(module->last_beat_ns, module->lease_ms);
}

/* The same, and not before a whole lease since the last pause is over. The lease thread's. */
static uint64_t end_of(const struct pw_lease *lease, const struct pw_module *module)
{
    const uint64_t deadline_ns = deadline_of(module);
    const uint64_t grace_ns =
        lease->paused ? pw_deadline_after_ms(lease->resumed_ns, module->lease_ms) : 0;
    return deadline_ns > grace_ns ? deadline_ns : grace_ns;
}

void pw_lease_watch(struct pw_lease *lease, struct pw_module *module)
{
    pw_lease_visit_at(lease, module, deadline_of(module));
}

void pw_lease_unwatch(struct pw_lease *lease, struct pw_module *module)
{
    pw_mutex_lock(&lease->mutex);
    pw_wheel_cancel(&lease->wheel, &module->timer);
    pw_mutex_unlock(&lease->mutex);
}

/* ---- Visits ---- */

static void wait_for_pass(struct pw_lease *lease, struct pw_module *module)
{
    pw_mutex_lock(&lease->mutex);
    pw_wheel_cancel(&lease->wheel, &module->timer);
    pw_list_append(&lease->doomed, &module->timer.link);
    pw_mutex_unlock(&lease->mutex);
}

/* The timer of a module has fired. */
static void visit(struct pw_lease *lease, const struct pywatt_uuid *id, uint64_t now_ns)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(lease->table, id, &shard);
    if (module == NULL) {
        return;
    }
    const bool lost = module->liveness == PYWATT_LOST;
    if (!lost && end_of(lease, module) > now_ns) {
        pw_lease_visit_at(lease, module, end_of(lease, module));
    } else if (!lost) {
        wait_for_pass(lease, module);
    }
    pw_mutex_unlock(&shard->mutex);
    if (lost && lease->hooks.forget != NULL) {
        lease->hooks.forget(lease->hooks.user, id);
    }
}

/* Every worker has made its pass: what has not beaten by now has not. */
static void judge(struct pw_lease *lease, const struct pywatt_uuid *id, uint64_t now_ns)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(lease->table, id, &shard);
    if (module == NULL) {
        return;
    }
    if (module->liveness != PYWATT_LOST) {
        /* A stall that was noticed since the pass began has set the clock back. */
        const uint64_t known_ns = now_ns < lease->pass_began_ns ? now_ns : lease->pass_began_ns;
        if (end_of(lease, module) > known_ns) {
            pw_lease_visit_at(lease, module, end_of(lease, module));
        } else {
            atomic_fetch_add_explicit(&lease->lost_count, 1, memory_order_relaxed);
            pw_presence_set_liveness_locked(lease->table, module, PYWATT_LOST);
            const uint64_t retain_ms =
                atomic_load_explicit(&lease->retain_ms, memory_order_relaxed);
            pw_lease_visit_at(lease, module, pw_deadline_after_ms(now_ns, retain_ms));
        }
    }
    pw_mutex_unlock(&shard->mutex);
}

/* Takes some modules off a list, as ids, since they may go while the mutex is not held. */
static unsigned take_batch(struct pw_lease *lease, struct pw_list *list,
                           struct pywatt_uuid ids[BATCH])
{
    unsigned count = 0;
    struct pw_list *link;
    pw_mutex_lock(&lease->mutex);
    while (count < BATCH && (link = pw_list_pop(list)) != NULL) {
        ids[count++] = PW_CONTAINER_OF(link, struct pw_module, timer.link)->id;
    }
    pw_mutex_unlock(&lease->mutex);
    return count;
}

static void for_each_of(struct pw_lease *lease, struct pw_list *list, uint64_t now_ns,
                        void (*handle)(struct pw_lease *, const struct pywatt_uuid *, uint64_t))
{
    struct pywatt_uuid ids[BATCH];
    unsigned count;
    while ((count = take_batch(lease, list, ids)) > 0) {
        pw_events_hold(lease->table->events);
        for (unsigned i = 0; i < count; i++) {
            handle(lease, &ids[i], now_ns);
        }
        pw_events_release(lease->table->events);
    }
}

/* ---- Passes of the workers ---- */

void pw_lease_pass_done(struct pw_lease *lease)
{
    pw_mutex_lock(&lease->mutex);
    if (lease->pass_left > 0 && --lease->pass_left == 0) {
        kick_locked(lease);
    }
    pw_mutex_unlock(&lease->mutex);
}

/* True if a pass is to begin now; its modules stand in `judged` then. */
static bool prepare_pass(struct pw_lease *lease, uint64_t now_ns)
{
    pw_mutex_lock(&lease->mutex);
    const bool begins = !lease->pass_running && !pw_list_empty(&lease->doomed);
    if (begins) {
        pw_list_splice(&lease->judged, &lease->doomed);
        lease->pass_running = true;
        lease->pass_left = UINT32_MAX; /* until it is known how many there are */
        lease->pass_began_ns = now_ns;
    }
    pw_mutex_unlock(&lease->mutex);
    return begins;
}

static void begin_pass(struct pw_lease *lease)
{
    const unsigned asked =
        lease->hooks.begin_pass == NULL ? 0 : lease->hooks.begin_pass(lease->hooks.user);
    pw_mutex_lock(&lease->mutex);
    const unsigned answered = UINT32_MAX - lease->pass_left;
    lease->pass_left = asked - answered;
    pw_mutex_unlock(&lease->mutex);
}

static bool pass_ended(struct pw_lease *lease)
{
    pw_mutex_lock(&lease->mutex);
    const bool ended = lease->pass_running && lease->pass_left == 0;
    if (ended) {
        lease->pass_running = false;
    }
    pw_mutex_unlock(&lease->mutex);
    return ended;
}

/* ---- The thread ---- */

/* How much of a stall does not count. */
static uint64_t excused(struct pw_lease *lease, uint64_t clock_ns, uint64_t stall_ns)
{
    if (stall_ns >= STUTTER_NS) {
        return stall_ns;
    }
    const uint64_t left_ns =
        lease->stutter_left_ns + (clock_ns - lease->stutter_at_ns) / STUTTER_SHARE;
    const uint64_t most_ns = left_ns < STUTTER_NS ? left_ns : STUTTER_NS;
    const uint64_t excused_ns = stall_ns < most_ns ? stall_ns : most_ns;
    lease->stutter_left_ns = most_ns - excused_ns;
    lease->stutter_at_ns = clock_ns;
    return excused_ns;
}

/* What time it is on the clock of the leases, once what the thread overslept is taken out. */
static uint64_t take_stall_out(struct pw_lease *lease, uint64_t clock_ns)
{
    uint64_t stall_ns = 0;
    if (lease->planned_ns != 0 && clock_ns > lease->planned_ns + NOT_A_STALL_NS) {
        stall_ns = excused(lease, clock_ns, clock_ns - lease->planned_ns);
        atomic_fetch_add_explicit(&lease->stall_ns, stall_ns, memory_order_relaxed);
    }
    const uint64_t now_ns =
        without(clock_ns, atomic_load_explicit(&lease->stall_ns, memory_order_relaxed));
    if (stall_ns >= PAUSE_NS) {
        lease->paused = true;
        lease->resumed_ns = now_ns;
    }
    return now_ns;
}

/* When there is something to do again, on the clock, and never later than the longest sleep. */
static uint64_t plan(struct pw_lease *lease, uint64_t clock_ns)
{
    uint64_t tick;
    pw_mutex_lock(&lease->mutex);
    const bool any = pw_wheel_next(&lease->wheel, &tick);
    const bool busy = lease->pass_running || !pw_list_empty(&lease->doomed);
    pw_mutex_unlock(&lease->mutex);
    if (!any && !busy) {
        return PW_DEADLINE_NEVER;
    }
    uint64_t when_ns = clock_ns + LONGEST_SLEEP_NS;
    if (any) {
        const uint64_t stall_ns = atomic_load_explicit(&lease->stall_ns, memory_order_relaxed);
        uint64_t due_ns;
        if (!__builtin_mul_overflow(tick, PW_NS_PER_MS, &due_ns) &&
            !__builtin_add_overflow(due_ns, stall_ns, &due_ns) && due_ns < when_ns) {
            when_ns = due_ns;
        }
    }
    return when_ns;
}

uint64_t pw_lease_step(struct pw_lease *lease)
{
    const uint64_t clock_ns = pw_clock_now_ns(lease->clock);
    const uint64_t now_ns = take_stall_out(lease, clock_ns);

    pw_mutex_lock(&lease->mutex);
    pw_wheel_advance(&lease->wheel, now_ns / PW_NS_PER_MS, &lease->fired);
    pw_mutex_unlock(&lease->mutex);
    for_each_of(lease, &lease->fired, now_ns, visit);
    if (pass_ended(lease)) {
        for_each_of(lease, &lease->judged, now_ns, judge);
    }
    while (prepare_pass(lease, now_ns)) {
        begin_pass(lease);
        if (!pass_ended(lease)) {
            break;
        }
        for_each_of(lease, &lease->judged, now_ns, judge);
    }
    const uint64_t next_ns = plan(lease, clock_ns);
    lease->planned_ns = next_ns == PW_DEADLINE_NEVER ? 0 : next_ns;
    return next_ns;
}

/*
 * False if the thread is to end. Not a condition variable: when one of those times out just as it
 * is signalled, glibc signals it again without the mutex, and Helgrind takes that for our fault.
 */
static bool sleep_until(struct pw_lease *lease, uint64_t when_ns)
{
    struct pollfd wake = {.fd = lease->wake_fd, .events = POLLIN};
    if (when_ns == PW_DEADLINE_NEVER) {
        (void)ppoll(&wake, 1, NULL, NULL);
    } else {
        const struct timespec left = pw_deadline_left(pw_clock_now_ns(lease->clock), when_ns);
        (void)ppoll(&wake, 1, &left, NULL);
    }
    pw_mutex_lock(&lease->mutex);
    if (lease->kicked) {
        lease->kicked = false;
        /* It was to wake when it was kicked: a stall from then on is one as well. */
        if (lease->planned_ns == 0 || lease->kicked_ns < lease->planned_ns) {
            lease->planned_ns = lease->kicked_ns;
        }
        pw_wake_taken(lease->wake_fd);
    }
    const bool goes_on = !lease->stopping;
    pw_mutex_unlock(&lease->mutex);
    return goes_on;
}

static void *lease_main(void *arg)
{
    struct pw_lease *lease = arg;
    while (sleep_until(lease, pw_lease_step(lease))) {
    }
    return NULL;
}

enum pywatt_status pw_lease_start(struct pw_lease *lease, const struct pw_lease_hooks *hooks)
{
    lease->hooks = *hooks;
    /* Its first step is due now: what passes until it is made is a stall, too. */
    lease->planned_ns = pw_clock_now_ns(lease->clock);
    const enum pywatt_status status =
        pw_thread_start(&lease->thread, "pw-lease", lease_main, lease);
    lease->running = status == PYWATT_OK;
    return status;
}

void pw_lease_stop(struct pw_lease *lease)
{
    if (!lease->running) {
        return;
    }
    pw_mutex_lock(&lease->mutex);
    lease->stopping = true;
    kick_locked(lease);
    pw_mutex_unlock(&lease->mutex);
    pthread_join(lease->thread, NULL);
    lease->running = false;
}
