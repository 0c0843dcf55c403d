/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The four operations, blocking and asynchronous, over every codec: what reaches the orchestrator,
 * what comes back, and every refusal with its status and its text.
 */
#include "fixture.h"
#include "registry/client.h"

#include <stdatomic.h>
#include <string.h>

/* ---- Register -------------------------------------------------------------------------------- */

static void registers_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_uuid id;
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_module_info_set_id(info, &id), PYWATT_OK);
    pw_fake_set_interval_ms(place.fake, 5000);

    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_register_module(place.client, info, &module, &error), PYWATT_OK);
    assert_true(pywatt_uuid_equal(pywatt_module_id(module), &id));

    struct pw_fake_module seen;
    assert_true(pw_fake_find(place.fake, &id, &seen));
    assert_string_equal(seen.name, "alpha");

    struct pywatt_registration *registration = pywatt_module_registration(module);
    assert_string_equal(pywatt_registration_token(registration), seen.token);
    assert_string_equal(pywatt_registration_orchestrator_host(registration), "127.0.0.1");
    assert_int_equal(pywatt_registration_orchestrator_port(registration), 7900);
    assert_int_equal(pywatt_registration_generation(registration), 1);
    assert_int_equal(pywatt_registration_heartbeat_interval_ms(registration), 5000);
    assert_string_equal(pywatt_module_info_name(pywatt_registration_info(registration)), "alpha");
    pywatt_registration_release(registration);

    pywatt_module_free(module);
    pywatt_module_info_free(info);
    close_place(&place);
}

static void registers_and_tells_what_the_orchestrator_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        registers_over(all_codecs[i]);
    }
}

static void registering_a_known_id_again_shows_its_token(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *first = register_named(place.client, "alpha");
    struct pywatt_module_info *info = new_info("alpha");
    assert_int_equal(pywatt_module_info_set_id(info, pywatt_module_id(first)), PYWATT_OK);
    struct pywatt_module *second = NULL;
    assert_int_equal(pywatt_register_module(place.client, info, &second, NULL), PYWATT_OK);

    /* Both handles know the new generation: neither is fenced off. */
    assert_int_equal(pywatt_heartbeat(first, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_int_equal(pywatt_heartbeat(second, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    struct pywatt_registration *known = pywatt_module_registration(first);
    assert_int_equal(pywatt_registration_generation(known), 2);
    pywatt_registration_release(known);

    pywatt_module_info_free(info);
    pywatt_module_free(first);
    pywatt_module_free(second);
    close_place(&place);
}

/* ---- Attach ---------------------------------------------------------------------------------- */

static void attaches_a_saved_module_and_sends_nothing(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_registration *saved = pywatt_module_registration(module);

    struct pywatt_client *other = open_client(place.fake, "protobuf", NULL);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(other, info, pywatt_registration_id(saved),
                                          pywatt_registration_token(saved), &attached, NULL),
                     PYWATT_OK);
    assert_int_equal(pw_fake_connections(place.fake), 1);
    struct pywatt_registration *own = pywatt_module_registration(attached);
    assert_string_equal(pywatt_registration_token(own), pywatt_registration_token(saved));
    assert_true(pywatt_uuid_equal(pywatt_registration_id(own), pywatt_module_id(module)));
    assert_int_equal(pywatt_registration_generation(own), 0);
    assert_string_equal(pywatt_registration_orchestrator_host(own), "");
    assert_string_equal(pywatt_module_info_name(pywatt_registration_info(own)), "alpha");
    pywatt_registration_release(own);
    assert_int_equal(pywatt_heartbeat(attached, PYWATT_DEGRADED, NULL, NULL, NULL), PYWATT_OK);

    pywatt_registration_release(saved);
    pywatt_module_info_free(info);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(other);
    close_place(&place);
}

static void attach_refuses_bad_arguments(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_uuid id;
    const struct pywatt_uuid nil = {{0}};
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    char long_token[PYWATT_TOKEN_MAX + 2];
    memset(long_token, 't', sizeof(long_token) - 1);
    long_token[sizeof(long_token) - 1] = '\0';
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_attach_module(NULL, NULL, &id, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_attach_module(place.client, NULL, NULL, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_attach_module(place.client, NULL, &id, NULL, &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "token"));
    assert_int_equal(pywatt_attach_module(place.client, NULL, &id, "t", NULL, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_attach_module(place.client, NULL, &nil, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "nil"));
    assert_int_equal(pywatt_attach_module(place.client, NULL, &id, long_token, &module, &error),
                     PYWATT_LIMIT);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_uuid other;
    pywatt_uuid_generate(&other);
    assert_int_equal(pywatt_module_info_set_id(info, &other), PYWATT_OK);
    assert_int_equal(pywatt_attach_module(place.client, info, &id, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_null(module);
    pywatt_module_info_free(info);
    close_place(&place);
}

/* ---- Heartbeat, capabilities, unregister ------------------------------------------------------ */

static void beats_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "0.5"), PYWATT_OK);
    enum pywatt_health verdict = PYWATT_HEALTHY;
    struct pw_fake_module seen;

    assert_int_equal(pywatt_heartbeat(module, PYWATT_DEGRADED, details, &verdict, NULL), PYWATT_OK);
    assert_int_equal(verdict, PYWATT_DEGRADED);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
    assert_int_equal(seen.health, PYWATT_DEGRADED);
    assert_string_equal(seen.details, "load=0.5,");

    pw_fake_set_verdict(place.fake, PYWATT_UNHEALTHY);
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, &verdict, NULL), PYWATT_OK);
    assert_int_equal(verdict, PYWATT_UNHEALTHY);
    assert_int_equal(pywatt_heartbeat(module, (enum pywatt_health)7, NULL, NULL, NULL),
                     PYWATT_INVALID_ARGUMENT);

    pywatt_string_map_free(details);
    pywatt_module_free(module);
    close_place(&place);
}

static void a_heartbeat_reports_and_brings_the_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        beats_over(all_codecs[i]);
    }
}

static void advertises_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_capabilities *capabilities = new_capabilities();
    struct pw_fake_module seen;
    assert_int_equal(pywatt_advertise_capabilities(module, capabilities, NULL), PYWATT_OK);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
    assert_string_equal(seen.capabilities, TOLD_CAPABILITIES);
    pywatt_capabilities_free(capabilities);
    pywatt_module_free(module);
    close_place(&place);
}

static void advertises_capabilities(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        advertises_over(all_codecs[i]);
    }
}

static void an_unregistered_module_is_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place(all_codecs[i], NULL);
        struct pywatt_module *module = register_named(place.client, "alpha");
        struct pywatt_error error;
        assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
        struct pw_fake_module seen;
        assert_false(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
        assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, &error),
                         PYWATT_CLOSED);
        assert_non_null(strstr(error.text, "unregistered"));
        assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_CLOSED);
        assert_int_equal(pywatt_start_heartbeat_loop(module, 10, NULL, NULL, NULL, NULL),
                         PYWATT_CLOSED);
        pywatt_module_free(module);
        close_place(&place);
    }
}

static void a_failed_unregister_leaves_the_module_registered(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_error error;
    pw_fake_refuse(place.fake, PW_OP_UNREGISTER, PYWATT_REJECTED, "not today");
    assert_int_equal(pywatt_unregister_module(module, &error), PYWATT_REJECTED);
    assert_string_equal(error.text, "not today");
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    pw_fake_refuse(place.fake, PW_OP_UNREGISTER, PYWATT_OK, NULL);
    pw_fake_forget(place.fake);
    assert_int_equal(pywatt_unregister_module(module, &error), PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    pywatt_module_free(module);
    close_place(&place);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static const enum pywatt_status refusals[] = {
    PYWATT_REJECTED,
    PYWATT_MODULE_NOT_FOUND,
    PYWATT_INVALID_TOKEN,
    PYWATT_NAME_TAKEN,
    PYWATT_AUTHENTICATION_FAILED,
    PYWATT_STALE_GENERATION,
    PYWATT_UNAVAILABLE,
    PYWATT_LIMIT,
};
enum {
    REFUSALS = sizeof(refusals) / sizeof(refusals[0])
};

static void no_reregister(struct pywatt_client_options *options)
{
    options->reregister = false;
}

static enum pywatt_status run_blocking(struct place *place, struct pywatt_module *module,
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

static enum pywatt_status submit(struct place *place, struct pywatt_module *module,
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

static void refusals_over(const char *codec)
{
    struct place place = open_place(codec, no_reregister);
    struct pywatt_module *module = register_named(place.client, "alpha");
    for (int operation = 0; operation < PW_OPERATION_COUNT; operation++) {
        for (size_t i = 0; i < REFUSALS; i++) {
            struct pywatt_error error;
            pw_fake_refuse(place.fake, (enum pw_operation)operation, refusals[i], "said so");
            assert_int_equal(run_blocking(&place, module, (enum pw_operation)operation, &error),
                             refusals[i]);
            assert_int_equal(error.status, refusals[i]);
            assert_string_equal(error.text, "said so");
            assert_int_equal(run_blocking(&place, module, (enum pw_operation)operation, NULL),
                             refusals[i]);
        }
        pw_fake_refuse(place.fake, (enum pw_operation)operation, PYWATT_OK, NULL);
    }
    pywatt_module_free(module);
    close_place(&place);
}

static void every_refusal_has_its_status_and_the_orchestrators_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        refusals_over(all_codecs[i]);
    }
}

static void async_refusals_over(const char *codec)
{
    struct place place = open_place(codec, no_reregister);
    struct pywatt_module *module = register_named(place.client, "alpha");
    uint64_t submitted = 0;
    box_init(&place.box);
    for (int operation = 0; operation < PW_OPERATION_COUNT; operation++) {
        for (size_t i = 0; i < REFUSALS; i++) {
            pw_fake_refuse(place.fake, (enum pw_operation)operation, refusals[i], "said so");
            assert_int_equal(submit(&place, module, (enum pw_operation)operation), PYWATT_OK);
            assert_true(box_wait(&place.box, ++submitted));
            const struct told *told = &place.box.told[submitted - 1];
            assert_int_equal(told->status, refusals[i]);
            assert_string_equal(told->text, "said so");
            assert_null(told->module);
        }
        pw_fake_refuse(place.fake, (enum pw_operation)operation, PYWATT_OK, NULL);
    }
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void every_asynchronous_refusal_as_well(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        async_refusals_over(all_codecs[i]);
    }
}

/* ---- Asynchronous, well ------------------------------------------------------------------------ */

static void async_life_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    box_init(&place.box);
    struct pw_fake_module seen;

    /* The first of all is asynchronous: it has to be connected for. */
    assert_int_equal(submit(&place, NULL, PW_OP_REGISTER), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_OK);
    assert_string_equal(place.box.told[0].text, "");
    struct pywatt_module *module = place.box.told[0].module;
    assert_non_null(module);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));

    assert_int_equal(submit(&place, module, PW_OP_CAPABILITIES), PYWATT_OK);
    assert_int_equal(submit(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 3));
    assert_int_equal(place.box.told[1].status, PYWATT_OK);
    assert_int_equal(place.box.told[2].status, PYWATT_OK);
    assert_int_equal(place.box.told[2].verdict, PYWATT_DEGRADED);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
    assert_string_equal(seen.capabilities, TOLD_CAPABILITIES);
    assert_string_equal(seen.details, "load=0.5,");

    assert_int_equal(submit(&place, module, PW_OP_UNREGISTER), PYWATT_OK);
    assert_true(box_wait(&place.box, 4));
    assert_int_equal(place.box.told[3].status, PYWATT_OK);
    assert_int_equal(submit(&place, module, PW_OP_UNREGISTER), PYWATT_CLOSED);
    assert_int_equal(submit(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 5));
    assert_int_equal(place.box.told[4].status, PYWATT_CLOSED);

    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void every_operation_works_asynchronously(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        async_life_over(all_codecs[i]);
    }
}

static void one_in_flight(struct pywatt_client_options *options)
{
    options->max_in_flight = 1;
}

static void many_asynchronous_beats(tune_fn tune, bool serial)
{
    enum {
        BEATS = 1000 /* more than go out in one round */
    };
    struct place place = open_place("json", tune);
    box_init(&place.box);
    if (serial) {
        pw_fake_omit_request_ids(place.fake);
    }
    struct pywatt_module *module = register_named(place.client, "alpha");
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, NULL),
            PYWATT_OK);
    }
    assert_true(box_wait(&place.box, BEATS));
    for (int i = 0; i < BOX_EVENTS_MAX; i++) {
        assert_int_equal(place.box.told[i].status, PYWATT_OK);
    }
    pywatt_module_free(module);
    close_place(&place);
    assert_int_equal(place.box.count, BEATS);
    box_destroy(&place.box);
}

static void operations_without_room_wait_for_it(void **state)
{
    (void)state;
    many_asynchronous_beats(NULL, false);
    many_asynchronous_beats(one_in_flight, false);
    many_asynchronous_beats(NULL, true);
}

static enum pw_fake_action hold_all_but_the_first(void *user, const struct pw_request *request,
                                                  struct pw_response *response)
{
    (void)request;
    (void)response;
    return atomic_exchange((atomic_bool *)user, true) ? PW_FAKE_HOLD : PW_FAKE_ANSWER;
}

static bool is_unconnected(void *user)
{
    return !pw_channel_connected(((struct pywatt_client *)user)->channel);
}

/* The fake goes, and the client's threads, which a watcher starts, see it though nobody asks. */
static void lose_connection(struct place *place, struct pywatt_module *module)
{
    pywatt_module_set_watcher(module, on_event, &place->box);
    pw_fake_go_away(place->fake);
    assert_true(pw_test_wait_until(is_unconnected, place->client, 10000));
}

static void a_crowd_of_operations_goes_out_in_order(void **state)
{
    (void)state;
    enum {
        BEATS = 2000
    };
    struct place place = open_place("protobuf", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    box_init(&place.box);
    /* They gather while there is no connection. The first reply shows that many may be under way. */
    atomic_bool answered = false;
    pw_fake_handle(place.fake, PW_OP_HEARTBEAT, hold_all_but_the_first, &answered);
    lose_connection(&place, module);
    for (int i = 0; i < BEATS; i++) {
        const enum pywatt_health health = i == BEATS - 1 ? PYWATT_UNHEALTHY : PYWATT_DEGRADED;
        assert_int_equal(
            pywatt_heartbeat_async(module, health, NULL, on_heartbeat, &place.box, NULL),
            PYWATT_OK);
    }
    pw_fake_come_back(place.fake);
    /* All go out, though no reply comes that would wake anybody. */
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, BEATS));
    pw_fake_handle(place.fake, PW_OP_HEARTBEAT, NULL, NULL);
    pw_fake_release(place.fake);
    assert_true(box_wait(&place.box, BEATS));
    for (int i = 0; i < BOX_EVENTS_MAX; i++) {
        assert_int_equal(place.box.told[i].status, PYWATT_OK);
    }
    assert_true(pw_fake_wait_health(place.fake, pywatt_module_id(module), PYWATT_UNHEALTHY));
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void too_many_waiting_operations_are_refused(void **state)
{
    (void)state;
    struct place place = open_place("json", one_in_flight);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    pw_fake_hold(place.fake, PW_OP_HEARTBEAT);
    enum pywatt_status status = PYWATT_OK;
    struct pywatt_error error;
    uint64_t taken = 0;
    while (taken < 10000 && status == PYWATT_OK) {
        status =
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, &error);
        taken += status == PYWATT_OK ? 1 : 0;
    }
    assert_int_equal(status, PYWATT_LIMIT);
    assert_non_null(strstr(error.text, "too many"));
    assert_int_equal(taken, 1024);
    pw_fake_release(place.fake);
    assert_true(box_wait(&place.box, taken));
    /* There is room again. */
    assert_int_equal(submit(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, taken + 1));
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void on_heartbeat_at_gate(void *user, enum pywatt_status status,
                                 const struct pywatt_error *error, enum pywatt_health verdict)
{
    on_heartbeat(user, status, error, verdict);
    box_gate_pass(user);
}

/* An application whose callbacks are slow does not pile up results without end. */
static void so_are_those_beyond_what_is_to_be_told(void **state)
{
    (void)state;
    struct place place = open_place("json", one_in_flight);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    uint64_t taken = 0;
    while (taken < 10000 &&
           pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat_at_gate, &place.box,
                                  NULL) == PYWATT_OK) {
        taken++;
        assert_true(taken > 1 || box_gate_wait_for_one(&place.box));
    }
    assert_int_equal(taken, 1 + 1024);
    box_gate_open(&place.box);
    assert_true(box_wait(&place.box, 1025));
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void small_frames(struct pywatt_client_options *options)
{
    options->max_frame_bytes = 1024;
    options->max_in_flight = 1;
}

static void a_request_that_fits_no_frame_fails_and_holds_nobody_up(void **state)
{
    (void)state;
    struct place place = open_place("json", small_frames);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_string_map *details = pywatt_string_map_new();
    char large[2000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_int_equal(pywatt_string_map_set(details, "large", large), PYWATT_OK);
    struct pywatt_error error;
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, details, NULL, &error), PYWATT_LIMIT);
    assert_int_equal(strncmp(error.text, "heartbeat of ", 13), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, details, on_heartbeat, &place.box, NULL),
            PYWATT_OK);
        assert_int_equal(submit(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    }
    assert_true(box_wait(&place.box, 6));
    int large_ones = 0;
    int small_ones = 0;
    for (int i = 0; i < 6; i++) {
        large_ones += place.box.told[i].status == PYWATT_LIMIT;
        small_ones += place.box.told[i].status == PYWATT_OK;
    }
    assert_int_equal(large_ones, 3);
    assert_int_equal(small_ones, 3);
    pywatt_string_map_free(details);
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

/* ---- Failures of the way there ------------------------------------------------------------------ */

static void no_reply_is_a_timeout(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_client *hasty = open_client(place.fake, "json", short_timeout);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_registration *registration = pywatt_module_registration(module);
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(hasty, NULL, pywatt_registration_id(registration),
                                          pywatt_registration_token(registration), &attached, NULL),
                     PYWATT_OK);
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    struct pywatt_error error;
    assert_int_equal(pywatt_heartbeat(attached, PYWATT_HEALTHY, NULL, NULL, &error),
                     PYWATT_TIMEOUT);
    char id[PYWATT_UUID_TEXT_SIZE];
    pywatt_uuid_format(pywatt_module_id(attached), id);
    assert_non_null(strstr(error.text, "heartbeat of "));
    assert_non_null(strstr(error.text, id));
    assert_int_equal(submit(&place, attached, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_TIMEOUT);
    assert_non_null(strstr(place.box.told[0].text, id));
    assert_int_equal(STAT(hasty, timeouts), 2);
    pywatt_registration_release(registration);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(hasty);
    close_place(&place);
    box_destroy(&place.box);
}

static void nobody_there(tune_fn tune)
{
    struct place place = open_place("json", tune);
    box_init(&place.box);
    pw_fake_go_away(place.fake);
    struct pywatt_error error;
    assert_int_equal(run_blocking(&place, NULL, PW_OP_REGISTER, &error), PYWATT_CONNECTION);
    assert_int_equal(strncmp(error.text, "register module 'beta': ", 24), 0);
    assert_non_null(strstr(error.text, pw_fake_url(place.fake)));
    assert_int_equal(submit(&place, NULL, PW_OP_REGISTER), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_CONNECTION);
    assert_int_equal(strncmp(place.box.told[0].text, "register module 'beta': ", 24), 0);
    close_place(&place);
    box_destroy(&place.box);
}

static void nobody_there_is_a_connection_error(void **state)
{
    (void)state;
    nobody_there(no_retries);
    nobody_there(short_timeout);
}

static void a_connection_that_breaks_under_a_request_is_a_channel_error(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    assert_int_equal(submit(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, 1));
    pw_fake_disconnect(place.fake);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_CHANNEL);
    /* The next one finds a new connection. */
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, false);
    assert_int_equal(submit(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 2));
    assert_int_equal(place.box.told[1].status, PYWATT_OK);
    assert_int_equal(pw_fake_connections(place.fake), 2);
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

/* ---- Bad arguments ----------------------------------------------------------------------------- */

static void null_arguments_are_refused(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_module_info *info = new_info("beta");
    struct pywatt_module *none = NULL;
    const enum pywatt_status bad = PYWATT_INVALID_ARGUMENT;
    assert_int_equal(pywatt_register_module(NULL, info, &none, NULL), bad);
    assert_int_equal(pywatt_register_module(place.client, NULL, &none, NULL), bad);
    assert_int_equal(pywatt_register_module(place.client, info, NULL, NULL), bad);
    assert_int_equal(pywatt_register_module_async(place.client, info, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_unregister_module(NULL, NULL), bad);
    assert_int_equal(pywatt_unregister_module_async(module, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_heartbeat(NULL, PYWATT_HEALTHY, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_advertise_capabilities(module, NULL, NULL), bad);
    assert_int_equal(pywatt_advertise_capabilities_async(module, NULL, on_done, NULL, NULL), bad);
    assert_int_equal(pywatt_advertise_capabilities_async(NULL, NULL, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_start_heartbeat_loop(NULL, 1, NULL, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_client_get_stats(NULL, NULL), bad);
    assert_null(pywatt_module_id(NULL));
    assert_null(pywatt_module_registration(NULL));
    pywatt_module_set_health(NULL, PYWATT_HEALTHY);
    pywatt_module_set_watcher(NULL, NULL, NULL);
    pywatt_heartbeat_loop_stop(NULL);
    pywatt_module_free(NULL);
    pywatt_client_close(NULL);
    pywatt_client_stop(NULL);
    pywatt_client_free(NULL);
    pywatt_module_info_free(info);
    pywatt_module_free(module);
    close_place(&place);
}

static void stats_fill_what_the_caller_knows(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_client_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    stats.size = offsetof(struct pywatt_client_stats, replies_received);
    assert_int_equal(pywatt_client_get_stats(place.client, &stats), PYWATT_OK);
    assert_int_equal(stats.requests_sent, 1);
    assert_int_equal(stats.replies_received, UINT64_MAX);
    stats.size = sizeof(size_t);
    assert_int_equal(pywatt_client_get_stats(place.client, &stats), PYWATT_INVALID_ARGUMENT);
    pywatt_module_free(module);
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(registers_and_tells_what_the_orchestrator_said),
        cmocka_unit_test(registering_a_known_id_again_shows_its_token),
        cmocka_unit_test(attaches_a_saved_module_and_sends_nothing),
        cmocka_unit_test(attach_refuses_bad_arguments),
        cmocka_unit_test(a_heartbeat_reports_and_brings_the_verdict),
        cmocka_unit_test(advertises_capabilities),
        cmocka_unit_test(an_unregistered_module_is_closed),
        cmocka_unit_test(a_failed_unregister_leaves_the_module_registered),
        cmocka_unit_test(every_refusal_has_its_status_and_the_orchestrators_text),
        cmocka_unit_test(every_asynchronous_refusal_as_well),
        cmocka_unit_test(every_operation_works_asynchronously),
        cmocka_unit_test(operations_without_room_wait_for_it),
        cmocka_unit_test(a_crowd_of_operations_goes_out_in_order),
        cmocka_unit_test(too_many_waiting_operations_are_refused),
        cmocka_unit_test(so_are_those_beyond_what_is_to_be_told),
        cmocka_unit_test(a_request_that_fits_no_frame_fails_and_holds_nobody_up),
        cmocka_unit_test(no_reply_is_a_timeout),
        cmocka_unit_test(nobody_there_is_a_connection_error),
        cmocka_unit_test(a_connection_that_breaks_under_a_request_is_a_channel_error),
        cmocka_unit_test(null_arguments_are_refused),
        cmocka_unit_test(stats_fill_what_the_caller_knows),
    };
    return PW_TEST_RUN(cases);
}
