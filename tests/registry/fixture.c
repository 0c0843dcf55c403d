/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fixture.c - see the header. A box's lock guards all of it; asserts are for the main thread only,
 * so what runs on others only stores.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_MS = 10000
};

const char *const all_codecs[] = {"json", "protobuf"};
const size_t codec_count = sizeof(all_codecs) / sizeof(all_codecs[0]);

struct pywatt_client *open_client(struct pw_fake *fake, const char *codec, tune_fn tune)
{
    struct pywatt_client_options options;
    pywatt_client_options_init(&options);
    options.endpoints = pw_fake_url(fake);
    options.codec = codec;
    options.reconnect_delay_ms = 1;
    options.reconnect_max_delay_ms = 20;
    options.reconnect_spread_ms = 0;
    options.timeout_ms = pw_test_timeout_ms(10000);
    if (tune != NULL) {
        tune(&options);
    }
    struct pywatt_client *client = NULL;
    struct pywatt_error error;
    if (pywatt_client_open(&options, &client, &error) != PYWATT_OK) {
        fail_msg("no client: %s", error.text);
    }
    return client;
}

struct pywatt_module_info *new_info(const char *name)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1.2.3", "a module", &info), PYWATT_OK);
    return info;
}

struct pywatt_capabilities *new_capabilities(void)
{
    static const char *const methods[] = {"GET", "POST"};
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_non_null(capabilities);
    assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, "/work", methods, 2),
                     PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "job"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "tuning", "{\"k\": [1, 2]}"),
                     PYWATT_OK);
    return capabilities;
}

struct pywatt_module *register_named(struct pywatt_client *client, const char *name)
{
    struct pywatt_module_info *info = new_info(name);
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    if (pywatt_register_module(client, info, &module, &error) != PYWATT_OK) {
        fail_msg("not registered: %s", error.text);
    }
    pywatt_module_info_free(info);
    return module;
}

struct place open_place(const char *codec, tune_fn tune)
{
    struct place place = {.fake = pw_fake_start()};
    place.client = open_client(place.fake, codec, tune);
    return place;
}

struct place open_place_with_module(const char *codec, tune_fn tune)
{
    struct place place = open_place(codec, tune);
    place.module = register_named(place.client, "alpha");
    return place;
}

struct place open_place_that_told(const char *codec, tune_fn tune)
{
    struct place place = open_place_with_module(codec, tune);
    struct pywatt_capabilities *capabilities = new_capabilities();
    assert_int_equal(pywatt_advertise_capabilities(place.module, capabilities, NULL), PYWATT_OK);
    pywatt_capabilities_free(capabilities);
    return place;
}

struct pw_fake_module seen_by_fake(struct place *place)
{
    struct pw_fake_module module;
    memset(&module, 0, sizeof(module));
    assert_true(pw_fake_find(place->fake, pywatt_module_id(place->module), &module));
    return module;
}

void assert_came_back(struct place *place)
{
    const struct pw_fake_module module = seen_by_fake(place);
    struct pywatt_registration *registration = pywatt_module_registration(place->module);
    assert_string_equal(module.name, "alpha");
    assert_string_equal(module.token, "token-2");
    assert_int_equal(module.registered, 1);
    assert_int_equal(module.advertised, 1);
    assert_string_equal(module.capabilities, TOLD_CAPABILITIES);
    assert_string_equal(pywatt_registration_token(registration), "token-2");
    pywatt_registration_release(registration);
    assert_int_equal(STAT(place->client, reregistrations), 1);
}

enum pywatt_status run_blocking(struct place *place, struct pywatt_module *module,
                                enum pw_operation operation, struct pywatt_error *error)
{
    struct pywatt_module *none = NULL;
    enum pywatt_status status = PYWATT_OK;
    switch (operation) {
    case PW_OP_REGISTER: {
        struct pywatt_module_info *info = new_info("beta");
        status = pywatt_register_module(place->client, info, &none, error);
        pywatt_module_info_free(info);
        assert_null(none);
        break;
    }
    case PW_OP_UNREGISTER: status = pywatt_unregister_module(module, error); break;
    case PW_OP_HEARTBEAT:
        status = pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, error);
        break;
    case PW_OP_CAPABILITIES: {
        struct pywatt_capabilities *capabilities = new_capabilities();
        status = pywatt_advertise_capabilities(module, capabilities, error);
        pywatt_capabilities_free(capabilities);
        break;
    }
    case PW_OP_HEARTBEAT_BATCH: break;
    }
    return status;
}

enum pywatt_status submit_async(struct place *place, struct pywatt_module *module,
                                enum pw_operation operation)
{
    enum pywatt_status status = PYWATT_OK;
    struct box *box = &place->box;
    switch (operation) {
    case PW_OP_REGISTER: {
        struct pywatt_module_info *info = new_info("beta");
        status = pywatt_register_module_async(place->client, info, on_registered, box, NULL);
        pywatt_module_info_free(info);
        break;
    }
    case PW_OP_UNREGISTER:
        status = pywatt_unregister_module_async(module, on_done, box, NULL);
        break;
    case PW_OP_HEARTBEAT: {
        struct pywatt_string_map *details = pywatt_string_map_new();
        assert_int_equal(pywatt_string_map_set(details, "load", "0.5"), PYWATT_OK);
        status = pywatt_heartbeat_async(module, PYWATT_DEGRADED, details, on_heartbeat, box, NULL);
        pywatt_string_map_free(details);
        break;
    }
    case PW_OP_CAPABILITIES: {
        struct pywatt_capabilities *capabilities = new_capabilities();
        status = pywatt_advertise_capabilities_async(module, capabilities, on_done, box, NULL);
        pywatt_capabilities_free(capabilities);
        break;
    }
    case PW_OP_HEARTBEAT_BATCH: break;
    }
    return status;
}

void close_place(struct place *place)
{
    pywatt_module_free(place->module);
    pywatt_client_free(place->client);
    pw_fake_free(place->fake);
}

void start_loop(struct pywatt_module *module, uint32_t interval_ms)
{
    assert_int_equal(pywatt_start_heartbeat_loop(module, interval_ms, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
}

void wait_beats(struct place *place, uint64_t more)
{
    const uint64_t now = pw_fake_count(place->fake, PW_OP_HEARTBEAT);
    assert_true(pw_fake_wait(place->fake, PW_OP_HEARTBEAT, now + more));
}

void assert_says_how_long(enum pywatt_status status, const char *text)
{
    assert_int_equal(status, PYWATT_UNAVAILABLE);
    if (strstr(text, "wait for 3600000 ms") == NULL) {
        fail_msg("'%s' does not say how long", text);
    }
}

void no_retries(struct pywatt_client_options *options)
{
    options->reconnect = PYWATT_RECONNECT_NONE;
}

void short_timeout(struct pywatt_client_options *options)
{
    options->timeout_ms = 100 * pw_test_slow_factor();
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

void box_init(struct box *box)
{
    memset(box, 0, sizeof(*box));
    assert_int_equal(pw_mutex_init(&box->lock), PYWATT_OK);
    assert_int_equal(pw_cond_init(&box->changed), PYWATT_OK);
}

void box_destroy(struct box *box)
{
    pw_cond_destroy(&box->changed);
    pw_mutex_destroy(&box->lock);
}

void box_put(struct box *box, enum pywatt_status status, enum pywatt_health verdict,
             const char *text, struct pywatt_module *module, bool reregistered)
{
    pw_mutex_lock(&box->lock);
    if (box->count < BOX_EVENTS_MAX) {
        struct told *told = &box->told[box->count];
        told->status = status;
        told->verdict = verdict;
        told->reregistered = reregistered;
        told->module = module;
        snprintf(told->text, sizeof(told->text), "%s", text);
    }
    box->count++;
    pw_cond_broadcast(&box->changed);
    pw_mutex_unlock(&box->lock);
}

uint64_t box_count(struct box *box)
{
    pw_mutex_lock(&box->lock);
    const uint64_t count = box->count;
    pw_mutex_unlock(&box->lock);
    return count;
}

bool box_wait(struct box *box, uint64_t count)
{
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    pw_mutex_lock(&box->lock);
    while (box->count < count && in_time) {
        in_time = pw_cond_wait_until(&box->changed, &box->lock, deadline_ns);
    }
    const bool reached = box->count >= count;
    pw_mutex_unlock(&box->lock);
    return reached;
}

void box_gate_pass(struct box *box)
{
    pw_mutex_lock(&box->lock);
    box->waiting++;
    pw_cond_broadcast(&box->changed);
    while (!box->open) {
        pw_cond_wait(&box->changed, &box->lock);
    }
    pw_mutex_unlock(&box->lock);
}

bool box_gate_wait_for_one(struct box *box)
{
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    pw_mutex_lock(&box->lock);
    while (box->waiting == 0 && in_time) {
        in_time = pw_cond_wait_until(&box->changed, &box->lock, deadline_ns);
    }
    const bool there = box->waiting > 0;
    pw_mutex_unlock(&box->lock);
    return there;
}

void box_gate_open(struct box *box)
{
    pw_mutex_lock(&box->lock);
    box->open = true;
    pw_cond_broadcast(&box->changed);
    pw_mutex_unlock(&box->lock);
}

void on_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                   struct pywatt_module *module)
{
    box_put(user, status, PYWATT_HEALTHY, error->text, module, false);
}

void on_done(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    box_put(user, status, PYWATT_HEALTHY, error->text, NULL, false);
}

void on_heartbeat(void *user, enum pywatt_status status, const struct pywatt_error *error,
                  enum pywatt_health verdict)
{
    box_put(user, status, verdict, error->text, NULL, false);
}

void on_event(void *user, struct pywatt_module *module, const struct pywatt_heartbeat_event *event)
{
    box_put(user, event->status, event->verdict, event->text, module, event->reregistered);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static bool has_threads(void *user)
{
    return pw_test_threads() <= *(const size_t *)user;
}

bool wait_threads(size_t count)
{
    return pw_test_wait_until(has_threads, &count, PATIENCE_MS);
}

uint64_t stat_of(struct pywatt_client *client, size_t offset)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};
    uint64_t value;
    assert_int_equal(pywatt_client_get_stats(client, &stats), PYWATT_OK);
    memcpy(&value, (const char *)&stats + offset, sizeof(value));
    return value;
}

struct wanted_stat {
    struct pywatt_client *client;
    size_t offset;
    uint64_t least;
};

static bool stat_reached(void *user)
{
    const struct wanted_stat *wanted = user;
    return stat_of(wanted->client, wanted->offset) >= wanted->least;
}

bool wait_stat(struct pywatt_client *client, size_t offset, uint64_t least)
{
    struct wanted_stat wanted = {client, offset, least};
    return pw_test_wait_until(stat_reached, &wanted, PATIENCE_MS);
}
