/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What rpc does with memory: none per call or post once its buffers have their size, and an error
 * instead of a crash or a leak wherever there is none to be had.
 *
 * The peer is a thread here, as calls are made from the main thread, whose allocations are counted.
 */
#include "malloc_fail.h"
#include "rig.h"

#include "transport/frame.h"
#include "transport/memory.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LONG_MS = 5000
};

/* ---- The answering thread ------------------------------------------------------------------- */

struct answerer {
    struct pw_listener *listener;
    pthread_t thread;
    size_t text_len; /* of error texts */
    char *text;
};

static void answer_frame(const struct answerer *answerer, struct pw_frame frame,
                         struct pw_buffer *out)
{
    static const char success[] = "{\"request_id\":\"%s\",\"response_type\":\"heartbeat\","
                                  "\"success\":false,\"error\":\"%s\",\"status\":\"Healthy\"}";
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame.format_code, frame.payload);
    struct pw_arena arena;
    struct pw_request request;
    bool recognised;
    pw_arena_init(&arena, 1 << 20);
    pw_request_init(&request);
    if (codec == NULL ||
        pw_codec_decode_request(codec, frame.payload, &pw_codec_default_limits, &arena, &request,
                                &recognised, NULL) != PYWATT_OK) {
        abort();
    }
    char id[PYWATT_UUID_TEXT_SIZE];
    char *payload;
    pywatt_uuid_format(&request.request_id, id);
    const int len = asprintf(&payload, success, id, answerer->text);
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_frame_write_header(header, (uint32_t)len, codec->format_code);
    if (pw_buffer_append(out, header, sizeof(header)) != PYWATT_OK ||
        pw_buffer_append(out, payload, (size_t)len) != PYWATT_OK) {
        abort();
    }
    free(payload);
    pw_request_clear(&request);
    pw_arena_destroy(&arena);
}

static void send_all(struct pw_conn *conn, struct pw_buffer *out)
{
    while (pw_buffer_len(out) > 0) {
        struct iovec piece = {(void *)(uintptr_t)pw_buffer_bytes(out), pw_buffer_len(out)};
        size_t sent;
        struct pollfd fd = {.fd = pw_conn_fd(conn), .events = POLLOUT};
        const enum pw_io result = pw_conn_send(conn, &piece, 1, &sent, NULL);
        if (result == PW_IO_ERROR) {
            return;
        }
        if (result == PW_IO_AGAIN) {
            poll(&fd, 1, -1);
        }
        pw_buffer_consume(out, sent);
    }
}

static void answer_all(const struct answerer *answerer, struct pw_conn *conn)
{
    struct pw_buffer in;
    struct pw_buffer out;
    pw_buffer_init(&in, 1 << 22);
    pw_buffer_init(&out, 1 << 22);
    for (;;) {
        struct pollfd fd = {.fd = pw_conn_fd(conn), .events = POLLIN};
        uint8_t *room;
        size_t got;
        poll(&fd, 1, -1);
        if (pw_buffer_reserve(&in, 65536, &room) != PYWATT_OK) {
            abort();
        }
        const enum pw_io result = pw_conn_receive(conn, room, 65536, &got, NULL);
        if (result == PW_IO_EOF || result == PW_IO_ERROR) {
            break;
        }
        pw_buffer_commit(&in, got);
        struct pw_frame frame;
        size_t size;
        while (pw_frame_parse(pw_buffer_span(&in), 1 << 21, &frame, &size) == PW_FRAME_WHOLE) {
            answer_frame(answerer, frame, &out);
            pw_buffer_consume(&in, size);
        }
        send_all(conn, &out);
    }
    pw_buffer_destroy(&in);
    pw_buffer_destroy(&out);
    pw_conn_destroy(conn);
}

/* Serves one connection after the other, until one comes and goes with the listener's end. */
static void *answerer_main(void *user)
{
    const struct answerer *answerer = user;
    for (;;) {
        struct pollfd fd = {.fd = pw_listener_fd(answerer->listener), .events = POLLIN};
        struct pw_conn *conn;
        poll(&fd, 1, -1);
        if (pw_listener_accept(answerer->listener, &conn, NULL) != PW_IO_OK) {
            continue;
        }
        /* An empty connection that says one byte ends the thread. */
        struct pollfd first = {.fd = pw_conn_fd(conn), .events = POLLIN};
        char byte;
        poll(&first, 1, -1);
        if (recv(first.fd, &byte, 1, MSG_PEEK) == 1 && byte == 'q') {
            pw_conn_destroy(conn);
            return NULL;
        }
        answer_all(answerer, conn);
    }
}

static void answerer_start(struct answerer *answerer, size_t text_len)
{
    struct pw_endpoint endpoint;
    assert_int_equal(pw_endpoint_parse("memory:answerer", true, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_listen(&endpoint, &answerer->listener, NULL), PYWATT_OK);
    answerer->text_len = text_len;
    answerer->text = malloc(text_len + 1);
    memset(answerer->text, 'e', text_len);
    answerer->text[text_len] = '\0';
    assert_int_equal(pthread_create(&answerer->thread, NULL, answerer_main, answerer), 0);
}

static void answerer_stop(struct answerer *answerer)
{
    struct pw_endpoint endpoint;
    struct pw_conn *conn;
    struct iovec quit = {(void *)(uintptr_t) "q", 1};
    size_t sent;
    assert_int_equal(pw_endpoint_parse("memory:answerer", false, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_connect(&endpoint, PW_DEADLINE_NEVER, -1, &conn, NULL),
                     PYWATT_OK);
    assert_int_equal(pw_conn_send(conn, &quit, 1, &sent, NULL), PW_IO_OK);
    assert_int_equal(pthread_join(answerer->thread, NULL), 0);
    pw_conn_destroy(conn);
    pw_listener_destroy(answerer->listener);
    free(answerer->text);
}

/* ---- What is done with it ------------------------------------------------------------------- */

static struct pw_channel_options options_for(struct pw_endpoint *endpoint, const char *codec)
{
    assert_int_equal(pw_endpoint_parse("memory:answerer", false, endpoint, NULL), PYWATT_OK);
    struct pw_channel_options options = {
        .endpoints = endpoint,
        .endpoint_count = 1,
        .codec = pw_codec_by_name(codec),
        .clock = &pw_clock_monotonic,
        .max_frame_bytes = 1 << 20,
        .max_in_flight = 64,
    };
    pw_backoff_init(&options.backoff, PW_BACKOFF_NONE, 0, 0, 0, 1);
    return options;
}

static enum pywatt_status call(struct pw_channel *channel, struct pw_arena *arena,
                               struct pw_response *response)
{
    struct pw_request request;
    make_beat(&request, 1);
    pw_arena_reset(arena);
    return pw_channel_call(channel, &request, (uint64_t)pw_test_deadline_ns(LONG_MS), arena,
                           response, NULL, NULL);
}

struct counted {
    struct pw_post post;
    unsigned runs;
    enum pywatt_status status;
};

static void counted_done(struct pw_post *post, enum pywatt_status status,
                         const struct pw_response *response, const struct pywatt_error *error)
{
    (void)response;
    (void)error;
    struct counted *counted = PW_CONTAINER_OF(post, struct counted, post);
    counted->runs++;
    counted->status = status;
}

static enum pywatt_status post(struct pw_channel *channel, struct counted *counted)
{
    struct pw_request request;
    make_beat(&request, 2);
    counted->post = (struct pw_post){.done = counted_done};
    counted->runs = 0;
    return pw_channel_post(channel, &request, (uint64_t)pw_test_deadline_ns(LONG_MS),
                           &counted->post, NULL);
}

static void pump_channel(struct pw_channel *channel, const struct counted *counted)
{
    struct pollfd fd;
    while (counted->runs == 0 && pw_channel_pump_begin(channel, &fd)) {
        const int ready = poll(&fd, 1, LONG_MS);
        pw_channel_pump_end(channel, ready > 0 ? fd.revents : 0);
    }
}

static void neither_calls_nor_posts_take_memory(void **state)
{
    (void)state;
    struct answerer answerer;
    struct pw_endpoint endpoint;
    answerer_start(&answerer, 10);
    const struct pw_channel_options options = options_for(&endpoint, "json");
    struct pw_channel *channel;
    struct pw_arena arena;
    struct pw_response response;
    struct counted posted[32];
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&response);
    assert_int_equal(pw_channel_new(&options, &channel, NULL), PYWATT_OK);
    for (unsigned round = 0; round < 20; round++) {
        if (round == 5) {
            pw_malloc_fail_at(1); /* from here on, none may be made */
        }
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(call(channel, &arena, &response), PYWATT_OK);
        }
        for (unsigned i = 0; i < 32; i++) {
            assert_int_equal(post(channel, &posted[i]), PYWATT_OK);
        }
        pw_channel_flush(channel);
        for (unsigned i = 0; i < 32; i++) {
            pump_channel(channel, &posted[i]);
            assert_int_equal(posted[i].runs, 1);
            assert_int_equal(posted[i].status, PYWATT_OK);
        }
    }
    assert_int_equal(pw_malloc_fail_count(), 0);
    assert_false(pw_malloc_fail_disarm());
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
    pw_channel_free(channel);
    answerer_stop(&answerer);
}

/* Everything once, with little or with large messages; the first status that is no success. */
static enum pywatt_status everything(const struct pw_channel_options *options, bool large)
{
    struct pw_channel *channel = NULL;
    struct pw_arena arena;
    struct pw_response response;
    struct counted counted = {.runs = 0};
    struct pw_request request;
    struct pywatt_string_map *details = NULL;
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&response);
    enum pywatt_status status = pw_channel_new(options, &channel, NULL);
    if (status == PYWATT_OK) {
        status = call(channel, &arena, &response);
    }
    if (status == PYWATT_OK && large) {
        pw_malloc_fail_pause();
        details = pywatt_string_map_new();
        char value[1001] = {0};
        memset(value, 'v', 1000);
        for (char key[] = "a"; key[0] <= 'e'; key[0]++) {
            assert_int_equal(pywatt_string_map_set(details, key, value), PYWATT_OK);
        }
        pw_malloc_fail_resume();
        make_beat(&request, 3);
        request.details = details;
        status = pw_channel_call(channel, &request, (uint64_t)pw_test_deadline_ns(LONG_MS), &arena,
                                 &response, NULL, NULL);
    }
    if (status == PYWATT_OK) {
        status = post(channel, &counted);
        if (status == PYWATT_OK) {
            pw_channel_flush(channel);
            pump_channel(channel, &counted);
            assert_int_equal(counted.runs, 1);
            status = counted.status;
        } else {
            assert_int_equal(counted.runs, 0);
        }
    }
    pw_channel_free(channel);
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
    pywatt_string_map_free(details);
    return status;
}

/*
 * All allocations in turn. Some may fail without harm: a large reply is copied for a caller before
 * it is known to be a post's.
 */
static void fail_each(bool large)
{
    struct answerer answerer;
    struct pw_endpoint endpoint;
    answerer_start(&answerer, large ? 3000 : 10);
    const struct pw_channel_options options = options_for(&endpoint, "json");
    const size_t fds = pw_test_open_fds();
    unsigned long n = 1;
    unsigned harmless = 0;
    for (;; n++) {
        pw_malloc_fail_at(n);
        const enum pywatt_status status = everything(&options, large);
        if (!pw_malloc_fail_disarm()) {
            assert_int_equal(status, PYWATT_OK);
            break;
        }
        assert_true(status == PYWATT_OK || status == PYWATT_NO_MEMORY);
        harmless += status == PYWATT_OK;
    }
    assert_true(n > 5);
    assert_int_equal(harmless, large ? 1 : 0);
    answerer_stop(&answerer);
    assert_true(pw_test_open_fds() <= fds);
}

static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    fail_each(false);
    fail_each(true);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(neither_calls_nor_posts_take_memory),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return PW_TEST_RUN(cases);
}
