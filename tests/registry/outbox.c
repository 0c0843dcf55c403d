/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Operations that wait for their module to be registered again, by the heartbeat thread's own
 * functions: no thread runs, so that each can be put between any two steps of a recovery.
 */
#include "registry/async.h"
#include "registry/client.h"
#include "registry/module.h"

#include "pw_test.h"

#include <pywatt/pywatt.h>

#include <string.h>

struct bench {
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pw_async operation;
    unsigned ends;
};

static struct bench bench;

static void note_end(struct pw_job *job)
{
    (void)job;
    bench.ends++;
}

/* A module that is forgotten, an attempt to register it again that failed, an operation of it. */
static int make(void **state)
{
    struct pywatt_client_options options;
    struct pywatt_uuid id;
    (void)state;
    memset(&bench, 0, sizeof(bench));
    pywatt_client_options_init(&options);
    options.endpoints = "memory:nobody";
    assert_int_equal(pywatt_client_open(&options, &bench.client, NULL), PYWATT_OK);
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_attach_module(bench.client, NULL, &id, "t", &bench.module, NULL),
                     PYWATT_OK);
    atomic_store(&bench.module->forgotten, true);
    bench.module->recovery_result.round = 3;
    bench.module->recovery_result.status = PYWATT_NAME_TAKEN;

    struct pw_async *operation = &bench.operation;
    pw_errand_init(&operation->errand, PW_OP_HEARTBEAT, bench.module, PW_DEADLINE_NEVER - 1);
    pw_list_init(&operation->link);
    pw_due_init(&operation->due);
    operation->job.run = note_end;
    assert_true(pw_dispatcher_promise(&bench.client->dispatcher));
    return 0;
}

static void run_callbacks(void)
{
    pw_dispatcher_close(&bench.client->dispatcher);
    pw_dispatcher_run(&bench.client->dispatcher);
}

static int unmake(void **state)
{
    (void)state;
    pywatt_module_free(bench.module);
    pywatt_client_free(bench.client);
    return 0;
}

static void send_all(void)
{
    bool posted = false;
    pw_outbox_take(bench.client, &bench.operation);
    pw_outbox_send(bench.client, &posted);
    assert_false(posted);
    assert_true(bench.operation.parked);
}

/* The news of an attempt may come when somebody has begun to wait since it ended. */
static void an_attempt_that_had_ended_is_not_ones_own(void **state)
{
    (void)state;
    send_all();
    pw_outbox_recovered(bench.client, bench.module);
    assert_true(bench.operation.parked);
    assert_true(pw_list_linked(&bench.operation.link));
    pw_outbox_end(bench.client);
    run_callbacks();
    assert_int_equal(bench.ends, 1);
    assert_int_equal(bench.operation.status, PYWATT_CLOSED);
}

static void the_next_one_is(void **state)
{
    (void)state;
    send_all();
    bench.module->recovery_result.round++;
    pw_outbox_recovered(bench.client, bench.module);
    run_callbacks();
    assert_int_equal(bench.ends, 1);
    assert_int_equal(bench.operation.status, PYWATT_NAME_TAKEN);
}

static void nor_is_one_that_ran_out_of_its_own_time(void **state)
{
    (void)state;
    send_all();
    bench.module->recovery_result.round++;
    bench.module->recovery_result.out_of_time = true;
    pw_outbox_recovered(bench.client, bench.module);
    assert_true(pw_list_linked(&bench.operation.link));
    assert_true(bench.module->recovery.urgent); /* another is asked for */
    pw_outbox_end(bench.client);
    run_callbacks();
    assert_int_equal(bench.operation.status, PYWATT_CLOSED);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(an_attempt_that_had_ended_is_not_ones_own, make, unmake),
        cmocka_unit_test_setup_teardown(nor_is_one_that_ran_out_of_its_own_time, make, unmake),
        cmocka_unit_test_setup_teardown(the_next_one_is, make, unmake),
    };
    return PW_TEST_RUN(cases);
}
