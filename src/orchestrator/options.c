/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.c - defaults and checks of the settings. Any thread.
 */
#include "orchestrator/options.h"

#include "base/error.h"
#include "base/tool_hints.h"
#include "transport/tls.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 256,
    FRAME_MIN = 256,
    FRAME_MAX = 64 << 20,
    OUTPUT_MIN = 4096,
    DEPTH_MIN = 4,
    ELEMENTS_MIN = 64,
    PENDING_MAX = 65536,
    REGISTRATIONS_MAX = 10000000
};

const struct pw_config_hooks pw_config_default_hooks = {
    .clock = &pw_clock_monotonic,
    .reply_timeout_ms = 8000,
    .stop_timeout_ms = 1000,
};

void pywatt_orchestrator_options_init(struct pywatt_orchestrator_options *options)
{
    if (options == NULL) {
        return;
    }
    *options = (struct pywatt_orchestrator_options){
        .size = sizeof(*options),
        .lease_ms = 15000,
        .min_lease_ms = 100,
        .max_lease_ms = 3600000,
        .retain_ms = 86400000,
        .takeover = PYWATT_TAKEOVER_SUSPECT,
        .store = "memory",
        .max_frame_bytes = 1 << 20,
        .max_connections = 10000,
        .max_modules = 1000000,
        .frame_timeout_ms = 10000,
        .max_output_bytes = 1 << 20,
        .registrations_per_s = 50000,
        .first_frame_timeout_ms = 5000,
        .unproven_idle_timeout_ms = 15000,
        .write_timeout_ms = 10000,
        .max_unproven_frame_bytes = 64 << 10,
        .max_depth = pw_codec_default_limits.max_depth,
        .max_elements = pw_codec_default_limits.max_elements,
        .max_pending_requests = 256,
        .tcp_user_timeout_ms = 15000,
    };
}

/* ---- An IP literal, without the functions of the sockets ---- */

static bool is_ipv4(const char *text)
{
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        int digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++) {
            value = value * 10 + (unsigned)(*text - '0');
        }
        if (digits == 0 || digits > 3 || value > 255 || *text != (part < 3 ? '.' : '\0')) {
            return false;
        }
        text += part < 3;
    }
    return true;
}

/* Loosely: what else has colons in it and nothing but what an address may have? */
static bool is_ipv6(const char *text)
{
    unsigned colons = 0;
    for (const char *c = text; *c != '\0'; c++) {
        colons += *c == ':';
        if (strchr("0123456789abcdefABCDEF:.", *c) == NULL) {
            return false;
        }
    }
    return colons >= 2 && strlen(text) < 46;
}

/* ---- Checks ---- */

static enum pywatt_status check_leases(const struct pywatt_orchestrator_options *o,
                                       struct pywatt_error *error)
{
    if (o->min_lease_ms == 0 || o->min_lease_ms > o->max_lease_ms) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "min_lease_ms is %u: it must be at least 1, and not over max_lease_ms "
                            "(%u)",
                            o->min_lease_ms, o->max_lease_ms);
    }
    if (o->lease_ms < o->min_lease_ms || o->lease_ms > o->max_lease_ms) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "lease_ms is %u: it must lie between min_lease_ms (%u) and "
                            "max_lease_ms (%u)",
                            o->lease_ms, o->min_lease_ms, o->max_lease_ms);
    }
    if ((unsigned)o->takeover > PYWATT_TAKEOVER_TOKEN) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "takeover is %d: there is no such one",
                            (int)o->takeover);
    }
    return PYWATT_OK;
}

static enum pywatt_status check_range(const char *option, uint64_t value, uint64_t min,
                                      uint64_t max, struct pywatt_error *error)
{
    if (value < min || value > max) {
        return pw_error_set(
            error, PYWATT_INVALID_ARGUMENT, "%s is %llu: it must lie between %llu and %llu", option,
            (unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
    }
    return PYWATT_OK;
}

static enum pywatt_status check(const struct pywatt_orchestrator_options *o,
                                struct pywatt_error *error)
{
    const struct {
        const char *option;
        uint64_t value;
        uint64_t min;
        uint64_t max;
    } ranges[] = {
        {"workers", o->workers, 0, WORKERS_MAX},
        {"max_frame_bytes", o->max_frame_bytes, FRAME_MIN, FRAME_MAX},
        {"max_connections", o->max_connections, 1, UINT32_MAX},
        {"max_modules", o->max_modules, 1, UINT32_MAX},
        {"frame_timeout_ms", o->frame_timeout_ms, 1, UINT32_MAX},
        {"max_output_bytes", o->max_output_bytes, OUTPUT_MIN, UINT32_MAX},
        {"registrations_per_s", o->registrations_per_s, 0, REGISTRATIONS_MAX},
        {"registrations_per_s_per_peer", o->registrations_per_s_per_peer, 0, REGISTRATIONS_MAX},
        {"first_frame_timeout_ms", o->first_frame_timeout_ms, 1, UINT32_MAX},
        {"write_timeout_ms", o->write_timeout_ms, 1, UINT32_MAX},
        {"max_unproven_frame_bytes", o->max_unproven_frame_bytes, FRAME_MIN, FRAME_MAX},
        {"max_depth", o->max_depth, DEPTH_MIN, pw_codec_default_limits.max_depth},
        {"max_elements", o->max_elements, ELEMENTS_MIN, pw_codec_default_limits.max_elements},
        {"max_pending_requests", o->max_pending_requests, 1, PENDING_MAX},
        {"tcp_user_timeout_ms", o->tcp_user_timeout_ms, 0, INT32_MAX},
    };
    enum pywatt_status status = check_leases(o, error);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && status == PYWATT_OK; i++) {
        status =
            check_range(ranges[i].option, ranges[i].value, ranges[i].min, ranges[i].max, error);
    }
    const char *host = o->advertise_host;
    if (status == PYWATT_OK && host != NULL && !is_ipv4(host) && !is_ipv6(host)) {
        status = pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                              "advertise_host is \"%.64s\": it must be an IP address, as some "
                              "modules never resolve a host's name",
                              host);
    }
    return status;
}

/* ---- The copy ---- */

static enum pywatt_status copy_text(const char *from, const char **out)
{
    if (from == NULL) {
        return PYWATT_OK;
    }
    *out = strdup(from);
    return *out == NULL ? PYWATT_NO_MEMORY : PYWATT_OK;
}

/* Each string of the options; they are all copied. */
#define STRINGS(X)     \
    X(store)           \
    X(advertise_host)  \
    X(join_token_file) \
    X(allow_names)     \
    X(unix_allow_uids) \
    X(unix_allow_gids)

static enum pywatt_status copy_strings(struct pywatt_orchestrator_options *to,
                                       const struct pywatt_orchestrator_options *from)
{
    enum pywatt_status status = PYWATT_OK;
#define COPY(field) status = status == PYWATT_OK ? copy_text(from->field, &to->field) : status;
    STRINGS(COPY)
#undef COPY
    return status;
}

static uint32_t processors(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (uint32_t)n;
}

enum pywatt_status pw_config_init(struct pw_config *config,
                                  const struct pywatt_orchestrator_options *options,
                                  struct pywatt_error *error)
{
    /* A caller built against an older header has a shorter struct: the rest keeps its default. */
    struct pywatt_orchestrator_options given;
    pywatt_orchestrator_options_init(&given);
    if (options->size < sizeof(options->size) || options->size > sizeof(given)) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "size is %zu: fill the options with pywatt_orchestrator_options_init",
                            options->size);
    }
    memcpy(&given, options, options->size);
    enum pywatt_status status = check(&given, error);
    if (status != PYWATT_OK) {
        return status;
    }
    *config = (struct pw_config){.options = given,
                                 .workers_asked = given.workers,
                                 .limits = pw_codec_default_limits,
                                 .hooks = pw_config_default_hooks};
    config->limits.max_bytes = given.max_frame_bytes;
    config->limits.max_depth = given.max_depth;
    config->limits.max_elements = given.max_elements;
    atomic_init(&config->references, 1);
    PW_HINT_ATOMIC(config->references);
    status = pw_join_set_read(&config->join_tokens, given.join_token_file, error);
    if (status != PYWATT_OK) {
        return status;
    }
    status = pw_allow_init(&config->allow, given.allow_names, given.unix_allow_uids,
                           given.unix_allow_gids, error);
    if (status != PYWATT_OK) {
        return status;
    }
    if (given.store == NULL) {
        given.store = "memory";
    }
#define CLEAR(field) config->options.field = NULL;
    STRINGS(CLEAR)
#undef CLEAR
    status = pw_tls_acquire(given.tls, error);
    if (status != PYWATT_OK) {
        config->options.tls = NULL;
        pw_config_destroy(config);
        return status;
    }
    if (copy_strings(&config->options, &given) != PYWATT_OK) {
        pw_config_destroy(config);
        return pw_error_no_memory(error);
    }
    if (config->options.workers == 0) {
        config->options.workers = processors();
    }
    return PYWATT_OK;
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

void pw_config_destroy(struct pw_config *config)
{
#define FREE(field)                   \
    free_text(config->options.field); \
    config->options.field = NULL;
    STRINGS(FREE)
#undef FREE
    pw_allow_destroy(&config->allow);
    pw_token_wipe(&config->join_tokens, sizeof(config->join_tokens));
    pw_tls_release(config->options.tls);
    config->options.tls = NULL;
}

/* ---- Shared ---- */

enum pywatt_status pw_config_new(const struct pywatt_orchestrator_options *options,
                                 const struct pw_config_hooks *hooks, struct pw_config **out,
                                 struct pywatt_error *error)
{
    struct pw_config *config = calloc(1, sizeof(*config));
    if (config == NULL) {
        return pw_error_no_memory(error);
    }
    const enum pywatt_status status = pw_config_init(config, options, error);
    if (status != PYWATT_OK) {
        free(config);
        return status;
    }
    if (hooks != NULL) {
        config->hooks = *hooks;
    }
    *out = config;
    return PYWATT_OK;
}

struct pw_config *pw_config_acquire(struct pw_config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void pw_config_release(const struct pw_config *config)
{
    struct pw_config *own = (struct pw_config *)(uintptr_t)config;
    if (own == NULL) {
        return;
    }
    PW_HINT_RELEASE(&own->references);
    if (atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&own->references);
        pw_config_destroy(own);
        free(own);
    }
}

/* ---- Changes ---- */

enum pywatt_status pw_config_check_change(const struct pw_config *config,
                                          const struct pw_config *next, struct pywatt_error *error)
{
    const struct pywatt_orchestrator_options *a = &config->options;
    const struct pywatt_orchestrator_options *b = &next->options;
    const char *fixed = config->workers_asked != next->workers_asked ? "workers"
                        : strcmp(a->store, b->store) != 0            ? "store"
                        : a->tls != b->tls                           ? "tls"
                        : a->on_event != b->on_event                 ? "on_event"
                        : a->event_user != b->event_user             ? "event_user"
                                                                     : NULL;
    return fixed == NULL
               ? PYWATT_OK
               : pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                              "%s differs: it cannot change once the orchestrator is made", fixed);
}

uint64_t pw_config_lease_ms(const struct pw_config *config, uint64_t wanted_ms)
{
    const struct pywatt_orchestrator_options *o = &config->options;
    return wanted_ms < o->min_lease_ms   ? o->min_lease_ms
           : wanted_ms > o->max_lease_ms ? o->max_lease_ms
                                         : wanted_ms;
}
