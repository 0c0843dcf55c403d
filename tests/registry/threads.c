/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One client, many threads: everybody gets an answer, also when the client is closed or the
 * orchestrator vanishes while they are at it.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    THREADS = 64,
    ROUNDS = 20
};

struct worker {
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct box *box;
    pthread_barrier_t *start;
    unsigned rounds; /* 0: until something fails */
    unsigned good;
    enum pywatt_status last;
    int64_t ended_ns;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    pthread_barrier_wait(worker->start);
    worker->last = PYWATT_OK;
    for (unsigned i = 0; worker->rounds == 0 || i < worker->rounds; i++) {
        enum pywatt_health verdict = PYWATT_HEALTHY;
        worker->last = pywatt_heartbeat(worker->module, PYWATT_DEGRADED, NULL, &verdict, NULL);
        if (worker->last != PYWATT_OK || verdict != PYWATT_DEGRADED) {
            break;
        }
        if (worker->box != NULL) {
            worker->last = pywatt_heartbeat_async(worker->module, PYWATT_HEALTHY, NULL,
                                                  on_heartbeat, worker->box, NULL);
            if (worker->last != PYWATT_OK) {
                break;
            }
        }
        worker->good++;
    }
    worker->ended_ns = pw_test_now_ns();
    return NULL;
}

struct crowd {
    struct pw_fake *fake;
    struct pywatt_client *client;
    struct pywatt_module *modules[4];
    pthread_barrier_t start;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
};

static void gather(struct crowd *crowd, const char *codec, tune_fn tune, unsigned rounds,
                   struct box *box)
{
    crowd->fake = pw_fake_start();
    crowd->client = open_client(crowd->fake, codec, tune);
    for (int i = 0; i < 4; i++) {
        crowd->modules[i] = register_named(crowd->client, "one of four");
    }
    pthread_barrier_init(&crowd->start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        crowd->workers[i] = (struct worker){.client = crowd->client,
                                            .module = crowd->modules[i % 4],
                                            .box = box,
                                            .start = &crowd->start,
                                            .rounds = rounds};
        assert_int_equal(pthread_create(&crowd->threads[i], NULL, work, &crowd->workers[i]), 0);
    }
}

static void join(struct crowd *crowd)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_join(crowd->threads[i], NULL);
    }
    pthread_barrier_destroy(&crowd->start);
}

static void scatter(struct crowd *crowd)
{
    for (int i = 0; i < 4; i++) {
        pywatt_module_free(crowd->modules[i]);
    }
    pywatt_client_free(crowd->client);
    pw_fake_free(crowd->fake);
}

static void sixty_four_threads_share_a_client(void **state)
{
    (void)state;
    static struct crowd crowd;
    for (size_t i = 0; i < codec_count; i++) {
        struct box box;
        box_init(&box);
        gather(&crowd, all_codecs[i], NULL, ROUNDS, &box);
        join(&crowd);
        for (int n = 0; n < THREADS; n++) {
            assert_int_equal(crowd.workers[n].last, PYWATT_OK);
            assert_int_equal(crowd.workers[n].good, ROUNDS);
        }
        assert_true(box_wait(&box, THREADS * ROUNDS));
        assert_int_equal(pw_fake_count(crowd.fake, PW_OP_HEARTBEAT), 2 * THREADS * ROUNDS);
        assert_int_equal(pw_fake_connections(crowd.fake), 1);
        scatter(&crowd);
        assert_int_equal(box_count(&box), THREADS * ROUNDS);
        box_destroy(&box);
    }
}

static void closing_ends_every_call(void **state)
{
    (void)state;
    static struct crowd crowd;
    struct box box;
    box_init(&box);
    gather(&crowd, "json", NULL, 0, &box);
    assert_true(pw_fake_wait(crowd.fake, PW_OP_HEARTBEAT, 500));
    pywatt_client_close(crowd.client);
    join(&crowd);
    pywatt_client_stop(crowd.client);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(crowd.workers[i].last, PYWATT_CLOSED);
    }
    scatter(&crowd);
    box_destroy(&box);
}

static void freeing_waits_for_the_calls_that_are_inside(void **state)
{
    (void)state;
    static struct crowd crowd;
    gather(&crowd, "protobuf", NULL, 0, NULL);
    assert_true(pw_fake_wait(crowd.fake, PW_OP_HEARTBEAT, 500));
    pywatt_client_free(crowd.client);
    join(&crowd);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(crowd.workers[i].last, PYWATT_CLOSED);
    }
    crowd.client = NULL;
    scatter(&crowd);
}

static void everybody_hears_at_once_that_the_orchestrator_is_gone(void **state)
{
    (void)state;
    static struct crowd crowd;
    gather(&crowd, "json", no_retries, 0, NULL);
    assert_true(pw_fake_wait(crowd.fake, PW_OP_HEARTBEAT, 500));
    pw_fake_hold(crowd.fake, PW_OP_HEARTBEAT);
    assert_true(pw_fake_wait_held(crowd.fake, PW_OP_HEARTBEAT, THREADS));
    pw_fake_go_away(crowd.fake);
    const int64_t gone_ns = pw_test_now_ns();
    join(&crowd);
    for (int i = 0; i < THREADS; i++) {
        const struct worker *worker = &crowd.workers[i];
        assert_int_equal(worker->last, PYWATT_CHANNEL);
        assert_true(worker->ended_ns - gone_ns < INT64_C(500000000) * pw_test_slow_factor());
    }
    scatter(&crowd);
}

/* ---- Beginnings and ends, all at once ------------------------------------------------------------ */

static void *live(void *arg)
{
    struct worker *worker = arg;
    struct pywatt_module_info *info = NULL;
    worker->last = pywatt_module_info_new("short-lived", "1", "", &info);
    pthread_barrier_wait(worker->start);
    for (unsigned i = 0; i < worker->rounds && worker->last == PYWATT_OK; i++) {
        struct pywatt_module *module = NULL;
        struct pywatt_heartbeat_loop *loop = NULL;
        worker->last = pywatt_register_module(worker->client, info, &module, NULL);
        if (worker->last == PYWATT_OK) {
            worker->last = pywatt_start_heartbeat_loop(module, 1, NULL, NULL, &loop, NULL);
        }
        if (worker->last == PYWATT_OK) {
            worker->last = pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL);
        }
        if (worker->last == PYWATT_OK && i % 2 == 0) {
            worker->last = pywatt_unregister_module(module, NULL);
        }
        if (i % 3 == 0) {
            pywatt_module_free(module);
            pywatt_heartbeat_loop_stop(loop);
        } else {
            pywatt_heartbeat_loop_stop(loop);
            pywatt_module_free(module);
        }
    }
    pywatt_module_info_free(info);
    return NULL;
}

static void modules_and_loops_come_and_go_in_many_threads(void **state)
{
    (void)state;
    enum {
        LIVES = 16
    };
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct worker workers[LIVES];
    pthread_t threads[LIVES];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, LIVES);
    for (int i = 0; i < LIVES; i++) {
        workers[i] = (struct worker){.client = client, .start = &start, .rounds = 20};
        assert_int_equal(pthread_create(&threads[i], NULL, live, &workers[i]), 0);
    }
    for (int i = 0; i < LIVES; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < LIVES; i++) {
        assert_int_equal(workers[i].last, PYWATT_OK);
    }
    pthread_barrier_destroy(&start);
    pywatt_client_free(client);
    pw_fake_free(fake);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(sixty_four_threads_share_a_client),
        cmocka_unit_test(closing_ends_every_call),
        cmocka_unit_test(freeing_waits_for_the_calls_that_are_inside),
        cmocka_unit_test(everybody_hears_at_once_that_the_orchestrator_is_gone),
        cmocka_unit_test(modules_and_loops_come_and_go_in_many_threads),
    };
    return PW_TEST_RUN(cases);
}
