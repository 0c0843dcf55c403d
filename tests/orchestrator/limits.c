/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Deadlines and sizes that an orchestrator keeps with its peers: each is met from both sides. Those of
 * later frames' times stand in slow_peers.c; how many there may be of something, in at_once.c.
 */
#include "slow_store.h"
#include "world.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- Deadlines ---- */

static void the_first_frame_has_a_time_of_its_own(void **state)
{
    (void)state;
    struct world world;
    struct peer good;
    struct peer silent;
    struct peer slow;
    world_prepare(&world);
    world.options.first_frame_timeout_ms = 300;
    world_start(&world);
    /* By its memory: connecting takes no time. */
    assert_true(peer_open(&good, world.memory_url, "json"));
    const enum pywatt_status status = peer_register(&good, "a", NULL);
    world_peer(&world, &silent, "json");
    world_peer(&world, &slow, "json");
    (void)peer_send_raw(&slow, "\x00\x00\x00\x10\x01", 5);
    assert_true(peer_is_closed_by_other(&silent));
    assert_true(peer_is_closed_by_other(&slow));
    /* Later frames do not have it. */
    if (status == PYWATT_OK) {
        assert_true(peer_send_raw(&good, "\x00\x00\x00\x10\x01", 5));
        world_await_connections(&world, 1);
        assert_true(peer_has_nothing(&good));
    }
    peer_close(&good);
    peer_close(&silent);
    peer_close(&slow);
    world_stop(&world);
}

static void who_has_proven_nothing_may_not_be_silent_for_long(void **state)
{
    (void)state;
    struct world world;
    struct peer stranger;
    struct peer module;
    struct identity who;
    world_prepare(&world);
    world.options.unproven_idle_timeout_ms = 300;
    world_start(&world);
    world_peer(&world, &module, "json");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    world_peer(&world, &stranger, "json");
    /* A frame, but one that anybody could send. */
    struct identity wrong = who;
    wrong.token[0] ^= 1;
    (void)peer_beat(&stranger, &wrong, PYWATT_HEALTHY);
    assert_true(peer_is_closed_by_other(&stranger));
    world_await_connections(&world, 1);
    assert_true(peer_has_nothing(&module));
    assert_int_equal(peer_beat(&module, &who, PYWATT_HEALTHY), PYWATT_OK);
    peer_close(&stranger);
    peer_close(&module);
    world_stop(&world);
}

/* ---- A stall of ours ---- */

enum {
    /* More than a worker looks at in one go. */
    PEERS = 300
};

static _Atomic int64_t ahead_ns;

static uint64_t moved_now(const struct pw_clock *clock)
{
    (void)clock;
    return pw_clock_now_ns(&pw_clock_monotonic) + (uint64_t)atomic_load(&ahead_ns);
}

static const struct pw_clock moved = {.now_ns = moved_now};

static void begin_stall(struct world *world)
{
    world_prepare(world);
    atomic_store(&ahead_ns, 0);
    world->options.workers = 1;
    world->options.lease_ms = 3600000;
    world->options.unproven_idle_timeout_ms = 600000;
    world->hooks.clock = &moved;
    world->hooks.reply_timeout_ms = 36000000;
    world->store = slow_store_open(false);
    world_start(world);
}

/* Holds the only worker up, inside of a registration. */
static void hold_up(struct world *world, struct peer *blocker)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("in the way", "1", "d", &info), PYWATT_OK);
    struct pw_request request = register_of(info);
    slow_store_set_blocked(world->store, true);
    assert_true(peer_send(blocker, &request));
    pywatt_module_info_free(info);
    assert_true(slow_store_await_blocked(world->store));
}

/* Two rounds of the worker: whoever was accepted before has come to it by then. */
static void await_arrivals(struct world *world, struct peer *blocker)
{
    world_await_connections(world, PEERS + 1);
    assert_int_equal(peer_register(blocker, "one", NULL), PYWATT_OK);
    assert_int_equal(peer_register(blocker, "two", NULL), PYWATT_OK);
}

static void a_stall_of_ours_ends_no_connection(void **state)
{
    (void)state;
    struct world world;
    struct peer blocker;
    struct identity nobody = {.token = "t"};
    struct peer *peers = calloc(PEERS, sizeof(*peers));
    assert_non_null(peers);
    begin_stall(&world);
    assert_true(peer_open(&blocker, world.memory_url, "json"));
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_open(&peers[i], world.memory_url, "json"));
    }
    await_arrivals(&world, &blocker);
    for (int i = 0; i < PEERS; i += 2) {
        /* Some are past their first frame: for them it is idleness. */
        assert_int_equal(peer_beat(&peers[i], &nobody, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    }
    hold_up(&world, &blocker);
    for (int i = 0; i < PEERS; i++) {
        struct pw_request beat = beat_of(&nobody, PYWATT_HEALTHY);
        assert_true(peer_send(&peers[i], &beat));
    }
    atomic_store(&ahead_ns, INT64_C(3600) * 1000000000);
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_receive(&peers[i]));
        peer_close(&peers[i]);
    }
    peer_close(&blocker);
    world_stop(&world);
    free(peers);
}

/* ---- What a stranger may send ---- */

/* A beat in JSON of exactly so many bytes: there may be spaces around it. */
static bool send_beat_of(struct peer *peer, const struct identity *who, size_t size)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    char *payload = malloc(size + 1);
    assert_non_null(payload);
    pywatt_uuid_format(&who->id, id);
    memset(payload, ' ', size);
    payload[size] = '\0';
    char text[512];
    const int len = snprintf(text, sizeof(text),
                             "{\"id\":\"%s\",\"content\":{\"request_type\":\"heartbeat\","
                             "\"module_id\":\"%s\",\"token\":\"%s\",\"status\":\"Healthy\"}}",
                             id, id, who->token);
    assert_in_range(len, 1, size);
    memcpy(payload, text, (size_t)len);
    const bool sent = peer_send_frame(peer, 1, payload);
    free(payload);
    return sent;
}

static void frames_of_who_has_proven_nothing_may_be_shorter(void **state)
{
    (void)state;
    struct world world;
    struct peer module;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.max_unproven_frame_bytes = 1000;
    world.options.max_frame_bytes = 2000;
    world_start(&world);
    world_peer(&world, &module, "json");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    struct identity wrong = who;
    wrong.token[0] ^= 1;
    /* A refused beat proves nothing. */
    world_peer(&world, &peer, "json");
    assert_true(send_beat_of(&peer, &wrong, 1000));
    assert_true(peer_receive(&peer));
    assert_false(peer.response.success);
    (void)send_beat_of(&peer, &who, 1001);
    assert_true(peer_is_closed_by_other(&peer));
    assert_int_equal(world_stats(&world).bad_frames, 1);
    peer_close(&peer);
    /* One that goes well does, also for what comes in the same piece. */
    world_peer(&world, &peer, "json");
    assert_true(send_beat_of(&peer, &who, 1000));
    assert_true(send_beat_of(&peer, &who, 2000));
    for (int i = 0; i < 2; i++) {
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
    }
    (void)send_beat_of(&peer, &who, 2001);
    assert_true(peer_is_closed_by_other(&peer));
    assert_int_equal(world_stats(&world).bad_frames, 2);
    peer_close(&peer);
    peer_close(&module);
    world_stop(&world);
}

/* Whether a beat is answered that has `inside`, which nobody looks at, beside what it needs. */
static bool takes(struct world *world, const struct identity *who, const char *inside)
{
    struct peer peer;
    char id[PYWATT_UUID_TEXT_SIZE];
    char text[4096];
    pywatt_uuid_format(&who->id, id);
    snprintf(text, sizeof(text),
             "{\"id\":\"%s\",\"content\":{\"request_type\":\"heartbeat\",\"module_id\":\"%s\","
             "\"token\":\"%s\",\"status\":\"Healthy\"},\"more\":%s}",
             id, id, who->token, inside);
    world_peer(world, &peer, "json");
    assert_true(peer_send_frame(&peer, 1, text));
    const bool taken = peer_receive(&peer) && peer.response.success;
    peer_close(&peer);
    return taken;
}

static void set_shape(struct world *world, uint32_t depth, uint32_t elements)
{
    world->options.max_depth = depth;
    world->options.max_elements = elements;
    assert_int_equal(pywatt_orchestrator_reconfigure(world->orchestrator, &world->options, NULL),
                     PYWATT_OK);
}

/* The object that the message is counts as one. */
static bool takes_depth(struct world *world, const struct identity *who, int depth)
{
    char inside[128] = "";
    for (int i = 1; i < depth; i++) {
        inside[i - 1] = '[';
        inside[2 * (depth - 1) - i] = ']';
    }
    return takes(world, who, inside);
}

/* Capabilities with so many message types, each of which is an element in any codec. */
static enum pywatt_status send_types(struct peer *peer, const struct identity *who, int count)
{
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_non_null(capabilities);
    for (int i = 0; i < count; i++) {
        assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "t"), PYWATT_OK);
    }
    const enum pywatt_status status = peer_tell(peer, who, capabilities);
    pywatt_capabilities_free(capabilities);
    return status;
}

/* A beat of a batch is four: itself, and its id, token and health. */
static enum pywatt_status send_batch(struct peer *peer, const struct identity *who, int count)
{
    struct pw_batched_beat beats[64];
    for (int i = 0; i < count; i++) {
        beats[i] = (struct pw_batched_beat){
            .module_id = who->id, .token = pw_str_from(who->token), .health = PYWATT_HEALTHY};
    }
    struct pw_request request = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = (uint32_t)count};
    return peer_call(peer, &request);
}

/* How many are taken. What is over the limit is refused, or nothing that a request is known by. */
static int most(struct world *world, const char *codec, const struct identity *who,
                enum pywatt_status (*send)(struct peer *, const struct identity *, int))
{
    struct peer peer;
    int count = 1;
    enum pywatt_status status;
    world_peer(world, &peer, codec);
    while ((status = send(&peer, who, count)) == PYWATT_OK) {
        count++;
    }
    assert_true(status == PYWATT_LIMIT || peer_is_closed_by_other(&peer));
    peer_close(&peer);
    return count - 1;
}

/* Protobuf's messages are never nested more than four deep, which is the least limit. */
static void messages_may_be_only_so_deep_and_have_only_so_many_elements(void **state)
{
    (void)state;
    static const char *const codecs[] = {"json", "protobuf"};
    struct world world;
    struct peer module;
    struct identity who;
    world_begin(&world);
    for (size_t c = 0; c < 2; c++) {
        world_peer(&world, &module, codecs[c]);
        set_shape(&world, 40, 16384);
        assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
        if (c == 0) {
            assert_true(takes_depth(&world, &who, 40));
            assert_false(takes_depth(&world, &who, 41));
            set_shape(&world, 6, 16384);
            assert_true(takes_depth(&world, &who, 6));
            assert_false(takes_depth(&world, &who, 7));
        }
        set_shape(&world, 40, 64);
        const int types = most(&world, codecs[c], &who, send_types);
        /* In protobuf with the id and the body of the request, and the module's id and token. */
        assert_in_range(types, c == 0 ? 40 : 64 - 4, 64 - 4);
        set_shape(&world, 40, 67);
        assert_int_equal(most(&world, codecs[c], &who, send_types), types + 3);
        if (c == 1) {
            const int beats = most(&world, codecs[c], &who, send_batch);
            assert_in_range(beats, 14, 16);
            set_shape(&world, 40, 67 + 3 * 4);
            assert_int_equal(most(&world, codecs[c], &who, send_batch), beats + 3);
        }
        assert_int_equal(peer_unregister(&module, &who), PYWATT_OK);
        peer_close(&module);
    }
    world_stop(&world);
}

/* ---- TCP ---- */

/* What a descriptor of this process that is the other end of the peer's says. */
static int option_of_other_end(const struct peer *peer, int level, int option)
{
    struct sockaddr_in own;
    struct sockaddr_in other;
    socklen_t len = sizeof(own);
    assert_int_equal(getsockname(pw_conn_fd(peer->conn), (struct sockaddr *)&own, &len), 0);
    for (int fd = 3; fd < 1024; fd++) {
        int value = -1;
        len = sizeof(other);
        if (getpeername(fd, (struct sockaddr *)&other, &len) == 0 && other.sin_family == AF_INET &&
            other.sin_port == own.sin_port) {
            len = sizeof(value);
            assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
            return value;
        }
    }
    fail_msg("nobody has accepted it");
    return -1;
}

static void bytes_may_be_without_a_sign_only_for_so_long(void **state)
{
    (void)state;
    for (uint32_t timeout_ms = 0; timeout_ms < 20000; timeout_ms += 7654) {
        struct world world;
        struct peer peer;
        world_prepare(&world);
        world.options.tcp_user_timeout_ms = timeout_ms;
        world_start(&world);
        world_peer(&world, &peer, "json");
        assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
        assert_int_equal(option_of_other_end(&peer, IPPROTO_TCP, TCP_USER_TIMEOUT), timeout_ms);
        peer_close(&peer);
        world_stop(&world);
    }
}

/* ---- Signals ---- */

static void the_disposition_of_sigpipe_is_left_alone(void **state)
{
    (void)state;
    struct sigaction before;
    struct sigaction after;
    struct world world;
    struct peer peer;
    struct identity who;
    assert_int_equal(sigaction(SIGPIPE, NULL, &before), 0);
    assert_true(before.sa_handler == SIG_DFL); /* it would end this process */
    world_begin(&world);
    for (int i = 0; i < 20; i++) {
        world_peer(&world, &peer, "json");
        assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        for (int k = 0; k < 20; k++) {
            assert_true(peer_send(&peer, &beat));
        }
        peer_close(&peer); /* and nobody is there for the replies */
        world_await_connections(&world, 0);
    }
    world_stop(&world);
    assert_int_equal(sigaction(SIGPIPE, NULL, &after), 0);
    assert_true(after.sa_handler == SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_first_frame_has_a_time_of_its_own),
        cmocka_unit_test(who_has_proven_nothing_may_not_be_silent_for_long),
        cmocka_unit_test(a_stall_of_ours_ends_no_connection),
        cmocka_unit_test(frames_of_who_has_proven_nothing_may_be_shorter),
        cmocka_unit_test(messages_may_be_only_so_deep_and_have_only_so_many_elements),
        cmocka_unit_test(bytes_may_be_without_a_sign_only_for_so_long),
        cmocka_unit_test(the_disposition_of_sigpipe_is_left_alone),
    };
    return PW_TEST_RUN(cases);
}
