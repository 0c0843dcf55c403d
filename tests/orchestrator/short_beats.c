/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* short_beats.c - see short_beats.h. */
#include "short_beats.h"

struct pw_batched_beat naming(const struct identity *who, uint32_t alias, uint64_t generation)
{
    return (struct pw_batched_beat){.module_id = who->id,
                                    .token = pw_str_from(who->token),
                                    .generation = generation,
                                    .health = PYWATT_HEALTHY,
                                    .alias = alias};
}

void call_full(struct peer *peer, const struct pw_batched_beat *beats, uint32_t count)
{
    struct pw_request request = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = count};
    assert_int_equal(peer_call(peer, &request), PYWATT_OK);
    assert_int_equal(peer->response.beat_count, count);
}

void give(struct peer *peer, const struct identity *who, uint32_t alias)
{
    const struct pw_batched_beat beat = naming(who, alias, 0);
    call_full(peer, &beat, 1);
    assert_int_equal(peer->response.exception_count, 0);
}

struct pw_request short_batch(const pw_short_beat *beats, uint32_t count)
{
    return (struct pw_request){
        .operation = PW_OP_HEARTBEAT_BATCH, .short_beats = beats, .beat_count = count};
}

void call_short(struct peer *peer, const pw_short_beat *beats, uint32_t count)
{
    struct pw_request request = short_batch(beats, count);
    assert_int_equal(peer_call(peer, &request), PYWATT_OK);
    assert_int_equal(peer->response.beat_count, count);
}

enum pywatt_status beat_by(struct peer *peer, uint32_t alias, enum pywatt_health health)
{
    const pw_short_beat beat = pw_short_beat_of(alias, health);
    call_short(peer, &beat, 1);
    if (peer->response.exception_count == 0) {
        return PYWATT_OK;
    }
    assert_int_equal(peer->response.exceptions[0].health, health);
    assert_true(peer->response.exceptions[0].error.len > 0);
    return peer->response.exceptions[0].status;
}

void expect_beats(struct world *world, const struct identity *who, uint64_t beats,
                  enum pywatt_health health)
{
    struct pywatt_module_view *view = world_view(world, &who->id);
    assert_int_equal(pywatt_module_view_beats(view), beats);
    assert_int_equal(pywatt_module_view_health(view), health);
    pywatt_module_view_free(view);
}
