/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See asynchronous.h. What the dispatcher thread counts is atomic. */
#include "support/asynchronous.h"

#include "support/check.h"
#include "support/clock.h"

#include <semaphore.h>
#include <stdatomic.h>

/* One beat under way. */
struct slot {
    struct bench_asynchronous *self;
    enum pywatt_health health;
    atomic_bool free;
};

/*
 * The sender sleeps when the window is full, until half of it is empty: one wake-up for many
 * answers.
 */
struct bench_asynchronous {
    const struct bench_crowd *crowd;
    size_t next_module;
    size_t next_slot;
    unsigned long long sent; /* the sender's */
    atomic_ullong answered;
    atomic_ullong wake_at; /* answers; sequentially consistent with `answered` */
    sem_t wake;
    size_t window;
    struct slot slots[]; /* as many */
};

struct bench_asynchronous *bench_asynchronous_new(const struct bench_crowd *crowd, size_t window)
{
    struct bench_asynchronous *self = calloc(1, sizeof(*self) + window * sizeof(self->slots[0]));

    bench_check(self != NULL, "out of memory");
    self->crowd = crowd;
    self->window = window;
    sem_init(&self->wake, 0, 0);
    for (size_t i = 0; i < window; i++) {
        self->slots[i] = (struct slot){.self = self, .free = true};
    }
    return self;
}

void bench_asynchronous_free(struct bench_asynchronous *self)
{
    sem_destroy(&self->wake);
    free(self);
}

static void on_answer(void *user, enum pywatt_status status, const struct pywatt_error *error,
                      enum pywatt_health verdict)
{
    struct slot *slot = user;

    bench_check_ok(status, error);
    bench_check(verdict == slot->health, "reported %s, answered %s",
                pywatt_health_name(slot->health), pywatt_health_name(verdict));
    struct bench_asynchronous *self = slot->self;
    atomic_store_explicit(&slot->free, true, memory_order_release);
    if (atomic_fetch_add(&self->answered, 1) + 1 == atomic_load(&self->wake_at)) {
        sem_post(&self->wake);
    }
}

static void wait_for_answers(struct bench_asynchronous *self, unsigned long long wanted)
{
    atomic_store(&self->wake_at, wanted);
    while (atomic_load(&self->answered) < wanted) {
        sem_wait(&self->wake); /* or a signal, or an answer that was seen above already */
    }
}

static void send_one(struct bench_asynchronous *self)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    if (self->sent - atomic_load(&self->answered) >= self->window) {
        wait_for_answers(self, self->sent - self->window / 2);
    }
    /* Answers come in nearly the order of the beats, so the next slot is nearly always it. */
    while (!atomic_load_explicit(&self->slots[self->next_slot].free, memory_order_acquire)) {
        self->next_slot = (self->next_slot + 1) % self->window;
    }
    struct slot *slot = &self->slots[self->next_slot];
    slot->health = (enum pywatt_health)(self->sent % 3);
    atomic_store_explicit(&slot->free, false, memory_order_relaxed);
    struct pywatt_module *module = self->crowd->modules[self->next_module];
    self->next_module = (self->next_module + 1) % self->crowd->count;
    bench_check_ok(pywatt_heartbeat_async(module, slot->health, NULL, on_answer, slot, &error),
                   &error);
    self->sent++;
}

double bench_asynchronous_rate(struct bench_asynchronous *self, uint64_t time_ns)
{
    const unsigned long long first = self->sent;
    const uint64_t began = bench_now_ns();

    do {
        send_one(self);
    } while (self->sent % 64 != 0 || bench_now_ns() - began < time_ns);
    wait_for_answers(self, self->sent);
    const uint64_t took = bench_now_ns() - began;
    bench_check(atomic_load(&self->answered) == self->sent, "an answer too many");
    return (double)(self->sent - first) * (double)BENCH_NS_PER_S / (double)took;
}
