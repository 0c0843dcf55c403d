/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Real client, real orchestrator, and a system that refuses: in the course of a conversation each
 * system call of each kind fails once, with each error that it may have, on whichever side it is. What
 * is only put off goes well; everything else goes well or says why it did not. Nothing hangs, what
 * went well is true, no descriptor is left behind, and the next conversation goes well.
 *
 * PYWATT_TEST_LONG is for every call also under tools that are slow, both codecs over each, and TLS
 * sessions that are resumed. Over TLS both show certificates, and handshakes have a pace.
 */
#include "call_fail.h"
#include "client.h"
#include "host.h"
#include "scene.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The client's, where it is over TLS; NULL elsewhere. */
static struct pywatt_tls *client_tls;

enum {
    CALLS_MAX = 2000,
    BEATS = 3,
    TLS_START_FAULTS = 3,
    PATIENCE_MS = 10000
};

/* ---- A conversation ---- */

struct talk {
    struct host *host;
    const char *codec;
    struct pywatt_client *client;
    struct pywatt_module_info *info;
    struct pywatt_module *module;
    sem_t beats;
    const char *step; /* the last one */
    struct pywatt_error error;
};

/* What the orchestrator knows of the module. */
static bool is_known_as(struct talk *talk, enum pywatt_health health)
{
    struct pywatt_module_view *view = NULL;
    const enum pywatt_status status =
        pywatt_orchestrator_find(talk->host->orchestrator, pywatt_module_id(talk->module), &view);
    const bool same = status == PYWATT_OK && pywatt_module_view_health(view) == health &&
                      pywatt_module_info_equal(pywatt_module_view_info(view), talk->info);
    pywatt_module_view_free(view);
    return same;
}

static void must_be_known_as(struct talk *talk, enum pywatt_health health)
{
    if (!is_known_as(talk, health)) {
        fail_msg("%s: it went well, and the orchestrator does not know", talk->step);
    }
}

static enum pywatt_status open_it(struct talk *talk)
{
    struct pywatt_client_options options;
    client_options(&options, talk->host->url, talk->codec);
    options.timeout_ms = pw_test_timeout_ms(PATIENCE_MS);
    options.tls = client_tls;
    return pywatt_client_open(&options, &talk->client, &talk->error);
}

static enum pywatt_status register_it(struct talk *talk)
{
    return pywatt_register_module(talk->client, talk->info, &talk->module, &talk->error);
}

static enum pywatt_status advertise(struct talk *talk)
{
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "job"), PYWATT_OK);
    const enum pywatt_status status =
        pywatt_advertise_capabilities(talk->module, capabilities, &talk->error);
    pywatt_capabilities_free(capabilities);
    return status;
}

static enum pywatt_status beat(struct talk *talk)
{
    const enum pywatt_status status =
        pywatt_heartbeat(talk->module, PYWATT_DEGRADED, NULL, NULL, &talk->error);
    if (status == PYWATT_OK) {
        must_be_known_as(talk, PYWATT_DEGRADED);
    }
    return status;
}

static enum pywatt_status beat_in_a_batch(struct talk *talk)
{
    struct pywatt_beat beats[] = {{.module = talk->module, .health = PYWATT_DEGRADED},
                                  {.module = talk->module, .health = PYWATT_HEALTHY}};
    const enum pywatt_status status = pywatt_heartbeat_batch(talk->client, beats, 2, &talk->error);
    if (status == PYWATT_OK) {
        assert_int_equal(beats[0].status, PYWATT_OK);
        assert_int_equal(beats[1].status, PYWATT_OK);
        must_be_known_as(talk, PYWATT_HEALTHY);
    }
    return status;
}

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    struct talk *talk = user;
    (void)details;
    sem_post(&talk->beats);
    return PYWATT_HEALTHY;
}

/* Whatever happens to its beats, it goes on. */
static enum pywatt_status beat_in_a_loop(struct talk *talk)
{
    struct pywatt_heartbeat_loop *loop = NULL;
    struct timespec until;
    const enum pywatt_status status =
        pywatt_start_heartbeat_loop(talk->module, 1, provide, talk, &loop, &talk->error);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_MS / 1000 * (time_t)pw_test_slow_factor();
    for (unsigned i = 0; i < BEATS && status == PYWATT_OK; i++) {
        while (sem_clockwait(&talk->beats, CLOCK_MONOTONIC, &until) != 0) {
            if (errno != EINTR) {
                fail_msg("the loop does not beat any more");
            }
        }
    }
    pywatt_heartbeat_loop_stop(loop);
    return status;
}

static enum pywatt_status unregister(struct talk *talk)
{
    const enum pywatt_status status = pywatt_unregister_module(talk->module, &talk->error);
    if (status == PYWATT_OK && is_known_as(talk, PYWATT_HEALTHY)) {
        fail_msg("unregister: it went well, and the orchestrator knows the module");
    }
    return status;
}

static const struct {
    const char *name;
    enum pywatt_status (*take)(struct talk *talk);
} steps[] = {
    {"open", open_it},          {"register", register_it},
    {"advertise", advertise},   {"beat", beat},
    {"batch", beat_in_a_batch}, {"loop", beat_in_a_loop},
    {"unregister", unregister},
};

/* Up to the first step that fails; its status, with its words in `talk`. */
static enum pywatt_status converse(struct talk *talk, struct host *host, const char *codec)
{
    static unsigned round;
    char name[32];
    enum pywatt_status status = PYWATT_OK;
    *talk = (struct talk){.host = host, .codec = codec};
    snprintf(name, sizeof(name), "%u.floor2", ++round);
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &talk->info), PYWATT_OK);
    sem_init(&talk->beats, 0, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == PYWATT_OK; i++) {
        talk->step = steps[i].name;
        status = steps[i].take(talk);
    }
    pywatt_module_free(talk->module);
    pywatt_client_free(talk->client);
    pywatt_module_info_free(talk->info);
    sem_destroy(&talk->beats);
    return status;
}

/* ---- What fails ---- */

/* `put_off`: whoever hears it tries again, so nobody notices. */
static const struct fault {
    enum call call;
    int number;
    bool put_off;
} faults[] = {
    {CALL_ACCEPT4, EINTR, true},
    {CALL_ACCEPT4, EAGAIN, true},
    {CALL_ACCEPT4, ECONNABORTED, true},
    {CALL_ACCEPT4, EMFILE, true},
    {CALL_ACCEPT4, ENFILE, true},
    {CALL_ACCEPT4, ENOMEM, true},
    {CALL_CONNECT, EINTR, true},
    {CALL_CONNECT, ECONNREFUSED, false},
    {CALL_CONNECT, EADDRNOTAVAIL, false},
    {CALL_EPOLL_ADD, ENOMEM, false},
    {CALL_EPOLL_ADD, ENOSPC, false},
    {CALL_EPOLL_CREATE, EMFILE, false},
    {CALL_EPOLL_WAIT, EINTR, true},
    {CALL_EVENTFD, EMFILE, false},
    {CALL_GETRANDOM, EINTR, true},
    {CALL_GETRANDOM, ENOSYS, false},
    {CALL_POLL, EINTR, true},
    {CALL_POLL, ENOMEM, true},
    {CALL_PPOLL, EINTR, true},
    {CALL_READ, EINTR, true},
    {CALL_READ, EAGAIN, true},
    {CALL_RECV, EINTR, true},
    {CALL_RECV, EAGAIN, true},
    {CALL_RECV, CALL_SHORT, true},
    {CALL_RECV, ECONNRESET, false},
    {CALL_RECV, ENOMEM, false},
    {CALL_SEND, EINTR, true},
    {CALL_SEND, EAGAIN, true},
    {CALL_SEND, CALL_SHORT, true},
    {CALL_SEND, ECONNRESET, false},
    {CALL_SEND, EPIPE, false},
    {CALL_SEND, ENOBUFS, false},
    {CALL_SETSOCKOPT, ENOBUFS, false},
    {CALL_SOCKET, EMFILE, false},
    {CALL_THREAD, EAGAIN, false},
    {CALL_WRITE, EINTR, true},
};

static void explain(const struct fault *fault, unsigned long n, const struct talk *talk,
                    enum pywatt_status status)
{
    fail_msg("%s %lu, %s: %s: %s: %s", call_names[fault->call], n,
             fault->number == CALL_SHORT ? "one byte" : strerror(fault->number), talk->step,
             pywatt_status_name(status), talk->error.text);
}

static bool is_fair(const struct fault *fault, const struct talk *talk, enum pywatt_status status)
{
    switch (status) {
    case PYWATT_OK: return true;
    case PYWATT_NO_MEMORY:
    case PYWATT_CHANNEL:
    case PYWATT_CONNECTION:
    case PYWATT_UNAVAILABLE:
    case PYWATT_IO:
        return !fault->put_off && talk->error.status == status && talk->error.text[0] != '\0';
    default: return false;
    }
}

static bool has_left(void *user)
{
    return pw_test_open_fds() == *(size_t *)user;
}

/* Where a tool makes it slow there is a choice. */
static bool takes_all(void)
{
    return pw_test_slow_factor() == 1 || getenv("PYWATT_TEST_LONG") != NULL;
}

static unsigned long next(unsigned long n)
{
    return n + (takes_all() ? 1 : client_tls == NULL ? 1 + n / 2 : 1 + 4 * n);
}

/* Then each handshake takes its time: over TLS only what breaks a record, or ends it. */
static bool is_taken(const struct fault *fault)
{
    return takes_all() || client_tls == NULL || fault->number == CALL_SHORT ||
           fault->number == ECONNRESET;
}

/* How often it failed. */
static unsigned long fail_each(struct host *host, const char *codec, const struct fault *fault,
                               bool resumes)
{
    struct talk talk;
    unsigned long times = 0;
    bool fired = true;
    /* The 0th is all of them: byte after byte. */
    for (unsigned long n = fault->number == CALL_SHORT ? 0 : 1; fired; n = next(n)) {
        assert_in_range(n, 0, CALLS_MAX);
        if (client_tls != NULL && !resumes) {
            assert_int_equal(pywatt_tls_reload(client_tls, NULL), PYWATT_OK); /* no sessions */
        }
        call_fail_at(fault->call, n, fault->number);
        enum pywatt_status status = converse(&talk, host, codec);
        fired = call_fail_disarm();
        times += fired;
        if (fired ? !is_fair(fault, &talk, status) : status != PYWATT_OK) {
            explain(fault, n, &talk, status);
        }
        status = converse(&talk, host, codec);
        if (status != PYWATT_OK) {
            print_message("afterwards\n");
            explain(fault, n, &talk, status);
        }
    }
    return times;
}

/* Not started. */
static void init_host(struct host *host, const char *scheme)
{
    if (strcmp(scheme, "tls") == 0) {
        client_tls = scene_host_init(host, 2000);
    } else {
        host_init(host, scheme);
    }
}

static void destroy_host(struct host *host)
{
    host_destroy(host);
    pywatt_tls_free(host->options.tls);
    pywatt_tls_free(client_tls);
    client_tls = NULL;
}

static void fail_all(const char *scheme, const char *codec, bool resumes)
{
    struct host host;
    struct talk talk;
    unsigned long times = 0;
    init_host(&host, scheme);
    host_start(&host);
    assert_int_equal(converse(&talk, &host, codec), PYWATT_OK);
    scene_await_connections(&host, 0);
    size_t descriptors = pw_test_open_fds();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const unsigned long more =
            is_taken(&faults[i]) ? fail_each(&host, codec, &faults[i], resumes) : 0;
        if (!pw_test_wait_until(has_left, &descriptors, PATIENCE_MS)) {
            fail_msg("%s: %zu descriptors, and not %zu", call_names[faults[i].call],
                     pw_test_open_fds(), descriptors);
        }
        if (getenv("PYWATT_TEST_VERBOSE") != NULL) {
            print_message("%s, %d: %lu times\n", call_names[faults[i].call], faults[i].number,
                          more);
        }
        times += more;
    }
    destroy_host(&host);
    print_message("%lu calls failed\n", times);
    assert_true(times > 0);
}

static void fail_over(const char *scheme, const char *codec, const char *other_codec)
{
    fail_all(scheme, codec, false);
    if (getenv("PYWATT_TEST_LONG") != NULL) {
        fail_all(scheme, other_codec, true);
    }
}

static void over_tcp(void **state)
{
    (void)state;
    fail_over("tcp", "json", "protobuf");
}

static void over_unix_sockets(void **state)
{
    (void)state;
    fail_over("unix", "protobuf", "json");
}

static void over_tls(void **state)
{
    (void)state;
    fail_over("tls", "json", "protobuf");
}

/* ---- Starting ---- */

/* The first ones are of calls that a listener over TLS makes itself. */
static const struct fault start_faults[] = {
    {CALL_EPOLL_ADD, ENOMEM, false},   {CALL_EPOLL_CREATE, EMFILE, false},
    {CALL_TIMERFD, EMFILE, false},     {CALL_BIND, EADDRINUSE, false},
    {CALL_EVENTFD, EMFILE, false},     {CALL_LISTEN, EADDRINUSE, false},
    {CALL_SETSOCKOPT, ENOBUFS, false}, {CALL_SOCKET, EMFILE, false},
    {CALL_THREAD, EAGAIN, false},      {CALL_GETRANDOM, EINTR, true},
    {CALL_OPEN, EMFILE, false},        {CALL_OPEN, EACCES, false},
    {CALL_FLOCK, EINTR, false},
};

static enum pywatt_status serve(struct host *host, struct pywatt_error *error)
{
    struct pywatt_orchestrator *orchestrator = NULL;
    enum pywatt_status status = pywatt_orchestrator_new(&host->options, &orchestrator, error);
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_listen(orchestrator, host->url, NULL, 0, error);
    }
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_start(orchestrator, error);
    }
    pywatt_orchestrator_free(orchestrator);
    return status;
}

static void start_each(const char *scheme, const struct fault *fault)
{
    struct host host;
    bool fired = true;
    init_host(&host, scheme);
    for (unsigned long n = 1; fired; n = next(n)) {
        struct talk talk = {.step = "start"};
        size_t descriptors = pw_test_open_fds();
        call_fail_at(fault->call, n, fault->number);
        enum pywatt_status status = serve(&host, &talk.error);
        fired = call_fail_disarm();
        if (fired ? !is_fair(fault, &talk, status) : status != PYWATT_OK) {
            explain(fault, n, &talk, status);
        }
        assert_int_equal(pw_test_open_fds(), descriptors);
        if (serve(&host, &talk.error) != PYWATT_OK) {
            print_message("afterwards\n");
            explain(fault, n, &talk, status);
        }
    }
    destroy_host(&host);
}

static void an_orchestrator_starts_or_says_why_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(start_faults) / sizeof(start_faults[0]); i++) {
        start_each("tcp", &start_faults[i]);
        start_each("unix", &start_faults[i]);
        if (i < TLS_START_FAULTS) {
            start_each("tls", &start_faults[i]);
        }
    }
}

/* ---- No descriptors ---- */

static bool has_tried(void *user)
{
    return call_fail_count() >= *(unsigned long *)user;
}

static void ignore(void *user, enum pywatt_status status, const struct pywatt_error *error,
                   struct pywatt_module *module)
{
    (void)user;
    (void)status;
    (void)error;
    pywatt_module_free(module);
}

/* It tries again every 100 ms, and once more since it was told: a loop would be at thousands. */
static void does_not_spin(const char *scheme)
{
    static const int numbers[] = {EMFILE, ENFILE, ENOMEM};
    struct host host;
    struct talk talk;
    init_host(&host, scheme);
    host_start(&host);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        unsigned long wanted = 3;
        struct pywatt_client *client = NULL;
        struct pywatt_client_options options;
        client_options(&options, host.url, "json");
        options.tls = client_tls;
        const int64_t began_ns = pw_test_now_ns();
        call_fail_at(CALL_ACCEPT4, 0, numbers[i]);
        client = client_open_with(&options);
        struct pywatt_module_info *info = NULL;
        assert_int_equal(pywatt_module_info_new("waits.floor2", "1", "d", &info), PYWATT_OK);
        assert_int_equal(pywatt_register_module_async(client, info, ignore, NULL, NULL), PYWATT_OK);
        assert_true(pw_test_wait_until(has_tried, &wanted, PATIENCE_MS));
        const unsigned long count = call_fail_count();
        assert_true(call_fail_disarm());
        assert_true(count <= (unsigned long)((pw_test_now_ns() - began_ns) / 100000000) + 2);
        assert_int_equal(converse(&talk, &host, "json"), PYWATT_OK);
        pywatt_client_free(client);
        pywatt_module_info_free(info);
    }
    destroy_host(&host);
}

static void who_has_no_descriptors_does_not_spin(void **state)
{
    (void)state;
    does_not_spin("tcp");
    does_not_spin("tls");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(over_tcp),
        cmocka_unit_test(over_unix_sockets),
        cmocka_unit_test(over_tls),
        cmocka_unit_test(an_orchestrator_starts_or_says_why_not),
        cmocka_unit_test(who_has_no_descriptors_does_not_spin),
    };
    return PW_TEST_RUN_WITH(cases, scene_make, scene_free);
}
