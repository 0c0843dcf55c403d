/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Stopping and freeing from inside of on_event.
 */
#include "base/tool_hints.h"
#include "slow_store.h"
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>

/* What on_event does when the first event is told. */
enum deed {
    STOP,
    STOP_AND_FREE,
    FREE
};

struct ender {
    struct pywatt_orchestrator *orchestrator;
    enum deed deed;
    atomic_uint told;
    atomic_bool done;
    atomic_bool told_after_free;
    atomic_bool waits; /* on_event does not begin before this is false */
};

static bool goes_on(void *user)
{
    return !atomic_load(&((struct ender *)user)->waits);
}

static void end_it(void *user, const struct pywatt_event *event)
{
    struct ender *ender = user;
    (void)event;
    if (atomic_fetch_add(&ender->told, 1) > 0) {
        atomic_store(&ender->told_after_free, ender->deed != STOP);
        return;
    }
    (void)pw_test_wait_until(goes_on, ender, 20000);
    PW_HINT_ACQUIRE(&ender->waits);
    if (ender->deed != FREE) {
        pywatt_orchestrator_stop(ender->orchestrator);
        pywatt_orchestrator_stop(ender->orchestrator);
    }
    if (ender->deed != STOP) {
        pywatt_orchestrator_free(ender->orchestrator);
    }
    PW_HINT_RELEASE(&ender->done);
    atomic_store(&ender->done, true);
}

static bool is_done(void *user)
{
    return atomic_load(&((struct ender *)user)->done);
}

struct left {
    size_t fds;
    size_t threads;
};

static bool nothing_is_left(void *user)
{
    const struct left *before = user;
    return pw_test_threads() == before->threads && pw_test_open_fds() == before->fds;
}

static void hint(struct ender *ender)
{
    (void)ender; /* without hints */
    PW_HINT_ATOMIC(ender->told);
    PW_HINT_ATOMIC(ender->done);
    PW_HINT_ATOMIC(ender->told_after_free);
    PW_HINT_ATOMIC(ender->waits);
}

/* on_event may go on: what was done up to here happened before. */
static void let_go(struct ender *ender)
{
    PW_HINT_RELEASE(&ender->waits);
    atomic_store(&ender->waits, false);
}

static void await_done(struct ender *ender)
{
    assert_true(pw_test_wait_until(is_done, ender, 20000));
    PW_HINT_ACQUIRE(&ender->done);
}

static void begin(struct ender *ender, char url[128])
{
    hint(ender);
    struct pywatt_orchestrator_options options;
    pywatt_orchestrator_options_init(&options);
    options.workers = 2;
    options.on_event = end_it;
    options.event_user = ender;
    assert_int_equal(pywatt_orchestrator_new(&options, &ender->orchestrator, NULL), PYWATT_OK);
    assert_int_equal(
        pywatt_orchestrator_listen(ender->orchestrator, "tcp://127.0.0.1:0", url, 128, NULL),
        PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(ender->orchestrator, NULL), PYWATT_OK);
}

/* Registers some modules; the first one's event ends it all, while others wait to be told. */
static void check_end(enum deed deed)
{
    struct ender ender = {.deed = deed};
    struct left before = {.fds = pw_test_open_fds(), .threads = pw_test_threads()};
    struct peer peer;
    char url[128];
    atomic_store(&ender.waits, true);
    begin(&ender, url);
    assert_true(peer_open(&peer, url, "json"));
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "b", NULL), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "c", NULL), PYWATT_OK);
    let_go(&ender);
    await_done(&ender);
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
    if (deed == STOP) {
        struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
        assert_int_equal(pywatt_orchestrator_get_stats(ender.orchestrator, &stats), PYWATT_OK);
        assert_int_equal(stats.connections, 0);
        assert_int_equal(stats.modules, 3);
        /* Waits until the other events were told. */
        pywatt_orchestrator_stop(ender.orchestrator);
        assert_int_equal(atomic_load(&ender.told), 3);
        pywatt_orchestrator_free(ender.orchestrator);
    }
    assert_true(pw_test_wait_until(nothing_is_left, &before, 20000));
    assert_false(atomic_load(&ender.told_after_free));
}

static void on_event_may_stop_it(void **state)
{
    (void)state;
    check_end(STOP);
}

static void on_event_may_free_it(void **state)
{
    (void)state;
    check_end(FREE);
    check_end(STOP_AND_FREE);
}

static void *stop(void *orchestrator)
{
    pywatt_orchestrator_stop(orchestrator);
    return NULL;
}

static bool is_changing(void *user)
{
    struct pywatt_orchestrator *orchestrator = ((struct ender *)user)->orchestrator;
    pw_mutex_lock(&orchestrator->life_mutex);
    const bool changes = orchestrator->life == PW_LIFE_CHANGING;
    pw_mutex_unlock(&orchestrator->life_mutex);
    return changes;
}

/* Who stops it waits for on_event, which therefore does not wait for that. */
static void on_event_may_stop_what_somebody_stops_already(void **state)
{
    (void)state;
    struct ender ender = {.deed = STOP};
    struct peer peer;
    pthread_t thread;
    char url[128];
    atomic_store(&ender.waits, true);
    begin(&ender, url);
    assert_true(peer_open(&peer, url, "protobuf"));
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    assert_int_equal(pthread_create(&thread, NULL, stop, ender.orchestrator), 0);
    assert_true(pw_test_wait_until(is_changing, &ender, 20000));
    let_go(&ender);
    pthread_join(thread, NULL);
    assert_true(is_done(&ender));
    peer_close(&peer);
    pywatt_orchestrator_free(ender.orchestrator);
}

/* The lease of a module of the store is over at once: its event comes while it is being started. */
static void on_event_may_stop_what_is_being_started(void **state)
{
    (void)state;
    static const struct pywatt_uuid id = {.bytes = {0x17, 4, 0, 0, 0, 0, 0x40, 0, 0x80}};
    for (int round = 0; round < 20; round++) {
        struct ender ender = {.deed = STOP};
        struct pywatt_orchestrator_options options;
        struct pw_store *store = slow_store_open(false);
        hint(&ender);
        slow_store_add(store, &id, "stored", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1, 1);
        pywatt_orchestrator_options_init(&options);
        options.min_lease_ms = 1;
        options.first_frame_timeout_ms = 1;
        options.on_event = end_it;
        options.event_user = &ender;
        assert_int_equal(pw_orchestrator_new(&options, NULL, store, &ender.orchestrator, NULL),
                         PYWATT_OK);
        assert_int_equal(pywatt_orchestrator_start(ender.orchestrator, NULL), PYWATT_OK);
        await_done(&ender);
        pywatt_orchestrator_stop(ender.orchestrator);
        assert_int_equal(pywatt_orchestrator_start(ender.orchestrator, NULL),
                         PYWATT_INVALID_ARGUMENT);
        pywatt_orchestrator_free(ender.orchestrator);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(on_event_may_stop_what_is_being_started),
        cmocka_unit_test(on_event_may_stop_it),
        cmocka_unit_test(on_event_may_free_it),
        cmocka_unit_test(on_event_may_stop_what_somebody_stops_already),
    };
    return PW_TEST_RUN(cases);
}
