/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Everything that an application may do from inside a callback, in every kind of callback: nothing
 * hangs, nothing runs afterwards that should not, and all memory, descriptors and threads are given
 * back.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum where {
    IN_PROVIDER,
    IN_WATCHER,
    IN_HEARTBEAT_DONE,
    IN_PLAIN_DONE,
    IN_REGISTERED,
    PLACES
};

enum what {
    HEARTBEAT,
    UNREGISTER,
    UNREGISTER_ASYNC,
    LOOP_STOP,
    START_OTHER_LOOP,
    WATCHER_AWAY,
    MODULE_FREE,
    CLIENT_CLOSE,
    CLIENT_STOP,
    CLIENT_FREE,
    MODULE_AND_CLIENT_FREE,
    ACTIONS
};

static const char *const where_names[PLACES] = {"provider", "watcher", "heartbeat done",
                                                "plain done", "registered"};
static const char *const what_names[ACTIONS] = {
    "heartbeat",    "unregister",   "unregister_async",      "loop_stop",
    "start a loop", "watcher away", "module_free",           "client_close",
    "client_stop",  "client_free",  "module and client free"};

struct scene {
    enum where where;
    enum what what;
    struct pw_fake *fake;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_module *other;
    struct pywatt_heartbeat_loop *loop;
    struct box box; /* one entry when the action has returned */
    bool go;        /* everything the action needs is there; guarded by the box's lock */
    bool acted;     /* guarded by it, too */
    struct box later;
};

static bool is_my_turn(struct scene *scene)
{
    pw_mutex_lock(&scene->box.lock);
    const bool mine = scene->go && !scene->acted;
    scene->acted |= mine;
    pw_mutex_unlock(&scene->box.lock);
    return mine;
}

static void go(struct scene *scene)
{
    pw_mutex_lock(&scene->box.lock);
    scene->go = true;
    pw_mutex_unlock(&scene->box.lock);
}

/* In a callback: the action, once. */
static void act(struct scene *scene)
{
    if (!is_my_turn(scene)) {
        return;
    }
    enum pywatt_status status = PYWATT_OK;
    switch (scene->what) {
    case HEARTBEAT:
        status = pywatt_heartbeat(scene->module, PYWATT_HEALTHY, NULL, NULL, NULL);
        break;
    case UNREGISTER: status = pywatt_unregister_module(scene->module, NULL); break;
    case UNREGISTER_ASYNC:
        status = pywatt_unregister_module_async(scene->module, on_done, &scene->later, NULL);
        break;
    case LOOP_STOP:
        pywatt_heartbeat_loop_stop(scene->loop);
        scene->loop = NULL;
        break;
    case START_OTHER_LOOP:
        status = pywatt_start_heartbeat_loop(scene->other, 1, NULL, NULL, NULL, NULL);
        break;
    case WATCHER_AWAY: pywatt_module_set_watcher(scene->module, NULL, NULL); break;
    case MODULE_FREE:
        pywatt_module_free(scene->module);
        scene->module = NULL;
        break;
    case CLIENT_CLOSE: pywatt_client_close(scene->client); break;
    case CLIENT_STOP: pywatt_client_stop(scene->client); break;
    case CLIENT_FREE:
        pywatt_client_free(scene->client);
        scene->client = NULL;
        break;
    case MODULE_AND_CLIENT_FREE:
        pywatt_module_free(scene->module);
        pywatt_client_free(scene->client);
        scene->module = NULL;
        scene->client = NULL;
        break;
    case ACTIONS: break;
    }
    box_put(&scene->box, status, PYWATT_HEALTHY, "", NULL, false);
}

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    struct scene *scene = user;
    (void)details;
    if (scene->where == IN_PROVIDER) {
        act(scene);
    }
    return PYWATT_HEALTHY;
}

static void watch(void *user, struct pywatt_module *module,
                  const struct pywatt_heartbeat_event *event)
{
    struct scene *scene = user;
    (void)module;
    (void)event;
    if (scene->where == IN_WATCHER) {
        act(scene);
    }
}

static void heartbeat_done(void *user, enum pywatt_status status, const struct pywatt_error *error,
                           enum pywatt_health verdict)
{
    (void)status;
    (void)error;
    (void)verdict;
    act(user);
}

static void plain_done(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    (void)status;
    (void)error;
    act(user);
}

static void registered_done(void *user, enum pywatt_status status, const struct pywatt_error *error,
                            struct pywatt_module *module)
{
    (void)status;
    (void)error;
    act(user);
    pywatt_module_free(module);
}

/* Makes the callback come in which the action is to happen: nothing is ours from then on. */
static void provoke(struct scene *scene)
{
    struct pywatt_module *module = scene->module;
    struct pywatt_client *client = scene->client;
    struct pw_fake *fake = scene->fake;
    go(scene);
    switch (scene->where) {
    case IN_PROVIDER: break; /* asked all the time */
    case IN_WATCHER: pw_fake_set_verdict(fake, PYWATT_DEGRADED); break;
    case IN_HEARTBEAT_DONE:
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, heartbeat_done, scene, NULL),
            PYWATT_OK);
        break;
    case IN_PLAIN_DONE: {
        struct pywatt_capabilities *capabilities = new_capabilities();
        assert_int_equal(
            pywatt_advertise_capabilities_async(module, capabilities, plain_done, scene, NULL),
            PYWATT_OK);
        pywatt_capabilities_free(capabilities);
        break;
    }
    case IN_REGISTERED: {
        struct pywatt_module_info *info = new_info("gamma");
        assert_int_equal(pywatt_register_module_async(client, info, registered_done, scene, NULL),
                         PYWATT_OK);
        pywatt_module_info_free(info);
        break;
    }
    case PLACES: break;
    }
}

static void open_scene(struct scene *scene, enum where where, enum what what)
{
    scene->where = where;
    scene->what = what;
    box_init(&scene->box);
    box_init(&scene->later);
    scene->fake = pw_fake_start();
    scene->client = open_client(scene->fake, "json", NULL);
    scene->module = register_named(scene->client, "alpha");
    scene->other = register_named(scene->client, "beta");
    pywatt_module_set_watcher(scene->module, watch, scene);
    assert_int_equal(
        pywatt_start_heartbeat_loop(scene->module, 1, provide, scene, &scene->loop, NULL),
        PYWATT_OK);
    assert_true(pw_fake_wait(scene->fake, PW_OP_HEARTBEAT, 3));
}

static void close_scene(struct scene *scene)
{
    pywatt_module_free(scene->module);
    pywatt_module_free(scene->other);
    pywatt_heartbeat_loop_stop(scene->loop);
    pywatt_client_free(scene->client);
    pw_fake_free(scene->fake);
}

/*
 * Each scene has its own memory, and its boxes stay: where the client ends in its own time, nothing
 * tells the tools that its threads are done with them, though they are.
 */
static struct scene scenes[PLACES][ACTIONS];

static void play(enum where where, enum what what)
{
    struct scene *scene = &scenes[where][what];
    const size_t fds = pw_test_open_fds();
    const size_t threads = pw_test_threads();
    open_scene(scene, where, what);
    provoke(scene);
    if (!box_wait(&scene->box, 1)) {
        fail_msg("%s from inside the %s hangs", what_names[what], where_names[where]);
    }
    if (scene->box.told[0].status != PYWATT_OK) {
        fail_msg("%s from inside the %s: %s", what_names[what], where_names[where],
                 pywatt_status_name(scene->box.told[0].status));
    }
    if (what == UNREGISTER_ASYNC) {
        assert_true(box_wait(&scene->later, 1));
        assert_int_equal(scene->later.told[0].status, PYWATT_OK);
    }
    close_scene(scene);
    if (!wait_threads(threads)) {
        fail_msg("%s from inside the %s leaves threads", what_names[what], where_names[where]);
    }
    assert_int_equal(pw_test_open_fds(), fds);
}

static void everything_may_be_done_from_inside_every_callback(void **state)
{
    (void)state;
    for (int where = 0; where < PLACES; where++) {
        for (int what = 0; what < ACTIONS; what++) {
            play((enum where)where, (enum what)what);
        }
    }
}

/* ---- What is promised around the end ------------------------------------------------------------- */

static void done_at_gate(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    on_done(user, status, error);
    box_gate_pass(user);
}

struct stopper {
    struct pywatt_client *client;
    atomic_bool stopped;
};

static void *stop_client(void *arg)
{
    struct stopper *stopper = arg;
    pywatt_client_stop(stopper->client);
    atomic_store(&stopper->stopped, true);
    return NULL;
}

static void stop_waits_for_the_callback_that_runs(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_client *other = open_client(fake, "json", NULL);
    struct pywatt_module *module = register_named(client, "alpha");
    struct pywatt_module *clock = register_named(other, "clock");
    struct pywatt_capabilities *capabilities = new_capabilities();
    struct stopper stopper = {client, false};
    struct box box;
    pthread_t thread;
    box_init(&box);
    assert_int_equal(
        pywatt_advertise_capabilities_async(module, capabilities, done_at_gate, &box, NULL),
        PYWATT_OK);
    assert_true(box_gate_wait_for_one(&box));
    assert_int_equal(pthread_create(&thread, NULL, stop_client, &stopper), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pywatt_heartbeat(clock, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    }
    assert_false(atomic_load(&stopper.stopped));
    box_gate_open(&box);
    pthread_join(thread, NULL);
    pywatt_client_free(client);
    pywatt_client_free(other);
    pywatt_module_free(module);
    pywatt_module_free(clock);
    pywatt_capabilities_free(capabilities);
    pw_fake_free(fake);
    box_destroy(&box);
}

static void closing_ends_what_is_under_way_exactly_once(void **state)
{
    (void)state;
    enum {
        BEATS = 50
    };
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_module *module = register_named(client, "alpha");
    struct pywatt_module_info *info = new_info("beta");
    struct box box;
    box_init(&box);
    pw_fake_hold(fake, PW_OP_HEARTBEAT);
    pw_fake_hold(fake, PW_OP_REGISTER);
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &box, NULL),
            PYWATT_OK);
    }
    assert_int_equal(pywatt_register_module_async(client, info, on_registered, &box, NULL),
                     PYWATT_OK);
    assert_true(pw_fake_wait(fake, PW_OP_REGISTER, 2));
    pywatt_client_close(client);
    assert_true(box_wait(&box, BEATS + 1));
    for (int i = 0; i <= BEATS; i++) {
        assert_int_equal(box.told[i].status, PYWATT_CLOSED);
        assert_null(box.told[i].module);
        assert_true(box.told[i].text[0] != '\0');
    }
    assert_int_equal(pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &box, NULL),
                     PYWATT_CLOSED);
    pywatt_client_free(client);
    assert_int_equal(box_count(&box), BEATS + 1);
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pw_fake_free(fake);
    box_destroy(&box);
}

static void closing_cuts_connecting_short(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_module *module = NULL;
    struct pywatt_uuid id;
    struct box box;
    box_init(&box);
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_attach_module(client, NULL, &id, "token", &module, NULL), PYWATT_OK);
    pw_fake_go_away(fake);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &box, NULL),
            PYWATT_OK);
    }
    assert_true(WAIT_STAT(client, connect_failures, 2));
    pywatt_client_free(client);
    assert_int_equal(box_count(&box), 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(box.told[i].status, PYWATT_CLOSED);
    }
    pywatt_module_free(module);
    pw_fake_free(fake);
    box_destroy(&box);
}

static void closing_ends_operations_that_wait_for_a_recovery(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_module *module = register_named(client, "alpha");
    struct box box;
    box_init(&box);
    pw_fake_forget(fake);
    pw_fake_hold(fake, PW_OP_REGISTER);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &box, NULL),
            PYWATT_OK);
    }
    assert_true(pw_fake_wait(fake, PW_OP_REGISTER, 2));
    assert_int_equal(pywatt_unregister_module_async(module, on_done, &box, NULL), PYWATT_OK);
    pywatt_client_free(client);
    assert_int_equal(box_count(&box), 11);
    for (int i = 0; i < 11; i++) {
        /* A beat may hear that the module is unknown while it is already leaving. */
        const enum pywatt_status status = box.told[i].status;
        assert_true(status == PYWATT_CLOSED || status == PYWATT_MODULE_NOT_FOUND);
    }
    pywatt_module_free(module);
    pw_fake_free(fake);
    box_destroy(&box);
}

/* Some tools start a thread of their own beside the first one; it must not be taken for ours. */
static int start_a_thread(void **state)
{
    (void)state;
    pw_fake_free(pw_fake_start());
    return 0;
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(everything_may_be_done_from_inside_every_callback),
        cmocka_unit_test(stop_waits_for_the_callback_that_runs),
        cmocka_unit_test(closing_ends_what_is_under_way_exactly_once),
        cmocka_unit_test(closing_cuts_connecting_short),
        cmocka_unit_test(closing_ends_operations_that_wait_for_a_recovery),
    };
    return PW_TEST_RUN_WITH(cases, start_a_thread, NULL);
}
