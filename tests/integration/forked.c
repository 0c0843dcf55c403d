/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A child that was forked finds what its parent has made out of reach: each call says so and touches
 * nothing. The parent goes on, and the child may open a client of its own. Over TLS a single byte of
 * the child's would end the connection.
 */
#include "client.h"
#include "host.h"
#include "scene.h"

#include "registry/client.h"
#include "tls/context.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct family {
    struct host host;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_heartbeat_loop *loop;
    struct pywatt_module_info *info;
    struct pywatt_tls *tls; /* the client's; NULL: it is plain */
};

static void never_registered(void *user, enum pywatt_status status,
                             const struct pywatt_error *error, struct pywatt_module *module)
{
    (void)user;
    (void)status;
    (void)error;
    (void)module;
    _exit(2);
}

static void never_done(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    (void)user;
    (void)status;
    (void)error;
    _exit(3);
}

static void never_beats(void *user, enum pywatt_status status, const struct pywatt_error *error,
                        enum pywatt_health verdict)
{
    (void)verdict;
    never_done(user, status, error);
}

/* Bit n is the n-th call that said something else. Nothing in a child may assert. */
static unsigned call_all(struct family *f, struct pywatt_capabilities *capabilities)
{
    static struct pywatt_client_stats stats = {.size = sizeof(stats)};
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_beat beat = {.module = f->module, .health = PYWATT_HEALTHY};
    struct pywatt_error error = {.text = ""};
    unsigned wrong = 0;
    unsigned call = 0;
#define CHECK(status) wrong |= ((status) == PYWATT_FORKED ? 0u : 1u) << call++
    CHECK(pywatt_register_module(f->client, f->info, &module, &error));
    CHECK(strstr(error.text, "forked") != NULL ? PYWATT_FORKED : PYWATT_OK);
    CHECK(pywatt_register_module_async(f->client, f->info, never_registered, NULL, NULL));
    CHECK(
        pywatt_attach_module(f->client, f->info, pywatt_module_id(f->module), "t", &module, NULL));
    CHECK(pywatt_unregister_module(f->module, NULL));
    CHECK(pywatt_unregister_module_async(f->module, never_done, NULL, NULL));
    CHECK(pywatt_advertise_capabilities(f->module, capabilities, NULL));
    CHECK(pywatt_advertise_capabilities_async(f->module, capabilities, never_done, NULL, NULL));
    CHECK(pywatt_heartbeat(f->module, PYWATT_HEALTHY, NULL, NULL, NULL));
    CHECK(pywatt_heartbeat_async(f->module, PYWATT_HEALTHY, NULL, never_beats, NULL, NULL));
    CHECK(pywatt_heartbeat_batch(f->client, &beat, 1, NULL));
    CHECK(pywatt_start_heartbeat_loop(f->module, 1000, NULL, NULL, &loop, NULL));
    CHECK(pywatt_client_get_stats(f->client, &stats));
    CHECK(pywatt_module_registration(f->module) == NULL ? PYWATT_FORKED : PYWATT_OK);
#undef CHECK
    pywatt_module_set_health(f->module, PYWATT_DEGRADED);
    pywatt_module_set_watcher(f->module, NULL, NULL);
    pywatt_heartbeat_loop_stop(f->loop);
    pywatt_module_free(f->module);
    pywatt_client_close(f->client);
    pywatt_client_stop(f->client);
    pywatt_client_free(f->client);
    return wrong;
}

/* The same of what both sides have for TLS; their clients and orchestrators cannot be made, either. */
static unsigned call_all_of_tls(struct family *f)
{
    struct pywatt_tls_stats stats = {.size = sizeof(stats)};
    struct pywatt_tls *const server = f->host.options.tls;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_client *client = NULL;
    struct pywatt_tls_options settings;
    struct pywatt_client_options options;
    struct pywatt_error error = {.text = ""};
    unsigned wrong = 0;
    unsigned call = 0;
#define CHECK(status) wrong |= ((status) == PYWATT_FORKED ? 0u : 1u) << call++
    scene_server_options(&settings);
    client_options(&options, f->host.url, "json");
    options.tls = f->tls;
    CHECK(pywatt_tls_reload(f->tls, &error));
    CHECK(strstr(error.text, "forked") != NULL ? PYWATT_FORKED : PYWATT_OK);
    CHECK(pywatt_tls_reload(server, NULL));
    CHECK(pywatt_tls_reconfigure(server, &settings, NULL));
    CHECK(pywatt_tls_get_stats(f->tls, &stats));
    CHECK(pywatt_client_open(&options, &client, &error));
    CHECK(client == NULL ? PYWATT_FORKED : PYWATT_OK);
    CHECK(pywatt_orchestrator_new(&f->host.options, &orchestrator, &error));
    CHECK(orchestrator == NULL ? PYWATT_FORKED : PYWATT_OK);
    CHECK(pywatt_orchestrator_listen(f->host.orchestrator, f->host.url, NULL, 0, NULL));
#undef CHECK
    pywatt_orchestrator_stop(f->host.orchestrator);
    pywatt_orchestrator_free(f->host.orchestrator);
    pywatt_tls_free(server);
    pywatt_tls_free(f->tls);
    return wrong;
}

static unsigned call_both(struct family *f, struct pywatt_capabilities *capabilities)
{
    const unsigned wrong = call_all(f, capabilities);
    return wrong != 0 || f->tls == NULL ? wrong : call_all_of_tls(f);
}

/* Opens a client of its own, as nobody else in it has done yet. 0 if that works. */
static unsigned live_on(const struct family *f)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    client_options(&options, f->host.url, "protobuf");
    if (f->tls != NULL) {
        struct pywatt_tls_options settings;
        scene_client_options(&settings);
        scene_show(&settings, &scene.module);
        if (pywatt_tls_client_new(&settings, &options.tls, NULL) != PYWATT_OK) {
            return 4;
        }
    }
    unsigned wrong = pywatt_client_open(&options, &client, NULL) == PYWATT_OK ? 0 : 1;
    wrong |= pywatt_register_module(client, f->info, &module, NULL) == PYWATT_OK ? 0 : 2u;
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_tls_free(options.tls);
    return wrong;
}

static void begin(struct family *f, bool over_tls)
{
    struct pywatt_client_options options;
    f->tls = NULL;
    if (over_tls) {
        f->tls = scene_host_init(&f->host, 0);
    } else {
        host_init(&f->host, "tcp");
    }
    host_start(&f->host);
    client_options(&options, f->host.url, "json");
    options.tls = f->tls;
    f->client = client_open_with(&options);
    f->module = client_register(f->client, "parent.floor2");
    assert_int_equal(pywatt_start_heartbeat_loop(f->module, 20, NULL, NULL, &f->loop, NULL),
                     PYWATT_OK);
    client_await_beats(f->client, 1);
    assert_int_equal(pywatt_module_info_new("child.floor2", "1", "d", &f->info), PYWATT_OK);
}

static void end(struct family *f)
{
    pywatt_module_info_free(f->info);
    pywatt_heartbeat_loop_stop(f->loop);
    pywatt_module_free(f->module);
    pywatt_client_free(f->client);
    pywatt_tls_free(f->tls);
    host_destroy(&f->host);
    pywatt_tls_free(f->host.options.tls);
}

/* What the calls say in a child: those on what its parent made, or those of a life of its own. */
static unsigned in_a_child(struct family *f, bool at_work)
{
    unsigned result = ~0u;
    int ends[2];
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(30 * pw_test_slow_factor()); /* who waits for a lock waits for ever */
        result = at_work ? call_both(f, capabilities) : live_on(f);
        _exit(write(ends[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
    }
    pywatt_capabilities_free(capabilities);
    assert_true(pid > 0);
    close(ends[1]);
    assert_int_equal(read(ends[0], &result, sizeof(result)), sizeof(result));
    close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return result;
}

static void lock_tls(struct pywatt_tls *tls)
{
    pw_mutex_lock(&pw_tls_of(tls)->change);
    pw_mutex_lock(&pw_tls_of(tls)->lock);
}

static void unlock_tls(struct pywatt_tls *tls)
{
    pw_mutex_unlock(&pw_tls_of(tls)->lock);
    pw_mutex_unlock(&pw_tls_of(tls)->change);
}

/* As if threads were inside at that moment: whoever took these locks would wait for ever. */
static unsigned in_a_child_amid_calls(struct family *f)
{
    pw_mutex_lock(&f->client->lock);
    if (f->tls != NULL) {
        lock_tls(f->tls);
        lock_tls(f->host.options.tls);
    }
    const unsigned wrong = in_a_child(f, true);
    if (f->tls != NULL) {
        unlock_tls(f->host.options.tls);
        unlock_tls(f->tls);
    }
    pw_mutex_unlock(&f->client->lock);
    return wrong;
}

static void expect_nothing_touched(bool over_tls)
{
    struct family f;
    begin(&f, over_tls);
    assert_int_equal(in_a_child_amid_calls(&f), 0);
    /* The parent's connection is as it was. */
    const struct pywatt_client_stats stats = client_stats(f.client);
    assert_int_equal(stats.connects, 1);
    client_await_beats(f.client, stats.beats_answered + 3);
    assert_int_equal(client_stats(f.client).connects, 1);
    end(&f);
}

static void a_child_touches_nothing_of_its_parents_client(void **state)
{
    (void)state;
    expect_nothing_touched(false);
}

static void a_child_touches_nothing_of_its_parents_tls(void **state)
{
    (void)state;
    expect_nothing_touched(true);
}

static void a_child_may_have_a_client_of_its_own(void **state)
{
    (void)state;
    if (strcmp(pw_test_tool(), "tsan") == 0) {
        skip(); /* it does not start threads after a fork */
    }
    for (int over_tls = 0; over_tls < 2; over_tls++) {
        struct family f;
        begin(&f, over_tls == 1);
        assert_int_equal(in_a_child(&f, false), 0);
        client_await_beats(f.client, client_stats(f.client).beats_answered + 3);
        assert_int_equal(client_stats(f.client).connects, 1);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_child_touches_nothing_of_its_parents_client),
        cmocka_unit_test(a_child_touches_nothing_of_its_parents_tls),
        cmocka_unit_test(a_child_may_have_a_client_of_its_own),
    };
    return PW_TEST_RUN_WITH(cases, scene_make, scene_free);
}
