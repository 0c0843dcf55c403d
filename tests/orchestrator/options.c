/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Options: defaults, what is refused and how that is said; names of the enums; NULL everywhere.
 */
#include "orchestrator/options.h"

#include "pw_test.h"

#include <stdio.h>
#include <string.h>

static void the_defaults_are_as_documented(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options o;
    memset(&o, 0xff, sizeof(o));
    pywatt_orchestrator_options_init(&o);
    assert_int_equal(o.size, sizeof(o));
    assert_int_equal(o.workers, 0);
    assert_int_equal(o.lease_ms, 15000);
    assert_int_equal(o.min_lease_ms, 100);
    assert_int_equal(o.max_lease_ms, 3600000);
    assert_int_equal(o.retain_ms, 86400000);
    assert_int_equal(o.takeover, PYWATT_TAKEOVER_SUSPECT);
    assert_string_equal(o.store, "memory");
    assert_null(o.advertise_host);
    assert_int_equal(o.advertise_port, 0);
    assert_int_equal(o.max_frame_bytes, 1048576);
    assert_int_equal(o.max_connections, 10000);
    assert_int_equal(o.max_modules, 1000000);
    assert_int_equal(o.frame_timeout_ms, 10000);
    assert_int_equal(o.idle_timeout_ms, 0);
    assert_int_equal(o.max_output_bytes, 1048576);
    assert_null(o.on_event);
    assert_null(o.event_user);
    assert_int_equal(o.max_connections_per_peer, 0);
    assert_int_equal(o.registrations_per_s, 50000);
    assert_null(o.tls);
    assert_null(o.join_token_file);
    assert_null(o.allow_names);
    assert_null(o.unix_allow_uids);
    assert_null(o.unix_allow_gids);
    assert_int_equal(o.max_unproven_connections, 0);
    assert_int_equal(o.max_unproven_per_peer, 0);
    assert_int_equal(o.registrations_per_s_per_peer, 0);
    assert_int_equal(o.first_frame_timeout_ms, 5000);
    assert_int_equal(o.unproven_idle_timeout_ms, 15000);
    assert_int_equal(o.write_timeout_ms, 10000);
    assert_int_equal(o.max_unproven_frame_bytes, 65536);
    assert_int_equal(o.max_depth, 40);
    assert_int_equal(o.max_elements, 16384);
    assert_int_equal(o.max_pending_requests, 256);
    assert_int_equal(o.tcp_user_timeout_ms, 15000);
    pywatt_orchestrator_options_init(NULL);
}

static enum pywatt_status try_options(const struct pywatt_orchestrator_options *options,
                                      struct pywatt_error *error)
{
    struct pywatt_orchestrator *orchestrator = NULL;
    error->text[0] = '\0';
    const enum pywatt_status status = pywatt_orchestrator_new(options, &orchestrator, error);
    pywatt_orchestrator_free(orchestrator);
    return status;
}

/* Changes one option, expects a refusal that names it. */
#define REFUSED(member, value)                                                            \
    do {                                                                                  \
        struct pywatt_orchestrator_options o;                                             \
        struct pywatt_error error;                                                        \
        pywatt_orchestrator_options_init(&o);                                             \
        o.member = (value);                                                               \
        assert_int_equal(try_options(&o, &error), PYWATT_INVALID_ARGUMENT);               \
        assert_int_equal(strncmp(error.text, #member " is ", strlen(#member " is ")), 0); \
    } while (0)

static void refuses_values_out_of_range_and_names_them(void **state)
{
    (void)state;
    REFUSED(size, 0);
    REFUSED(size, sizeof(struct pywatt_orchestrator_options) + 8);
    REFUSED(workers, 257);
    REFUSED(lease_ms, 99);
    REFUSED(lease_ms, 3600001);
    REFUSED(min_lease_ms, 0);
    REFUSED(min_lease_ms, 3600001);
    REFUSED(takeover, (enum pywatt_takeover)3);
    REFUSED(max_frame_bytes, 255);
    REFUSED(max_frame_bytes, (64u << 20) + 1);
    REFUSED(max_connections, 0);
    REFUSED(max_modules, 0);
    REFUSED(frame_timeout_ms, 0);
    REFUSED(max_output_bytes, 4095);
    REFUSED(registrations_per_s, 10000001);
    REFUSED(registrations_per_s_per_peer, 10000001);
    REFUSED(first_frame_timeout_ms, 0);
    REFUSED(write_timeout_ms, 0);
    REFUSED(max_unproven_frame_bytes, 255);
    REFUSED(max_unproven_frame_bytes, (64u << 20) + 1);
    REFUSED(max_depth, 3);
    REFUSED(max_depth, 41);
    REFUSED(max_elements, 63);
    REFUSED(max_elements, 16385);
    REFUSED(max_pending_requests, 0);
    REFUSED(max_pending_requests, 65537);
    REFUSED(tcp_user_timeout_ms, 1u << 31);
}

static void the_advertised_host_has_to_be_an_address(void **state)
{
    (void)state;
    const char *const bad[] = {"",          "localhost",  "1.2.3",     "1.2.3.4.5",
                               "256.1.1.1", "1.2.3.4 ",   "1..2.3",    ":",
                               "[::1]",     "0001.2.3.4", "fe80::1%l", "1.2.3.4:80"};
    const char *const good[] = {"127.0.0.1", "0.0.0.0", "255.255.255.255",
                                "::1",       "::",      "2001:db8::ffff:1.2.3.4"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        REFUSED(advertise_host, bad[i]);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct pywatt_orchestrator_options o;
        struct pywatt_error error;
        pywatt_orchestrator_options_init(&o);
        o.advertise_host = good[i];
        assert_int_equal(try_options(&o, &error), PYWATT_OK);
    }
}

static void an_unknown_store_is_unsupported(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options o;
    struct pywatt_error error;
    pywatt_orchestrator_options_init(&o);
    o.store = "paper";
    assert_int_equal(try_options(&o, &error), PYWATT_UNSUPPORTED);
    assert_non_null(strstr(error.text, "\"paper\""));
    assert_non_null(strstr(error.text, "\"memory\""));
    o.store = NULL;
    assert_int_equal(try_options(&o, &error), PYWATT_OK);
}

static void an_older_and_shorter_struct_gets_defaults_for_the_rest(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options o;
    struct pw_config config;
    pywatt_orchestrator_options_init(&o);
    o.lease_ms = 5000;
    o.max_modules = 0; /* lies behind what counts, so it is not looked at */
    o.size = offsetof(struct pywatt_orchestrator_options, max_frame_bytes);
    assert_int_equal(pw_config_init(&config, &o, NULL), PYWATT_OK);
    assert_int_equal(config.options.lease_ms, 5000);
    assert_int_equal(config.options.max_modules, 1000000);
    assert_true(config.options.workers >= 1);
    pw_config_destroy(&config);
}

static void strings_are_copied(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options o;
    struct pw_config config;
    char host[] = "10.0.0.1";
    char store[] = "memory";
    pywatt_orchestrator_options_init(&o);
    o.advertise_host = host;
    o.store = store;
    assert_int_equal(pw_config_init(&config, &o, NULL), PYWATT_OK);
    memset(host, 'x', sizeof(host) - 1);
    memset(store, 'x', sizeof(store) - 1);
    assert_string_equal(config.options.advertise_host, "10.0.0.1");
    assert_string_equal(config.options.store, "memory");
    pw_config_destroy(&config);
}

static void numbers_have_names(void **state)
{
    (void)state;
    assert_string_equal(pywatt_liveness_name(PYWATT_ALIVE), "alive");
    assert_string_equal(pywatt_liveness_name(PYWATT_SUSPECT), "suspect");
    assert_string_equal(pywatt_liveness_name(PYWATT_LOST), "lost");
    assert_string_equal(pywatt_liveness_name((enum pywatt_liveness)3), "unknown");
    const char *const events[] = {"registered", "reregistered", "advertised", "health",
                                  "liveness",   "unregistered", "forgotten",  "unknown"};
    for (int i = 0; i < 8; i++) {
        assert_string_equal(pywatt_event_name((enum pywatt_event_kind)i), events[i]);
    }
    assert_string_equal(pywatt_event_name((enum pywatt_event_kind) - 1), "unknown");
}

static bool visit(void *user, const struct pywatt_module_view *view)
{
    (void)user;
    (void)view;
    return true;
}

static void null_is_refused_everywhere(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options o;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_module_view *view = NULL;
    struct pywatt_error error;
    const struct pywatt_uuid id = {.bytes = {1}};
    pywatt_orchestrator_options_init(&o);
    assert_int_equal(pywatt_orchestrator_new(NULL, &orchestrator, &error), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_new(&o, NULL, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_new(&o, &orchestrator, &error), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(NULL, "tcp://:0", NULL, 0, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, NULL, NULL, 0, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_start(NULL, &error), PYWATT_INVALID_ARGUMENT);
    pywatt_orchestrator_stop(NULL);
    pywatt_orchestrator_free(NULL);
    assert_int_equal(pywatt_orchestrator_find(NULL, &id, &view), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_find(orchestrator, NULL, &view), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_find(orchestrator, &id, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_find_by_name(NULL, "a", &view), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_find_by_name(orchestrator, NULL, &view),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_for_each(orchestrator, NULL, NULL),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_for_each(NULL, visit, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_set_verdict(NULL, &id, PYWATT_HEALTHY),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_clear_verdict(orchestrator, NULL),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_get_stats(orchestrator, NULL), PYWATT_INVALID_ARGUMENT);
    pywatt_orchestrator_free(orchestrator);
    pywatt_module_view_free(NULL);
    assert_null(pywatt_module_view_id(NULL));
    assert_null(pywatt_module_view_info(NULL));
    assert_null(pywatt_module_view_capabilities(NULL));
    assert_null(pywatt_module_view_details(NULL));
    assert_int_equal(pywatt_module_view_health(NULL), PYWATT_UNHEALTHY);
    assert_int_equal(pywatt_module_view_liveness(NULL), PYWATT_LOST);
    assert_int_equal(pywatt_module_view_generation(NULL), 0);
    assert_int_equal(pywatt_module_view_lease_ms(NULL), 0);
    assert_int_equal(pywatt_module_view_silent_ns(NULL), 0);
    assert_int_equal(pywatt_module_view_beats(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_defaults_are_as_documented),
        cmocka_unit_test(refuses_values_out_of_range_and_names_them),
        cmocka_unit_test(the_advertised_host_has_to_be_an_address),
        cmocka_unit_test(an_unknown_store_is_unsupported),
        cmocka_unit_test(an_older_and_shorter_struct_gets_defaults_for_the_rest),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(numbers_have_names),
        cmocka_unit_test(null_is_refused_everywhere),
    };
    return PW_TEST_RUN(cases);
}
