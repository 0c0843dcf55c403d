/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A child that was forked finds what its parent has made out of reach: each call says so and touches
 * nothing. The parent goes on, and the child may open a client of its own.
 */
#include "client.h"
#include "host.h"

#include "registry/client.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct family {
    struct host host;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_heartbeat_loop *loop;
    struct pywatt_module_info *info;
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

/* Opens a client of its own, as nobody else in it has done yet. 0 if that works. */
static unsigned live_on(const struct family *f)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    client_options(&options, f->host.url, "protobuf");
    unsigned wrong = pywatt_client_open(&options, &client, NULL) == PYWATT_OK ? 0 : 1;
    wrong |= pywatt_register_module(client, f->info, &module, NULL) == PYWATT_OK ? 0 : 2u;
    pywatt_module_free(module);
    pywatt_client_free(client);
    return wrong;
}

static void begin(struct family *f)
{
    host_init(&f->host, "tcp");
    host_start(&f->host);
    f->client = client_open(f->host.url, "json");
    f->module = client_register(f->client, "parent");
    assert_int_equal(pywatt_start_heartbeat_loop(f->module, 20, NULL, NULL, &f->loop, NULL),
                     PYWATT_OK);
    client_await_beats(f->client, 1);
    assert_int_equal(pywatt_module_info_new("child", "1", "d", &f->info), PYWATT_OK);
}

static void end(struct family *f)
{
    pywatt_module_info_free(f->info);
    pywatt_heartbeat_loop_stop(f->loop);
    pywatt_module_free(f->module);
    pywatt_client_free(f->client);
    host_stop(&f->host);
    host_destroy(&f->host);
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
        result = at_work ? call_all(f, capabilities) : live_on(f);
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

static void a_child_touches_nothing_of_its_parents_client(void **state)
{
    (void)state;
    struct family f;
    begin(&f);
    /* As if threads were inside at that moment: whoever took these locks would wait for ever. */
    pw_mutex_lock(&f.client->lock);
    const unsigned wrong = in_a_child(&f, true);
    pw_mutex_unlock(&f.client->lock);
    assert_int_equal(wrong, 0);
    /* The parent's connection is as it was. */
    const struct pywatt_client_stats stats = client_stats(f.client);
    assert_int_equal(stats.connects, 1);
    client_await_beats(f.client, stats.beats_answered + 3);
    assert_int_equal(client_stats(f.client).connects, 1);
    end(&f);
}

static void a_child_may_have_a_client_of_its_own(void **state)
{
    (void)state;
    struct family f;
    if (strcmp(pw_test_tool(), "tsan") == 0) {
        skip(); /* it does not start threads after a fork */
    }
    begin(&f);
    assert_int_equal(in_a_child(&f, false), 0);
    client_await_beats(f.client, client_stats(f.client).beats_answered + 3);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_child_touches_nothing_of_its_parents_client),
        cmocka_unit_test(a_child_may_have_a_client_of_its_own),
    };
    return PW_TEST_RUN(cases);
}
