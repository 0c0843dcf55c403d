/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What is counted for each address: one step at a time, at moments that the test chooses.
 */
#include "orchestrator/peers.h"

#include "base/clock.h"
#include "pw_test.h"

#include <stdio.h>
#include <stdlib.h>

static struct pw_network from(const char *name)
{
    struct pw_network network;
    assert_true(pw_address_network(name, &network));
    return network;
}

static void begin(struct pw_peers *peers, uint32_t connections, uint32_t unproven, uint32_t per_s)
{
    const struct pywatt_orchestrator_options limits = {.max_connections_per_peer = connections,
                                                       .max_unproven_per_peer = unproven,
                                                       .registrations_per_s_per_peer = per_s};
    assert_int_equal(pw_peers_init(peers, &limits), PYWATT_OK);
}

static enum pywatt_status enter(struct pw_peers *peers, const char *name, struct pw_peer **out)
{
    const struct pw_network network = from(name);
    const char *why = NULL;
    const enum pywatt_status status = pw_peers_enter(peers, &network, out, &why);
    assert_int_equal(status == PYWATT_LIMIT, why != NULL);
    return status;
}

static void an_ipv6_address_counts_by_its_first_half(void **state)
{
    (void)state;
    struct pw_peers peers;
    struct pw_peer *first;
    struct pw_peer *other;
    begin(&peers, 1, 0, 0);
    assert_int_equal(enter(&peers, "[2001:db8:1:2::1]:1000", &first), PYWATT_OK);
    assert_int_equal(enter(&peers, "[2001:db8:1:2:ffff:ffff:ffff:ffff]:2000", &other),
                     PYWATT_LIMIT);
    assert_null(other);
    assert_int_equal(enter(&peers, "[2001:db8:1:3::1]:1000", &other), PYWATT_OK);
    pw_peers_leave(&peers, other, false, 0);
    /* IPv4 addresses are each their own, and the port is none of it. */
    assert_int_equal(enter(&peers, "10.0.0.1:1000", &other), PYWATT_OK);
    struct pw_peer *third;
    assert_int_equal(enter(&peers, "10.0.0.1:2000", &third), PYWATT_LIMIT);
    assert_int_equal(enter(&peers, "10.0.0.2:1000", &third), PYWATT_OK);
    pw_peers_leave(&peers, third, false, 0);
    pw_peers_leave(&peers, other, false, 0);
    pw_peers_leave(&peers, first, false, 0);
    assert_int_equal(peers.map.count, 0);
    pw_peers_destroy(&peers);
}

static void what_is_no_address_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "?",       ":",          "::1",  "[::1:5",
                                      "[]:80", "1.2.3:1", "unix:pid 5", "a:80", "[1.2.3.4]:80"};
    struct pw_network network;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(pw_address_network(bad[i], &network));
    }
}

static void registrations_are_counted_beyond_the_connection(void **state)
{
    (void)state;
    struct pw_peers peers;
    struct pw_peer *peer;
    const uint64_t now_ns = 1000 * PW_NS_PER_S;
    begin(&peers, 0, 0, 4);
    /* As many as in a second come at once, then one in each quarter of one. */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(enter(&peers, "10.0.0.1:1", &peer), PYWATT_OK);
        assert_int_equal(pw_peers_register(&peers, peer, now_ns), 0);
        pw_peers_leave(&peers, peer, true, now_ns);
    }
    assert_int_equal(peers.idle_count, 1);
    assert_int_equal(enter(&peers, "10.0.0.1:1", &peer), PYWATT_OK);
    assert_int_equal(peers.idle_count, 0);
    assert_in_range(pw_peers_register(&peers, peer, now_ns), 250, 251);
    assert_in_range(pw_peers_register(&peers, peer, now_ns + 100 * PW_NS_PER_MS), 150, 151);
    assert_int_equal(pw_peers_register(&peers, peer, now_ns + 250 * PW_NS_PER_MS), 0);
    assert_in_range(pw_peers_register(&peers, peer, now_ns + 250 * PW_NS_PER_MS), 250, 251);
    /* Others have their own. */
    struct pw_peer *other;
    assert_int_equal(enter(&peers, "10.0.0.2:1", &other), PYWATT_OK);
    assert_int_equal(pw_peers_register(&peers, other, now_ns), 0);
    pw_peers_leave(&peers, other, false, now_ns + 2 * PW_NS_PER_S);
    /* When nothing is owed any more, nothing is kept. */
    pw_peers_leave(&peers, peer, true, now_ns + 3 * PW_NS_PER_S);
    assert_int_equal(peers.map.count, 0);
    assert_int_equal(pw_peers_register(&peers, NULL, now_ns), 0);
    pw_peers_destroy(&peers);
}

static void only_so_many_addresses_are_remembered(void **state)
{
    (void)state;
    struct pw_peers peers;
    struct pw_peer *peer;
    const uint64_t now_ns = 1000 * PW_NS_PER_S;
    begin(&peers, 0, 0, 1);
    for (unsigned i = 0; i < PW_PEERS_KEPT + 10; i++) {
        char name[64];
        snprintf(name, sizeof(name), "10.0.%u.%u:1", i / 256, i % 256);
        assert_int_equal(enter(&peers, name, &peer), PYWATT_OK);
        assert_int_equal(pw_peers_register(&peers, peer, now_ns), 0);
        pw_peers_leave(&peers, peer, false, now_ns);
    }
    assert_int_equal(peers.idle_count, PW_PEERS_KEPT);
    assert_int_equal(peers.map.count, PW_PEERS_KEPT);
    /* The oldest have gone. */
    assert_int_equal(enter(&peers, "10.0.0.9:1", &peer), PYWATT_OK);
    assert_int_equal(pw_peers_register(&peers, peer, now_ns), 0);
    pw_peers_leave(&peers, peer, false, now_ns);
    assert_int_equal(enter(&peers, "10.0.1.0:1", &peer), PYWATT_OK);
    assert_int_not_equal(pw_peers_register(&peers, peer, now_ns), 0);
    pw_peers_leave(&peers, peer, false, now_ns);
    pw_peers_destroy(&peers);
}

static void who_came_before_there_was_a_limit_counts_for_it(void **state)
{
    (void)state;
    struct pw_peers peers;
    struct pw_peer *peer;
    struct pw_peer *other;
    struct pywatt_orchestrator_options limits = {.max_connections_per_peer = 1};
    begin(&peers, 0, 0, 0);
    assert_int_equal(enter(&peers, "10.0.0.1:1", &peer), PYWATT_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pw_peers_register(&peers, peer, PW_NS_PER_S), 0);
    }
    pw_peers_set_limits(&peers, &limits);
    assert_int_equal(enter(&peers, "10.0.0.1:2", &other), PYWATT_LIMIT);
    limits = (struct pywatt_orchestrator_options){.registrations_per_s_per_peer = 1};
    pw_peers_set_limits(&peers, &limits);
    assert_int_equal(pw_peers_register(&peers, peer, PW_NS_PER_S), 0);
    assert_int_not_equal(pw_peers_register(&peers, peer, PW_NS_PER_S), 0);
    pw_peers_leave(&peers, peer, false, PW_NS_PER_S);
    pw_peers_destroy(&peers);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_ipv6_address_counts_by_its_first_half),
        cmocka_unit_test(what_is_no_address_is_none),
        cmocka_unit_test(registrations_are_counted_beyond_the_connection),
        cmocka_unit_test(only_so_many_addresses_are_remembered),
        cmocka_unit_test(who_came_before_there_was_a_limit_counts_for_it),
    };
    return PW_TEST_RUN(cases);
}
