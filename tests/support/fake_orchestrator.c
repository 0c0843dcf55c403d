/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fake_orchestrator.c - the outside of the fake orchestrator: its life, what tests tell it, and what
 * they ask. Any thread; `lock` guards what fake_private.h says.
 */
#include "fake_private.h"

#include "base/clock.h"
#include "codec/codec.h"
#include "pw_test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 10000
};

void pw_fake_must(bool what, const char *text)
{
    if (!what) {
        fprintf(stderr, "fake orchestrator: %s\n", text);
        abort();
    }
}

/* Gives an order, and waits until it has been carried out. */
static void give_order(struct pw_fake *fake, enum pw_fake_order order)
{
    const uint64_t one = 1;
    pw_mutex_lock(&fake->lock);
    while (fake->order != PW_FAKE_ORDER_NONE) { /* somebody else's */
        pw_cond_wait(&fake->changed, &fake->lock);
    }
    fake->order = order;
    (void)!write(fake->wake_fd, &one, sizeof(one));
    while (fake->order != PW_FAKE_ORDER_NONE) {
        pw_cond_wait(&fake->changed, &fake->lock);
    }
    pw_mutex_unlock(&fake->lock);
}

/* ---- The outside ----------------------------------------------------------------------------- */

struct pw_fake *pw_fake_start(void)
{
    static atomic_uint number;
    struct pw_fake *fake = calloc(1, sizeof(*fake));
    pw_fake_must(fake != NULL, "no memory");
    snprintf(fake->url, sizeof(fake->url), "memory:fake-%u", atomic_fetch_add(&number, 1));
    pw_fake_must(pw_endpoint_parse(fake->url, true, &fake->endpoint, NULL) == PYWATT_OK, "bad URL");
    pw_fake_must(pw_mutex_init(&fake->lock) == PYWATT_OK &&
                     pw_cond_init(&fake->changed) == PYWATT_OK,
                 "no memory");
    fake->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pw_fake_must(fake->wake_fd >= 0, "no descriptor");
    fake->verdict = -1;
    pw_list_init(&fake->modules);
    pw_arena_init(&fake->arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&fake->request);
    pw_fake_open_listener(fake);
    pw_fake_must(pw_thread_start(&fake->thread, "fake", pw_fake_run, fake) == PYWATT_OK,
                 "no thread");
    return fake;
}

void pw_fake_free(struct pw_fake *fake)
{
    give_order(fake, PW_FAKE_ORDER_END);
    pthread_join(fake->thread, NULL);
    pw_fake_forget(fake);
    pw_request_clear(&fake->request);
    pw_arena_destroy(&fake->arena);
    pw_cond_destroy(&fake->changed);
    pw_mutex_destroy(&fake->lock);
    close(fake->wake_fd);
    free(fake);
}

const char *pw_fake_url(const struct pw_fake *fake)
{
    return fake->url;
}

void pw_fake_handle(struct pw_fake *fake, enum pw_operation operation, pw_fake_handler handler,
                    void *user)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].handler = handler;
    fake->rules[operation].user = user;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_refuse(struct pw_fake *fake, enum pw_operation operation, enum pywatt_status status,
                    const char *text)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].refuse_status = status;
    fake->rules[operation].refuse_text = text;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_defer(struct pw_fake *fake, enum pw_operation operation, uint64_t times,
                   uint32_t retry_after_ms)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].defer_times = times;
    fake->rules[operation].retry_after_ms = retry_after_ms;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_hold(struct pw_fake *fake, enum pw_operation operation)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].hold = true;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_release(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    for (size_t i = 0; i < PW_FAKE_OPERATIONS; i++) {
        fake->rules[i].hold = false;
    }
    pw_mutex_unlock(&fake->lock);
    give_order(fake, PW_FAKE_ORDER_RELEASE);
}

void pw_fake_drop(struct pw_fake *fake, enum pw_operation operation, bool drop)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].drop = drop;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_omit_request_ids(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    fake->omit_request_ids = true;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_take_batches(struct pw_fake *fake, bool take)
{
    pw_mutex_lock(&fake->lock);
    fake->take_batches = take;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_allow_takeover(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    fake->allow_takeover = true;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_set_verdict(struct pw_fake *fake, int verdict)
{
    pw_mutex_lock(&fake->lock);
    fake->verdict = verdict;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_set_interval_ms(struct pw_fake *fake, uint64_t interval_ms)
{
    pw_mutex_lock(&fake->lock);
    fake->interval_ms = interval_ms;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_disconnect(struct pw_fake *fake)
{
    give_order(fake, PW_FAKE_ORDER_DISCONNECT);
}

void pw_fake_go_away(struct pw_fake *fake)
{
    give_order(fake, PW_FAKE_ORDER_GO_AWAY);
}

void pw_fake_come_back(struct pw_fake *fake)
{
    give_order(fake, PW_FAKE_ORDER_COME_BACK);
}

void pw_fake_forget(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    while (!pw_list_empty(&fake->modules)) {
        pw_fake_forget_locked(&PW_CONTAINER_OF(fake->modules.next, struct pw_fake_known, link)->is);
    }
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_take_over(struct pw_fake *fake, const struct pywatt_uuid *id)
{
    pw_mutex_lock(&fake->lock);
    struct pw_fake_module *module = pw_fake_find_locked(fake, id);
    if (module != NULL) {
        pw_fake_new_token_locked(fake, module);
        module->generation++;
    }
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_fence_off(struct pw_fake *fake, const struct pywatt_uuid *id)
{
    pw_mutex_lock(&fake->lock);
    struct pw_fake_module *module = pw_fake_find_locked(fake, id);
    if (module != NULL) {
        module->generation++;
    }
    pw_mutex_unlock(&fake->lock);
}

uint64_t pw_fake_count(struct pw_fake *fake, enum pw_operation operation)
{
    pw_mutex_lock(&fake->lock);
    const uint64_t count = fake->counts[operation];
    pw_mutex_unlock(&fake->lock);
    return count;
}

static bool wait_for(struct pw_fake *fake, const uint64_t *seen, uint64_t count)
{
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    pw_mutex_lock(&fake->lock);
    while (*seen < count && in_time) {
        in_time = pw_cond_wait_until(&fake->changed, &fake->lock, deadline_ns);
    }
    const bool reached = *seen >= count;
    pw_mutex_unlock(&fake->lock);
    return reached;
}

bool pw_fake_wait(struct pw_fake *fake, enum pw_operation operation, uint64_t count)
{
    return wait_for(fake, &fake->counts[operation], count);
}

bool pw_fake_wait_held(struct pw_fake *fake, enum pw_operation operation, uint64_t count)
{
    return wait_for(fake, &fake->held[operation], count);
}

uint64_t pw_fake_connections(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    const uint64_t count = fake->connected;
    pw_mutex_unlock(&fake->lock);
    return count;
}

bool pw_fake_find(struct pw_fake *fake, const struct pywatt_uuid *id, struct pw_fake_module *out)
{
    pw_mutex_lock(&fake->lock);
    const struct pw_fake_module *module = pw_fake_find_locked(fake, id);
    if (module != NULL) {
        *out = *module;
    }
    pw_mutex_unlock(&fake->lock);
    return module != NULL;
}

bool pw_fake_wait_health(struct pw_fake *fake, const struct pywatt_uuid *id,
                         enum pywatt_health health)
{
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    bool reached = false;
    pw_mutex_lock(&fake->lock);
    while (!reached && in_time) {
        const struct pw_fake_module *module = pw_fake_find_locked(fake, id);
        reached = module != NULL && module->beats > 0 && module->health == health;
        if (!reached) {
            in_time = pw_cond_wait_until(&fake->changed, &fake->lock, deadline_ns);
        }
    }
    pw_mutex_unlock(&fake->lock);
    return reached;
}
