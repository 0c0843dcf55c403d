/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pipeline.c - see pipeline.h. */
#include "pipeline.h"

#include <string.h>

bool send_register(struct peer *peer, const char *name, const struct pywatt_uuid *id,
                   const char *token)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    if (id != NULL) {
        assert_int_equal(pywatt_module_info_set_id(info, id), PYWATT_OK);
    }
    struct pw_request request = register_of(info);
    request.token = pw_str_from(token);
    const bool sent = peer_send(peer, &request);
    pywatt_module_info_free(info);
    return sent;
}

bool send_beat(struct peer *peer, const struct identity *who)
{
    struct pw_request beat = beat_of(who, PYWATT_HEALTHY);
    return peer_send(peer, &beat);
}

bool send_unregister(struct peer *peer, const struct identity *who)
{
    struct pw_request request = {
        .operation = PW_OP_UNREGISTER, .module_id = who->id, .token = pw_str_from(who->token)};
    return peer_send(peer, &request);
}

void expect(struct peer *peer, uint64_t number, enum pw_operation operation,
            enum pywatt_status status)
{
    uint64_t id;
    assert_true(peer_receive(peer));
    memcpy(&id, peer->response.request_id.bytes, sizeof(id));
    assert_int_equal(id, number);
    assert_int_equal(peer->response.operation, operation);
    assert_int_equal(peer->response.success ? PYWATT_OK : peer->response.status, status);
}

struct served_wanted {
    struct world *world;
    uint64_t beats;
    uint64_t refused;
};

static bool has_served(void *user)
{
    const struct served_wanted *wanted = user;
    const struct pywatt_orchestrator_stats stats = world_stats(wanted->world);
    return stats.heartbeats >= wanted->beats && stats.requests_refused >= wanted->refused;
}

void await_served(struct world *world, uint64_t beats, uint64_t refused)
{
    struct served_wanted wanted = {.world = world, .beats = beats, .refused = refused};
    assert_true(pw_test_wait_until(has_served, &wanted, 20000));
}

struct requests_wanted {
    struct world *world;
    uint64_t count;
};

static bool has_read(void *user)
{
    const struct requests_wanted *wanted = user;
    return world_stats(wanted->world).requests >= wanted->count;
}

void await_requests(struct world *world, uint64_t count)
{
    struct requests_wanted wanted = {.world = world, .count = count};
    assert_true(pw_test_wait_until(has_read, &wanted, 20000));
}
