/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scenarios.c - see the header. Completions run on the client's dispatcher, and post a semaphore.
 */
#include "scenarios.h"

#include "client.h"
#include "malloc_fail.h"

#include <stdio.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 3000
};

/* ---- The stage -------------------------------------------------------------------------------- */

static struct pywatt_capabilities *many_capabilities(void)
{
    static const char *const methods[] = {"GET", "POST"};
    struct pywatt_capabilities *made = pywatt_capabilities_new();
    struct pywatt_endpoint *endpoint = NULL;
    assert_int_equal(pywatt_endpoint_new("/secret", methods, 2, &endpoint), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, "Bearer"), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, "k", "v"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_endpoint(made, endpoint), PYWATT_OK);
    pywatt_endpoint_free(endpoint);
    for (unsigned i = 0; i < 10; i++) {
        char text[64];
        snprintf(text, sizeof(text), "/path/%u", i);
        assert_int_equal(pywatt_capabilities_add_http_endpoint(made, text, methods, 2), PYWATT_OK);
        assert_int_equal(pywatt_capabilities_add_message_type(made, text), PYWATT_OK);
        assert_int_equal(pywatt_capabilities_set_capability(made, text, "{\"a\": [1, 2.50]}"),
                         PYWATT_OK);
    }
    return made;
}

static struct pywatt_client *quick_client(struct stage *stage)
{
    struct pywatt_client_options options;
    client_options(&options, stage->host.url, stage->codec);
    options.timeout_ms = PATIENCE_MS * pw_test_slow_factor();
    return client_open_with(&options);
}

void stage_set(struct stage *stage)
{
    char name[64];
    snprintf(name, sizeof(name), "module of round %u", ++stage->round);
    stage->client = quick_client(stage);
    stage->module = client_register_advertised(stage->client, name);
    snprintf(name, sizeof(name), "newcomer of round %u", stage->round);
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &stage->info), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(stage->info, "lease_ms", "5000"), PYWATT_OK);
    stage->capabilities = many_capabilities();
    stage->details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(stage->details, "load", "\"0.5\"\n"), PYWATT_OK);
}

void stage_strike(struct stage *stage)
{
    (void)pywatt_unregister_module(stage->module, NULL); /* it may be gone already */
    pywatt_module_free(stage->module);
    pywatt_client_free(stage->client);
    pywatt_module_info_free(stage->info);
    pywatt_capabilities_free(stage->capabilities);
    pywatt_string_map_free(stage->details);
}

/* ---- Scenarios -------------------------------------------------------------------------------- */

static enum pywatt_status open_client(struct stage *stage)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    client_options(&options, "tcp://localhost:1, unix:/nowhere, memory:x,tcp://[::1]:65535",
                   stage->codec);
    const enum pywatt_status status = pywatt_client_open(&options, &client, NULL);
    pywatt_client_free(client);
    return status;
}

/* What the orchestrator knows of a module; not part of the scenario. */
static struct pywatt_module_view *known(struct stage *stage, const struct pywatt_uuid *id)
{
    struct pywatt_module_view *view = NULL;
    pw_malloc_fail_pause();
    (void)pywatt_orchestrator_find(stage->host.orchestrator, id, &view);
    pw_malloc_fail_resume();
    return view;
}

/* For what seemed to go well, but arrived as something else: no scenario may end like this. */
static enum pywatt_status judge(struct pywatt_module_view *view, bool same)
{
    pywatt_module_view_free(view);
    return same ? PYWATT_OK : PYWATT_SERIALIZATION;
}

static enum pywatt_status register_one(struct stage *stage)
{
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {.text = ""};
    const enum pywatt_status status =
        pywatt_register_module(stage->client, stage->info, &module, &error);
    if (status != PYWATT_OK && (error.status != status || module != NULL)) {
        return PYWATT_UNSUPPORTED;
    }
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_module_view *view = known(stage, pywatt_module_id(module));
    pywatt_module_free(module);
    return judge(view, view != NULL &&
                           pywatt_module_info_equal(pywatt_module_view_info(view), stage->info));
}

static enum pywatt_status advertise(struct stage *stage)
{
    const enum pywatt_status status =
        pywatt_advertise_capabilities(stage->module, stage->capabilities, NULL);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_module_view *view = known(stage, pywatt_module_id(stage->module));
    return judge(view,
                 view != NULL && pywatt_capabilities_equal(pywatt_module_view_capabilities(view),
                                                           stage->capabilities));
}

static enum pywatt_status beat(struct stage *stage)
{
    const enum pywatt_status status =
        pywatt_heartbeat(stage->module, PYWATT_DEGRADED, stage->details, NULL, NULL);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_module_view *view = known(stage, pywatt_module_id(stage->module));
    return judge(view,
                 view != NULL && pywatt_module_view_health(view) == PYWATT_DEGRADED &&
                     pywatt_string_map_equal(pywatt_module_view_details(view), stage->details));
}

static void tell(void *user, enum pywatt_status status, const struct pywatt_error *error,
                 enum pywatt_health verdict)
{
    struct stage *stage = user;
    (void)error;
    (void)verdict;
    stage->told_status = status;
    sem_post(&stage->told);
}

static enum pywatt_status beat_async(struct stage *stage)
{
    const enum pywatt_status status =
        pywatt_heartbeat_async(stage->module, PYWATT_HEALTHY, stage->details, tell, stage, NULL);
    if (status != PYWATT_OK) {
        return status;
    }
    sem_wait(&stage->told);
    return stage->told_status;
}

static enum pywatt_status attach(struct stage *stage)
{
    struct pywatt_module *module = NULL;
    const enum pywatt_status status = pywatt_attach_module(
        stage->client, stage->info, pywatt_module_id(stage->module), "token", &module, NULL);
    pywatt_module_free(module);
    return status;
}

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    (void)user;
    return pywatt_string_map_set(details, "k", "v") == PYWATT_OK ? PYWATT_HEALTHY : PYWATT_DEGRADED;
}

static enum pywatt_status start_loop(struct stage *stage)
{
    struct pywatt_heartbeat_loop *loop = NULL;
    const enum pywatt_status status =
        pywatt_start_heartbeat_loop(stage->module, 1, provide, NULL, &loop, NULL);
    pywatt_heartbeat_loop_stop(loop);
    return status;
}

static enum pywatt_status unregister(struct stage *stage)
{
    return pywatt_unregister_module(stage->module, NULL);
}

static enum pywatt_status whole_life(struct stage *stage)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    client_options(&options, stage->host.url, stage->codec);
    options.timeout_ms = PATIENCE_MS * pw_test_slow_factor();
    enum pywatt_status status = pywatt_client_open(&options, &client, NULL);
    if (status == PYWATT_OK) {
        status = pywatt_register_module(client, stage->info, &module, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_advertise_capabilities(module, stage->capabilities, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_heartbeat(module, PYWATT_HEALTHY, stage->details, NULL, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_unregister_module(module, NULL);
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    return status;
}

/* At places of this process alone: other tests run beside it. */
static enum pywatt_status serve_again(struct stage *stage)
{
    struct pywatt_orchestrator *orchestrator = NULL;
    char name[64];
    snprintf(name, sizeof(name), "unix:@pywatt-no-memory-%d", (int)getpid());
    const char *const urls[] = {"tcp://127.0.0.1:0", "memory:no memory", name};
    enum pywatt_status status = pywatt_orchestrator_new(&stage->host.options, &orchestrator, NULL);
    for (size_t i = 0; i < 3 && status == PYWATT_OK; i++) {
        status = pywatt_orchestrator_listen(orchestrator, urls[i], NULL, 0, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_start(orchestrator, NULL);
    }
    pywatt_orchestrator_free(orchestrator);
    return status;
}

static bool look(void *user, const struct pywatt_module_view *view)
{
    (void)view;
    ++*(unsigned *)user;
    return true;
}

static enum pywatt_status look_at_modules(struct stage *stage)
{
    struct pywatt_module_view *view = NULL;
    unsigned seen = 0;
    enum pywatt_status status =
        pywatt_orchestrator_find(stage->host.orchestrator, pywatt_module_id(stage->module), &view);
    pywatt_module_view_free(view);
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_for_each(stage->host.orchestrator, look, &seen);
    }
    return status;
}

static enum pywatt_status build_and_copy(struct stage *stage)
{
    static const char *const methods[] = {"GET"};
    struct pywatt_capabilities *made = pywatt_capabilities_new();
    struct pywatt_capabilities *copy = NULL;
    enum pywatt_status status = PYWATT_NO_MEMORY;
    if (made != NULL) {
        status = pywatt_capabilities_add_http_endpoint(made, "/x", methods, 1);
    }
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_add_message_type(made, "job");
    }
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_set_capability(made, "k", "[1, {\"a\": null}]");
    }
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_copy(stage->capabilities, &copy);
    }
    pywatt_capabilities_free(copy);
    pywatt_capabilities_free(made);
    return status;
}

/* The orchestrator has lost its memory of the module; the client brings it back. */
static enum pywatt_status come_back(struct stage *stage)
{
    pw_malloc_fail_pause();
    host_stop(&stage->host);
    host_start(&stage->host);
    pw_malloc_fail_resume();
    return beat(stage);
}

const struct scenario scenarios[] = {
    {"open a client", open_client, true},
    {"register", register_one, true},
    {"advertise", advertise, true},
    {"beat", beat, false},
    {"beat, asynchronously", beat_async, true},
    {"attach", attach, true},
    {"start a loop", start_loop, true},
    {"unregister", unregister, false},
    {"a whole life", whole_life, true},
    {"serve", serve_again, true},
    {"look at modules", look_at_modules, true},
    {"build capabilities", build_and_copy, true},
    {"come back", come_back, true},
};

const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
