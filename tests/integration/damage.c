/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Frames in pieces, cut short, and with a byte changed, through real sockets to a real orchestrator:
 * the same replies whatever the pieces, no harm done by the rest, and a healthy client goes on.
 *
 * The orchestrator has one worker, which takes its connections in the order in which they became
 * readable: a beat that is answered on one connection shows that what was sent on another one before
 * has been read. No time has to pass for that.
 */
#include "client.h"
#include "frames.h"
#include "host.h"
#include "place.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPLY_MAX = 4096
};

struct scene {
    struct host host;
    struct pywatt_client *client;
    struct pywatt_module *healthy;
    struct pywatt_module *holders[2]; /* of the names that golden requests ask for */
    struct request_frame frames[2 * FRAMES_MAX];
    size_t frame_count;
    size_t beats;        /* how many of them, the last ones, are beats of `healthy` */
    uint64_t beat_bytes; /* of a beat of the client */
};

static void beat(struct scene *scene)
{
    struct pywatt_error error = {.text = ""};
    enum pywatt_health verdict = PYWATT_HEALTHY;
    if (pywatt_heartbeat(scene->healthy, PYWATT_UNHEALTHY, NULL, &verdict, &error) != PYWATT_OK ||
        verdict != PYWATT_UNHEALTHY) {
        fail_msg("the healthy client: %s", error.text);
    }
}

/* The names of golden registrations are taken, so that what answers them is always the same. */
static struct scene *begin(const char *scheme)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    host_init(&scene->host, scheme);
    scene->host.options.workers = 1;
    host_start(&scene->host);
    scene->client = client_open(scene->host.url, "json");
    scene->healthy = client_register(scene->client, "healthy");
    scene->holders[0] = client_register(scene->client, "a");
    scene->holders[1] = client_register(scene->client, "caf\xc3\xa9 \"x\"");
    scene->frame_count = frames_golden(scene->frames);
    struct pywatt_registration *registration = pywatt_module_registration(scene->healthy);
    scene->beats =
        frames_beats(scene->frames + scene->frame_count, pywatt_module_id(scene->healthy),
                     pywatt_registration_token(registration));
    scene->frame_count += scene->beats;
    pywatt_registration_release(registration);
    const uint64_t before = host_stats(&scene->host).bytes_received;
    beat(scene);
    scene->beat_bytes = host_stats(&scene->host).bytes_received - before;
    return scene;
}

static void end(struct scene *scene)
{
    beat(scene);
    assert_int_equal(client_stats(scene->client).connects, 1);
    assert_int_equal(host_stats(&scene->host).modules, 3);
    pywatt_module_free(scene->holders[0]);
    pywatt_module_free(scene->holders[1]);
    pywatt_module_free(scene->healthy);
    pywatt_client_free(scene->client);
    host_destroy(&scene->host);
    free(scene);
}

/* Sends a piece, and sees that the orchestrator has read it. */
static void send_piece(struct scene *scene, struct wire *wire, const uint8_t *bytes, size_t len)
{
    uint64_t expected = host_stats(&scene->host).bytes_received + len;
    unsigned beats = 0;
    assert_true(wire_send(wire, bytes, len));
    do {
        assert_in_range(++beats, 1, 10000);
        beat(scene);
        expected += scene->beat_bytes;
    } while (host_stats(&scene->host).bytes_received != expected);
}

static size_t whole_reply(struct wire *wire, const struct request_frame *frame, uint8_t *reply)
{
    size_t len = 0;
    if (!wire_send(wire, frame->bytes, frame->len) ||
        !wire_receive_bytes(wire, reply, REPLY_MAX, &len)) {
        fail_msg("%s gets no reply", frame->name);
    }
    return len;
}

static void expect_reply(struct wire *wire, const struct request_frame *frame, size_t split,
                         const uint8_t *expected, size_t expected_len)
{
    uint8_t reply[REPLY_MAX];
    size_t len = 0;
    if (!wire_receive_bytes(wire, reply, sizeof(reply), &len) || len != expected_len ||
        memcmp(reply, expected, len) != 0) {
        fail_msg("%s, in two at %zu: another reply, or none", frame->name, split);
    }
}

/* The first reply on a connection says more than later ones, so all frames are answered once. */
static void open_wire(struct scene *scene, struct wire *wire)
{
    uint8_t reply[REPLY_MAX];
    assert_true(wire_open(wire, scene->host.url));
    for (size_t i = 0; i < scene->frame_count; i++) {
        whole_reply(wire, &scene->frames[i], reply);
    }
}

/* ---- Pieces ----------------------------------------------------------------------------------- */

static void the_reply_is_the_same_wherever_a_frame_is_split(void **state)
{
    struct scene *scene = begin(*state);
    struct wire wire;
    uint8_t whole[REPLY_MAX];
    const size_t step = pw_test_slow_factor() == 1 ? 1 : pw_test_slow_factor();
    open_wire(scene, &wire);
    for (size_t i = 0; i < scene->frame_count; i++) {
        const struct request_frame *frame = &scene->frames[i];
        const size_t len = whole_reply(&wire, frame, whole);
        for (size_t split = 1; split < frame->len; split += split < 8 ? 1 : step) {
            send_piece(scene, &wire, frame->bytes, split);
            assert_true(wire_send(&wire, frame->bytes + split, frame->len - split));
            expect_reply(&wire, frame, split, whole, len);
        }
    }
    wire_close(&wire);
    end(scene);
}

/* And with the next frame behind it, in whatever pieces the two come. */
static void the_replies_are_the_same_byte_by_byte(void **state)
{
    struct scene *scene = begin(*state);
    struct wire wire;
    uint8_t whole[REPLY_MAX];
    const size_t at_once = pw_test_slow_factor() == 1 ? 1 : 7;
    open_wire(scene, &wire);
    for (size_t i = 0; i < scene->frame_count; i++) {
        const struct request_frame *frame = &scene->frames[i];
        const size_t len = whole_reply(&wire, frame, whole);
        for (size_t at = 0; at < frame->len; at += at_once) {
            const size_t left = frame->len - at;
            send_piece(scene, &wire, frame->bytes + at, left < at_once ? left : at_once);
        }
        expect_reply(&wire, frame, 0, whole, len);
    }
    wire_close(&wire);
    end(scene);
}

/* ---- Truncation ------------------------------------------------------------------------------- */

static void a_frame_that_is_cut_short_harms_nobody(void **state)
{
    struct scene *scene = begin(*state);
    const size_t step = pw_test_slow_factor() == 1 ? 1 : 2 * pw_test_slow_factor();
    for (size_t i = 0; i < scene->frame_count; i++) {
        const struct request_frame *frame = &scene->frames[i];
        for (size_t len = 0; len < frame->len; len += len < 8 ? 1 : step) {
            struct wire wire;
            assert_true(wire_open(&wire, scene->host.url));
            assert_true(wire_send(&wire, frame->bytes, len));
            wire_end_output(&wire);
            if (!wire_is_ended(&wire)) {
                fail_msg("%s, %zu bytes of it: not ended, or answered", frame->name, len);
            }
            wire_close(&wire);
        }
        beat(scene);
    }
    end(scene);
}

/* ---- Changed bytes ---------------------------------------------------------------------------- */

/* What comes back is a whole reply, or the end: one of each at most, in this order. */
static void send_changed(struct scene *scene, const struct request_frame *frame, size_t at,
                         uint8_t value)
{
    uint8_t bytes[FRAME_BYTES_MAX];
    struct wire wire;
    struct pw_frame reply;
    memcpy(bytes, frame->bytes, frame->len);
    bytes[at] = value;
    assert_true(wire_open(&wire, scene->host.url));
    wire_send(&wire, bytes, frame->len);
    wire_end_output(&wire);
    enum wire_got got = wire_receive(&wire, &reply);
    if (got == WIRE_FRAME) {
        assert_in_range(reply.payload.len, 1, REPLY_MAX);
        got = wire_receive(&wire, &reply);
    }
    /* A shorter length leaves bytes behind the frame, which are an announcement of one, or two. */
    if (got != WIRE_END && at >= PW_FRAME_HEADER_SIZE) {
        fail_msg("%s, byte %zu changed to %u: %d", frame->name, at, value, (int)got);
    }
    wire_close(&wire);
}

static void a_beat_with_a_changed_byte_harms_nobody(void **state)
{
    struct scene *scene = begin(*state);
    const unsigned factor = pw_test_slow_factor();
    const unsigned values = factor == 1 ? 12 : factor <= 10 ? 2 : 1;
    unsigned seed = 7;
    for (size_t i = scene->frame_count - scene->beats; i < scene->frame_count; i++) {
        const struct request_frame *frame = &scene->frames[i];
        for (size_t at = 0; at < frame->len; at++) {
            for (unsigned n = 0; n < values; n++) {
                const uint8_t flip = (uint8_t)(1 + rand_r(&seed) % 255);
                send_changed(scene, frame, at, frame->bytes[at] ^ flip);
            }
        }
        beat(scene);
    }
    end(scene);
}

#define OVER(scheme, test)                                       \
    {                                                            \
        .name = scheme ": " #test, .test_func = (test),          \
        .initial_state = (void *)(uintptr_t)(const char *)scheme \
    }

int main(void)
{
    const struct CMUnitTest cases[] = {
        OVER("tcp", the_reply_is_the_same_wherever_a_frame_is_split),
        OVER("unix", the_replies_are_the_same_byte_by_byte),
        OVER("tcp", a_frame_that_is_cut_short_harms_nobody),
        OVER("memory", a_beat_with_a_changed_byte_harms_nobody),
    };
    return PW_TEST_RUN(cases);
}
