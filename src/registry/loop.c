/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop.c - heartbeat loops: start and stop from any thread; asking the provider and taking in the
 * answers for the heartbeat thread and whoever reads. `flags` is atomic, so that a beat takes no
 * lock; who waits for a provider to return does so on its module's condition.
 */
#include "registry/loop.h"

#include "base/error.h"
#include "base/tool_hints.h"
#include "registry/client.h"
#include "registry/operation.h"

#include <stdlib.h>

enum {
    LONGEST_INTERVAL_MS = 86400000,
    DEFAULT_INTERVAL_MS = 1000
};

struct pywatt_heartbeat_loop *pw_loop_acquire(struct pywatt_heartbeat_loop *loop)
{
    atomic_fetch_add_explicit(&loop->references, 1, memory_order_relaxed);
    return loop;
}

static void destroy(struct pywatt_heartbeat_loop *loop)
{
    pywatt_registration_release(loop->registration);
    pywatt_string_map_free(loop->details);
    pw_handle_release(loop->module);
    free(loop);
}

void pw_loop_release(struct pywatt_heartbeat_loop *loop)
{
    PW_HINT_RELEASE(&loop->references);
    if (atomic_fetch_sub_explicit(&loop->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&loop->references);
        destroy(loop);
    }
}

bool pw_loop_stopped(const struct pywatt_heartbeat_loop *loop)
{
    return (atomic_load_explicit(&loop->flags, memory_order_relaxed) & PW_LOOP_STOPPED) != 0;
}

static void answered(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error);

/* ---- Start ---------------------------------------------------------------------------------- */

static unsigned may_be_under_way(uint64_t interval_ns)
{
    const uint64_t beats = PW_LOOP_COVERED_NS / interval_ns;
    return beats < 1 ? 1 : beats > PW_LOOP_UNDER_WAY_MAX ? PW_LOOP_UNDER_WAY_MAX : (unsigned)beats;
}

static void init_posts(struct pywatt_heartbeat_loop *loop, unsigned count)
{
    loop->post_count = count;
    for (unsigned i = 0; i < count; i++) {
        PW_HINT_ATOMIC(loop->posts[i].busy);
        loop->posts[i].loop = loop;
        loop->posts[i].post.done = answered;
    }
}

/* One reference: the module's. */
static struct pywatt_heartbeat_loop *new_loop(struct pywatt_module *module, uint64_t interval_ms,
                                              pywatt_health_provider provider, void *user)
{
    const unsigned post_count = may_be_under_way(interval_ms * PW_NS_PER_MS);
    struct pywatt_heartbeat_loop *loop =
        calloc(1, sizeof(*loop) + post_count * sizeof(loop->posts[0]));
    if (loop == NULL) {
        return NULL;
    }
    if (provider != NULL) {
        loop->details = pywatt_string_map_new();
        if (loop->details == NULL) {
            free(loop);
            return NULL;
        }
    }
    atomic_init(&loop->references, 1);
    PW_HINT_ATOMIC(loop->references);
    PW_HINT_ATOMIC(loop->flags);
    PW_HINT_ATOMIC(loop->under_way);
    loop->module = pw_handle_acquire(module);
    loop->interval_ns = interval_ms * PW_NS_PER_MS;
    loop->provider = provider;
    loop->user = user;
    init_posts(loop, post_count);
    pw_list_init(&loop->mail);
    pw_list_init(&loop->waiting);
    pw_list_init(&loop->all);
    pw_due_init(&loop->next);
    pw_request_init(&loop->request);
    loop->request.operation = PW_OP_HEARTBEAT;
    return loop;
}

static uint64_t choose_interval_ms(struct pywatt_module *module, uint32_t interval_ms)
{
    if (interval_ms != 0) {
        return interval_ms;
    }
    struct pywatt_registration *registration = pw_handle_registration(module);
    const uint64_t recommended = pywatt_registration_heartbeat_interval_ms(registration);
    pywatt_registration_release(registration);
    return recommended == 0 || recommended > LONGEST_INTERVAL_MS ? DEFAULT_INTERVAL_MS
                                                                 : recommended;
}

/* Makes `loop` the module's, with the reference that it has. */
static enum pywatt_status bind(struct pywatt_module *module, struct pywatt_heartbeat_loop *loop,
                               struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    pw_mutex_lock(&module->lock);
    if (module->unregistered || module->freed) {
        status = pw_error_set(error, PYWATT_CLOSED, "heartbeat loop: the module is unregistered");
    } else if (module->loop != NULL || module->leaving > 0) {
        status = pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat loop: %s",
                              module->loop != NULL ? "the module has one already"
                                                   : "the module is being unregistered");
    } else {
        module->loop = loop;
        pw_watch_reset_locked(module);
    }
    pw_mutex_unlock(&module->lock);
    return status;
}

static enum pywatt_status start(struct pywatt_module *module, uint64_t interval_ms,
                                pywatt_health_provider provider, void *user,
                                struct pywatt_heartbeat_loop **out, struct pywatt_error *error)
{
    struct pywatt_client *client = module->client;
    enum pywatt_status status = pw_client_start_threads(client, error);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_heartbeat_loop *loop = new_loop(module, interval_ms, provider, user);
    if (loop == NULL) {
        return pw_error_no_memory(error);
    }
    /* As soon as the module has it, another thread may stop it and drop the module's reference. */
    struct pywatt_heartbeat_loop *handle = pw_loop_acquire(loop);
    status = bind(module, loop, error);
    if (status != PYWATT_OK) {
        pw_loop_release(loop);
    } else if (!pw_heartbeat_add_loop(client, loop)) {
        pw_loop_stop(loop);
        status = pw_client_is_closed(error);
    } else if (pw_handle_unwell(module)) {
        pw_recovery_request(client, module, false);
    }
    if (status == PYWATT_OK && out != NULL) {
        *out = handle;
    } else {
        pw_loop_release(handle);
    }
    return status;
}

enum pywatt_status pywatt_start_heartbeat_loop(struct pywatt_module *module, uint32_t interval_ms,
                                               pywatt_health_provider provider, void *user,
                                               struct pywatt_heartbeat_loop **out,
                                               struct pywatt_error *error)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (module == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat loop: module is NULL");
    }
    if (interval_ms > LONGEST_INTERVAL_MS) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "heartbeat loop: the interval is %u ms, %d is the longest", interval_ms,
                            LONGEST_INTERVAL_MS);
    }
    struct pywatt_client *client = module->client;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    const enum pywatt_status status =
        start(module, choose_interval_ms(module, interval_ms), provider, user, out, error);
    pw_client_leave(client);
    return status;
}

/* ---- Stop ----------------------------------------------------------------------------------- */

void pw_loop_stop(struct pywatt_heartbeat_loop *loop)
{
    struct pywatt_module *module = loop->module;
    const bool may_wait = pw_client_role(module->client) != PW_THREAD_HEARTBEAT;
    atomic_fetch_or(&loop->flags, PW_LOOP_STOPPED);

    pw_mutex_lock(&module->lock);
    const bool running = module->loop == loop;
    if (running) {
        module->loop = NULL;
        pw_watch_reset_locked(module);
    }
    /* The heartbeat thread never waits for the dispatcher here, so that the opposite is safe. */
    while (may_wait && (atomic_load(&loop->flags) & PW_LOOP_IN_PROVIDER) != 0) {
        pw_cond_wait(&module->changed, &module->lock);
    }
    PW_HINT_ACQUIRE(&loop->flags);
    pw_watch_settle_locked(module);
    pw_mutex_unlock(&module->lock);

    pw_heartbeat_remove_loop(module->client, loop);
    if (running) {
        pw_loop_release(loop);
    }
}

void pywatt_heartbeat_loop_stop(struct pywatt_heartbeat_loop *loop)
{
    if (loop != NULL && !pw_client_is_in_child(loop->module->client)) {
        pw_loop_stop(loop);
        pw_loop_release(loop);
    }
}

/* ---- On the heartbeat thread ---------------------------------------------------------------- */

uint64_t pw_loop_first_ns(const struct pywatt_heartbeat_loop *loop, uint64_t now_ns)
{
    const uint64_t phase_ns = pw_hash_uuid(&loop->module->id) % loop->interval_ns;
    const uint64_t at_ns = now_ns + phase_ns;
    const uint64_t on_grid_ns = at_ns - at_ns % PW_BEAT_GRID_NS;
    return on_grid_ns < now_ns ? on_grid_ns + PW_BEAT_GRID_NS : on_grid_ns;
}

/* The loop's own view of its module's registration: looked up only when there is another one. */
static bool renew_registration(struct pywatt_heartbeat_loop *loop)
{
    struct pywatt_module *module = loop->module;
    const unsigned version =
        atomic_load_explicit(&module->registration_version, memory_order_acquire);
    if (version == loop->version) {
        return true;
    }
    if (!pw_loop_idle(loop)) {
        return false;
    }
    pywatt_registration_release(loop->registration);
    loop->registration = pw_handle_registration(module);
    loop->version = version;
    loop->request.module_id = *pywatt_registration_id(loop->registration);
    loop->request.token = pw_str_from(pywatt_registration_token(loop->registration));
    loop->request.generation = pywatt_registration_generation(loop->registration);
    return true;
}

static enum pywatt_health ask_provider(struct pywatt_heartbeat_loop *loop)
{
    struct pywatt_module *module = loop->module;
    int health = PYWATT_HEALTHY;
    const unsigned before = atomic_fetch_or(&loop->flags, PW_LOOP_IN_PROVIDER);
    if ((before & PW_LOOP_STOPPED) == 0) {
        pywatt_string_map_clear(loop->details);
        health = (int)loop->provider(loop->user, loop->details);
    }
    PW_HINT_RELEASE(&loop->flags);
    const unsigned after = atomic_fetch_and(&loop->flags, ~(unsigned)PW_LOOP_IN_PROVIDER);
    if ((after & PW_LOOP_STOPPED) != 0) {
        pw_mutex_lock(&module->lock);
        pw_cond_broadcast(&module->changed);
        pw_mutex_unlock(&module->lock);
    }
    /* A provider that answers nonsense is not well. */
    return health < PYWATT_HEALTHY || health > PYWATT_UNHEALTHY ? PYWATT_UNHEALTHY
                                                                : (enum pywatt_health)health;
}

bool pw_loop_prepare(struct pywatt_heartbeat_loop *loop)
{
    loop->prepared = true;
    if (loop->provider != NULL) {
        loop->request.health = ask_provider(loop);
        loop->request.details = pywatt_string_map_count(loop->details) == 0 ? NULL : loop->details;
    } else {
        loop->request.health =
            (enum pywatt_health)atomic_load_explicit(&loop->module->health, memory_order_relaxed);
    }
    return renew_registration(loop);
}

bool pw_loop_full(const struct pywatt_heartbeat_loop *loop)
{
    return atomic_load_explicit(&loop->under_way, memory_order_relaxed) >= loop->post_count;
}

bool pw_loop_idle(struct pywatt_heartbeat_loop *loop)
{
    const bool idle = atomic_load_explicit(&loop->under_way, memory_order_acquire) == 0;
    if (idle) {
        PW_HINT_ACQUIRE(&loop->under_way);
    }
    return idle;
}

uint64_t pw_loop_quiet_until_ns(struct pywatt_heartbeat_loop *loop)
{
    uint64_t until_ns = 0;
    if ((atomic_load_explicit(&loop->flags, memory_order_relaxed) & PW_LOOP_QUIET) != 0) {
        pw_mutex_lock(&loop->module->lock);
        until_ns = pw_deferral_until_ns(loop->module->client, &loop->quiet);
        pw_mutex_unlock(&loop->module->lock);
    }
    return until_ns;
}

void pw_loop_sent(struct pywatt_heartbeat_loop *loop)
{
    pw_loop_acquire(loop);
    atomic_fetch_add_explicit(&loop->under_way, 1, memory_order_relaxed);
}

static void not_under_way(struct pywatt_heartbeat_loop *loop)
{
    PW_HINT_RELEASE(&loop->under_way);
    atomic_fetch_sub_explicit(&loop->under_way, 1, memory_order_release);
}

void pw_loop_unsent(struct pywatt_heartbeat_loop *loop)
{
    not_under_way(loop);
    pw_loop_release(loop);
}

struct pw_loop_post *pw_loop_free_post(struct pywatt_heartbeat_loop *loop)
{
    struct pw_loop_post *post = loop->posts;
    while (atomic_load_explicit(&post->busy, memory_order_acquire)) {
        post++;
    }
    PW_HINT_ACQUIRE(&post->busy);
    return post;
}

/* ---- Answers: on whatever thread reads ------------------------------------------------------- */

static void answered_well(struct pywatt_heartbeat_loop *loop, const struct pw_answer *answer)
{
    struct pywatt_module *module = loop->module;
    const uint64_t epoch = answer->epoch;
    if (atomic_load_explicit(&module->success_epoch, memory_order_relaxed) != epoch) {
        atomic_store_explicit(&module->success_epoch, epoch, memory_order_relaxed);
    }
    pw_watch_note(module, PYWATT_OK, answer->verdict, NULL);
}

static void failed(struct pywatt_heartbeat_loop *loop, enum pywatt_status status,
                   const struct pw_answer *answer, struct pywatt_error *error)
{
    struct pywatt_module *module = loop->module;
    const bool refused = answer->refused;
    if (status == PYWATT_CLOSED && !refused) {
        return;
    }
    if (refused && pw_handle_forgotten(module, loop->registration, status, answer->epoch)) {
        /* Nothing is said yet: the watcher hears how the recovery ends. */
        if (pw_handle_unwell(module)) {
            pw_recovery_request(module->client, module, false);
        }
        return;
    }
    if (!refused) {
        pw_prefix_operation(error, PW_OP_HEARTBEAT, module);
    }
    pw_watch_note(module, status, PYWATT_HEALTHY, error->text);
}

/* A lock only while the orchestrator says that it wants no beats, and for the first one that it takes. */
static void note_deferral(struct pywatt_heartbeat_loop *loop, const struct pw_answer *answer)
{
    struct pywatt_module *module = loop->module;
    const bool any =
        (atomic_load_explicit(&loop->flags, memory_order_relaxed) & PW_LOOP_QUIET) != 0;
    if (answer->retry_after_ms == 0 && !any) {
        return;
    }
    pw_mutex_lock(&module->lock);
    if (answer->retry_after_ms == 0) {
        loop->quiet = (struct pw_deferral){.retry_after_ms = 0};
        atomic_fetch_and(&loop->flags, ~(unsigned)PW_LOOP_QUIET);
    } else if (!any || !pw_deferral_pending(module->client, &loop->quiet)) {
        pw_deferral_note(module->client, &loop->quiet, answer->retry_after_ms, answer->epoch);
        atomic_fetch_or(&loop->flags, PW_LOOP_QUIET);
    } /* else it was under way when the first was refused, which is not once more in a row */
    pw_mutex_unlock(&module->lock);
}

void pw_loop_ended(struct pywatt_heartbeat_loop *loop, enum pywatt_status status,
                   const struct pw_answer *answer, struct pywatt_error *words)
{
    if (status == PYWATT_OK) {
        answered_well(loop, answer);
    } else if (!pw_loop_stopped(loop)) {
        failed(loop, status, answer, words);
    }
    note_deferral(loop, answer);
    pw_loop_unsent(loop);
}

void pw_loop_again(struct pywatt_heartbeat_loop *loop)
{
    not_under_way(loop);
    pw_heartbeat_send_again(loop->module->client, loop);
    pw_loop_release(loop);
}

/* One that had a message of its own; see pw_post_done. */
static void answered(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error)
{
    struct pw_loop_post *one = PW_CONTAINER_OF(post, struct pw_loop_post, post);
    struct pywatt_heartbeat_loop *loop = one->loop;
    struct pywatt_client *client = loop->module->client;
    struct pw_counters *counters = &client->counters;
    struct pw_answer answer = {.epoch = post->epoch, .verdict = PYWATT_HEALTHY};
    struct pywatt_error words;
    pw_error_clear(&words);
    if (status == PYWATT_OK) {
        pw_note_round_trip(client, one->sent_ns, post->answered_ns, 1);
        status = pw_read_reply(PW_OP_HEARTBEAT, response, &answer, &words);
    } else {
        words = *error;
    }
    pw_count(status == PYWATT_OK ? &counters->beats_answered : &counters->beats_failed, 1);
    PW_HINT_RELEASE(&one->busy);
    atomic_store_explicit(&one->busy, false, memory_order_release);
    pw_loop_ended(loop, status, &answer, &words);
}
