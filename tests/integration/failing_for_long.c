/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Real clients, a real orchestrator with a sqlite store, and a system that refuses: one call, and in a
 * life of many calls each of them; or all calls of a kind from one on, until it is healed. What goes
 * well is true, also after a restart, and what does not has words; who was there before goes on by
 * himself afterwards, and whoever comes is welcome.
 *
 * For long fails what a system may refuse for long. No system interrupts each call, or has each wake-up
 * put off, for ever: EINTR and EAGAIN fail once, here and in failing_calls.c, which has all calls of
 * the rest. clock_nanosleep fails nowhere: interrupted, the store waits a little less for others. What
 * SQLite itself calls fails in tests/orchestrator/store_calls.c and store_faults.c.
 *
 * PYWATT_TEST_LONG is for every call; else, under slow tools, it is a choice of the later ones.
 */
#include "call_fail.h"
#include "client.h"
#include "faulty_vfs.h"
#include "host.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALLS_MAX = 2000,
    KEPT_MAX = 512,
    PATIENCE_MS = 20000,
    SHORT_MS = 100 /* what is waited for while all calls fail */
};

static int set_up(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    return 0;
}

/* ---- An orchestrator that keeps what it says ---- */

struct world {
    struct host host;
    char *folder;
    char store[300];
    struct pywatt_uuid kept[KEPT_MAX]; /* of modules that registered, and stay */
    size_t kept_count;
    unsigned names;
};

static void begin(struct world *world, const char *scheme)
{
    memset(world, 0, sizeof(*world));
    host_init(&world->host, scheme);
    world->folder = pw_test_temp_dir();
    snprintf(world->store, sizeof(world->store), "sqlite:%s/registrations.db", world->folder);
    world->host.options.store = world->store;
    host_start(&world->host);
}

static void keep(struct world *world, const struct pywatt_module *module)
{
    assert_true(world->kept_count < KEPT_MAX);
    world->kept[world->kept_count++] = *pywatt_module_id(module);
}

static bool is_known(struct world *world, const struct pywatt_uuid *id)
{
    struct pywatt_module_view *view = NULL;
    const enum pywatt_status status = pywatt_orchestrator_find(world->host.orchestrator, id, &view);
    pywatt_module_view_free(view);
    return status == PYWATT_OK;
}

/* All that were kept are there after a restart. */
static void end(struct world *world)
{
    host_stop(&world->host);
    host_start(&world->host);
    for (size_t i = 0; i < world->kept_count; i++) {
        assert_true(is_known(world, &world->kept[i]));
    }
    host_destroy(&world->host);
    free(world->folder);
}

/* ---- A short life ---- */

struct life {
    struct pywatt_client *client;
    struct pywatt_module *module;
    const char *step; /* the last one */
    struct pywatt_error error;
};

static enum pywatt_status register_one(struct world *world, struct life *life)
{
    struct pywatt_module_info *info = NULL;
    char name[32];
    life->step = "register";
    snprintf(name, sizeof(name), "module %u", ++world->names);
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    const enum pywatt_status status =
        pywatt_register_module(life->client, info, &life->module, &life->error);
    pywatt_module_info_free(info);
    if (status == PYWATT_OK) {
        assert_true(is_known(world, pywatt_module_id(life->module)));
    }
    return status;
}

/* Every other module stays. */
static enum pywatt_status leave(struct world *world, struct life *life)
{
    const struct pywatt_uuid id = *pywatt_module_id(life->module);
    life->step = "unregister";
    if (world->names % 2 == 0) {
        keep(world, life->module);
        return PYWATT_OK;
    }
    const enum pywatt_status status = pywatt_unregister_module(life->module, &life->error);
    assert_true(status != PYWATT_OK || !is_known(world, &id));
    return status;
}

/* Up to the first step that fails. */
static enum pywatt_status live(struct world *world, struct life *life, uint32_t timeout_ms)
{
    struct pywatt_client_options options;
    *life = (struct life){.step = "open"};
    client_options(&options, world->host.url, "protobuf");
    options.timeout_ms = timeout_ms;
    enum pywatt_status status = pywatt_client_open(&options, &life->client, &life->error);
    if (status == PYWATT_OK) {
        status = register_one(world, life);
    }
    if (status == PYWATT_OK) {
        life->step = "beat";
        status = pywatt_heartbeat(life->module, PYWATT_HEALTHY, NULL, NULL, &life->error);
    }
    if (status == PYWATT_OK) {
        status = leave(world, life);
    }
    pywatt_module_free(life->module);
    pywatt_client_free(life->client);
    return status;
}

/* ---- What fails ---- */

struct fault {
    enum call call;
    int number;
    bool put_off; /* it is tried again, so nobody notices */
};

static void explain(const struct fault *fault, unsigned long n, const struct life *life,
                    enum pywatt_status status)
{
    fail_msg("%s %lu, %s: %s: %s: %s", call_names[fault->call], n, strerror(fault->number),
             life->step, pywatt_status_name(status), life->error.text);
}

static bool is_fair(const struct fault *fault, const struct life *life, enum pywatt_status status)
{
    switch (status) {
    case PYWATT_OK: return true;
    case PYWATT_NO_MEMORY:
    case PYWATT_CHANNEL:
    case PYWATT_CONNECTION:
    case PYWATT_TIMEOUT:
    case PYWATT_UNAVAILABLE:
    case PYWATT_IO:
        return !fault->put_off && life->error.status == status && life->error.text[0] != '\0';
    default: return false;
    }
}

static unsigned long next(unsigned long n)
{
    const bool all = getenv("PYWATT_TEST_LONG") != NULL;
    return n + (all ? 1 : pw_test_slow_factor() > 1 ? 1 + n : 1 + n / 4);
}

static uint32_t patience_ms(void)
{
    return pw_test_timeout_ms(PATIENCE_MS);
}

/* ---- One call fails ---- */

/* Those with which the store's thread, and the file behind it, have to do. */
static const struct fault faults[] = {
    {CALL_READ, EAGAIN, true},       {CALL_WRITE, EINTR, true},
    {CALL_PPOLL, EINTR, true},       {CALL_SEND, ECONNRESET, false},
    {CALL_RECV, ECONNRESET, false},  {CALL_GETRANDOM, ENOSYS, false},
    {CALL_STAT, EIO, false},         {CALL_PWRITE, ENOSPC, false},
    {CALL_PREAD, EIO, false},        {CALL_SOCKET, EMFILE, false},
    {CALL_EPOLL_ADD, ENOMEM, false},
};

static unsigned long fail_each(struct world *world, const struct fault *fault)
{
    struct life life;
    unsigned long times = 0;
    bool fired = true;
    for (unsigned long n = 1; fired; n = next(n)) {
        assert_in_range(n, 1, CALLS_MAX);
        call_fail_at(fault->call, n, fault->number);
        const enum pywatt_status status = live(world, &life, patience_ms());
        fired = call_fail_disarm();
        times += fired;
        if (fired ? !is_fair(fault, &life, status) : status != PYWATT_OK) {
            explain(fault, n, &life, status);
        }
        const enum pywatt_status after = live(world, &life, patience_ms());
        if (after != PYWATT_OK) {
            print_message("afterwards\n");
            explain(fault, n, &life, after);
        }
    }
    return times;
}

static void what_went_well_is_kept_whichever_call_fails(void **state)
{
    (void)state;
    static struct world world;
    unsigned long times = 0;
    begin(&world, "tcp");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        times += fail_each(&world, &faults[i]);
    }
    end(&world);
    print_message("%lu calls failed\n", times);
    assert_true(times > 0);
}

/* Names are for logs, and a socket that cannot be told to wait does not; a peer's number is a name here. */
static const struct fault unnoticed[] = {
    {CALL_FCNTL, EINVAL, true},
    {CALL_GETPEERNAME, ENOTCONN, true},
    {CALL_GETSOCKNAME, ENOBUFS, true},
};
static const struct fault of_connecting = {CALL_GETSOCKOPT, ENOBUFS, false};
static const struct fault of_accepting = {CALL_GETSOCKOPT, ENOBUFS, true};

static void who_cannot_be_asked_about_a_socket_goes_on(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, "tcp");
    for (size_t i = 0; i < sizeof(unnoticed) / sizeof(unnoticed[0]); i++) {
        assert_true(fail_each(&world, &unnoticed[i]) > 0);
    }
    assert_true(fail_each(&world, &of_connecting) > 0);
    end(&world);
    begin(&world, "unix");
    assert_true(fail_each(&world, &of_accepting) > 0);
    end(&world);
}

/* ---- All calls fail, until it is healed ---- */

static const struct fault lasting[] = {
    {CALL_ACCEPT4, EMFILE, false},        {CALL_CONNECT, ECONNREFUSED, false},
    {CALL_CONNECT, EADDRNOTAVAIL, false}, {CALL_EPOLL_ADD, ENOSPC, false},
    {CALL_EPOLL_CREATE, EMFILE, false},   {CALL_EVENTFD, EMFILE, false},
    {CALL_GETRANDOM, ENOSYS, false},      {CALL_RECV, ECONNRESET, false},
    {CALL_RECV, ENOMEM, false},           {CALL_SEND, EPIPE, false},
    {CALL_SEND, ENOBUFS, false},          {CALL_SETSOCKOPT, ENOBUFS, false},
    {CALL_SOCKET, EMFILE, false},         {CALL_STAT, EIO, false},
    {CALL_THREAD, EAGAIN, false},         {CALL_PWRITE, ENOSPC, false},
};

/* Was there before, and beats in a loop. */
struct resident {
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_heartbeat_loop *loop;
};

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    (void)user;
    (void)details;
    return PYWATT_HEALTHY;
}

static void move_in(struct world *world, struct resident *resident)
{
    struct pywatt_client_options options;
    client_options(&options, world->host.url, "json");
    options.timeout_ms = patience_ms();
    resident->client = client_open_with(&options);
    resident->module = client_register(resident->client, "resident");
    assert_int_equal(
        pywatt_start_heartbeat_loop(resident->module, 1, provide, NULL, &resident->loop, NULL),
        PYWATT_OK);
    keep(world, resident->module);
}

static void move_out(struct resident *resident)
{
    pywatt_heartbeat_loop_stop(resident->loop);
    pywatt_module_free(resident->module);
    pywatt_client_free(resident->client);
}

static void fail_for_long(struct world *world, const struct resident *resident,
                          const struct fault *fault, unsigned long n)
{
    struct life life;
    const struct pywatt_uuid before = *pywatt_module_id(resident->module);
    call_fail_from(fault->call, n, fault->number);
    for (unsigned i = 0; i < 2; i++) {
        const enum pywatt_status status = live(world, &life, SHORT_MS);
        if (!is_fair(fault, &life, status)) {
            explain(fault, n, &life, status);
        }
    }
    (void)call_fail_disarm();
    client_await_beats(resident->client, client_stats(resident->client).beats_answered + 2);
    assert_true(pywatt_uuid_equal(pywatt_module_id(resident->module), &before));
    const enum pywatt_status after = live(world, &life, patience_ms());
    if (after != PYWATT_OK) {
        print_message("afterwards\n");
        explain(fault, n, &life, after);
    }
}

static void all_goes_on_when_what_failed_for_long_is_healed(void **state)
{
    (void)state;
    static struct world world;
    struct resident resident;
    begin(&world, "tcp");
    move_in(&world, &resident);
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        fail_for_long(&world, &resident, &lasting[i], 1);
        fail_for_long(&world, &resident, &lasting[i], 3);
    }
    const struct host_module told = host_module(&world.host, pywatt_module_id(resident.module));
    assert_int_equal(told.registered, 1);
    assert_int_equal(told.reregistered, 0);
    move_out(&resident);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_went_well_is_kept_whichever_call_fails),
        cmocka_unit_test(who_cannot_be_asked_about_a_socket_goes_on),
        cmocka_unit_test(all_goes_on_when_what_failed_for_long_is_healed),
    };
    return PW_TEST_RUN_WITH(cases, set_up, NULL);
}
