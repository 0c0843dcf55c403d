/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reregister.c - brings a module back that its orchestrator has forgotten: registers it again with
 * the same id, tells its last capabilities again. Runs in the thread of a blocking caller or in the
 * recovery thread, one at a time for each module (`recovering`, under the module's lock); others
 * that need it wait for its result.
 */
#include "base/error.h"
#include "base/log.h"
#include "registry/client.h"
#include "registry/module.h"
#include "registry/operation.h"

/* `replaced`: it went out with another registration than there is now. */
static bool note_forgotten_locked(struct pywatt_module *module, bool replaced,
                                  enum pywatt_status status, uint64_t epoch)
{
    /* A token that was good on this very connection, or since, has been replaced by somebody else. */
    const uint64_t last = atomic_load_explicit(&module->success_epoch, memory_order_relaxed);
    const bool lost = status == PYWATT_MODULE_NOT_FOUND ||
                      (status == PYWATT_INVALID_TOKEN && last != 0 && last < epoch);
    if (module->leaving > 0 || module->unregistered) {
        return false;
    }
    if (replaced || module->recovering || atomic_load(&module->forgotten)) {
        return true; /* what it went out with is, or is being, replaced */
    }
    if (lost && module->client->settings.reregister && module->info != NULL) {
        atomic_store(&module->forgotten, true);
        return true;
    }
    return false;
}

bool pw_handle_may_be_forgotten(enum pywatt_status status)
{
    return status == PYWATT_MODULE_NOT_FOUND || status == PYWATT_INVALID_TOKEN ||
           status == PYWATT_STALE_GENERATION;
}

bool pw_handle_forgotten(struct pywatt_module *module,
                         const struct pywatt_registration *registration, enum pywatt_status status,
                         uint64_t epoch)
{
    if (!pw_handle_may_be_forgotten(status)) {
        return false;
    }
    pw_mutex_lock(&module->lock);
    const bool replaced = module->registration != registration;
    const bool recoverable = note_forgotten_locked(module, replaced, status, epoch);
    pw_mutex_unlock(&module->lock);
    return recoverable;
}

bool pw_handle_forgotten_since(struct pywatt_module *module, uint64_t since_ns,
                               enum pywatt_status status, uint64_t epoch)
{
    if (!pw_handle_may_be_forgotten(status)) {
        return false;
    }
    pw_mutex_lock(&module->lock);
    const bool replaced = module->registered_ns >= since_ns;
    const bool recoverable = note_forgotten_locked(module, replaced, status, epoch);
    pw_mutex_unlock(&module->lock);
    return recoverable;
}

static enum pywatt_status leaving(struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_MODULE_NOT_FOUND, "the module is being unregistered");
}

bool pw_handle_unwell(const struct pywatt_module *module)
{
    return atomic_load_explicit(&module->forgotten, memory_order_acquire) ||
           atomic_load_explicit(&module->owes_capabilities, memory_order_relaxed);
}

bool pw_handle_wants_recovery(struct pywatt_module *module)
{
    pw_mutex_lock(&module->lock);
    const bool owes = atomic_load(&module->owes_capabilities);
    const bool wants = !module->freed && !module->unregistered && module->leaving == 0 &&
                       (owes || (atomic_load(&module->forgotten) && module->loop != NULL));
    pw_mutex_unlock(&module->lock);
    return wants;
}

bool pw_handle_recovering(struct pywatt_module *module)
{
    pw_mutex_lock(&module->lock);
    const bool recovering = module->recovering;
    pw_mutex_unlock(&module->lock);
    return recovering;
}

uint64_t pw_handle_recovery_round(struct pywatt_module *module)
{
    pw_mutex_lock(&module->lock);
    const uint64_t round = module->recovery_result.round;
    pw_mutex_unlock(&module->lock);
    return round;
}

/* Whether who has this deadline can wait until the orchestrator lets the module come again. */
static enum pywatt_status fits_locked(const struct pywatt_module *module, uint64_t deadline_ns,
                                      struct pywatt_error *error)
{
    const struct pw_deferral *deferral = &module->recovery_result.deferral;
    return deferral->retry_after_ms == 0
               ? PYWATT_OK
               : pw_deferral_fits(module->client, deferral, deadline_ns, error);
}

enum pywatt_status pw_handle_deferred(struct pywatt_module *module, uint64_t deadline_ns,
                                      struct pywatt_error *error)
{
    pw_mutex_lock(&module->lock);
    const enum pywatt_status status = fits_locked(module, deadline_ns, error);
    pw_mutex_unlock(&module->lock);
    return status;
}

enum pywatt_status pw_handle_recovery_failed(struct pywatt_module *module, uint64_t round,
                                             uint64_t deadline_ns, struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    pw_mutex_lock(&module->lock);
    if (module->leaving > 0 || module->unregistered) {
        status = leaving(error); /* none will be made */
    } else if (module->recovery_result.deferral.retry_after_ms != 0) {
        status = fits_locked(module, deadline_ns, error);
    } else if (module->recovery_result.round != round && !module->recovery_result.out_of_time) {
        status = module->recovery_result.status;
        *error = module->recovery_result.error;
    }
    pw_mutex_unlock(&module->lock);
    return status;
}

/* ---- The two steps -------------------------------------------------------------------------- */

static void fill_register(const struct pywatt_module *module, struct pw_recovery_step *step,
                          struct pw_request *request)
{
    step->operation = PW_OP_REGISTER;
    request->info = module->info;
    request->can_wait = true;
}

static void fill_capabilities(struct pw_recovery_step *step, struct pw_request *request)
{
    step->operation = PW_OP_CAPABILITIES;
    request->module_id = *pywatt_registration_id(step->registration);
    request->generation = pywatt_registration_generation(step->registration);
    request->capabilities = step->told->capabilities;
}

bool pw_recovery_next_step(struct pywatt_module *module, struct pw_recovery_step *step,
                           struct pw_request *request)
{
    *step = (struct pw_recovery_step){.told = NULL};
    pw_request_init(request);
    const bool forgotten = atomic_load(&module->forgotten);
    if (!forgotten && atomic_load(&module->owes_capabilities)) {
        pw_mutex_lock(&module->lock);
        step->told = pw_told_acquire(module->told);
        pw_mutex_unlock(&module->lock);
    }
    if (!forgotten && step->told == NULL) {
        return false;
    }
    step->registration = pw_handle_registration(module);
    if (forgotten) {
        fill_register(module, step, request);
    } else {
        fill_capabilities(step, request);
    }
    request->operation = step->operation;
    request->token = pw_str_from(pywatt_registration_token(step->registration));
    return true;
}

static void registered_again(struct pywatt_module *module, const struct pw_answer *answer)
{
    struct pywatt_registration *fresh = answer->registration;
    struct pywatt_client *client = module->client;
    if (!pywatt_uuid_equal(pywatt_registration_id(fresh), &module->id)) {
        pw_log(PYWATT_LOG_WARNING, "module '%.64s' was given another id when it registered again",
               pywatt_module_info_name(module->info));
    }
    pw_mutex_lock(&module->lock);
    module->came_back = true; /* before beats can go on */
    pw_mutex_unlock(&module->lock);
    pw_registry_spread(&client->registry, fresh);
    pw_handle_set_registration(module, fresh);
    pywatt_registration_release(fresh);
    pw_count(&client->counters.reregistrations, 1);
    atomic_store_explicit(&module->success_epoch, answer->epoch, memory_order_relaxed);
}

/* The capabilities were told, or refused, which telling them once more would not change. */
static void settle_debt(struct pywatt_module *module, const struct pw_told *told)
{
    pw_mutex_lock(&module->lock);
    if (module->told == told) {
        atomic_store(&module->owes_capabilities, false);
    }
    pw_mutex_unlock(&module->lock);
}

static enum pywatt_status refused_capabilities(struct pywatt_module *module,
                                               const struct pw_recovery_step *step,
                                               enum pywatt_status status, uint64_t epoch)
{
    if (pw_handle_forgotten(module, step->registration, status, epoch)) {
        return status;
    }
    pw_log(PYWATT_LOG_WARNING, "module '%.64s': capabilities refused when told again: %s",
           pywatt_module_info_name(module->info), pywatt_status_name(status));
    settle_debt(module, step->told);
    return PYWATT_OK;
}

static void prefix_step(struct pywatt_module *module, const struct pw_recovery_step *step,
                        struct pywatt_error *error)
{
    if (step->operation == PW_OP_REGISTER) {
        pw_error_prefix(error, "register module '%.64s' again",
                        pywatt_module_info_name(module->info));
    } else {
        pw_prefix_operation(error, PW_OP_CAPABILITIES, module);
    }
}

void pw_recovery_step_drop(struct pw_recovery_step *step)
{
    pywatt_registration_release(step->registration);
    pw_told_release(step->told);
}

enum pywatt_status pw_recovery_step_ended(struct pywatt_module *module,
                                          struct pw_recovery_step *step, enum pywatt_status status,
                                          const struct pw_answer *answer,
                                          struct pw_deferral *deferral, struct pywatt_error *error)
{
    if (status == PYWATT_OK && step->operation == PW_OP_REGISTER) {
        registered_again(module, answer);
    } else if (status == PYWATT_OK) {
        settle_debt(module, step->told);
    } else if (answer->retry_after_ms != 0) {
        pw_deferral_note(module->client, deferral, answer->retry_after_ms, answer->epoch);
    } else if (!answer->refused) {
        prefix_step(module, step, error);
    } else if (step->operation == PW_OP_CAPABILITIES) {
        status = refused_capabilities(module, step, status, answer->epoch);
    }
    pw_recovery_step_drop(step);
    return status;
}

/* ---- One attempt, by one thread, for all who wait -------------------------------------------- */

enum pywatt_status pw_recovery_attempt(struct pywatt_module *module, uint64_t deadline_ns,
                                       struct pw_deferral *deferral, struct pywatt_error *error)
{
    struct pw_recovery_step step;
    struct pw_request request;
    enum pywatt_status status = PYWATT_OK;
    while (status == PYWATT_OK && pw_recovery_next_step(module, &step, &request)) {
        struct pw_answer answer;
        status = pw_ask(module->client, &request, deadline_ns, &answer, error);
        status = pw_recovery_step_ended(module, &step, status, &answer, deferral, error);
    }
    return status;
}

/* Gives the result to those who wait, and to whoever goes on from here. */
void pw_recovery_end(struct pywatt_module *module, enum pywatt_status status, uint64_t deadline_ns,
                     const struct pw_deferral *deferral, const struct pywatt_error *error)
{
    struct pywatt_client *client = module->client;
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    pw_mutex_lock(&module->lock);
    module->recovering = false;
    module->recovery_result.round++;
    module->recovery_result.status = status;
    module->recovery_result.out_of_time = now_ns >= deadline_ns;
    module->recovery_result.deferral = *deferral;
    if (status != PYWATT_OK) {
        module->recovery_result.error = *error;
    } else {
        module->recovery_result.deferral = (struct pw_deferral){.retry_after_ms = 0};
    }
    const bool came_back = status == PYWATT_OK && module->came_back;
    if (came_back) {
        module->came_back = false;
    }
    pw_cond_broadcast(&module->changed);
    pw_mutex_unlock(&module->lock);

    const char *name = pywatt_module_info_name(module->info);
    if (came_back) {
        pw_log(PYWATT_LOG_INFO, "module '%.64s' is registered again", name);
    } else if (status != PYWATT_OK) {
        pw_log(deferral->retry_after_ms != 0 ? PYWATT_LOG_DEBUG : PYWATT_LOG_WARNING,
               "module '%.64s' cannot be registered again: %s", name, error->text);
    }
    pw_recovery_attempted(client, module, status == PYWATT_OK, deferral);
    pw_heartbeat_recovered(client, module);
    if (came_back) {
        pw_watch_reregistered(module);
    } else if (status != PYWATT_OK && status != PYWATT_CLOSED) {
        pw_watch_note(module, status, PYWATT_HEALTHY, error->text);
    }
}

/* With what is known already, if that settles the matter; else who looks is to begin. */
static bool is_settled_locked(const struct pywatt_module *module, uint64_t round,
                              enum pywatt_status *status, struct pw_deferral *deferral,
                              struct pywatt_error *error)
{
    const struct pw_recovery_result *result = &module->recovery_result;
    *status = PYWATT_OK;
    if (!pw_handle_unwell(module)) {
        return true;
    }
    if (module->leaving > 0 || module->unregistered) {
        *status = leaving(error);
        return true;
    }
    /* One attempt in vain is enough: who comes before its time waits for the same moment. */
    if ((result->round == round || result->out_of_time) &&
        !pw_deferral_pending(module->client, &result->deferral)) {
        return false;
    }
    *status = result->status;
    *deferral = result->deferral;
    if (error != NULL) {
        *error = result->error;
    }
    return true;
}

static void begin_locked(struct pywatt_module *module, struct pw_deferral *deferral)
{
    module->recovering = true;
    *deferral = module->recovery_result.deferral;
    deferral->retry_after_ms = 0;
}

enum pw_recovery_start pw_recovery_begin(struct pywatt_module *module, enum pywatt_status *status,
                                         struct pw_deferral *deferral, struct pywatt_error *error)
{
    enum pw_recovery_start start = PW_RECOVERY_BUSY;
    pw_mutex_lock(&module->lock);
    if (!module->recovering) {
        const bool settled =
            is_settled_locked(module, module->recovery_result.round, status, deferral, error);
        start = settled ? PW_RECOVERY_SETTLED : PW_RECOVERY_BEGUN;
        if (!settled) {
            begin_locked(module, deferral);
        }
    }
    pw_mutex_unlock(&module->lock);
    return start;
}

/*
 * Waits while somebody else is at it. True if that settles the matter, with its result; false if
 * the caller has become the one who is at it.
 */
static bool wait_or_begin(struct pywatt_module *module, uint64_t deadline_ns,
                          enum pywatt_status *status, struct pw_deferral *deferral,
                          struct pywatt_error *error)
{
    bool settled = true;
    bool in_time = true;
    pw_mutex_lock(&module->lock);
    const uint64_t round = module->recovery_result.round;
    while (module->recovering && in_time) {
        in_time = pw_cond_wait_until(&module->changed, &module->lock, deadline_ns);
    }
    if (module->recovering) {
        *status =
            pw_error_set(error, PYWATT_TIMEOUT,
                         "no reply before the deadline: the module is being registered again");
    } else if (!is_settled_locked(module, round, status, deferral, error)) {
        begin_locked(module, deferral);
        settled = false;
    }
    pw_mutex_unlock(&module->lock);
    return settled;
}

static enum pywatt_status recover_once(struct pywatt_module *module, uint64_t deadline_ns,
                                       struct pw_deferral *deferral, struct pywatt_error *error)
{
    enum pywatt_status status;
    if (wait_or_begin(module, deadline_ns, &status, deferral, error)) {
        return status;
    }
    struct pywatt_error words = {PYWATT_OK, ""};
    status = pw_recovery_attempt(module, deadline_ns, deferral, &words);
    pw_recovery_end(module, status, deadline_ns, deferral, &words);
    if (status != PYWATT_OK && error != NULL) {
        *error = words;
    }
    return status;
}

/* While one waits to come again the module is free: it may be unregistered, or others may try. */
enum pywatt_status pw_handle_recover(struct pywatt_module *module, uint64_t deadline_ns,
                                     bool patient, struct pywatt_error *error)
{
    for (;;) {
        struct pw_deferral deferral = {.retry_after_ms = 0};
        enum pywatt_status status = recover_once(module, deadline_ns, &deferral, error);
        if (deferral.retry_after_ms == 0 || !patient) {
            return status;
        }
        status = pw_deferral_wait(module->client, &deferral, deadline_ns, error);
        if (status != PYWATT_OK) {
            pw_error_prefix(error, "register module '%.64s' again",
                            pywatt_module_info_name(module->info));
            return status;
        }
    }
}
