/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A channel whose connections break: what is tried again and what is not, what everybody is told,
 * what is left afterwards.
 */
#include "site.h"

#include "transport/endpoint.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LONG_MS = 10000,
    SHORT_MS = 60,
    SOON_MS = LONG_MS / 4
};

static void call_and_answer(struct pw_channel *channel, struct peer *peer, bool accept)
{
    struct caller caller;
    caller_init_on(&caller, channel, 77, LONG_MS);
    caller_start(&caller);
    assert_true(!accept || site_accept(0, peer));
    peer_answer(peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
}

static struct pw_channel *start(struct pw_endpoint endpoints[SITES])
{
    sites_init();
    site_set(0, SITE_UP);
    const struct pw_channel_options options = site_options(endpoints, 1);
    return site_channel(&options);
}

static void a_connection_that_died_unused_is_replaced_unseen(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct pw_channel *channel = start(endpoints);
    struct peer peer;
    for (unsigned i = 0; i < 10; i++) {
        call_and_answer(channel, &peer, true);
        /* At once, so that sending finds it; or later, so that it is looked for. */
        if (i % 2 == 0) {
            pw_conn_shutdown(peer.conn);
            pause_ms(15);
        }
        peer_end(&peer);
    }
    assert_int_equal(pw_channel_epoch(channel), 10);
    pw_channel_free(channel);
    sites_end();
}

static void a_request_that_may_have_left_is_never_sent_again(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct pw_channel *channel = start(endpoints);
    struct peer peer;
    struct taken taken;
    struct caller caller;
    caller_init_on(&caller, channel, 1, LONG_MS);
    caller_start(&caller);
    assert_true(site_accept(0, &peer));
    assert_true(peer_take(&peer, &taken));
    peer_end(&peer);
    caller_join(&caller);
    assert_int_equal(caller.status, PYWATT_CHANNEL);
    assert_string_equal(caller.error.text, "site:0: closed by the peer");
    assert_int_equal(site_dials(0), 1);
    assert_false(pw_channel_connected(channel));
    pw_channel_free(channel);
    sites_end();
}

/* Those who waited for their turn on a serial connection have not been sent: they go elsewhere. */
static void who_waited_for_a_turn_goes_on_to_a_new_connection(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct pw_channel *channel = start(endpoints);
    struct peer first;
    struct peer second;
    struct taken taken;
    struct caller callers[3];
    for (uint32_t i = 0; i < 3; i++) {
        caller_init_on(&callers[i], channel, i, i == 0 ? SHORT_MS : LONG_MS);
        caller_start(&callers[i]);
        if (i == 0) {
            assert_true(site_accept(0, &first));
            assert_true(peer_take(&first, &taken));
        }
    }
    caller_join(&callers[0]);
    assert_int_equal(callers[0].status, PYWATT_TIMEOUT);
    assert_true(site_accept(0, &second));
    for (uint32_t i = 1; i < 3; i++) {
        assert_true(peer_take(&second, &taken));
        peer_put_reply_without_id(&second, &taken);
        peer_send(&second);
    }
    caller_join(&callers[1]);
    caller_join(&callers[2]);
    assert_own_reply(&callers[1]);
    assert_own_reply(&callers[2]);
    assert_int_equal(site_dials(0), 2);
    struct pw_channel_stats stats;
    pw_channel_get_stats(channel, &stats);
    assert_int_equal(stats.timeouts, 1);
    assert_int_equal(stats.connects, 2);
    assert_false(stats.pipelined);
    pw_channel_free(channel);
    peer_end(&first);
    peer_end(&second);
    sites_end();
}

/* ---- A killed orchestrator, over TCP -------------------------------------------------------- */

static struct pw_listener *listen_on(const char *url, struct pw_endpoint *endpoint)
{
    struct pw_endpoint address;
    struct pw_listener *listener;
    char real_url[PW_ENDPOINT_URL_MAX];
    assert_int_equal(pw_endpoint_parse(url, true, &address, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_listen(&address, &listener, NULL), PYWATT_OK);
    pw_listener_url(listener, real_url, sizeof(real_url));
    assert_int_equal(pw_endpoint_parse(real_url, false, endpoint, NULL), PYWATT_OK);
    return listener;
}

static void accept_from(struct pw_listener *listener, struct peer *peer)
{
    struct pollfd fd = {.fd = pw_listener_fd(listener), .events = POLLIN};
    struct pw_conn *conn;
    assert_int_equal(poll(&fd, 1, LONG_MS * (int)pw_test_slow_factor()), 1);
    assert_int_equal(pw_listener_accept(listener, &conn, NULL), PW_IO_OK);
    peer_init(peer, conn);
}

static void kill_with_callers(const char *url, bool reset)
{
    enum {
        CALLERS = 64
    };
    struct pw_endpoint endpoints[SITES];
    struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_listener *listener = listen_on(url, &endpoints[0]);
    struct pw_channel *channel = site_channel(&options);
    struct caller *callers = calloc(CALLERS, sizeof(*callers));
    struct peer peer;
    struct taken taken;
    caller_init_on(&callers[0], channel, 0, LONG_MS);
    caller_start(&callers[0]);
    accept_from(listener, &peer);
    peer_answer(&peer, 1);
    caller_join(&callers[0]);
    for (uint32_t i = 0; i < CALLERS; i++) {
        caller_init_on(&callers[i], channel, i, LONG_MS);
        caller_start(&callers[i]);
    }
    for (uint32_t i = 0; i < CALLERS; i++) {
        assert_true(peer_take(&peer, &taken));
    }
    if (reset) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        assert_int_equal(
            setsockopt(pw_conn_fd(peer.conn), SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
    }
    pw_listener_destroy(listener);
    const int64_t killed_ns = pw_test_now_ns();
    peer_end(&peer);
    for (uint32_t i = 0; i < CALLERS; i++) {
        caller_join(&callers[i]);
    }
    for (uint32_t i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].status, PYWATT_CHANNEL);
        assert_string_equal(callers[i].error.text, callers[0].error.text);
        assert_true(caller_ended_after_ms(&callers[i], killed_ns) < SOON_MS);
    }
    assert_non_null(strstr(callers[0].error.text, endpoints[0].url));
    assert_non_null(strstr(callers[0].error.text, reset ? "reset" : "closed by the peer"));
    caller_init_on(&callers[0], channel, 0, LONG_MS);
    caller_run(&callers[0]);
    assert_int_equal(callers[0].status, PYWATT_CONNECTION);
    pw_channel_free(channel);
    free(callers);
}

static void sixty_four_callers_of_a_killed_peer_are_back_at_once(void **state)
{
    (void)state;
    kill_with_callers("tcp://127.0.0.1:0", false);
    kill_with_callers("tcp://127.0.0.1:0", true);
    kill_with_callers("memory:to-be-killed", false);
}

/* ---- Posts ---------------------------------------------------------------------------------- */

static void pump_channel(struct pw_channel *channel, struct posted *posted)
{
    const int64_t deadline_ns = pw_test_deadline_ns(LONG_MS);
    while (atomic_load(&posted->runs) == 0 && pw_test_now_ns() < deadline_ns) {
        struct pollfd fd;
        if (pw_channel_pump_begin(channel, &fd)) {
            const int ready = poll(&fd, 1, 1000);
            pw_channel_pump_end(channel, ready > 0 ? fd.revents : 0);
        }
    }
    assert_int_equal(atomic_load(&posted->runs), 1);
}

static void posts_go_over_the_connection_that_there_is(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct pw_channel *channel = start(endpoints);
    struct peer peer;
    struct pollfd fd;
    struct posted posted;
    assert_int_equal(posted_post_on(&posted, channel, 1, LONG_MS), PYWATT_CONNECTION);
    assert_false(pw_channel_pump_begin(channel, &fd));
    assert_int_equal(pw_channel_pump_deadline(channel), PW_DEADLINE_NEVER);
    pw_channel_pump_expire(channel);
    pw_channel_flush(channel);

    assert_int_equal(pw_channel_connect(channel, (uint64_t)pw_test_deadline_ns(LONG_MS), NULL),
                     PYWATT_OK);
    assert_true(site_accept(0, &peer));
    assert_false(pw_channel_pump_begin(channel, &fd));
    assert_int_equal(posted_post_on(&posted, channel, 1, LONG_MS), PYWATT_OK);
    assert_int_equal(pw_channel_pump_deadline(channel), posted.post.deadline_ns);
    pw_channel_pump_expire(channel);
    pw_channel_flush(channel);
    peer_answer(&peer, 1);
    pump_channel(channel, &posted);
    assert_true(posted.own_reply);
    assert_int_equal(posted.post.epoch, 1);

    /* The peer goes: the post fails, and there is no connection until somebody makes one. */
    assert_int_equal(posted_post_on(&posted, channel, 2, LONG_MS), PYWATT_OK);
    pw_channel_flush(channel);
    peer_end(&peer);
    pump_channel(channel, &posted);
    assert_int_equal(posted.status, PYWATT_CHANNEL);
    assert_false(pw_channel_connected(channel));
    assert_int_equal(posted_post_on(&posted, channel, 3, LONG_MS), PYWATT_CONNECTION);
    assert_int_equal(pw_channel_connect(channel, (uint64_t)pw_test_deadline_ns(LONG_MS), NULL),
                     PYWATT_OK);
    assert_int_equal(pw_channel_epoch(channel), 2);
    assert_true(site_accept(0, &peer));
    /* What was meant for the connection before is not sent. */
    assert_int_equal(posted_post_for(&posted, channel, 4, LONG_MS, 1), PYWATT_UNSUPPORTED);
    assert_int_equal(posted_post_for(&posted, channel, 4, LONG_MS, 2), PYWATT_OK);
    pw_channel_close(channel);
    assert_int_equal(atomic_load(&posted.runs), 1);
    assert_int_equal(posted.status, PYWATT_CLOSED);
    assert_int_equal(posted.post.epoch, 2);
    assert_int_equal(posted_post_on(&posted, channel, 5, LONG_MS), PYWATT_CLOSED);
    pw_channel_close(channel);
    pw_channel_stop(channel);
    pw_channel_free(channel);
    assert_int_equal(atomic_load(&posted.runs), 0);
    peer_end(&peer);
    sites_end();
}

/* ---- Connections that come and go under load ------------------------------------------------ */

enum {
    BUSY = 8,
    CALLS = 60
};

struct busy {
    struct caller caller;
    struct pw_channel *channel;
    pthread_t thread;
    unsigned own;
    unsigned lost;
    unsigned other;
    atomic_bool finished;
};

static void *be_busy(void *user)
{
    struct busy *busy = user;
    for (unsigned i = 0; i < CALLS; i++) {
        caller_run(&busy->caller);
        if (busy->caller.status == PYWATT_OK && busy->caller.own_reply) {
            busy->own++;
        } else if (busy->caller.status == PYWATT_CHANNEL) {
            busy->lost++;
        } else {
            busy->other++;
        }
    }
    atomic_store(&busy->finished, true);
    return NULL;
}

static bool all_done(const struct busy *busy)
{
    for (unsigned i = 0; i < BUSY; i++) {
        if (!atomic_load(&busy[i].finished)) {
            return false;
        }
    }
    return true;
}

/* Answers what comes, some of it out of order, and ends the connection after `count` requests. */
static void serve_some(struct peer *peer, const struct busy *busy, unsigned count)
{
    struct taken kept;
    bool has_kept = false;
    for (unsigned i = 0; i < count && !all_done(busy); i++) {
        struct pollfd fd = {.fd = pw_conn_fd(peer->conn), .events = POLLIN};
        if (pw_buffer_len(&peer->in) == 0 && poll(&fd, 1, 1) == 0) {
            if (has_kept) {
                peer_put_reply(peer, &kept);
                peer_send(peer);
                has_kept = false;
            }
            continue;
        }
        struct taken taken;
        if (!peer_take(peer, &taken)) {
            return;
        }
        if (!has_kept && rand() % 4 == 0) {
            kept = taken;
            has_kept = true;
            continue;
        }
        peer_put_reply(peer, &taken);
        peer_send(peer);
    }
}

static void calls_survive_connections_that_come_and_go(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_UP);
    struct pw_channel_options options = site_options(endpoints, 1);
    options.backoff = fixed_pauses(1, 0);
    struct pw_channel *channel = site_channel(&options);
    struct busy *busy = calloc(BUSY, sizeof(*busy));
    srand(3);
    for (uint32_t i = 0; i < BUSY; i++) {
        caller_init_on(&busy[i].caller, channel, 1000 + i, 30000);
        assert_int_equal(pthread_create(&busy[i].thread, NULL, be_busy, &busy[i]), 0);
    }
    while (!all_done(busy)) {
        struct peer peer;
        if (!site_try_accept(0, &peer)) {
            pause_ms(1);
            continue;
        }
        serve_some(&peer, busy, 5 + (unsigned)rand() % 60);
        peer_end(&peer);
    }
    unsigned own = 0;
    for (uint32_t i = 0; i < BUSY; i++) {
        assert_int_equal(pthread_join(busy[i].thread, NULL), 0);
        assert_int_equal(busy[i].other, 0);
        assert_int_equal(busy[i].own + busy[i].lost, CALLS);
        own += busy[i].own;
    }
    assert_true(own > BUSY * CALLS / 2);
    assert_true(pw_channel_epoch(channel) > 3);
    struct pw_channel_stats stats;
    pw_channel_get_stats(channel, &stats);
    assert_int_equal(stats.replies_received, own);
    assert_int_equal(stats.replies_dropped, 0);
    pw_channel_free(channel);
    free(busy);
    sites_end();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_connection_that_died_unused_is_replaced_unseen),
        cmocka_unit_test(a_request_that_may_have_left_is_never_sent_again),
        cmocka_unit_test(who_waited_for_a_turn_goes_on_to_a_new_connection),
        cmocka_unit_test(sixty_four_callers_of_a_killed_peer_are_back_at_once),
        cmocka_unit_test(posts_go_over_the_connection_that_there_is),
        cmocka_unit_test(calls_survive_connections_that_come_and_go),
    };
    return PW_TEST_RUN(cases);
}
